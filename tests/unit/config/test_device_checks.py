"""Nothing is used twice, under whatever name; no mount point lies inside another."""

from typing import Any

import pytest

from daos_control.config.device_checks import check_aliases, uses
from unit.config.samples import document, nvme, parse, problems, spoil

TWO_TIERS: dict[str, Any] = {
    "control_metadata.path": "/var/daos",
    "engines.0.storage": [
        {"class": "ram", "scm_mount": "/mnt/daos0", "scm_size": 4},
        {"class": "kdev", "bdev_list": ["/dev/sda"], "bdev_roles": ["wal", "meta"]},
        {"class": "kdev", "bdev_list": ["/dev/sdb"], "bdev_roles": ["data"]},
    ],
}
DCPM = {"class": "dcpm", "scm_mount": "/mnt/daos0", "scm_list": ["/dev/pmem0"]}


def found(engines: int, changes: dict[str, Any]) -> list[tuple[str, int]]:
    return [(problem.key, problem.code) for problem in problems(spoil(document(engines), changes))]


def test_good_configurations_pass() -> None:
    assert found(2, {}) == []
    assert found(1, TWO_TIERS) == []


@pytest.mark.parametrize("name", ["/dev/sda", "/dev//sda", "/dev/disk/../sda"])
def test_a_device_in_two_tiers_of_one_engine_is_refused(name: str) -> None:
    made = spoil(document(1), TWO_TIERS | {"engines.0.storage.2.bdev_list": [name]})
    problem = problems(made)[0]
    assert (problem.key, problem.code) == ("engines[0].storage[2].bdev_list[0]", 713)
    assert "engines[0].storage[1]" in problem.message


def test_a_device_of_two_kinds_or_two_spellings_is_refused() -> None:
    as_scm_and_bdev = {"engines.0.storage": [DCPM, {"class": "kdev", "bdev_list": ["/dev/pmem0"]}]}
    assert found(1, as_scm_and_bdev) == [("engines[0].storage[1].bdev_list[0]", 713)]
    as_metadata = TWO_TIERS | {"control_metadata.device": "/dev/sdb"}
    assert found(1, as_metadata) == [("engines[0].storage[2].bdev_list[0]", 713)]
    other_spelling = {"engines.1.storage.1.bdev_list": ["/tmp/./bdev0"]}
    assert found(2, other_spelling) == [("engines[1].storage[1].bdev_list[0]", 713)]


def test_a_device_in_two_engines_or_twice_in_a_list_is_told_once() -> None:
    assert found(2, {f"engines.{i}.storage.1": nvme("0000:81:00.0") for i in (0, 1)}) == [
        ("engines[1].storage[1].bdev_list[0]", 713)
    ]
    assert len(found(1, {"engines.0.storage.1": nvme("0000:81:00.0", "0000:81:00.0")})) == 1


def test_two_names_of_one_device_are_refused_once_the_host_says_so() -> None:
    config = parse(spoil(document(1), TWO_TIERS | {"engines.0.storage.2.bdev_list": ["/dev/disk/by-id/a"]}))
    assert [use.name for use in uses(config)] == ["/dev/sda", "/dev/disk/by-id/a"]
    assert list(check_aliases(config, {})) == []
    findings = list(check_aliases(config, {"/dev/sda": (8, 0), "/dev/disk/by-id/a": (8, 0)}))
    assert [finding.message for finding in findings] == [
        "this device, /dev/disk/by-id/a, is that of engines[0].storage[1] already (named /dev/sda)"
    ]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"engines.1.storage.0.scm_mount": "/mnt/daos0/inner"}, "engines[1].storage[0].scm_mount", "/mnt/daos0"),
        ({"engines.0.storage.0.scm_mount": "/mnt/daos1/../daos1/x"}, "engines[0].storage[0].scm_mount", "engine 1"),
    ],
)
def test_a_mount_point_inside_another_is_refused(changes: dict[str, Any], key: str, words: str) -> None:
    problem = problems(spoil(document(2), changes))[0]
    assert problem.key == key
    assert words in problem.message


@pytest.mark.parametrize("path", ["/mnt/daos0", "/mnt/daos0/md"])
def test_control_metadata_may_not_be_in_a_ram_disk(path: str) -> None:
    assert next(key for key, _ in found(1, TWO_TIERS | {"control_metadata.path": path})) in (
        "control_metadata.path",
        "engines[0].storage[0].scm_mount",
    )
