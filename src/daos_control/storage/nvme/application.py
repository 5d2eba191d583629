"""SPDK's own program, started for one request of the helper and ended with it.

It starts without its subsystems, is told to be small (its defaults take more huge pages than a scan may have), and
then takes the devices it is allowed. It cannot outlive the helper, leaves no files of huge pages behind, and its
socket is in a directory that only root can enter.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daos_control.faults import Fault, pbin
from daos_control.faults import bdev as faults
from daos_control.storage.helper import steps
from daos_control.storage.nvme.address import PciAddress
from daos_control.storage.nvme.jsonrpc import RpcClient, RpcError

PROGRAM: Final = "spdk_tgt"
PROGRAM_FILE: Final = Path("/etc/daos/daos_spdk_program")  # names another one; only root may write it
_PLACES: Final = ("/usr/libexec/spdk", "/opt/spdk/bin", "/usr/local/bin", "/opt/daos/prereq/release/spdk/bin")
_PREFIX: Final = "daos_spdk_"
_START_SECONDS: Final = 30.0
_INIT_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 5.0
_MEMORY_MIB: Final = 200
_LOG_BYTES_MAX: Final = 16 * 1024
_METHOD_NOT_FOUND: Final = -32601

# Pools as small as SPDK lets them be: a few devices are looked at, one after the other.
_SMALL: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    (
        "iscsi_set_options",
        {"pdu_pool_size": 100, "immediate_data_pool_size": 16, "data_out_pool_size": 16, "max_sessions": 4},
    ),
    ("iobuf_set_options", {"small_pool_count": 512, "large_pool_count": 64}),
    # Other modules are kept from opening what they believe to be theirs on a device.
    ("bdev_set_options", {"bdev_io_pool_size": 1024, "bdev_io_cache_size": 16, "bdev_auto_examine": False}),
)
_NVME_OPTIONS: Final = {
    "transport_retry_count": 1,
    "timeout_us": 10_000_000,
    "timeout_admin_us": 10_000_000,
    "action_on_timeout": "abort",
}


@dataclass(frozen=True, slots=True)
class Options:
    """`devices` are those it may touch, none but them; `vmd` lets it drive VMDs."""

    devices: tuple[PciAddress, ...]
    vmd: bool = False


def find() -> Path:
    """The program. Fault 1, the one for all of NVMe, where SPDK is not installed."""
    with contextlib.suppress(OSError):
        status = PROGRAM_FILE.stat()
        if status.st_uid == 0 and not status.st_mode & 0o022:
            named = Path(PROGRAM_FILE.read_text(encoding="utf-8").strip())
            if named.is_absolute() and os.access(named, os.X_OK):
                return named
    places = ":".join((steps.search_path(), *_PLACES))
    found = shutil.which(PROGRAM, path=places)
    if found is None:
        raise pbin.missing_software(
            f"SPDK's program {PROGRAM}",
            "every use of NVMe devices (class nvme)",
            f"SPDK with its applications (the program {PROGRAM} on the path, or named in {PROGRAM_FILE}), or use "
            "class file or kdev,",
        )
    return Path(found)


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[RpcClient]:
    """The program, ready for calls. Fault 1 where it is not installed, 802 or 803 where it does not start."""
    program = find()
    place = _private_place()
    _remove_stale(place)
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}_", dir=place))
    process: asyncio.subprocess.Process | None = None
    try:
        socket = directory / "rpc.sock"
        process = await _start(program, socket, options)
        written = _Output(process)
        try:
            async with await _connect(process, socket, written) as client:
                await _initialise(client, options)
                yield client
        except Fault:
            await _tell(process, written)
            raise
        finally:
            await _stop(process)
            await written.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def arguments(program: Path, socket: Path, options: Options) -> list[str]:
    """The command line. One core, the first we may run on; no lock on it, since engines may have one there."""
    core = min(os.sched_getaffinity(0))
    command = [os.fspath(program), "-m", f"[{core}]", "-s", str(_MEMORY_MIB), "-r", os.fspath(socket)]
    command += ["--wait-for-rpc", "--disable-cpumask-locks", "--huge-unlink", "--silence-noticelog"]
    # What is on the bus is behind a VMD's own address.
    endpoints = sorted({device.endpoint for device in options.devices})
    if not endpoints:
        return [*command, "--no-pci"]
    for endpoint in endpoints:
        command += ["-A", str(endpoint)]
    return command


class _Output:
    """The last of what the program writes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        self._stream = process.stderr
        self._kept = b""
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while chunk := await self._stream.read(4096):
            self._kept = (self._kept + chunk)[-_LOG_BYTES_MAX:]

    async def end(self) -> None:
        """Once the program has ended: no more can come."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._task
        except TimeoutError:
            pass

    @property
    def complaint(self) -> str:
        """Its errors, in a line each without the time and place that SPDK puts before them."""
        lines = [line.strip() for line in self._kept.decode(errors="replace").splitlines() if line.strip()]
        telling = [line.rpartition("*ERROR*: ")[2] for line in lines if "*ERROR*" in line] or lines
        return "; ".join(dict.fromkeys(telling[-3:]))


def _private_place() -> Path:
    return Path("/run") if os.access("/run", os.W_OK) else Path(tempfile.gettempdir())


def _remove_stale(place: Path) -> None:
    """The directories of helpers that were killed."""
    for directory in place.glob(f"{_PREFIX}*"):
        owner = directory.name.removeprefix(_PREFIX).partition("_")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(directory, ignore_errors=True)


async def _start(program: Path, socket: Path, options: Options) -> asyncio.subprocess.Process:
    command = arguments(program, socket, options)
    # It must not go on without us, whatever becomes of us.
    bound = shutil.which("setpriv", path=steps.search_path())
    if bound is not None:
        command = [bound, "--pdeathsig", "KILL", *command]
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C"},
        )
    except OSError as error:
        raise faults.spdk_no_answer("its start", error.strerror or str(error)) from error


async def _connect(process: asyncio.subprocess.Process, socket: Path, written: _Output) -> RpcClient:
    """As soon as it listens; SPDK gives no other sign."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_SECONDS
    while loop.time() < deadline:
        with contextlib.suppress(OSError):
            return await RpcClient.connect(socket)
        if process.returncode is not None:
            await written.end()
            raise faults.spdk_no_answer("its start", f"it ended with code {process.returncode}")
        await asyncio.sleep(0.02)
    raise faults.spdk_no_answer("its start", f"it does not listen after {_START_SECONDS:g} s")


async def _initialise(client: RpcClient, options: Options) -> None:
    for method, params in _SMALL:
        with contextlib.suppress(RpcError):  # programs without iSCSI, or of other versions, do not know them all
            await client.call(method, params)
    try:
        if options.vmd:
            await client.call("vmd_enable")
        await client.call("bdev_nvme_set_options", _NVME_OPTIONS)
        await client.call("framework_start_init", timeout=_INIT_SECONDS)
    except RpcError as error:
        raise faults.spdk_failed(error.method, error.code, error.message) from error


async def _tell(process: asyncio.subprocess.Process, written: _Output) -> None:
    """What the program itself says is often the only clue: it goes to the server's log through stderr."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await process.wait()
    if written.complaint:
        os.write(2, f"{PROGRAM}: {written.complaint}\n".encode(errors="replace"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()


def method_unknown(error: RpcError) -> bool:
    """Whether the program lacks the method (an older SPDK)."""
    return error.code == _METHOD_NOT_FOUND
