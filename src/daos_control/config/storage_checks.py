"""What an engine's storage tiers must be beside each other (config.md 4)."""

from collections.abc import Iterator

from daos_control.config.models import BDEV_CLASSES, EngineConfig, ServerConfig, StorageTier
from daos_control.config.problems import Finding, KeyPath, Notice, format_key
from daos_control.config.values import looks_like_pci
from daos_control.faults import serverconfig as faults

RAMDISK_GIB_MIN = 4
ROLES = ("wal", "meta", "data")
_TIERS_WITH_ROLES_MAX = 3

# Keys that only some classes look at; given elsewhere they are without effect, which DAOS does not mind.
_KEYS_OF = {
    "scm_mount": ("ram", "dcpm"),
    "scm_hugepages_disabled": ("ram",),
    "bdev_list": BDEV_CLASSES,
    "bdev_size": ("file",),
    "bdev_busid_range": ("nvme",),
    "bdev_roles": BDEV_CLASSES,
}


def check_engine_storage(config: ServerConfig, index: int) -> Iterator[Finding]:
    """Everything about the tiers of one engine."""
    engine = config.engines[index]
    path: KeyPath = ("engines", index, "storage")
    if not engine.storage:
        yield Finding(path, "the engine has no storage tiers", "a tier of class ram or dcpm, then block devices")
        return
    for number, tier in enumerate(engine.storage):
        yield from _check_tier(tier, (*path, number))
    yield from _check_order(engine, path)
    yield from _check_roles(engine, path)
    yield from _check_metadata(config, engine, path)


def _check_tier(tier: StorageTier, path: KeyPath) -> Iterator[Finding]:
    if not tier.class_:
        yield Finding((*path, "class"), "the tier has no class", "one of dcpm, ram, nvme, file, kdev")
    elif tier.is_scm:
        yield from _check_scm(tier, path)
    else:
        yield from _check_bdev(tier, path)


def _check_scm(tier: StorageTier, path: KeyPath) -> Iterator[Finding]:
    involves = (*path, "class")
    if tier.scm_mount is None:
        yield Finding(
            (*path, "scm_mount"), "the tier has no mount point", "a directory, as /mnt/daos", involves=(involves,)
        )
    elif not tier.scm_mount.is_absolute():
        what = f"the mount point {tier.scm_mount} is no absolute path"
        yield Finding((*path, "scm_mount"), what, "a directory from the root on, as /mnt/daos")
    if tier.class_ == "dcpm":
        if tier.scm_size:
            what = "cannot be set for class dcpm"
            yield Finding(
                (*path, "scm_size"), what, "remove it: the size is that of the device", involves=(involves,)
            )
        if len(tier.scm_list) != 1:
            what = f"class dcpm takes exactly one device, not {len(tier.scm_list)}"
            yield Finding((*path, "scm_list"), what, "as [/dev/pmem0]", involves=(involves,))
        return
    if tier.scm_list:
        yield Finding((*path, "scm_list"), "cannot be set for class ram", "remove it", involves=(involves,))
    if 0 < tier.scm_size < RAMDISK_GIB_MIN:
        fault = faults.ramdisk_too_small(tier.scm_size, RAMDISK_GIB_MIN)
        yield Finding.of(fault, (*path, "scm_size"), involves)


def _check_bdev(tier: StorageTier, path: KeyPath) -> Iterator[Finding]:
    involves = (*path, "class")
    where = (*path, "bdev_list")
    if not tier.bdev_list:
        what = f"class {tier.class_} needs devices"
        yield Finding(where, what, _devices_of(tier.class_), involves=(involves,))
    seen: set[str] = set()
    for number, device in enumerate(tier.bdev_list):
        if device in seen:
            yield Finding((*where, number), f"{device} stands in the list twice", "name each device once")
        seen.add(device)
        if not _suits(device, tier.class_):
            what = f"{device} is no device for class {tier.class_}"
            yield Finding((*where, number), what, _devices_of(tier.class_), involves=(involves,))
    if tier.class_ == "file" and not tier.bdev_size:
        yield Finding((*path, "bdev_size"), "class file needs the size of its files", "GiB", involves=(involves,))
    for number, role in enumerate(tier.bdev_roles):
        if role.lower() == "na":
            break
        if role and role not in ROLES:
            yield Finding.of(faults.unknown_option_flag(role, ROLES), (*path, "bdev_roles", number))


def _devices_of(storage_class: str) -> str:
    if storage_class == "nvme":
        return 'PCI addresses, as ["0000:81:00.0"]'
    if storage_class == "file":
        return "absolute paths of files, as [/var/daos/bdev0]"
    return "block devices, as [/dev/sdb]"


def _suits(device: str, storage_class: str) -> bool:
    if storage_class == "nvme":
        return looks_like_pci(device)
    if storage_class == "file":
        return device.startswith("/")
    return not looks_like_pci(device)


def _check_order(engine: EngineConfig, path: KeyPath) -> Iterator[Finding]:
    classes = tuple((*path, number, "class") for number in range(len(engine.storage)))
    places = [number for number, tier in enumerate(engine.storage) if tier.is_scm]
    if not places:
        yield Finding.of(faults.no_scm_tier(), path, *classes)
    elif places[0] != 0:
        yield Finding(classes[0], "the first storage tier is not SCM", "class ram or dcpm", involves=classes)
    for number in places[1:]:
        yield Finding(
            classes[number], "the engine has SCM already", "one tier of class ram or dcpm", involves=classes
        )
    kinds = {tier.class_ == "nvme" for tier in engine.bdevs}
    if len(kinds) == 2:
        yield Finding.of(faults.mixed_bdev_classes(), path, *classes)


def _check_roles(engine: EngineConfig, path: KeyPath) -> Iterator[Finding]:
    tiers = [(number, tier, _roles(tier)) for number, tier in enumerate(engine.storage) if tier.is_bdev]
    with_roles = [number for number, _, roles in tiers if roles]
    involves = tuple(
        part
        for number in range(len(engine.storage))
        for part in ((*path, number, "class"), (*path, number, "bdev_roles"))
    )
    if not with_roles:
        if len(tiers) > 1:
            yield Finding.of(faults.tiers_without_roles(len(tiers)), path, *involves)
        return
    missing = [number for number, _, roles in tiers if not roles]
    for number in missing:
        yield Finding.of(faults.roles_missing(), (*path, number), *involves)
    for number, _, roles in tiers:
        if roles == {"wal", "data"}:
            yield Finding.of(faults.wal_and_data_without_meta(), (*path, number, "bdev_roles"), *involves)
    scm = engine.scm
    if scm is not None and scm.class_ == "dcpm":
        yield Finding.of(faults.roles_with_dcpm(), (*path, with_roles[0], "bdev_roles"), *involves)
        return
    if len(tiers) > _TIERS_WITH_ROLES_MAX:
        yield Finding.of(faults.too_many_tiers_with_roles(len(tiers)), path, *involves)
    for role in ROLES:
        holders = [number for number, _, roles in tiers if role in roles]
        if len(holders) > 1 or (not holders and not missing):
            where = (*path, holders[1], "bdev_roles") if holders else (*path, with_roles[0], "bdev_roles")
            yield Finding.of(faults.role_count(role, len(holders)), where, *involves)


def _roles(tier: StorageTier) -> frozenset[str]:
    """The tier's roles; "na" ends the list (config.md 4)."""
    roles = []
    for role in tier.bdev_roles:
        if role.lower() == "na":
            break
        roles.append(role)
    return frozenset(roles) & frozenset(ROLES)


def tier_roles(tier: StorageTier) -> list[str]:
    """The tier's roles in the order in which DAOS writes them."""
    return sorted(_roles(tier))


def _check_metadata(config: ServerConfig, engine: EngineConfig, path: KeyPath) -> Iterator[Finding]:
    metadata: KeyPath = ("control_metadata", "path")
    involves = (metadata, *((*path, number, "bdev_roles") for number in range(len(engine.storage))))
    classes = tuple((*path, number, "class") for number in range(len(engine.storage)))
    has_meta = any("meta" in _roles(tier) for tier in engine.bdevs)
    if config.control_metadata.path is not None and not has_meta:
        yield Finding.of(faults.metadata_path_without_roles(), path, *involves, *classes)
    if config.control_metadata.path is None and has_meta:
        yield Finding.of(faults.roles_without_metadata_path(), path, *involves, *classes)


def storage_notices(engine: EngineConfig, path: KeyPath) -> Iterator[Notice]:
    """Keys that the class of their tier makes no use of."""
    for number, tier in enumerate(engine.storage):
        for name, classes in _KEYS_OF.items():
            if getattr(tier, name) not in (None, 0, []) and tier.class_ not in classes:
                where = format_key((*path, number, name))
                yield Notice(where, f"has no effect on class {tier.class_}")
        if tier.is_bdev and (tier.scm_size or tier.scm_list):
            yield Notice(
                format_key((*path, number)), f"scm_size and scm_list have no effect on class {tier.class_}"
            )
