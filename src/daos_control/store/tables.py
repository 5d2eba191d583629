"""The tables of a stored database: what is in which row, and which rows a change touches.

Every table has the same shape: key, record, checksum of both. `header` has one row, with the versions and with
the number of rows of each other table.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from daos_control.store import records
from daos_control.system.changes import Change, PutMember, PutPool, RemoveMember, RemovePool, SetAttributes
from daos_control.system.database import SystemDatabase
from daos_control.system.member import Member
from daos_control.system.pool import PoolService

T = TypeVar("T")
R = TypeVar("R", Member, PoolService)

HEADER: Final = "header"
MEMBERS: Final = "members"
POOLS: Final = "pools"
ATTRIBUTES: Final = "attributes"
FAULT_DOMAINS: Final = "fault_domains"
_COUNTED = (MEMBERS, POOLS, ATTRIBUTES, FAULT_DOMAINS)
_HEADER_KEY = "state"
_HEADER_FIELDS = frozenset({"version", "map_version", "next_rank", *_COUNTED})


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, and the header of an empty database."""
    for table in (HEADER, *_COUNTED):
        connection.execute(
            f"CREATE TABLE {table} (key TEXT PRIMARY KEY, record TEXT NOT NULL, checksum INTEGER NOT NULL) "
            "WITHOUT ROWID"
        )
    _put(connection, HEADER, [(_HEADER_KEY, _header_of(SystemDatabase()))])


def version(connection: sqlite3.Connection) -> int:
    """The version of the stored database. Raises ValueError where the header is damaged."""
    return _read_header(connection)["version"]


def read(connection: sqlite3.Connection) -> SystemDatabase:
    """Everything. Raises ValueError with what is wrong where something is."""
    header = _read_header(connection)
    rows = {table: _rows(connection, table) for table in _COUNTED}
    for table, found in rows.items():
        if len(found) != header[table]:
            raise ValueError(f"there are {len(found)} {table}, not {header[table]}")
    return SystemDatabase.restore(
        members=[_filed(key, records.decode_member(text)) for key, text in rows[MEMBERS].items()],
        pools=[_filed(key, records.decode_pool(text)) for key, text in rows[POOLS].items()],
        attributes=rows[ATTRIBUTES],
        domain_numbers=dict(
            sorted(((path, int(text)) for path, text in rows[FAULT_DOMAINS].items()), key=lambda item: item[1])
        ),
        next_rank=header["next_rank"],
        map_version=header["map_version"],
        version=header["version"],
    )


def write(
    connection: sqlite3.Connection, changes: Sequence[Change], base: SystemDatabase, result: SystemDatabase
) -> None:
    """The rows in which `result` differs from `base`, of which `changes` are what differs."""
    touched = _touched(changes)
    _write(connection, MEMBERS, touched.members, result.members, records.encode_member)
    _write(connection, POOLS, touched.pools, result.pools, records.encode_pool)
    _write(connection, ATTRIBUTES, touched.attributes, result.attributes, str)
    # Domains are only ever added, at the end.
    added = islice(result.domain_numbers.items(), len(base.domain_numbers), None)
    _put(connection, FAULT_DOMAINS, ((path, str(number)) for path, number in added))
    _put(connection, HEADER, [(_HEADER_KEY, _header_of(result))])


@dataclass(frozen=True, slots=True)
class _Touched:
    members: set[str]
    pools: set[str]
    attributes: set[str]


def _touched(changes: Iterable[Change]) -> _Touched:
    touched = _Touched(set(), set(), set())
    for change in changes:
        match change:
            case PutMember(member):
                touched.members.add(member.uuid)
            case RemoveMember(uuid):
                touched.members.add(uuid)
            case PutPool(pool):
                touched.pools.add(pool.uuid)
            case RemovePool(uuid):
                touched.pools.add(uuid)
            case SetAttributes(values):
                touched.attributes.update(values)
            case _:
                pass  # the header has it
    return touched


def _write(
    connection: sqlite3.Connection,
    table: str,
    keys: Iterable[str],
    values: Mapping[str, T],
    encode: Callable[[T], str],
) -> None:
    """Bring the rows of `keys` to what `values` says now, which may be that they are gone."""
    present = [key for key in keys if key in values]
    absent = [key for key in keys if key not in values]
    _put(connection, table, ((key, encode(values[key])) for key in present))
    connection.executemany(f"DELETE FROM {table} WHERE key = ?", ((key,) for key in absent))


def _put(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[str, str]]) -> None:
    connection.executemany(
        f"INSERT INTO {table} VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET record = excluded.record, checksum = excluded.checksum",
        ((key, record, _checksum(table, key, record)) for key, record in rows),
    )


def _rows(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    rows: dict[str, str] = {}
    for key, record, checksum in connection.execute(f"SELECT key, record, checksum FROM {table} ORDER BY key"):
        if checksum != _checksum(table, key, record):
            raise ValueError(f"the checksum of {key!r} in {table} is wrong")
        rows[key] = record
    return rows


def _checksum(table: str, key: str, record: str) -> int:
    return zlib.crc32("\0".join((table, key, record)).encode())


def _header_of(db: SystemDatabase) -> str:
    return records.encode(
        {
            "version": db.version,
            "map_version": db.map_version,
            "next_rank": db.next_rank,
            MEMBERS: len(db.members),
            POOLS: len(db.pools),
            ATTRIBUTES: len(db.attributes),
            FAULT_DOMAINS: len(db.domain_numbers),
        }
    )


def _read_header(connection: sqlite3.Connection) -> dict[str, int]:
    record = _rows(connection, HEADER).get(_HEADER_KEY)
    if record is None:
        raise ValueError("its header is missing")
    header: dict[str, int] = {}
    for name, value in records.decode(record, _HEADER_FIELDS).items():
        if not isinstance(value, int):
            raise ValueError(f"the header has {name} = {value!r}")
        header[name] = value
    return header


def _filed(key: str, record: R) -> R:
    """Pair assertion: a record belongs to the key that it is filed under."""
    if record.uuid != key:
        raise ValueError(f"the record of {record.uuid} is filed under {key}")
    return record
