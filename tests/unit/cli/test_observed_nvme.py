"""dmg's commands for NVMe devices ask and print what DAOS's own dmg does, as recorded in observed/nvme/.

There the standard output stands before the errors. DAOS's own words for a status number are not ours.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.protobuf.message import Message

from daos_control.faults import RemoteError
from daos_control.proto.ctl import common_pb2, smd_pb2, storage_pb2
from fake_dmg import Answer, run_dmg

OBSERVED = Path(__file__).parent / "observed" / "nvme"
HOST = "127.0.77.1"
A, B = "0000:81:00.0", "5d0505:01:00.0"
ONE, TWO = "0b16b4ba-2f5b-4b6a-9b5a-6f0a2cfd8e14", "1c16b4ba-2f5b-4b6a-9b5a-6f0a2cfd8e15"
OWN_WORDS = {"Function not implemented": "not implemented", "Unreachable node": "node cannot be reached"}

Rebind, AddDevice = storage_pb2.NvmeRebindReq, storage_pb2.NvmeAddDeviceReq
Device = smd_pb2.SmdManageResp.Result


@dataclass
class Case:
    """A recording, the answer that dmg had, and what it asked; None where it asked nothing."""

    name: str
    args: str
    answer: Answer
    asked: Message | None
    method: str = field(default="SmdManage")


def device(
    address: str, state: int = smd_pb2.NA, *, uuid: str = "", status: int = 0
) -> smd_pb2.SmdManageResp.Result:
    result = Device(status=status)
    if address:
        result.device.uuid, result.device.ctrlr.pci_addr = uuid, address
        result.device.ctrlr.led_state = state  # type: ignore[assignment]
    return result


def devices(*ranks: list[smd_pb2.SmdManageResp.Result]) -> smd_pb2.SmdManageResp:
    reply = smd_pb2.SmdManageResp()
    for rank, results in enumerate(ranks):
        reply.ranks.add(rank=rank, results=results)
    return reply


def in_use() -> smd_pb2.SmdManageResp:
    reply = devices([device(A, smd_pb2.QUICK_BLINK, uuid=ONE)])
    found = reply.ranks[0].results[0].device
    found.ctrlr_namespace_id, found.ctrlr.dev_state, found.role_bits = 1, smd_pb2.NORMAL, 3
    found.tgt_ids.extend([0, 1])
    return reply


def failed(error: str, info: str = "") -> storage_pb2.NvmeRebindResp:
    reply = storage_pb2.NvmeRebindResp()
    reply.state.status, reply.state.error, reply.state.info = common_pb2.CTL_ERR_NVME, error, info
    return reply


def rebind(name: str, args: str, *, address: str = A) -> Case:
    asked = Rebind(pci_addr=address) if address else None
    return Case(name, args, storage_pb2.NvmeRebindResp(), asked, "StorageNvmeRebind")


def add(name: str, args: str, asked: Message | None, answer: Answer | None = None) -> Case:
    return Case(name, args, answer or storage_pb2.NvmeAddDeviceResp(), asked, "StorageNvmeAddDevice")


def led(name: str, args: str, answer: Answer, **asked: object) -> Case:
    request = smd_pb2.LedManageReq(**asked)  # type: ignore[arg-type]
    return Case(name, args, answer, smd_pb2.SmdManageReq(led=request))


GOT_ONE = {"ids": ONE, "led_action": smd_pb2.GET}
GOT_ALL = {"led_action": smd_pb2.GET}
SET_ONE = {"ids": ONE, "led_action": smd_pb2.SET, "led_state": smd_pb2.QUICK_BLINK}
RESET_ONE = {"ids": ONE, "led_action": smd_pb2.RESET}
BLINKS = devices([device(A, smd_pb2.QUICK_BLINK, uuid=ONE)])
DARK = devices([device(A, smd_pb2.OFF, uuid=ONE)])
MANY = devices(
    [device(A, smd_pb2.QUICK_BLINK, uuid=ONE), device("0000:82:00.0", smd_pb2.ON, uuid=TWO)],
    [device("0000:83:00.0"), device("0000:84:00.0", smd_pb2.SLOW_BLINK)],
)
SOME = devices([device(A, status=-1010), device(B, smd_pb2.QUICK_BLINK)], [device("", status=-1006)])
NOT_FOUND = RemoteError("Unknown", "ids requested but not found")
NO_ENGINE = RemoteError("Unknown", "engine with index 7 not found")
SINGLE = f"-l {HOST}"
PAIR = "-l 127.0.77.[1-2]"

CASES = [
    rebind("rebind", f"storage nvme-rebind {SINGLE} -a {A}"),
    rebind("rebind_j", f"-j storage nvme-rebind {SINGLE} -a {A}"),
    rebind("rebind_vmd", f"storage nvme-rebind {SINGLE} -a {B}", address=B),
    rebind("rebind_none", f"storage nvme-rebind {SINGLE}", address=""),
    rebind("rebind_nohost", f"storage nvme-rebind -a {A}", address=""),
    rebind("rebind_two", f"storage nvme-rebind {PAIR} -a {A}", address=""),
    rebind("rebind_two_j", f"-j storage nvme-rebind {PAIR} -a {A}", address=""),
    add("add", f"storage nvme-add-device {SINGLE} -e 0 -a {A}", AddDevice(pci_addr=A, storage_tier_index=-1)),
    add("add_j", f"-j storage nvme-add-device {SINGLE} -e 0 -a {A}", AddDevice(pci_addr=A, storage_tier_index=-1)),
    add(
        "add_tier",
        f"storage nvme-add-device {SINGLE} -e 1 -t 2 -a {A}",
        AddDevice(pci_addr=A, engine_index=1, storage_tier_index=2),
    ),
    add(
        "add_unknown_engine_j",
        f"-j storage nvme-add-device {SINGLE} -e 7 -a {A}",
        AddDevice(pci_addr=A, engine_index=7, storage_tier_index=-1),
        NO_ENGINE,
    ),
    add("add_no_engine", f"storage nvme-add-device {SINGLE} -a {A}", None),
    led("check", f"storage led check {ONE}", BLINKS, **GOT_ONE),
    led("check_j", f"-j storage led check {ONE}", BLINKS, **GOT_ONE),
    led("check_addr", f"storage led check {B}", devices([device(B, smd_pb2.OFF)]), ids=B, led_action=smd_pb2.GET),
    led("check_ns", f"storage led check {ONE}", in_use(), **GOT_ONE),
    led("check_ns_j", f"-j storage led check {ONE}", in_use(), **GOT_ONE),
    led("check_all", "storage led check", MANY, **GOT_ALL),
    led("check_all_j", "-j storage led check", MANY, **GOT_ALL),
    led("check_two", f"storage led check {PAIR} {ONE}", BLINKS, **GOT_ONE),
    led("check_two_j", f"-j storage led check {PAIR} {ONE}", BLINKS, **GOT_ONE),
    led("check_nothing", "storage led check", devices(), **GOT_ALL),
    led("check_nothing_j", "-j storage led check", devices(), **GOT_ALL),
    led("check_norank", "storage led check", devices([]), **GOT_ALL),
    led(
        "check_status_addr",
        f"storage led check {A}",
        devices([device(A, status=-1010)]),
        ids=A,
        led_action=smd_pb2.GET,
    ),
    led("check_status_some", "storage led check", SOME, **GOT_ALL),
    led("check_status_some_j", "-j storage led check", SOME, **GOT_ALL),
    led("check_missing", f"storage led check {ONE}", NOT_FOUND, **GOT_ONE),
    led("check_missing_j", f"-j storage led check {ONE}", NOT_FOUND, **GOT_ONE),
    led("identify", f"storage led identify {ONE}", BLINKS, **SET_ONE),
    led("identify_j", f"-j storage led identify {ONE}", BLINKS, **SET_ONE),
    led(
        "identify_all",
        "storage led identify",
        BLINKS,
        led_action=smd_pb2.SET,
        led_state=smd_pb2.QUICK_BLINK,
    ),
    led("identify_timeout", f"storage led identify --timeout 5 {ONE}", BLINKS, led_duration_mins=5, **SET_ONE),
    led("identify_reset", f"storage led identify --reset {ONE}", DARK, **RESET_ONE),
    led("identify_reset_j", f"-j storage led identify --reset {ONE}", DARK, **RESET_ONE),
    Case("identify_both", f"storage led identify --reset --timeout 5 {ONE}", BLINKS, None),
    Case("identify_both_j", f"-j storage led identify --reset --timeout 5 {ONE}", BLINKS, None),
    Case("led_none", "storage led", BLINKS, None),
]


def recorded(name: str) -> tuple[str, str, int]:
    """The command, what it printed, and its exit code."""
    command, _, rest = (OBSERVED / f"{name}.txt").read_text(encoding="utf-8").partition("\n")
    body, _, code = rest.rpartition("rc=")
    for theirs, ours in OWN_WORDS.items():
        body = body.replace(theirs, ours)
    return command.removeprefix("$ dmg "), body, int(code)


def without_widths(text: str) -> str:
    """Tables are as wide as their longest words."""
    return "\n".join(" ".join(line.replace("-", " ").split()) for line in text.splitlines())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_output_and_requests_are_those_of_daos(case: Case) -> None:
    command, expected, code = recorded(case.name)
    assert command == case.args
    run = run_dmg(*case.args.split(), hosts=(HOST,), **{case.method: case.answer})
    if any(words in expected for words in OWN_WORDS.values()) and "-j" not in case.args:
        assert without_widths(run.out + run.err) == without_widths(expected)
    else:
        assert run.out + run.err == expected
    assert run.code == code
    assert all(request == case.asked for request in run.requests)
    assert bool(run.requests) == (case.asked is not None)


def test_every_recording_is_compared() -> None:
    assert {path.stem for path in OBSERVED.glob("*.txt")} == {case.name for case in CASES}


@pytest.mark.parametrize("command", ["nvme-rebind", "nvme-add-device -e 0"])
def test_a_device_that_was_not_bound_or_added_is_a_failure_which_daos_dmg_drops(command: str) -> None:
    words = f"storage {command} {SINGLE} -a {A}".split()
    reply = failed("it did not work", "do this")
    answers = {"StorageNvmeRebind": reply, "StorageNvmeAddDevice": storage_pb2.NvmeAddDeviceResp(state=reply.state)}
    run = run_dmg(*words, hosts=(HOST,), **answers)
    assert (run.code, run.out) == (1, "")
    assert "127.0.77.1 it did not work (do this)" in run.err
    answer = json.loads(run_dmg("-j", *words, hosts=(HOST,), **answers).out)
    assert answer["response"] == {"host_errors": {"it did not work (do this)": f"{HOST}:10001"}}
    assert (answer["error"], answer["status"]) == ("1 host had errors", -1025)


@pytest.mark.parametrize("address", ["nonsense", "81:00.0", "0000:81:00.9"])
def test_what_is_no_address_is_not_sent(address: str) -> None:
    run = run_dmg("storage", "nvme-rebind", *SINGLE.split(), "-a", address, StorageNvmeRebind=Rebind())
    assert (run.code, run.requests) == (1, [])
    assert f'invalid pci address in request: "{address}"' in run.err
    assert "0000:81:00.0" in run.err
