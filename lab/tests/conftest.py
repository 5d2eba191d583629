"""Fixtures: blank hardware for each test, and whatever a test mounted is unmounted."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from daos_control.storage import mounts
from daos_control.storage.helper_client import HelperClient
from daos_control.storage.manager import StorageManager
from lab.tests import huge_pages, nvme, persistent_memory

MARK = Path("/lab/project/request")  # is only in the machine


def pytest_configure() -> None:
    if not MARK.exists():
        raise pytest.UsageError("these tests format every disk they find: run them with ./dev lab")


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts are released afterwards."""
    try:
        yield tmp_path
    finally:
        for mount in reversed(mounts.current()):
            if mount.path.startswith(f"{tmp_path}/"):
                with suppress(OSError):
                    mounts.unmount(Path(mount.path))


@pytest.fixture
def blank_pmem(area: Path) -> Iterator[None]:
    """All persistent memory is free: initialized labels, no namespaces. So it is left."""
    persistent_memory.reset()
    try:
        yield
    finally:
        for mount in reversed(mounts.current()):
            if mount.path.startswith(f"{area}/"):
                mounts.unmount(Path(mount.path))
        persistent_memory.reset()


@pytest.fixture
def blank_nvme() -> Iterator[None]:
    """All NVMe namespaces hold zeros, and the kernel's driver has them."""
    nvme.blank_all()
    yield
    nvme.bind_all()
    nvme.blank_all()


@pytest.fixture
def no_huge_pages() -> Iterator[None]:
    huge_pages.release_all()
    yield
    huge_pages.release_all()


@pytest.fixture
def manager() -> StorageManager:
    """The product's storage, through its helper in a process of its own; DAX is insisted on."""
    return StorageManager(HelperClient())
