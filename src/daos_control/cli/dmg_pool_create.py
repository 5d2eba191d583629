"""dmg pool create."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daos_control.cli import session
from daos_control.cli.dmg_pool import property_values
from daos_control.cli.parsing import Command, CommandLineError, Converted
from daos_control.cli.sizing import (
    DEFAULT_RATIOS,
    PoolSize,
    byte_size,
    memory_ratio,
    pool_size,
    pool_tier_ratios,
)
from daos_control.client.pool_types import PropertyValue
from daos_control.faults import ControlError
from daos_control.system import pool_properties
from daos_control.system.ranks import RankSet
from daos_control.system.sizes import format_decimal

if TYPE_CHECKING:
    pass


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _COUNT_MAX):
        raise ControlError(f'"{text}" is no number from 0 to {_COUNT_MAX}')
    return int(text)


_COUNT_MAX = 0xFFFFFFFF
_SIZE = Converted("size", byte_size)
_COUNT = Converted("number", _count)
_PRINCIPAL_MAX = 255
# Below this share of the first tier metadata does not fit where it is fast.
_LEAST_SCM_PERCENT = 1.0


def _principal(text: str) -> str:
    name = text if "@" in text else f"{text}@"
    if len(name) > _PRINCIPAL_MAX or name.count("@") != 1 or name.startswith("@"):
        raise ControlError(f'invalid ACL principal "{text}"')
    return name


@click.command("create", cls=Command)
@click.argument("label", metavar="<pool label>")
@click.option("-g", "--group", type=Converted("group", _principal), help="Owning group, as name@.")
@click.option("-u", "--user", type=Converted("user", _principal), help="Owning user, as name@.")
@click.option(
    "-P",
    "--properties",
    type=Converted("properties", property_values),
    default=(),
    help="Properties, as name:value,...",
)
@click.option("-a", "--acl-file", type=click.Path(path_type=Path), help="File with the access control list.")
@click.option(
    "-z", "--size", type=Converted("size", pool_size), help="Total size (2TB), or a share of what is free (50%)."
)
@click.option(
    "-t", "--tier-ratio", type=Converted("ratio", pool_tier_ratios), help="Percentages of the tiers (6,94)."
)
@click.option("-k", "--nranks", type=_COUNT, default=0, help="How many ranks to use.")
@click.option("-v", "--nsvc", type=_COUNT, default=0, help="How many service replicas.")
@click.option("-s", "--scm-size", type=_SIZE, help="SCM on each engine.")
@click.option("-n", "--nvme-size", type=_SIZE, help="NVMe on each engine; with --scm-size.")
@click.option("--meta-size", type=_SIZE, help="Metadata on the SSDs of each engine.")
@click.option("--data-size", type=_SIZE, help="Data on the SSDs of each engine; with --meta-size.")
@click.option(
    "--mem-ratio",
    type=Converted("ratio", memory_ratio),
    help="Share of the metadata to be kept in memory, in percent.",
)
@click.option("-r", "--ranks", type=session.RANKS, help="The ranks to use, as 0-3,5.")
def command(
    label: str,
    group: str | None,
    user: str | None,
    properties: tuple[PropertyValue, ...],
    acl_file: Path | None,
    size: PoolSize | None,
    tier_ratio: tuple[float, float] | None,
    nranks: int,
    nsvc: int,
    scm_size: int | None,
    nvme_size: int | None,
    meta_size: int | None,
    data_size: int | None,
    mem_ratio: float | None,
    ranks: RankSet | None,
) -> None:
    """Create a pool: of a share of the storage, of a total size, or of sizes for each engine."""
    from daos_control.cli import print_pool
    from daos_control.client.pool_create import CreateRequest, PerEngine, Share, Total, create, read_acl

    if any(item.which.name == "label" for item in properties):
        raise CommandLineError("can't set label property with label argument")
    if not label:
        raise CommandLineError("a pool cannot be created without a label")
    which = pool_properties.by_name("label")
    properties += (PropertyValue(which, which.parse(label)),)
    acl = read_acl(acl_file) if acl_file else ()
    per_engine = scm_size is not None or nvme_size is not None
    on_ssd = meta_size is not None or data_size is not None
    if per_engine + on_ssd + (size is not None) != 1:
        raise CommandLineError(
            "unsupported option combination, use (--scm-size and --nvme-size) or "
            "(--meta-size and --data-size) or (--size)"
        )
    out = session.console()
    wanted: Share | Total | PerEngine
    if size is not None and size.percent:
        _refuse("size=%", nranks=nranks, tier_ratio=tier_ratio)
        out.info(f"Creating DAOS pool with {size.percent}% of all storage")
        wanted = Share(size.percent / 100)
    elif size is not None:
        if nranks and ranks:
            raise session.exclusive("nranks", "ranks")
        wanted = Total(size.bytes, tier_ratio or DEFAULT_RATIOS)
        text = (
            f"Creating DAOS pool with automatic storage allocation: {format_decimal(size.bytes)} total, "
            f"{_first_tier_percent(*wanted.ratios):.2f}% storage tier ratio"
        )
        out.info(text + (f" with {nranks} ranks" if nranks else ""))
    else:
        if nranks:
            raise session.exclusive("nranks", "scm-size")
        if tier_ratio is not None:
            raise session.exclusive("tier-ratio", "scm-size")
        if on_ssd:
            mem_ratio = 1.0 if mem_ratio is None else mem_ratio
            wanted = PerEngine((meta_size or 0, data_size or 0))
            out.info(_on_ssd_text(meta_size or 0, data_size or 0, mem_ratio))
        else:
            if mem_ratio is not None:
                raise session.exclusive("mem-ratio", "scm-size", "nvme-size")
            if scm_size is None:
                raise CommandLineError("--nvme-size cannot be set without --scm-size")
            wanted = PerEngine((scm_size, nvme_size or 0))
            out.info(
                "Creating DAOS pool with manual per-engine storage allocation: "
                f"{format_decimal(scm_size)} SCM, {format_decimal(nvme_size or 0)} NVMe "
                f"({_first_tier_percent(scm_size, nvme_size or 0):.2f}% storage tier ratio)"
            )
    request = CreateRequest(
        size=wanted,
        properties=properties,
        user=user or "",
        group=group or "",
        acl=acl,
        ranks=ranks or RankSet(),
        count=nranks,
        service_replicas=nsvc,
        mem_ratio=mem_ratio or 0.0,
    )
    pool = session.run(partial(create, request=request), waiting=f"Creating pool {label}")
    out.document(pool)
    out.info(print_pool.created(pool))


def _refuse(name: str, *, nranks: int, tier_ratio: object) -> None:
    if nranks:
        raise session.exclusive(name, "nranks")
    if tier_ratio is not None:
        raise session.exclusive(name, "tier-ratio")


def _first_tier_percent(first: float, second: float) -> float:
    """The share of the first tier; says so where it is all, or too little."""
    out = session.console()
    if second <= 0:
        out.notice("Creating DAOS pool with only a single tier of storage")
        return 100.0
    share = 100.0 * first / (first + second)
    if share < _LEAST_SCM_PERCENT:
        out.notice(f"storage tier ratio is less than {_LEAST_SCM_PERCENT:.2f}%, DAOS performance will suffer!")
    return share


def _on_ssd_text(meta: int, data: int, mem_ratio: float) -> str:
    share = 100.0 * meta / data if data else float("inf")
    return (
        "Creating DAOS pool in MD-on-SSD mode with manual per-engine storage allocation: "
        f"{format_decimal(meta)} metadata, {format_decimal(data)} data ({share:.2f}% storage tier ratio) "
        f"and {100.0 * mem_ratio:.2f}% memory-file:meta-blob size ratio"
    )
