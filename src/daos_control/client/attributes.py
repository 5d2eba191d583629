"""Attributes of the system (free names and values) and its properties (a fixed table)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from daos_control.client import ms
from daos_control.client.connection import Client, mgmt
from daos_control.client.errors import operation
from daos_control.faults import ControlError
from daos_control.proto.mgmt import svc_pb2, system_pb2
from daos_control.system.properties import TABLE, find_property

SYSTEM_SET_ATTR = mgmt("SystemSetAttr", system_pb2.SystemSetAttrReq, svc_pb2.DaosResp)
SYSTEM_GET_ATTR = mgmt("SystemGetAttr", system_pb2.SystemGetAttrReq, system_pb2.SystemGetAttrResp)
SYSTEM_SET_PROP = mgmt("SystemSetProp", system_pb2.SystemSetPropReq, svc_pb2.DaosResp)
SYSTEM_GET_PROP = mgmt("SystemGetProp", system_pb2.SystemGetPropReq, system_pb2.SystemGetPropResp)

# What can be set comes first, then what is computed; names in order. DAOS's own tool has no fixed order.
_ORDER: Final = {p.name: (p.computed, p.name) for p in TABLE}


@dataclass(frozen=True, slots=True)
class SystemProperty:
    """A property with the value it has now."""

    key: str
    value: str
    description: str


@dataclass(frozen=True, slots=True)
class AttributesResponse:
    """Attributes by name; None where the server sent none."""

    attributes: dict[str, str] | None


async def get_attributes(client: Client, keys: Iterable[str] = ()) -> AttributesResponse:
    """The attributes of those names, else all. A name that is not set is an error of the server."""
    request = system_pb2.SystemGetAttrReq(sys=client.request_name, keys=sorted(set(keys)))
    reply = await ms.invoke(client, SYSTEM_GET_ATTR, request)
    return AttributesResponse(dict(sorted(reply.attributes.items())) or None)


async def set_attributes(client: Client, attributes: Mapping[str, str]) -> None:
    """Set attributes; one with an empty value is deleted."""
    if not attributes:
        raise ControlError("no attributes are given to set")
    await ms.invoke(
        client, SYSTEM_SET_ATTR, system_pb2.SystemSetAttrReq(sys=client.request_name, attributes=attributes)
    )


async def delete_attributes(client: Client, keys: Iterable[str]) -> None:
    """Delete attributes; those that are not set are passed over."""
    await set_attributes(client, dict.fromkeys(keys, ""))


async def get_properties(client: Client, names: Iterable[str] = ()) -> tuple[SystemProperty, ...]:
    """The properties of those names, else all. ControlError for a name that is none."""
    keys = [find_property(name).name for name in names]
    reply = await ms.invoke(
        client, SYSTEM_GET_PROP, system_pb2.SystemGetPropReq(sys=client.request_name, keys=sorted(set(keys)))
    )
    known = [name for name in reply.properties if name.lower() in _ORDER]
    return tuple(
        SystemProperty(find_property(name).name, reply.properties[name], find_property(name).description)
        for name in sorted(known, key=lambda name: _ORDER[name.lower()])
    )


async def set_properties(client: Client, values: Mapping[str, str]) -> None:
    """Set properties. ControlError for a name or a value that is not allowed, before anything is sent."""
    if not values:
        raise ControlError("no properties are given to set")
    checked = {}
    for name, value in values.items():
        found = find_property(name)
        checked[found.name] = found.check(value)
    request = system_pb2.SystemSetPropReq(sys=client.request_name, properties=checked)
    with operation("system set-prop failed"):
        await ms.invoke(client, SYSTEM_SET_PROP, request)
