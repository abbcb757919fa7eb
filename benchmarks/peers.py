"""Who takes part: receivers and senders of dicomio, DCMTK and pynetdicom, all of them driven in the same way.

Those of others are in `others`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.objects import Corpus
from benchmarks.processes import (
    Failure,
    Server,
    Spent,
    environment_with,
    free_port,
    report_of,
    spent_by,
    start_announcing,
    start_probed,
)

__all__ = [
    "DcmtkReceiver",
    "DcmtkSender",
    "EchoSender",
    "OurReceiver",
    "OurSender",
    "PynetdicomReceiver",
    "PynetdicomSender",
    "Receiver",
    "Sender",
    "dcmtk_environment",
    "seconds_beyond",
    "spent_of",
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
    """A server that answers C-ECHO and stores objects.

    Attributes:
        needs: programs, modules or files without which it cannot run.
        keeps: whether it stores what it gets.
        anew: whether each measurement needs a new one, since it does not store the same objects again.
    """

    needs: tuple[str, ...] = ()
    keeps: bool = True
    anew: bool = False

    @abstractmethod
    def start(self, inbox: Path, log: Path) -> Server:
        """Starts it; it stores into the inbox."""

    def stored(self, inbox: Path) -> Path:
        """The directory with what it has stored, in files named by what is in them."""
        return inbox


class EchoSender(ABC):
    """A client that sends C-ECHOs over one association."""

    needs: tuple[str, ...] = ()

    @abstractmethod
    def spent_echoing(self, port: int, count: int) -> Spent:
        """Sends C-ECHOs; what they took, without process start and association."""

    def echo(self, port: int, count: int) -> float:
        """Sends C-ECHOs; seconds they took."""
        return self.spent_echoing(port, count).seconds


class Sender(EchoSender):
    """A client that sends objects, too."""

    @abstractmethod
    def spent_storing(self, port: int, corpus: Corpus) -> Spent:
        """Sends all objects; what they took, without process start and association."""

    def store(self, port: int, corpus: Corpus) -> float:
        """Sends all objects; seconds they took."""
        return self.spent_storing(port, corpus).seconds


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

    def spent_echoing(self, port: int, count: int) -> Spent:
        return spent_of(self.report(port, "echo", "--count", str(count)))

    def spent_storing(self, port: int, corpus: Corpus) -> Spent:
        return spent_of(self.store_reporting(port, corpus))

    def store_reporting(self, port: int, corpus: Corpus) -> dict[str, float]:
        """Sends all objects; `seconds` they took, and by how much memory has grown, `growth_kib`."""
        return self.report(port, "store", "--first", str(corpus.first), "--folder", str(corpus.folder), *self.options)

    def report(self, port: int, *arguments: str) -> dict[str, float]:
        return report_of(OUR_SCU, ["--port", str(port), "--loop", self.loop, *arguments])


def spent_of(report: Mapping[str, float]) -> Spent:
    """What a client in Python says it took."""
    return Spent(report["seconds"], report["cpu"])


def dcmtk_environment(no_delay: bool) -> dict[str, str]:
    """DCMTK leaves Nagle's algorithm on where this variable does not say otherwise."""
    return environment_with(TCP_NODELAY="1" if no_delay else None)


@dataclass(frozen=True, slots=True)
class DcmtkReceiver(Receiver):
    """DCMTK's `dcmrecv` or `storescp`, writing data sets as received, or not at all; `fork` is for `storescp` alone."""

    program: str
    max_pdu: int
    no_delay: bool = True
    keeps: bool = True
    fork: bool = False
    needs = ("dcmrecv", "storescp", "echoscu")

    def start(self, inbox: Path, log: Path) -> Server:
        port, environment = free_port(), dcmtk_environment(self.no_delay)
        options = ["--bit-preserving", "--output-directory", str(inbox)] if self.keeps else ["--ignore"]
        options += ["--max-pdu", str(self.max_pdu), *(["--fork"] if self.fork else [])]
        if self.program == "dcmrecv":
            profile = log.with_suffix(".cfg")
            profile.write_text(DCMRECV_PROFILE)
            options += ["--config-file", str(profile), "Default"]
        probe = ["echoscu", "127.0.0.1", str(port)]
        return start_probed([self.program, *options, str(port)], port, probe, log, environment)


@dataclass(frozen=True, slots=True)
class DcmtkSender(Sender):
    """DCMTK's `echoscu`, and `storescu` or `dcmsend`.

    They cannot time themselves, so a run that does one thing only is deducted.
    """

    no_delay: bool = True
    program: str = "storescu"
    needs = ("echoscu", "storescu", "dcmsend")

    def spent_echoing(self, port: int, count: int) -> Spent:
        return self.beyond("echoscu", port, ["--repeat", str(1 + count)], ["--repeat", "1"])

    def spent_storing(self, port: int, corpus: Corpus) -> Spent:
        first = [str(corpus.first)]
        return self.beyond(self.program, port, [*first, *corpus.paths], first)

    def beyond(self, program: str, port: int, everything: list[str], first: list[str]) -> Spent:
        """What everything takes more than the first thing alone."""
        environment = dcmtk_environment(self.no_delay)
        command = [program, "127.0.0.1", str(port)]
        all_of_it = spent_by([*command, *everything], environment)
        one = spent_by([*command, *first], environment)
        return Spent(seconds_beyond(all_of_it.seconds, one.seconds), max(0.0, all_of_it.cpu - one.cpu))


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

    def spent_echoing(self, port: int, count: int) -> Spent:
        return self.spent(port, "echo", "--count", str(count))

    def spent_storing(self, port: int, corpus: Corpus) -> Spent:
        return self.spent(port, "store", "--first", str(corpus.first), "--folder", str(corpus.folder))

    def spent(self, port: int, *arguments: str) -> Spent:
        chunked = ["--chunked"] if self.chunked else []
        return spent_of(report_of(PYNETDICOM_SCU, ["--port", str(port), *chunked, *arguments]))
