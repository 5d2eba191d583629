"""The helper's messages: names as DAOS has them, and nothing accepted that is not of their form."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import Code, Fault
from daos_control.storage.helper import protocol
from daos_control.storage.helper.protocol import ProtocolError


def test_a_format_request_has_the_names_of_daos() -> None:
    request = protocol.ScmFormat(
        mountpoint="/mnt/daos0", owner_uid=1, owner_gid=2, ramdisk=protocol.Ramdisk(4, 1, disable_hugepages=True)
    )
    assert json.loads(protocol.encode_request(request)) == {
        "Method": "ScmFormat",
        "Payload": {
            "Forwarded": True,
            "Mountpoint": "/mnt/daos0",
            "OwnerUID": 1,
            "OwnerGID": 2,
            "Force": False,
            "Ramdisk": {"Size": 4, "NUMANode": 1, "DisableHugepages": True},
            "Dcpm": None,
        },
    }


REQUESTS = [
    protocol.Request(),
    protocol.ScmMount(class_="dcpm", target="/t", device="/dev/pmem0", allow_no_dax=True),
    protocol.ScmUnmount(target="/t"),
    protocol.ScmFormat(mountpoint="/m", owner_uid=1, owner_gid=2, dcpm=protocol.Dcpm("/dev/pmem0")),
    protocol.ScmCheckFormat(mountpoint="/m", owner_uid=1, owner_gid=2, ramdisk=protocol.Ramdisk(1)),
    protocol.MetadataMount(root_path="/p", device="/d"),
    protocol.MetadataUnmount(root_path="/p"),
    protocol.MetadataFormat(root_path="/p", data_path="/p/d", owner_uid=1, owner_gid=2, engine_idxs=(0, 1)),
    protocol.MetadataNeedsFormat(root_path="/p", data_path="/p/d", owner_uid=1, owner_gid=2),
    protocol.BdevFormat(
        properties=protocol.BdevProperties("file", ("/a",), 4096, 1, "data"), owner_uid=1, owner_gid=2
    ),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=protocol.method_of)
def test_every_request_survives_the_wire(request_: protocol.Request) -> None:
    assert protocol.decode_request(protocol.encode_request(request_)) == (protocol.method_of(request_), request_)


def test_every_method_has_a_request_here() -> None:
    ours = {name for name, m in protocol.METHODS.items() if m.request.__module__ == protocol.__name__}
    assert {protocol.method_of(request) for request in REQUESTS} == ours


@pytest.mark.parametrize("request_", REQUESTS[1:], ids=protocol.method_of)
def test_every_field_is_checked(request_: protocol.Request) -> None:
    good = json.loads(protocol.encode_request(request_))
    for field in fields(request_):
        bad = json.loads(json.dumps(good))
        bad["Payload"][protocol.wire_name(field.name)] = 1.5
        with pytest.raises(ProtocolError):
            protocol.decode_request(json.dumps(bad).encode())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"garbage",
        b"[]",
        b"{}",
        b'{"Method":"Ping"}',
        b'{"Method":"Ping","Payload":null}',
        b'{"Method":"Reboot","Payload":{}}',
        b'{"Method":["Ping"],"Payload":{}}',
        b'{"Method":"Ping","Payload":{"Extra":1}}',
        b'{"Method":"Ping","Payload":{},"Extra":1}',
        b'{"Method":"ScmUnmount","Payload":{}}',
        b"[" * 100000,
        b" " * (protocol.MESSAGE_BYTES_MAX + 1),
    ],
    ids=lambda message: message[:30].decode(),
)
def test_what_is_no_request_is_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_request(message)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    for decode in (protocol.decode_request, lambda d: protocol.decode_reply("Ping", d)):
        with pytest.raises(ProtocolError):
            decode(data)


REPLIES: list[tuple[str, Any]] = [
    ("Ping", protocol.PingReply("1.0", "helper")),
    ("ScmMount", protocol.MountReply("/t", True)),
    ("ScmFormat", protocol.ScmFormatReply("/m", True, True, False, "mounted")),
    ("MetadataFormat", None),
    ("MetadataNeedsFormat", True),
    (
        "BdevFormat",
        protocol.BdevFormatReply(
            {
                "/a": protocol.DeviceFormatReply(True),
                "/b": protocol.DeviceFormatReply(False, protocol.WireFault("bdev", 302, "full", "", "free some")),
            }
        ),
    ),
]


@pytest.mark.parametrize(("method", "payload"), REPLIES, ids=lambda value: str(value)[:20])
def test_every_reply_survives_the_wire_also_with_noise_around(method: str, payload: Any) -> None:
    encoded = protocol.encode_reply(payload)
    assert protocol.decode_reply(method, encoded) == payload
    assert protocol.decode_reply(method, b"warning: noise\n" + encoded + b"\nmore") == payload


def test_a_fault_crosses_whole() -> None:
    fault = Fault("scm", Code.STORAGE_ALREADY_FORMATTED, "described", "resolved", "because")
    with pytest.raises(Fault) as caught:
        protocol.decode_reply("ScmFormat", protocol.encode_error(fault))
    found = caught.value
    assert (found.domain, found.code, found.description, found.resolution, found.reason) == (
        "scm",
        101,
        "described",
        "resolved",
        "because",
    )


def test_another_error_becomes_fault_5() -> None:
    assert protocol.as_fault(ValueError("odd")).code == Code.PRIVILEGED_HELPER_REQUEST_FAILED
    assert protocol.as_fault(ValueError("odd")).description == "odd"
