"""`--log-config`: log records where a file says."""

import json
from pathlib import Path

import pytest

from .conftest import Ran, Receive, Tool, command, free_port

SETTINGS = {
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "tool.log", "formatter": "plain"}},
    "loggers": {"dicomio.cli": {"level": "INFO", "handlers": ["file"]}},
}

TOML = """
[formatters.plain]
format = "%(levelname)s %(name)s %(message)s"
[handlers.file]
class = "logging.FileHandler"
filename = "tool.log"
formatter = "plain"
[loggers."dicomio.cli"]
level = "INFO"
handlers = ["file"]
"""

INI = """
[loggers]
keys = root, cli
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers =
[logger_cli]
qualname = dicomio.cli
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = ("tool.log",)
formatter = plain
[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""


@pytest.mark.parametrize(
    "name, text",
    [("log.json", json.dumps(SETTINGS)), ("log.toml", TOML), ("log.cfg", INI)],
    ids=["json", "toml", "ini"],
)
def test_records_go_where_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    port = free_port()
    assert command("echoscu", "-lc", name, "localhost", port) == Ran(1, "", "")
    (record,) = (tmp_path / "tool.log").read_text().splitlines()
    assert record.startswith("ERROR dicomio.cli dicomio echoscu: ")
    assert str(port) in record


def test_levels_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receive) -> None:
    (tmp_path / "log.json").write_text(json.dumps(SETTINGS))
    monkeypatch.chdir(tmp_path)
    file = Path(__file__)
    ran = command("storescu", "--log-config", "log.json", "localhost", receiver().port, file)
    assert (ran.code, ran.err) == (2, "")
    assert f"{file}: it is not a DICOM file" in (tmp_path / "tool.log").read_text()


@pytest.mark.parametrize(
    "name, text, reason",
    [
        ("log.json", "{", "JSONDecodeError"),
        ("log.json", "[]", "there is no table of settings in it"),
        ("log.json", '{"version": 2}', "Unsupported version: 2"),
        ("log.json", '{"root": {"handlers": ["none"]}}', "Unable to configure root logger"),
        ("log.toml", "a = ", "TOMLDecodeError"),
        ("log.cfg", "log4cplus.rootLogger = INFO", "File contains no section headers"),
        ("log.cfg", "", "log.cfg"),
        ("log.cfg", INI.replace("FileHandler", "NoHandler"), "NoHandler"),
        ("log.cfg", INI.replace("tool.log", "no/tool.log"), "No such file or directory"),
    ],
)
def test_file_that_configures_nothing(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    code, out, err = tool("echoscu", "--log-config", name, "localhost", "104")
    assert (code, out) == (2, "")
    assert err.startswith("dicomio echoscu: ")
    assert reason in err
    assert err.count("\n") == 1


def test_file_that_is_missing(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    expected = f"dicomio echoscu: {path}: No such file or directory\n"
    assert tool("echoscu", "-lc", path, "localhost", "104") == (2, "", expected)
