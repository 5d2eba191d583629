"""The system and its ranks as text."""

from collections.abc import Mapping, Sequence

from daos_control.cli.table import table
from daos_control.client.attributes import SystemProperty
from daos_control.client.model import plural, plural_word
from daos_control.client.system import (
    LeaderResponse,
    QueryResponse,
    RankOutcome,
    RanksResponse,
    group_members,
    state_title,
)
from daos_control.faults import ControlError
from daos_control.system.hosts import HostSet
from daos_control.system.ranks import RankSet

_POLICIES = ("exclude", "pool_exclude", "pool_rebuild")
_MEMBER_TITLES = ("Rank", "UUID", "Control Address", "Fault Domain", "State", "Reason")


def query(response: QueryResponse, *, verbose: bool) -> tuple[str, str]:
    """The members as (text, complaint): the ranks in each state, or one line for each."""
    complaint = absent_hosts(response.absent_hosts)
    if not response.members:
        text = "Query matches no ranks in system\n"
        complaint += absent_ranks(response.absent_ranks)
    elif verbose:
        rows = [
            dict(
                zip(
                    _MEMBER_TITLES,
                    (str(m.rank), m.uuid, m.addr, m.fault_domain, state_title(m.state), m.info),
                    strict=True,
                )
            )
            for m in response.members
        ]
        text = table(_MEMBER_TITLES, rows) + "\n"
        complaint += absent_ranks(response.absent_ranks)
    else:
        groups: dict[tuple[str, ...], RankSet] = {
            (name,): ranks for name, ranks in group_members(response.members).items()
        }
        if response.absent_ranks:
            groups[("Unknown Rank",)] = response.absent_ranks
        text = _grouped(("Rank", "State"), groups)
    return text + _disabled_policies(response.sys_self_heal_policy), complaint


def results(response: RanksResponse) -> tuple[str, str]:
    """What an operation did, as (text, complaint)."""
    if not response.results:
        complaint = absent_hosts(response.absent_hosts) + absent_ranks(response.absent_ranks)
        return "No results returned\n", complaint
    groups = _group_results(response.results)
    if response.absent_ranks:
        groups[("----", "Unknown Rank")] = response.absent_ranks
    return _grouped(("Rank", "Operation", "Result"), groups), absent_hosts(response.absent_hosts)


def leader(response: LeaderResponse) -> str:
    down = ", ".join(response.down_replicas)
    return (
        f"Current Leader: {response.current_leader}\n"
        f"   Replica Set: {', '.join(response.replicas)}\n"
        f"  Unresponsive Replicas: {down}\n"
    )


def properties(found: Sequence[SystemProperty]) -> str:
    if not found:
        return "No system properties found.\n"
    return table(["Name", "Value"], [{"Name": f"{p.description} ({p.key})", "Value": p.value} for p in found])


def attributes(found: Mapping[str, str]) -> str:
    if not found:
        return "No system attributes found.\n"
    return table(["Name", "Value"], [{"Name": name, "Value": value} for name, value in found.items()])


def absent_hosts(hosts: HostSet) -> str:
    return f"Unknown {plural(len(hosts), 'host')}: {hosts}\n" if hosts else ""


def absent_ranks(ranks: RankSet) -> str:
    return f"Unknown {plural(len(ranks), 'rank')}: {ranks}\n" if ranks else ""


def unset_policies(policy: str) -> list[str]:
    """The parts of the self-heal property that `policy` does not switch on."""
    return [name for name in _POLICIES if name not in policy.split(";")]


def _disabled_policies(policy: str) -> str:
    unset = unset_policies(policy)
    if not unset:
        return ""
    return f"System property self_heal {plural_word(len(unset), 'flag')} disabled: {', '.join(unset)}\n"


def _group_results(outcomes: Sequence[RankOutcome]) -> dict[tuple[str, ...], RankSet]:
    groups: dict[tuple[str, ...], RankSet] = {}
    seen: set[int] = set()
    for outcome in outcomes:
        if outcome.rank in seen:
            raise ControlError(f"the server gave two results for rank {outcome.rank}")
        seen.add(outcome.rank)
        key = (outcome.action, outcome.msg if outcome.errored else "OK")
        groups[key] = groups.get(key, RankSet()) | RankSet([outcome.rank])
    return groups


def _grouped(titles: Sequence[str], groups: Mapping[tuple[str, ...], RankSet]) -> str:
    """A line for each group, the largest first; ranks in the first column, in brackets if they are several."""
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [dict(zip(titles, (ranged(ranks), *names), strict=True)) for names, ranks in ordered]
    return table(titles, rows) + "\n"


def ranged(ranks: RankSet) -> str:
    """ "0" or "[0-3,5]"."""
    return str(ranks) if len(ranks) == 1 else ranks.ranged
