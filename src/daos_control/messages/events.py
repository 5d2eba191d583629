"""RAS events: to shared.RASEvent and back."""

from daos_control.proto.shared import event_pb2
from daos_control.system.events import EngineState, PoolReplicas, RasEvent


def to_proto(event: RasEvent) -> event_pb2.RASEvent:
    message = event_pb2.RASEvent(
        id=event.id,
        msg=event.message,
        timestamp=event.timestamp,
        type=event.type,
        severity=event.severity,
        hostname=event.hostname,
        rank=event.rank,
        incarnation=event.incarnation,
        hw_id=event.hardware_id,
        proc_id=event.process_id,
        thread_id=event.thread_id,
        job_id=event.job_id,
        pool_uuid=event.pool_uuid,
        cont_uuid=event.container_uuid,
        obj_id=event.object_id,
        ctl_op=event.control_operation,
    )
    match event.detail:
        case str(text):
            message.str_info = text
        case EngineState(instance, error):
            message.engine_state_info.instance = instance
            message.engine_state_info.errored = bool(error)
            message.engine_state_info.error = error
            message.engine_state_info.SetInParent()
        case PoolReplicas(ranks, term):
            message.pool_svc_info.svc_reps.extend(ranks)
            message.pool_svc_info.version = term
            message.pool_svc_info.SetInParent()  # present even when all of it is zero
        case None:
            pass
    return message


def from_proto(message: event_pb2.RASEvent) -> RasEvent:
    """Takes any numbers, also those of events that we do not know."""
    detail: str | EngineState | PoolReplicas | None = None
    match message.WhichOneof("extended_info"):
        case "str_info":
            detail = message.str_info
        case "engine_state_info":
            state = message.engine_state_info
            # An engine that ended without saying how has still ended with an error.
            detail = EngineState(state.instance, state.error or "unknown error" if state.errored else "")
        case "pool_svc_info":
            replicas = message.pool_svc_info
            detail = PoolReplicas(tuple(replicas.svc_reps), replicas.version)
        case None:
            pass
    return RasEvent(
        id=message.id,
        type=message.type,
        severity=message.severity,
        message=message.msg,
        timestamp=message.timestamp,
        hostname=message.hostname,
        rank=message.rank,
        incarnation=message.incarnation,
        hardware_id=message.hw_id,
        process_id=message.proc_id,
        thread_id=message.thread_id,
        job_id=message.job_id,
        pool_uuid=message.pool_uuid,
        container_uuid=message.cont_uuid,
        object_id=message.obj_id,
        control_operation=message.ctl_op,
        detail=detail,
    )
