"""What ipmctl and ndctl print is read, or refused with words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.storage.pmem import outputs
from daos_control.storage.pmem.model import Health, Module, RegionKind
from daos_control.storage.pmem.outputs import OutputError
from unit.storage.pmem import samples


def test_modules_are_read_in_the_order_of_their_physical_ids() -> None:
    first, second = outputs.ipmctl_modules(samples.DIMMS)
    assert first == Module(
        channel_id=0,
        channel_position=1,
        controller_id=1,
        socket_id=0,
        physical_id=0x21,
        capacity=int(126.742 * samples.GIB),
        uid="8089-a2-2012-00001c03",
        part_number="NMB1XXD128GPS",
        firmware_revision="01.02.00.5446",
        health_state="Minor Failure",
    )
    assert (second.socket_id, second.channel_id, second.physical_id) == (1, 2, 0x35)


@pytest.mark.parametrize("text", ["No PMem modules in the system.\n", samples.NO_REGIONS_FOR_SOCKET])
def test_no_modules_is_no_error(text: str) -> None:
    assert outputs.ipmctl_modules(text) == ()


def test_regions_are_read_with_kind_health_and_interleave_set() -> None:
    first, second = outputs.ipmctl_regions(samples.REGIONS)
    assert (first.kind, first.health, first.free) == (RegionKind.APP_DIRECT, Health.HEALTHY, 1008 * samples.GIB)
    assert first.capacity == first.free
    assert first.iset_id == 0x2ABA7F4828EF2CCC
    assert (second.kind, second.health, second.free) == (RegionKind.NOT_INTERLEAVED, Health.LOCKED, 0)
    assert second.socket_id == 1


def test_words_that_are_new_to_us_are_unknown() -> None:
    text = samples.REGIONS.replace(">AppDirect<", ">Hyper<").replace(">Healthy<", ">Fine<")
    assert outputs.ipmctl_regions(text)[0].kind is RegionKind.UNKNOWN
    assert outputs.ipmctl_regions(text)[0].health is Health.UNKNOWN


@pytest.mark.parametrize("text", ["There are no Regions defined in the system.\n", samples.NO_REGIONS_FOR_SOCKET])
def test_no_regions_is_no_error(text: str) -> None:
    assert outputs.ipmctl_regions(text) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not XML"),
        ("<RegionList>", "not XML"),
        ("<DimmList/>", "<DimmList> where <RegionList>"),
        ("The ipmctl command you have attempted to execute requires root privileges.", "root"),
        (samples.REGIONS.replace("FreeCapacity", "Free"), "no <FreeCapacity>"),
        (samples.REGIONS.replace("<SocketID>0x0000", "<SocketID>zero"), "<SocketID> is no number"),
        (samples.REGIONS.replace("0 B", "some"), "'some' is no size"),
    ],
)
def test_other_texts_are_refused_with_words(text: str, says: str) -> None:
    with pytest.raises(OutputError, match=says):
        outputs.ipmctl_regions(text)


def test_namespaces_are_read_without_those_of_no_size() -> None:
    first, second = outputs.ndctl_namespaces(samples.NAMESPACES)
    assert (first.name, first.block_device, first.numa_node, first.mode) == ("namespace1.0", "pmem1", 1, "fsdax")
    assert first.enabled
    assert first.region == "region1"
    assert (second.name, second.block_device, second.numa_node, second.enabled) == ("namespace0.0", "", 0, False)


def test_a_single_namespace_is_printed_without_a_list_and_none_as_nothing() -> None:
    single = '{"dev":"namespace0.0","mode":"raw","size":1024,"sector_size":512,"blockdev":"pmem0"}'
    found = outputs.ndctl_namespaces(single)
    assert [n.unlabelled for n in found] == [True]
    assert outputs.ndctl_namespaces("\n") == ()


def test_regions_of_the_kernel_are_those_of_persistent_memory_with_sets_as_unsigned_numbers() -> None:
    first, second = outputs.ndctl_regions(samples.KERNEL_REGIONS)
    assert first.iset_id == 2**64 - 9144539640143434548
    assert (first.unit, second.unit) == (16 << 20, 2 << 20)
    assert (second.enabled, second.modules) == (False, ("nmem1", "nmem0"))


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', '[{"dev":1,"size":2}]', '[{"dev":"n","size":"2"}]'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(OutputError):
        outputs.ndctl_namespaces(text)


@given(st.text() | st.from_regex(r"[\[\]{}\":,a-z0-9 ]*", fullmatch=True))
def test_no_text_leads_to_another_error(text: str) -> None:
    for read in (outputs.ndctl_namespaces, outputs.ndctl_regions, outputs.ipmctl_modules, outputs.ipmctl_regions):
        try:
            read(text)
        except OutputError:
            continue


@pytest.mark.parametrize(
    ("text", "size"),
    [("502.599 GiB", int(502.599 * 2**30)), ("512 GB", 512 * 10**9), ("0 B", 0), ("17", 17), ("1.5 kib", 1536)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert outputs.size(text) == size


def test_the_version_is_found_in_what_ipmctl_says() -> None:
    text = "Intel(R) Optane(TM) Persistent Memory Command Line Interface Version 02.00.00.3825\n"
    assert outputs.ipmctl_version(text) == "02.00.00.3825"
    with pytest.raises(OutputError, match="no version"):
        outputs.ipmctl_version("Version next")
