"""The report that `dcmsend` writes about a transfer, in the layout of the classic toolkit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydicom.uid import UID

from dicomio import Status
from dicomio.cli.output import printable
from dicomio.cli.sending import Outcome
from dicomio.sop import name_of

__all__ = ["Report"]

TITLE: Final = "Detailed Report on the Transfer of Instances"
SUMMARY: Final = "Status Summary"
KINDS: Final = ("SUCCESS", "WARNING", "ERROR", "REFUSED")


@dataclass(frozen=True, slots=True)
class Report:
    """The frame of a report.

    Args:
        peer: host and port.
        titles: AE titles, calling and called.
        associations: how many there were.
        contexts: how many presentation contexts were proposed.
        time: when it is made.
    """

    peer: str
    titles: str
    associations: int
    contexts: int
    time: datetime = field(default_factory=datetime.now)

    def text(self, outcomes: Sequence[Outcome]) -> str:
        """The report about what became of objects; those without a status were not sent."""
        head = {
            "Communication Peer": self.peer,
            "AE Titles used": self.titles,
            "Current Date/Time": f"{self.time:%Y-%m-%d %H:%M:%S}",
        }
        lines = [TITLE, "=" * len(TITLE), "", *(f"{name:<18} : {value}" for name, value in head.items()), "", ""]
        for number, outcome in enumerate(outcomes, 1):
            lines += [f"{name:<13} : {printable(value)}" for name, value in facts(number, outcome)]
            lines.append("")
        return "\n".join([*lines, "", *self.summary(outcomes)]) + "\n"

    def summary(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """The lines at the end: how many of which kind."""
        kinds = Counter(kind_of(outcome.status) for outcome in outcomes if outcome.status is not None)
        unacceptable = sum(map(is_unacceptable, outcomes))
        yield from (SUMMARY, "-" * len(SUMMARY))
        yield f"Number of associations   : {self.associations}"
        yield f"Number of pres. contexts : {self.contexts}"
        yield f"Number of SOP instances  : {len(outcomes)}"
        if sent := kinds.total():
            yield f"- sent to the peer       : {sent}"
        for kind in KINDS:
            if kinds[kind]:
                yield f"  * with status {kind:<9}: {kinds[kind]}"
        if kinds[""]:
            yield f"  * with unknown status  : {kinds['']}"
        if len(outcomes) > sent:
            yield f"- NOT sent to the peer   : {len(outcomes) - sent}"
        if unacceptable:
            yield f"  * no acceptable pres.  : {unacceptable}"


def facts(number: int, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """What the report says about one object."""
    instance = outcome.instance
    assert instance is not None
    yield "Number", str(number)
    yield "Filename", str(outcome.path)
    yield "SOP Instance", instance.sop_instance_uid
    yield "SOP Class", f"{instance.sop_class_uid} = {name_of(instance.sop_class_uid)}"
    yield "Original Xfer", in_full(instance.transfer_syntax)
    yield "Dataset Size", f"{instance.length} bytes"
    yield "Association", str(outcome.association)
    context = outcome.context
    yield "Pres. Context", str(context.id if context is not None else 0)
    yield "Network Xfer", in_full(context.transfer_syntax if context is not None else instance.transfer_syntax)
    yield "DIMSE Status", status_of(outcome)


def in_full(transfer_syntax: str) -> str:
    """A transfer syntax: its UID and its name."""
    return f"{transfer_syntax} = {UID(transfer_syntax).name}"


def is_unacceptable(outcome: Outcome) -> bool:
    """Whether the peer accepted no presentation context for an object."""
    return outcome.status is None and outcome.error is not None and outcome.context is None


def status_of(outcome: Outcome) -> str:
    """What the peer said about an object, or that it was not asked."""
    if outcome.status is not None:
        code, words = f"{outcome.status:04x}", str(outcome.status).partition(" ")[2]
        return f"0x{code} ({words})" if words else f"0x{code}"
    return "<no acceptable presentation context>" if is_unacceptable(outcome) else "<not sent>"


def kind_of(status: Status) -> str:
    """The kind of a status of C-STORE (PS3.4 Table B.2-1, PS3.7 9.1.1.1.9); empty for one that nobody knows."""
    if status == Status.SUCCESS:
        return "SUCCESS"
    if status.is_warning:
        return "WARNING"
    if status >> 8 == 0xA7 or status in (Status.SOP_CLASS_NOT_SUPPORTED, Status.NOT_AUTHORIZED):
        return "REFUSED"
    return "ERROR" if status.is_failure else ""
