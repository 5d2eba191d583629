"""dmg storage nvme-rebind, nvme-add-device and led."""

import re
from typing import TYPE_CHECKING

import click

from daos_control.cli import session
from daos_control.cli.parsing import Command, CommandLineError, Group
from daos_control.cli.print_hosts import host_errors, hosts_json, shown_hosts
from daos_control.cli.table import ruled
from daos_control.system.hosts import HostSet

if TYPE_CHECKING:
    from daos_control.client.model import HostsResponse
    from daos_control.client.nvme import LedResponse
    from daos_control.client.storage_types import SmdDevice

_ADDRESS = re.compile(r"^[0-9a-fA-F]{4,6}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$")
_UINT32 = click.IntRange(0, 0xFFFFFFFF)

led = Group("led", help="LEDs of NVMe devices.")


def add_to(storage: Group) -> None:
    """Put the commands into the group `storage`."""
    storage.add_command(rebind)
    storage.add_command(add_device)
    storage.add_command(led)


_pci_address = click.option(
    "-a", "--pci-address", "address", metavar="ADDRESS", required=True, help="PCI address of the device."
)


@click.command("nvme-rebind", cls=Command)
@session.host_list
@_pci_address
def rebind(hosts: HostSet | None, address: str) -> None:
    """Take an NVMe device from the kernel, for use by engines."""
    from daos_control.client import nvme

    asked = _single(hosts)
    _check_address(address)
    _show(session.run(lambda client: nvme.rebind(client, asked, address), hosts=asked))


@click.command("nvme-add-device", cls=Command)
@session.host_list
@_pci_address
@click.option("-e", "--engine-index", "engine", type=_UINT32, required=True, help="The engine on that server.")
@click.option(
    "-t",
    "--tier-index",
    "tier",
    type=click.IntRange(-(2**31), 2**31 - 1),
    default=-1,
    help="The engine's tier; -1, the default, is its first with block devices.",
)
def add_device(hosts: HostSet | None, address: str, engine: int, tier: int) -> None:
    """Let an engine use an NVMe device that was plugged in."""
    from daos_control.client import nvme

    asked = _single(hosts)
    _check_address(address)
    _show(session.run(lambda c: nvme.add_device(c, asked, address, engine=engine, tier=tier), hosts=asked))


@led.command("identify", cls=Command)
@session.host_list
@click.option("--timeout", "minutes", type=_UINT32, default=0, help="Minutes to blink.")
@click.option("--reset", is_flag=True, help="Stop blinking.")
@click.argument("ids", required=False, default="")
def identify(hosts: HostSet | None, minutes: int, reset: bool, ids: str) -> None:
    """Let the LEDs of devices blink: IDS are uuids or PCI addresses, with commas; all without."""
    from daos_control.client import nvme

    if reset and minutes:
        raise CommandLineError("timeout option can not be set at the same time as reset")
    asked = session.asked_hosts(hosts)
    if reset:
        _show_leds(session.run(lambda client: nvme.led_reset(client, asked, ids), hosts=asked))
    else:
        _show_leds(session.run(lambda c: nvme.led_identify(c, asked, ids, minutes=minutes), hosts=asked))


@led.command("check", cls=Command)
@session.host_list
@click.argument("ids", required=False, default="")
def check(hosts: HostSet | None, ids: str) -> None:
    """Show the LEDs of devices: IDS are uuids or PCI addresses, with commas; all without."""
    from daos_control.client import nvme

    asked = session.asked_hosts(hosts)
    _show_leds(session.run(lambda client: nvme.led_check(client, asked, ids), hosts=asked))


def _single(hosts: HostSet | None) -> tuple[str, ...]:
    asked = session.asked_hosts(hosts)
    if len(asked) != 1:
        raise CommandLineError("command expects a single host in hostlist")
    return asked


def _check_address(address: str) -> None:
    if not _ADDRESS.match(address):
        raise CommandLineError(f'invalid pci address in request: "{address}": write it as 0000:81:00.0')


def _show(response: "HostsResponse") -> None:
    out = session.console()
    if out.json:
        errors = {str(group.error): str(group.hosts) for group in response.host_errors}
        out.document({"host_errors": dict(sorted(errors.items()))}, response.failure)
    elif response.host_errors:
        out.error(host_errors(response))
    else:
        out.info("Command completed successfully")
    if response.failure is not None:
        raise response.failure


def _show_leds(response: "LedResponse") -> None:
    out = session.console()
    if out.json:
        out.document(hosts_json(response, "host_storage_map", response.groups), response.failure)
        if response.failure is not None:
            raise response.failure
        return
    if response.host_errors:
        out.error(host_errors(response))
    text = ""
    for group in response.groups or ():
        text += ruled(shown_hosts(group.hosts))
        found = group.content.smd_info
        if found is None:
            text += "  No SMD info returned\n"
            continue
        text += "  Devices\n" + "".join(f"    {_led_line(device)}\n" for device in found.devices)
    if text:
        out.info(text)
    if response.failure is not None:
        raise response.failure


def _led_line(device: "SmdDevice") -> str:
    namespace = f" NSID:{device.ctrlr_namespace_id}" if device.ctrlr_namespace_id else ""
    uuid = f" [UUID:{device.uuid}]" if device.uuid else ""
    return f"TrAddr:{device.ctrlr.pci_addr}{namespace}{uuid} LED:{device.ctrlr.led_state.value}"
