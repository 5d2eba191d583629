"""Uuids and labels."""

import pytest

from daos_control.faults import ControlError
from daos_control.system.names import canonical_uuid, check_label, is_label

UUID = "3d3247d5-9e39-4cc1-9fa2-407931e49389"


@pytest.mark.parametrize(
    "text", [UUID, UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", f"URN:UUID:{UUID}"]
)
def test_every_form_of_a_uuid_is_canonical_in_lower_case(text: str) -> None:
    assert canonical_uuid(text) == UUID


@pytest.mark.parametrize("text", ["", "tank", UUID[:-1], UUID + "0", UUID.replace("3", "g"), f"{{{UUID}", "-" * 36])
def test_what_is_no_uuid_is_none(text: str) -> None:
    assert canonical_uuid(text) is None


@pytest.mark.parametrize("label", ["a", "tank", "my.pool_1:x-y", "A" * 127, "123", UUID.replace("-", "")])
def test_labels_that_are_allowed(label: str) -> None:
    assert is_label(label)
    check_label(label)


@pytest.mark.parametrize("label", ["", "a" * 128, "a b", "a/b", "é", "a\n", UUID, UUID.upper()])
def test_labels_that_are_not_allowed(label: str) -> None:
    assert not is_label(label)
    with pytest.raises(ControlError, match="invalid label"):
        check_label(label)
