"""Kill -9 before, during and after every step of every format: each line of the table in docs/storage.md, run."""

from pathlib import Path

import pytest

from integration import kill_table
from integration.kill_table import Row

pytestmark = pytest.mark.root
pytest_plugins = ["integration.storage_fixtures"]

TEXT = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
ROWS = kill_table.parse(TEXT)


def test_the_table_has_every_place_where_a_format_can_be_cut_off_and_no_other() -> None:
    assert [(row.format, row.killed) for row in ROWS] == [
        (row.format, row.killed) for row in kill_table.places()
    ], "write the table anew: PYTHONPATH=tests python -m integration.kill_table"
    assert kill_table.render(ROWS) in TEXT


def test_no_line_of_the_table_tells_of_lost_data() -> None:
    for row in ROWS:
        assert row.found.startswith(("unformatted", "foreign, untouched", "incomplete", "absent", "complete")), row
        assert "CHANGED" not in row.found
        assert row.again in ("complete", "left alone, fault 101"), row


@pytest.mark.asyncio
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}: {row.killed}".replace(" ", "-"))
async def test_what_the_table_says_is_what_happens(area: Path, row: Row) -> None:
    assert await kill_table.observe(row, area) == row
