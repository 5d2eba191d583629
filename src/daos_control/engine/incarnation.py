"""The stamp of one start of an engine, in the form of DAOS's hybrid logical clock."""

_EPOCH_UNIX_SECONDS = 1_609_459_200  # 2021-01-01
_TICKS_PER_NANOSECOND = 16
_LOGICAL_BITS = 18
_LOGICAL_MASK = (1 << _LOGICAL_BITS) - 1


def next_incarnation(unix_ns: int, previous: int) -> int:
    """A stamp later than `previous`, and of this time where the clock allows: it grows even if the clock went back.

    The unit is a sixteenth of a nanosecond since 2021; the low 18 bits count events within one instant and stay 0.
    """
    ticks = (unix_ns - _EPOCH_UNIX_SECONDS * 1_000_000_000) * _TICKS_PER_NANOSECOND
    physical = max(ticks, 0) & ~_LOGICAL_MASK
    return max(physical, (previous & ~_LOGICAL_MASK) + _LOGICAL_MASK + 1)
