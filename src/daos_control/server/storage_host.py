"""What the storage handlers need of an engine."""

from collections.abc import Callable
from typing import Protocol

from google.protobuf.message import Message

from daos_control.drpc import Method
from daos_control.server.instance import Stop
from daos_control.storage.api import Class, EngineStorage


class FormatHost(Protocol):
    """An engine, as far as its storage is concerned; `server.instance.Instance` is one."""

    @property
    def index(self) -> int: ...

    @property
    def storage(self) -> EngineStorage: ...

    @property
    def is_started(self) -> bool:
        """Whether it has a process."""
        ...

    @property
    def is_ready(self) -> bool: ...

    @property
    def rank(self) -> int | None: ...

    async def stop(self, how: Stop) -> None:
        """Returns when it has no process any more."""
        ...

    def notify_storage_ready(self, replace: bool = False) -> None:
        """Its storage was formatted: create the superblock and start."""
        ...

    async def wait_until(self, condition: Callable[["FormatHost"], bool]) -> None:
        """Returns once `condition` holds; it is looked at whenever the engine's state changes."""
        ...

    async def call(self, method: Method, request: Message | None, *, timeout: float) -> Message:  # noqa: ASYNC109
        """One dRPC to it."""
        ...


def has_emulated_bdevs(storage: EngineStorage) -> bool:
    """Whether the engine has files or kernel devices for block devices: they need neither SPDK nor huge pages."""
    return any(tier.storage_class in (Class.FILE, Class.KDEV) for tier in storage.bdevs)
