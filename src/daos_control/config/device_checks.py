"""Devices and mount points of a configuration beside each other: nothing may be used twice, under whatever name.

Two engines that name one device alike are told by `engine_checks`, one list that does by `storage_checks`.
"""

import os.path
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daos_control.config.models import ServerConfig
from daos_control.config.problems import Finding, KeyPath
from daos_control.faults import Code

_ONCE = "name each device once, by one of its names"


@dataclass(frozen=True, slots=True)
class Use:
    """A device, or the file of one: where it is named, and for what."""

    name: str
    where: KeyPath
    what: str

    @property
    def normal(self) -> str:
        return os.path.normpath(self.name) if self.name.startswith("/") else self.name

    def told_elsewhere(self, other: "Use") -> bool:
        """Whether the two are of one kind and spelt alike, in two engines or in one list."""
        same_list = self.where[:-1] == other.where[:-1]
        kinds = self.where[-2:-1] == other.where[-2:-1] and self.where[:2] != other.where[:2]
        return self.name == other.name and (same_list or kinds)


def uses(config: ServerConfig) -> Iterator[Use]:
    """All devices of the configuration, in its order."""
    if config.control_metadata.device is not None:
        yield Use(str(config.control_metadata.device), ("control_metadata", "device"), "that of control_metadata")
    for index, engine in enumerate(config.engines):
        for number, tier in enumerate(engine.storage):
            key = "scm_list" if tier.is_scm else "bdev_list"
            for item, name in enumerate(tier.scm_list if tier.is_scm else tier.bdev_list):
                where: KeyPath = ("engines", index, "storage", number, key, item)
                yield Use(str(name), where, f"that of engines[{index}].storage[{number}]")


def check_devices(config: ServerConfig) -> Iterator[Finding]:
    """Devices that are named more than once in the file."""
    yield from _twice(config, {use.name: use.normal for use in uses(config)})


def check_aliases(config: ServerConfig, identities: Mapping[str, Hashable]) -> Iterator[Finding]:
    """Devices that are named by several names. `identities` says of each name what is behind it on this host; names
    that are not in it stand for themselves."""
    found = {use.name: identities.get(use.name, use.normal) for use in uses(config)}
    yield from _twice(config, found, spelt_alike=False)


def _twice(
    config: ServerConfig, identities: Mapping[str, Hashable], *, spelt_alike: bool = True
) -> Iterator[Finding]:
    first: dict[Hashable, Use] = {}
    for use in uses(config):
        other = first.setdefault(identities[use.name], use)
        if other is use or other.told_elsewhere(use) or (not spelt_alike and other.normal == use.normal):
            continue
        same = "" if other.name == use.name else f" (named {other.name})"
        what = f"this device, {use.name}, is {other.what} already{same}"
        yield Finding(
            use.where, what, _ONCE, int(Code.SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST), involves=(other.where,)
        )


def check_mount_points(config: ServerConfig) -> Iterator[Finding]:
    """No mount point lies inside another: what is mounted there comes and goes with the engine. Equal ones are told
    by `engine_checks`."""
    found: list[tuple[Path, KeyPath, str]] = []
    for index, engine in enumerate(config.engines):
        for number, tier in enumerate(engine.storage):
            if tier.is_scm and tier.scm_mount is not None:
                where: KeyPath = ("engines", index, "storage", number, "scm_mount")
                found.append((Path(os.path.normpath(tier.scm_mount)), where, f"the scm_mount of engine {index}"))
    if config.control_metadata.path is not None:
        metadata = Path(os.path.normpath(config.control_metadata.path))
        found.append((metadata, ("control_metadata", "path"), "control_metadata.path"))
    for path, where, _ in found:
        for outer, other, what in found:
            equal = path == outer and where[0] != other[0]
            if other != where and (equal or (path != outer and path.is_relative_to(outer))):
                allowed = "directories none of which is in another; control metadata must outlast a RAM disk"
                yield Finding(where, f"{path} is in {outer}, {what}", allowed, involves=(other,))
