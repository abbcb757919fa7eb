"""The programs of the project that are not in its package: in examples/, and in the blocks of its pages."""

import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("**/*.md") if path.parent.name != "api"),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def names(program: str) -> dict[str, Any]:
    """What a program in examples/ defines."""
    return runpy.run_path(str(ROOT / "examples" / program))


def all_blocks(page: str) -> list[tuple[str, str]]:
    """The code blocks of a page that name their language, with it."""
    return BLOCK.findall((ROOT / page).read_text())


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return [text for kind, text in all_blocks(page) if kind == language]
