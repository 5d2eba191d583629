"""What the server and the command line ask about persistent memory, through the helper."""

import logging
from collections.abc import Sequence
from typing import Protocol

from daos_control.storage.helper_client import HelperClient
from daos_control.storage.pmem.messages import (
    ScmFirmwareQuery,
    ScmFirmwareQueryReply,
    ScmFirmwareUpdate,
    ScmFirmwareUpdateReply,
    ScmPrepare,
    ScmPrepareReply,
    ScmScan,
    ScmScanReply,
)

log = logging.getLogger(__name__)


class PmemScanner(Protocol):
    """What a storage scan needs."""

    async def scan(self, *, socket: int | None = None, in_config: bool = False) -> ScmScanReply: ...


class Pmem:
    """Persistent memory of this host. Every call may raise a Fault; each is safe to repeat."""

    def __init__(self, helper: HelperClient) -> None:
        self._helper = helper

    async def scan(self, *, socket: int | None = None, in_config: bool = False) -> ScmScanReply:
        """Modules and namespaces; see `messages.ScmScan`. Raises Fault 1, 2 or 208."""
        reply = await self._helper.call(ScmScan(socket_id=socket, pmem_in_config=in_config))
        assert isinstance(reply, ScmScanReply)
        return reply

    async def prepare(self, *, socket: int | None, namespaces: int = 1, force: bool = False) -> ScmPrepareReply:
        """Make regions or namespaces, whichever is next. Raises Fault 1, 2, 101, 103, 208, 212 or 213."""
        request = ScmPrepare(socket_id=socket, nr_namespaces_per_socket=namespaces, force=force)
        return await self._prepare(request)

    async def reset(self, *, socket: int | None, force: bool = False) -> ScmPrepareReply:
        """Remove namespaces and regions. Raises Fault 1, 2, 101, 103, 208 or 213."""
        return await self._prepare(ScmPrepare(reset=True, socket_id=socket, force=force))

    async def query_firmware(
        self, *, uids: Sequence[str] = (), model: str = "", revision: str = ""
    ) -> ScmFirmwareQueryReply:
        """Raises Fault 1, 2, 208 or 209."""
        request = ScmFirmwareQuery(device_uids=tuple(uids), model_id=model, firmware_rev=revision)
        reply = await self._helper.call(request)
        assert isinstance(reply, ScmFirmwareQueryReply)
        return reply

    async def update_firmware(
        self, path: str, *, uids: Sequence[str] = (), model: str = "", revision: str = ""
    ) -> ScmFirmwareUpdateReply:
        """Raises Fault 1, 2, 5, 208 to 211."""
        request = ScmFirmwareUpdate(
            firmware_path=path, device_uids=tuple(uids), model_id=model, firmware_rev=revision
        )
        reply = await self._helper.call(request)
        assert isinstance(reply, ScmFirmwareUpdateReply)
        return reply

    async def _prepare(self, request: ScmPrepare) -> ScmPrepareReply:
        reply = await self._helper.call(request)
        assert isinstance(reply, ScmPrepareReply)
        log.info("%s of persistent memory: %s", "reset" if request.reset else "preparation", reply)
        return reply
