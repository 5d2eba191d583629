"""The error types that a person, or a peer on the wire, can meet."""

import json
from typing import Final

from daos_control.faults.code import Code
from daos_control.faults.status import Status, describe


class Fault(Exception):
    """An error that says what happened and what to do about it.

    `domain` is the DAOS fault domain ("storage", "server", ...). `reason` is an optional further detail that DAOS
    carries beside the description. Faults are equal when their code is.
    """

    def __init__(self, domain: str, code: Code | int, description: str, resolution: str, reason: str = "") -> None:
        super().__init__(description)
        self.domain: Final = domain
        self.code: Final = int(code)
        self.description: Final = description
        self.resolution: Final = resolution
        self.reason: Final = reason

    def __str__(self) -> str:
        """The text form of DAOS: `domain: code = N description = "..."`."""
        domain = "_".join(self.domain.replace(":", " ").split()) or "unknown"
        return f"{domain}: code = {self.code} description = {json.dumps(self.description, ensure_ascii=False)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and other.code == self.code

    def __hash__(self) -> int:
        return hash(self.code)


class ControlError(Exception):
    """An error with a text only: DAOS has no number for it, and its peers match it by its text."""


class RemoteError(ControlError):
    """An error of a peer that came as a gRPC status without details: its code ("Unknown") and its text.

    The text form is that of DAOS's tools: `rpc error: code = Unknown desc = ...`.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {text}")
        self.code: Final = code
        self.text: Final = text


class UnimplementedError(ControlError):
    """The peer, or this server, does not know the method."""


class DaosError(Exception):
    """A DAOS status (DER_*, negative) that an engine or a management service answered."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(f"{detail}: {describe(status)}" if detail else describe(status))
        self.status: Final = Status(status) if status in Status._value2member_map_ else status


class NotReplicaError(Exception):
    """The server asked is no management-service replica; `replicas` ("ip:port") are."""

    def __init__(self, replicas: tuple[str, ...]) -> None:
        super().__init__("this server is no management service replica (try one of: " + ", ".join(replicas) + ")")
        self.replicas: Final = replicas


class NotLeaderError(Exception):
    """The replica asked is not the leader; `leader_hint` ("ip:port") may be, or is empty."""

    def __init__(self, leader_hint: str, replicas: tuple[str, ...]) -> None:
        hint = leader_hint or "unknown"
        super().__init__(f"this replica is not the management service leader (leader: {hint})")
        self.leader_hint: Final = leader_hint
        self.replicas: Final = replicas


class PoolNotFoundError(Exception):
    """No pool service is known by this uuid, label or rank (the other two are empty)."""

    def __init__(self, *, uuid: str = "", label: str = "", rank: int | None = None) -> None:
        if label:
            what = f"label {json.dumps(label)}"
        elif rank is not None:
            what = f"rank {rank}"
        else:
            what = f"uuid {uuid}"
        super().__init__(f"unable to find pool service with {what}")
        self.uuid: Final = uuid
        self.label: Final = label
        self.rank: Final = rank


# Texts that DAOS's clients look for when they decide whether to try again (membership.md 7.2).
RAFT_UNAVAILABLE = "raft service unavailable (not started yet?)"
STEP_UP_IN_PROGRESS = "leader step-up in progress (try again)"
UNINITIALIZED = "system is uninitialized (storage format required?)"
EMPTY_GROUP_MAP = "empty group map (all ranks excluded?)"


class SystemUnavailableError(ControlError):
    """The management service cannot answer now; asking again may help. `text` is one of the constants above."""


class SystemUninitializedError(ControlError):
    """No storage of the replica is formatted yet, so there is no system to ask."""

    def __init__(self) -> None:
        super().__init__(UNINITIALIZED)
