"""Components of a system, and which of them may call what."""

from enum import StrEnum

from daos_control.version import Version


class Component(StrEnum):
    """What a peer is; the common name of its certificate, and the value of the header x-daos-component."""

    SERVER = "server"
    ADMIN = "admin"
    AGENT = "agent"
    CLIENT = "client"
    UNDEFINED = "undefined"

    @classmethod
    def of(cls, name: str) -> "Component":
        """The component of that name; UNDEFINED, which may call nothing, for every other."""
        try:
            return cls(name)
        except ValueError:
            return cls.UNDEFINED


_ADMIN = frozenset({Component.ADMIN})
_SERVER = frozenset({Component.SERVER})
_AGENT = frozenset({Component.AGENT})

_BY_CALLER: dict[frozenset[Component], dict[str, str]] = {
    _ADMIN: {
        "ctl.CtlSvc": "StorageScan StorageFormat StorageNvmeRebind StorageNvmeAddDevice NetworkScan CollectLog "
        "FirmwareQuery FirmwareUpdate SmdQuery SmdManage SetEngineLogMasks",
        "mgmt.MgmtSvc": "LeaderQuery SystemQuery SystemStart SystemStop SystemExclude SystemDrain "
        "SystemRebuildManage SystemSelfHealEval PoolCreate PoolDestroy PoolQuery PoolQueryTarget PoolSetProp "
        "PoolGetProp PoolGetACL PoolOverwriteACL PoolUpdateACL PoolDeleteACL PoolExclude PoolExtend PoolUpgrade "
        "ListPools ListContainers ContSetOwner SystemCheckEnable SystemCheckDisable SystemCheckStart "
        "SystemCheckStop SystemCheckQuery SystemCheckSetPolicy SystemCheckGetPolicy SystemCheckRepair "
        "FaultInjectReport FaultInjectPoolFault FaultInjectMgmtPoolFault SystemSetAttr SystemGetAttr "
        "SystemSetProp SystemErase",
    },
    _SERVER: {
        "ctl.CtlSvc": "PrepShutdownRanks StopRanks ResetFormatRanks StartRanks CheckEngineRepair",
        "mgmt.MgmtSvc": "Join ClusterEvent SystemCheckEngineReport",
    },
    _ADMIN | _SERVER: {
        "mgmt.MgmtSvc": "PoolDrain PoolReintegrate PoolRebuildStart PoolRebuildStop PoolSelfHealEval SystemGetProp",
    },
    _ADMIN | _AGENT: {"mgmt.MgmtSvc": "PoolEvict SystemCleanup"},
    _AGENT: {"mgmt.MgmtSvc": "GetAttachInfo"},
}

ALLOWED: dict[str, frozenset[Component]] = {
    f"/{service}/{method}": callers
    for callers, services in _BY_CALLER.items()
    for service, methods in services.items()
    for method in methods.split()
}
"""Full method name -> who may call it. A method that is not listed is denied to everybody."""

_AGENT_MINOR_DELTA_MAX = 2
_OLDEST_COMPATIBLE = Version(2, 0, 0)


def compatible(ours: Version, peer: Component, theirs: Version) -> bool:
    """Whether a server of version `ours` answers a peer: agents within two minor versions, others the same one."""
    if ours == theirs:
        return True
    if peer is Component.AGENT:
        return ours.major == theirs.major and abs(ours.minor - theirs.minor) <= _AGENT_MINOR_DELTA_MAX
    if ours >= _OLDEST_COMPATIBLE > theirs:
        return False
    return (ours.major, ours.minor) == (theirs.major, theirs.minor)
