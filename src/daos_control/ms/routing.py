"""Which replica may answer what: one row per method of mgmt.MgmtSvc (membership.md 7.1)."""

from dataclasses import dataclass
from enum import Enum

from daos_control.faults import NotReplicaError
from daos_control.faults.server import wrong_system
from daos_control.ms.faults import checker_enabled
from daos_control.ms.session import Session
from daos_control.ms.settings import MsSettings
from daos_control.system.properties import checker_enabled as checker_is_enabled
from daos_control.version import split_system_name


class Asks(Enum):
    """What a method needs of the server that answers it."""

    ANYBODY = "any configured replica, even before there is a system"
    REPLICA = "a replica: what it answers may be read from memory"
    LEADER = "the leading replica: the method changes the system, or acts for all of it"


@dataclass(frozen=True, slots=True)
class Route:
    """`while_checking`: whether the method is answered while the system checker is enabled."""

    asks: Asks
    while_checking: bool = False


_WHILE_CHECKING = (
    "GetAttachInfo Join SystemQuery SystemStop SystemStart SystemExclude SystemDrain ClusterEvent ListPools "
    "SystemGetProp SystemCheckEnable SystemCheckDisable SystemCheckStart SystemCheckStop SystemCheckQuery "
    "SystemCheckSetPolicy SystemCheckGetPolicy SystemCheckRepair SystemCheckEngineReport LeaderQuery"
)

_METHODS = {
    Asks.ANYBODY: "LeaderQuery",
    Asks.REPLICA: "GetAttachInfo SystemQuery SystemGetAttr SystemGetProp ListPools PoolQuery PoolQueryTarget "
    "PoolGetProp PoolGetACL ListContainers ContSetOwner SystemErase",
    Asks.LEADER: "Join ClusterEvent SystemStart SystemStop SystemExclude SystemDrain SystemRebuildManage "
    "SystemSelfHealEval SystemCleanup SystemSetAttr SystemSetProp SystemCheckEnable SystemCheckDisable "
    "SystemCheckStart SystemCheckStop SystemCheckQuery SystemCheckSetPolicy SystemCheckGetPolicy SystemCheckRepair "
    "SystemCheckEngineReport PoolCreate PoolDestroy PoolEvict PoolExclude PoolDrain PoolExtend PoolReintegrate "
    "PoolSetProp PoolUpgrade PoolOverwriteACL PoolUpdateACL PoolDeleteACL PoolRebuildStart PoolRebuildStop "
    "PoolSelfHealEval FaultInjectReport FaultInjectPoolFault FaultInjectMgmtPoolFault",
}

ROUTES: dict[str, Route] = {
    method: Route(asks, method in _WHILE_CHECKING.split())
    for asks, methods in _METHODS.items()
    for method in methods.split()
}
"""Method name -> what it asks for."""


def check_system(settings: MsSettings, asked: str) -> None:
    """Fault 603 where a request's `sys` ("daos_server-2.8.0": the version is left out) names another system."""
    name = split_system_name(asked)[0]
    if name != settings.system_name:
        raise wrong_system(name, settings.system_name)


def check_replica(settings: MsSettings) -> None:
    """NotReplicaError, with the addresses of those who are, where this server is none."""
    if not settings.is_replica:
        raise NotReplicaError(settings.replicas)


def check_open(session: Session, method: str, route: Route) -> None:
    """Refuses what a replica may not answer as it is: no system, not serving (yet), or checking.

    One replica is its own leader; where there are more, this is where NotLeaderError is raised for Asks.LEADER.
    """
    session.check_serving()
    if not route.while_checking and checker_is_enabled(session.db):
        raise checker_enabled(method)
