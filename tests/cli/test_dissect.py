"""`dicomio dissect`."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dicomio.captures import Packet
from dicomio.captures.writing import endpoint
from dicomio.datasets import decode, encode
from dicomio.sop import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from dicomio.wire.commands import encode as encode_command
from dicomio.wire.pdata import pack_message
from tests.captures.conversation import CLIENT, DATA, STORE_RQ, TURNS, capture_of, packets_of, pcap

from .conftest import Tool


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture of an echo and a store."""
    path = tmp_path / "capture.pcapng"
    path.write_bytes(capture_of(TURNS))
    return path


def test_lines(tool: Tool, capture: Path) -> None:
    code, out, err = tool("dissect", capture)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "association 1: 10.0.0.1:50104 → 10.0.0.2:11112, 2023-11-14T22:13:20.001000000Z"
    assert lines[1].endswith(": MODALITY calls ARCHIVE")
    assert lines[-2].endswith("released; the connection was closed")
    assert "P-DATA-TF, " not in out
    assert ": 0x0000 Success, after " in out
    assert "P-DATA-TF, 1006 bytes" in tool("dissect", capture, "--pdus").out


def test_associations_that_are_open_at_once_are_told_apart(tool: Tool, tmp_path: Path) -> None:
    first, second = (packets_of(capture_of(TURNS, client)) for client in (CLIENT, endpoint("10.0.0.3", 50_105)))
    path = tmp_path / "both.pcap"
    path.write_bytes(pcap([packet for pair in zip(first, second, strict=True) for packet in pair]))
    number, told = 0, dict[int, list[str]]()
    for line in tool("dissect", path).out.splitlines():
        if line.startswith("association "):
            number = int(line.split()[1].rstrip(":,"))
        if not line.endswith("continued:"):
            told.setdefault(number, []).append(line)
    assert told.keys() == {1, 2}
    assert "10.0.0.3:50105" in told[2][0]
    assert told[1][1:] == told[2][1:]


def test_json_lines(tool: Tool, capture: Path) -> None:
    code, out, err = tool("dissect", capture, "--json")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert records[0]["event"] == "association"
    assert sum(record["event"] == "pdu" for record in records) == 18
    assert [record["message"] for record in records if record["event"] == "message"] == [
        "C-ECHO-RQ",
        "C-ECHO-RSP",
        "C-STORE-RQ",
        "C-STORE-RSP",
    ]


def test_standard_input(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.BytesIO(pcap(packets_of(capture_of(TURNS)))[:-10])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=given))
    code, out, err = tool("dissect", "-")
    assert (code, err) == (0, "the file ends in the middle of a packet\n")
    assert "C-STORE-RSP" in out


def test_extracting(tool: Tool, capture: Path, tmp_path: Path) -> None:
    code, out, err = tool("dissect", capture, "--extract", tmp_path / "out")
    assert (code, err) == (0, "")
    (path,) = (tmp_path / "out").iterdir()
    assert path.read_bytes().endswith(DATA)
    assert f"written to {path}" in out


def test_incomplete_objects_make_it_fail(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "short.pcapng"
    path.write_bytes(capture_of([*TURNS[:4], (0, TURNS[4][1][:5_000])]))
    code, out, err = tool("dissect", path, "--extract", tmp_path / "out")
    assert (code, err) == (1, "dicomio dissect: 1.2.3.4.dcm: the object is incomplete and was not written\n")
    assert "the object is incomplete and was not written" in out
    assert list((tmp_path / "out").iterdir()) == []


def test_data_sets_are_shown_only_when_wanted(tool: Tool, tmp_path: Path, sample: Callable[[str], Path]) -> None:
    whole = sample("MR_small.dcm").read_bytes()
    end = 144 + int.from_bytes(whole[140:144], "little")
    plain = encode(decode(whole[end:], ExplicitVRLittleEndian), ImplicitVRLittleEndian)
    turns = [*TURNS[:2], (0, pack_message(3, encode_command(STORE_RQ), plain, 4_000))]
    path = tmp_path / "mr.pcapng"
    path.write_bytes(capture_of(turns, endpoint("::1", 50_104), endpoint("::2", 104)))
    assert "CompressedSamples" not in tool("dissect", path).out
    out = tool("dissect", path, "--data-sets").out
    assert "[::1]:50104 → [::2]:104" in out
    assert "PatientName=CompressedSamples^MR1" in out


def test_ports(tool: Tool, capture: Path) -> None:
    assert "association 1" in tool("dissect", capture, "--port", 104, "--port", 11_112).out
    assert tool("dissect", capture, "--port", 104) == (0, "", "no association was found\n")


def test_what_is_no_capture(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    assert tool("dissect", path) == (
        2,
        "",
        f"dicomio dissect: {path}: neither a pcap nor a pcapng file: it begins with 74 65 78 74\n",
    )
    missing = tmp_path / "missing"
    assert tool("dissect", missing) == (2, "", f"dicomio dissect: {missing}: No such file or directory\n")


@pytest.mark.parametrize(
    "words, reason",
    [
        ((), "a FILE to read is missing, or --live"),
        (("x", "--seconds", "1"), "--seconds and --count are for --live"),
        (("x", "--count", "1"), "--seconds and --count are for --live"),
        (("x", "--port", "0"), "port 0 is not between 1 and 65535"),
    ],
)
def test_misuse(tool: Tool, words: tuple[str, ...], reason: str) -> None:
    code, out, err = tool("dissect", *words)
    assert (code, out) == (2, "")
    assert reason in err


class Interface:
    """What takes the place of a network interface."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 3

    def __enter__(self) -> "Interface":
        return self

    def __exit__(self, *ignored: object) -> None:
        """Nothing is open."""

    def packets(self, seconds: float | None) -> Iterator[Packet | None]:
        """Two associations, and Ctrl-C."""
        yield None
        yield from packets_of(capture_of(TURNS))
        yield from packets_of(capture_of(TURNS[:4], closed=False))[3:]
        raise KeyboardInterrupt


def test_live_until_interrupted(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.cli.dissect.LiveCapture", Interface)
    code, out, err = tool("dissect", "--live", "lo")
    assert (code, err) == (0, "capturing on lo\n3 packets were lost, since they came too fast\n")
    assert "released; the connection was closed" in out


def test_live_until_it_is_enough(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.cli.dissect.LiveCapture", Interface)
    code, out, err = tool("dissect", "--live", "--count", 1)
    assert code == 0
    assert err.startswith("capturing on all interfaces\n")
    assert out.count("association ") == 1
