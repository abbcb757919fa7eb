"""`dicomio record` and `dicomio replay`, in processes of their own."""

import signal
from pathlib import Path

import pytest

from .conftest import Receive, Tool, free_port
from .servers import running


def recorded(tool: Tool, receiver: Receive, path: Path) -> int:
    """Records two echoes; returns the port of the receiver."""
    peer = receiver()
    with running("record", 0, "127.0.0.1", peer.port, path, "--count", 2) as relay:
        for _ in range(2):
            assert tool("echoscu", "127.0.0.1", relay.port).code == 0
        assert relay.process.wait(20) == 0
    return peer.port


def test_record_dissect_and_replay(tool: Tool, receiver: Receive, tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    port = recorded(tool, receiver, path)
    code, out, _ = tool("dissect", path)
    assert code == 0
    assert out.count("released; the connection was closed") == 2
    assert tool("replay", path, "--to", "127.0.0.1", port) == (0, "", "")
    with running("replay", path, 0) as acceptor:
        for _ in range(2):
            assert tool("echoscu", "127.0.0.1", acceptor.port).code == 0
        assert acceptor.process.wait(20) == 0


def test_differences(tool: Tool, receiver: Receive, tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    recorded(tool, receiver, path)
    other = receiver("--refuse")
    code, out, err = tool("replay", path, "--to", "127.0.0.1", other.port)
    assert (code, err) == (1, "")
    assert "association 1: A-ASSOCIATE-RJ came where A-ASSOCIATE-AC was recorded\n" in out


def test_record_ends_in_good_order_when_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    with running("record", 0, "127.0.0.1", free_port(), path) as relay:
        assert relay.stop() == 0
    assert path.stat().st_size


def test_nothing_is_overwritten(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "there.pcapng"
    path.write_bytes(b"something")
    code, out, err = tool("record", 0, "127.0.0.1", 104, path)
    assert (code, out) == (1, "")
    assert "File exists" in err
    assert path.read_bytes() == b"something"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_replay_that_is_interrupted(tool: Tool, receiver: Receive, tmp_path: Path, number: int) -> None:
    path = tmp_path / "record.pcapng"
    recorded(tool, receiver, path)
    with running("replay", path, 0) as acceptor:
        assert acceptor.stop(number) == 130
        assert acceptor.said[1:] == ["dicomio replay: interrupted\n"]


@pytest.mark.parametrize(
    "words, reason",
    [
        (("x",), "either a PORT to listen on or --to HOST PORT is needed"),
        (("x", 104, "--to", "host", 104), "either a PORT to listen on or --to HOST PORT is needed"),
        (("x", "--to", "host", "what"), "'what' is not a number"),
    ],
)
def test_misuse(tool: Tool, words: tuple[object, ...], reason: str) -> None:
    code, out, err = tool("replay", *words)
    assert (code, out) == (2, "")
    assert reason in err


def test_nobody_to_replay_to(tool: Tool, receiver: Receive, tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    recorded(tool, receiver, path)
    port = free_port()
    code, out, err = tool("replay", path, "--to", "127.0.0.1", port)
    assert (code, out) == (1, "")
    assert err.startswith(f"dicomio replay: 127.0.0.1:{port}: ")
    assert "refused" in err or "Connect call failed" in err


def test_captures_that_cannot_be_replayed(tool: Tool, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing", tmp_path / "text"
    text.write_text("text")
    for path, reason in ((missing, "No such file or directory"), (text, "neither a pcap nor a pcapng file")):
        code, out, err = tool("replay", path, 0)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"dicomio replay: {path}: {reason}")
