"""`dicomio demo`."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dicomio import Client, Instance
from dicomio.cli import demo

from .conftest import Tool


def test_everything_arrives_as_it_was_sent(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = tool("demo")
    assert code == 0
    assert out.count("identical") == len(demo.STUDY)
    for what, _ in demo.STUDY:
        assert what in out
    assert "Lestrade^G, OT" in out
    assert f"{len(demo.STUDY)} of {len(demo.STUDY)} files stored, found and retrieved without a byte changed" in err
    assert list(tmp_path.iterdir()) == []


def test_several_sop_classes_and_transfer_syntaxes(tool: Tool, tmp_path: Path) -> None:
    assert tool("demo", "-od", tmp_path, "--json").code == 0
    stored = [Instance.open(path) for path in tmp_path.iterdir()]
    assert len(stored) == len(demo.STUDY)
    assert len({instance.sop_class_uid for instance in stored}) >= 8
    assert len({instance.transfer_syntax for instance in stored}) >= 8


def test_results_as_json_lines(tool: Tool) -> None:
    code, out, _ = tool("demo", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [Path(record["path"]).name for record in records] == [name for _, name in demo.STUDY]
    assert {record["came_back"] for record in records} == {"identical"}
    assert records[0]["found"] == "CompressedSamples^CT1, CT"


def test_progress_bar_on_a_terminal(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "kB" in tool("demo").err
    assert "kB" not in tool("demo", "--no-progress").err


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage, words",
    [(spoil, "the data set is different"), (Path.unlink, "No such file")],
)
def test_differences_are_found(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], words: str
) -> None:
    compare = demo.compare_all

    def damage_one(journeys: list[demo.Journey], inbox: Path) -> None:
        damage(max(inbox.iterdir()))
        compare(journeys, inbox)

    monkeypatch.setattr(demo, "compare_all", damage_one)
    code, out, err = tool("demo", "--json")
    assert code == 1
    assert words in out
    assert f"{len(demo.STUDY) - 1} of {len(demo.STUDY)} files" in err


def test_what_the_archive_refuses(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set of this one names another SOP Instance UID than its header does."""
    monkeypatch.setattr(demo, "STUDY", (*demo.STUDY[:2], ("radiotherapy plan", "rtplan.dcm")))
    code, out, err = tool("demo", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [record["came_back"] for record in records[:2]] == ["identical"] * 2
    assert (records[2]["found"], "0xA900" in records[2]["came_back"]) == ("", True)
    assert "2 of 3 files" in err


def test_what_cannot_be_found(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_nothing(peer: Client, journeys: Iterable[demo.Journey]) -> list[str]:
        return []

    monkeypatch.setattr(demo, "find", find_nothing)
    code, out, err = tool("demo")
    assert (code, out.count("was not found"), "0 of" in err) == (1, len(demo.STUDY), True)


def test_where_nothing_can_be_written(tool: Tool, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    code, out, err = tool("demo", "-od", blocked)
    assert (code, out, err) == (2, "", f"dicomio demo: {blocked}: File exists\n")


@pytest.mark.parametrize("name", ["demo", "qrscp"])
def test_without_the_packages_of_the_archive(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for module in ("dicomio.archive", "dicomio.archive.archive"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr("dicomio.archive", raising=False)
    monkeypatch.setitem(sys.modules, "sqlalchemy.exc", None)
    code, out, err = tool(name, "-od", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"dicomio {name}: sqlalchemy.exc is missing: pip install dicomio[archive]\n"


def test_without_the_files(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "STUDY", (("nothing", "no-such-file.dcm"),))
    code, out, err = tool("demo")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the files that come with pydicom are not there" in err


def test_quiet(tool: Tool) -> None:
    code, out, err = tool("demo", "-q")
    assert (code, err) == (0, "")
    assert "identical" in out
