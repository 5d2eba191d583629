"""The helper's methods for persistent memory, and what does them."""

from collections.abc import Callable
from typing import Any

from daos_control.storage.pmem import firmware, provider

HANDLERS: dict[str, Callable[[Any], Any]] = {
    "ScmScan": provider.scan,
    "ScmPrepare": provider.prepare,
    "ScmFirmwareQuery": firmware.query,
    "ScmFirmwareUpdate": firmware.update,
}
