"""Wiping a namespace through SPDK: what says what is on it, at its two ends, is looked at first, then overwritten.

The kernel cannot be asked about a device that programs drive. So both ends, where every signature is, are read
through SPDK into an image of the same size, with a hole for the rest, and libblkid judges that.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daos_control.faults import bdev as faults
from daos_control.storage import signatures
from daos_control.storage.helper import steps
from daos_control.storage.nvme.jsonrpc import RpcError
from daos_control.storage.nvme.session import Attached, CommandError, Limits, Namespace, Session

FORMAT: Final = "bdev_format"
# Large enough for all that libblkid knows: the last of them is 2 MiB into the device.
END_BYTES: Final = 3 << 20
# What is written goes in the request, which SPDK takes up to 32 KiB of, in base64.
_WRITE_BYTES: Final = 16 << 10
_FLUSH, _WRITE, _READ, _WRITE_ZEROES = 0x00, 0x01, 0x02, 0x08

_BLOBSTORE: Final = b"SPDKBLOB"
_BLOBSTORE_TYPE: Final = slice(56, 72)
_RAID: Final = b"SPDKRAID"


async def check(session: Session, device: Attached, namespace: Namespace) -> None:
    """Fault 302 where it holds something that is neither DAOS's nor nothing, or cannot be read."""
    where = _where(device, namespace)
    with _refusals(where):
        if found := await _contents(session, device, namespace, await session.limits(device)):
            raise faults.holds_foreign_data(where, ", ".join(found))


async def wipe(session: Session, device: Attached, namespace: Namespace) -> None:
    """Make a namespace blank for the engine, whatever it holds.

    Fault 302 where the device refuses a command, or where what was written does not read back. A crash leaves it as
    it was or partly blank: repeating the format finishes it.
    """
    where = _where(device, namespace)
    with _refusals(where):
        limits = await session.limits(device)
        steps.reached(FORMAT, "wipe", "before")
        for start, length in reversed(_ends(namespace)):  # what names the content is erased last
            await _erase(session, device, namespace, limits, start, length)
            steps.reached(FORMAT, "wipe", "during")
        await session.command(device, opcode=_FLUSH, namespace=namespace.id)
        steps.reached(FORMAT, "wipe", "after")
        if left := await _contents(session, device, namespace, limits):
            raise faults.format_failed(where, f"after it was erased it still holds {', '.join(left)}")


def _where(device: Attached, namespace: Namespace) -> str:
    return f"{device.address} namespace {namespace.id}"


@contextmanager
def _refusals(where: str) -> Iterator[None]:
    try:
        yield
    except (CommandError, RpcError) as error:
        raise faults.format_failed(where, str(error)) from error


def foreign(first: bytes) -> str:
    """What SPDK itself wrote at the start of a device, where that is not DAOS's: its blobstores have a type that is
    no text (a UUID, or nothing)."""
    if first.startswith(_RAID):
        return "a member of an SPDK RAID"
    kind = first[_BLOBSTORE_TYPE].rstrip(b"\0")
    if first.startswith(_BLOBSTORE) and kind and all(0x20 <= byte < 0x7F for byte in kind):
        return f"an SPDK blobstore of type {kind.decode()}"
    return ""


async def _contents(session: Session, device: Attached, namespace: Namespace, limits: Limits) -> list[str]:
    with _image(namespace.size) as (descriptor, path):
        first = b""
        for start, length in _ends(namespace):
            for at, size in _chunks(namespace, start, length, limits.transfer_bytes):
                data = await _read(session, device, namespace, at, size)
                first = first or data
                if data.count(0) != len(data):  # blanks stay holes
                    os.pwrite(descriptor, data, at)
        found = [str(signature) for signature in signatures.probe(path, sector_bytes=namespace.block_bytes)]
    own = foreign(first)
    return [own, *found] if own else found


@contextmanager
def _image(size: int) -> Iterator[tuple[int, Path]]:
    descriptor = os.memfd_create("namespace", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, size)
        yield descriptor, Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _ends(namespace: Namespace) -> list[tuple[int, int]]:
    """Start and length, in bytes, of what is read and wiped."""
    if namespace.size <= 2 * END_BYTES:
        return [(0, namespace.size)]
    return [(0, END_BYTES), (namespace.size - END_BYTES, END_BYTES)]


def _chunks(namespace: Namespace, start: int, length: int, most: int) -> Iterator[tuple[int, int]]:
    """Start and length of each command, of at most `most` bytes in whole blocks."""
    block = namespace.block_bytes
    chunk = max(most // block, 1) * block
    at = start // block * block
    while at < start + length:
        size = min(chunk, namespace.size - at)
        yield at, size
        at += size


async def _read(session: Session, device: Attached, namespace: Namespace, at: int, size: int) -> bytes:
    return await session.command(
        device, opcode=_READ, namespace=namespace.id, words=_range(namespace, at, size), read_bytes=size
    )


async def _erase(
    session: Session, device: Attached, namespace: Namespace, limits: Limits, start: int, length: int
) -> None:
    if limits.write_zeroes:
        with contextlib.suppress(CommandError):  # then by plain writes, which every device knows
            for at, size in _chunks(namespace, start, length, END_BYTES):
                words = _range(namespace, at, size)
                await session.command(device, opcode=_WRITE_ZEROES, namespace=namespace.id, words=words)
            return
    for at, size in _chunks(namespace, start, length, min(_WRITE_BYTES, limits.transfer_bytes)):
        words = _range(namespace, at, size)
        await session.command(device, opcode=_WRITE, namespace=namespace.id, words=words, data=bytes(size))


def _range(namespace: Namespace, at: int, size: int) -> tuple[int, int, int]:
    block = at // namespace.block_bytes
    return block & 0xFFFFFFFF, block >> 32, size // namespace.block_bytes - 1
