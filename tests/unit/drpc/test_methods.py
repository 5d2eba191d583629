"""The method table is DAOS's."""

import csv
from pathlib import Path

from daos_control.drpc import Method, Module

TABLE = Path(__file__).parents[1] / "wire" / "tables" / "drpc_methods.tsv"
NOT_SPOKEN = {"MGMT_KILL_RANK"}  # a number only: no engine of 2.8 answers it


def test_every_number_of_the_table_is_here_and_no_other() -> None:
    with TABLE.open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["name"] not in NOT_SPOKEN]
    assert {(int(row["module"]), int(row["method"])) for row in rows} == {(m.module, m.number) for m in Method}


def test_modules_have_their_numbers() -> None:
    assert {m.name: m.value for m in Module} == {"SECURITY_AGENT": 1, "MGMT": 2, "SRV": 3, "SECURITY": 4}


def test_lookup_finds_each_and_nothing_else() -> None:
    assert all(Method.lookup(m.module, m.number) is m for m in Method)
    assert Method.lookup(2, 201) is None
