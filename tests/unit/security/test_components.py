"""Who may call what is written down for every method, and for nobody else."""

import csv
from pathlib import Path

import pytest

from daos_control.security.components import ALLOWED, Component, compatible
from daos_control.version import Version

TABLE = Path(__file__).parents[1] / "wire" / "tables" / "services.tsv"
OURS = Version(2, 8, 0)
A, S, G, C = Component.ADMIN, Component.SERVER, Component.AGENT, Component.CLIENT


def test_every_method_of_the_wire_has_its_callers_and_no_other_is_listed() -> None:
    with TABLE.open() as file:
        methods = {f"/{row['service']}/{row['method']}" for row in csv.DictReader(file, delimiter="\t")}
    assert set(ALLOWED) == methods
    assert all(ALLOWED.values())


@pytest.mark.parametrize(
    ("method", "callers"),
    [
        ("/ctl.CtlSvc/StorageFormat", {A}),
        ("/ctl.CtlSvc/StopRanks", {S}),
        ("/mgmt.MgmtSvc/Join", {S}),
        ("/mgmt.MgmtSvc/SystemErase", {A}),
        ("/mgmt.MgmtSvc/SystemGetProp", {A, S}),
        ("/mgmt.MgmtSvc/PoolEvict", {A, G}),
        ("/mgmt.MgmtSvc/GetAttachInfo", {G}),
    ],
)
def test_callers_are_those_of_daos(method: str, callers: set[Component]) -> None:
    assert ALLOWED[method] == callers


def test_an_unknown_common_name_may_call_nothing() -> None:
    for name in ("", "root", "Server", "undefined"):
        assert not any(Component.of(name) in callers for callers in ALLOWED.values())


@pytest.mark.parametrize(
    ("peer", "version", "fits"),
    [
        (A, "2.8.0", True), (A, "2.8.7", True), (A, "2.7.0", False), (A, "2.9.0", False), (A, "3.8.0", False),
        (S, "2.8.1", True), (S, "2.6.0", False), (A, "0.0.0", False), (C, "2.8.3", True),
        (G, "2.6.0", True), (G, "2.10.4", True), (G, "2.5.9", False), (G, "2.11.0", False), (G, "3.8.0", False),
        (G, "1.8.0", False),
    ],
)  # fmt: skip
def test_versions_fit_as_in_daos(peer: Component, version: str, fits: bool) -> None:
    assert compatible(OURS, peer, Version.parse(version)) is fits
