"""DAOS status numbers: what an engine answers in the `status` field of a reply (0, or negative)."""

from enum import IntEnum


class Status(IntEnum):
    """DER_* numbers as they stand on the wire."""

    SUCCESS = 0
    NO_PERM = -1001
    NO_HDL = -1002
    INVAL = -1003
    EXIST = -1004
    NONEXIST = -1005
    UNREACH = -1006
    NOSPACE = -1007
    ALREADY = -1008
    NOMEM = -1009
    NOSYS = -1010
    TIMEDOUT = -1011
    BUSY = -1012
    AGAIN = -1013
    PROTO = -1014
    UNINIT = -1015
    TRUNC = -1016
    OVERFLOW = -1017
    CANCELED = -1018
    OOG = -1019
    HG = -1020
    UNREG = -1021
    ADDRSTR_GEN = -1022
    PMIX = -1023
    IVCB_FORWARD = -1024
    MISC = -1025
    BADPATH = -1026
    NOTDIR = -1027
    CORPC_INCOMPLETE = -1028
    NO_RAS_RANK = -1029
    NOTATTACH = -1030
    MISMATCH = -1031
    EXCLUDED = -1032
    NOREPLY = -1033
    DOS = -1034
    BAD_TARGET = -1035
    GRPVER = -1036
    HLC_SYNC = -1037
    NO_SHMEM = -1038
    ADD_METRIC_FAILED = -1039
    DURATION_MISMATCH = -1040
    OP_NOT_PERMITTED = -1041
    EXCEEDS_PATH_LEN = -1042
    METRIC_NOT_FOUND = -1043
    SHMEM_PERMS = -1044
    HG_FATAL = -1045
    QUOTA_LIMIT = -1046
    IO = -2001
    FREE_MEM = -2002
    ENOENT = -2003
    NOTYPE = -2004
    NOSCHEMA = -2005
    NOLOCAL = -2006
    STALE = -2007
    NOTLEADER = -2008
    TGT_CREATE = -2009
    EP_RO = -2010
    EP_OLD = -2011
    KEY2BIG = -2012
    REC2BIG = -2013
    IO_INVAL = -2014
    EQ_BUSY = -2015
    DOMAIN = -2016
    SHUTDOWN = -2017
    INPROGRESS = -2018
    NOTAPPLICABLE = -2019
    NOTREPLICA = -2020
    CSUM = -2021
    DF_INVAL = -2022
    DF_INCOMPT = -2023
    REC_SIZE = -2024
    TX_RESTART = -2025
    DATA_LOSS = -2026
    OP_CANCELED = -2027
    TX_BUSY = -2028
    AGENT_INCOMPAT = -2029
    NEED_TX = -2030
    RF = -2031
    FETCH_AGAIN = -2032
    TX_UNCERTAIN = -2033
    AGENT_COMM = -2034
    ID_MISMATCH = -2035
    TGT_RETRY = -2036
    NOTSUPPORTED = -2037
    CONTROL_INCOMPAT = -2038
    NO_SERVICE = -2039
    TX_ID_REUSED = -2040
    UPDATE_AGAIN = -2041
    NVME_IO = -2042
    NO_CERT = -2043
    BAD_CERT = -2044
    VOS_PARTIAL_UPDATE = -2045
    CHKPT_BUSY = -2046
    DIV_BY_ZERO = -2047
    OVERLOAD_RETRY = -2048
    NOT_RESUME = -2049
    CONT_NONEXIST = -2050
    CONT_DESTROYING = -2051
    IGNORE = -2052
    UNKNOWN = -501000


_GIST: dict[int, str] = {
    0: "ok",
    -1001: "caller lacks permission; also credential verification failure",
    -1002: "bad or stale handle",
    -1003: "bad argument / malformed request",
    -1004: "thing is already there",
    -1005: "thing not there (e.g. pool unknown or not Ready to engine upcalls)",
    -1006: "node cannot be reached",
    -1007: "storage target full",
    -1008: "already done (e.g. checker already enabled/disabled)",
    -1009: "allocation failed",
    -1010: "not implemented",
    -1011: "timed out (retryable for pool ops)",
    -1012: "resource busy (e.g. open pool handles at destroy/evict)",
    -1013: "retry later (pool in transition, engine not ready)",
    -1014: "protocol mismatch / bad frame",
    -1015: "not initialised",
    -1016: "buffer too short / truncated dRPC chunk",
    -1017: "data larger than buffer or type",
    -1018: "cancelled",
    -1019: "not a member of the group or list",
    -1020: "Mercury transport error",
    -1021: "RPC or protocol version not registered",
    -1022: "could not build address string",
    -1023: "PMIx failure",
    -1024: "IV value not local, forward needed",
    -1025: "unspecified error (generic catch-all)",
    -1026: "bad path",
    -1027: "not a directory",
    -1028: "collective RPC failed",
    -1029: "no RAS subscriber rank",
    -1030: "service group not attached",
    -1031: "version/ordering mismatch (dRPC chunk out of order)",
    -1032: "rank is excluded",
    -1033: "handler sent no reply",
    -1034: "refused to protect service",
    -1035: "RPC sent to wrong target",
    -1036: "group version differs (retryable for pool ops)",
    -1037: "clock sync problem",
    -1038: "shared memory exhausted",
    -1039: "telemetry metric not added",
    -1040: "telemetry duration end without start",
    -1041: "wrong op for metric type",
    -1042: "path too long",
    -1043: "metric missing",
    -1044: "shared memory owned by other user/group",
    -1045: "unrecoverable Mercury error",
    -1046: "quota reached",
    -2001: "I/O error (also bad dRPC envelope status at engine)",
    -2002: "freeing memory failed",
    -2003: "entry not found",
    -2004: "object type unknown",
    -2005: "object schema unknown",
    -2006: "object not on this node",
    -2007: "pool map out of date",
    -2008: "pool service: not the leader",
    -2009: "target creation failed",
    -2010: "epoch read-only",
    -2011: "epoch already aggregated away",
    -2012: "key too large",
    -2013: "record too large",
    -2014: "buffers do not fit extents",
    -2015: "event queue busy",
    -2016: "component domain mismatch",
    -2017: "service is to stop",
    -2018: "still running",
    -2019: "does not apply here",
    -2020: "not a pool service replica",
    -2021: "checksum mismatch",
    -2022: "on-disk format unsupported",
    -2023: "on-disk format version incompatible",
    -2024: "record size wrong",
    -2025: "restart the transaction",
    -2026: "data lost",
    -2027: "operation cancelled",
    -2028: "transaction not committed yet",
    -2029: "agent/libdaos versions differ",
    -2030: "needs distributed transaction",
    -2031: "too many failures for redundancy factor",
    -2032: "fetch again",
    -2033: "transaction outcome unknown",
    -2034: "cannot talk to agent",
    -2035: "id differs",
    -2036: "use another target",
    -2037: "not supported",
    -2038: "control-plane components incompatible",
    -2039: "no (pool) service available",
    -2040: "transaction id reuse suspected",
    -2041: "update again",
    -2042: "NVMe I/O failed",
    -2043: "certificate file not accessible",
    -2044: "certificate or key invalid",
    -2045: "partial same-epoch array overwrite refused",
    -2046: "page locked by checkpoint",
    -2047: "division by zero",
    -2048: "service overloaded, retry",
    -2049: "checker cannot resume old run",
    -2050: "container unknown",
    -2051: "container being destroyed",
    -2052: "item to be skipped",
    -501000: "unknown marker (1000+500000)",
}


def describe(status: int) -> str:
    """`DER_NOSPACE(-1007): storage target full`, the form in which DAOS's own tools print a status."""
    try:
        name = f"DER_{Status(status).name}"
    except ValueError:
        name = "DER_UNKNOWN"
    return f"{name}({status}): {_GIST.get(status, 'unknown status')}"
