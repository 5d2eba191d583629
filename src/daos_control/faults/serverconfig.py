"""Faults of daos_server.yml: what its values, or the machine beside them, get wrong.

Those of the domain "storage" are about an engine's storage tiers as configured; what goes wrong with the storage
itself is in the modules of storage and bdev.
"""

from daos_control.faults.code import Code
from daos_control.faults.core import Fault

_GIB = 1 << 30


def _config(code: Code, description: str, resolution: str) -> Fault:
    return Fault("serverconfig", code, description, resolution)


def _storage(code: Code, description: str, resolution: str) -> Fault:
    return Fault("storage", code, description, resolution)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB"


# The file as a whole.


def bad_config(what: str, resolution: str = "correct the configuration file") -> Fault:
    return _config(Code.SERVER_BAD_CONFIG, what, resolution)


def no_config_path(tried: tuple[str, ...] = ()) -> Fault:
    where = f" (looked for {' and '.join(tried)})" if tried else ""
    return _config(
        Code.SERVER_NO_CONFIG_PATH,
        f"no configuration file was found{where}",
        "give the path of the server's configuration file with -o",
    )


# Addresses.


def bad_control_port(what: str) -> Fault:
    return _config(Code.SERVER_CONFIG_BAD_CONTROL_PORT, what, "a port number from 1 to 65535")


def bad_telemetry_port(port: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_BAD_TELEMETRY_PORT,
        f"{port} is no port to serve metrics on",
        "0 for no metrics, or a port number up to 65535",
    )


def bad_replicas(what: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
        what,
        "each entry of mgmt_svc_replicas is a resolvable host, or host:port, and stands there once",
    )


def even_replicas(count: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_EVEN_MGMT_SVC_REPLICAS,
        f"there are {count} management service replicas, and an even number of them cannot outvote a split",
        "name 1, 3 or 5 hosts",
    )


def no_provider() -> Fault:
    return _config(
        Code.SERVER_CONFIG_BAD_PROVIDER,
        "no fabric provider is set",
        "set provider, as ofi+tcp; `daos_server network scan -p all` lists what this machine has",
    )


def bad_control_interface(interface: str, why: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_BAD_CONTROL_INTERFACE,
        f"the control plane cannot listen on the interface {interface}: {why}",
        "set control_iface to a network interface of this host that has an IPv4 address",
    )


def control_interface_mismatch(interface_address: str, replica_address: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH,
        f"control_iface has the address {interface_address}, but this host is in mgmt_svc_replicas as"
        f" {replica_address}",
        "name the same address in both",
    )


# Engines beside each other.


def duplicate_fabric(a: int, b: int, interface: str, port: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_DUPLICATE_FABRIC,
        f"engine {a} has the fabric interface {interface} and port {port} of engine {b}",
        "give each engine on one interface a fabric_iface_port of its own",
    )


def duplicate_log_file(a: int, b: int, path: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_DUPLICATE_LOG_FILE,
        f"engine {a} writes to the log file of engine {b}, {path}",
        "give each engine a log_file of its own",
    )


def duplicate_scm_mount(a: int, b: int, path: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_DUPLICATE_SCM_MOUNT,
        f"engine {a} mounts its SCM where engine {b} does, at {path}",
        "give each engine an scm_mount of its own",
    )


def duplicate_scm_device(a: int, b: int, device: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_DUPLICATE_SCM_DEVICE_LIST,
        f"engine {a} uses the SCM device {device} of engine {b}",
        "give each engine an SCM device of its own",
    )


def overlapping_bdevs(a: int, b: int, device: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST,
        f"engine {a} uses the block device {device} of engine {b}",
        "name each device in the bdev_list of one engine only",
    )


def bdev_count_mismatch(a: int, a_count: int, b: int, b_count: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_BDEV_COUNT_MISMATCH,
        f"engine {a} has {a_count} block devices, engine {b} has {b_count}",
        "engines with equal numbers of devices share the load evenly",
    )


def target_count_mismatch(a: int, a_count: int, b: int, b_count: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_TARGET_COUNT_MISMATCH,
        f"engine {a} has {a_count} targets, engine {b} has {b_count}",
        "all engines of a server have the same number of targets",
    )


def helper_count_mismatch(a: int, a_count: int, b: int, b_count: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_HELPER_STREAM_COUNT_MISMATCH,
        f"engine {a} has {a_count} helper streams, engine {b} has {b_count}",
        "all engines of a server have the same nr_xs_helpers",
    )


def scm_class_mismatch(a: int, a_class: str, b: int, b_class: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_SCM_DIFF_CLASS,
        f"engine {a} has SCM of class {a_class}, engine {b} of class {b_class}",
        "all engines of a server have SCM of the same class",
    )


def scm_huge_pages_mismatch(a: int, b: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_SCM_HUGE_ENABLED,
        f"engine {a} and engine {b} differ in scm_hugepages_disabled",
        "set it to the same value for all engines of a server, or leave it out of all of them",
    )


def numa_imbalance(engines_by_node: dict[int, int]) -> Fault:
    spread = ", ".join(f"{count} on node {node}" for node, count in sorted(engines_by_node.items()))
    return _config(
        Code.SERVER_CONFIG_ENGINE_NUMA_IMBALANCE,
        f"the engines are spread unevenly over the NUMA nodes: {spread}",
        "spread them evenly, or set allow_numa_imbalance to true",
    )


# Fault domains.


def bad_fault_domain(why: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_DOMAIN_INVALID,
        f"this is no fault domain: {why}",
        "one or two levels, as /rack1/host7 or /rack=1/host=7",
    )


def fault_domain_too_deep(levels: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_DOMAIN_TOO_MANY_LAYERS,
        f"the fault domain has {levels} levels",
        "at most two levels, as /rack1/host7",
    )


def fault_path_and_callback() -> Fault:
    return _config(
        Code.SERVER_CONFIG_BOTH_FAULT_PATH_AND_CB,
        "fault_path and fault_cb are both set",
        "set one of them",
    )


def fault_callback_missing(path: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_CALLBACK_NOT_FOUND,
        f"the fault domain program {path} does not exist",
        "set fault_cb to an executable file",
    )


def fault_callback_insecure(path: str, why: str, directory: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_CALLBACK_INSECURE,
        f"the fault domain program {path} will not be run: {why}",
        f"keep it under {directory} as a regular file without set-uid that only its owner may write",
    )


def fault_callback_permissions(path: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_CALLBACK_BAD_PERMS,
        f"the fault domain program {path} may not be run by this server",
        "make it readable and executable for the user of daos_server",
    )


def fault_callback_failed(path: str, why: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_CALLBACK_FAILED,
        f"the fault domain program {path} failed: {why}",
        "run it by hand as the user of daos_server, and correct it",
    )


def fault_callback_empty(path: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_FAULT_CALLBACK_EMPTY,
        f"the fault domain program {path} printed nothing",
        "it must print the fault domain of this host, as /rack1/host7",
    )


# Memory.


def huge_pages_out_of_range(count: int, count_max: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_NR_HUGEPAGES_OUT_OF_RANGE,
        f"{count} huge pages cannot be asked for",
        f"0 for automatic, or a number up to {count_max}",
    )


def huge_pages_disabled_with_nvme() -> Fault:
    return _config(
        Code.SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NVME_BDEVS,
        "huge pages are disabled, but NVMe devices are configured, which need them",
        "set disable_hugepages to false, or remove the tiers of class nvme",
    )


def huge_pages_disabled_with_count() -> Fault:
    return _config(
        Code.SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NR_SET,
        "huge pages are disabled, but nr_hugepages asks for some",
        "remove nr_hugepages, or set disable_hugepages to false",
    )


def no_reserved_memory(gib: int) -> Fault:
    return _config(
        Code.SERVER_CONFIG_SYS_RSVD_ZERO,
        f"{gib} GiB of memory cannot be reserved for the system",
        "1 GiB or more",
    )


def ramdisk_too_small(size_gib: int, size_gib_min: int) -> Fault:
    return _storage(
        Code.SERVER_CONFIG_RAMDISK_UNDER_MIN_MEM,
        f"a RAM disk of {size_gib} GiB is too small for an engine",
        f"{size_gib_min} GiB or more, or leave scm_size out to have it computed",
    )


def ramdisk_too_large(size_bytes: int, size_bytes_max: int, size_bytes_min: int, why: str) -> Fault:
    """`why` says how the largest size comes about."""
    return _config(
        Code.SERVER_CONFIG_RAMDISK_OVER_MAX_MEM,
        f"a RAM disk of {_gib(size_bytes)} is more than this host's memory allows, {_gib(size_bytes_max)}: {why}",
        f"set scm_size between {_gib(size_bytes_min)} and {_gib(size_bytes_max)}, or leave it out",
    )


# Block devices and metadata.


def excluded_bdev_used(device: str) -> Fault:
    return _config(
        Code.SERVER_CONFIG_BDEV_EXCLUDE_CLASH,
        f"the device {device} is excluded by bdev_exclude, and used",
        "remove it from bdev_exclude, or from the bdev_list",
    )


def metadata_device_without_path() -> Fault:
    return _config(
        Code.SERVER_CONFIG_CONTROL_METADATA_NO_PATH,
        "control_metadata has a device, but no path to mount it at",
        "set control_metadata.path",
    )


def hotplug_set_twice() -> Fault:
    return _config(
        Code.SERVER_CONFIG_ENABLE_HOTPLUG_DEPRECATED,
        "enable_hotplug and disable_hotplug are both set",
        "remove enable_hotplug, which is the deprecated one",
    )


def no_scm_tier() -> Fault:
    return _storage(
        Code.SCM_CONFIG_TIER_MISSING,
        "no storage tier is SCM",
        "make the first tier one of class ram or dcpm",
    )


def unknown_accel_engine(name: str) -> Fault:
    return _storage(
        Code.BDEV_ACCEL_ENGINE_UNKNOWN,
        f"{name} is no acceleration engine",
        "one of none, spdk, dml",
    )


def unknown_option_flag(name: str, known: tuple[str, ...]) -> Fault:
    return _storage(
        Code.BDEV_CONFIG_OPT_FLAG_UNKNOWN,
        f"{name} is not known here",
        "any of " + ", ".join(known),
    )


def mixed_bdev_classes() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_TIER_TYPE_MISMATCH,
        "tiers of class nvme and tiers of class file or kdev stand in one engine",
        "use either NVMe devices or emulated ones",
    )


def roles_with_dcpm() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_ROLES_WITH_DCPM,
        "bdev_roles and control_metadata need SCM of class ram, not dcpm",
        "remove the roles and control_metadata, or use class ram for the first tier",
    )


def role_count(role: str, count: int) -> Fault:
    return _storage(
        Code.BDEV_CONFIG_ROLES_BAD_NR,
        f"the role {role} is given to {count} tiers" if count else f"no tier has the role {role}",
        "give each of wal, meta and data to exactly one tier",
    )


def roles_missing() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_ROLES_MISSING,
        "this tier has no bdev_roles, and others of the engine have some",
        "give roles to all block device tiers of an engine, or to none",
    )


def tiers_without_roles(count: int) -> Fault:
    return _storage(
        Code.BDEV_CONFIG_MULTI_TIER_WITHOUT_ROLES,
        f"there are {count} block device tiers without bdev_roles",
        "keep one tier, or give each its roles of wal, meta and data",
    )


def too_many_tiers_with_roles(count: int) -> Fault:
    return _storage(
        Code.BDEV_CONFIG_BAD_NR_TIERS_WITH_ROLES,
        f"there are {count} block device tiers with bdev_roles",
        "at most 3",
    )


def metadata_path_without_roles() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_CONTROL_METADATA_NO_ROLES,
        "control_metadata.path is set, but no tier of the engine has the role meta",
        "give bdev_roles to the engine's block device tiers, or remove control_metadata",
    )


def roles_without_metadata_path() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_ROLES_NO_CONTROL_METADATA,
        "the engine has the role meta, but control_metadata.path is not set",
        "set control_metadata.path to a directory that outlasts a reboot",
    )


def wal_and_data_without_meta() -> Fault:
    return _storage(
        Code.BDEV_CONFIG_ROLES_WAL_DATA_NO_META,
        "a tier cannot have the roles wal and data without meta",
        "[wal], [meta], [data], [meta, wal], [data, meta] or all three",
    )
