"""Each rule of the server's configuration: one valid file, spoilt in one way, has that one problem."""

from typing import Any

import pytest

from unit.config.samples import REMOVE, document, nvme, parse, problems, spoil

ALL_ROLES = ["wal", "meta", "data"]
META = {"control_metadata.path": "/var/daos"}
PCI = [f"0000:8{digit}:00.0" for digit in range(6)]

# name: (engines, changes, key of the problem, code, part of the message)
SPOILT: dict[str, tuple[int, dict[str, Any], str, int, str]] = {
    "empty system name": (1, {"name": ""}, "name", 701, "1 to 15 bytes"),
    "long system name": (1, {"name": "x" * 16}, "name", 701, "1 to 15 bytes"),
    "long system name in bytes": (1, {"name": "ä" * 8}, "name", 701, "1 to 15 bytes"),
    "port zero": (1, {"port": 0}, "port", 703, "from 1 to 65535"),
    "port negative": (1, {"port": -1}, "port", 703, "from 1 to 65535"),
    "port too large": (1, {"port": 65536}, "port", 703, "from 1 to 65535"),
    "port as text": (1, {"port": "10001"}, "port", 703, "whole number"),
    "port as truth": (1, {"port": True}, "port", 703, "whole number"),
    "port as fraction": (1, {"port": 10001.5}, "port", 703, "whole number"),
    "telemetry port negative": (1, {"telemetry_port": -1}, "telemetry_port", 704, "0 to 65535"),
    "no provider": (1, {"provider": REMOVE}, "provider", 707, "no fabric provider"),
    "two providers": (1, {"provider": "ofi+tcp,ofi+verbs"}, "provider", 701, "more than one"),
    "even replicas": (1, {"mgmt_svc_replicas": ["a", "b"]}, "mgmt_svc_replicas", 706, "even number"),
    "replica twice": (1, {"mgmt_svc_replicas": ["a", "b", "a:10001"]}, "mgmt_svc_replicas[2]", 705, "named twice"),
    "replica port zero": (1, {"mgmt_svc_replicas": ["a:0"]}, "mgmt_svc_replicas[0]", 703, "no valid port"),
    "replica port negative": (1, {"mgmt_svc_replicas": ["a:-1"]}, "mgmt_svc_replicas[0]", 703, "no valid port"),
    "replica port text": (1, {"mgmt_svc_replicas": ["a:x"]}, "mgmt_svc_replicas[0]", 703, "no valid port"),
    "replica without host": (1, {"mgmt_svc_replicas": [":1"]}, "mgmt_svc_replicas[0]", 705, "no host"),
    "replica of many colons": (1, {"mgmt_svc_replicas": ["fe80::1"]}, "mgmt_svc_replicas[0]", 705, "no host"),
    "replicas no list": (1, {"mgmt_svc_replicas": "host1"}, "mgmt_svc_replicas", 701, "must be a list"),
    "both names of replicas": (1, {"access_points": ["a"]}, "access_points", 701, "deprecated name"),
    "both hotplug keys": (1, {"enable_hotplug": True, "disable_hotplug": False}, "enable_hotplug", 735, "both set"),
    "metadata device alone": (1, {"control_metadata.device": "/dev/x"}, "control_metadata.device", 729, "no path"),
    "no reserved memory": (1, {"system_ram_reserved": 0}, "system_ram_reserved", 734, "0 GiB"),
    "huge pages negative": (1, {"nr_hugepages": -1}, "nr_hugepages", 725, "-1 huge pages"),
    "huge pages too many": (1, {"nr_hugepages": 1 << 31}, "nr_hugepages", 725, "huge pages"),
    "huge pages off, counted": (
        1, {"disable_hugepages": True, "nr_hugepages": 5}, "disable_hugepages", 737, "nr_hugepages",
    ),
    "huge pages off, nvme": (
        1, {"disable_hugepages": True, "engines.0.storage.1": nvme(PCI[0])}, "disable_hugepages", 726, "NVMe",
    ),
    "fault domain without slash": (1, {"fault_path": "rack"}, "fault_path", 717, "begin with /"),
    "fault domain of nothing": (1, {"fault_path": "/"}, "fault_path", 717, "no level"),
    "fault domain with hole": (1, {"fault_path": "/a//"}, "fault_path", 717, "empty"),
    "fault domain half labelled": (1, {"fault_path": "/a=b/c"}, "fault_path", 717, "labels"),
    "fault domain too deep": (1, {"fault_path": "/a/b/c"}, "fault_path", 724, "3 levels"),
    "fault domain twice": (1, {"fault_path": "/a", "fault_cb": "/b"}, "fault_path", 722, "both set"),
    "log level": (1, {"control_log_mask": "loud"}, "control_log_mask", 701, "log level"),
    "core dump filter": (1, {"core_dump_filter": 256}, "core_dump_filter", 701, "0 to 255"),
    "restart delay": (1, {"engine_auto_restart_min_delay": -1}, "engine_auto_restart_min_delay", 701, "0 or more"),
    "excluded no address": (1, {"bdev_exclude": ["sda"]}, "bdev_exclude[0]", 701, "PCI address"),
    "excluded device used": (
        1, {"bdev_exclude": [PCI[0]], "engines.0.storage.1": nvme(PCI[0])},
        "engines[0].storage[1].bdev_list[0]", 736, "excluded",
    ),
    "truth as word": (1, {"disable_vfio": "maybe"}, "disable_vfio", 701, "true or false"),
    "section as text": (1, {"transport_config": "secure"}, "transport_config", 701, "map of keys"),
    "engines as map": (1, {"engines": {}}, "engines", 701, "must be a list"),
    "engine empty": (2, {"engines.1": None}, "engines[1]", 701, "map of keys, not nothing"),
    "no targets": (1, {"engines.0.targets": REMOVE}, "engines[0].targets", 701, "no targets"),
    "targets zero": (1, {"engines.0.targets": 0}, "engines[0].targets", 701, "no targets"),
    "targets negative": (1, {"engines.0.targets": -1}, "engines[0].targets", 701, "0 or more"),
    "helpers negative": (1, {"engines.0.nr_xs_helpers": -1}, "engines[0].nr_xs_helpers", 701, "0 or more"),
    "first core negative": (1, {"engines.0.first_core": -1}, "engines[0].first_core", 701, "from 0"),
    "first core and node": (
        1, {"engines.0.first_core": 1, "engines.0.pinned_numa_node": 0},
        "engines[0].first_core", 701, "together with pinned_numa_node",
    ),
    "no interface": (1, {"engines.0.fabric_iface": REMOVE}, "engines[0].fabric_iface", 701, "no network interface"),
    "two interfaces": (1, {"engines.0.fabric_iface": "eth0,eth1"}, "engines[0].fabric_iface", 701, "more than one"),
    "no fabric port": (1, {"engines.0.fabric_iface_port": REMOVE}, "engines[0].fabric_iface_port", 701, "no port"),
    "fabric port negative": (1, {"engines.0.fabric_iface_port": -1}, "engines[0].fabric_iface_port", 701, "0 to"),
    "crt timeout": (1, {"engines.0.crt_timeout": 1 << 32}, "engines[0].crt_timeout", 701, "from 0 to"),
    "log mask level": (1, {"engines.0.log_mask": "LOUD"}, "engines[0].log_mask", 701, "no log level"),
    "log mask subsystem": (
        1, {"engines.0.log_mask": "ERR,RBD=INFO"}, "engines[0].log_mask", 701, "no log subsystem",
    ),
    "log mask of all": (1, {"engines.0.log_mask": "ERR,all=INFO"}, "engines[0].log_mask", 701, "ALL"),
    "log mask second level": (
        1, {"engines.0.log_mask": "ERR,INFO"}, "engines[0].log_mask", 701, "assigns no level",
    ),
    "log mask characters": (1, {"engines.0.log_mask": "ERR;INFO"}, "engines[0].log_mask", 701, "characters"),
    "log mask length": (
        1, {"engines.0.log_mask": "ERR" + ",RDB=INFO" * 120}, "engines[0].log_mask", 701, "characters long",
    ),
    "env without value": (1, {"engines.0.env_vars": ["A=1", "B"]}, "engines[0].env_vars[1]", 701, "no environment"),
    "env without name": (1, {"engines.0.env_vars": ["=1"]}, "engines[0].env_vars[0]", 701, "no environment"),
    "debug stream": (1, {"engines.0.env_vars": ["DD_MASK=mgm"]}, "engines[0].env_vars[0]", 701, "no debug stream"),
    "debug stream all": (1, {"engines.0.env_vars": ["DD_MASK=all,io"]}, "engines[0].env_vars[0]", 701, "ALL"),
    "debug subsystem": (
        1, {"engines.0.env_vars": ["DD_SUBSYS=x"]}, "engines[0].env_vars[0]", 701, "no log subsystem",
    ),
    "srx no number": (
        1, {"engines.0.env_vars": ["FI_OFI_RXM_USE_SRX=on"]}, "engines[0].env_vars[0]", 701, "whole number",
    ),
    "srx passed through": (
        1, {"engines.0.env_pass_through": ["FI_OFI_RXM_USE_SRX"]}, "engines[0].env_pass_through[0]", 701, "passed",
    ),
    "pass through of value": (
        1, {"engines.0.env_pass_through": ["A=1"]}, "engines[0].env_pass_through[0]", 701, "name",
    ),
    "md cap no number": (
        1, {"engines.0.env_vars": ["DAOS_MD_CAP=1G"]}, "engines[0].env_vars[0]", 701, "whole number",
    ),
    "stack no number": (
        1, {"engines.0.env_vars": ["ABT_THREAD_STACKSIZE=x"]}, "engines[0].env_vars[0]", 701, "whole number",
    ),
    "stack for ucx": (
        1, {"provider": "ucx+dc_x", "engines.0.env_vars": ["ABT_THREAD_STACKSIZE=32767"]},
        "engines[0].env_vars[0]", 701, "too few with a provider of UCX",
    ),
    "stack for dcpm": (
        1,
        {
            "engines.0.storage": [{"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/pmem0"]}],
            "engines.0.env_vars": ["ABT_THREAD_STACKSIZE=20479"],
        },
        "engines[0].env_vars[0]", 701, "dcpm",
    ),
    "stack for roles": (
        1,
        {**META, "engines.0.storage.1": nvme(PCI[0], roles=ALL_ROLES),
         "engines.0.env_vars": ["ABT_THREAD_STACKSIZE=24575"]},
        "engines[0].env_vars[0]", 701, "metadata on SSDs",
    ),
    "pmemobj": (
        1, {"engines.0.env_vars": ["PMEMOBJ_CONF=sds.at_create=1"]}, "engines[0].env_vars[0]", 701, "must be 0",
    ),
    "pmemobj with dcpm": (
        1,
        {
            "engines.0.storage": [{"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/pmem0"]}],
            "engines.0.env_vars": ["PMEMOBJ_CONF=sds.at_create=0"],
        },
        "engines[0].env_vars[0]", 701, "cannot be set with class dcpm",
    ),
    "accelerator": (
        1, {"engines.0.acceleration": {"engine": "gpu"}}, "engines[0].acceleration.engine", 307, "gpu",
    ),
    "accelerator option": (
        1, {"engines.0.acceleration": {"engine": "spdk", "options": ["move", "fly"]}},
        "engines[0].acceleration.options[1]", 308, "fly",
    ),
    # Storage tiers.
    "no storage": (1, {"engines.0.storage": []}, "engines[0].storage", 701, "no storage tiers"),
    "no class": (1, {"engines.0.storage.1.class": REMOVE}, "engines[0].storage[1].class", 701, "no class"),
    "unknown class": (
        1, {"engines.0.storage.1.class": "tape"}, "engines[0].storage[1].class", 701, "storage class",
    ),
    "no scm": (
        1, {"engines.0.storage": [nvme(PCI[0])]}, "engines[0].storage", 216, "no storage tier is SCM",
    ),
    "scm second": (
        1, {"engines.0.storage": [nvme(PCI[0]), {"class": "ram", "scm_mount": "/m"}]},
        "engines[0].storage[0].class", 701, "first storage tier is not SCM",
    ),
    "scm twice": (
        1, {"engines.0.storage.1": {"class": "ram", "scm_mount": "/n"}},
        "engines[0].storage[1].class", 701, "has SCM already",
    ),
    "no mount": (
        1, {"engines.0.storage.0.scm_mount": REMOVE}, "engines[0].storage[0].scm_mount", 701, "mount point",
    ),
    "relative mount": (
        1, {"engines.0.storage.0.scm_mount": "mnt/daos"}, "engines[0].storage[0].scm_mount", 701, "absolute",
    ),
    "ram too small": (1, {"engines.0.storage.0.scm_size": 3}, "engines[0].storage[0].scm_size", 730, "too small"),
    "ram negative": (1, {"engines.0.storage.0.scm_size": -4}, "engines[0].storage[0].scm_size", 701, "from 0"),
    "ram with device": (
        1, {"engines.0.storage.0.scm_list": ["/dev/pmem0"]}, "engines[0].storage[0].scm_list", 701, "class ram",
    ),
    "dcpm with size": (
        1,
        {"engines.0.storage": [{"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/pmem0"], "scm_size": 4}]},
        "engines[0].storage[0].scm_size", 701, "class dcpm",
    ),
    "dcpm without device": (
        1, {"engines.0.storage": [{"class": "dcpm", "scm_mount": "/m"}]},
        "engines[0].storage[0].scm_list", 701, "exactly one device, not 0",
    ),
    "dcpm of two devices": (
        1, {"engines.0.storage": [{"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/a", "/dev/b"]}]},
        "engines[0].storage[0].scm_list", 701, "exactly one device, not 2",
    ),
    "no devices": (
        1, {"engines.0.storage.1.bdev_list": []}, "engines[0].storage[1].bdev_list", 701, "needs devices",
    ),
    "device twice": (
        1, {"engines.0.storage.1.bdev_list": ["/a", "/a"]}, "engines[0].storage[1].bdev_list[1]", 701, "twice",
    ),
    "device twice, other spelling": (
        1, {"engines.0.storage.1": nvme("0000:AA:00.0", "0000:aa:00.0")},
        "engines[0].storage[1].bdev_list[1]", 701, "twice",
    ),
    "file relative": (
        1, {"engines.0.storage.1.bdev_list": ["a"]}, "engines[0].storage[1].bdev_list[0]", 701, "file",
    ),
    "file without size": (
        1, {"engines.0.storage.1.bdev_size": REMOVE}, "engines[0].storage[1].bdev_size", 701, "size",
    ),
    "file size negative": (
        1, {"engines.0.storage.1.bdev_size": -1}, "engines[0].storage[1].bdev_size", 701, "from 0",
    ),
    "nvme path": (
        1, {"engines.0.storage.1": nvme("/dev/x")}, "engines[0].storage[1].bdev_list[0]", 701, "class nvme",
    ),
    "nvme half address": (
        1, {"engines.0.storage.1": nvme("0000:81:00")}, "engines[0].storage[1].bdev_list[0]", 701, "PCI address",
    ),
    "kdev address": (
        1, {"engines.0.storage.1": {"class": "kdev", "bdev_list": [PCI[0]]}},
        "engines[0].storage[1].bdev_list[0]", 701, "class kdev",
    ),
    "bus range backwards": (
        1, {"engines.0.storage.1": {**nvme(PCI[0]), "bdev_busid_range": "9-8"}},
        "engines[0].storage[1].bdev_busid_range", 701, "range of PCI buses",
    ),
    "bus range too high": (
        1, {"engines.0.storage.1": {**nvme(PCI[0]), "bdev_busid_range": "0x00-0x100"}},
        "engines[0].storage[1].bdev_busid_range", 701, "range of PCI buses",
    ),
    "nvme beside file": (
        1, {**META, "engines.0.storage": [
            {"class": "ram", "scm_mount": "/m"},
            {"class": "file", "bdev_list": ["/a"], "bdev_size": 1, "bdev_roles": ["wal"]},
            nvme(PCI[0], roles=["meta", "data"]),
        ]},
        "engines[0].storage", 309, "tiers of class nvme",
    ),
    "unknown role": (
        1, {**META, "engines.0.storage.1": nvme(PCI[0], roles=[*ALL_ROLES, "log"])},
        "engines[0].storage[1].bdev_roles[3]", 308, "log is not known",
    ),
    "roles with dcpm": (
        1, {**META, "engines.0.storage": [
            {"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/pmem0"]}, nvme(PCI[0], roles=ALL_ROLES),
        ]},
        "engines[0].storage[1].bdev_roles", 312, "not dcpm",
    ),
    "role on two tiers": (
        1, {**META, "engines.0.storage": [
            {"class": "ram", "scm_mount": "/m"},
            nvme(PCI[0], roles=ALL_ROLES), nvme(PCI[1], roles=["meta"]),
        ]},
        "engines[0].storage[2].bdev_roles", 313, "meta is given to 2",
    ),
    "role on no tier": (
        1, {**META, "engines.0.storage.1": nvme(PCI[0], roles=["meta", "data"])},
        "engines[0].storage[1].bdev_roles", 313, "no tier has the role wal",
    ),
    "roles on one of two tiers": (
        1, {**META, "engines.0.storage": [
            {"class": "ram", "scm_mount": "/m"}, nvme(PCI[0], roles=ALL_ROLES), nvme(PCI[1]),
        ]},
        "engines[0].storage[2]", 314, "no bdev_roles",
    ),
    "two tiers without roles": (
        1, {"engines.0.storage": [{"class": "ram", "scm_mount": "/m"}, nvme(PCI[0]), nvme(PCI[1])]},
        "engines[0].storage", 315, "2 block device tiers",
    ),
    "metadata path without roles": (1, META, "engines[0].storage", 317, "no tier of the engine has the role meta"),
    "roles without metadata path": (
        1, {"engines.0.storage.1": nvme(PCI[0], roles=ALL_ROLES)}, "engines[0].storage", 318, "not set",
    ),
    # Engines beside each other.
    "fabric twice": (
        2, {"engines.1.fabric_iface_port": 31416}, "engines[1].fabric_iface_port", 709, "31416 of engine 0",
    ),
    "log file twice": (2, {"engines.1.log_file": "/tmp/engine0.log"}, "engines[1].log_file", 710, "of engine 0"),
    "mount twice": (
        2, {"engines.1.storage.0.scm_mount": "/mnt/daos0"}, "engines[1].storage[0].scm_mount", 711, "/mnt/daos0",
    ),
    "scm device twice": (
        2,
        {f"engines.{i}.storage": [{"class": "dcpm", "scm_mount": f"/{i}", "scm_list": ["/dev/p"]}] for i in (0, 1)},
        "engines[1].storage[0].scm_list[0]", 712, "/dev/p of engine 0",
    ),
    "bdev twice": (
        2, {"engines.1.storage.1.bdev_list": ["/tmp/bdev0"]}, "engines[1].storage[1].bdev_list[0]", 713, "/tmp/bd",
    ),
    "targets differ": (2, {"engines.1.targets": 5}, "engines[1].targets", 715, "5 targets, engine 0 has 4"),
    "helpers differ": (2, {"engines.1.nr_xs_helpers": 2}, "engines[1].nr_xs_helpers", 716, "2 helper streams"),
    "scm classes differ": (
        2, {"engines.1.storage.0": {"class": "dcpm", "scm_mount": "/m", "scm_list": ["/dev/p"]}},
        "engines[1].storage[0].class", 732, "class dcpm, engine 0 of class ram",
    ),
    "scm huge pages differ": (
        2,
        {"engines.0.storage.0.scm_hugepages_disabled": True, "engines.1.storage.0.scm_hugepages_disabled": False},
        "engines[1].storage[0].scm_hugepages_disabled", 738, "differ",
    ),
    "scm huge pages set in one": (
        2, {"engines.0.storage.0.scm_hugepages_disabled": True},
        "engines[1].storage[0].scm_hugepages_disabled", 738, "differ",
    ),
    "srx differs": (
        2, {"engines.1.env_vars": ["FI_OFI_RXM_USE_SRX=1"]}, "engines[1].env_vars", 701, "not the same",
    ),
    # Keys of our own.
    "control address": (
        1, {"daos_control": {"control_address": "host"}}, "daos_control.control_address", 701, "IPv4",
    ),
    "extension misspelt": (
        1, {"daos_control": {"embeded_engine": True}}, "daos_control.embeded_engine", 701, "unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_spoilt_in_one_way_has_that_one_problem(name: str) -> None:
    engines, changes, key, code, message = SPOILT[name]
    found = problems(spoil(document(engines), changes))
    assert [(problem.key, problem.code) for problem in found] == [(key, code)]
    assert message in found[0].message
    assert found[0].line > 0


def test_tiers_with_roles_beyond_three_and_roles_given_twice_are_told_together() -> None:
    tiers = [nvme(PCI[i], roles=[role]) for i, role in enumerate((*ALL_ROLES, "data"))]
    storage = [{"class": "ram", "scm_mount": "/m"}, *tiers]
    found = problems(spoil(document(), {**META, "engines.0.storage": storage}))
    assert [problem.code for problem in found] == [316, 313]


def test_a_tier_of_wal_and_data_is_refused() -> None:
    storage = [
        {"class": "ram", "scm_mount": "/m"},
        nvme(PCI[0], roles=["wal", "data"]),
        nvme(PCI[1], roles=["meta"]),
    ]
    found = problems(spoil(document(), {**META, "engines.0.storage": storage}))
    assert [(p.key, p.code) for p in found] == [("engines[0].storage[1].bdev_roles", 319)]


FINE: dict[str, tuple[int, dict[str, Any]]] = {
    "as it is": (1, {}),
    "two engines": (2, {}),
    "three engines": (3, {}),
    "name of 15 bytes": (1, {"name": "x" * 15}),
    "one replica": (1, {"mgmt_svc_replicas": ["a"]}),
    "replica in brackets": (1, {"mgmt_svc_replicas": ["[fe80::1]:10001"]}),
    "replicas on one host with ports": (1, {"mgmt_svc_replicas": ["a:1", "a:2", "a:3"]}),
    "levels in any case": (1, {"control_log_mask": "dEbUg"}),
    "fault domain of two labelled levels": (1, {"fault_path": "/rack=1/host=2"}),
    "first core 0 and node": (1, {"engines.0.first_core": 0, "engines.0.pinned_numa_node": 1}),
    "log mask": (1, {"engines.0.log_mask": "debug,rdb=INFO,MEM=EMRG"}),
    "log mask of assignments": (1, {"engines.0.log_mask": "RDB=INFO"}),
    "debug streams": (1, {"engines.0.env_vars": ["DD_MASK=mgmt,io", "DD_SUBSYS=ALL"]}),
    "environment value with equal sign": (1, {"engines.0.env_vars": ["A=b=c", "EMPTY="]}),
    "srx alike": (2, {f"engines.{i}.env_vars": ["FI_OFI_RXM_USE_SRX=1"] for i in (0, 1)}),
    "ram sized by itself": (1, {"engines.0.storage.0.scm_size": REMOVE}),
    "no block devices": (1, {"engines.0.storage": [{"class": "ram", "scm_mount": "/m"}]}),
    "huge pages off with files": (1, {"disable_hugepages": True}),
    "roles on one tier": (1, {**META, "engines.0.storage.1": nvme(PCI[0], roles=ALL_ROLES)}),
    "roles on two tiers": (1, {**META, "engines.0.storage": [
        {"class": "ram", "scm_mount": "/m"}, nvme(PCI[0], roles=["wal"]), nvme(PCI[1], roles=["meta", "data"]),
    ]}),
    "roles on files": (1, {**META, "engines.0.storage.1.bdev_roles": ALL_ROLES}),
    "no roles": (1, {"engines.0.storage.1.bdev_roles": ["na", "whatever"]}),
    "metadata device": (1, {
        **META, "control_metadata.device": "/dev/sdb", "engines.0.storage.1": nvme(PCI[0], roles=ALL_ROLES),
    }),
    "bus range": (1, {"engines.0.storage.1": {**nvme(PCI[0]), "bdev_busid_range": "0x80-143"}}),
    "interface for all engines": (2, {"fabric_iface": "eth5", "engines.0.fabric_iface": REMOVE}),
    "other interface, same port": (2, {"engines.1.fabric_iface": "eth1", "engines.1.fabric_iface_port": 31416}),
    "accelerator": (1, {"engines.0.acceleration": {"engine": "dml"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_is_allowed_is_accepted(name: str) -> None:
    engines, changes = FINE[name]
    parse(spoil(document(engines), changes))


def test_without_engines_neither_provider_nor_an_odd_number_of_replicas_is_asked_for() -> None:
    config = parse({"mgmt_svc_replicas": ["a", "b"]})
    assert config.engines == []
