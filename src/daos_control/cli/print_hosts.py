"""Answers and errors of many hosts, as text and as JSON."""

from collections.abc import Sequence

from daos_control.cli import gojson
from daos_control.cli.table import indent, table
from daos_control.client.model import HostErrorGroup, HostGroup, HostsResponse, T, describe_error
from daos_control.system.hosts import HostSet


def shown_hosts(hosts: HostSet) -> str:
    """Hosts without their ports, which are the same for all."""
    shown = []
    for part in str(hosts).split(","):
        name, colon, port = part.partition(":")
        shown.append(name if colon and ":" not in port else part)
    return ",".join(shown)


def host_errors(response: HostsResponse) -> str:
    """The hosts that failed, and how; "" where none did."""
    if not response.host_errors:
        return ""
    return f"Errors:\n{indent(error_table(response.host_errors))}\n"


def error_table(errors: Sequence[HostErrorGroup]) -> str:
    rows = [{"Hosts": shown_hosts(group.hosts), "Error": describe_error(group.error)} for group in errors]
    return table(["Hosts", "Error"], rows)


def hosts_json(
    response: HostsResponse,
    name: str,
    groups: Sequence[HostGroup[T]] | None,
    *,
    content: str = "storage",
    host_set: str = "hosts",
) -> dict[str, object]:
    """The errors by text, and under `name` the answers by the number that stands for each."""
    errors = {str(group.error): str(group.hosts) for group in response.host_errors}
    answers: dict[str, object] | None = None
    if groups is not None:
        by_key = {str(group.key): group for group in groups}
        answers = {
            key: {content: gojson.encode(by_key[key].content), host_set: str(by_key[key].hosts)}
            for key in sorted(by_key)
        }
    return {"host_errors": dict(sorted(errors.items())), name: answers}
