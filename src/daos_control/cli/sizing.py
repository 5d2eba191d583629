"""Sizes and shares as they are given on the command line of pool create."""

from dataclasses import dataclass

from daos_control.faults import ControlError
from daos_control.system import sizes

DEFAULT_RATIOS = (0.06, 0.94)


@dataclass(frozen=True, slots=True)
class PoolSize:
    """A total in bytes, or a percentage of what there is."""

    bytes: int = 0
    percent: int = 0


def byte_size(text: str) -> int:
    """Bytes of "4096", "2GB", "512MiB"."""
    if not text:
        raise ControlError("no size specified")
    try:
        return sizes.parse(text)
    except ControlError:
        raise ControlError(f'invalid size "{text}"') from None


def pool_size(text: str) -> PoolSize:
    """A size, or "50%"."""
    stripped = text.strip()
    if not stripped.endswith("%"):
        return PoolSize(bytes=byte_size(text))
    digits = stripped[:-1].strip()
    if not (digits.isascii() and digits.isdigit()):
        raise ControlError(f'invalid pool size ratio "{text}"')
    percent = int(digits)
    if not 0 < percent <= 100:
        raise ControlError(
            f"Creating DAOS pool with invalid full size ratio {text}: allowed range 0 < ratio <= 100"
        )
    return PoolSize(percent=percent)


def tier_ratios(text: str) -> tuple[float, ...]:
    """Fractions of "6,94" (percent); one below 100 is followed by the rest."""
    if not text:
        raise ControlError("no tier ratio specified")
    ratios = []
    for part in text.split(","):
        try:
            ratios.append(round(float(part.strip("%").strip()), 2) / 100)
        except ValueError:
            raise ControlError(f'invalid tier ratio "{part}"') from None
    if len(ratios) == 1 and ratios[0] < 1:
        ratios.append(1 - ratios[0])
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise ControlError("Storage tier ratio must be a value between 0-100")
    if abs(sum(ratios) - 1) > 0.01:
        raise ControlError(f"Storage tier ratios must add up to 100 (got {sum(ratios) * 100:f})")
    return tuple(ratios)


def pool_tier_ratios(text: str) -> tuple[float, float]:
    """Fractions of the two tiers of a pool."""
    ratios = tier_ratios(text)
    if len(ratios) > 2:
        raise ControlError(f"a pool has two storage tiers, not {len(ratios)}")
    return ratios[0], ratios[1] if len(ratios) == 2 else 0.0


def memory_ratio(text: str) -> float:
    """The share of a pool's metadata that is kept in memory, of "50", "50%" or "50,50"."""
    ratios = tier_ratios(text)
    if len(ratios) != 2 and ratios[0] < 1:
        raise ControlError(f"want 2 ratio values got {len(ratios)}")
    return ratios[0]


def percent(ratio: float) -> str:
    """ "6.00%"."""
    return f"{ratio * 100:.2f}%"
