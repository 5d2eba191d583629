"""Which providers work where: libfabric's list, asked for in a process of its own, and the rules without it."""

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daos_control.faults import ControlError
from daos_control.network import fabric_probe, libfabric, offers, scan
from daos_control.network.interfaces import interfaces
from daos_control.network.offers import Offer
from fakes.fake_sysfs import Sysfs

INET, INET6, RDM, MSG, DGRAM = 2, 3, 3, 1, 2

# What libfabric 1.22 lists on a host with eth0 and lo, in its order.
LISTED = [
    *(["tcp", device, RDM, family] for device in ("eth0", "lo") for family in (INET, INET6)),
    *(["tcp;ofi_rxm", device, RDM, family] for device in ("eth0", "lo", "eth0") for family in (INET, INET6)),
    ["shm", "shm", RDM, 9],
    ["udp", "eth0", DGRAM, INET],
    ["tcp", "eth0", MSG, INET],
    *(["sockets", device, endpoint, INET] for device in ("eth0", "lo") for endpoint in (DGRAM, RDM, MSG)),
    ["sm2", "sm2", RDM, 9],
]


def test_the_list_is_taken_from_its_end_each_once_and_only_what_daos_can_use() -> None:
    assert libfabric.select(LISTED) == [
        Offer("ofi+sockets", "lo"),
        Offer("ofi+sockets", "eth0"),
        Offer("ofi+shm", "shm"),
        Offer("ofi+tcp;ofi_rxm", "lo"),
        Offer("ofi+tcp;ofi_rxm", "eth0"),
        Offer("ofi+tcp", "lo"),
        Offer("ofi+tcp", "eth0"),
    ]


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=5), max_leaves=20)
)
def test_whatever_the_process_prints_is_offers_or_a_value_error(listed: object) -> None:
    try:
        found = libfabric.select(listed)
    except ValueError:
        return
    assert all(isinstance(offer, Offer) for offer in found)


def test_without_the_library_nothing_is_offered() -> None:
    assert libfabric.offers("libfabric-of-nobody.so.1") is None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit code -11"),
        ("print('no JSON')", "Expecting value"),
        ("print('[[1]]')", "no entry"),
        ("import sys; sys.stderr.write('broken driver'); sys.exit(1)", "broken driver"),
        ("import time; time.sleep(60)", "timed out"),
    ],
    ids=["crash", "garbage", "wrong shape", "failure", "hangs"],
)
def test_a_library_that_misbehaves_harms_nobody_and_is_told(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "probe.py"
    script.write_text(program)
    monkeypatch.setattr(fabric_probe, "__file__", str(script))
    assert libfabric.offers(timeout=1.0 if "sleep" in program else 10.0) is None
    assert said in caplog.text


def test_what_providers_print_does_not_spoil_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "probe.py"
    script.write_text("import sys; sys.stderr.write('hello'); print('[[\"tcp\", \"eth0\", 3, 2]]')")
    monkeypatch.setattr(fabric_probe, "__file__", str(script))
    assert libfabric.offers() == [Offer("ofi+tcp", "eth0")]


ADDRESSES = {"ib0": ("192.0.2.1",), "ib0.8001": ("192.0.2.2",), "eth0": ("192.0.2.3",), "lo": ("127.0.0.1",)}


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    """An InfiniBand card on node 1 with an interface on top of its own, an Ethernet card, and loopback."""
    made = Sysfs(tmp_path)
    card = made.function("0000:81:00.0", 1, "0000:80")
    made.fabric("mlx5_0", card, "4: ACTIVE")
    made.net("ib0", card, kind=32)
    made.lower(made.net("ib0.8001", None, kind=32), "ib0")
    made.net("eth0", made.function("0000:03:00.0"))
    made.net("lo", None, kind=772, operstate="unknown", flags="0x9")
    return made


def scanned(sysfs: Sysfs, provider: str, offered: list[Offer] | None) -> list[tuple[str, str, int, int, int]]:
    known = interfaces(sysfs.root, ADDRESSES)
    offers_ = offers.by_rules(known, sysfs.root) if offered is None else offered
    found = scan.scan(provider, sysfs=sysfs.root, found=known, offered=offers_)
    return [(f.provider, f.device, f.numa_node, f.priority, f.net_dev_class) for f in found]


def test_a_fabric_device_stands_for_the_interfaces_of_its_card(sysfs: Sysfs) -> None:
    verbs = "ofi+verbs;ofi_rxm"
    expected = [(verbs, "ib0", 1, 0, 32), (verbs, "ib0.8001", 1, 0, 32)]
    assert scanned(sysfs, "ofi+verbs", [Offer(verbs, "mlx5_0")]) == expected
    assert scanned(sysfs, verbs, None) == expected


def test_priorities_count_providers_in_the_order_they_come_in(sysfs: Sysfs) -> None:
    listed = libfabric.select(LISTED)
    eth0 = [one for one in scanned(sysfs, "", listed) if one[1] == "eth0"]
    assert eth0 == [
        ("ofi+sockets", "eth0", 0, 0, 1),
        ("ofi+tcp;ofi_rxm", "eth0", 0, 2, 1),
        ("ofi+tcp", "eth0", 0, 3, 1),
    ]
    assert scanned(sysfs, "ofi+tcp", listed) == [("ofi+tcp", "eth0", 0, 0, 1), ("ofi+tcp", "lo", 0, 0, 772)]


def test_the_rules_give_the_same_as_libfabric_for_tcp(sysfs: Sysfs) -> None:
    tcp = {"eth0", "lo"}
    for provider in ("", "ofi+tcp", "ofi+sockets", "ofi+tcp_rxm"):
        by_rules = [one for one in scanned(sysfs, provider, None) if one[1] in tcp]
        assert by_rules == scanned(sysfs, provider, libfabric.select(LISTED))


def test_slingshot_devices_are_found_beside_what_libfabric_lists(sysfs: Sysfs) -> None:
    card = sysfs.function("0000:c1:00.0", 1, "0000:c0")
    sysfs.fabric("cxi0", card, kind="cxi")
    sysfs.net("hsn0", card)
    assert scanned(sysfs, "ofi+cxi", []) == [("ofi+cxi", "hsn0", 1, 0, 1)]


def test_domains_that_are_no_devices_of_this_host_are_left_out(sysfs: Sysfs) -> None:
    assert scanned(sysfs, "", [Offer("ofi+shm", "shm"), Offer("ofi+tcp", "gone0")]) == []


def test_a_provider_that_works_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "scan", lambda provider: [])
    with pytest.raises(ControlError, match=r"^no fabric interfaces found with provider ofi\+x$"):
        scan.scan_for("ofi+x")


def test_the_order_is_that_of_devices_then_priorities(sysfs: Sysfs) -> None:
    found = scanned(sysfs, "", None)
    assert [one[1] for one in found] == [*sorted(one[1] for one in found[:-2]), "ib0", "ib0.8001"]
    for _, group in itertools.groupby(found[:-2], key=lambda one: one[1]):
        numbers = [one[3] for one in group]
        assert numbers == sorted(numbers)


LIBRARY = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
struct ep { int type; uint32_t protocol; };
struct domain { void *domain; char *name; int threading; };
struct fabric { void *fabric; char *name; char *prov_name; uint32_t prov_version; };
struct info { struct info *next; uint64_t caps, mode; uint32_t addr_format; size_t src_len, dest_len;
              void *src, *dest, *handle, *tx, *rx; struct ep *ep;
              struct domain *domain; struct fabric *fabric; void *nic; };
static struct ep rdm = {3, 0};
static struct domain eth1 = {0, "eth1", 0}, no_name;
static struct fabric tcp = {0, "192.0.2.0/24", "tcp", 0};
static struct info last = {.addr_format = 2, .ep = &rdm, .domain = &eth1, .fabric = &tcp};
static struct info first = {.next = &last, .addr_format = 2, .ep = &rdm, .domain = &no_name, .fabric = &tcp};
uint32_t fi_version(void) { return 1 << 16 | 17; }
int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags, const struct info *hints,
               struct info **found)
{
    printf("a provider that talks\n");
    if (node || service || flags || hints || version != (1 << 16 | 9))
        return -22;
    *found = &first;
    return 0;
}
void fi_freeinfo(struct info *info) {}
__attribute__((destructor)) static void end(void) { for (;;) ; }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler to build a library like libfabric")
def test_the_structures_of_the_library_are_read_and_its_talk_and_its_end_are_survived(tmp_path: Path) -> None:
    (tmp_path / "fabric.c").write_text(LIBRARY)
    library = tmp_path / "libfabric.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "fabric.c"], check=True)
    assert libfabric.offers(str(library)) == [Offer("ofi+tcp", "eth1")]
