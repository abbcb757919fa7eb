"""Captures of the loopback interface by dumpcap, and what tshark's own dissector of DICOM makes of them."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from dicomio.captures import CaptureReader, Dissector, Event
from dicomio.captures.packets import Segment, segment_of
from tests.interop.processes import PeerFailedError, do_without, free_port, require

__all__ = ["Seen", "capturing", "dissected", "seen_by_tshark"]

_SECONDS = 20.0
_POLL_SECONDS = 0.005
_BALLAST = bytes(60_000)
# PDV Length counts presentation context ID and message control header (PS3.8 9.3.5.1).
_PDV_OVERHEAD = 2
_LAST_OF_COMMAND = 3
# tshark tells neither context nor flags of an empty fragment.
_UNTOLD = (-1, -1)

# Who asked for the association, by TCP port, and who said it.
Key = tuple[int, str]


@dataclass
class Seen:
    """What one side of an association said.

    Attributes:
        pdus: type, length and PDVs (context ID, flags, bytes of the fragment) of each PDU.
        titles: called and calling AE titles of A-ASSOCIATE PDUs.
        contexts: IDs of presentation contexts in A-ASSOCIATE PDUs, and their results in an A-ASSOCIATE-AC.
        commands: command sets, as values by element number; `None` for one that tshark makes nothing of.
    """

    pdus: list[tuple[int, int, list[tuple[int, int, int]]]] = field(default_factory=list)
    titles: list[tuple[str, str]] = field(default_factory=list)
    contexts: list[tuple[int, int | None]] = field(default_factory=list)
    commands: list[dict[int, bytes] | None] = field(default_factory=list)


def dissected(path: Path, dissector: Dissector | None = None) -> list[Event]:
    """What we find in a capture."""
    dissector = dissector or Dissector()
    with path.open("rb") as file:
        events = [event for packet in CaptureReader(file) for event in dissector.feed(packet)]
    return events + dissector.finish()


@asynccontextmanager
async def capturing(port: int, path: Path) -> AsyncIterator[None]:
    """Captures what passes a port until the block is left."""
    require("tshark")
    marker = free_port()
    process = await asyncio.to_thread(_start, f"tcp port {port} or port {marker}", path)
    try:
        yield
        await asyncio.to_thread(_wait_until_complete, path, marker)
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate)


def _start(what: str, path: Path) -> subprocess.Popen[str]:
    """Runs dumpcap; it captures when this returns."""
    argv = ["dumpcap", "-i", "lo", "-f", what, "-w", str(path)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # The name of the file is told once packets are being captured.
    if not any(line.startswith("File:") for line in process.stderr):
        process.communicate()
        do_without("packets cannot be captured here")
    return process


def _wait_until_complete(path: Path, marker: int) -> None:
    """A last packet, to a port where nobody listens, ends the file.

    The kernel hands packets to dumpcap in blocks, and dumpcap writes to the file in others: both when they are full,
    or else after most of a second.
    """
    with suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", marker)).close()
    deadline = time.monotonic() + _SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ballast:
        while marker not in _ports(path):
            if time.monotonic() > deadline:
                raise PeerFailedError("the last packet does not get into the capture")
            with suppress(ConnectionRefusedError):
                ballast.sendto(_BALLAST, ("127.0.0.1", marker))
            time.sleep(_POLL_SECONDS)


def _ports(path: Path) -> set[int]:
    """The ports that packets in a capture went to."""
    with path.open("rb") as file:
        segments = [segment_of(packet.link_type, packet.data) for packet in CaptureReader(file)]
    return {segment.destination.port for segment in segments if isinstance(segment, Segment)}


def seen_by_tshark(path: Path, port: int) -> dict[Key, Seen]:
    """What tshark finds in a capture, by who said it."""
    program = shutil.which("tshark")
    assert program is not None
    argv = [program, "-r", str(path), "-d", f"tcp.port=={port},dicom", "-Y", "dicom", "-T", "pdml"]
    ran = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    found: dict[Key, Seen] = {}
    for packet in ElementTree.fromstring(ran.stdout).iter("packet"):
        source, destination = (int(_shown(packet, f"tcp.{end}port")) for end in ("src", "dst"))
        key = (destination, "acceptor") if source == port else (source, "requestor")
        for proto in packet.iter("proto"):
            if proto.get("name") == "dicom":
                _take(proto, found.setdefault(key, Seen()))
    return found


def _take(proto: ElementTree.Element, seen: Seen) -> None:
    """Adds the PDUs of one packet."""
    values: list[tuple[int, int, int]] = []
    for child in proto.iter("field"):
        name, shown = child.get("name"), child.get("show", "")
        if name == "dicom.pdu.type":
            values = []
            seen.pdus.append((int(shown, 0), 0, values))
        elif name == "dicom.pdu.len":
            seen.pdus[-1] = (seen.pdus[-1][0], int(shown), values)
        elif name == "dicom.assoc.ae.called":
            seen.titles.append((shown.strip(), ""))
        elif name == "dicom.assoc.ae.calling":
            seen.titles[-1] = (seen.titles[-1][0], shown.strip())
        elif name == "dicom.pctx.id":
            seen.contexts.append((int(shown, 0), None))
        elif name == "dicom.pctx.result":
            seen.contexts[-1] = (seen.contexts[-1][0], int(shown, 0))
        elif name == "dicom.pdv.len":
            values.append((*_UNTOLD, int(shown) - _PDV_OVERHEAD))
        elif name == "dicom.pdv.ctx":
            values[-1] = (int(shown, 0), *values[-1][1:])
        elif name == "dicom.pdv.flags":
            values[-1] = (values[-1][0], int(shown, 0), values[-1][2])
            if int(shown, 0) == _LAST_OF_COMMAND:
                seen.commands.append(None)
        elif name == "" and shown.startswith("(0000,"):
            _take_element(int(shown[6:10], 16), bytes.fromhex(child.get("value", "")), seen)


def _take_element(number: int, raw: bytes, seen: Seen) -> None:
    """Adds an element of the command set that has just ended."""
    command = seen.commands[-1] or {}
    command[number] = raw[8:]
    seen.commands[-1] = command


def _shown(packet: ElementTree.Element, name: str) -> str:
    for found in packet.iter("field"):
        if found.get("name") == name:
            return found.get("show", "")
    raise AssertionError(f"a packet without {name}")
