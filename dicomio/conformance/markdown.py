"""Markdown with numbered headings and tables that hold together whatever is in their cells."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BREAK", "Document", "escaped", "table"]

# Parts a cell into lines.
BREAK: Final = "\0"
# What Markdown would take for something else than itself.
SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|&#~])")


def escaped(text: object) -> str:
    """A text that stands for itself, on one line: AE titles and names may hold anything."""
    plain = "".join(character if character.isprintable() else " " for character in str(text))
    return SPECIAL.sub(r"\\\1", plain)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its cells are texts, not Markdown, with `BREAK` between lines.

    Raises:
        ValueError: a row has not as many cells as the header.
    """
    lines = [line(header), line(["---"] * len(header), raw=True)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells where {len(header)} are expected: {row}")
        lines.append(line(row))
    return "\n".join(lines)


def line(cells: Sequence[object], *, raw: bool = False) -> str:
    """One line of a table."""
    texts = [str(each) if raw else "<br>".join(map(escaped, str(each).split(BREAK))) for each in cells]
    return f"| {' | '.join(texts)} |"


class Document:
    """A document that is written from top to bottom."""

    def __init__(self, title: str) -> None:
        self.parts = [f"# {escaped(title)}"]
        self.numbers: list[int] = []

    def heading(self, level: int, title: str) -> None:
        """A heading with the next number of its level, 1 for a chapter.

        Args:
            level: at most one deeper than the heading before.
            title: a text.
        """
        self.numbers = [*self.numbers[:level], *[0] * (level - len(self.numbers))]
        self.numbers[-1] += 1
        number = ".".join(map(str, self.numbers))
        self.parts.append(f"{'#' * min(level + 1, 6)} {number} {escaped(title)}")

    def text(self, markdown: str) -> None:
        """A paragraph, in Markdown."""
        self.parts.append(markdown.strip())

    def items(self, markdown: Iterable[str]) -> None:
        """A list of items, in Markdown."""
        self.parts.append("\n".join(f"- {each}" for each in markdown))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], otherwise: str) -> None:
        """A table, or a sentence where there is nothing in it."""
        found = list(rows)
        self.parts.append(table(header, found) if found else otherwise)

    def __str__(self) -> str:
        return "\n\n".join(self.parts) + "\n"
