"""Markdown that holds together whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.conformance.markdown import BREAK, Document, escaped, table

from .reading import cells, tables, unescaped

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXTS)
def test_escaped_texts_stand_for_themselves_on_one_line(text: str) -> None:
    result = escaped(text)
    assert result.isprintable()
    assert unescaped(result) == "".join(each if each.isprintable() else " " for each in text)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1))
def test_tables_have_the_cells_they_were_given(rows: list[tuple[str, str, str]]) -> None:
    (found,) = tables(table(("a", "b", "c"), rows))
    assert [len(row) for row in found] == [3] * (len(rows) + 1)
    wanted = [[unescaped(escaped(text.replace(BREAK, "<br>"))) for text in row] for row in rows]
    assert [[text.replace(" ", "") for text in row] for row in found[1:]] == [
        [text.replace(" ", "") for text in row] for row in wanted
    ]


def test_row_with_the_wrong_number_of_cells() -> None:
    with pytest.raises(ValueError, match="1 cells where 2 are expected"):
        table(("a", "b"), [("one",)])


def test_lines_of_a_cell() -> None:
    assert cells(table(("a",), [(f"one{BREAK}two|three",)]).splitlines()[-1]) == ["one<br>two|three"]


def test_document() -> None:
    document = Document("A*B")
    document.heading(1, "One")
    document.heading(2, "First")
    document.heading(2, "Second_")
    document.heading(1, "Two")
    document.heading(2, "First")
    document.text("\nText.\n")
    document.items(["a", "b"])
    document.table(("x",), [], "Nothing.")
    assert str(document).split("\n\n") == [
        r"# A\*B",
        "## 1 One",
        "### 1.1 First",
        r"### 1.2 Second\_",
        "## 2 Two",
        "### 2.1 First",
        "Text.",
        "- a\n- b",
        "Nothing.\n",
    ]
