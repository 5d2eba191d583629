"""GetAttachInfo: what a client needs to reach the engines, encoded once for each state of the system."""

from itertools import zip_longest
from typing import Final

from daos_control.faults import ControlError
from daos_control.ms.calls import Call
from daos_control.ms.session import Session
from daos_control.ms.settings import ClientNetHint, MsSettings
from daos_control.proto.mgmt import svc_pb2
from daos_control.system.database import SystemDatabase
from daos_control.system.group_map import MapEngine, group_map
from daos_control.version import DAOS_VERSION, Version

_BUILD_TAG: Final = f"v{DAOS_VERSION}"


class AttachInfo:
    """Answers GetAttachInfo from memory.

    A reply is made when it is first asked for after a change and kept, message and bytes, until the next change:
    in a big system thousands of agents ask for the same thousands of addresses. The kept message is shared:
    nobody may change it.
    """

    def __init__(self, settings: MsSettings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._version: tuple[int, int] | None = None
        self._replies: dict[bool, svc_pb2.GetAttachInfoResp] = {}
        self._encoded: dict[int, bytes] = {}
        self.built = self.encoded = 0  # how many replies were made, and made into bytes

    async def get_attach_info(self, request: svc_pb2.GetAttachInfoReq, _call: Call) -> svc_pb2.GetAttachInfoResp:
        return self.reply(all_ranks=request.all_ranks)

    def reply(self, *, all_ranks: bool) -> svc_pb2.GetAttachInfoResp:
        """The reply as of now; with `all_ranks` the addresses of every rank in the group map, else those of ranks
        on management service replicas. Raises ControlError without network hints, and as `Session.db`."""
        db = self._session.db
        version = (db.map_version, db.version)
        if version != self._version:
            self._replies.clear()
            self._encoded.clear()
            self._version = version
        reply = self._replies.get(all_ranks)
        if reply is None:
            reply = self._replies[all_ranks] = build(self._settings, db, all_ranks=all_ranks)
            self.built += 1
        return reply

    def encode(self, reply: svc_pb2.GetAttachInfoResp) -> bytes:
        """The reply's bytes: kept ones for a reply of `reply`. gRPC's response serializer."""
        if all(reply is not kept for kept in self._replies.values()):
            return reply.SerializeToString()
        encoded = self._encoded.get(id(reply))
        if encoded is None:
            encoded = self._encoded[id(reply)] = reply.SerializeToString()
            self.encoded += 1
        return encoded


def build(settings: MsSettings, db: SystemDatabase, *, all_ranks: bool) -> svc_pb2.GetAttachInfoResp:
    """The message for this state of the system; ranks in order."""
    hints = settings.client_net_hints
    if not hints:
        raise ControlError("clientNetworkHint is missing")
    engines = group_map(db, settings.replicas)
    version = Version.parse(DAOS_VERSION)
    reply = svc_pb2.GetAttachInfoResp(
        ms_ranks=engines.ms_ranks,
        client_net_hint=_hint(hints[0]),
        secondary_client_net_hints=[_hint(hint) for hint in hints[1:]],
        data_version=db.version,
        sys=settings.system_name,
        build_info=svc_pb2.BuildInfo(major=version.major, minor=version.minor, patch=version.patch, tag=_BUILD_TAG),
    )
    for engine in engines.engines:
        if all_ranks or engine.rank in engines.ms_ranks:
            _add_rank(reply, engine, len(hints))
    return reply


def _add_rank(reply: svc_pb2.GetAttachInfoResp, engine: MapEngine, hints: int) -> None:
    uris = engine.secondary_uris
    if hints < len(uris) + 1:
        raise ControlError(
            f"not enough client network hints ({hints}) for rank {engine.rank} URIs ({len(uris) + 1})"
        )
    reply.rank_uris.add(rank=engine.rank, uri=engine.uri, num_ctxs=engine.contexts)
    for index, (uri, contexts) in enumerate(
        zip_longest(uris, engine.secondary_contexts[: len(uris)], fillvalue=0), 1
    ):
        reply.secondary_rank_uris.add(rank=engine.rank, uri=str(uri), provider_idx=index, num_ctxs=int(contexts))


def _hint(hint: ClientNetHint) -> svc_pb2.ClientNetHint:
    return svc_pb2.ClientNetHint(
        provider=hint.provider,
        interface=hint.interface,
        domain=hint.domain,
        crt_timeout=hint.crt_timeout,
        net_dev_class=hint.net_dev_class,
        srv_srx_set=hint.srv_srx_set,
        env_vars=hint.env_vars,
        provider_idx=hint.provider_index,
    )
