"""The page of reference: it says what the table says."""

from pathlib import Path

import dicomio
from dicomio.cli.options import TOOLS, arguments_of, options_of
from dicomio.cli.reference import page

PAGE = Path(dicomio.__file__).parents[1] / "docs" / "cli.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "make it anew: python -m dicomio.cli.reference > docs/cli.md"


def test_page_has_every_tool_argument_and_option() -> None:
    sections = page().split("\n## ")[1:]
    assert [section.partition("\n")[0] for section in sections] == [tool.name for tool in TOOLS]
    for tool, section in zip(TOOLS, sections, strict=True):
        assert tool.meaning in section
        for argument in arguments_of(tool.name):
            assert f"| `{argument.name}` | " in section
        for option in options_of(tool.name):
            value = f" {option.value}" if option.value else ""
            assert all(f"`{spelling}{value}`" in section for spelling in option.spellings)
            assert f"### {tool.name}: {option.group}\n" in section
