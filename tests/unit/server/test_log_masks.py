"""DD_SUBSYS folded into D_LOG_MASK: the rules of DAOS as a table."""

import pytest

from daos_control.server.log_masks import merge


@pytest.mark.parametrize(
    ("masks", "subsystems", "merged"),
    [
        ("", "", ""),
        ("", "MISC", ""),
        ("DEBUG", "", "DBUG"),
        ("debug", "ALL", "DBUG"),
        ("INFO,RDB=DEBUG", "", "INFO,RDB=DBUG"),
        ("RDB=DEBUG", "", "ERR,RDB=DBUG"),
        ("nonsense", "", "ERR"),
        ("DEBUG", "MISC", "ERR,MISC=DBUG"),
        ("DEBUG", "misc,net", "ERR,misc=DBUG,net=DBUG"),
        ("ERROR", "MISC", "ERR"),
        ("CRIT", "MISC", "CRIT"),
        # below ERR and not listed: dropped; from ERR on: kept, unless equal to the base
        ("DEBUG,MEM=INFO,MISC=WARN", "MISC", "ERR,MISC=WARN"),
        ("DEBUG,MEM=ERR,MGMT=CRIT", "MISC", "ERR,MGMT=CRIT,MISC=DBUG"),
        ("FATAL,MEM=EMRG", "MEM", "EMRG"),
        ("EMIT,MEM=FATAL", "MISC", "EMIT,MEM=EMRG"),
        ("WARN,MISC=ERR", "MISC", "ERR"),
    ],
)
def test_merging(masks: str, subsystems: str, merged: str) -> None:
    assert merge(masks, subsystems) == merged


def test_an_assignment_with_two_equal_signs_is_refused() -> None:
    with pytest.raises(ValueError, match="A=B=C"):
        merge("INFO,A=B=C", "")
