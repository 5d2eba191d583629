"""A look at NVMe devices through SPDK: attach to them, list their namespaces, send them commands."""

import base64
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daos_control.faults import bdev as faults
from daos_control.storage.nvme import application, health, pcie
from daos_control.storage.nvme.address import PciAddress, chosen
from daos_control.storage.nvme.application import Options
from daos_control.storage.nvme.controller import NvmeController, NvmeNamespace
from daos_control.storage.nvme.host import INTEL, NVME_CLASS, USER_DRIVERS, Host
from daos_control.storage.nvme.jsonrpc import RpcClient, RpcError

_ATTACH_SECONDS: Final = 60.0
_COMMAND_BYTES: Final = 64
_COMPLETION_BYTES: Final = 16
_GET_LOG_PAGE, _IDENTIFY, _IDENTIFY_CONTROLLER = 0x02, 0x06, 0x01
_IDENTIFY_BYTES: Final = 4096
_PAGE_BYTES: Final = 4096  # the least that a controller may have for the unit of its transfers
_TRANSFER_BYTES_MAX: Final = 128 << 10
_ALL_NAMESPACES: Final = 0xFFFFFFFF


class CommandError(Exception):
    """A device answered a command with a status other than success."""

    def __init__(self, kind: int, code: int) -> None:
        super().__init__(f"the device answered status {code:#04x} of type {kind}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace as SPDK has it: `disk` is SPDK's name of it."""

    disk: str
    id: int
    block_bytes: int
    blocks: int

    @property
    def size(self) -> int:
        return self.block_bytes * self.blocks


@dataclass(frozen=True, slots=True)
class Limits:
    """What a controller takes: bytes in one command, and whether it knows Write Zeroes."""

    transfer_bytes: int
    write_zeroes: bool


@dataclass(frozen=True, slots=True)
class Attached:
    """A controller that SPDK drives for us; `config` is its PCI configuration space, as far as it could be read."""

    name: str
    address: PciAddress
    node: int
    namespaces: tuple[Namespace, ...]
    config: bytes = b""


class Session:
    """SPDK's program with devices attached."""

    def __init__(
        self, client: RpcClient | None, attached: Iterable[Attached], failed: Mapping[PciAddress, str]
    ) -> None:
        self._open_client = client
        self.attached = tuple(attached)
        self.failed = dict(failed)
        """Devices that could not be attached, and why."""

    @property
    def _client(self) -> RpcClient:
        assert self._open_client is not None  # without a program, nothing is attached
        return self._open_client

    async def describe(self, device: Attached) -> NvmeController:
        """The controller with its health. Faults 801-803."""
        where = str(device.address)
        try:
            answer = await self._client.call("bdev_nvme_get_controller_health_info", {"name": device.name})
        except RpcError as error:
            raise faults.no_health(where, error.message) from error
        vendor = int.from_bytes(device.config[:2], "little")
        log = await self._vendor_log(device) if vendor == INTEL else b""
        return NvmeController(
            pci_addr=where,
            model=_text(answer, "model_number"),
            serial=_text(answer, "serial_number"),
            fw_rev=_text(answer, "firmware_revision"),
            vendor_id=f"{vendor:#06x}" if vendor else "",
            pci_type="vmd" if device.address.behind_vmd else "pci",
            socket_id=max(device.node, 0),
            health_stats=health.of(where, answer, log, pcie.link(device.config)),
            namespaces=tuple(NvmeNamespace(found.id, found.size) for found in device.namespaces),
        )

    async def _vendor_log(self, device: Attached) -> bytes:
        """Empty where the device does not have it: few do, and nothing depends on it."""
        words = health.INTEL_SMART_BYTES // 4 - 1
        try:
            return await self.command(
                device,
                opcode=_GET_LOG_PAGE,
                admin=True,
                namespace=_ALL_NAMESPACES,
                words=(words << 16 | health.INTEL_SMART_LOG,),
                read_bytes=health.INTEL_SMART_BYTES,
            )
        except (CommandError, RpcError):
            return b""

    async def limits(self, device: Attached) -> Limits:
        """Raises as `command`."""
        data = await self.command(
            device,
            opcode=_IDENTIFY,
            admin=True,
            namespace=0,
            words=(_IDENTIFY_CONTROLLER,),
            read_bytes=_IDENTIFY_BYTES,
        )
        exponent = data[77]
        most = min(_PAGE_BYTES << min(exponent, 16), _TRANSFER_BYTES_MAX) if exponent else _TRANSFER_BYTES_MAX
        return Limits(most, bool(data[520] & 1 << 3))

    async def command(
        self,
        device: Attached,
        *,
        opcode: int,
        namespace: int,
        words: tuple[int, ...] = (),
        admin: bool = False,
        read_bytes: int = 0,
        data: bytes = b"",
    ) -> bytes:
        """One NVMe command; `words` are its dwords from the tenth on. What was read, if anything was to be.

        Raises CommandError for the device's refusal, RpcError for SPDK's, Fault 802 where there is no answer.
        """
        block = bytearray(_COMMAND_BYTES)
        block[0] = opcode
        block[4:8] = namespace.to_bytes(4, "little")
        for index, word in enumerate(words):
            block[40 + 4 * index : 44 + 4 * index] = word.to_bytes(4, "little")
        params: dict[str, Any] = {
            "name": device.name,
            "cmd_type": "admin" if admin else "io",
            "data_direction": "c2h" if read_bytes else "h2c",
            "cmdbuf": base64.urlsafe_b64encode(block).decode(),
        }
        if read_bytes:
            params["data_len"] = read_bytes
        elif data:
            params["data"] = base64.urlsafe_b64encode(data).decode()
        answer = await self._client.call("bdev_nvme_send_cmd", params)
        status = int.from_bytes(_decode(answer, "cpl", _COMPLETION_BYTES)[14:16], "little") >> 1
        if status & 0x7FF:
            raise CommandError(status >> 8 & 7, status & 0xFF)
        return _decode(answer, "data", read_bytes) if read_bytes else b""

    async def apply_firmware(self, device: Attached, image: Path, *, seconds: float) -> None:
        """Load a firmware image, commit it, and reset the controller. Raises RpcError, or Fault 802."""
        if not device.namespaces:
            raise RpcError("bdev_nvme_apply_firmware", -19, "SPDK needs a namespace on the device to update it")
        params = {"bdev_name": device.namespaces[0].disk, "filename": os.fspath(image)}
        await self._client.call("bdev_nvme_apply_firmware", params, timeout=seconds)


@asynccontextmanager
async def opened(
    host: Host, wanted: frozenset[PciAddress], *, vmd: bool, root: Path = Path("/")
) -> AsyncIterator[Session]:
    """Attach to the wanted devices, to all for none, among those bound to a driver for programs.

    One that cannot be attached is in `failed`, and one that the host does not have, or has with another driver, is
    nowhere. Raises Faults 1, 802 and 803.
    """
    named = wanted | {address.endpoint for address in wanted}
    usable = [d for d in host.devices if d.driver in USER_DRIVERS and chosen(d.address, named, frozenset())]
    usable = [device for device in usable if vmd or not device.vmd]
    if not usable:
        application.find()  # that SPDK is missing is said whether or not there are devices
        yield Session(None, (), {})
        return
    vmds = {device.address: device for device in usable if device.vmd}
    options = Options(tuple(device.address for device in usable), vmd=bool(vmds))
    async with application.running(options) as client:
        found: list[tuple[PciAddress, int, bytes]] = [
            (device.address, device.node, _config(root, device.address)) for device in usable if not device.vmd
        ]
        if vmds:
            found += [
                (address, vmds[address.endpoint].node, config)
                for address, config in await _behind_vmds(client)
                if address.endpoint in vmds and (not wanted or wanted & {address, address.endpoint})
            ]
        attached, failed = [], {}
        for address, node, config in found:
            try:
                attached.append(await _attach(client, address, node, config))
            except RpcError as error:
                failed[address] = error.message
        yield Session(client, attached, failed)


async def _attach(client: RpcClient, address: PciAddress, node: int, config: bytes) -> Attached:
    name = "Nvme_" + str(address).translate(str.maketrans(":.", "__"))
    params = {"name": name, "trtype": "PCIe", "traddr": str(address)}
    disks = await client.call("bdev_nvme_attach_controller", params, timeout=_ATTACH_SECONDS)
    if not isinstance(disks, list) or not all(isinstance(disk, str) for disk in disks):
        raise faults.spdk_no_answer("bdev_nvme_attach_controller", "its answer is no list of names")
    namespaces = [await _namespace(client, disk) for disk in disks if disk]
    return Attached(name, address, node, tuple(sorted(namespaces, key=lambda found: found.id)), config)


async def _namespace(client: RpcClient, disk: str) -> Namespace:
    answer = await client.call("bdev_get_bdevs", {"name": disk})
    try:
        (found,) = answer
        block, blocks = found["block_size"], found["num_blocks"]
        number = found["driver_specific"]["nvme"][0]["ns_data"]["id"]
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise faults.spdk_no_answer("bdev_get_bdevs", f"its answer for {disk} has another form") from error
    if not all(type(value) is int and value > 0 for value in (block, blocks, number)):
        raise faults.spdk_no_answer("bdev_get_bdevs", f"its answer for {disk} has no sizes")
    return Namespace(disk, number, block, blocks)


async def _behind_vmds(client: RpcClient) -> list[tuple[PciAddress, bytes]]:
    """NVMe devices that only SPDK sees, with their configuration space."""
    answer = await client.call("framework_get_pci_devices")
    found = []
    for entry in answer if isinstance(answer, list) else ():
        try:
            address, config = PciAddress.parse(entry["address"]), bytes.fromhex(entry["config_space"])
        except (TypeError, KeyError, ValueError) as error:
            raise faults.spdk_no_answer("framework_get_pci_devices", "an entry has another form") from error
        if address.behind_vmd and int.from_bytes(config[9:12], "little") == NVME_CLASS:
            found.append((address, config))
    return sorted(found)


def _config(root: Path, address: PciAddress) -> bytes:
    try:
        return (root / f"sys/bus/pci/devices/{address}/config").read_bytes()
    except OSError:
        return b""


def _text(answer: Any, key: str) -> str:
    value = answer.get(key) if isinstance(answer, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def _decode(answer: Any, key: str, size: int) -> bytes:
    try:
        data = base64.urlsafe_b64decode(answer[key])
    except (TypeError, KeyError, ValueError) as error:
        raise faults.spdk_no_answer("bdev_nvme_send_cmd", f"its answer has no {key}") from error
    if len(data) < size:
        raise faults.spdk_no_answer("bdev_nvme_send_cmd", f"{len(data)} bytes of {key} came, {size} were to")
    return data[:size]
