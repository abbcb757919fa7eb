"""A table of texts as lines of equal width; for thousands of rows, which a table of `rich` takes a minute for."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len, chop_cells

__all__ = ["grid_lines"]

# A column gets no narrower than that, however many there are.
NARROWEST: Final = 6
SEPARATOR: Final = " │ "


def grid_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table: headings, a rule, and each row on as many lines as its cells need.

    Args:
        headings: of the columns.
        rows: as many cells each; a cell may have several lines.
        width: columns of the terminal.
    """
    widths = fitting([widest(column) for column in zip(headings, *rows, strict=True)], width)
    rule = "─┼─".join("─" * each for each in widths)
    return [*lines_of(headings, widths), rule, *(line for row in rows for line in lines_of(row, widths))]


def widest(cells: Sequence[str]) -> int:
    """The width of the widest line in some cells."""
    return max(width_of(line) for cell in cells for line in cell.split("\n"))


def width_of(line: str) -> int:
    """The columns of a terminal that a line takes; `cell_len` looks at each character."""
    return len(line) if line.isascii() else cell_len(line)


def fitting(widths: Sequence[int], width: int) -> list[int]:
    """The widths that columns get: what they need, or where that is too much all the wide ones the same."""
    room = width - len(SEPARATOR) * (len(widths) - 1)
    limit, columns = room, len(widths)
    for each in sorted(widths):
        if each * columns >= room:
            limit = room // columns
            break
        room, columns = room - each, columns - 1
    return [max(1, min(each, max(limit, NARROWEST))) for each in widths]


def lines_of(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of one row."""
    cells = [folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = [part + " " * (width - width_of(part)) for part, width in zip(parts, widths, strict=True)]
        yield SEPARATOR.join(padded).rstrip()


def folded(cell: str, width: int) -> list[str]:
    """The lines of a cell in its column."""
    if "\n" not in cell and width_of(cell) <= width:
        return [cell]
    return [part for line in cell.split("\n") for part in (chop_cells(line, width) or [""])]
