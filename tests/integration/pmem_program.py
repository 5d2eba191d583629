"""`ipmctl` and `ndctl` of a host that `pmem_host` makes: one program over a file, by the name it is run under."""

import fcntl
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent
WORDS = sys.argv[1:]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def fail(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.exit(1)


def option(name: str) -> str | None:
    return WORDS[WORDS.index(name) + 1] if name in WORDS else None


def xml(root: str, name: str, entries: Iterable[dict[str, str]]) -> None:
    rows = ["".join(f"<{key}>{value}</{key}>" for key, value in entry.items()) for entry in entries]
    say(f"<{root}>" + "".join(f"<{name}>{row}</{name}>" for row in rows) + f"</{root}>")


def ipmctl(host: dict[str, Any]) -> None:
    socket = option("-socket")
    modules = [m for m in host["modules"] if socket in (None, str(m["socket"]))]
    if WORDS[0] == "version":
        say(f"Command Line Interface Version {host['version']}")
    elif "-dimm" in WORDS:
        if not modules:
            say("No PMem modules in the system.")
            sys.exit(4)
        xml("DimmList", "Dimm", (dimm(number, module) for number, module in enumerate(modules)))
    elif "-region" in WORDS:
        regions = {name: r for name, r in host["regions"].items() if socket in (None, str(r["socket"]))}
        if not regions:
            say("There are no Regions defined in the system.")
            return
        xml("RegionList", "Region", (ipmctl_region(host, name) for name in regions))
    elif WORDS[0] == "create":
        host["goals"] = sorted({module["socket"] for module in modules})
    elif WORDS[0] == "delete":
        host["goals"] = []
    else:
        fail(f"unknown command {WORDS}")


def dimm(number: int, module: dict[str, Any]) -> dict[str, str]:
    return {
        "DimmID": f"0x{number:04x}",
        "Capacity": "4.000 GiB",
        "HealthState": "Healthy",
        "FWVersion": "01.02.00.5446",
        "PhysicalID": f"0x{number:04x}",
        "DimmUID": f"8089-a2-{number:04d}",
        "SocketID": f"0x{module['socket']:04x}",
        "MemControllerID": "0x0000",
        "ChannelID": "0x0000",
        "ChannelPos": "1",
        "PartNumber": "NMB1",
    }


def ipmctl_region(host: dict[str, Any], name: str) -> dict[str, str]:
    region = host["regions"][name]
    return {
        "SocketID": f"0x{region['socket']:04x}",
        "PersistentMemoryType": region["kind"],
        "Capacity": f"{region['size']} B",
        "FreeCapacity": f"{free(host, name)} B",
        "HealthState": "Healthy",
        "RegionID": "0x0001",
        "ISetID": f"0x{region['iset']:x}",
    }


def free(host: dict[str, Any], region: str) -> int:
    if host["regions"][region].get("unlabelled"):
        return 0
    taken = sum(n["size"] for n in host["namespaces"].values() if n["region"] == region)
    return int(host["regions"][region]["size"] - taken)


def ndctl(host: dict[str, Any]) -> None:
    actions = {
        "list": list_regions if "-R" in WORDS else list_namespaces,
        "create-namespace": create_namespace,
        "enable-namespace": enable_namespace,
        "disable-namespace": disable_namespace,
        "destroy-namespace": destroy_namespace,
        "enable-region": enable_region,
        "disable-region": disable_region,
        "init-labels": init_labels,
    }
    if WORDS[0] not in actions:
        fail(f"unknown command {WORDS}")
    actions[WORDS[0]](host)


def on_node(entry: dict[str, Any]) -> bool:
    return option("--numa-node") in (None, str(entry["node"]))


def listed(entries: list[dict[str, Any]]) -> None:
    if entries:
        say(json.dumps(entries if len(entries) > 1 else entries[0], indent=2))


def state_of(entry: dict[str, Any]) -> dict[str, str]:
    return {} if entry["enabled"] else {"state": "disabled"}


def list_regions(host: dict[str, Any]) -> None:
    listed(
        [
            {
                "dev": name,
                "size": region["size"],
                "align": region["align"],
                "available_size": free(host, name),
                "type": "pmem",
                "numa_node": region["node"],
                "iset_id": region["iset"],
                "persistence_domain": "memory_controller",
            }
            | state_of(region)
            for name, region in host["regions"].items()
            if on_node(region) and ("-i" in WORDS or region["enabled"])
        ]
    )


def list_namespaces(host: dict[str, Any]) -> None:
    listed(
        [
            {
                "dev": name,
                "mode": n["mode"],
                "size": n["size"],
                "blockdev": n["blockdev"],
                "numa_node": n["node"],
            }
            | ({"uuid": n["uuid"]} if n["uuid"] else {})
            | state_of(n)
            for name, n in sorted(host["namespaces"].items())
            if on_node(n) and ("-c" in WORDS or n["enabled"])
        ]
    )


def create_namespace(host: dict[str, Any]) -> None:
    region, namespaces = str(option("--region")), host["namespaces"]
    size = int(option("--size") or 0)
    if size > free(host, region) or size % host["regions"][region]["align"]:
        fail("failed to create namespace: Resource temporarily unavailable")
    if host.pop("fail_next", None) == "create-namespace":
        fail("failed to create namespace: No such device or address")
    prefix = region.replace("region", "namespace")
    number = next(n for n in range(9) if f"{prefix}.{n}" not in namespaces)
    used = {n["blockdev"] for n in namespaces.values()}
    namespaces[f"{prefix}.{number}"] = {
        "region": region,
        "size": size,
        "mode": "fsdax",
        "blockdev": next(device for device in host["devices"] if device not in used),
        "node": host["regions"][region]["node"],
        "uuid": f"uuid-{region}-{number}",
        "enabled": True,
    }


def check_unused(namespace: dict[str, Any]) -> None:
    try:
        os.close(os.open("/dev/" + namespace["blockdev"], os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        fail(f"failed to disable: {error}")


def enable_namespace(host: dict[str, Any]) -> None:
    host["namespaces"][WORDS[1]]["enabled"] = True


def disable_namespace(host: dict[str, Any]) -> None:
    check_unused(host["namespaces"][WORDS[1]])
    host["namespaces"][WORDS[1]]["enabled"] = False


def destroy_namespace(host: dict[str, Any]) -> None:
    if host["namespaces"][WORDS[1]]["enabled"]:
        fail(f"{WORDS[1]} is active, specify --force for re-configuration")
    del host["namespaces"][WORDS[1]]


def enable_region(host: dict[str, Any]) -> None:
    host["regions"][WORDS[1]]["enabled"] = True


def disable_region(host: dict[str, Any]) -> None:
    for namespace in host["namespaces"].values():
        if namespace["region"] == WORDS[1]:
            check_unused(namespace)
    host["regions"][WORDS[1]]["enabled"] = False
    host["namespaces"] = {name: n for name, n in host["namespaces"].items() if n["region"] != WORDS[1]}


def init_labels(host: dict[str, Any]) -> None:
    for region in host["regions"].values():
        if region["dimm"] in WORDS:
            if region["enabled"]:
                fail(f"{region['dimm']}: regions active, abort label write")
            region["unlabelled"] = False


def main() -> None:
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = HOME / "host.json"
        host = json.loads(file.read_text())
        name = Path(sys.argv[0]).name
        with (HOME / "commands").open("a") as log:
            log.write(" ".join([name, *WORDS]) + "\n")
        try:
            {"ipmctl": ipmctl, "ndctl": ndctl}[name](host)
        finally:
            file.write_text(json.dumps(host, indent=1))


if __name__ == "__main__":
    main()
