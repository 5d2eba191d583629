"""The real clock."""

from datetime import UTC, datetime


class SystemClock:
    """`edges.Clock` on the host's time of day."""

    def now(self) -> datetime:
        return datetime.now(UTC)
