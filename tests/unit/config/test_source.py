"""YAML itself: syntax, duplicates, places, kinds of scalars, aliases, and the limits."""

import pytest

from daos_control.config import source
from daos_control.config.source import Mapping, Scalar
from unit.config.samples import document, problems


def only(text: str | bytes) -> str:
    found = source.parse(text, "test.yml").problems
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("yes", True), ("Off", False), ("y", True), ("TRUE", True),
        ("12", 12), ("-12", -12), ("+12", 12), ("0x13", 19), ("0b11", 3), ("0o17", 15), ("017", 15), ("0", 0),
        ("1_000", 1000), ("08", 8.0), ("1.5", 1.5), ("1e3", 1000.0), ("0x", "0x"), ("9" * 200, float("9" * 200)),
        ("0000:01:00.0", "0000:01:00.0"), ("12:30:45", "12:30:45"), ("2001-01-01", "2001-01-01"), ("a b", "a b"),
    ],
)  # fmt: skip
def test_a_plain_scalar_has_the_value_that_daos_reads(text: str, value: object) -> None:
    found = Scalar(text).value
    assert found == value
    assert type(found) is type(value)


def test_a_quoted_scalar_is_text() -> None:
    assert Scalar("12", plain=False).value == "12"
    assert not Scalar("", plain=False).is_null


def test_a_syntax_error_is_told_with_its_place() -> None:
    assert only("name: a\nport: [1\nprovider: b\n").startswith("line 3, column 9: this is not YAML: ")


def test_a_tab_in_the_indentation_is_named_as_the_cause() -> None:
    assert "indent with blanks, not with tabs" in only("engines:\n\t- targets: 1\n")


def test_a_key_that_stands_twice_is_told_with_both_lines() -> None:
    assert only("a: 1\nb: 2\na: 3\n") == "line 3, column 1: a: this key stands already on line 1"


def test_a_double_key_deep_in_a_list_is_told_with_its_path() -> None:
    assert only("a:\n- b: 1\n  b: 2\n") == "line 3, column 3: a[0].b: this key stands already on line 2"


def test_bytes_that_are_no_text_are_told_with_their_line() -> None:
    assert only(b"a: 1\nb: \xff\n") == "line 2: the file is not UTF-8 text"


def test_a_control_character_is_told_with_its_place() -> None:
    assert only("a: 1\nb: \x01\n") == "line 2, column 4: a character here is not allowed in YAML"


def test_an_escape_outside_unicode_is_no_yaml() -> None:
    assert only('a: "\\UFFFFFFFF"\n') == "this is not YAML"


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "12\n"])
def test_a_file_that_is_no_map_is_told_so(text: str) -> None:
    assert "the file must be a map of keys" in only(text)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n"])
def test_a_file_with_nothing_in_it_has_nothing_wrong(text: str) -> None:
    found = source.parse(text, "test.yml")
    assert found.root is None
    assert found.problems == []


def test_a_second_document_is_told() -> None:
    assert only("a: 1\n---\nb: 2\n").startswith("line 2, column 1: a second document begins here")


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    found = source.parse("\ufeffname: a\n".encode(), "test.yml")
    assert found.root is not None
    assert list(found.root.entries) == ["name"]


def test_an_alias_stands_for_what_it_refers_to() -> None:
    found = source.parse("a: &x [1, 2]\nb: *x\n", "test.yml")
    assert found.root is not None
    assert found.root.entries["b"] is found.root.entries["a"]


def test_merged_keys_give_way_to_those_that_are_there() -> None:
    found = source.parse("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n", "test.yml")
    assert found.root is not None
    inner = found.root.entries["b"]
    assert isinstance(inner, Mapping)
    assert {name: node.text for name, node in inner.entries.items() if isinstance(node, Scalar)} == {
        "k": "1",
        "l": "3",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *x\n", "refers to nothing before it"),
        ("a: &x\n  b: *x\n", "stands inside what it refers to"),
        ("a: !!python/object:os.system x\n", "is not known here"),
        ("? [a]\n: 1\n", "a key must be a name"),
        ("a:\n  <<: 1\n", "must be followed by maps"),
    ],
)
def test_what_no_configuration_needs_is_refused(text: str, message: str) -> None:
    assert message in only(text)


def test_aliases_of_aliases_end_at_the_limit_instead_of_filling_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "too many values" in only("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "a: " + "- " * 5000])
def test_deep_nesting_ends_at_the_limit_instead_of_the_stack(text: str) -> None:
    assert source.parse(text, "test.yml").problems


def test_half_a_character_is_refused_because_it_could_not_be_printed() -> None:
    assert only('a: "\\ud800"\n') == "line 1, column 4: a: half a character is written here"


def test_a_file_beyond_the_size_limit_is_not_read() -> None:
    assert "too large" in only("a" * (source.SIZE_MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("prot: 1", "port"),
        ("Provider: x", "provider"),
        ("socket-dir: /x", "socket_dir"),
        ("enginess: []", "engines"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_one(line: str, nearest: str) -> None:
    found = [problem for problem in problems(f"provider: ofi+tcp\n{line}\n") if problem.message == "unknown key"]
    assert [(p.line, p.column, p.nearest) for p in found] == [(2, 1, nearest)]


def test_an_unknown_key_that_resembles_none_is_told_with_all_known_ones() -> None:
    (found,) = problems("daos_control:\n  zzzzz: 1\n")
    assert found.nearest == ""
    assert "embedded_engine" in found.allowed


def test_the_place_of_a_wrong_value_is_that_of_the_value() -> None:
    (found,) = problems("port:\n  many\n")
    assert (found.line, found.column) == (2, 3)


def test_the_place_of_a_missing_key_is_that_of_its_map() -> None:
    text = "provider: ofi+tcp\nengines:\n- targets: 1\n  fabric_iface: a\n  fabric_iface_port: 1\n"
    (found,) = problems(text)
    assert (found.key, found.line) == ("engines[0].storage", 3)


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order() -> None:
    text = """\
port: many
provder: ofi+tcp
mgmt_svc_replicas: [a, a]
engines:
- targets: 1
  fabric_iface: eth0
  fabric_iface_port: 1
  storage:
  - class: ram
    scm_mount: /m
    scm_size: 2
  -
  - class: nvme
    bdev_list: [x, 0000:81, "0000:81:00"]
- 7
- targets: 2
  fabric_iface: eth0
  fabric_iface_port: 1
  nr_xs_helpers: lots
  storage:
  - class: ram
    scm_mount: /m
"""
    assert [(p.line, p.key, p.code) for p in problems(text)] == [
        (1, "port", 703),
        (2, "provder", 701),
        (3, "mgmt_svc_replicas", 706),
        (3, "mgmt_svc_replicas[1]", 705),
        (11, "engines[0].storage[0].scm_size", 730),
        (14, "engines[0].storage[1].bdev_list[0]", 701),
        (14, "engines[0].storage[1].bdev_list[1]", 701),
        (14, "engines[0].storage[1].bdev_list[2]", 701),
        (15, "engines[1]", 701),
        (16, "engines[2].targets", 715),
        (18, "engines[2].fabric_iface_port", 709),
        (19, "engines[2].nr_xs_helpers", 701),
        (22, "engines[2].storage[0].scm_mount", 711),
    ]


def test_a_value_that_could_not_be_read_is_not_compared_with_others() -> None:
    tree = document(2)
    tree["engines"][0]["targets"] = "many"
    tree["engines"][0]["nr_xs_helpers"] = []
    assert [p.key for p in problems(tree)] == ["engines[0].targets", "engines[0].nr_xs_helpers"]
