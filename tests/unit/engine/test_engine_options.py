"""The command line and environment of the embedded engine."""

from pathlib import Path

import pytest

from daos_control.engine.errors import StartError
from daos_control.engine.fabric_address import FabricAddress, interface_ipv4
from daos_control.engine.incarnation import next_incarnation
from daos_control.engine.options import SwimSettings, UsageRequested, parse

ENVIRONMENT = {"D_PROVIDER": "ofi+tcp", "D_INTERFACE": "lo", "D_PORT": "31416"}

# What a server gives an engine of the class "ram" without block devices.
SERVER_ARGUMENTS = ["-t", "4", "-x", "0", "-g", "daos_server", "-d", "/run/d", "-T", "1", "-p", "0", "-I", "1"]
SERVER_ARGUMENTS += ["-r", "0", "-H", "0", "-s", "/mnt/daos0"]


def test_the_command_line_of_a_server_is_understood() -> None:
    options = parse(SERVER_ARGUMENTS, ENVIRONMENT)
    assert (options.targets, options.helpers, options.instance) == (4, 0, 1)
    assert (options.storage, options.socket_dir) == (Path("/mnt/daos0"), Path("/run/d"))
    assert (options.provider, options.interface, options.port) == ("ofi+tcp", "lo", 31416)
    assert not options.check_mode
    assert options.nvme_config is None


def test_long_names_mean_the_same_as_short_ones() -> None:
    short = parse(["-t", "2", "-s", "/a", "-n", "/b", "-C", "-T", "2", "-b", "-m", "vos"], ENVIRONMENT)
    long = ["--targets=2", "--storage", "/a", "--nvme", "/b", "--check", "--storage_tiers=2", "--bypass_health_chk"]
    assert parse([*long, "--modules=vos"], ENVIRONMENT) == short


def test_contexts_are_counted_as_daos_engine_counts_them() -> None:
    assert parse(["-t", "1", "-x", "0"], ENVIRONMENT).fabric_contexts == 3


@pytest.mark.parametrize(
    ("arguments", "environment", "part"),
    [
        (["-t", "0"], {}, "-t takes a number from 1"),
        (["-t", "many"], {}, "'many'"),
        (["-T", "5"], {}, "from 1 to 4"),
        (["-g", "a-name-of-16-bytes"], {}, "more than 15 bytes"),
        (["-z"], {}, "-z"),
        (["-t"], {}, "requires argument"),
        (["-i", "7"], {}, "-i"),
        (["stray"], {}, "stray"),
        ([], {"D_INTERFACE": ""}, "D_INTERFACE"),
        ([], {"D_INTERFACE": "eth0,eth1"}, "one network interface"),
        ([], {"D_PORT": "65536"}, "D_PORT"),
        ([], {"DAOS_EMBEDDED_SWIM_DEAD_MS": "10"}, "must grow"),
    ],
)
def test_a_wrong_argument_or_variable_is_named(
    arguments: list[str], environment: dict[str, str], part: str
) -> None:
    with pytest.raises(StartError, match=part):
        parse(arguments, ENVIRONMENT | environment)


def test_help_is_not_an_error() -> None:
    with pytest.raises(UsageRequested):
        parse(["--help"], {})


def test_times_of_swim_come_from_the_environment() -> None:
    found = parse([], ENVIRONMENT | {"DAOS_EMBEDDED_SWIM_PERIOD_MS": "50", "DAOS_EMBEDDED_SWIM_WATCH": "2"}).swim
    assert found == SwimSettings(period=0.05, watch=2)


def test_an_incarnation_has_the_form_of_the_clock_of_daos() -> None:
    # The stamp of one start of DAOS's own engine, and the time that it stands for.
    assert next_incarnation(1795405323877138432, 0) == 2975137982034214912
    assert next_incarnation(1795405323877138432, 0) % (1 << 18) == 0


@pytest.mark.parametrize("unix_ns", [0, 1_795_000_000_000_000_000])
def test_incarnations_grow_even_if_the_clock_does_not(unix_ns: int) -> None:
    first = next_incarnation(unix_ns, 0)
    assert next_incarnation(unix_ns, first) > first
    assert next_incarnation(unix_ns - 10**9, first) > first


def test_the_address_of_an_interface_is_found() -> None:
    assert interface_ipv4("lo") == "127.0.0.1"


@pytest.mark.parametrize("name", ["nosuch0", "a-name-that-is-too-long-for-an-interface"])
def test_an_unknown_interface_is_named(name: str) -> None:
    with pytest.raises(StartError, match=rf"'{name}'.*no such interface"):
        interface_ipv4(name)


def test_uris_are_read_as_they_are_written() -> None:
    uri = "ofi+tcp;ofi_rxm://10.0.0.1:31416"
    assert str(FabricAddress.parse(uri)) == uri
    for wrong in ("", "10.0.0.1:1", "ofi+tcp://", "ofi+tcp://h", "ofi+tcp://h:x", "ofi+tcp://h:0", "://h:1"):
        with pytest.raises(ValueError, match=r"URI|port"):
            FabricAddress.parse(wrong)
