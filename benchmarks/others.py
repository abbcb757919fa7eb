"""Orthanc and dcmjs-dimse as participants."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.objects import META_START, data_set_offset
from benchmarks.peers import EchoSender, Receiver, dcmtk_environment, spent_of
from benchmarks.processes import (
    ROOT,
    Failure,
    Server,
    Spent,
    announced,
    environment_with,
    free_port,
    program_report,
    start,
    start_probed,
)

__all__ = ["DcmjsReceiver", "DcmjsSender", "OrthancReceiver"]

DCMJS: Final = str(ROOT / "benchmarks" / "programs" / "dcmjs.cjs")
# Where the tests of interoperability install it; `npm ci` there.
NODE_MODULES: Final = ROOT / "tests" / "interop" / "node" / "node_modules"
NEEDS_DCMJS: Final = ("node", str(NODE_MODULES / "dcmjs-dimse"))
# The element with the SOP Instance UID in file meta information (PS3.10 7.1), up to its length.
INSTANCE_UID: Final = b"\x02\x00\x03\x00UI"


@dataclass(frozen=True, slots=True)
class OrthancReceiver(Receiver):
    """Orthanc without plugins and checks; its database is in memory where its files are."""

    max_pdu: int
    needs = ("Orthanc", "echoscu")
    anew = True

    def start(self, inbox: Path, log: Path) -> Server:
        port = free_port()
        configuration = log.with_suffix(".json")
        configuration.write_text(json.dumps(self.settings(port, inbox)))
        probe = ["echoscu", "127.0.0.1", str(port)]
        command = ["Orthanc", str(configuration)]
        return start_probed(command, port, probe, log, dcmtk_environment(no_delay=True))

    def settings(self, port: int, inbox: Path) -> dict[str, object]:
        """What differs from its defaults."""
        return {
            "DicomPort": port,
            "HttpServerEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False,
            "UnknownSopClassAccepted": True,
            "MaximumPduLength": self.max_pdu,
            "ConcurrentJobs": 1,
            "StorageDirectory": str(inbox / "storage"),
            "IndexDirectory": str(inbox / "storage"),
            "Plugins": [],
        }

    def stored(self, inbox: Path) -> Path:
        """The files, which it names in a way of its own, moved to another directory."""
        named = inbox / "named"
        named.mkdir()
        for path in (inbox / "storage").rglob("*"):
            if path.is_file() and not path.name.startswith("index"):
                path.rename(named / instance_uid(path))
        return named


def instance_uid(path: Path) -> str:
    """The Media Storage SOP Instance UID of a file.

    Raises:
        Failure: it has none.
    """
    with path.open("rb") as file:
        start = file.read(META_START)
        meta = file.read(data_set_offset(start) - META_START)
    _, found, rest = meta.partition(INSTANCE_UID)
    if not found:
        raise Failure(f"{path.name} has no SOP Instance UID")
    return rest[2 : 2 + int.from_bytes(rest[:2], "little")].rstrip(b"\0").decode()


@dataclass(frozen=True, slots=True)
class DcmjsReceiver(Receiver):
    """dcmjs-dimse, which decodes what it gets and leaves it."""

    needs = NEEDS_DCMJS
    keeps = False

    def start(self, inbox: Path, log: Path) -> Server:
        return announced(start("dcmjs-dimse", ["node", DCMJS, "scp", str(free_port())], log, node_environment()))


@dataclass(frozen=True, slots=True)
class DcmjsSender(EchoSender):
    """The client of dcmjs-dimse."""

    needs = NEEDS_DCMJS

    def spent_echoing(self, port: int, count: int) -> Spent:
        return spent_of(program_report(["node", DCMJS, "echo", str(port), str(count)], node_environment()))


def node_environment() -> dict[str, str]:
    """Where Node.js finds the package."""
    return environment_with(NODE_PATH=str(NODE_MODULES))
