"""Answers of hosts and pools, made into the client's own types."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.client import errors, model, storage_types
from daos_control.client.connection import Client, Method
from daos_control.client.model import fold, fold_errors
from daos_control.client.pool_create import largest_pool, principal, read_acl
from daos_control.client.pool_types import (
    DEFAULT_MASK,
    HEALTH_ONLY_MASK,
    PoolInfo,
    PoolState,
    RebuildState,
    RebuildStatus,
)
from daos_control.client.server import check_masks
from daos_control.client.storage import StorageResponse
from daos_control.client.storage_types import (
    DeviceState,
    HostStorage,
    MemoryInfo,
    NvmeController,
    ScmMountPoint,
    ScmNamespace,
    SmdDevice,
    SystemMemoryInfo,
)
from daos_control.faults import Code, ControlError, DaosError, Fault
from daos_control.proto.ctl import ctl_pb2
from daos_control.proto.mgmt import mgmt_pb2, pool_pb2
from daos_control.system.ranks import RankSet


def methods() -> list[Method]:
    from daos_control.client import attributes, network, pool, pool_create, ranks, server, storage, system

    found = []
    for module in (attributes, network, pool, pool_create, ranks, server, storage, system):
        found += [value for value in vars(module).values() if isinstance(value, Method)]
    return found


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.path)
def test_method_has_the_messages_of_its_service(method: Method) -> None:
    services = {
        "/mgmt.MgmtSvc": mgmt_pb2.DESCRIPTOR.services_by_name["MgmtSvc"],
        "/ctl.CtlSvc": ctl_pb2.DESCRIPTOR.services_by_name["CtlSvc"],
    }
    described = services[method.path.rpartition("/")[0]].methods_by_name[method.name]
    assert described.input_type.full_name == method.request.DESCRIPTOR.full_name
    assert described.output_type.full_name == method.response.DESCRIPTOR.full_name


def storage(free_kb: int, serial: str, *order: int) -> HostStorage:
    return HostStorage(
        nvme_devices=tuple(NvmeController(serial=serial, pci_addr=f"0000:0{n}:00.0") for n in order),
        mem_info=SystemMemoryInfo(mem_free_kb=free_kb, numa_nodes=(MemoryInfo(mem_total_kb=5),)),
    )


def test_hosts_that_differ_in_serials_free_memory_and_order_only_are_shown_together() -> None:
    groups = fold([("h2:1", storage(1, "a", 1, 2)), ("h1:1", storage(2, "b", 2, 1)), ("h3:1", storage(2, "b", 1))])
    assert [str(group.hosts) for group in groups] == ["h3:1", "h[1-2]:1"]  # in the order of their texts
    assert groups[1].content.mem_info == storage(1, "a").mem_info
    assert groups[0].key != groups[1].key


def test_number_of_equal_content_does_not_depend_on_the_process() -> None:
    (group,) = fold([("h1:1", HostStorage())])
    assert group.key == 10436127653219262022 or 0 < group.key < 1 << 64
    assert group.key == model.stable_number(model.fold_key(HostStorage()))


def test_errors_are_grouped_by_text_and_ordered_by_hosts() -> None:
    groups = fold_errors([("h2:1", ControlError("b")), ("h1:1", ControlError("a")), ("h3:1", ControlError("b"))])
    assert [(str(g.hosts), str(g.error)) for g in groups] == [("h1:1", "a"), ("h[2-3]:1", "b")]
    failure = model.HostsResponse(groups).failure
    assert str(failure) == "3 hosts had errors"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_short_form_of_a_float_is_the_same_float(value: float) -> None:
    assert struct.pack("f", storage_types.shortest_float(value)) == struct.pack("f", value)


def test_short_form_of_a_float_is_short() -> None:
    assert storage_types.shortest_float(struct.unpack("f", struct.pack("f", 0.1))[0]) == 0.1


@pytest.mark.parametrize(
    ("state", "status", "derived"),
    [
        (1, 0, RebuildState.IDLE),
        (1, -2027, RebuildState.STOPPED),
        (1, -1007, RebuildState.FAILED),
        (2, 0, RebuildState.DONE),
        (2, -1007, RebuildState.FAILED),
        (0, 0, RebuildState.BUSY),
        (0, -2027, RebuildState.STOPPING),
        (0, -1007, RebuildState.FAILING),
    ],
)
def test_state_of_a_rebuild_is_derived_from_its_status(state: int, status: int, derived: RebuildState) -> None:
    found = RebuildStatus.from_proto(pool_pb2.PoolRebuildStatus(state=state, status=status))
    assert found.derived_state is derived


def test_rebuild_state_that_an_engine_cannot_have_is_refused() -> None:
    with pytest.raises(ControlError):
        RebuildStatus.from_proto(pool_pb2.PoolRebuildStatus(state=pool_pb2.PoolRebuildStatus.FAILED))


def test_answer_to_a_query_keeps_what_it_leaves_out() -> None:
    known = PoolInfo(uuid="u", label="tank", svc_reps=(1, 2), state=PoolState.READY)
    found = known.with_answer(pool_pb2.PoolQueryResp(total_targets=8, disabled_targets=1, disabled_ranks="[3]"))
    assert (found.uuid, found.label, found.svc_reps) == ("u", "tank", (1, 2))
    assert found.state is PoolState.TARGETS_EXCLUDED
    assert (found.enabled_ranks, found.disabled_ranks) == (None, RankSet([3]))
    assert known.with_answer(pool_pb2.PoolQueryResp()).state is PoolState.UNKNOWN
    with pytest.raises(DaosError):
        known.with_answer(pool_pb2.PoolQueryResp(status=-1005))


def test_query_masks_have_the_bits_of_daos() -> None:
    assert int(DEFAULT_MASK) == 0xFFFFFFFFFFFFFFAB
    assert str(DEFAULT_MASK) == "disabled_engines,rebuild,space"
    assert str(HEALTH_ONLY_MASK) == "dead_engines,disabled_engines,rebuild"


def host(
    rank: int, usable: int, nvme: int = 0, roles: int = 0, state: DeviceState = DeviceState.NORMAL
) -> HostStorage:
    mount = ScmMountPoint(rank=rank, usable_bytes=usable)
    device = SmdDevice(rank=rank, usable_bytes=nvme, role_bits=roles)
    return HostStorage(
        scm_namespaces=(ScmNamespace(mount=mount),),
        nvme_devices=(NvmeController(smd_devices=(device,), dev_state=state),) if nvme else (),
    )


def scanned(*hosts: HostStorage) -> StorageResponse:
    return StorageResponse((), fold((f"h{n}:1", content) for n, content in enumerate(hosts)))


def test_largest_pool_is_that_of_the_smallest_rank() -> None:
    found = scanned(host(0, 10, 100), host(1, 8, 200), host(2, 1, 1))
    assert largest_pool(found, RankSet([0, 1]), 0) == (8, 100)


def test_devices_for_metadata_only_and_new_ones_hold_no_data() -> None:
    found = scanned(host(0, 10, 100, roles=2), host(1, 8, 200, state=DeviceState.NEW))
    assert largest_pool(found, RankSet([0, 1]), 0)[1] == 0


def test_metadata_on_ssds_may_be_larger_than_the_memory_for_it() -> None:
    assert largest_pool(scanned(host(0, 10, 100, roles=7)), RankSet([0]), 0.5) == (20, 100)
    assert largest_pool(scanned(host(0, 10, 100, roles=7)), RankSet([0]), 0) == (10, 100)


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ((), "no server answered"),
        ((host(0, 0),), "Host without SCM storage: hostname=h0:1"),
        ((host(0, 1), host(0, 2)), "Multiple SCM devices found for rank 0"),
        ((host(0, 1, 5, state=DeviceState.EVICTED),), "not usable as in EVICTED state"),
        ((host(5, 1),), "no SCM storage was found for rank list 0"),
        ((HostStorage(scm_namespaces=(ScmNamespace(blockdev="pmem0"),)),), "Host without SCM storage"),
    ],
)
def test_storage_that_cannot_hold_the_pool_is_refused(hosts: tuple[HostStorage, ...], text: str) -> None:
    with pytest.raises(ControlError, match=text):
        largest_pool(scanned(*hosts), RankSet([0]), 0)


def test_ranks_of_hosts_that_are_not_in_the_list_do_not_stand_in_the_way_but_those_that_failed_do() -> None:
    found = scanned(host(0, 10, 100))
    assert largest_pool(found, RankSet([0, 1]), 0) == (10, 100)
    failed = StorageResponse(fold_errors([("h9:1", ControlError("gone"))]), found.groups)
    with pytest.raises(ControlError, match=r"rank list 1 \(h9:1: gone\)"):
        largest_pool(failed, RankSet([0, 1]), 0)


@pytest.mark.parametrize("masks", ["", "ERR", "debug,rdb=INFO", "POOL=err"])
def test_log_masks_of_the_engine_are_taken(masks: str) -> None:
    check_masks(masks)


@pytest.mark.parametrize("masks", ["FOO", "ERR,WARN", "all=ERR", "x=ERR", "ERR;", "a=b=ERR", "E" * 1024])
def test_log_masks_that_an_engine_would_not_understand_are_refused(masks: str) -> None:
    with pytest.raises(ControlError):
        check_masks(masks)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("failed to connect to all addresses; last error: connect: Connection refused (111)", 506),
        ("connection error: desc = transport: dial tcp: connect: connection refused", 506),
        ("transport is closing", 507),
        ("Socket closed", 507),
        ("recvmsg:Connection reset by peer", 507),
        ("Ssl handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL", 507),
        ("no route to host", 505),
        ("DNS resolution failed for nowhere:1", 504),
        ("dial tcp: lookup nowhere: no such host", 504),
        ("dial tcp 10.0.0.1:1: i/o timeout", 508),
        ("x509: certificate has expired or is not yet valid", 903),
        ("SSL: CERTIFICATE_VERIFY_FAILED: certificate has expired", 903),
    ],
)
def test_text_about_the_connection_becomes_its_fault(text: str, code: int) -> None:
    fault = errors.connection_fault("h1:10001", text)
    assert fault is not None
    assert fault.code == code
    assert "h1:10001" in fault.description
    assert fault.resolution


def test_other_texts_are_no_connection_fault() -> None:
    assert errors.connection_fault("h1:10001", "rank 5 does not exist") is None


def test_operation_puts_its_name_in_front_and_keeps_the_cause() -> None:
    fault = Fault("server", Code.SERVER_WRONG_SYSTEM, "d", "r")
    with pytest.raises(errors.OperationError) as caught, errors.operation("outer"), errors.operation("inner"):
        raise fault
    assert str(caught.value) == f"outer: inner: {fault}"
    assert errors.root_cause(caught.value) is fault


def test_mistake_in_the_program_is_no_failed_operation() -> None:
    with pytest.raises(ZeroDivisionError), errors.operation("outer"):
        raise ZeroDivisionError


def test_hosts_are_distinct_with_the_configured_port() -> None:
    client = Client(None, hosts=["h[1-2]", "h1:5", "h2"], port=7)
    assert client.hosts == ("h1:7", "h2:7", "h1:5")
    assert client.pick_hosts(["x"]) == ("x:7",)
    with pytest.raises(Fault) as caught:
        Client(None, hosts=[]).pick_hosts(None)
    assert caught.value.code == Code.CLIENT_CONFIG_EMPTY_HOST_LIST
    with pytest.raises(Fault) as caught:
        Client(None, port=0)
    assert caught.value.code == Code.CLIENT_CONFIG_BAD_CONTROL_PORT


def test_owner_without_a_domain_is_a_local_one() -> None:
    assert (principal("bob"), principal("bob@x")) == ("bob@", "bob@x")


def test_acl_file_has_an_entry_a_line_and_comments(tmp_path) -> None:
    path = tmp_path / "acl"
    path.write_text("# Owner\n\n  A::OWNER@:rw  \nA:G:GROUP@:r\n")
    assert read_acl(path) == ("A::OWNER@:rw", "A:G:GROUP@:r")
    path.write_text("# nothing\n")
    with pytest.raises(ControlError, match="contains no entries"):
        read_acl(path)
    with pytest.raises(ControlError, match=f"opening ACL file: open {tmp_path}/none: no such file or directory$"):
        read_acl(tmp_path / "none")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ControlError, match="not a text file"):
        read_acl(path)
