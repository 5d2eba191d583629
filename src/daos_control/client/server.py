"""The servers themselves: log masks of their engines, and what they tell clients (version, ranks, providers)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daos_control.client import ms, retry
from daos_control.client.connection import Client, ctl, mgmt
from daos_control.client.fanout import fan_out
from daos_control.client.model import HostGroup, HostsResponse, fold, fold_errors
from daos_control.client.storage_types import HostStorage
from daos_control.faults import ControlError, DaosError
from daos_control.proto.ctl import server_pb2
from daos_control.proto.mgmt import svc_pb2

SET_LOG_MASKS = ctl("SetEngineLogMasks", server_pb2.SetLogMasksReq, server_pb2.SetLogMasksResp)
GET_ATTACH_INFO = mgmt("GetAttachInfo", svc_pb2.GetAttachInfoReq, svc_pb2.GetAttachInfoResp)

_LEVELS = "DEBUG DBUG INFO NOTE WARN ERROR ERR CRIT ALRT FATAL EMRG EMIT"
_STREAMS = (
    "ALL MD PL MGMT EPC DF REBUILD SEC CSUM GROUP_DEFAULT GROUP_METADATA_ONLY GROUP_METADATA "
    "ANY TRACE MEM NET IO TEST"
)
_SUBSYSTEMS = (
    "ALL DAOS ARRAY KV COMMON TREE VOS CLIENT SERVER RDB RSVC POOL CONTAINER OBJECT PLACEMENT REBUILD MGMT BIO "
    "TESTS DFS DUNS DRPC SECURITY DTX DFUSE IL CSUM STACK MISC MEM SWIM FI TELEM CRT RPC BULK CORPC GRP LM HG "
    "EXTERNAL ST IV CTL"
)
LEVELS: Final = tuple(_LEVELS.split())
STREAMS: Final = tuple(_STREAMS.split())
SUBSYSTEMS: Final = tuple(_SUBSYSTEMS.split())
_MASK_LENGTH_MAX: Final = 1023
_ALLOWED = re.compile(r"[a-zA-Z,=_]+")


@dataclass(frozen=True, slots=True)
class LogMasksResponse(HostsResponse):
    """The hosts whose engines all took the masks, as one group of nothing; None where none did."""

    groups: tuple[HostGroup[HostStorage], ...] | None


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """The version of a server; `tag` is its build."""

    version: str
    tag: str


@dataclass(frozen=True, slots=True)
class AttachInfo:
    """What a client needs to attach to the system: addresses by rank, the ranks of the management service."""

    system: str
    uris: dict[int, str]
    ms_ranks: tuple[int, ...]
    provider: str
    build: BuildInfo


async def set_log_masks(
    client: Client,
    hosts: Sequence[str] | None = None,
    *,
    masks: str | None = None,
    streams: str | None = None,
    subsystems: str | None = None,
) -> LogMasksResponse:
    """Set the log masks of all engines of the servers; what is None goes back to the server's configuration."""
    check_masks(masks or "")
    _check_names(streams or "", STREAMS, "logging debug streams")
    _check_names(subsystems or "", SUBSYSTEMS, "validate logging subsystems")
    request = server_pb2.SetLogMasksReq(
        sys=client.request_name,
        masks=masks or "",
        streams=streams or "",
        subsystems=subsystems or "",
        reset_masks=masks is None,
        reset_streams=streams is None,
        reset_subsystems=subsystems is None,
    )
    results = await fan_out(client, client.pick_hosts(hosts), SET_LOG_MASKS, request)
    failures: list[tuple[str, Exception]] = []
    good: list[tuple[str, HostStorage]] = []
    for result in results:
        if result.error is not None:
            failures.append((result.address, result.error))
        elif result.message is not None and any(result.message.errors):
            text = ", ".join(f"engine-{i}: {e or 'updated'}" for i, e in enumerate(result.message.errors))
            failures.append((result.address, ControlError(text)))
        elif result.message is not None and result.message.status:
            failures.append((result.address, DaosError(result.message.status)))
        else:
            good.append((result.address, HostStorage()))
    return LogMasksResponse(fold_errors(failures), fold(good) if good else None)


async def attach_info(client: Client, *, all_ranks: bool = True) -> AttachInfo:
    """What the management service tells clients. Servers with certificates answer it to agents only."""
    request = svc_pb2.GetAttachInfoReq(sys=client.request_name, all_ranks=all_ranks)
    reply = await ms.invoke(client, GET_ATTACH_INFO, request, policy=retry.ATTACH_INFO)
    if reply.status:
        raise DaosError(reply.status)
    build = reply.build_info
    return AttachInfo(
        system=reply.sys,
        uris={r.rank: r.uri for r in reply.rank_uris},
        ms_ranks=tuple(reply.ms_ranks),
        provider=reply.client_net_hint.provider,
        build=BuildInfo(f"{build.major}.{build.minor}.{build.patch}", build.tag),
    )


def check_masks(masks: str) -> None:
    """ControlError where `masks` is not of the form LEVEL or PREFIX=LEVEL, with more PREFIX=LEVEL after commas."""
    if not masks:
        return
    _check_text(masks, "log masks")
    for index, token in enumerate(masks.split(",")):
        prefix, equals, level = token.rpartition("=")
        if "=" in prefix or (not equals and index):
            raise ControlError(
                "tokens after the first separator should be of the form PREFIX=LEVEL "
                f'but token {index} is "{token}"'
            )
        if level.upper() not in LEVELS:
            raise ControlError(f'unknown log level "{level}" want one of [{" ".join(LEVELS)}]')
        if prefix.upper() == "ALL":
            raise ControlError("'all' identifier can not be used in log mask level assignments")
        _check_names(prefix, SUBSYSTEMS, "validate logging subsystems")


def _check_names(text: str, known: Sequence[str], what: str) -> None:
    if not text:
        return
    _check_text(text, what)
    names = text.upper().split(",")
    for name in names:
        if name not in known:
            raise ControlError(f'{what}: unknown name "{name}" want one of [{" ".join(known)}]')
    if "ALL" in names and len(names) > 1:
        raise ControlError(f"{what}: 'all' identifier can not be used with any other log identifier")


def _check_text(text: str, what: str) -> None:
    if len(text) > _MASK_LENGTH_MAX:
        raise ControlError(f"{what}: string exceeds maximum length ({len(text)}>{_MASK_LENGTH_MAX})")
    if not _ALLOWED.fullmatch(text):
        raise ControlError(f'{what}: string has illegal characters: "{text}"')
