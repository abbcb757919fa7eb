"""Who takes part: receivers and senders of dicomio, DCMTK and pynetdicom, all of them driven in the same way."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.objects import Corpus
from benchmarks.processes import (
    Failure,
    Server,
    environment_with,
    free_port,
    report_of,
    start_announcing,
    start_probed,
    timed,
)

__all__ = [
    "DcmtkReceiver",
    "DcmtkSender",
    "OurReceiver",
    "OurSender",
    "PynetdicomReceiver",
    "PynetdicomSender",
    "dcmtk_environment",
    "seconds_beyond",
]

OUR_SCP: Final = "benchmarks.programs.our_scp"
OUR_SCU: Final = "benchmarks.programs.our_scu"
PYNETDICOM_SCP: Final = "benchmarks.programs.pynetdicom_scp"
PYNETDICOM_SCU: Final = "benchmarks.programs.pynetdicom_scu"

# Without a profile dcmrecv accepts Verification alone.
DCMRECV_PROFILE: Final = """\
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Benchmark]
PresentationContext1 = VerificationSOPClass\\Uncompressed
PresentationContext2 = SecondaryCaptureImageStorage\\Uncompressed
[[Profiles]]
[Default]
PresentationContexts = Benchmark
"""


class Receiver(ABC):
    """A server that answers C-ECHO and stores objects."""

    needs: tuple[str, ...] = ()

    @abstractmethod
    def start(self, inbox: Path, log: Path) -> Server:
        """Starts it; it stores into the inbox."""


class Sender(ABC):
    """A client that does many things over one association."""

    needs: tuple[str, ...] = ()

    @abstractmethod
    def echo(self, port: int, count: int) -> float:
        """Sends C-ECHOs; seconds they took, without process start and association."""

    @abstractmethod
    def store(self, port: int, corpus: Corpus) -> float:
        """Sends all objects; seconds they took, without process start and association."""


@dataclass(frozen=True, slots=True)
class OurReceiver(Receiver):
    """dicomio's `serve`, storing with `StoreRequest.save`."""

    loop: str
    max_pdu: int
    associations: int = 100
    certificate: Path | None = None

    def start(self, inbox: Path, log: Path) -> Server:
        arguments = ["--inbox", str(inbox), "--max-pdu", str(self.max_pdu), "--loop", self.loop]
        if self.certificate is not None:
            arguments += ["--certificate", str(self.certificate)]
        return start_announcing(OUR_SCP, [*arguments, "--associations", str(self.associations)], log)


@dataclass(frozen=True, slots=True)
class OurSender(Sender):
    """dicomio's `connect` for C-ECHO, `Client.store_many` for C-STORE, with `options` of the program for that."""

    loop: str
    options: tuple[str, ...] = ()

    def echo(self, port: int, count: int) -> float:
        return self.report(port, "echo", "--count", str(count))["seconds"]

    def store(self, port: int, corpus: Corpus) -> float:
        return self.store_reporting(port, corpus)["seconds"]

    def store_reporting(self, port: int, corpus: Corpus) -> dict[str, float]:
        """Sends all objects; `seconds` they took, and by how much memory has grown, `growth_kib`."""
        return self.report(port, "store", "--first", str(corpus.first), "--folder", str(corpus.folder), *self.options)

    def report(self, port: int, *arguments: str) -> dict[str, float]:
        return report_of(OUR_SCU, ["--port", str(port), "--loop", self.loop, *arguments])


def dcmtk_environment(no_delay: bool) -> dict[str, str]:
    """DCMTK leaves Nagle's algorithm on where this variable does not say otherwise."""
    return environment_with(TCP_NODELAY="1" if no_delay else None)


@dataclass(frozen=True, slots=True)
class DcmtkReceiver(Receiver):
    """DCMTK's `dcmrecv` or `storescp`, writing data sets as received."""

    program: str
    max_pdu: int
    no_delay: bool = True
    needs = ("dcmrecv", "storescp", "echoscu")

    def start(self, inbox: Path, log: Path) -> Server:
        port, environment = free_port(), dcmtk_environment(self.no_delay)
        options = ["--bit-preserving", "--output-directory", str(inbox), "--max-pdu", str(self.max_pdu)]
        if self.program == "dcmrecv":
            profile = log.with_suffix(".cfg")
            profile.write_text(DCMRECV_PROFILE)
            options += ["--config-file", str(profile), "Default"]
        probe = ["echoscu", "127.0.0.1", str(port)]
        return start_probed([self.program, *options, str(port)], port, probe, log, environment)


@dataclass(frozen=True, slots=True)
class DcmtkSender(Sender):
    """DCMTK's `echoscu` and `storescu`; they cannot time themselves, so a run that does one thing only is deducted."""

    no_delay: bool = True
    needs = ("echoscu", "storescu")

    def echo(self, port: int, count: int) -> float:
        return self.beyond("echoscu", port, ["--repeat", str(1 + count)], ["--repeat", "1"])

    def store(self, port: int, corpus: Corpus) -> float:
        first = [str(corpus.first)]
        return self.beyond("storescu", port, [*first, *corpus.paths], first)

    def beyond(self, program: str, port: int, everything: list[str], first: list[str]) -> float:
        """Seconds that everything takes longer than the first thing alone."""
        environment = dcmtk_environment(self.no_delay)
        command = [program, "127.0.0.1", str(port)]
        return seconds_beyond(timed([*command, *everything], environment), timed([*command, *first], environment))


def seconds_beyond(long: float, short: float) -> float:
    """A difference of times, which noise must not have turned around.

    Raises:
        Failure: it has.
    """
    if long <= short:
        raise Failure(f"{long:.3f} s for all of it, {short:.3f} s for the first: too short to be measured")
    return long - short


@dataclass(frozen=True, slots=True)
class PynetdicomReceiver(Receiver):
    """pynetdicom, not decoding what it stores; `chunked` as for large objects."""

    max_pdu: int
    chunked: bool
    needs = ("pynetdicom",)

    def start(self, inbox: Path, log: Path) -> Server:
        arguments = ["--inbox", str(inbox), "--max-pdu", str(self.max_pdu), *(["--chunked"] if self.chunked else [])]
        return start_announcing(PYNETDICOM_SCP, arguments, log, environment_with(TMPDIR=str(inbox.parent)))


@dataclass(frozen=True, slots=True)
class PynetdicomSender(Sender):
    """pynetdicom, with `chunked` not decoding what it sends."""

    chunked: bool
    needs = ("pynetdicom",)

    def echo(self, port: int, count: int) -> float:
        return self.seconds(port, "echo", "--count", str(count))

    def store(self, port: int, corpus: Corpus) -> float:
        return self.seconds(port, "store", "--first", str(corpus.first), "--folder", str(corpus.folder))

    def seconds(self, port: int, *arguments: str) -> float:
        chunked = ["--chunked"] if self.chunked else []
        report = report_of(PYNETDICOM_SCU, ["--port", str(port), *chunked, *arguments])
        return float(report["seconds"])
