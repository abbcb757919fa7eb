"""The code blocks of docs/archive.md do what the text around them says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from dicomio import Instance
from dicomio.sop import CTImageStorage
from dicomio.testing import connected

PAGE = Path(__file__).parents[2] / "docs" / "archive.md"
SERVED, EMBEDDED, WORKLIST = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with what the blocks add."""
    monkeypatch.chdir(tmp_path)
    Path("ct.dcm").write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())


def run(source: str, name: str) -> dict[str, Any]:
    """Runs a block as a program."""
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, PAGE.name, "exec"), names)
    return names


def test_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    run(EMBEDDED, "__main__")
    study, path = capsys.readouterr().out.splitlines()
    assert study == "CompressedSamples^CT1 1"
    assert path.endswith(".dcm")


@pytest.mark.parametrize("source", [SERVED, WORKLIST], ids=["served", "worklist"])
async def test_with_a_server(source: str) -> None:
    async with connected(run(source, "server")["app"], contexts=[CTImageStorage]) as peer:
        assert (await peer.store(await asyncio.to_thread(Instance.open, "ct.dcm"))).status == 0
