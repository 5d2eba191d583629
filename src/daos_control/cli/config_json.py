"""A generated configuration in the JSON of DAOS's `dmg config generate`: the structures inside DAOS's server."""

from pathlib import Path
from typing import Any

from daos_control.config.models import EngineConfig, ServerConfig, StorageTier
from daos_control.config.storage import engine_storages

_INFO_LEVEL = 3  # of DAOS's log levels
_VOS = {"nvme": "NVME", "file": "AIO", "kdev": "AIO"}


def body(config: ServerConfig) -> dict[str, Any]:
    """The whole document; keys that no generated configuration sets have their defaults."""
    transport = config.transport_config
    return {
        "ControlPort": config.port,
        "ControlInterface": config.control_iface,
        "TransportConfig": {
            "AllowInsecure": transport.allow_insecure,
            "ServerName": "server",
            "ClientCertDir": str(transport.client_cert_dir),
            "CARootPath": str(transport.ca_cert),
            "CertificatePath": str(transport.cert),
            "PrivateKeyPath": str(transport.key),
        },
        "Engines": [_engine(config, index) for index in range(len(config.engines))],
        "BdevExclude": None,
        "DisableVFIO": config.disable_vfio,
        "DisableVMD": config.disable_vmd,
        "DisableHotplug": config.disable_hotplug,
        "NrHugepages": config.nr_hugepages,
        "SystemRamReserved": config.system_ram_reserved,
        "DisableHugepages": config.disable_hugepages,
        "AllowNumaImbalance": config.allow_numa_imbalance,
        "AllowTHP": config.allow_thp,
        "ControlLogMask": _INFO_LEVEL,
        "ControlLogFile": _path(config.control_log_file),
        "ControlLogJSON": config.control_log_json,
        "HelperLogFile": "",
        "FWHelperLogFile": "",
        "FaultPath": config.fault_path,
        "TelemetryPort": config.telemetry_port,
        "CoreDumpFilter": config.core_dump_filter,
        "ClientEnvVars": None,
        "SupportConfig": {"FileTransferExec": ""},
        "SystemName": config.name,
        "SocketDir": str(config.socket_dir),
        "Fabric": _fabric(config.provider),
        "Modules": "",
        "MgmtSvcReplicas": list(config.mgmt_svc_replicas),
        "Metadata": _metadata(config),
        "FaultCb": "",
        "Hyperthreads": config.hyperthreads,
        "Path": "../etc/daos_server.yml",
        "AutoFormat": False,
        "DisableEngineAutoRestart": config.disable_engine_auto_restart,
        "EngineAutoRestartMinDelay": config.engine_auto_restart_min_delay,
        "AccessPoints": None,
        "EnableHotplug": None,
    }


def _engine(config: ServerConfig, index: int) -> dict[str, Any]:
    engine = config.engines[index]
    return {
        "Modules": "",
        "TargetCount": engine.targets,
        "HelperStreamCount": engine.nr_xs_helpers,
        "ServiceThreadCore": engine.first_core,
        "SystemName": config.name,
        "SocketDir": str(config.socket_dir),
        "LogMask": engine.log_mask,
        "LogFile": _path(engine.log_file),
        "Storage": _storage(config, index),
        "Fabric": _fabric(
            engine.provider,
            interface=engine.fabric_iface,
            port=engine.fabric_iface_port,
            numa_node=engine.pinned_numa_node or 0,
        ),
        "EnvVars": None,
        "EnvPassThrough": None,
        "PinnedNumaNode": engine.pinned_numa_node,
        "Index": 0,
        "MemSize": 0,
        "HugepageSz": 0,
        "CheckerEnabled": False,
    }


def _storage(config: ServerConfig, index: int) -> dict[str, Any]:
    engine = config.engines[index]
    nvme_config = str(engine_storages(config)[index].nvme_config_path) if engine.bdevs else ""
    return {
        "ControlMetadata": _metadata(config),
        "EngineIdx": index,
        "Tiers": [_tier(engine, number, tier) for number, tier in enumerate(engine.storage)],
        "ConfigOutputPath": nvme_config,
        "VosEnv": _VOS[engine.bdevs[0].class_] if engine.bdevs else "",
        "EnableHotplug": not config.disable_hotplug,
        "NumaNodeIndex": engine.pinned_numa_node or 0,
        "AccelProps": {"accel_engine": "", "accel_opts": 0},
        "SpdkRpcSrvProps": {"enable": False, "sock_addr": ""},
        "AutoFaultyProps": {"enable": False, "max_io_errs": 0, "max_csum_errs": 0},
        "SpdkIobufProps": {},
    }


def _tier(engine: EngineConfig, number: int, tier: StorageTier) -> dict[str, Any]:
    node = engine.pinned_numa_node or 0
    return {
        "Tier": number,
        "Class": tier.class_,
        "Scm": {
            "MountPoint": _path(tier.scm_mount),
            "RamdiskSize": tier.scm_size,
            "DisableHugepages": tier.scm_hugepages_disabled,
            "DeviceList": [str(device) for device in tier.scm_list] or None,
            "NumaNodeIndex": node,
        },
        "Bdev": {
            "DeviceList": list(tier.bdev_list) or None,
            "DeviceCount": tier.bdev_number,
            "FileSize": tier.bdev_size,
            "BusidRange": None,
            "DeviceRoles": ",".join(sorted(tier.bdev_roles)) or "NA",
            "NumaNodeIndex": node,
        },
    }


def _fabric(provider: str, *, interface: str = "", port: int = 0, numa_node: int = 0) -> dict[str, Any]:
    return {
        "Provider": provider,
        "Interface": interface,
        "InterfacePort": port,
        "NumaNodeIndex": numa_node,
        "BypassHealthChk": None,
        "CrtTimeout": 0,
        "NumSecondaryEndpoints": None,
        "DisableSRX": False,
        "AuthKey": "",
    }


def _metadata(config: ServerConfig) -> dict[str, Any]:
    metadata = config.control_metadata
    return {
        "Path": _path(metadata.path),
        "DevicePath": _path(metadata.device),
        "AllowSpdkConfOverride": metadata.allow_spdk_conf_override,
    }


def _path(path: Path | None) -> str:
    return "" if path is None else str(path)
