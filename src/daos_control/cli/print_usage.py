"""How full the storage is, as text: by host, or by rank and tier where metadata is on SSDs."""

from collections.abc import Sequence
from typing import Final

from daos_control.cli.print_hosts import shown_hosts
from daos_control.cli.table import Row, table
from daos_control.client.model import HostGroup
from daos_control.client.storage_types import HostStorage, NvmeController, Role, format_roles, nvme_bytes
from daos_control.faults import ControlError
from daos_control.system.member import NIL_RANK
from daos_control.system.sizes import format_decimal

Groups = Sequence[HostGroup[HostStorage]]

_TITLES: Final = ("SCM-Total", "SCM-Free", "SCM-Used", "NVMe-Total", "NVMe-Free", "NVMe-Used")


def by_host(groups: Groups) -> str:
    """Totals of SCM and NVMe for each group of hosts."""
    if not groups:
        return ""
    rows = []
    for group in groups:
        scm_total, scm_free, _ = group.content.scm_bytes()
        nvme_total, nvme_free, _ = nvme_bytes(group.content.nvme_devices)
        cells = (*_cells(scm_total, scm_free), *_cells(nvme_total, nvme_free))
        rows.append({"Hosts": shown_hosts(group.hosts), **dict(zip(_TITLES, cells, strict=True))})
    return table(["Hosts", *_TITLES], rows)


def by_rank(groups: Groups, *, usable: bool) -> str:
    """The roles of the tiers, and their use on each rank; `usable` shows what new pools could take.

    Raises ControlError where hosts do not have the same tiers.
    """
    if not groups:
        return ""
    tiers = _tiers(groups)
    roles = table(
        ["Tier", "Roles"],
        [{"Tier": f"T{n}", "Roles": format_roles(role)} for n, role in enumerate(tiers, start=1)],
    )
    ranks: dict[int, dict[Role, list[NvmeController]]] = {}
    for group in groups:
        for device in group.content.nvme_devices:
            if device.smd_devices and device.rank != NIL_RANK:
                of_rank = ranks.setdefault(device.rank, {})
                if device.role in tiers:
                    of_rank.setdefault(device.role, []).append(device)
    titles = ["Rank", *(title for n in range(1, len(tiers) + 1) for title in _tier_titles(n, usable=usable))]
    rows = [_rank_row(rank, ranks[rank], tiers, usable=usable) for rank in sorted(ranks)]
    return f"{roles}\n{table(titles, rows)}"


def _tiers(groups: Groups) -> list[Role]:
    """The roles of the tier with metadata and, where it is another one, of the tier with data."""
    found: list[Role] | None = None
    for group in groups:
        roles = [device.role for device in group.content.nvme_devices]
        meta = next((role for role in roles if Role.META in role), None)
        data = next((role for role in roles if Role.DATA in role and Role.META not in role), None)
        if meta is None:
            raise ControlError(f'hosts "{group.hosts}": no meta role detected')
        tiers = [meta] if data is None else [meta, data]
        if found not in (None, tiers):
            raise ControlError(f'hosts "{group.hosts}": roles inconsistent between hosts')
        found = tiers
    return found or []


def _rank_row(rank: int, devices: dict[Role, list[NvmeController]], tiers: Sequence[Role], *, usable: bool) -> Row:
    row = {"Rank": str(rank)}
    for n, role in enumerate(tiers, start=1):
        cells: tuple[str, ...] = ("-", "-", "-")
        if role in devices:
            total, free, can_use = nvme_bytes(devices[role])
            # What can be used is only worked out for tiers that hold data.
            metadata_only = Role.META in role and Role.DATA not in role
            cells = _cells(total, can_use if usable and not metadata_only else free)
        row |= dict(zip(_tier_titles(n, usable=usable), cells, strict=True))
    return row


def _tier_titles(n: int, *, usable: bool) -> list[str]:
    return [f"T{n}-Total", f"T{n}-Usable" if usable else f"T{n}-Free", f"T{n}-Usage"]


def _cells(total: int, free: int) -> tuple[str, str, str]:
    return format_decimal(total), format_decimal(free), _share(total - free, total)


def _share(part: int, total: int) -> str:
    return f"{int(part / total * 100)} %" if total else "N/A"
