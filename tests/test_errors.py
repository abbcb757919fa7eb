"""The exception tree: its shape, its texts, and that errors survive a change of process."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dicomio import errors
from dicomio.errors import (
    ABORT_REASONS,
    REJECT_REASONS,
    AbortReason,
    AbortSource,
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    DicomError,
    DicomTimeout,
    InvalidInstance,
    LocalProtocolError,
    NoPresentationContext,
    ProtocolError,
    Refused,
    RejectResult,
    RejectSource,
    RemoteProtocolError,
    StatusError,
    WriteTimeout,
)

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, DicomError)}


@dataclass
class FakeResponse:
    """What a peer answered."""

    status: int = 0xA700
    error_comment: str | None = "disk full"
    offending_elements: tuple[int, ...] = ()
    attribute_identifiers: tuple[int, ...] = ()


EXAMPLES = [
    ConnectFailed("no route to PACS@host:104"),
    ConnectionLost("the peer is gone"),
    AssociationRejected(2, 3, 2, peer="PACS@host:104"),
    AssociationAborted(2, 6, peer="PACS@host:104", detail="a PDU of 5 GB"),
    AssociationReleased(),
    NoPresentationContext("1.2.3", "1.2.840.10008.1.2"),
    StatusError("PACS@host:104 answered with 0xA700", FakeResponse()),
    Refused(0xA700, "disk full"),
    InvalidInstance("a.txt: it is not a DICOM file"),
    ConnectTimeout("no connection within 30 s"),
    WriteTimeout("nothing taken for 30 s"),
    LocalProtocolError("not now"),
    RemoteProtocolError("not so", AbortReason.UNEXPECTED_PDU),
]


def drawn_tree() -> dict[str, str]:
    """The parent of each class in the picture at the top of the module."""
    assert errors.__doc__ is not None
    picture = errors.__doc__.partition("```")[2].partition("```")[0]
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in picture.strip().splitlines():
        name = re.search(r"\w+", line)
        assert name is not None
        depth = name.start() // 4
        above = [*above[:depth], name[0]]
        parents[name[0]] = above[depth - 1] if depth else ""
    return parents


def test_the_picture_shows_the_tree() -> None:
    drawn = drawn_tree()
    assert set(drawn) == set(CLASSES)
    for name, parent in drawn.items():
        assert CLASSES[name].__bases__[0].__name__ == (parent or "Exception")


def test_the_picture_names_the_built_in_parents() -> None:
    assert errors.__doc__ is not None
    shown = dict(re.findall(r"(\w+) \((\w+)\)", errors.__doc__))
    for name, kind in CLASSES.items():
        built_in = [base.__name__ for base in kind.__bases__[1:] if base.__module__ == "builtins"]
        assert built_in == ([shown[name]] if name in shown else [])


def test_everything_that_is_raised_is_exported() -> None:
    assert set(CLASSES) <= set(errors.__all__) <= set(vars(errors))


@pytest.mark.parametrize("kind", [ConnectTimeout, WriteTimeout, errors.NegotiationTimeout, errors.PoolTimeout])
def test_timeouts_are_built_in_ones(kind: type[DicomTimeout]) -> None:
    with pytest.raises(TimeoutError, match="late"):
        raise kind("late")


def test_a_connection_that_took_too_long_has_failed() -> None:
    assert issubclass(ConnectTimeout, ConnectFailed)
    assert not issubclass(WriteTimeout, ConnectFailed)


def test_both_protocol_errors_can_be_caught_at_once() -> None:
    assert ProtocolError.__subclasses__() == [LocalProtocolError, RemoteProtocolError]


@pytest.mark.parametrize(
    "error, text",
    [
        (
            AssociationRejected(),
            "peer rejected the association permanently: no reason given (result 1, source 1 service user, reason 1)",
        ),
        (
            AssociationRejected(2, 3, 2, peer="PACS@host:104"),
            (
                "PACS@host:104 rejected the association for now (transient): local limit exceeded "
                "(result 2, source 3 service provider (presentation), reason 2)"
            ),
        ),
        (
            AssociationRejected(9, 8, 7),
            "peer rejected the association with result 9: unknown reason (result 9, source 8 unknown, reason 7)",
        ),
        (AssociationAborted(), "peer aborted: by its user (source 0, reason 0)"),
        (AssociationAborted(2, 1, peer="A@h:1"), "A@h:1 aborted: unrecognized PDU (source 2, reason 1)"),
        (AssociationAborted(2, 99), "peer aborted: unknown reason (source 2, reason 99)"),
        (
            AssociationAborted(2, 6, peer="A@h:1", local=True, detail="length 9 of 8"),
            "we aborted the association with A@h:1: length 9 of 8; invalid PDU parameter value (source 2, reason 6)",
        ),
        (AssociationReleased(), "the association has been released"),
        (NoPresentationContext("1.2.3"), "no presentation context accepted for SOP class 1.2.3"),
        (
            NoPresentationContext("1.2.3", "1.2.4", detail="refused"),
            "no presentation context accepted for SOP class 1.2.3 with transfer syntax 1.2.4: refused",
        ),
        (
            NoPresentationContext("1.2.840.10008.5.1.4.1.1.2"),
            "no presentation context accepted for SOP class 1.2.840.10008.5.1.4.1.1.2 (CTImageStorage)",
        ),
        (
            NoPresentationContext("1.2", "1.2.840.10008.1.2.5"),
            "no presentation context accepted for SOP class 1.2 with transfer syntax 1.2.840.10008.1.2.5 (RLELossless)",
        ),
        (Refused(0x0124), "refused with status 0x0124"),
        (Refused(0xA700, "disk full"), "refused with status 0xA700: disk full"),
    ],
)
def test_text(error: DicomError, text: str) -> None:
    assert str(error) == text


def test_codes_can_be_asked_for() -> None:
    rejected = AssociationRejected(RejectResult.TRANSIENT, RejectSource.PRESENTATION, 2)
    assert (rejected.result, rejected.source, rejected.reason) == (2, 3, 2)
    aborted = AssociationAborted(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU, local=True)
    assert (aborted.source, aborted.reason, aborted.local) == (2, 2, True)
    missing = NoPresentationContext("1.2.3", "1.2.4")
    assert (missing.sop_class, missing.transfer_syntax) == ("1.2.3", "1.2.4")
    assert (Refused(0xA700, "full").status, Refused(0xA700, "full").comment) == (0xA700, "full")
    assert StatusError("no", FakeResponse()).status == 0xA700
    assert RemoteProtocolError("no").reason == AbortReason.INVALID_PDU_PARAMETER


def test_every_abort_reason_but_the_reserved_one_has_words() -> None:
    assert set(ABORT_REASONS) == set(AbortReason) - {AbortReason.RESERVED}


def test_reject_reasons_are_those_of_the_standard() -> None:
    # PS3.8 Table 9-21; the other values of each source are reserved.
    by_source = {source: {r for s, r in REJECT_REASONS if s == source} for source in RejectSource}
    assert by_source == {
        RejectSource.SERVICE_USER: {1, 2, 3, 7},
        RejectSource.ACSE: {1, 2},
        RejectSource.PRESENTATION: {1, 2},
    }


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_copies_are_the_same(error: DicomError, duplicate: Callable[[DicomError], DicomError]) -> None:
    other = duplicate(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert other.args == error.args
    assert vars(other) == vars(error)
