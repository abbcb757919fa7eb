"""What we find in captures of every peer, held against tshark's dissector; captures of our own, read by tshark."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from dicomio import Client, query, serve
from dicomio.captures import Dissector, Event, Extractor, Message, PDUFrame, Recorder, Replay, Said
from dicomio.wire.commands import ELEMENTS, Command
from dicomio.wire.pdus import AssociateAC, AssociateRQ
from tests.interop.ours import HOST, address_of, archive, send
from tests.interop.peers import RunningScp, echo_scus, scp_kinds, scps, store_scu_kinds, store_scus
from tests.interop.samples import Sample, by_instance, data_set_bytes, takeable
from tests.interop.tshark import Seen, capturing, dissected, seen_by_tshark

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

# Objects that each peer carries: more of them tell nothing new about dissecting.
FEW = 3
# CTN ends data sets with an empty fragment, which tshark passes over: it joins the next command to the data set. Of
# compressed Pixel Data in what it takes for one piece, it expects the rest in the next command.
PUZZLING = {"ctn", "dcmjs"}


def seen_by_us(events: Sequence[Event]) -> dict[tuple[int, str], Seen]:
    """What we find, in the shape of what tshark finds."""
    found: dict[tuple[int, str], Seen] = {}
    for event in events:
        if isinstance(event, Said):
            seen = found.setdefault((event.association.requestor.port, event.sender), Seen())
            if isinstance(event.what, PDUFrame):
                take_pdu(event.what, seen)
            elif isinstance(event.what, Message):
                seen.commands.append(values_of(event.what.command))
    return found


def take_pdu(frame: PDUFrame, seen: Seen) -> None:
    """Adds a PDU."""
    # tshark tells neither context nor flags of an empty fragment.
    seen.pdus.append((frame.kind, frame.length, [value if value[2] else (-1, -1, 0) for value in frame.values]))
    pdu = frame.pdu
    if isinstance(pdu, AssociateRQ | AssociateAC):
        seen.titles.append((pdu.called_ae_title, pdu.calling_ae_title))
        seen.contexts += [(context.id, getattr(context, "result", None)) for context in pdu.contexts]


def values_of(command: Command) -> dict[int, bytes]:
    """The numbers and UIDs of a command set, as they are encoded, but without padding."""
    values = {}
    for number, element in ELEMENTS.items():
        value = getattr(command, element.attribute, None)
        if value is None or number == 0x0800:
            continue
        if element.vr == "US":
            values[number] = int(value).to_bytes(2, "little")
        elif element.vr in ("UI", "AE"):
            values[number] = str(value).encode()
    return values


def without_padding(seen: Seen) -> list[dict[int, bytes] | None]:
    """The same of what tshark found."""
    return [
        None
        if command is None
        else {
            number: raw.strip(b"\0 ") if ELEMENTS[number].vr in ("UI", "AE") else raw
            for number, raw in command.items()
            if number != 0x0800 and ELEMENTS[number].vr in ("US", "UI", "AE") and raw.strip(b" ")
        }
        for command in seen.commands
    ]


async def compare(path: Path, port: int, extractor: Extractor | None = None, *, puzzling: bool = False) -> None:
    """Holds what we find in a capture against what tshark finds, which may lose commands where it is puzzling."""
    dissector = Dissector(sink=extractor) if extractor is not None else Dissector()
    events, theirs = await asyncio.gather(
        asyncio.to_thread(dissected, path, dissector), asyncio.to_thread(seen_by_tshark, path, port)
    )
    ours = seen_by_us(events)
    assert ours.keys() == theirs.keys()
    for key, seen in ours.items():
        assert seen.pdus == theirs[key].pdus, key
        assert seen.titles == theirs[key].titles
        assert seen.contexts == theirs[key].contexts
        commands = without_padding(theirs[key])
        assert puzzling or None not in commands
        assert len(seen.commands) == len(commands)
        assert [command for command, known in zip(seen.commands, commands, strict=True) if known] == [
            *filter(None, commands)
        ]


@pytest.mark.parametrize("name", echo_scus)
async def test_peers_that_ask(name: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    async with serve(archive(tmp_path / "inbox"), HOST, 0) as server:
        port = server.port
        async with capturing(port, path):
            result = await asyncio.to_thread(echo_scus[name], HOST, port, "ARCHIVE")
            assert result.code == 0, result.output
    await compare(path, port)


@pytest.mark.parametrize("name", store_scus)
async def test_objects_that_peers_send(name: str, samples: Samples, tmp_path: Path, workdir: Path) -> None:
    sent = takeable(samples.values(), store_scu_kinds[name])[:FEW]
    path = tmp_path / "capture.pcapng"
    extractor = Extractor(tmp_path / "extracted")
    async with serve(archive(tmp_path / "inbox"), HOST, 0) as server:
        port = server.port
        async with capturing(port, path):
            await send(name, port, sent, workdir)
    await compare(path, port, extractor, puzzling=name in PUZZLING)
    stored, extracted = by_instance((tmp_path / "inbox").iterdir()), by_instance(extractor.written)
    assert stored.keys() == extracted.keys() == {sample.sop_instance_uid for sample in sent}
    for uid, file in stored.items():
        assert data_set_bytes(extracted[uid]) == data_set_bytes(file)


@pytest.mark.parametrize("name", scps)
async def test_peers_that_are_asked(name: str, samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    sent = takeable(samples.values(), scp_kinds[name])[:FEW]
    scp = await asyncio.to_thread(start_scp, name)
    path = tmp_path / "capture.pcapng"
    async with capturing(scp.port, path):
        async with Client(address_of(scp)) as client:
            outcomes = [outcome async for outcome in client.store_many(sample.path for sample in sent)]
        assert [outcome.error for outcome in outcomes] == [None] * len(sent)
    await compare(path, scp.port, puzzling=name in PUZZLING)


async def test_queries_and_retrievals(samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    sent = takeable(samples.values(), scp_kinds["dcmqrscp"])[:FEW]
    scp = await asyncio.to_thread(start_scp, "dcmqrscp")
    path = tmp_path / "capture.pcapng"
    async with capturing(scp.port, path):
        async with Client(address_of(scp)) as client:
            for sample in sent:
                await client.store(sample.path)
            studies = [match async for match in client.find(query("STUDY", StudyInstanceUID=""))]
            assert studies
            for study in studies:
                got = client.get(query("STUDY", StudyInstanceUID=study.StudyInstanceUID))
                assert [instance.sop_instance_uid async for instance in got]
    extractor = Extractor(tmp_path / "extracted")
    await compare(path, scp.port, extractor)
    # Each object travelled there and back.
    assert len(extractor.written) == 2 * len(sent)


async def test_recorded_captures_are_read_by_tshark_and_played_to_both_sides(
    samples: Samples, start_scp: StartScp, tmp_path: Path, workdir: Path
) -> None:
    sent = takeable(samples.values(), scp_kinds["storescp"] & store_scu_kinds["storescu"])[:FEW]
    scp = await asyncio.to_thread(start_scp, "storescp")
    path = tmp_path / "record.pcapng"
    paths = [sample.path for sample in sent]
    async with Recorder(HOST, scp.port, path) as recorder:
        result = await asyncio.to_thread(store_scus["storescu"], recorder.port, "STORESCP", paths, workdir)
        assert result.code == 0, result.output
        await recorder.wait_ended(recorder.connections)
    await compare(path, scp.port)

    replay = await asyncio.to_thread(Replay.load, path)
    assert await replay.request(HOST, scp.port) == []
    async with replay.acceptor() as acceptor:
        result = await asyncio.to_thread(store_scus["storescu"], acceptor.port, "STORESCP", paths, workdir)
        assert result.code == 0, result.output
    assert acceptor.differences == []
