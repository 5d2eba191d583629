"""What a decision returns: the changes to commit, and the answer to give once they are durable."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from daos_control.system.changes import Change

ResultT_co = TypeVar("ResultT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Decision(Generic[ResultT_co]):
    """The outcome of a `decide_*` function.

    `changes` turn the database that was decided against into the next one (none: nothing needs committing).
    `result` may be told to the caller only after they are durable. A refusal is an exception instead, and
    changes nothing.
    """

    changes: tuple[Change, ...]
    result: ResultT_co
