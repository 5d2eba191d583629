"""FirmwareQuery and FirmwareUpdate: persistent memory and NVMe devices each by their own room."""

from typing import Final

from daos_control.proto.ctl import firmware_pb2
from daos_control.server import ctl_firmware_scm
from daos_control.server.ctl_nvme import NvmeHandlers
from daos_control.server.ctl_ranks import Context
from daos_control.storage.pmem.operations import Pmem


class FirmwareHandlers:
    """Both methods of CtlSvc."""

    def __init__(self, pmem: Pmem, nvme: NvmeHandlers) -> None:
        self._pmem: Final = pmem
        self._nvme: Final = nvme

    async def query(
        self, request: firmware_pb2.FirmwareQueryReq, _context: Context
    ) -> firmware_pb2.FirmwareQueryResp:
        """Of the kinds of device that are asked for. Raises the Fault of the first that cannot be told."""
        reply = firmware_pb2.FirmwareQueryResp()
        if request.queryScm:
            reply.scmResults.extend(await ctl_firmware_scm.query(self._pmem, request))
        if request.queryNvme:
            reply.nvmeResults.extend(await self._nvme.firmware_query(request))
        return reply

    async def update(
        self, request: firmware_pb2.FirmwareUpdateReq, _context: Context
    ) -> firmware_pb2.FirmwareUpdateResp:
        """Devices of one kind. Fault 612 while an engine runs; a device's own failure is in its result."""
        self._nvme.check_engines_stopped("firmware update")
        reply = firmware_pb2.FirmwareUpdateResp()
        if request.type == firmware_pb2.FirmwareUpdateReq.NVMe:
            reply.nvmeResults.extend(await self._nvme.firmware_update(request))
        else:
            reply.scmResults.extend(await ctl_firmware_scm.update(self._pmem, request))
        return reply
