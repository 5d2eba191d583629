"""Pools as text."""

from collections.abc import Sequence

from daos_control.cli.print_system import ranged, unset_policies
from daos_control.cli.sizing import percent
from daos_control.cli.table import Row, entity, table
from daos_control.client.model import plural_word
from daos_control.client.pool_types import CreatedPool, PoolInfo, PoolList, PropertyValue, QueryMask, TierStats
from daos_control.faults import ControlError
from daos_control.system.ranks import RankSet
from daos_control.system.sizes import format_decimal


def created(pool: CreatedPool) -> str:
    """What was created, with its sizes in all and per rank."""
    if not pool.tier_bytes:
        raise ControlError("create response had 0 storage tiers")
    if not pool.tgt_ranks:
        raise ControlError("create response had 0 target ranks")
    ranks = len(pool.tgt_ranks)
    per_rank = sum(pool.tier_bytes)
    ratios = [size / per_rank if per_rank else 0.0 for size in pool.tier_bytes]
    rows = [
        ("UUID", pool.uuid),
        ("Service Leader", str(pool.svc_ldr)),
        ("Service Ranks", ranged(RankSet(pool.svc_reps))),
        ("Storage Ranks", ranged(RankSet(pool.tgt_ranks))),
        ("Total Size", format_decimal(per_rank * ranks)),
    ]
    for index, size in enumerate(pool.tier_bytes):
        if pool.md_on_ssd_active:
            name = f"{'Data' if index else 'Metadata'} Storage"
        else:
            name = f"Storage tier {index} ({'NVMe' if index else 'SCM'})"
        rows.append((name, _per_rank(size, ranks)))
    if pool.md_on_ssd_active:
        rows.append(("Memory File Size", _per_rank(pool.mem_file_bytes, ranks)))
    title = f"Pool created with {','.join(percent(ratio) for ratio in ratios)} storage tier ratio"
    return entity(title, rows) + "\n"


def info(pool: PoolInfo) -> str:
    """All that a query of a pool tells."""
    text = (
        f"Pool {pool.uuid}, ntarget={pool.total_targets}, disabled={pool.disabled_targets}, "
        f"leader={pool.svc_ldr}, version={pool.version}, state={pool.state}\n"
    )
    if pool.pool_layout_ver != pool.upgrade_layout_ver:
        text += (
            f"Pool layout out of date ({pool.pool_layout_ver} < {pool.upgrade_layout_ver})"
            " -- see `dmg pool upgrade` for details.\n"
        )
    text += "Pool health info:\n" + _health(pool)
    if QueryMask.SPACE in pool.query_mask and pool.tier_stats:
        text += f"Pool space info:\n- Target count:{pool.active_targets}\n"
        if pool.md_on_ssd_active:
            text += f"- Total memory-file size: {format_decimal(pool.mem_file_bytes)}\n"
        for index, tier in enumerate(pool.tier_stats):
            if pool.md_on_ssd_active:
                text += f"- {'Data' if index else 'Metadata'} storage:\n"
            else:
                media = tier.media_type.upper() if index < 2 else "UNKNOWN"
                text += f"- Storage tier {index} ({media}):\n"
            text += _tier(tier)
    return text + _disabled_policies(pool)


def pools(found: PoolList, *, verbose: bool) -> str:
    """One line for each pool that could be queried."""
    shown = [pool for pool in found.pools if pool.uuid not in found.query_errors]
    if not shown:
        return "No pools in system\n"
    return (_verbose_list(shown) if verbose else _list(shown)) + "\n"


def properties(pool: str, found: Sequence[PropertyValue]) -> str:
    rows = [{"Name": f"{p.which.description} ({p.which.name})", "Value": p.text} for p in found]
    return f"Pool {pool} properties:\n" + table(["Name", "Value"], rows)


def _health(pool: PoolInfo) -> str:
    text = ""
    if pool.enabled_ranks:
        text += f"- Enabled ranks: {pool.enabled_ranks}\n"
    if pool.disabled_ranks:
        text += f"- Disabled ranks: {pool.disabled_ranks}\n"
    if QueryMask.DEAD_ENGINES in pool.query_mask and pool.dead_ranks:
        text += f"- Dead ranks: {pool.dead_ranks}\n"
    rebuild = pool.rebuild
    if rebuild is None:
        return text + "- No rebuild status available.\n"
    if rebuild.status == 0:
        text += f"- Rebuild {rebuild.state}, {rebuild.objects} objs, {rebuild.records} recs\n"
    else:
        text += f"- Rebuild {rebuild.derived_state} (state={rebuild.state}, status={rebuild.status})\n"
    return text + f"- Data redundancy: {'degraded' if rebuild.degraded else 'normal'}\n"


def _tier(tier: TierStats) -> str:
    free, least, most, mean = (format_decimal(n) for n in (tier.free, tier.min, tier.max, tier.mean))
    return f"  Total size: {format_decimal(tier.total)}\n  Free: {free}, min:{least}, max:{most}, mean:{mean}\n"


def _disabled_policies(pool: PoolInfo) -> str:
    """What the pool does not do by itself because the system's or its own policy has it off."""
    in_system = unset_policies(pool.sys_self_heal_policy)
    in_pool = pool.self_heal_policy.split(";")
    text = ""
    for name in ("exclude", "rebuild"):
        who = [
            *(["system"] if f"pool_{name}" in in_system else []),
            *(["pool"] if name not in in_pool else []),
        ]
        if who:
            text += f"{name} disabled on pool due to [{' '.join(sorted(who))}] "
            text += f"{plural_word(len(who), 'policy', 'policies')}\n"
    return text


def _list(found: Sequence[PoolInfo]) -> str:
    with_space = any(QueryMask.SPACE in pool.query_mask for pool in found)
    with_upgrade = any(pool.pool_layout_ver != pool.upgrade_layout_ver for pool in found)
    titles = ["Pool", "State"]
    if with_space:
        titles = ["Pool", "Size", "State", "Used", "Imbalance", "Disabled"]
    if with_upgrade:
        titles.append("UpgradeNeeded?")
    return table(titles, [_row(pool, with_space=with_space) for pool in found])


def _row(pool: PoolInfo, *, with_space: bool) -> Row:
    """Sizes are those of the last tier that has any."""
    row = {"Pool": pool.name, "State": str(pool.state), "UpgradeNeeded?": _upgrade(pool)}
    if with_space:
        tier = next((t for t in reversed(pool.usage) if t.size), None)
        used = max(int((tier.size - tier.free) / tier.size * 100), 0) if tier else 0
        row |= {
            "Size": format_decimal(tier.size if tier else 0),
            "Used": f"{used}%",
            "Imbalance": f"{tier.imbalance if tier else 0}%",
            "Disabled": f"{pool.disabled_targets}/{pool.total_targets}",
        }
    return row


def _verbose_list(found: Sequence[PoolInfo]) -> str:
    titles = ["Label", "UUID", "State", "SvcReps"]
    queried = next((pool for pool in found if QueryMask.SPACE in pool.query_mask), None)
    tiers: list[str] = []
    if queried is not None:
        names = [tier.tier_name for tier in queried.usage]
        if queried.md_on_ssd_active:
            names = ["Data" if index else "Meta" for index in range(len(names))]
        tiers = [f"{name} {what}" for name in names for what in ("Size", "Used", "Imbalance")]
        titles += [*tiers, "Disabled", "UpgradeNeeded?"]
    if any(QueryMask.REBUILD in pool.query_mask for pool in found):
        titles.append("Rebuild State")
    return table(titles, [_verbose_row(pool, tiers) for pool in found])


def _verbose_row(pool: PoolInfo, tiers: Sequence[str]) -> Row:
    cells = [
        cell
        for tier in pool.usage
        for cell in (format_decimal(tier.size), format_decimal(tier.size - tier.free), f"{tier.imbalance}%")
    ]
    return {
        "Label": pool.label or "-",
        "UUID": pool.uuid,
        "State": str(pool.state),
        "SvcReps": ranged(RankSet(pool.svc_reps)) if pool.svc_reps else "N/A",
        "Disabled": f"{pool.disabled_targets}/{pool.total_targets}",
        "UpgradeNeeded?": _upgrade(pool),
        "Rebuild State": str(pool.rebuild.state) if pool.rebuild else "Unknown",
        **dict(zip(tiers, cells, strict=False)),
    }


def _upgrade(pool: PoolInfo) -> str:
    if pool.pool_layout_ver == pool.upgrade_layout_ver:
        return "None"
    return f"{pool.pool_layout_ver}->{pool.upgrade_layout_ver}"


def _per_rank(size: int, ranks: int) -> str:
    return f"{format_decimal(size * ranks)} ({format_decimal(size)} / rank)"
