"""Reads a statement as Markdown: its chapters, and the tables in them."""

import re
from collections.abc import Iterator

__all__ = ["cells", "chapter", "columns", "headings", "tables", "unescaped"]

# A | that no \ stands before parts cells, as GitHub and most others have it.
BETWEEN = re.compile(r"(?<!\\)\|")
ESCAPED = re.compile(r"\\([\\`*_\[\]<>|&#~])")
HEADING = re.compile(r"(#+) (?:([0-9.]+) )?(.+)")


def unescaped(text: str) -> str:
    """What a reader sees."""
    return ESCAPED.sub(r"\1", text)


def cells(line: str) -> list[str]:
    """The cells of one line of a table."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [unescaped(part.strip()) for part in BETWEEN.split(line[1:-1])]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The tables, each a list of rows; the first has the titles of the columns."""
    for block in text.split("\n\n"):
        if block.startswith("|"):
            header, rule, *rows = block.strip().split("\n")
            assert set(cells(rule)) == {"---"}
            found = [cells(row) for row in (header, *rows)]
            assert {len(row) for row in found} == {len(cells(rule))}
            yield found


def headings(text: str) -> list[tuple[int, str, str]]:
    """Level, number and title of each heading."""
    found = (HEADING.fullmatch(line) for line in text.splitlines() if line.startswith("#"))
    return [(len(match[1]), match[2] or "", unescaped(match[3])) for match in found if match is not None]


def chapter(text: str, title: str) -> str:
    """What stands below a heading, to the next one."""
    _, _, rest = re.split(rf"(?m)^(#+ [0-9.]+ {re.escape(title)})$", text, maxsplit=1)
    return re.split(r"(?m)^#", rest, maxsplit=1)[0]


def columns(text: str, *titles: str) -> list[tuple[str, ...]]:
    """Columns of the first table that has them."""
    for header, *rows in tables(text):
        if set(titles) <= set(header):
            return [tuple(row[header.index(title)] for title in titles) for row in rows]
    raise AssertionError(f"no table has {titles}")
