"""Every dRPC method: its module, its number, and the messages that it carries."""

from enum import Enum, IntEnum
from typing import Final

from google.protobuf.message import Message

from daos_control.proto.ctl import server_pb2, smd_pb2
from daos_control.proto.mgmt import acl_pb2, check_pb2, cont_pb2, pool_pb2, svc_pb2, system_pb2
from daos_control.proto.security import auth_pb2
from daos_control.proto.shared import check_engine_pb2, event_pb2
from daos_control.proto.srv import srv_pb2

type_ = type[Message]


class Module(IntEnum):
    """Who listens: the agent, the engine, the server, the server's security service."""

    SECURITY_AGENT = 1
    MGMT = 2
    SRV = 3
    SECURITY = 4


class Method(Enum):
    """One dRPC method. `request` and `response` are None where the body is always empty."""

    module: Module
    number: int
    request: type_ | None
    response: type_ | None

    def __init__(self, module: Module, number: int, request: type_ | None, response: type_ | None) -> None:
        self.module = module
        self.number = number
        self.request = request
        self.response = response

    REQUEST_CREDENTIALS = Module.SECURITY_AGENT, 101, None, auth_pb2.GetCredResp

    SET_RANK = Module.MGMT, 202, svc_pb2.SetRankReq, svc_pb2.DaosResp
    GET_ATTACH_INFO = Module.MGMT, 206, svc_pb2.GetAttachInfoReq, svc_pb2.GetAttachInfoResp
    POOL_CREATE = Module.MGMT, 207, pool_pb2.PoolCreateReq, pool_pb2.PoolCreateResp
    POOL_DESTROY = Module.MGMT, 208, pool_pb2.PoolDestroyReq, pool_pb2.PoolDestroyResp
    SET_UP = Module.MGMT, 209, None, svc_pb2.DaosResp
    BIO_HEALTH_QUERY = Module.MGMT, 210, smd_pb2.BioHealthReq, smd_pb2.BioHealthResp
    SMD_LIST_DEVS = Module.MGMT, 211, smd_pb2.SmdDevReq, smd_pb2.SmdDevResp
    SMD_LIST_POOLS = Module.MGMT, 212, smd_pb2.SmdPoolReq, smd_pb2.SmdPoolResp
    POOL_GET_ACL = Module.MGMT, 213, acl_pb2.GetACLReq, acl_pb2.ACLResp
    POOL_OVERWRITE_ACL = Module.MGMT, 215, acl_pb2.ModifyACLReq, acl_pb2.ACLResp
    POOL_UPDATE_ACL = Module.MGMT, 216, acl_pb2.ModifyACLReq, acl_pb2.ACLResp
    POOL_DELETE_ACL = Module.MGMT, 217, acl_pb2.DeleteACLReq, acl_pb2.ACLResp
    PREP_SHUTDOWN = Module.MGMT, 218, svc_pb2.PrepShutdownReq, svc_pb2.DaosResp
    DEV_SET_FAULTY = Module.MGMT, 220, smd_pb2.SetFaultyReq, smd_pb2.DevManageResp
    DEV_REPLACE = Module.MGMT, 221, smd_pb2.DevReplaceReq, smd_pb2.DevManageResp
    LIST_CONTAINERS = Module.MGMT, 222, pool_pb2.ListContReq, pool_pb2.ListContResp
    POOL_QUERY = Module.MGMT, 223, pool_pb2.PoolQueryReq, pool_pb2.PoolQueryResp
    POOL_SET_PROP = Module.MGMT, 224, pool_pb2.PoolSetPropReq, pool_pb2.PoolSetPropResp
    PING_RANK = Module.MGMT, 225, svc_pb2.PingRankReq, svc_pb2.DaosResp
    POOL_REINTEGRATE = Module.MGMT, 226, pool_pb2.PoolReintReq, pool_pb2.PoolReintResp
    CONT_SET_OWNER = Module.MGMT, 227, cont_pb2.ContSetOwnerReq, svc_pb2.DaosResp
    POOL_EXCLUDE = Module.MGMT, 228, pool_pb2.PoolExcludeReq, pool_pb2.PoolExcludeResp
    POOL_EXTEND = Module.MGMT, 229, pool_pb2.PoolExtendReq, pool_pb2.PoolExtendResp
    POOL_EVICT = Module.MGMT, 230, pool_pb2.PoolEvictReq, pool_pb2.PoolEvictResp
    POOL_DRAIN = Module.MGMT, 231, pool_pb2.PoolDrainReq, pool_pb2.PoolDrainResp
    GROUP_UPDATE = Module.MGMT, 232, svc_pb2.GroupUpdateReq, svc_pb2.GroupUpdateResp
    NOTIFY_EXIT = Module.MGMT, 233, None, None
    NOTIFY_POOL_CONNECT = Module.MGMT, 235, svc_pb2.PoolMonitorReq, None
    NOTIFY_POOL_DISCONNECT = Module.MGMT, 236, svc_pb2.PoolMonitorReq, None
    POOL_GET_PROP = Module.MGMT, 237, pool_pb2.PoolGetPropReq, pool_pb2.PoolGetPropResp
    SET_LOG_MASKS = Module.MGMT, 238, server_pb2.SetLogMasksReq, server_pb2.SetLogMasksResp
    POOL_UPGRADE = Module.MGMT, 239, pool_pb2.PoolUpgradeReq, svc_pb2.DaosResp
    POOL_QUERY_TARGETS = Module.MGMT, 240, pool_pb2.PoolQueryTargetReq, pool_pb2.PoolQueryTargetResp
    LED_MANAGE = Module.MGMT, 241, smd_pb2.LedManageReq, smd_pb2.DevManageResp
    CHECK_START = Module.MGMT, 242, check_pb2.CheckStartReq, check_pb2.CheckStartResp
    CHECK_STOP = Module.MGMT, 243, check_pb2.CheckStopReq, check_pb2.CheckStopResp
    CHECK_QUERY = Module.MGMT, 244, check_pb2.CheckQueryReq, check_pb2.CheckQueryResp
    CHECK_PROP = Module.MGMT, 245, check_pb2.CheckPropReq, check_pb2.CheckPropResp
    CHECK_ACTION = Module.MGMT, 246, check_pb2.CheckActReq, check_pb2.CheckActResp
    SETUP_CLIENT_TELEMETRY = Module.MGMT, 247, svc_pb2.ClientTelemetryReq, svc_pb2.ClientTelemetryResp
    GROUP_STATUS_GET = Module.MGMT, 248, svc_pb2.GetGroupStatusReq, svc_pb2.GetGroupStatusResp
    CHECK_SET_POLICY = Module.MGMT, 249, check_pb2.CheckSetPolicyReq, svc_pb2.DaosResp
    POOL_REBUILD_START = Module.MGMT, 250, pool_pb2.PoolRebuildStartReq, svc_pb2.DaosResp
    POOL_REBUILD_STOP = Module.MGMT, 251, pool_pb2.PoolRebuildStopReq, svc_pb2.DaosResp
    POOL_SELF_HEAL_EVAL = Module.MGMT, 252, pool_pb2.PoolSelfHealEvalReq, svc_pb2.DaosResp

    NOTIFY_READY = Module.SRV, 301, srv_pb2.NotifyReadyReq, None
    GET_POOL_SVC = Module.SRV, 303, srv_pb2.GetPoolSvcReq, srv_pb2.GetPoolSvcResp
    CLUSTER_EVENT = Module.SRV, 304, event_pb2.ClusterEventReq, event_pb2.ClusterEventResp
    POOL_FIND_BY_LABEL = Module.SRV, 305, srv_pb2.PoolFindByLabelReq, srv_pb2.PoolFindByLabelResp
    CHECK_LIST_POOL = Module.SRV, 306, check_engine_pb2.CheckListPoolReq, check_engine_pb2.CheckListPoolResp
    CHECK_REGISTER_POOL = Module.SRV, 307, check_engine_pb2.CheckRegPoolReq, check_engine_pb2.CheckRegPoolResp
    CHECK_DEREGISTER_POOL = (
        Module.SRV, 308, check_engine_pb2.CheckDeregPoolReq, check_engine_pb2.CheckDeregPoolResp,
    )  # fmt: skip
    CHECK_REPORT = Module.SRV, 309, check_engine_pb2.CheckReportReq, check_engine_pb2.CheckReportResp
    LIST_POOLS = Module.SRV, 310, srv_pb2.ListPoolsReq, srv_pb2.ListPoolsResp
    GET_SYS_PROPS = Module.SRV, 311, system_pb2.SystemGetPropReq, system_pb2.SystemGetPropResp

    VALIDATE_CREDENTIALS = Module.SECURITY, 401, auth_pb2.ValidateCredReq, auth_pb2.ValidateCredResp

    @classmethod
    def lookup(cls, module: int, number: int) -> "Method | None":
        return _BY_NUMBER.get((module, number))


_BY_NUMBER: Final = {(m.module.value, m.number): m for m in Method}
