"""The messages, enums and services are those of DAOS 2.8, to the last number; `tables/` is the measure."""

import csv
import itertools
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from daos_control.proto import drpc_pb2
from daos_control.proto.chk import chk_pb2, faults_pb2
from daos_control.proto.ctl import (
    check_pb2,
    common_pb2,
    ctl_pb2,
    firmware_pb2,
    network_pb2,
    ranks_pb2,
    server_pb2,
    smd_pb2,
    storage_nvme_pb2,
    storage_pb2,
    storage_scm_pb2,
    support_pb2,
)
from daos_control.proto.mgmt import acl_pb2, cont_pb2, mgmt_pb2, pool_pb2, svc_pb2, system_pb2
from daos_control.proto.mgmt import check_pb2 as mgmt_check_pb2
from daos_control.proto.security import auth_pb2
from daos_control.proto.shared import check_engine_pb2, event_pb2
from daos_control.proto.shared import ranks_pb2 as shared_ranks_pb2
from daos_control.proto.srv import srv_pb2

TABLES = Path(__file__).parent / "tables"
SOURCES = Path(__file__).parents[3] / "proto"

FILES: list[FileDescriptor] = [
    module.DESCRIPTOR
    for module in (
        drpc_pb2, chk_pb2, faults_pb2, check_pb2, common_pb2, ctl_pb2, firmware_pb2, network_pb2, ranks_pb2,
        server_pb2, smd_pb2, storage_nvme_pb2, storage_pb2, storage_scm_pb2, support_pb2, acl_pb2,
        mgmt_check_pb2, cont_pb2, mgmt_pb2, pool_pb2, svc_pb2, system_pb2, auth_pb2, check_engine_pb2,
        event_pb2, shared_ranks_pb2, srv_pb2,
    )
]  # fmt: skip

SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name}"): name.lower()
    for name in ("BOOL", "BYTES", "DOUBLE", "FLOAT", "INT32", "INT64", "STRING", "UINT32", "UINT64")
}


def rows(table: str) -> list[dict[str, str]]:
    with (TABLES / table).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def type_of(field: FieldDescriptor) -> tuple[str, str]:
    """Type and label in the words of the table."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields_by_name["key"], message.fields_by_name["value"]
        return f"map<{type_of(key)[0]},{type_of(value)[0]}>", ""
    label = "repeated" if field.is_repeated else ""
    named = message or field.enum_type
    return (named.full_name if named is not None else SCALARS[field.type]), label


def messages_of(file: FileDescriptor) -> list[Descriptor]:
    found: list[Descriptor] = []
    waiting = list(file.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        if not message.GetOptions().map_entry:
            found.append(message)
            waiting.extend(message.nested_types)
    return found


def enums_of(file: FileDescriptor) -> list[EnumDescriptor]:
    return [*file.enum_types_by_name.values(), *(enum for m in messages_of(file) for enum in m.enum_types)]


def test_every_field_of_every_message_is_that_of_the_table() -> None:
    ours = set()
    for file in FILES:
        for message in messages_of(file):
            if not message.fields:
                ours.add((file.name, message.full_name, "-", "", "", "", ""))
            for field in message.fields:
                oneof = field.containing_oneof.name if field.containing_oneof else ""
                ours.add((file.name, message.full_name, field.name, str(field.number), *type_of(field), oneof))
    theirs = {
        tuple((row[column] or "").replace(" ", "") for column in
              ("file", "message", "field", "number", "type", "label", "oneof"))
        for row in rows("messages.tsv")
    }  # fmt: skip
    assert ours == theirs


def test_every_value_of_every_enum_is_that_of_the_table() -> None:
    ours = {(f.name, e.full_name, v.name, str(v.number)) for f in FILES for e in enums_of(f) for v in e.values}
    assert ours == {(row["file"], row["enum"], row["name"], row["number"]) for row in rows("enums.tsv")}


def test_every_method_of_every_service_is_that_of_the_table() -> None:
    ours = {
        (service.full_name, method.name, method.input_type.full_name, method.output_type.full_name, "unary")
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
        if not method.client_streaming and not method.server_streaming
    }
    assert ours == {
        tuple(row[c] for c in ("service", "method", "request", "response", "kind")) for row in rows("services.tsv")
    }


def test_all_sources_are_compared() -> None:
    assert {str(p.relative_to(SOURCES)) for p in SOURCES.rglob("*.proto")} == {file.name for file in FILES}


@pytest.mark.parametrize("source", sorted(SOURCES.rglob("*.proto")), ids=lambda p: p.name)
def test_every_message_enum_and_service_has_a_comment(source: Path) -> None:
    lines = source.read_text().splitlines()
    bare = [
        line.strip()
        for before, line in itertools.pairwise(lines)
        if line.lstrip().startswith(("message ", "enum ", "service ")) and not before.lstrip().startswith("//")
    ]
    assert bare == []
    assert "// DOC " not in source.read_text()
