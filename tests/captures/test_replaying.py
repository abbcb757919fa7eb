"""Recorded associations, played to peers of ours."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import dicomio
from dicomio import Application, Status, StoreRequest
from dicomio.captures import InvalidCapture, Recorder, Replay
from dicomio.captures.replaying import Cutter
from dicomio.sop import CTImageStorage, Verification
from dicomio.wire import pdus
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message

from .conversation import CLIENT, DATA, SERVER, STORE_RQ, TURNS, Turns, capture_of, mangled, packets_of, pcap

HOST = "127.0.0.1"


def written(path: Path, turns: Turns = TURNS) -> Path:
    """A capture of a conversation."""
    path.write_bytes(capture_of(turns))
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture of an association with an echo and a store."""
    return written(tmp_path / "capture.pcapng")


async def load(path: Path, *, timing: bool = False, patience: float = 5.0) -> Replay:
    """A replay that does not wait for long."""
    return await asyncio.to_thread(Replay.load, path, timing=timing, patience=patience)


async def say(port: int, turns: Sequence[tuple[int, bytes]], side: int = 0) -> bytes:
    """Says what one side of a conversation does, each time the other side has said its part; returns what that was."""
    reader, writer = await asyncio.open_connection(HOST, port)
    heard = b""
    for speaker, data in turns:
        if speaker == side:
            writer.write(data)
        else:
            heard += await reader.readexactly(len(data))
    writer.write_eof()
    heard += await reader.read()
    writer.close()
    return heard


async def test_requestor_that_says_the_same(capture: Path) -> None:
    replay = await load(capture)
    async with replay.acceptor() as acceptor:
        assert await say(acceptor.port, TURNS) == b"".join(data for side, data in TURNS if side == 1)
        await acceptor.wait_played()
    assert acceptor.differences == []


async def test_acceptor_is_played_to_an_association_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    instance = dicomio.dataset(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3", PatientName="DOE^JANE")

    async def ask(port: int) -> None:
        async with dicomio.connect(f"ARCHIVE@{HOST}:{port}", contexts=[Verification, CTImageStorage]) as association:
            await association.echo()
            await association.store(instance)

    app = Application("ARCHIVE")

    @app.store()
    async def store(request: StoreRequest) -> Status:
        await request.read()
        return Status.SUCCESS

    async with dicomio.serve(app, HOST, 0) as server:
        async with Recorder(HOST, server.port, path) as recorder:
            await ask(recorder.port)
            await recorder.wait_ended(1)
        replay = await load(path)
        assert await replay.request(HOST, server.port) == []
    async with replay.acceptor() as acceptor:
        await ask(acceptor.port)
        await acceptor.wait_played()
    assert acceptor.differences == []

    instance.PatientName = "ROE^RICHARD"
    async with replay.acceptor() as acceptor:
        await ask(acceptor.port)
        await acceptor.wait_played()
    first, second = acceptor.differences
    assert first.startswith("data set of C-STORE-RQ: length is ")
    assert second.startswith("data set of C-STORE-RQ: sha256 is ")


async def test_differences_are_told_in_words(capture: Path) -> None:
    replay = await load(capture)
    rq = bytearray(TURNS[0][1])
    rq[10:26] = b"ELSEWHERE".ljust(16)
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, [(0, bytes(rq)), *TURNS[1:]])
    assert acceptor.differences == [
        "A-ASSOCIATE-RQ: called_ae_title is 'ELSEWHERE', recorded was 'ARCHIVE'",
    ]


async def test_another_order_is_told(capture: Path) -> None:
    replay = await load(capture)
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, [*TURNS[:2], (0, pdus.encode(pdus.Abort(0, 0)))])
    assert acceptor.differences == [
        "A-ABORT came where C-ECHO-RQ was recorded",
        "the peer closed the connection where C-STORE-RQ was recorded",
        "2 PDUs were not sent",
    ]


async def test_more_than_was_recorded_is_told(tmp_path: Path) -> None:
    replay = await load(written(tmp_path / "short.pcapng", TURNS[:4]))
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, [*TURNS[:4], TURNS[6]])
        await say_nothing(acceptor.port)
    assert acceptor.differences == [
        "A-RELEASE-RQ came where nothing more was recorded",
        "connection 2 came where 1 were recorded",
    ]


async def say_nothing(port: int) -> None:
    """Connects, and hears that this is not wanted."""
    reader, writer = await asyncio.open_connection(HOST, port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_silence_is_told(capture: Path) -> None:
    replay = await load(capture, patience=0.1)
    async with replay.acceptor() as acceptor:
        reader, writer = await asyncio.open_connection(HOST, acceptor.port)
        assert await reader.read() == b""
        writer.close()
    assert acceptor.differences == [
        "nothing came for 0.1 s where A-ASSOCIATE-RQ was recorded",
        "4 PDUs were not sent",
    ]


async def test_requestor_is_played(capture: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for side, data in TURNS:
            if side == 1:
                writer.write(data)
            else:
                heard.append(await reader.readexactly(len(data)))
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    replay = await load(capture)
    assert await replay.request(HOST, port) == []
    assert heard == [data for side, data in TURNS if side == 0]
    server.close()


async def test_fragments_may_be_cut_otherwise(capture: Path) -> None:
    other = [*TURNS[:4], (0, pack_message(3, encode(STORE_RQ), DATA, 77)), *TURNS[5:]]
    replay = await load(capture)
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, other)
    assert acceptor.differences == []


async def test_delays_are_kept_when_wanted(tmp_path: Path) -> None:
    path = tmp_path / "slow.pcap"
    slow = [packet._replace(time=packet.time * 200) for packet in packets_of(capture_of(TURNS[:2]))]
    path.write_bytes(pcap([packet._replace(time=packet.time - slow[0].time) for packet in slow]))
    replay = await load(path, timing=True)
    started = time.monotonic()
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, TURNS[:2])
    # A millisecond in the capture was made two hundred.
    assert 0.19 < time.monotonic() - started < 3


async def test_several_associations_are_played_in_order(tmp_path: Path) -> None:
    path = tmp_path / "two.pcapng"
    path.write_bytes(capture_of(TURNS) + capture_of(TURNS[:4], CLIENT._replace(port=CLIENT.port + 1), SERVER))
    replay = await load(path)
    assert len(replay.associations) == 2
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, TURNS)
        await say(acceptor.port, [TURNS[0], TURNS[1], TURNS[4]])
        await acceptor.wait_played()
    assert acceptor.differences[0] == "association 2: C-STORE-RQ came where C-ECHO-RQ was recorded"


@pytest.mark.parametrize("seed", range(3))
async def test_captures_of_bad_networks_can_be_played(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(pcap(mangled(packets_of(capture_of(TURNS)), seed)))
    replay = await load(path)
    async with replay.acceptor() as acceptor:
        await say(acceptor.port, TURNS)
    assert acceptor.differences == []


def test_what_cannot_be_played(tmp_path: Path) -> None:
    path = tmp_path / "other.pcapng"
    path.write_bytes(capture_of([(0, b"GET / HTTP/1.1\r\n\r\n")]))
    with pytest.raises(InvalidCapture, match="no association"):
        Replay.load(path)
    path.write_bytes(capture_of(TURNS[2:], opened=False))
    with pytest.raises(InvalidCapture, match="no association"):
        Replay.load(path)


def test_holes_cannot_be_played(tmp_path: Path) -> None:
    path = tmp_path / "holes.pcap"
    packets = packets_of(capture_of(TURNS))
    path.write_bytes(pcap([*packets[:5], *packets[6:]]))
    replay = Replay.load(path)
    with pytest.raises(InvalidCapture, match="lacks bytes"):
        replay.associations[0].script(1)


def test_too_much_cannot_be_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.captures.replaying.LONGEST", 1_000)
    with pytest.raises(InvalidCapture, match="more than 1000 bytes"):
        Replay.load(written(tmp_path / "long.pcapng"))


def test_pdus_are_cut_by_their_lengths_alone() -> None:
    whole = b"".join(data for side, data in TURNS if side == 0)
    cutter = Cutter()
    found = [pdu for at in range(0, len(whole), 7) for pdu in cutter.feed(whole[at : at + 7])]
    assert b"".join(found) == whole
    assert [pdu[0] for pdu in found] == [1, *[4] * 12, 5]
    assert list(cutter.feed(b"\x04\0\xff\xff\xff\xffrest")) == []
    assert cutter.rest == b"\x04\0\xff\xff\xff\xffrest"
