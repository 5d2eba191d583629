"""Requests about persistent memory on the wire, with the names of DAOS."""

import json
from typing import Any

import pytest

from daos_control.storage.helper import app, protocol
from daos_control.storage.pmem import handlers, messages
from daos_control.storage.pmem.model import Module, Namespace, State

REQUESTS = [
    messages.ScmScan(socket_id=1, pmem_in_config=True),
    messages.ScmScan(),
    messages.ScmPrepare(reset=True, nr_namespaces_per_socket=2, socket_id=0, force=True),
    messages.ScmFirmwareQuery(device_uids=("a", "b"), model_id="m", firmware_rev="r"),
    messages.ScmFirmwareUpdate(firmware_path="/fw", device_uids=("a",)),
]
MODULE = Module(1, 2, 3, 4, 5, 6, "u", "p", "f", "h")
REPLIES = {
    "ScmScan": messages.ScmScanReply((MODULE,), (Namespace("namespace0.0", "pmem0", "u", 0, 5),)),
    "ScmPrepare": messages.ScmPrepareReply(messages.PmemSocket(None, State.NO_REGIONS), True),
    "ScmFirmwareQuery": messages.ScmFirmwareQueryReply(
        (messages.ModuleFirmware(MODULE, messages.FirmwareInfo("1", "", 4096, 2)), messages.ModuleFirmware(MODULE))
    ),
    "ScmFirmwareUpdate": messages.ScmFirmwareUpdateReply((messages.ModuleUpdate(MODULE, "broken"),)),
}


@pytest.mark.parametrize("request_", REQUESTS, ids=protocol.method_of)
def test_every_request_survives_the_wire(request_: protocol.Request) -> None:
    assert protocol.decode_request(protocol.encode_request(request_)) == (protocol.method_of(request_), request_)


@pytest.mark.parametrize("method", REPLIES)
def test_every_reply_survives_the_wire(method: str) -> None:
    assert protocol.decode_reply(method, protocol.encode_reply(REPLIES[method])) == REPLIES[method]


def test_every_method_has_a_handler_and_is_imported_when_it_is_asked_for() -> None:
    assert set(handlers.HANDLERS) == set(messages.METHODS) == set(REPLIES)
    assert {name for name, room in app.LATE_HANDLERS.items() if room == handlers.__name__} == set(handlers.HANDLERS)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (REQUESTS[0], ["Forwarded", "SocketID", "PMemInConfig"]),
        (REQUESTS[2], ["Forwarded", "Reset", "NrNamespacesPerSocket", "SocketID", "Force"]),
        (REQUESTS[4], ["Forwarded", "DeviceUIDs", "ModelID", "FirmwareRev", "FirmwarePath"]),
        (REPLIES["ScmPrepare"], ["Socket", "RebootRequired", "Namespaces"]),
        (
            MODULE,
            [
                *("ChannelID", "ChannelPosition", "ControllerID", "SocketID", "PhysicalID", "Capacity", "UID"),
                *("PartNumber", "FirmwareRevision", "HealthState"),
            ],
        ),
    ],
)
def test_fields_have_the_names_of_daos(value: Any, names: list[str]) -> None:
    assert list(protocol.to_json(value)) == names


@pytest.mark.parametrize("message", [b"", b"[]", b'{"Method": 7}', b'{"Payload": {}}'])
def test_a_message_without_a_method_names_none(message: bytes) -> None:
    assert protocol.peek_method(message) == ""


def test_a_message_names_its_method() -> None:
    assert protocol.peek_method(json.dumps({"Method": "ScmScan"}).encode()) == "ScmScan"
