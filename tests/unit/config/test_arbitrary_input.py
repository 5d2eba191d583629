"""Whatever a file contains, reading it gives a configuration or a ConfigError."""

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daos_control.config import control, server
from daos_control.config.models import EngineConfig, ServerConfig, StorageTier
from daos_control.config.problems import ConfigError
from unit.config.samples import document, nvme

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = (
    "", "~", "on", "0x10", "-1", "0", "7", "1.5", "ram", "dcpm", "nvme", "file", "wal", "meta", "data", "na",
    "/a", "0000:81:00.0", "0000:81:00.x", "0x10-0x20", "A=b", "DD_MASK=io", "ABT_THREAD_STACKSIZE=²", "eth0", "a,b",
    "ERR,RDB=INFO", "host:1", "[::1]:5", "spdk", "\ud800",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.binary(max_size=4),
)
KEYS = st.sampled_from(
    sorted(
        {*ServerConfig.model_fields, *EngineConfig.model_fields, *StorageTier.model_fields, "class", "path", "x"}
    )
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


def read_both(data: bytes | str) -> None:
    for parse in (server.parse, control.parse):
        error = None
        try:
            parse(data, "test.yml")
        except ConfigError as exc:
            error = exc
        assert error is None or (error.problems and error.description.encode())


@QUICK
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read_both(text)


@QUICK
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,<\n \t\\U~0\u0085\ufeff", max_size=60))
def test_any_punctuation(text: str) -> None:
    read_both(text)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    read_both(data)


@QUICK
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_tree_of_known_keys(tree: dict[str, Any]) -> None:
    read_both(yaml.safe_dump(tree, allow_unicode=False))


@QUICK
@given(st.data())
def test_a_valid_file_with_any_value_somewhere_loads_or_is_refused_and_what_loads_survives_a_dump(
    data: st.DataObject,
) -> None:
    tree = document(2)
    tree["engines"][1]["storage"][1] = nvme("0000:81:00.0")
    for _ in range(data.draw(st.integers(1, 3))):
        node: Any = tree
        while True:
            step = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
            inner = node[step]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                node[step] = data.draw(TREES)
                break
            node = inner
    try:
        config = server.parse(yaml.safe_dump(tree), "test.yml")
    except ConfigError:
        return
    assert server.parse(server.dump(config), "dump") == config
