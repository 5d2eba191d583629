"""The archive format that the kernel unpacks its first root file system from (cpio "newc")."""

import stat

_FIELDS = 13


class Archive:
    """Files are added in order, directories before what is in them; `encode` gives the whole."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._next = 1

    def directory(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """A character device."""
        self._add(name, stat.S_IFCHR | 0o600, b"", rdev=(major, minor))

    def encode(self) -> bytes:
        self._add("TRAILER!!!", 0, b"")
        return b"".join(self._parts)

    def _add(self, name: str, mode: int, data: bytes, rdev: tuple[int, int] = (0, 0)) -> None:
        encoded = name.encode() + b"\0"
        fields = (self._next, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0)
        assert len(fields) == _FIELDS
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._parts += [_padded(header + encoded), _padded(data)]
        self._next += 1


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
