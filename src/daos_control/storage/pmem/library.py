"""libipmctl: Optane modules and their firmware, asked through cffi."""

import ctypes
import os
from typing import Any

from daos_control.storage.pmem.model import Module

NAMES = ("libipmctl.so.5", "libipmctl.so.4")
MAJOR_VERSIONS = (2, 3)
NO_FIRMWARE = "00.00.00.0000"

_BLOCK_BYTES = 4096  # what the size of a firmware image is counted in
_OK = (0, 1)  # success; success, and the new firmware takes effect at a reset
_HEALTH = {
    1: "Healthy",
    2: "Minor Failure",
    3: "Critical Failure",
    4: "Fatal Failure",
    5: "Unmanageable",
    6: "Non-functional",
}

# Of <nvm_types.h> and <nvm_management.h>, versions 2 and 3, which agree in what stands here. Of a device's status
# only the first byte is of interest: it is given more room than any version's has.
_DECLARATIONS = """
struct device_discovery {
    unsigned char all_properties_populated;
    unsigned int device_handle;
    unsigned short physical_id, vendor_id, device_id, revision_id;
    unsigned short channel_pos, channel_id, memory_controller_id, socket_id, node_controller_id;
    int memory_type;
    unsigned int dimm_sku;
    unsigned char manufacturer[2], serial_number[4];
    unsigned short subsystem_vendor_id, subsystem_device_id, subsystem_revision_id;
    unsigned char manufacturing_info_valid, manufacturing_location;
    unsigned short manufacturing_date;
    char part_number[21], fw_revision[25], fw_api_version[25];
    unsigned long long capacity;
    unsigned short interface_format_codes[9];
    unsigned char security_capabilities[8], device_capabilities[8];
    char uid[22];
    int lock_state, manageability;
    unsigned short controller_revision_id;
    unsigned char master_passphrase_enabled, reserved[47];
};
struct device_fw_info {
    char active_fw_revision[25], staged_fw_revision[25];
    unsigned int FWImageMaxSize;
    int fw_update_status;
    unsigned char reserved[4];
};
struct device_status { unsigned char health, rest[1023]; };
int nvm_get_major_version(void);
int nvm_get_number_of_devices(unsigned int *count);
int nvm_get_devices(struct device_discovery *devices, unsigned char count);
int nvm_get_device_status(const char *uid, struct device_status *status);
int nvm_get_device_fw_image_info(const char *uid, struct device_fw_info *info);
int nvm_update_device_fw(const char *uid, const char *path, size_t path_len, unsigned char force);
"""


class LibraryError(Exception):
    """A call of the library failed, or the library is of a version that we do not know."""


class Library:
    """The library, loaded. All calls need root, and raise LibraryError."""

    def __init__(self, name: str) -> None:
        import cffi  # type: ignore[import-untyped]  # only here: it takes longer to import than all else

        self.ffi: Any = cffi.FFI()
        self.ffi.cdef(_DECLARATIONS)
        try:
            self._lib: Any = self.ffi.dlopen(name)
            major = int(self._lib.nvm_get_major_version())
        except (OSError, AttributeError) as error:
            raise LibraryError(f"{name} cannot be used: {error}") from error
        if major not in MAJOR_VERSIONS:
            raise LibraryError(f"{name} has the major version {major}, where 2 or 3 is wanted")

    def modules(self) -> tuple[Module, ...]:
        """All modules, by physical id."""
        count = self.ffi.new("unsigned int *")
        self._call("nvm_get_number_of_devices", count)
        if not count[0]:
            return ()
        devices = self.ffi.new("struct device_discovery[]", int(count[0]))
        self._call("nvm_get_devices", devices, count[0])
        return tuple(sorted((self._module(device) for device in devices), key=lambda module: module.physical_id))

    def firmware(self, uid: str) -> tuple[str, str, int, int]:
        """Of one module: the active version, the staged one (empty where there is none), the largest image in
        bytes, and the status of the last update (0 unknown, 1 staged, 2 success, 3 failed)."""
        info = self.ffi.new("struct device_fw_info *")
        self._call("nvm_get_device_fw_image_info", _uid(uid), info)
        staged = self._text(info.staged_fw_revision)
        status = int(info.fw_update_status)
        return (
            self._text(info.active_fw_revision),
            "" if staged == NO_FIRMWARE else staged,
            int(info.FWImageMaxSize) * _BLOCK_BYTES,
            status if status in (1, 2, 3) else 0,
        )

    def update_firmware(self, uid: str, path: str) -> None:
        """Give a module new firmware, older minor versions as well; it takes effect at a reboot."""
        data = os.fsencode(path)
        self._call("nvm_update_device_fw", _uid(uid), data, len(data), 1)

    def _module(self, device: Any) -> Module:
        uid = self._text(device.uid)
        status = self.ffi.new("struct device_status *")
        self._call("nvm_get_device_status", _uid(uid), status)
        return Module(
            channel_id=device.channel_id,
            channel_position=device.channel_pos,
            controller_id=device.memory_controller_id,
            socket_id=device.socket_id,
            physical_id=device.physical_id,
            capacity=device.capacity,
            uid=uid,
            part_number=self._text(device.part_number),
            firmware_revision=self._text(device.fw_revision),
            health_state=_HEALTH.get(status.health, "Unknown"),
        )

    def _call(self, name: str, *arguments: Any) -> None:
        code = int(getattr(self._lib, name)(*arguments))
        if code not in _OK:
            raise LibraryError(f"{name} of libipmctl failed with {code}")

    def _text(self, field: Any) -> str:
        return bytes(self.ffi.string(field)).decode(errors="replace")


def find() -> Library | None:
    """The library, or None where it (or cffi) is not installed; LibraryError where it cannot be used."""
    for name in NAMES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return Library(name)
    return None


def _uid(text: str) -> bytes:
    data = text.encode()
    if not 0 < len(data) < 22:
        raise LibraryError(f"{text!r} is no UID of a module")
    return data
