"""`dicomio serve MODULE:APP`."""

import signal
import socket
from pathlib import Path

import pytest

from dicomio import Application
from dicomio.cli.serve import find_application

from .conftest import Tool
from .servers import running

CODE = """
import os
from pathlib import Path
from types import SimpleNamespace
from dicomio import Application

app = Application("MINE")
inner = SimpleNamespace(app=app)
number = 3

@app.store()
async def store(request):
    await request.save(Path("inbox") / f"{request.sop_instance_uid}.dcm")

@app.echo()
async def echo(request):
    Path(f"pid-{os.getpid()}").touch()
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A directory with a module in it."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("app = (")
    (tmp_path / "failing.py").write_text("raise RuntimeError('why')")
    (tmp_path / "needing.py").write_text("import no_such_module")
    return tmp_path


@pytest.mark.parametrize("name", ["mine:app", "mine:inner.app"])
def test_serves_an_application_of_the_current_directory(tool: Tool, code: Path, sample: object, name: str) -> None:
    assert callable(sample)
    with running("serve", name, "--port", 0, "--host", "127.0.0.1", directory=code) as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        assert server.stop(signal.SIGTERM) == 0
    assert len(list((code / "inbox").iterdir())) == 1


def test_workers(tool: Tool, code: Path) -> None:
    with running("serve", "mine:app", "--port", 0, "--workers", 2, directory=code) as server:
        for _ in range(40):
            assert tool("echoscu", "127.0.0.1", server.port).code == 0
        assert server.stop(signal.SIGINT) == 0
    assert len(list(code.glob("pid-*"))) == 2


@pytest.mark.parametrize(
    "name, text",
    [
        ("mine", "'mine' is not MODULE:APP"),
        ("mine:", "'mine:' is not MODULE:APP"),
        (":app", "':app' is not MODULE:APP"),
        ("no_such_module_here:app", "there is no module no_such_module_here"),
        ("needing:app", "there is no module no_such_module"),
        ("mine:other", "other in mine is not a dicomio.Application"),
        ("mine:number", "number in mine is not a dicomio.Application"),
        ("mine:inner.other", "inner.other in mine is not a dicomio.Application"),
        ("broken:app", "broken cannot be imported: SyntaxError: '(' was never closed (broken.py, line 1)"),
        ("failing:app", "failing cannot be imported: RuntimeError: why"),
    ],
)
def test_wrong_names(tool: Tool, code: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.syspath_prepend(str(code))
    assert tool("serve", name) == (2, "", f"dicomio serve: {text}\n")


def test_without_a_name(tool: Tool) -> None:
    code, out, err = tool("serve")
    assert (code, out) == (2, "")
    assert "APPLICATION" in err


def test_finds_what_is_installed(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(code))
    found = find_application("mine:app")
    assert isinstance(found, Application)
    assert found.ae_title == "MINE"


@pytest.mark.parametrize("workers", [1, 2])
def test_port_that_is_taken(tool: Tool, code: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.syspath_prepend(str(code))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ran = tool("serve", "mine:app", "--port", port, "--host", "127.0.0.1", "--workers", workers)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"dicomio serve: cannot listen on port {port}: ")


# --reload


def test_code_that_changes_is_served_anew(tool: Tool, code: Path) -> None:
    with running("serve", "mine:app", "--port", 0, "--reload", directory=code) as server:
        port = server.port
        assert tool("echoscu", "127.0.0.1", port).code == 0
        (code / "mine.py").write_text(CODE.replace('Path(f"pid-{os.getpid()}")', 'Path("anew")'))
        assert server.wait_for("has changed$")[0]
        assert server.wait_for(r"^listening on .*:(\d+)$")[1] == str(port)
        assert tool("echoscu", "127.0.0.1", port).code == 0
        assert server.stop() == 0
    assert (code / "anew").exists()


def test_code_that_cannot_be_run_is_tried_again_when_it_changes(tool: Tool, code: Path) -> None:
    with running("serve", "mine:app", "--port", 0, "--reload", directory=code) as server:
        (code / "mine.py").write_text("app = (")
        server.wait_for("mine cannot be imported: SyntaxError")
        assert tool("echoscu", "127.0.0.1", server.port).code == 1
        (code / "mine.py").write_text(CODE)
        server.wait_for("^listening on")
        assert tool("echoscu", "127.0.0.1", server.port).code == 0
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("option", ["--reload", "-d"])
def test_handlers_that_fail_are_told_of_with_file_and_line(tool: Tool, code: Path, option: str) -> None:
    lines = ["from dicomio import Application", "app = Application('MINE')", "@app.echo()", "async def fail(request):"]
    (code / "mine.py").write_text("\n".join([*lines, "    raise KeyError('missing')", ""]))
    with running("serve", "mine:app", "--port", 0, option, directory=code) as server:
        assert tool("echoscu", "127.0.0.1", server.port).code == 1
        server.wait_for("failed: KeyError: 'missing'$")
        server.wait_for(r'^ +File ".*mine.py", line 5, in fail$')
        server.wait_for("KeyError: 'missing'$")
        assert server.stop() == 0


def test_files_that_are_no_code_change_nothing(tool: Tool, code: Path) -> None:
    for directory in (".hidden", "environment"):
        (code / directory).mkdir()
    (code / "environment" / "pyvenv.cfg").touch()
    with running("serve", "mine:app", "--port", 0, "--reload", directory=code) as server:
        for name in ("notes.txt", ".hidden/a.py", "environment/b.py"):
            (code / name).touch()
        (code / "other.py").touch()
        changed = server.wait_for("has changed$").string
        assert server.stop() == 0
    assert changed == f"{code / 'other.py'} has changed\n"


def test_wrong_names_are_not_waited_for(tool: Tool) -> None:
    assert tool("serve", "mine", "--reload") == (2, "", "dicomio serve: 'mine' is not MODULE:APP\n")
