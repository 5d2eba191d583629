"""Which tests may run side by side: those of one file never do, nor do those that touch the mounts of this host.

A mount namespace that one test makes begins with a copy of all mounts, and so holds the devices of another test
that are mounted at that moment.
"""

import pytest

MOUNTS = "mounts"
WITH_MOUNTS = (
    "test_engine_pools.py",
    "test_metadata_on_ssd.py",
    "test_nvme_dmg.py",
    "test_nvme_helper.py",
    "test_pmem_helper.py",
    "test_storage_",
    "test_store_durability.py",
    "test_unprivileged_server.py",
    "test_whole_system.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        shares = item.path.parent.name == "integration" and item.path.name.startswith(WITH_MOUNTS)
        item.add_marker(pytest.mark.xdist_group(MOUNTS if shares else str(item.path)))
