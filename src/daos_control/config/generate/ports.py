"""The port that each engine begins with on its network interface."""

from collections.abc import Sequence

from daos_control.config.generate.threads import Threads
from daos_control.config.values import PORT_MAX
from daos_control.faults import ControlError

FIRST = 31416
SPACING = 1000
# Beside targets and helpers: two threads of the engine itself, each with a port.
_SYSTEM_THREADS = 2


def fabric_ports(given: Sequence[int], interfaces: Sequence[str], threads: Threads, control_port: int) -> list[int]:
    """One for each engine; `interfaces` are those that the engines use, in order.

    By default a thousand apart, or as far as there is room. Raises ControlError where ports that were given are too
    few, or where the ports of two engines on one interface, or those of an engine and the control plane, would
    overlap: an engine takes one for each of its threads.
    """
    count = len(interfaces)
    if given and len(given) < count:
        raise ControlError(f"{len(given)} fabric ports are given for {count} engines (--fabric-ports)")
    width = threads.targets + threads.helpers + _SYSTEM_THREADS
    ports = list(given[:count]) if given else _default(count, width, control_port)
    for index, port in enumerate(ports):
        end = port + width - 1
        if end > PORT_MAX:
            raise ControlError(
                f"engine {index} takes the {width} ports from {port} on, and there are none above {PORT_MAX}"
                " (--fabric-ports)"
            )
        if port <= control_port <= end:
            raise ControlError(
                f"engine {index} takes the ports {port} to {end}, and {control_port} is the control plane's"
                " (--fabric-ports)"
            )
        for other in range(index):
            if interfaces[other] == interfaces[index] and abs(ports[other] - port) < width:
                raise ControlError(
                    f"engines {other} and {index} are both on {interfaces[index]}, and take {width} ports each,"
                    f" from {ports[other]} and {port} on (--fabric-ports)"
                )
    return ports


def _default(count: int, width: int, control_port: int) -> list[int]:
    room = PORT_MAX + 1 - FIRST
    spacing = min(SPACING, room // count)
    ports = [FIRST + index * spacing for index in range(count)]
    if spacing >= 2 * width:  # past the control plane's port, where it is in the way
        ports = [port + width if port <= control_port < port + width else port for port in ports]
    return ports
