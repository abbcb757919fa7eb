"""The archive without what it needs beside dicomio."""

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    "missing, message",
    [
        ("sqlalchemy.exc", r"dicomio\.archive needs sqlalchemy\.exc, .* pip install 'dicomio\[archive\]'"),
        ("dicomio.archive.archive", r"import of dicomio\.archive\.archive halted"),
    ],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, message: str) -> None:
    for name in [name for name in sys.modules if name.startswith("dicomio.archive")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=message) as caught:
        importlib.import_module("dicomio.archive")
    assert caught.value.name == missing
