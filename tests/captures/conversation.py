"""Associations for the tests, as what each side says, and the packets that carry them."""

import io
import random
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct, pack

from dicomio.captures import CaptureReader, Dissector, Event, Packet
from dicomio.captures.packets import ACK, FIN, RAW_IP, SYN, Endpoint, Segment, segment_of
from dicomio.captures.writing import CaptureWriter, endpoint, file_start
from dicomio.sop import CTImageStorage, ImplicitVRLittleEndian, Verification
from dicomio.wire import pdus
from dicomio.wire.commands import Command, CommandField, encode
from dicomio.wire.items import PresentationContextAC, PresentationContextRQ, UserIdentityRQ, UserInformation
from dicomio.wire.pdata import pack_message

CLIENT = endpoint("10.0.0.1", 50_104)
SERVER = endpoint("10.0.0.2", 11_112)
INSTANCE = "1.2.3.4"
# As long as needed for several PDUs, and nothing that looks like the beginning of one.
DATA = bytes(range(5, 255)) * 40
# What one side says at a time: 0 for the requestor, 1 for the acceptor.
Turns = Sequence[tuple[int, bytes]]

RQ = pdus.AssociateRQ(
    "ARCHIVE",
    "MODALITY",
    (
        PresentationContextRQ(1, Verification, (ImplicitVRLittleEndian,)),
        PresentationContextRQ(3, CTImageStorage, (ImplicitVRLittleEndian,)),
    ),
    UserInformation(16_384, "1.2.3", "TESTING", user_identity=UserIdentityRQ(2, b"jane", b"very secret")),
)
AC = pdus.AssociateAC(
    "ARCHIVE",
    "MODALITY",
    (PresentationContextAC(1, 0, ImplicitVRLittleEndian), PresentationContextAC(3, 0, ImplicitVRLittleEndian)),
    UserInformation(4_096, "1.2.4"),
)
ECHO_RQ = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=Verification)
ECHO_RSP = Command(CommandField.C_ECHO_RSP, responding_to=1, status=0)
STORE_RQ = Command(
    CommandField.C_STORE_RQ,
    message_id=2,
    affected_sop_class_uid=CTImageStorage,
    affected_sop_instance_uid=INSTANCE,
    priority=0,
    has_data_set=True,
)
STORE_RSP = Command(CommandField.C_STORE_RSP, responding_to=2, status=0xB000)

TURNS: Turns = (
    (0, pdus.encode(RQ)),
    (1, pdus.encode(AC)),
    (0, pack_message(1, encode(ECHO_RQ), None, 1_000)),
    (1, pack_message(1, encode(ECHO_RSP), None, 1_000)),
    (0, pack_message(3, encode(STORE_RQ), DATA, 1_000)),
    (1, pack_message(3, encode(STORE_RSP), None, 1_000)),
    (0, pdus.encode(pdus.ReleaseRQ())),
    (1, pdus.encode(pdus.ReleaseRP())),
)


def capture_of(
    turns: Turns, client: Endpoint = CLIENT, server: Endpoint = SERVER, *, opened: bool = True, closed: bool = True
) -> bytes:
    """A capture file of a conversation, a millisecond from turn to turn."""
    writer = CaptureWriter(client, server)
    time = 1_700_000_000_000_000_000
    opening = writer.opened(time)
    blocks = [file_start(), opening if opened else b""]
    for side, data in turns:
        time += 1_000_000
        blocks.append(writer.said(time, side, data))
    if closed:
        blocks += [writer.closed(time, 0), writer.closed(time, 1)]
    return b"".join(blocks)


def packets_of(capture: bytes) -> list[Packet]:
    """The packets of a capture file."""
    return list(CaptureReader(io.BytesIO(capture)))


def dissect(packets: Iterable[Packet], dissector: Dissector | None = None) -> list[Event]:
    """Everything that is found in packets."""
    dissector = dissector or Dissector()
    events = [event for packet in packets for event in dissector.feed(packet)]
    return events + dissector.finish()


def segment_packet(segment: Segment, payload: bytes, sequence: int, flags: int, time: int) -> Packet:
    """A packet like another one, with other data."""
    size = 40 + len(payload)
    ip = pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 6, 0, segment.source.address, segment.destination.address)
    ports = segment.source.port, segment.destination.port
    tcp = pack(">HHIIBBHHH", *ports, sequence % (1 << 32), 0, 0x50, flags, 0xFFFF, 0, 0)
    return Packet(time, RAW_IP, ip + tcp + payload)


def segments(packets: Iterable[Packet]) -> Iterator[tuple[Packet, Segment]]:
    """The packets with their TCP segments."""
    for packet in packets:
        segment = segment_of(packet.link_type, packet.data)
        assert isinstance(segment, Segment)
        yield packet, segment


def mangled(packets: Sequence[Packet], seed: int, *, reach: int = 4) -> list[Packet]:
    """The same connection after a bad network: cut anywhere, some of it repeated and overlapping, out of order.

    Args:
        packets: of one connection.
        seed: of what happens.
        reach: how far a segment may be from its place.
    """
    luck = random.Random(seed)
    result: list[Packet] = []
    for turn in turns_of(packets):
        pieces: list[Packet] = []
        for packet, segment in turn:
            payload = bytes(segment.payload)
            if segment.flags & (SYN | FIN) or not payload:
                pieces.append(packet)
                continue
            at = 0
            while at < len(payload):
                size = luck.choice((1, 5, 100, 1_400, 5_000))
                start = max(0, at - luck.choice((0, 0, 0, 3, 50)))
                part = payload[start : at + size]
                piece = segment_packet(segment, part, segment.sequence + start, ACK, packet.time)
                pieces += [piece] * luck.choice((1, 1, 1, 2))
                at += size
        places = [number + luck.uniform(0, reach) for number in range(len(pieces))]
        result += [piece for _, piece in sorted(zip(places, pieces, strict=True), key=lambda each: each[0])]
    return result


def turns_of(packets: Sequence[Packet]) -> Iterator[list[tuple[Packet, Segment]]]:
    """What one side says until the other one does; what opens and closes the connection by itself."""
    turn: list[tuple[Packet, Segment]] = []
    for packet, segment in segments(packets):
        if turn and (segment.source != turn[-1][1].source or (segment.flags | turn[-1][1].flags) & (SYN | FIN)):
            yield turn
            turn = []
        turn.append((packet, segment))
    if turn:
        yield turn


def pcap(packets: Sequence[Packet], order: str = "<", *, nanoseconds: bool = False) -> bytes:
    """The packets as a pcap file."""
    magic, scale = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1_000)
    records = [Struct(f"{order}IHHiIII").pack(magic, 2, 4, 0, 0, 65_535, packets[0].link_type)]
    for time, _, data in packets:
        seconds, fraction = divmod(time, 1_000_000_000)
        records.append(Struct(f"{order}IIII").pack(seconds, fraction // scale, len(data), len(data)) + data)
    return b"".join(records)


def pcapng_block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of a pcapng file."""
    body += bytes(-len(body) % 4)
    length = Struct(f"{order}I").pack(len(body) + 12)
    return Struct(f"{order}I").pack(kind) + length + body + length


def pcapng(packets: Sequence[Packet], order: str = "<", *, kind: int = 6, resolution: int = 9) -> bytes:
    """The packets as a pcapng file, in blocks of one of the three kinds."""
    units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    section = Struct(f"{order}IHHq").pack(0x1A2B3C4D, 1, 0, -1)
    options = Struct(f"{order}HHB3x").pack(9, 1, resolution) + Struct(f"{order}HHq").pack(14, 8, 0) + bytes(4)
    blocks = [
        pcapng_block(0x0A0D0D0A, section, order),
        pcapng_block(1, Struct(f"{order}HHI").pack(packets[0].link_type, 0, 0) + options, order),
        pcapng_block(0x0BAD, b"of no interest", order),
    ]
    for time, _, data in packets:
        ticks = time * units // 1_000_000_000
        fields = (ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        if kind == 3:
            head = Struct(f"{order}I").pack(len(data))
        else:
            head = Struct(f"{order}IIIII" if kind == 6 else f"{order}HHIIII").pack(
                0, *(() if kind == 6 else (0,)), *fields
            )
        blocks.append(pcapng_block(kind, head + data, order))
    return b"".join(blocks)
