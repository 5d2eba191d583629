"""Tables in the layout of DAOS's tools: each column as wide as its longest cell, every cell followed by a space."""

from collections.abc import Mapping, Sequence

Row = Mapping[str, str]

INDENT = 2


def table(titles: Sequence[str], rows: Sequence[Row]) -> str:
    """Titles, a rule under each, and the rows; a cell that a row does not have reads "None"."""
    if not titles:
        return ""
    lines = [
        list(titles),
        ["-" * len(title) for title in titles],
        *([_one_line(row.get(title, "None")) for title in titles] for row in rows),
    ]
    widths = [max(len(line[column]) for line in lines) + 1 for column in range(len(titles))]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )


def entity(title: str, attributes: Sequence[tuple[str, str]]) -> str:
    """A title with a rule, and under it one "name: value" a line, names and values padded to equal widths."""
    # The least width of a column comes from the names in their order; this is how DAOS's tools count it.
    least = 0
    for name, _ in attributes:
        if len(name) > least:
            least = len(name) + 1
    least += INDENT
    names = [" " * INDENT + name for name, _ in attributes]
    values = [f": {value}" for _, value in attributes]
    name_width = max(least, *(len(name) for name in names)) if names else 0
    value_width = max(least, *(len(value) for value in values)) if values else 0
    lines = [f"{title}\n{'-' * len(title)}\n"] if title else []
    lines += [
        f"{name.ljust(name_width)}{value.ljust(value_width)}\n" for name, value in zip(names, values, strict=True)
    ]
    return "".join(lines)


def indent(text: str, spaces: int = INDENT) -> str:
    """`text` with spaces in front of every line that is not empty."""
    return "".join(" " * spaces + line if line.strip("\n") else line for line in text.splitlines(keepends=True))


def ruled(title: str) -> str:
    """A title between two rules of its length."""
    rule = "-" * len(title)
    return f"{rule}\n{title}\n{rule}\n"


def _one_line(cell: str) -> str:
    return cell.replace("\t", " ").replace("\n", " ")
