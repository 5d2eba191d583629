"""Metadata on SSD with a real server and embedded engines: what is in memory may go, the system stays."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daos_control.demo.layout import Layout
from integration.private_host import PrivateHost, interrupt
from integration.private_site import Site
from integration.storage_devices import attach, release

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a namespace with a user of its own needs root"),
]


POOL = ("--scm-size=64MiB", "--nvme-size=1GiB", "tank")


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as made:
        try:
            yield made
        finally:
            release(made.area)


def with_roles(area: Path, device: Path | None) -> Callable[[dict[str, Any], Layout], None]:
    """Every engine gets two files: one for the WAL and the metadata, one for the data."""

    def change(data: dict[str, Any], _: Layout) -> None:
        data["control_metadata"] = {"path": area / "md"} | ({"device": device} if device else {})
        for index, engine in enumerate(data["engines"]):
            engine["targets"] = 1
            for name, roles, gib in (("meta", ["wal", "meta"], 1), ("data", ["data"], 2)):
                devices = {"bdev_list": [area / f"{name}{index}"], "bdev_size": gib, "bdev_roles": roles}
                engine["storage"].append({"class": "file"} | devices)

    return change


def test_pools_outlive_the_loss_of_all_memory_and_of_every_mount(host: PrivateHost) -> None:
    change = with_roles(host.area, attach(host.area / "md.img"))
    site = Site(host, engines=1, change=change, helper_socket=host.listen("helper.sock"))
    ram = str(site.layout.mount(site.member, 0))
    area = [str(host.area / "md")]
    try:
        server = site.start()
        site.format(server)
        pool = site.answer("pool", "create", *POOL)
        assert sorted(host.mounted()) == sorted([*area, ram])

        inside = Path(f"/proc/{server.pid}/root")
        metadata = inside / str(host.area / "md/daos_control").lstrip("/")
        for name in ("engine0/superblock", "engine0/daos_nvme.conf", "control_store"):
            assert (metadata / name).stat().st_uid == host.uid, name
        assert not (inside / ram.lstrip("/") / "superblock").exists()
        uuid = (metadata / "engine0/superblock").read_text().partition("uuid: ")[2].split()[0]

        # In order: the memory of the RAM disk is given back.
        assert interrupt(server) == 0
        assert host.mounted() == area
        server = site.start()
        site.until(lambda: site.states() == ["joined"], "the rank")
        assert site.pools() == {"tank": pool["uuid"]}

        # Killed, and everything unmounted, as after a loss of power.
        server.send_signal(signal.SIGKILL)
        server.wait(30)
        # Its engine dies a moment after it, and holds the mount until then.
        site.until(lambda: [host.run("umount", mount) for mount in host.mounted()] == [], "the unmount")
        server = site.start()
        site.until(lambda: site.states() == ["joined"], "the rank")
        assert site.pools() == {"tank": pool["uuid"]}
        assert site.answer("pool", "query", "tank")["disabled_targets"] == 0
        assert sorted(host.mounted()) == sorted([*area, ram])
        assert site.answer("storage", "query", "usage")
        metadata = Path(f"/proc/{server.pid}/root") / str(host.area / "md/daos_control").lstrip("/")
        assert uuid in (metadata / "engine0/superblock").read_text()
        assert interrupt(server) == 0
    finally:
        site.close()


def test_a_server_killed_with_its_ram_disk_mounted_makes_a_new_one(host: PrivateHost) -> None:
    site = Site(host, engines=1, change=with_roles(host.area, None), helper_socket=host.listen("helper.sock"))
    ram = str(site.layout.mount(site.member, 0))
    try:
        server = site.start()
        site.format(server)
        pool = site.answer("pool", "create", *POOL)
        stale = Path(f"/proc/{server.pid}/root") / ram.lstrip("/") / "stale"
        stale.write_text("of the last run")
        server.kill()
        server.wait(30)
        assert host.mounted() == [ram]

        server = site.start()
        site.until(lambda: site.states() == ["joined"], "the rank")
        assert host.mounted() == [ram]
        assert not (Path(f"/proc/{server.pid}/root") / ram.lstrip("/") / "stale").exists()
        assert site.pools() == {"tank": pool["uuid"]}
        assert interrupt(server) == 0
    finally:
        site.close()


def test_missing_control_metadata_keep_the_engine_waiting_and_its_data_untouched(host: PrivateHost) -> None:
    """As where the file system that holds them was not mounted."""
    site = Site(host, engines=1, change=with_roles(host.area, None), helper_socket=host.listen("helper.sock"))
    try:
        server = site.start()
        site.format(server)
        pool = site.answer("pool", "create", *POOL)
        assert interrupt(server) == 0
        (host.area / "md").rename(host.area / "elsewhere")
        files = {name: (host.area / name).stat() for name in ("meta0", "data0")}

        server = site.start()
        said = "there is no control metadata"  # once before the format, and now
        site.until(lambda: site.log().count(said) == 2, "a word about it")
        assert "mount the file system that holds it" in site.log()
        assert interrupt(server) == 0
        for name, before in files.items():
            after = (host.area / name).stat()
            assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

        if (host.area / "md").exists():
            (host.area / "md").rmdir()
        (host.area / "elsewhere").rename(host.area / "md")
        server = site.start()
        site.until(lambda: site.states() == ["joined"], "the rank")
        assert site.pools() == {"tank": pool["uuid"]}
        assert interrupt(server) == 0
    finally:
        site.close()
