"""Faults of a server and of the management service that runs in it (codes 600 to 623)."""

from collections.abc import Sequence

from daos_control.faults.code import Code
from daos_control.faults.core import Fault


def _fault(code: Code, description: str, resolution: str) -> Fault:
    return Fault("server", code, description, resolution)


def _several(word: str, count: int) -> str:
    return word if count == 1 else word + "s"


def unknown(what: str) -> Fault:
    """An error that nobody foresaw; `what` is its text."""
    return _fault(Code.SERVER_UNKNOWN, f"unexpected error: {what}", "look for this text in the log of daos_server")


def scm_unmanaged(mount: str) -> Fault:
    return _fault(
        Code.SERVER_SCM_UNMANAGED,
        f"the SCM mount point {mount} does not exist and cannot be made",
        f"create {mount} with the ownership that daos_server runs under, and retry",
    )


def iommu_disabled() -> Fault:
    return _fault(
        Code.SERVER_IOMMU_DISABLED,
        "NVMe devices are configured and daos_server does not run as root, which takes an IOMMU: /sys/class/iommu"
        " lists none",
        "enable the IOMMU (VT-d, AMD-Vi) in the firmware and on the kernel command line (intel_iommu=on or"
        " amd_iommu=on), reboot, or run daos_server as root",
    )


def wrong_system(requested: str, running: str) -> Fault:
    return _fault(
        Code.SERVER_WRONG_SYSTEM,
        f"the request is for system {requested}, this is system {running}",
        "set the name of the system in daos_control.yml (or daos_agent.yml) as it is in daos_server.yml",
    )


def pool_scm_too_small(per_target: str, total: str, scm: str) -> Fault:
    """Sizes as text: the least per target, and the least of the pool as a whole and of its SCM."""
    return _fault(
        Code.SERVER_POOL_SCM_TOO_SMALL,
        f"the pool's SCM would be too small: each target needs at least {per_target}",
        f"ask for a pool of at least {total}, with at least {scm} of SCM",
    )


def pool_nvme_too_small(per_target: str, total: str, nvme: str) -> Fault:
    """Sizes as text: the least per target, and the least of the pool as a whole and of its NVMe."""
    return _fault(
        Code.SERVER_POOL_NVME_TOO_SMALL,
        f"the pool's NVMe would be too small: each target needs at least {per_target}",
        f"ask for a pool of at least {total}, with at least {nvme} of NVMe",
    )


def pool_invalid_ranks(ranks: str, count: int) -> Fault:
    """`ranks` ("1-2,5") are the ones that are not members, or not available."""
    return _fault(
        Code.SERVER_POOL_INVALID_RANKS,
        f"the request names {_several('rank', count)} {ranks}, which cannot take part",
        "see dmg system query for the ranks that are joined, and name only these",
    )


def pool_invalid_rank_count(requested: int, available: int) -> Fault:
    return _fault(
        Code.SERVER_POOL_INVALID_NUM_RANKS,
        f"the request asks for {requested} ranks, of which {available} are available",
        "ask for fewer ranks, or bring stopped ones back with dmg system start",
    )


def pool_invalid_service_replicas(most: int) -> Fault:
    return _fault(
        Code.SERVER_POOL_INVALID_SERVICE_REPS,
        f"the number of pool service replicas must be odd and at most {most} on these ranks",
        "ask for fewer replicas, or for more ranks",
    )


def pool_duplicate_label(label: str) -> Fault:
    return _fault(
        Code.SERVER_POOL_DUPLICATE_LABEL,
        f'another pool has the label "{label}"',
        "choose another label; dmg pool list shows those in use",
    )


def harness_not_started() -> Fault:
    return _fault(
        Code.SERVER_HARNESS_NOT_STARTED,
        "daos_server is still starting and manages no engine yet",
        "retry in a moment; if it stays so, look into the log of daos_server",
    )


def data_plane_not_started() -> Fault:
    return _fault(
        Code.SERVER_DATA_PLANE_NOT_STARTED,
        "no engine of this host is running and answering",
        "retry in a moment; if it stays so, run dmg system query and look into the log of the engine",
    )


def instances_not_stopped(action: str, rank: int) -> Fault:
    return _fault(
        Code.SERVER_INSTANCES_NOT_STOPPED,
        f"{action} is not possible while rank {rank} is running",
        f"run dmg system stop --ranks={rank} first",
    )


def invalid_network_device_class(index: int, first: str, other: str) -> Fault:
    """The classes ("ethernet", "infiniband") of engine 0's interface, `first`, and of engine `index`'s, `other`."""
    return _fault(
        Code.SERVER_CONFIG_INVALID_NET_DEV_CLASS,
        f"engine {index} uses an interface of class {other}, engine 0 one of class {first}",
        "give all engines of daos_server.yml a fabric_iface of the same class; dmg network scan lists them",
    )


def vfio_disabled() -> Fault:
    return _fault(
        Code.SERVER_VFIO_DISABLED,
        "NVMe devices are configured, daos_server does not run as root, and disable_vfio is true",
        "set disable_vfio to false in daos_server.yml, or run daos_server as root",
    )


def pool_no_label() -> Fault:
    return _fault(
        Code.SERVER_POOL_NO_LABEL, "a pool cannot be created without a label", "retry with a label for the pool"
    )


def incompatible_components(ours: str, theirs: str) -> Fault:
    """Each "component version", as "server 2.8.0"."""
    return _fault(
        Code.SERVER_INCOMPATIBLE_COMPONENTS,
        f"{theirs} cannot work with {ours}",
        "install versions that belong together on both hosts",
    )


def no_compatibility_insecure(ours: str, theirs: str) -> Fault:
    return _fault(
        Code.SERVER_NO_COMPATIBILITY_INSECURE,
        f"without certificates both sides must have one version: this is {ours}, the peer is {theirs}",
        "use certificates (transport_config), or install the same version on both hosts",
    )


def pool_has_containers(pool: str) -> Fault:
    return _fault(
        Code.SERVER_POOL_HAS_CONTAINERS,
        f"pool {pool} has containers",
        "destroy them first, or run dmg pool destroy with --recursive to destroy them with the pool",
    )


def pool_mem_ratio_without_roles() -> Fault:
    return _fault(
        Code.SERVER_POOL_MEM_RATIO_NO_ROLES,
        "the request has options of MD-on-SSD, which this system is not configured for",
        "leave out --mem-ratio, --meta-size and --data-size, or set bdev_roles in daos_server.yml",
    )


def bad_fault_domain_labels(domain: str, address: str, labels: Sequence[str], system: Sequence[str]) -> Fault:
    """`labels` of `domain`, and those of the `system` (empty: no labels)."""
    return _fault(
        Code.SERVER_BAD_FAULT_DOMAIN_LABELS,
        f"server {address} has fault domain {domain} with the labels [{', '.join(labels)}], "
        f"the system has [{', '.join(system)}]",
        "correct fault_path, or the program of fault_cb, in the configuration of that server",
    )


def replaced_rank_is_enabled(rank: int, pools: Sequence[str]) -> Fault:
    return _fault(
        Code.SERVER_JOIN_REPLACE_ENABLED_POOL_RANK,
        f"rank {rank} cannot be replaced while it is enabled in {_several('pool', len(pools))} {', '.join(pools)}",
        "wait until its pools have excluded it, as they do with a rank that is gone (dmg pool query shows it), then"
        " format again with --replace",
    )


def rank_admin_excluded(ranks: str, count: int) -> Fault:
    """`ranks` ("1-2,5") are those of the request that an administrator has excluded."""
    verb = "is" if count == 1 else "are"
    return _fault(
        Code.SERVER_RANK_ADMIN_EXCLUDED,
        f"{_several('rank', count)} {ranks} {verb} administratively excluded",
        f"leave {'it' if count == 1 else 'them'} out until the exclusion is cleared",
    )


def transparent_hugepages_enabled(found: str) -> Fault:
    """`found` is the kernel's setting."""
    return _fault(
        Code.SERVER_TRANSPARENT_HUGEPAGE_ENABLED,
        f'transparent huge pages are set to "{found}" on this host, and engines with block devices need "never"',
        "boot with transparent_hugepage=never on the kernel command line (until then: echo never >"
        " /sys/kernel/mm/transparent_hugepage/enabled), or set allow_thp in daos_server.yml",
    )
