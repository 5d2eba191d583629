"""Which clusters of a block device belong to whom. Pure: no device is touched here."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass

CLUSTER_BYTES = 4 << 20


class NoSpaceError(Exception):
    """Fewer clusters are free than asked for."""


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """A run of clusters: `start` is the first one, `count` at least 1."""

    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def offset_bytes(self) -> int:
        return self.start * CLUSTER_BYTES

    @property
    def length_bytes(self) -> int:
        return self.count * CLUSTER_BYTES


class ExtentMap:
    """The free clusters of one device.

    Invariant: free runs are sorted, inside the device, and neither overlap nor touch. What is in use is not kept
    here: each pool's own record lists its extents, and `reserve` takes them out again after a start. So nothing can
    leak: clusters that no record lists are free.
    """

    def __init__(self, clusters: int) -> None:
        self.clusters = clusters
        self._free: list[Extent] = [Extent(0, clusters)] if clusters > 0 else []

    @property
    def free_clusters(self) -> int:
        return sum(run.count for run in self._free)

    def allocate(self, count: int) -> tuple[Extent, ...]:
        """Take `count` clusters: the smallest run that holds them all, else the largest runs one after another.

        Raises NoSpaceError, taking nothing.
        """
        if count < 1:
            raise ValueError("at least one cluster must be asked for")
        if count > self.free_clusters:
            raise NoSpaceError(f"{count} clusters wanted, {self.free_clusters} of {self.clusters} free")
        fitting = min((run for run in self._free if run.count >= count), key=lambda run: run.count, default=None)
        chosen = [fitting] if fitting else sorted(self._free, key=lambda run: -run.count)
        taken: list[Extent] = []
        for run in chosen:
            part = Extent(run.start, min(run.count, count))
            self.reserve(part)
            taken.append(part)
            count -= part.count
            if count == 0:
                break
        return tuple(taken)

    def reserve(self, extent: Extent) -> None:
        """Take exactly these clusters. Raises ValueError where one of them is not free."""
        index = bisect_left(self._free, extent.start + 1, key=lambda run: run.start) - 1
        run = self._free[index] if index >= 0 else None
        if run is None or extent.count < 1 or extent.end > run.end:
            raise ValueError(f"clusters {extent.start}..{extent.end - 1} are not free")
        rest = (Extent(run.start, extent.start - run.start), Extent(extent.end, run.end - extent.end))
        self._free[index : index + 1] = [part for part in rest if part.count]

    def release(self, extents: Iterable[Extent]) -> None:
        """Give clusters back. Raises ValueError where one of them is free or outside of the device."""
        for extent in extents:
            index = bisect_left(self._free, extent)
            before = self._free[index - 1] if index > 0 else None
            after = self._free[index] if index < len(self._free) else None
            overlaps = (before is not None and before.end > extent.start) or (
                after is not None and extent.end > after.start
            )
            if overlaps or extent.start < 0 or extent.count < 1 or extent.end > self.clusters:
                raise ValueError(f"clusters {extent.start}..{extent.end - 1} are not in use")
            start, end = extent.start, extent.end
            if before is not None and before.end == start:
                self._free.remove(before)
                start = before.start
            if after is not None and after.start == end:
                self._free.remove(after)
                end = after.end
            insort(self._free, Extent(start, end - start))

    def check_invariants(self) -> None:
        end = -1
        for run in self._free:
            if run.count < 1 or run.start <= end or run.end > self.clusters:
                raise AssertionError(f"free runs are broken at {run}")
            end = run.end
