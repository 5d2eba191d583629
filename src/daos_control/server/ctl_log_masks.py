"""CtlSvc.SetEngineLogMasks: the log levels of this host's engines, changed while they run."""

from collections.abc import Mapping, Sequence
from typing import Final

from daos_control.config.models import EngineConfig
from daos_control.drpc import DrpcStatusError, FramingError, Method
from daos_control.faults import ControlError, Fault
from daos_control.faults.status import describe
from daos_control.proto.ctl import server_pb2
from daos_control.server import log_masks
from daos_control.server.ctl_ranks import Context, budget
from daos_control.server.engine_command import configured_variable
from daos_control.server.harness import Harness


class LogMaskHandler:
    """`engines` are those of the configuration, whose values a reset brings back; `environment` is the server's."""

    def __init__(self, harness: Harness, engines: Sequence[EngineConfig], environment: Mapping[str, str]) -> None:
        self._harness: Final = harness
        self._engines: Final = engines
        self._environment: Final = environment

    async def set_masks(self, request: server_pb2.SetLogMasksReq, context: Context) -> server_pb2.SetLogMasksResp:
        """One text per engine in the order of their indices, empty where it went well."""
        seconds, margin = budget(context)
        errors = [
            await self._set(index, request, seconds - margin) for index in range(len(self._harness.instances))
        ]
        return server_pb2.SetLogMasksResp(errors=errors)

    async def _set(self, index: int, request: server_pb2.SetLogMasksReq, seconds: float) -> str:
        try:
            wanted = masks_for(self._engines[index], request, self._environment)
            reply = await self._harness.instances[index].call(Method.SET_LOG_MASKS, wanted, timeout=seconds)
        except TimeoutError:
            return f"engine {index} did not answer in time"
        except (ValueError, OSError, Fault, ControlError, FramingError, DrpcStatusError) as error:
            return str(error)
        assert isinstance(reply, server_pb2.SetLogMasksResp)
        return describe(reply.status) if reply.status != 0 else ""


def masks_for(
    engine: EngineConfig, request: server_pb2.SetLogMasksReq, environment: Mapping[str, str]
) -> server_pb2.SetLogMasksReq:
    """What to tell the engine: resets looked up in its configuration, the subsystems folded into the masks.

    Raises ControlError where there are no masks to set, ValueError where they cannot be understood.
    """
    masks = engine.log_mask if request.reset_masks else request.masks
    if not masks:
        raise ControlError(f"empty log masks in {'config' if request.reset_masks else 'request'}")
    streams, subsystems = request.streams, request.subsystems
    if request.reset_streams:
        streams = configured_variable(engine, "DD_MASK", environment)
    if request.reset_subsystems:
        subsystems = configured_variable(engine, "DD_SUBSYS", environment)
    return server_pb2.SetLogMasksReq(
        sys=request.sys,
        masks=log_masks.merge(masks, subsystems),
        streams=streams,
        reset_masks=request.reset_masks,
        reset_streams=request.reset_streams,
        reset_subsystems=request.reset_subsystems,
    )
