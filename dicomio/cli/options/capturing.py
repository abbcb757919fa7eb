"""Tools that look at captures, record conversations and play them back."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import CONNECTION, INPUT, OUTPUT

__all__ = ["ARGUMENTS", "OPTIONS"]

DISSECT: Final = ("dissect",)
RECORD: Final = ("record",)
REPLAY: Final = ("replay",)


def peer(text: str) -> tuple[str, int]:
    """Host and port of a peer, in two words."""
    host, port = values.two(text)
    return values.host(host), values.port(port)


ARGUMENTS: Final = (
    Argument("FILE", "capture to read (pcap or pcapng), - for stdin; with --live the interface (all)", DISSECT, "?"),
    Argument("LISTENPORT", "TCP port to listen on, 0 for any that is free", RECORD, convert=values.server_port),
    Argument(
        "HOST", "host name or IP address of the peer that associations are passed on to", RECORD, convert=values.host
    ),
    Argument("PORT", "TCP port of that peer", RECORD, convert=values.port),
    Argument("FILE", "capture to write (pcapng); it must not exist", RECORD),
    Argument("FILE", "capture to play (pcap or pcapng)", REPLAY),
    Argument(
        "PORT",
        "TCP port to listen on as the acceptor of the capture, 0 for any that is free",
        REPLAY,
        "?",
        convert=values.server_port,
    ),
)

OPTIONS: Final = (
    Option(("--live",), "capture from a network interface (Linux, needs CAP_NET_RAW)", DISSECT, INPUT, default=False),
    Option(
        ("--port",),
        "look at connections with this TCP port only; can be given several times",
        DISSECT,
        INPUT,
        "NUMBER",
        values.port,
        action="append",
    ),
    Option(("--seconds",), "with --live: end after so many seconds", DISSECT, INPUT, "SECONDS", values.seconds),
    Option(("--count",), "with --live: end after so many associations", DISSECT, INPUT, "NUMBER", values.count),
    Option(("--pdus",), "tell of each P-DATA-TF PDU too, not only of the messages", DISSECT, OUTPUT, default=False),
    Option(("--data-sets",), "show what is in data sets, patient data too", DISSECT, OUTPUT, default=False),
    Option(("--extract",), "write the objects to files in this directory", DISSECT, OUTPUT, "DIRECTORY"),
    Option(("--listen",), "address to listen on (all)", (*RECORD, *REPLAY), CONNECTION, "ADDRESS", values.host),
    Option(("--count",), "end after so many connections", RECORD, CONNECTION, "NUMBER", values.count),
    Option(
        ("--to",),
        "go to this acceptor, as the requestor of the capture",
        REPLAY,
        CONNECTION,
        "HOST PORT",
        peer,
        words=2,
    ),
    Option(("--timing",), "keep the delays of the capture", REPLAY, CONNECTION, default=False),
    Option(
        ("--timeout",),
        "seconds to wait for what the peer is to say (30)",
        REPLAY,
        CONNECTION,
        "SECONDS",
        values.seconds,
        default=30.0,
    ),
)
