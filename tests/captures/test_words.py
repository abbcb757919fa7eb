"""What is rare in associations, in words and as JSON."""

import json
from collections.abc import Sequence

import pytest

from dicomio.captures import Event, event_record, lines_of
from dicomio.sop import CTImageStorage, ImplicitVRLittleEndian, RawDataStorage, Verification
from dicomio.wire import pdus
from dicomio.wire.commands import Command, CommandField, encode
from dicomio.wire.items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UnknownItem,
    UserInformation,
)
from dicomio.wire.pdata import pack_message

from .conversation import TURNS, Turns, capture_of, dissect, packets_of

RQ = pdus.AssociateRQ(
    "ARCHIVE",
    "MODALITY",
    (PresentationContextRQ(1, Verification, (ImplicitVRLittleEndian,)),),
    UserInformation(
        0,
        "1.2.3",
        async_window=AsyncOperationsWindow(5, 0),
        roles=(RoleSelection(CTImageStorage, False, True),),
        extended=(ExtendedNegotiation(CTImageStorage, b"\2\0\1"),),
        common_extended=(CommonExtendedNegotiation(CTImageStorage, "1.2.840.10008.4.2", (RawDataStorage,)),),
        unknown=(UnknownItem(0x5A, b"abc"),),
    ),
    application_context="1.2.3.4",
    protocol_version=3,
    unknown=(UnknownItem(0x70, b"wxyz"),),
)
AC = pdus.AssociateAC(
    "ARCHIVE",
    "MODALITY",
    (PresentationContextAC(1, 3, ImplicitVRLittleEndian), PresentationContextAC(7, 9, ImplicitVRLittleEndian)),
    UserInformation(16_384, user_identity_response=b"ticket"),
)
MOVE_RSP = Command(
    CommandField.C_MOVE_RSP,
    responding_to=3,
    status=0xA900,
    failed=2,
    completed=1,
    error_comment="no such study",
    offending_elements=(0x0020000D,),
    unknown={0x00005110: b"old "},
)


def events_of(turns: Turns) -> list[Event]:
    """What is found in a conversation."""
    return dissect(packets_of(capture_of(turns)))


def text_of(events: Sequence[Event]) -> str:
    """All of it in words."""
    return "\n".join(line for event in events for line in lines_of(event))


def test_every_item() -> None:
    events = events_of([(0, pdus.encode(RQ)), (1, pdus.encode(AC))])
    text = text_of(events)
    for line in (
        "application context 1.2.3.4",
        "protocol version 3",
        "maximum length unlimited",
        "implementation 1.2.3",
        "asynchronous operations window: 5 invoked, 0 performed",
        "role selection for CTImageStorage: SCU 0, SCP 1",
        "extended negotiation for CTImageStorage: 02 00 01",
        "common extended negotiation for CTImageStorage: 1.2.840.10008.4.2, related to RawDataStorage",
        "unknown item 0x70, 4 bytes",
        "unknown sub-item 0x5A, 3 bytes",
        "oddity: unknown item 0x70",
        "context 1: refused, abstract-syntax-not-supported (3)",
        "context 7: refused, unknown result (9)",
        "user identity is accepted, 6 bytes of response",
    ):
        assert f"                 {line}\n" in text
    records = [event_record(event) for event in events]
    assert records[1]["async_operations_window"] == {"invoked": 5, "performed": 0}
    assert records[1]["roles"] == [{"sop_class_uid": CTImageStorage, "scu": False, "scp": True}]
    assert records[1]["extended_negotiation"] == [{"sop_class_uid": CTImageStorage, "information": "020001"}]
    assert records[1]["unknown_sub_items"] == ["0x5A, 3 bytes"]
    assert records[2]["user_identity_response_bytes"] == 6
    assert "ticket" not in json.dumps(records) + text


def test_commands_with_everything() -> None:
    events = events_of([*TURNS[:2], (1, pack_message(3, encode(MOVE_RSP), None, 1_000))])
    text = text_of(events)
    for line in (
        "Number of Failed Sub-operations: 2",
        "Error Comment: no such study",
        "Offending Element: (0020,000D)",
        "unknown element (0000,5110), 4 bytes",
    ):
        assert f"                 {line}\n" in text
    record = next(event_record(event) for event in events if event_record(event)["event"] == "message")
    assert (record["status"], record["failed"], record["unknown_elements"]) == ("0xA900", 2, {"(0000,5110)": 4})


@pytest.mark.parametrize(
    "pdu, line",
    [
        (
            pdus.AssociateRJ(1, 1, 7),
            "A-ASSOCIATE-RJ, 4 bytes: permanently: called AE title not recognized (result 1, source 1, reason 7)",
        ),
        (pdus.Abort(2, 5), "A-ABORT, 4 bytes: unexpected PDU parameter (source 2, reason 5)"),
        (pdus.Abort(0, 0), "A-ABORT, 4 bytes: by its user (source 0, reason 0)"),
    ],
)
def test_refusals_and_aborts(pdu: pdus.PDU, line: str) -> None:
    assert f"← {line}\n" in text_of(events_of([TURNS[0], (1, pdus.encode(pdu))]))


def test_what_peers_say_cannot_break_lines() -> None:
    events = events_of([TURNS[0], (1, TURNS[1][1]), (1, b"\x07\0\0\0\0\x04\0\0\x02\xff")])
    assert all("\n" not in line for event in events for line in lines_of(event))
