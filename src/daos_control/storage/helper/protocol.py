"""Requests and replies of the privileged helper, and their strict JSON form (storage.md 2).

A request is `{"Method": name, "Payload": {...}}`, a reply `{"Error": fault or null, "Payload": ...}`. Names of
fields on the wire are DAOS's own (`OwnerUID`); what is unknown, missing or of a wrong type is refused.
"""

import json
import types
import typing
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

from daos_control.faults import Fault
from daos_control.faults import pbin as faults

HELPER_NAME = "daos_server_helper"
MESSAGE_BYTES_MAX = 1 << 20

_ACRONYMS = {
    **{name: name.upper() for name in ("uid", "gid", "numa", "vmd", "id", "uuid", "pci", "vfio")},
    "uids": "UIDs",
    "pmem": "PMem",
}
_SPELLED = {"reset_": "Reset_"}  # DAOS's own name, where the rule does not make it
AS_WRITTEN = "as written"


class ProtocolError(Exception):
    """A message that does not have the form it must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What all requests have; `forwarded` says, as in DAOS, that another program asks."""

    forwarded: bool = True


@dataclass(frozen=True, slots=True)
class PingReply:
    version: str
    app_name: str


@dataclass(frozen=True, slots=True)
class Ramdisk:
    """Size in GiB; no NUMA node leaves the choice to the kernel."""

    size: int
    numa_node: int | None = None
    disable_hugepages: bool = True


@dataclass(frozen=True, slots=True)
class Dcpm:
    device: str
    allow_no_dax: bool = False


@dataclass(frozen=True, slots=True)
class MountReply:
    target: str
    mounted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmMount(Request):
    """Class "ram" or "dcpm"; `device` and `allow_no_dax` are of dcpm, `ramdisk` of ram."""

    class_: str
    target: str
    device: str = ""
    ramdisk: Ramdisk | None = None
    allow_no_dax: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmUnmount(Request):
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmFormat(Request):
    """Exactly one of `ramdisk` and `dcpm`."""

    mountpoint: str
    owner_uid: int
    owner_gid: int
    force: bool = False
    ramdisk: Ramdisk | None = None
    dcpm: Dcpm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmCheckFormat(ScmFormat):
    """As ScmFormat; nothing is changed."""


@dataclass(frozen=True, slots=True)
class ScmFormatReply:
    """`state` is a `storage.api.ScmState` by value, and `found` what was found where it is "foreign"."""

    mountpoint: str
    formatted: bool
    mounted: bool
    mountable: bool
    state: str
    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataMount(Request):
    root_path: str
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataUnmount(MetadataMount):
    """As MetadataMount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFormat(Request):
    root_path: str
    data_path: str
    owner_uid: int
    owner_gid: int
    device: str = ""
    engine_idxs: tuple[int, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataNeedsFormat(MetadataFormat):
    """As MetadataFormat; a device that is ready is left mounted."""


@dataclass(frozen=True, slots=True)
class BdevProperties:
    """One tier. `device_file_size` is in bytes, of class file; roles as "data,meta,wal", or "NA"."""

    class_: str
    device_list: tuple[str, ...]
    device_file_size: int = 0
    tier: int = 0
    device_roles: str = "NA"


@dataclass(frozen=True, slots=True, kw_only=True)
class BdevFormat(Request):
    properties: BdevProperties
    owner_uid: int
    owner_gid: int
    force: bool = False
    vmd_enabled: bool = False


@dataclass(frozen=True, slots=True)
class WireFault:
    """A Fault as Go's JSON has it."""

    domain: str
    code: int
    description: str
    reason: str = ""
    resolution: str = ""

    @classmethod
    def of(cls, fault: Fault) -> "WireFault":
        return cls(fault.domain, fault.code, fault.description, fault.reason, fault.resolution)

    def to_fault(self) -> Fault:
        return Fault(self.domain, self.code, self.description, self.resolution, self.reason)


@dataclass(frozen=True, slots=True)
class DeviceFormatReply:
    formatted: bool
    error: WireFault | None = None


@dataclass(frozen=True, slots=True)
class BdevFormatReply:
    device_responses: dict[str, DeviceFormatReply]


@dataclass(frozen=True, slots=True)
class Method:
    """One method; `limit_s` bounds it on both sides: the helper ends itself, and the server stops waiting."""

    request: type[Request]
    reply: Any
    limit_s: int


METHODS: dict[str, Method] = {
    "Ping": Method(Request, PingReply, 10),
    "ScmMount": Method(ScmMount, MountReply, 60),
    "ScmUnmount": Method(ScmUnmount, MountReply, 60),
    "ScmFormat": Method(ScmFormat, ScmFormatReply, 600),
    "ScmCheckFormat": Method(ScmCheckFormat, ScmFormatReply, 30),
    "MetadataMount": Method(MetadataMount, MountReply, 60),
    "MetadataUnmount": Method(MetadataUnmount, MountReply, 60),
    "MetadataFormat": Method(MetadataFormat, type(None), 300),
    "MetadataNeedsFormat": Method(MetadataNeedsFormat, bool, 60),
    "BdevFormat": Method(BdevFormat, BdevFormatReply, 1800),
}


def method_of(request: Request) -> str:
    """The method's name for a request."""
    return "Ping" if type(request) is Request else type(request).__name__


def encode_request(request: Request) -> bytes:
    return json.dumps({"Method": method_of(request), "Payload": to_json(request)}).encode()


def peek_method(data: bytes) -> str:
    """The name of the method that a message asks for; empty where it has none, and unchecked."""
    try:
        envelope = _parse(data)
    except ProtocolError:
        return ""
    name = envelope.get("Method") if isinstance(envelope, dict) else None
    return name if isinstance(name, str) else ""


def decode_request(data: bytes) -> tuple[str, Request]:
    """The method and its request; raises ProtocolError."""
    envelope = _object(_parse(data), {"Method", "Payload"})
    name = envelope["Method"]
    if not isinstance(name, str) or name not in METHODS:
        raise ProtocolError(f"unknown method {name!r}")
    return name, from_json(METHODS[name].request, envelope["Payload"], name)


def encode_reply(payload: Any) -> bytes:
    return json.dumps({"Error": None, "Payload": to_json(payload)}).encode()


def encode_error(fault: Fault) -> bytes:
    return json.dumps({"Error": to_json(WireFault.of(fault)), "Payload": None}).encode()


def decode_reply(method: str, data: bytes) -> Any:
    """The payload of a reply. Raises the Fault that it carries, or ProtocolError."""
    try:
        envelope = _object(_parse(data), {"Error", "Payload"})
    except ProtocolError:
        # Something in the helper wrote beside the reply: take what is between the outermost braces.
        first, last = data.find(b"{"), data.rfind(b"}")
        if first < 0 or last < first:
            raise
        envelope = _object(_parse(data[first : last + 1]), {"Error", "Payload"})
    if envelope["Error"] is not None:
        raise from_json(WireFault, envelope["Error"], "Error").to_fault()
    return from_json(METHODS[method].reply, envelope["Payload"], method)


def as_fault(error: Exception) -> Fault:
    """The Fault by which an error of the helper is reported; what has no number of its own becomes 5."""
    return error if isinstance(error, Fault) else faults.helper_request_failed(str(error) or type(error).__name__)


def wire_name(name: str) -> str:
    """`owner_uid` -> `OwnerUID`."""
    if name in _SPELLED:
        return _SPELLED[name]
    return "".join(_ACRONYMS.get(part, part.capitalize()) for part in name.strip("_").split("_"))


def _field_name(kind: Any, name: str) -> str:
    """The rule, or, for a class that says so with `wire_names`, the name as it is."""
    return name if getattr(kind, "wire_names", "") == AS_WRITTEN else wire_name(name)


def to_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {_field_name(value, field.name): to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(kind: Any, value: Any, where: str) -> Any:
    """The value of type `kind`: a dataclass, str, int, bool, a tuple or dict of them, or None. Raises
    ProtocolError with the place."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(kind)
        return None if value is None else from_json(next(o for o in options if o is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ProtocolError(f"{where}: a list is wanted")
        inner = typing.get_args(kind)[0]
        return tuple(from_json(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ProtocolError(f"{where}: an object is wanted")
        inner = typing.get_args(kind)[1]
        return {key: from_json(inner, item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return _from_object(kind, value, where)
    if type(value) is not kind:
        raise ProtocolError(f"{where}: {value!r} is not of type {kind.__name__}")
    return value


def _from_object(kind: Any, value: Any, where: str) -> Any:
    known: dict[str, Field[Any]] = {_field_name(kind, field.name): field for field in fields(kind)}
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: an object is wanted")
    if unknown := value.keys() - known.keys():
        raise ProtocolError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in known.items():
        if name in value:
            values[field.name] = from_json(hints[field.name], value[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ProtocolError(f"{where}: field {name!r} is missing")
    return kind(**values)


def _parse(data: bytes) -> Any:
    if len(data) > MESSAGE_BYTES_MAX:
        raise ProtocolError(f"a message is longer than {MESSAGE_BYTES_MAX} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a message is not JSON: {error}") from error


def _object(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise ProtocolError(f"a message must be an object with {' and '.join(sorted(keys))}")
    return value
