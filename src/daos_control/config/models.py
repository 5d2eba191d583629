"""The shape of daos_server.yml: every key with its type, its default and what it is for.

The models check single values only; what values must be beside each other is in `checks`. Attributes are named
as the keys are (`class_` is `class`). A configuration never changes: `model_copy(update=...)` makes another one.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from daos_control.config import fields as f
from daos_control.config.problems import Notice
from daos_control.faults import Code

DEFAULT_PORT = 10001
DEFAULT_REPLICA = f"localhost:{DEFAULT_PORT}"
DEFAULT_SCM_MOUNT = Path("/mnt/daos")
SCM_CLASSES = ("dcpm", "ram")
BDEV_CLASSES = ("nvme", "file", "kdev")


class Section(BaseModel):
    """A map of keys of which none but the known ones may stand in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TransportConfig(Section):
    """Certificates for the connections with other servers, clients and agents."""

    allow_insecure: f.Flag = f.key(
        False, "Talk without TLS: nobody is authenticated, and any peer may do anything."
    )
    client_cert_dir: f.SomePath = f.key(
        Path("/etc/daos/certs/clients"), "Directory of the certificates by which agents' credentials are verified."
    )
    ca_cert: f.SomePath = f.key(
        Path("/etc/daos/certs/daosCA.crt"), "Certificate of the authority that signed all others."
    )
    cert: f.SomePath = f.key(Path("/etc/daos/certs/server.crt"), "Certificate of this server.")
    key: f.SomePath = f.key(Path("/etc/daos/certs/server.key"), "Private key of this server.")


class ControlMetadata(Section):
    """Where the control plane keeps its own data when the engines' metadata are on SSDs."""

    path: f.OptionalPath = f.key(None, "Directory for the control plane's data, or mount point of `device`.")
    device: f.OptionalPath = f.key(None, "Block device that is formatted with ext4 and mounted at `path`.")
    allow_spdk_conf_override: f.Flag = f.key(
        False, "Start an engine without comparing its daos_nvme.conf with the configuration."
    )


class SupportConfig(Section):
    """What `dmg support collect-log` uses."""

    file_transfer_exec: f.OptionalPath = f.key(None, "Program that copies collected logs off the server.")


class StorageTier(Section):
    """One tier of an engine's storage; the first is SCM, up to three of block devices may follow."""

    class_: f.StorageClass = f.key(
        "",
        "What the tier is made of: persistent memory, RAM, NVMe devices, files, or kernel block devices. Required.",
        validation_alias="class",
        serialization_alias="class",
    )
    scm_mount: f.OptionalPath = f.key(None, "Mount point of the tier. Required for SCM.")
    scm_size: f.GiB = f.key(0, "Size of the RAM disk, 4 or more; 0 takes what memory allows. Class ram.")
    scm_list: list[f.SomePath] = f.key([], "The persistent memory device, exactly one. Class dcpm.")
    scm_hugepages_disabled: f.OptionalFlag = f.key(
        None, "False mounts the RAM disk with huge pages; all other values without. Class ram."
    )
    bdev_list: list[f.Device] = f.key(
        [], "Devices of the tier: PCI addresses (nvme), absolute paths of files (file), or block devices (kdev)."
    )
    bdev_number: f.Integer = f.key(0, "Accepted, and used for nothing.")
    bdev_size: f.GiB = f.key(0, "Size of each file. Required for class file.")
    bdev_busid_range: f.BusRange = f.key(
        None,
        "PCI buses on which devices may be plugged in, as 0x80-0x8f; by default those of the engine's NUMA node.",
    )
    bdev_roles: list[f.Text] = f.key(
        [], "What the tier keeps: any of wal, meta, data; given to all tiers or to none."
    )

    @property
    def is_scm(self) -> bool:
        return self.class_ in SCM_CLASSES

    @property
    def is_bdev(self) -> bool:
        return self.class_ in BDEV_CLASSES


class Acceleration(Section):
    """Offloading of data movement and checksums."""

    engine: f.Text = f.key("none", "Acceleration engine: none, spdk or dml.")
    options: list[f.Text] = f.key(
        [], "What is offloaded, of move and crc; both where an engine is set and this is not."
    )


class SpdkRpcServer(Section):
    """SPDK's own JSON-RPC server inside the engine."""

    enable: f.Flag = f.key(False, "Run it.")
    sock_addr: f.Text = f.key("", "Path of its socket.")


class BdevAutoFaulty(Section):
    """When an NVMe device is taken for faulty by itself."""

    enable: f.Flag = f.key(False, "Evict devices that err too often.")
    max_io_errs: f.UInt32 = f.key(0, "I/O errors that make a device faulty.")
    max_csum_errs: f.UInt32 = f.key(0, "Checksum errors that make a device faulty.")


class SpdkIobuf(Section):
    """SPDK's I/O buffers; 0 keeps SPDK's own number."""

    small_pool_count: f.UInt32 = f.key(0, "Number of small buffers.")
    large_pool_count: f.UInt32 = f.key(0, "Number of large buffers.")


class Fabric(Section):
    """Keys of the fabric; at the top of the file they are the defaults of all engines."""

    provider: f.Text = f.key("", "Fabric provider, as ofi+tcp; one for all engines. Required for start.")
    fabric_iface: f.Text = f.key("", "Network interface of the engine. Required.")
    fabric_iface_port: f.FabricPort = f.key(0, "Port on that interface, of this engine alone. Required.")
    bypass_health_chk: f.OptionalFlag = f.key(None, "Do not query the health of NVMe devices at start.")
    crt_timeout: f.UInt32 = f.key(
        0, "Timeout of RPCs between engines and clients, in seconds; 0 keeps the engine's own."
    )
    disable_srx: f.Flag = f.key(False, "Do without shared receive contexts, which some network cards lack.")
    fabric_auth_key: f.Text = f.key("", "Authorization key of the fabric, where it requires one.")
    secondary_provider_endpoints: list[f.Count] = f.key(
        [], "Endpoints of secondary providers, of which there are none."
    )


class EngineConfig(Fabric):
    """One engine of this server."""

    targets: f.Count = f.key(0, "Storage targets, each a thread with its share of the storage. Required.")
    nr_xs_helpers: f.Count = f.key(0, "Helper threads beside the targets.")
    first_core: f.OptionalCount = f.key(None, "First core to run on, instead of choosing by NUMA node.")
    pinned_numa_node: f.OptionalCount = f.key(
        None, "NUMA node whose cores and memory are used; by default that of the network interface."
    )
    log_mask: f.Text = f.key("", "Level of the engine's log, as ERR or INFO,RDB=DEBUG.")
    log_file: f.OptionalPath = f.key(None, "The engine's log.")
    modules: f.Text = f.key(
        "", "Accepted and ignored, as DAOS does: modules are chosen with `daos_server start -m`."
    )
    env_vars: list[f.Text] = f.key([], "Environment of the engine, as NAME=value.")
    env_pass_through: list[f.Text] = f.key(
        [], "Names of variables that the engine takes from the server's environment."
    )
    storage: list[StorageTier] = f.key([], "Storage tiers, SCM first. Required.")
    acceleration: Acceleration = f.key(Acceleration(), "Offloading.")
    spdk_rpc_server: SpdkRpcServer = f.key(SpdkRpcServer(), "SPDK's JSON-RPC server.")
    bdev_auto_faulty: BdevAutoFaulty = f.key(BdevAutoFaulty(), "Automatic eviction of devices.")
    spdk_iobuf: SpdkIobuf = f.key(SpdkIobuf(), "SPDK's I/O buffers.")

    @property
    def scm(self) -> StorageTier | None:
        """The SCM tier."""
        return next((tier for tier in self.storage if tier.is_scm), None)

    @property
    def bdevs(self) -> tuple[StorageTier, ...]:
        """The block device tiers, in order."""
        return tuple(tier for tier in self.storage if tier.is_bdev)

    @property
    def has_meta_role(self) -> bool:
        """Whether the engine's metadata are on SSDs."""
        return any("meta" in tier.bdev_roles for tier in self.bdevs)


class Extensions(Section):
    """Keys that DAOS's own server does not know; a file without this map works with either."""

    embedded_engine: f.Flag = f.key(
        False, "Run daos_engine_embedded in place of daos_engine (also `daos_server start --embedded-engine`)."
    )
    engine_binary: f.OptionalPath = f.key(None, "The engine program to run, instead of looking for it.")
    helper_binary: f.OptionalPath = f.key(None, "The daos_server_helper to run, instead of looking for it.")
    helper_socket: f.OptionalPath = f.key(
        None, "Socket of daos_server_helper.socket (systemd), by which the helper is reached instead of sudo."
    )
    control_address: f.OptionalIPv4 = f.key(
        None, "Address to listen on and to be known by, for several servers on one host, as 127.0.0.2."
    )
    allow_no_dax: f.Flag = f.key(False, "Accept class dcpm on a block device that cannot do DAX.")
    hostname: f.OptionalText = f.key(None, "Name of this host in fault domains and device names.")


class ServerConfig(Fabric):
    """daos_server.yml as a whole.

    `path` is the file that it was read from, `notices` what is worth telling about it; neither is part of the
    file, nor of its equality with another.
    """

    _path: Path | None = PrivateAttr(default=None)
    _notices: tuple[Notice, ...] = PrivateAttr(default=())

    name: f.SystemName = f.key("daos_server", "Name of the DAOS system.")
    port: f.Port = f.key(DEFAULT_PORT, "Port of the control plane.")
    control_iface: f.Text = f.key("", "Network interface that the control plane listens on; by default on all.")
    mgmt_svc_replicas: list[f.Text] = f.key(
        [],
        "Hosts of the management service, as host or host:port; an odd number of them. By default localhost:10001.",
    )
    transport_config: TransportConfig = f.key(TransportConfig(), "Certificates.")
    socket_dir: f.SomePath = f.key(
        Path("/var/run/daos_server"), "Directory of the sockets between server and engines."
    )
    engines: list[EngineConfig] = f.key([], "The engines of this server; without any it starts for discovery only.")
    control_metadata: ControlMetadata = f.key(ControlMetadata(), "The control plane's data, with metadata on SSDs.")
    bdev_exclude: list[f.PciAddress] = f.key([], "NVMe devices that are left alone.")
    disable_vfio: f.Flag = f.key(False, "Use the UIO driver for NVMe devices, which needs root.")
    disable_vmd: f.Flag = f.key(False, "Do not use volume management devices.")
    disable_hotplug: f.Flag = f.key(False, "Do not watch for NVMe devices that come and go.")
    nr_hugepages: f.Integer = f.key(0, "Huge pages for all engines together; 0 takes 1 GiB for each target.")
    disable_hugepages: f.Flag = f.key(False, "Do without huge pages, which excludes tiers of class nvme.")
    allow_numa_imbalance: f.Flag = f.key(False, "Accept engines that are spread unevenly over NUMA nodes.")
    allow_thp: f.Flag = f.key(False, "Start though transparent huge pages are on.")
    system_ram_reserved: f.Integer = f.key(64, "GiB of memory left to the system when RAM disks are sized.")
    control_log_mask: f.LogLevel = f.key(
        "INFO", "Level of the server's log: disabled, error, notice, info, debug, trace."
    )
    control_log_file: f.OptionalPath = f.key(None, "The server's log; by default the standard output.")
    control_log_json: f.Flag = f.key(False, "Write the server's log as JSON.")
    helper_log_file: f.OptionalPath = f.key(None, "Log of daos_server_helper.")
    firmware_helper_log_file: f.OptionalPath = f.key(None, "Log of daos_firmware_helper.")
    fault_path: f.Text = f.key("", "Fault domain of this host, as /rack1/host7; by default its host name.")
    fault_cb: f.OptionalPath = f.key(None, "Program that prints the fault domain of this host.")
    telemetry_port: Annotated[int, *f.integer(0, 65535, "port", Code.SERVER_CONFIG_BAD_TELEMETRY_PORT)] = f.key(
        0, "Port to serve metrics on; 0 for none."
    )
    core_dump_filter: f.UInt8 = f.key(0x13, "Memory that a core dump contains, see core(5); 0 leaves it as it is.")
    client_env_vars: list[f.Text] = f.key([], "Environment variables handed to clients, as NAME=value.")
    support_config: SupportConfig = f.key(SupportConfig(), "Log collection.")
    hyperthreads: f.Flag = f.key(False, "Accepted, and used for nothing.")
    disable_engine_auto_restart: f.Flag = f.key(
        False, "Do not restart an engine that ended because it was excluded."
    )
    engine_auto_restart_min_delay: f.Seconds = f.key(0, "Seconds between such restarts of a rank; 0 means 300.")
    access_points: list[f.Text] | None = f.key(None, "Deprecated name of mgmt_svc_replicas.")
    enable_hotplug: f.OptionalFlag = f.key(None, "Deprecated opposite of disable_hotplug.")
    daos_control: Extensions = f.key(Extensions(), "Keys of this implementation.")

    @property
    def path(self) -> Path | None:
        return self._path

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._notices

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerConfig) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((self.name, self.port, len(self.engines)))


def with_origin(config: ServerConfig, path: Path | None, notices: tuple[Notice, ...]) -> ServerConfig:
    """The same configuration, knowing where it came from."""
    made = config.model_copy()
    made._path = path
    made._notices = notices
    return made


def updated(config: ServerConfig, **changes: Any) -> ServerConfig:
    """The configuration with other values for some of its keys."""
    return config.model_copy(update=changes)
