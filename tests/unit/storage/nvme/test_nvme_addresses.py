"""PCI addresses and lists of them, PCIe links, health records."""

import pytest

from daos_control.faults import Code, Fault
from daos_control.storage.nvme import address, health, pcie
from daos_control.storage.nvme.address import PciAddress


@pytest.mark.parametrize(
    ("text", "shown", "endpoint"),
    [
        ("0000:81:00.0", "0000:81:00.0", "0000:81:00.0"),
        (" 0000:DB:1F.7 ", "0000:db:1f.7", "0000:db:1f.7"),
        ("5d0505:01:00.0", "5d0505:01:00.0", "0000:5d:05.5"),
        ("050505:03:00.0", "050505:03:00.0", "0000:05:05.5"),
    ],
)
def test_an_address_is_read_and_written_as_daos_has_it(text: str, shown: str, endpoint: str) -> None:
    found = PciAddress.parse(text)
    assert (str(found), str(found.endpoint)) == (shown, endpoint)
    assert PciAddress.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", "0", "0000:81:00", "0000:81:00.8", "000:81:00.0", "0000:81:20.0", "0000:81:00.0/../x", "0000:zz:00.0"],
)
def test_a_malformed_address_is_fault_303(text: str) -> None:
    with pytest.raises(Fault) as caught:
        PciAddress.parse(text)
    assert caught.value.code == Code.BDEV_BAD_PCI_ADDRESS


def test_lists_take_commas_and_blanks_and_are_written_in_order() -> None:
    found = address.parse_list("0000:82:00.0, 0000:81:00.0 0000:81:00.0")
    assert address.join(found) == "0000:81:00.0 0000:82:00.0"
    assert address.parse_list("") == frozenset()


@pytest.mark.parametrize(
    ("allowed", "blocked", "expected"),
    [
        ("", "", True),
        ("0000:5d:05.5", "", True),
        ("5d0505:01:00.0", "", True),
        ("0000:81:00.0", "", False),
        ("", "0000:5d:05.5", False),
        ("5d0505:01:00.0", "5d0505:01:00.0", False),
    ],
)
def test_a_vmd_in_a_list_stands_for_the_devices_behind_it(allowed: str, blocked: str, expected: bool) -> None:
    device = PciAddress.parse("5d0505:01:00.0")
    assert address.chosen(device, address.parse_list(allowed), address.parse_list(blocked)) is expected


def config(*capabilities: tuple[int, bytes]) -> bytes:
    """A configuration space with capabilities (place, content) in a chain."""
    space = bytearray(256)
    space[6], space[0x34] = 0x10, capabilities[0][0]
    for at, content in capabilities:
        space[at : at + len(content)] = content
    return bytes(space)


def test_the_link_is_found_behind_other_capabilities() -> None:
    express = bytearray(0x14)
    express[0:2] = bytes([0x10, 0])
    express[0x0C:0x10] = (7 << 24 | 4 << 4 | 4).to_bytes(4, "little")
    express[0x12:0x14] = (2 << 4 | 3).to_bytes(2, "little")
    space = config((0x40, bytes([0x01, 0x60])), (0x60, bytes(express)))
    assert pcie.link(space) == pcie.Link(port=7, max_speed=16e9, max_width=4, speed=8e9, width=2)


@pytest.mark.parametrize(
    "space",
    [b"", bytes(64), bytes(256), config((0x40, bytes([0x01, 0x40]))), config((0x40, bytes([0x10, 0])))[:0x48]],
    ids=["nothing", "header only", "no capabilities", "a loop", "cut off"],
)
def test_a_configuration_space_without_a_link_gives_none(space: bytes) -> None:
    assert pcie.link(space) is None


ANSWER = {
    "critical_warning": 5,
    "temperature_celsius": 2**64 - 3,
    "controller_busy_time": "340282366920938463463374607431768211455",
    "power_cycles": 1,
    "power_on_hours": 2,
    "unsafe_shutdowns": 3,
    "media_errors": 4,
    "num_err_log_entries": 5,
    "warning_temperature_time_minutes": 6,
    "critical_composite_temperature_time_minutes": 7,
}


def test_spdks_health_becomes_daos_health() -> None:
    found = health.of("x", ANSWER, link=pcie.Link(1, 8e9, 4, 5e9, 2))
    assert found.temperature == 270  # three degrees below zero, which SPDK writes without its sign
    assert found.ctrl_busy_time == 2**64 - 1  # a longer counter than DAOS has
    assert (found.avail_spare_warn, found.temp_warn, found.dev_reliability_warn) == (True, False, True)
    assert (found.link_port_id, found.link_max_speed, found.link_neg_width) == (1, 8e9, 2)


@pytest.mark.parametrize("answer", [None, [], {}, ANSWER | {"power_cycles": "many"}, ANSWER | {"media_errors": -1}])
def test_an_answer_without_health_is_fault_801(answer: object) -> None:
    with pytest.raises(Fault) as caught:
        health.of("0000:81:00.0", answer)
    assert caught.value.code == Code.SPDK_CTRLR_NO_HEALTH


def test_intels_log_page_is_decoded() -> None:
    def entry(code: int, normalized: int, raw: bytes) -> bytes:
        return bytes([code, 0, 0, normalized, 0]) + raw.ljust(6, b"\0") + b"\0"

    page = (
        entry(0xAB, 90, b"\x02")
        + entry(0xAD, 80, bytes([1, 0, 2, 0, 3, 0]))
        + entry(0xEA, 0, bytes([9, 0, 1]))
        + entry(0xF5, 0, b"\xff" * 6)
    )
    found = health.vendor_attributes(page + bytes(512 - len(page)))
    assert (found["program_fail_cnt_norm"], found["program_fail_cnt_raw"]) == (90, 2)
    assert [found[f"wear_leveling_cnt_{name}"] for name in ("norm", "min", "max", "avg")] == [80, 1, 2, 3]
    assert (found["thermal_throttle_status"], found["thermal_throttle_event_cnt"]) == (9, 256)
    assert found["host_bytes_written"] == 2**48 - 1
