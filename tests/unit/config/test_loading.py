"""What a valid file becomes: defaults, inheritance, deprecated keys, overrides, notices, and back to YAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from daos_control.config import server
from daos_control.config.models import EngineConfig, ServerConfig, StorageTier
from daos_control.config.options import Overrides
from daos_control.config.problems import ConfigError
from daos_control.config.values import BusRange
from daos_control.faults import ControlError
from unit.config.samples import document, engine, nvme, parse, spoil

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.yml"))


def told(config: ServerConfig) -> list[str]:
    return [str(notice) for notice in config.notices]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_in_the_shape_of_daos_own_examples_load_and_survive_a_dump(path: Path) -> None:
    config = server.load(path)
    assert config.path == path
    again = server.parse(server.dump(config), "dump")
    assert again == config
    assert server.dump(again) == server.dump(config)


def test_the_sample_with_every_key_has_every_key_of_the_models() -> None:
    tree = yaml.safe_load((DATA / "every_key.yml").read_text())
    elsewhere = {
        "access_points",
        "enable_hotplug",
        "daos_control",
        "fault_cb",
    }  # deprecated, ours, excluded by others
    assert set(tree) == set(ServerConfig.model_fields) - elsewhere
    assert {key for item in tree["engines"] for key in item} == set(EngineConfig.model_fields) - {
        "provider", "crt_timeout", "disable_srx", "secondary_provider_endpoints",
    }  # fmt: skip
    tiers = [tier for item in tree["engines"] for tier in item["storage"] if tier]
    named = {"class_" if key == "class" else key for tier in tiers for key in tier}
    assert named == set(StorageTier.model_fields) - {"scm_list", "bdev_size"}


def test_an_empty_file_gives_the_defaults() -> None:
    config = server.parse("", "test.yml")
    assert config.name == "daos_server"
    assert config.port == 10001
    assert config.mgmt_svc_replicas == ["localhost:10001"]
    assert config.socket_dir == Path("/var/run/daos_server")
    assert config.system_ram_reserved == 64
    assert config.core_dump_filter == 0x13
    assert config.control_log_mask == "INFO"
    assert not config.transport_config.allow_insecure
    assert config.transport_config.key == Path("/etc/daos/certs/server.key")
    assert config.transport_config.client_cert_dir == Path("/etc/daos/certs/clients")
    assert config.engines == []
    assert not config.daos_control.embedded_engine


def test_a_key_without_a_value_has_its_default() -> None:
    assert server.parse("port:\nname: ~\nsupport_config:\n  file_transfer_exec:\n", "x") == server.parse("", "x")


def test_text_is_taken_as_it_is_written() -> None:
    text = "fabric_auth_key: 0755\nname: on\nclient_env_vars: [1_0, yes]\nprovider: 12:30\n"
    config = server.parse(text, "test.yml")
    assert (config.fabric_auth_key, config.name, config.provider) == ("0755", "on", "12:30")
    assert config.client_env_vars == ["1_0", "yes"]


def test_an_unquoted_pci_address_is_no_number_of_base_60() -> None:
    config = server.parse("bdev_exclude: [0000:01:00.0]\n", "test.yml")
    assert config.bdev_exclude == ["0000:01:00.0"]


def test_the_default_replica_has_the_default_port_whatever_the_port() -> None:
    assert server.parse("port: 10005\n", "x").mgmt_svc_replicas == ["localhost:10001"]


def test_replicas_without_a_port_get_that_of_the_control_plane() -> None:
    config = server.parse("port: 10005\nmgmt_svc_replicas: [a, 'b:7', '[fe80::1]']\n", "x")
    assert config.mgmt_svc_replicas == ["a:10005", "b:7", "[fe80::1]:10005"]


def test_engines_take_over_the_global_keys_of_the_fabric_that_they_do_not_have() -> None:
    config = server.load(DATA / "every_key.yml")
    own, inherited = config.engines
    assert (own.fabric_iface, own.fabric_iface_port, own.fabric_auth_key) == ("ib0", 20000, "own:key")
    assert (inherited.fabric_iface, inherited.fabric_iface_port) == ("eth9", 31999)
    assert inherited.fabric_auth_key == "foo:bar"
    assert (own.crt_timeout, own.disable_srx) == (30, True)
    assert inherited.bypass_health_chk is None


def test_the_provider_of_an_engine_is_that_of_the_file() -> None:
    config = parse(spoil(document(), {"engines.0.provider": "ofi+sockets"}))
    assert config.engines[0].provider == "ofi+tcp"


def test_bare_verbs_are_completed_with_rxm() -> None:
    config = server.load(DATA / "verbs.yml")
    assert config.provider == "ofi+verbs;ofi_rxm"
    assert {item.provider for item in config.engines} == {"ofi+verbs;ofi_rxm"}


def test_modules_of_the_file_are_ignored_and_told_so() -> None:
    config = parse(spoil(document(), {"engines.0.modules": "vos"}))
    assert config.engines[0].modules == ""
    assert any("modules: is ignored" in text for text in told(config))


def test_access_points_become_replicas_with_a_notice() -> None:
    tree = spoil(document(), {"access_points": ["a", "b", "c"]})
    del tree["mgmt_svc_replicas"]
    config = parse(tree)
    assert config.mgmt_svc_replicas == ["a:10001", "b:10001", "c:10001"]
    assert config.access_points is None
    assert any("access_points: is deprecated" in text for text in told(config))


@pytest.mark.parametrize("enabled", [True, False])
def test_enable_hotplug_is_inverted_with_a_notice(enabled: bool) -> None:
    config = parse(spoil(document(), {"enable_hotplug": enabled}))
    assert config.disable_hotplug is not enabled
    assert config.enable_hotplug is None
    assert any("enable_hotplug: is deprecated" in text for text in told(config))


def test_acceleration_without_options_has_all_of_them() -> None:
    config = parse(spoil(document(), {"engines.0.acceleration": {"engine": "dml"}}))
    assert config.engines[0].acceleration.options == ["crc", "move"]


def test_acceleration_by_nothing_has_no_options() -> None:
    config = parse(spoil(document(), {"engines.0.acceleration": {"options": ["move"]}}))
    assert config.engines[0].acceleration.options == []


def test_tiers_count_without_empty_items_and_spellings_are_made_one() -> None:
    config = server.load(DATA / "every_key.yml")
    tier = config.engines[1].storage[1]
    assert tier.class_ == "nvme"
    assert tier.bdev_roles == ["data", "meta", "wal"]
    assert tier.bdev_busid_range == BusRange(128, 143)
    assert config.bdev_exclude == ["0000:aa:00.1"]
    assert config.control_log_mask == "DEBUG"


NOTICES: dict[str, tuple[int, dict[str, Any], str]] = {
    "one replica": (1, {"mgmt_svc_replicas": ["a"]}, "mgmt_svc_replicas: there is one"),
    "no log file": (1, {"engines.0.log_file": None}, "engines[0]: the engine has no log_file"),
    "huge pages off": (1, {"disable_hugepages": True}, "experimental"),
    "uneven devices": (
        2,
        {"engines.1.storage.1.bdev_list": ["/a", "/b"]},
        "engine 1 has 2 block devices, engine 0 has 1",
    ),
    "key without effect": (1, {"engines.0.storage.0.bdev_list": ["/a"]}, "has no effect on class ram"),
    "size without effect": (
        1,
        {"engines.0.storage.1": {**nvme("0000:81:00.0"), "bdev_size": 7}},
        "bdev_size: has no effect on class nvme",
    ),
    "first core": (1, {"engines.0.first_core": 0, "engines.0.pinned_numa_node": 0}, "first_core: is ignored"),
    "second provider": (1, {"engines.0.secondary_provider_endpoints": [1]}, "there is one provider"),
}


@pytest.mark.parametrize("name", NOTICES)
def test_what_is_odd_but_allowed_is_told(name: str) -> None:
    engines, changes, text = NOTICES[name]
    (found,) = [line for line in told(parse(spoil(document(engines), changes))) if text in line]
    assert found.startswith("line ")


def test_a_file_with_nothing_odd_tells_nothing() -> None:
    assert told(parse(document(2))) == []


def test_without_engines_it_is_told_what_start_will_miss() -> None:
    texts = told(server.parse("", "x"))
    assert any("for discovery only" in text for text in texts)
    assert sum("start will fail" in text for text in texts) == 2


def test_overrides_take_the_place_of_the_files_values() -> None:
    given = Overrides(
        port=10007,
        storage=Path("/mnt/other"),
        modules="vos,rdb",
        targets=9,
        nr_xs_helpers=0,
        first_core=3,
        name="other",
        socket_dir=Path("/tmp/other"),
        insecure=True,
        embedded_engine=True,
    )
    config = server.parse(yaml.safe_dump(document(2)), "x", given)
    assert (config.port, config.name, config.socket_dir) == (10007, "other", Path("/tmp/other"))
    assert config.mgmt_svc_replicas[0] == "host1:10007"
    assert config.transport_config.allow_insecure
    assert config.daos_control.embedded_engine
    assert [item.storage[0].scm_mount for item in config.engines] == [Path("/mnt/other"), Path("/mnt/daos1")]
    assert [(e.targets, e.nr_xs_helpers, e.first_core, e.modules) for e in config.engines] == [
        (9, 0, 3, "vos,rdb")
    ] * 2


def test_an_override_supplies_what_the_file_lacks() -> None:
    tree = document()
    del tree["engines"][0]["targets"]
    assert server.parse(yaml.safe_dump(tree), "x", Overrides(targets=2)).engines[0].targets == 2


def test_an_override_that_makes_values_clash_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        server.parse(yaml.safe_dump(document(2)), "x", Overrides(storage=Path("/mnt/daos1")))
    assert [problem.code for problem in caught.value.problems] == [711]


@pytest.mark.parametrize("text", ["", "provider: a\nengines: []\n"])
def test_a_storage_override_without_engines_is_refused(text: str) -> None:
    with pytest.raises(ControlError, match="no engines"):
        server.parse(text, "x", Overrides(storage=Path("/mnt/x")))


def test_the_dump_has_our_own_map_only_where_it_says_something() -> None:
    plain = parse(document())
    assert "daos_control" not in yaml.safe_load(server.dump(plain))
    ours = parse(spoil(document(), {"daos_control": {"hostname": "host7", "control_address": "127.0.0.2"}}))
    again = server.parse(server.dump(ours), "x")
    assert again == ours
    assert again.daos_control.hostname == "host7"
    assert again != plain


def test_the_active_configuration_is_written_beside_the_sockets(tmp_path: Path) -> None:
    config = parse(spoil(document(), {"socket_dir": str(tmp_path)}))
    path = server.save_active(config)
    assert path == tmp_path / ".daos_server.active.yml"
    assert path.stat().st_mode & 0o777 == 0o644
    assert server.load(path) == config


def test_a_configuration_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(document()).port = 1  # type: ignore[misc]


def test_sections_can_be_made_by_programs_with_the_names_of_attributes() -> None:
    tier = StorageTier(class_="ram", scm_mount=Path("/m"), scm_size=4)
    assert EngineConfig(storage=[tier]).scm is tier


def test_the_python_name_of_a_key_is_no_key_of_the_file() -> None:
    tree = document()
    tree["engines"][0]["storage"][0] = {**engine()["storage"][0], "class_": "ram"}
    with pytest.raises(ConfigError) as caught:
        parse(tree)
    assert [problem.key for problem in caught.value.problems] == ["engines[0].storage[0].class_"]


@pytest.mark.parametrize("what", ["missing", "directory", "nul"])
def test_a_file_that_cannot_be_read_is_an_error_of_the_configuration(what: str, tmp_path: Path) -> None:
    path = {"missing": tmp_path / "none.yml", "directory": tmp_path, "nul": "a\0b"}[what]
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        server.load(path)
    assert caught.value.code == 701
    assert "daos_server config check" in caught.value.resolution
