"""daos_nvme.conf: what an engine's SPDK is to do and with which devices (storage.md 8).

Both sides are byte for byte and field for field those of DAOS: its engine reads the file. The same input always
gives the same bytes. Reading is strict: anything that we would not have written is an error, upon which the file is
written anew.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daos_control.faults import bdev as faults
from daos_control.storage.api import BdevTier, Class, EngineStorage, NvmeOptions

FILE_MODE = 0o664
_SIZE_MAX = 4 << 20
_AIO_BLOCK_BYTES = 4096
_HOTPLUG_PERIOD_US = 5_000_000

_Entry = dict[str, Any]

# Parameters of each method, with their types; also what a reader accepts.
_SUBSYSTEM_METHODS: dict[str, dict[str, type]] = {
    "bdev_set_options": {"bdev_io_pool_size": int, "bdev_io_cache_size": int},
    "bdev_nvme_set_options": {
        "transport_retry_count": int,
        "timeout_us": int,
        "nvme_adminq_poll_period_us": int,
        "action_on_timeout": str,
        "nvme_ioq_poll_period_us": int,
    },
    "bdev_nvme_attach_controller": {"trtype": str, "name": str, "traddr": str},
    "bdev_aio_create": {"block_size": int, "name": str, "filename": str},
    "bdev_nvme_set_hotplug": {"enable": bool, "period_us": int},
    "vmd_enable": {},
    "iobuf_set_options": {"small_pool_count": int, "large_pool_count": int},
}
_DAOS_METHODS: dict[str, dict[str, type]] = {
    "accel_props": {"accel_engine": str, "accel_opts": int},
    "spdk_rpc_srv": {"enable": bool, "sock_addr": str},
    "auto_faulty": {"enable": bool, "max_io_errs": int, "max_csum_errs": int},
    "hotplug_busid_range": {"begin": int, "end": int},
}


def needed(storage: EngineStorage) -> bool:
    """Whether the engine has a daos_nvme.conf at all."""
    return any(tier.devices for tier in storage.bdevs)


def encode(storage: EngineStorage, hostname: str) -> bytes:
    """The file's content; `hostname` is the whole name of this host, which is part of the devices' names."""
    subsystems = [{"subsystem": "bdev", "config": list(_bdev_methods(storage, hostname))}]
    options = storage.nvme
    if options.vmd and any(tier.storage_class is Class.NVME for tier in storage.bdevs):
        subsystems.append({"subsystem": "vmd", "config": [_entry("vmd_enable")]})
    if options.iobuf_small or options.iobuf_large:
        counts = {"small_pool_count": options.iobuf_small, "large_pool_count": options.iobuf_large}
        given = {name: count for name, count in counts.items() if count}
        subsystems.append({"subsystem": "iobuf", "config": [_entry("iobuf_set_options", **given)]})
    document = {"daos_data": {"config": list(_daos_methods(options))}, "subsystems": subsystems}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    for character in "<>&":  # as Go's encoder writes them
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def write(path: Path, content: bytes) -> None:
    """Replace the file in one durable step. Raises OSError."""
    staging = path.with_name(path.name + ".staging")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            staging.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def check(path: Path) -> None:
    """Read the file strictly: FileNotFoundError where it is missing, Fault 804 where it is not of our form."""
    with path.open("rb") as file:
        data = file.read(_SIZE_MAX + 1)
    try:
        if len(data) > _SIZE_MAX:
            raise ValueError("it is too long")
        _check_document(json.loads(data, object_pairs_hook=_unique))
    except (ValueError, RecursionError) as error:
        raise faults.nvme_config_invalid(str(path), str(error)) from error


def _bdev_methods(storage: EngineStorage, hostname: str) -> Iterator[_Entry]:
    yield _entry("bdev_set_options", bdev_io_pool_size=65536, bdev_io_cache_size=256)
    yield _entry(
        "bdev_nvme_set_options",
        transport_retry_count=4,
        timeout_us=0,
        nvme_adminq_poll_period_us=100_000,
        action_on_timeout="none",
        nvme_ioq_poll_period_us=0,
    )
    for tier in storage.bdevs:
        if not storage.nvme.vmd or tier.storage_class is Class.NVME:
            yield from _devices(tier, hostname)
    # Last, after all devices: with VMD and several domains, SPDK else misses some.
    enable = storage.nvme.hotplug is not None
    yield _entry("bdev_nvme_set_hotplug", enable=enable, period_us=_HOTPLUG_PERIOD_US if enable else 0)


def _devices(tier: BdevTier, hostname: str) -> Iterator[_Entry]:
    for index, device in enumerate(tier.devices):
        name = f"{hostname}_{index}_{tier.index}_{int(tier.roles)}"
        if tier.storage_class is Class.NVME:
            yield _entry("bdev_nvme_attach_controller", trtype="PCIe", name=f"Nvme_{name}", traddr=device)
        else:
            block = _AIO_BLOCK_BYTES if tier.storage_class is Class.FILE else 0  # 0: as the device has it
            yield _entry("bdev_aio_create", block_size=block, name=f"AIO_{name}", filename=device)


def _daos_methods(options: NvmeOptions) -> Iterator[_Entry]:
    if options.accel_engine != "none" and options.accel_options:
        yield _entry("accel_props", accel_engine=options.accel_engine, accel_opts=options.accel_options)
    if options.rpc_server:
        yield _entry("spdk_rpc_srv", enable=True, sock_addr=options.rpc_address)
    if options.auto_faulty:
        yield _entry(
            "auto_faulty",
            enable=True,
            max_io_errs=options.max_io_errors,
            max_csum_errs=options.max_checksum_errors,
        )
    if options.hotplug is not None:
        begin, end = options.hotplug
        yield _entry("hotplug_busid_range", begin=begin, end=end)


def _entry(method: str, **params: Any) -> _Entry:
    return {"params": params, "method": method}


def _check_document(document: Any) -> None:
    _check_keys(document, {"daos_data", "subsystems"}, "the file")
    _check_keys(document["daos_data"], {"config"}, "daos_data")
    _check_entries(document["daos_data"]["config"], _DAOS_METHODS, "daos_data")
    if not isinstance(document["subsystems"], list):
        raise ValueError("subsystems is no list")
    for subsystem in document["subsystems"]:
        _check_keys(subsystem, {"subsystem", "config"}, "a subsystem")
        _check_entries(subsystem["config"], _SUBSYSTEM_METHODS, str(subsystem["subsystem"]))


def _check_entries(entries: Any, methods: dict[str, dict[str, type]], where: str) -> None:
    if not isinstance(entries, list):
        raise ValueError(f"config of {where} is no list")
    for entry in entries:
        _check_keys(entry, {"params", "method"}, f"an entry of {where}")
        method = entry["method"]
        if not isinstance(method, str) or method not in methods:
            raise ValueError(f"{where} has the unknown method {method!r}")
        parameters = methods[method]
        if not isinstance(entry["params"], dict):
            raise ValueError(f"params of {method} are no object")
        for name, value in entry["params"].items():
            if name not in parameters:
                raise ValueError(f"{method} has the unknown parameter {name!r}")
            if type(value) is not parameters[name] or (isinstance(value, int) and value < 0):
                raise ValueError(f"{name} of {method} cannot be {value!r}")


def _check_keys(value: Any, keys: set[str], where: str) -> None:
    if not isinstance(value, dict) or value.keys() != keys:
        raise ValueError(f"{where} must be an object with {' and '.join(sorted(keys))}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
