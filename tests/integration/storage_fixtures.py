"""Fixtures of the tests of storage; all mounts and loop devices are released, also on failure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.storage_devices import attach, release


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts and loop devices are released afterwards."""
    try:
        yield tmp_path
    finally:
        release(tmp_path)


@pytest.fixture
def device(area: Path) -> Path:
    """A blank loop device."""
    return attach(area / "device.img")
