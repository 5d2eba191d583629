"""What an engine is started with: every argument and every variable, out of the configuration."""

from pathlib import Path
from typing import Any

import pytest

from daos_control.config.server import parse
from daos_control.config.storage import engine_storages
from daos_control.faults import Code, Fault
from daos_control.server.affinity import Affinity
from daos_control.server.engine_command import EngineCommand, Surroundings, configured_variable, engine_command

RAM = "{class: ram, scm_mount: /mnt/daos0, scm_size: 8}"
DCPM = "{class: dcpm, scm_mount: /mnt/daos0, scm_list: [/dev/pmem0]}"
FILE = "{class: file, bdev_list: [/tmp/bdev0], bdev_size: 4}"


def build(
    *,
    top: str = "",
    engine: str = "",
    tiers: str = RAM,
    affinity: Affinity = Affinity(),  # noqa: B008 - a value
    environment: dict[str, str] | None = None,
    huge_page_mib: int = 2,
    checker: bool = False,
) -> EngineCommand:
    text = f"""
name: sys
provider: ofi+tcp
socket_dir: /run/daos
transport_config: {{allow_insecure: true}}
{top}
engines:
- targets: 4
  fabric_iface: eth0
  fabric_iface_port: 31416
  storage: [{tiers}]
""" + "".join(f"  {line}\n" for line in engine.splitlines())
    config = parse(text, "test")
    around = Surroundings(Path("/opt/daos_engine"), affinity, "eth0", huge_page_mib, environment or {})
    return engine_command(config, engine_storages(config)[0], around, checker=checker)


def test_the_least_command_line() -> None:
    made = build()
    assert made.program == Path("/opt/daos_engine")
    expected = "-t 4 -x 0 -g sys -d /run/daos -T 1 -I 0 -r 0 -H 0 -s /mnt/daos0"
    assert " ".join(made.arguments) == expected


def test_the_least_environment() -> None:
    assert build(environment={"PATH": "/bin", "HOME": "/root"}).environment == {
        "CRT_TIMEOUT": "0",
        "D_DOMAIN": "eth0",
        "D_INTERFACE": "eth0",
        "D_PORT": "31416",
        "D_PROVIDER": "ofi+tcp",
        "FI_OFI_RXM_USE_SRX": "1",
        "PMEMOBJ_CONF": "sds.at_create=0",
    }


def test_everything_on_the_command_line_in_the_order_of_daos() -> None:
    made = build(
        engine="nr_xs_helpers: 2\nbypass_health_chk: true",
        tiers=f"{RAM}, {FILE}",
        affinity=Affinity(numa_node=1),
        checker=True,
    )
    expected = (
        "-t 4 -x 2 -g sys -d /run/daos -T 2 -n /mnt/daos0/daos_nvme.conf -b -p 1 -I 0 -r 4096 -H 2 -C -s /mnt/daos0"
    )
    assert " ".join(made.arguments) == expected


def test_a_first_core_of_zero_is_an_argument() -> None:
    assert "-f 0 -g" in " ".join(build(affinity=Affinity(first_core=0)).arguments)


@pytest.mark.parametrize(("page_mib", "expected"), [(2, "-r 4096 -H 2"), (1024, "-r 4096 -H 1024")])
def test_memory_is_one_gib_per_target_where_there_are_block_devices(page_mib: int, expected: str) -> None:
    assert expected in " ".join(build(tiers=f"{RAM}, {FILE}", huge_page_mib=page_mib).arguments)


def test_keys_become_variables() -> None:
    made = build(
        top="fabric_auth_key: secret",
        engine="crt_timeout: 30\ndisable_srx: true\nlog_mask: INFO\nlog_file: /tmp/e.log",
        tiers=f"{RAM}, {FILE}",
    ).environment
    assert made["CRT_TIMEOUT"] == "30"
    assert made["FI_OFI_RXM_USE_SRX"] == "0"
    assert made["D_PROVIDER_AUTH_KEY"] == "secret"
    assert made["D_LOG_MASK"] == "INFO"
    assert made["D_LOG_FILE"] == "/tmp/e.log"
    assert made["VOS_BDEV_CLASS"] == "AIO"


def test_only_named_variables_are_passed_through_and_empty_ones_are_not() -> None:
    made = build(
        engine="env_pass_through: [LD_LIBRARY_PATH, EMPTY, ABSENT]",
        environment={"LD_LIBRARY_PATH": "/opt/lib", "EMPTY": "", "OTHER": "x"},
    ).environment
    assert made["LD_LIBRARY_PATH"] == "/opt/lib"
    assert not {"EMPTY", "ABSENT", "OTHER"} & set(made)


def test_the_order_of_precedence() -> None:
    made = build(
        engine='env_pass_through: [A, B, D_DOMAIN]\nenv_vars: ["B=file", "B=second", "D_PORT=1", "EMPTY="]',
        environment={"A": "passed", "B": "passed", "D_DOMAIN": "passed"},
    ).environment
    assert made["A"] == "passed"
    assert made["B"] == "file"  # env_vars beat what is passed through, and the first of two counts
    assert made["D_PORT"] == "31416"  # keys beat env_vars
    assert made["D_DOMAIN"] == "eth0"  # what was found beats what is passed through ...
    assert build(engine="env_vars: [D_DOMAIN=mlx5_0]").environment["D_DOMAIN"] == "mlx5_0"  # ... and not env_vars
    assert "EMPTY" not in made


def test_subsystems_are_merged_into_the_mask_and_taken_away() -> None:
    made = build(engine="log_mask: DEBUG\nenv_vars: [DD_SUBSYS=MISC, DD_MASK=mgmt]").environment
    assert made["D_LOG_MASK"] == "ERR,MISC=DBUG"
    assert "DD_SUBSYS" not in made
    assert made["DD_MASK"] == "mgmt"
    assert build(engine="env_vars: [DD_SUBSYS=MISC]").environment["DD_SUBSYS"] == "MISC"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("other=1", "other=1;sds.at_create=0"),
        ("sds.at_create=0", "sds.at_create=0"),
        ("a;sds.at_create=0", "a;sds.at_create=0"),
    ],
)
def test_memory_without_persistence_keeps_no_shutdown_state(given: str, expected: str) -> None:
    assert build(engine=f'env_vars: ["PMEMOBJ_CONF={given}"]').environment["PMEMOBJ_CONF"] == expected


def test_persistent_memory_keeps_its_shutdown_state_and_gets_larger_stacks() -> None:
    made = build(tiers=DCPM).environment
    assert "PMEMOBJ_CONF" not in made
    assert made["ABT_THREAD_STACKSIZE"] == "20480"


MD_ON_SSD: dict[str, Any] = {
    "top": "control_metadata: {path: /var/daos}",
    "tiers": f"{RAM}, {{class: file, bdev_list: [/tmp/b], bdev_size: 4, bdev_roles: [wal, meta, data]}}",
}


def test_metadata_on_ssd_has_larger_stacks_and_its_configuration_elsewhere() -> None:
    made = build(**MD_ON_SSD)
    assert made.environment["ABT_THREAD_STACKSIZE"] == "24576"
    assert "-n /var/daos/daos_control/engine0/daos_nvme.conf" in " ".join(made.arguments)


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("PMEMOBJ_CONF=sds.at_create=1", {}),
        ("PMEMOBJ_CONF=sds.at_create=0", {"tiers": DCPM}),
        ("ABT_THREAD_STACKSIZE=20479", {"tiers": DCPM}),
        ("ABT_THREAD_STACKSIZE=16384", MD_ON_SSD),
        ("ABT_THREAD_STACKSIZE=large", {"tiers": DCPM}),
    ],
)
def test_a_variable_passed_through_that_would_break_the_engine_is_a_fault(
    variable: str, arguments: dict[str, Any]
) -> None:
    name, _, value = variable.partition("=")
    with pytest.raises(Fault) as caught:
        build(engine=f"env_pass_through: [{name}]", environment={name: value}, **arguments)
    assert caught.value.code == Code.SERVER_BAD_CONFIG
    assert name in caught.value.description
    assert "engine 0" in caught.value.description


def test_a_stack_that_is_large_enough_stays() -> None:
    made = build(engine="env_vars: [ABT_THREAD_STACKSIZE=65536]", tiers=DCPM)
    assert made.environment["ABT_THREAD_STACKSIZE"] == "65536"


def test_a_configured_variable_is_looked_up_as_the_engine_gets_it() -> None:
    engine = parse(
        "provider: ofi+tcp\nengines: [{targets: 1, fabric_iface: e, fabric_iface_port: 1, "
        f"env_vars: [DD_MASK=io], env_pass_through: [DD_SUBSYS, DD_MASK], storage: [{RAM}]}}]",
        "test",
    ).engines[0]
    around = {"DD_MASK": "passed", "DD_SUBSYS": "MISC", "OTHER": "x"}
    assert configured_variable(engine, "DD_MASK", around) == "io"
    assert configured_variable(engine, "DD_SUBSYS", around) == "MISC"
    assert configured_variable(engine, "OTHER", around) == ""
