"""FirmwareQuery and FirmwareUpdate, as far as they are about persistent memory.

Whether firmware may be updated now (no engine runs) is for the caller to decide.
"""

from daos_control.proto.ctl import firmware_pb2
from daos_control.server.ctl_storage_scm import module_message
from daos_control.storage.pmem.operations import Pmem


async def query(pmem: Pmem, request: firmware_pb2.FirmwareQueryReq) -> list[firmware_pb2.ScmFirmwareQueryResp]:
    """The firmware of each module that matches; a failure of one is in its result. Raises Fault."""
    reply = await pmem.query_firmware(uids=request.deviceIDs, model=request.modelID, revision=request.firmwareRev)
    messages = []
    for result in reply.results:
        message = firmware_pb2.ScmFirmwareQueryResp(module=module_message(result.module), error=result.error)
        if result.info is not None:
            message.activeVersion = result.info.active_version
            message.stagedVersion = result.info.staged_version
            message.imageMaxSizeBytes = result.info.image_max_size_bytes
            message.updateStatus = result.info.update_status
        messages.append(message)
    return messages


async def update(pmem: Pmem, request: firmware_pb2.FirmwareUpdateReq) -> list[firmware_pb2.ScmFirmwareUpdateResp]:
    """Update each module that matches; a failure of one is in its result. Raises Fault."""
    reply = await pmem.update_firmware(
        request.firmwarePath, uids=request.deviceIDs, model=request.modelID, revision=request.firmwareRev
    )
    return [
        firmware_pb2.ScmFirmwareUpdateResp(module=module_message(result.module), error=result.error)
        for result in reply.results
    ]
