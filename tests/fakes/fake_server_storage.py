"""Storage that behaves, on plain directories instead of devices."""

import shutil
from collections.abc import Sequence

from daos_control.faults import Code, Fault
from daos_control.storage.api import BdevResult, EngineStorage, ScmState, ScmUsage


class DirectoryStorage:
    """`storage.api.EngineStorageOps`: an engine's SCM is its mount directory, formatted when it exists.

    `fault` is raised by `scm_state` where set; `calls` are the names of what was called.
    """

    def __init__(self) -> None:
        self.state: dict[int, ScmState] = {}
        self.metadata_formatted = False
        self.fault: Exception | None = None
        self.calls: list[str] = []

    async def scm_state(self, storage: EngineStorage) -> ScmState:
        self.calls.append("scm_state")
        if self.fault is not None:
            raise self.fault
        return self.state.get(storage.index, ScmState.UNFORMATTED)

    async def mount_scm(self, storage: EngineStorage) -> None:
        self.calls.append("mount_scm")
        self.state[storage.index] = ScmState.MOUNTED

    async def format_scm(self, storage: EngineStorage, *, force: bool) -> None:
        self.calls.append("format_scm")
        if storage.scm.mount.exists():
            if not force:
                raise Fault("storage", Code.STORAGE_ALREADY_FORMATTED, "formatted", "force it")
            shutil.rmtree(storage.scm.mount)
        storage.scm.mount.mkdir(parents=True)
        self.state[storage.index] = ScmState.MOUNTED

    async def format_bdevs(self, storage: EngineStorage, *, force: bool) -> Sequence[BdevResult]:
        return []

    async def write_nvme_config(self, storage: EngineStorage) -> None:
        storage.nvme_config_path.write_text("{}")

    async def check_nvme_config(self, storage: EngineStorage) -> None:
        self.calls.append("check_nvme_config")

    async def metadata_needs_format(self, storage: EngineStorage) -> bool:
        self.calls.append("metadata_needs_format")
        return not self.metadata_formatted

    async def format_metadata(self, engines: Sequence[EngineStorage], *, force: bool = False) -> None:
        for storage in engines:
            storage.metadata_dir.mkdir(parents=True, exist_ok=True)
        self.metadata_formatted = True

    async def unmount_scm(self, storage: EngineStorage) -> None:
        self.calls.append("unmount_scm")
        self.state[storage.index] = ScmState.MOUNTABLE

    async def clean_up(self, storage: EngineStorage) -> None:
        self.calls.append("clean_up")

    def check_memory(self, storage: EngineStorage) -> None:
        self.calls.append("check_memory")

    def scm_usage(self, storage: EngineStorage) -> ScmUsage | None:
        mounted = self.state.get(storage.index) is ScmState.MOUNTED
        return ScmUsage(1 << 30, 1 << 29) if mounted and storage.scm.mount.exists() else None
