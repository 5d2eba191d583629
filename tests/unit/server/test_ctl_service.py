"""CtlSvc as a whole: each method is answered by its handler, or refused as not offered."""

from typing import Any

import pytest
from google.protobuf.message import Message

from daos_control.faults.unimplemented import UnimplementedFault
from daos_control.proto.ctl import ctl_pb2, firmware_pb2
from daos_control.server.ctl_service import control_service

METHODS = [method.name for method in ctl_pb2.DESCRIPTOR.services_by_name["CtlSvc"].methods]


class Details:
    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


async def answer(_request: Any, _context: Any) -> Message:
    return firmware_pb2.FirmwareQueryResp()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_service_is_registered(name: str) -> None:
    found = control_service({name: answer}).service(Details(f"/ctl.CtlSvc/{name}"))  # type: ignore[arg-type]
    assert found is not None
    assert found.unary_unary is answer


@pytest.mark.asyncio
@pytest.mark.parametrize("name", METHODS)
async def test_a_method_without_handler_is_refused_by_name(name: str) -> None:
    found = control_service({}).service(Details(f"/ctl.CtlSvc/{name}"))  # type: ignore[arg-type]
    assert found is not None
    with pytest.raises(UnimplementedFault, match=name):
        await found.unary_unary(None, None)


def test_a_handler_for_no_method_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="StorageBurn"):
        control_service({"StorageBurn": answer})
