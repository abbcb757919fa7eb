"""The seven PDUs: byte for byte, cut, damaged, made up; every oddity that is tolerated, everything that is not sent."""

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from dicomio.wire import pdus
from dicomio.wire.items import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    UnknownItem,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import (
    APPLICATION_CONTEXT,
    HEADER,
    HEADER_LENGTH,
    PDU,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    DataTF,
    PDUType,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
    decode,
    encode,
)
from tests.wire.strategies import (
    ae_titles,
    answers,
    bytes8,
    data,
    received_ae_titles,
    requests,
    short_pdus,
    uids,
    wild_uids,
)
from tests.wire.vectors import ASSOCIATE_AC, ASSOCIATE_RQ, VECTORS

CONTEXT = PresentationContextRQ(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
REQUEST = AssociateRQ("CALLED", "CALLING", (CONTEXT,), UserInformation(16384, "1.2.3"))
ANSWER = AssociateAC("CALLED", "CALLING", (PresentationContextAC(1, 0, "1.2"),), UserInformation(16384, "1.2.3"))


TYPES: dict[int, type] = {
    1: AssociateRQ,
    2: AssociateAC,
    3: AssociateRJ,
    4: DataTF,
    5: ReleaseRQ,
    6: ReleaseRP,
    7: Abort,
}


def item(kind: int, data: bytes) -> bytes:
    """An item as the standard draws it."""
    return struct.pack(">BBH", kind, 0, len(data)) + data


APPLICATION_CONTEXT_ITEM = item(0x10, APPLICATION_CONTEXT.encode())
CONTEXT_ITEM = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2"))
USER_ITEM = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3"))


def body(
    *items: bytes, called: bytes = b"CALLED".ljust(16), calling: bytes = b"CALLING".ljust(16), version: int = 1
) -> bytes:
    """What follows the header of an A-ASSOCIATE-RQ or -AC."""
    return struct.pack(">H2x16s16s32x", version, called, calling) + b"".join(items)


def decode_whole(data: bytes) -> PDU:
    """Decodes a PDU with its header, which must be true."""
    kind, length = HEADER.unpack_from(data)
    assert length == len(data) - HEADER_LENGTH
    return decode(kind, data[HEADER_LENGTH:])


def decode_rq(data: bytes) -> AssociateRQ:
    """Decodes an A-ASSOCIATE-RQ without header."""
    pdu = decode(PDUType.ASSOCIATE_RQ, data)
    assert isinstance(pdu, AssociateRQ)
    return pdu


def decode_ac(data: bytes) -> AssociateAC:
    """Decodes an A-ASSOCIATE-AC without header."""
    pdu = decode(PDUType.ASSOCIATE_AC, data)
    assert isinstance(pdu, AssociateAC)
    return pdu


def decodes_or_is_refused(kind: int, contents: bytes) -> None:
    """The invariant of every input: a PDU comes out, or a `RemoteProtocolError`, and nothing else."""
    try:
        pdu = decode(kind, contents)
    except RemoteProtocolError as error:
        reason = error.reason
    else:
        assert isinstance(pdu, TYPES[kind])
        return
    assert reason is (AbortReason.INVALID_PDU_PARAMETER if kind in TYPES else AbortReason.UNRECOGNIZED_PDU)


# Vectors


@pytest.mark.parametrize("name", VECTORS)
def test_a_pdu_is_laid_out_as_the_standard_says(name: str) -> None:
    data, pdu = VECTORS[name]
    assert encode(pdu) == data
    assert decode_whole(data) == pdu
    assert getattr(decode_whole(data), "quirks", ()) == ()


@pytest.mark.parametrize("name", VECTORS)
def test_nothing_decoded_depends_on_the_buffer(name: str) -> None:
    data, pdu = VECTORS[name]
    buffer = bytearray(data)
    decoded = decode(data[0], memoryview(buffer)[HEADER_LENGTH:])
    buffer[:] = bytes(len(buffer))
    assert decoded == pdu


@pytest.mark.parametrize("name", VECTORS)
def test_a_pdu_cut_at_any_length_is_refused_or_lacks_items(name: str) -> None:
    data, _ = VECTORS[name]
    whole = data[HEADER_LENGTH:]
    for length in range(len(whole)):
        try:
            pdu = decode(data[0], whole[:length])
        except RemoteProtocolError:
            continue
        # Only what ends where an item ends can be read.
        if isinstance(pdu, DataTF):
            assert encode(pdu)[HEADER_LENGTH:] == whole[:length]
        else:
            assert isinstance(pdu, AssociateRQ | AssociateAC)
            assert "0 user information items" in pdu.quirks


@pytest.mark.parametrize("name", VECTORS)
def test_a_pdu_damaged_at_any_byte_is_decoded_or_refused(name: str) -> None:
    data, _ = VECTORS[name]
    for at in range(HEADER_LENGTH, len(data)):
        for byte in (0, 1, 4, 0x50, 0x7F, 0xFF):
            decodes_or_is_refused(data[0], data[HEADER_LENGTH:at] + bytes([byte]) + data[at + 1 :])


@pytest.mark.parametrize("kind", [3, 5, 6, 7])
def test_pdus_of_fixed_length_may_be_longer_but_not_shorter(kind: int) -> None:
    expected = decode(kind, b"\0\0\2\1")
    assert decode(kind, b"\0\0\2\1 and more") == expected
    for length in range(4):
        with pytest.raises(RemoteProtocolError):
            decode(kind, b"\0\0\2\1"[:length])


@pytest.mark.parametrize("kind", [0, 8, 0x16, 0x47, 255])
def test_a_pdu_of_another_type_is_unrecognized(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"0x{kind:02X}") as caught:
        decode(kind, b"")
    assert caught.value.reason is AbortReason.UNRECOGNIZED_PDU


def test_reserved_bytes_are_not_looked_at() -> None:
    for whole, offsets in (
        (ASSOCIATE_RQ, (8, 9, *range(42, 74), 75, 100, 104, 105, 106)),
        (ASSOCIATE_AC, (8, 9, *range(42, 74), 75, 100, 104, 106)),
        (VECTORS["A-ASSOCIATE-RJ"][0], (6,)),
        (VECTORS["A-RELEASE-RQ"][0], (6, 7, 8, 9)),
        (VECTORS["A-RELEASE-RP"][0], (6, 7, 8, 9)),
        (VECTORS["A-ABORT"][0], (6, 7)),
    ):
        noisy = bytearray(whole)
        for offset in offsets:
            assert noisy[offset] == 0
            noisy[offset] = 0xFF
        decoded = decode_whole(bytes(noisy))
        assert decoded == decode_whole(whole)
        assert getattr(decoded, "quirks", ()) == ()


def test_message_control_header() -> None:
    assert [PresentationDataValue(1, header, b"").is_command for header in range(4)] == [False, True, False, True]
    assert [PresentationDataValue(1, header, b"").is_last for header in range(4)] == [False, False, True, True]
    assert PresentationDataValue(1, 0xFC, b"").is_command is False


# Leniency


def test_the_plain_request_has_no_quirks() -> None:
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM))
    assert pdu == REQUEST
    assert pdu.quirks == ()


@pytest.mark.parametrize(
    "raw, title, quirks",
    [
        (b"lower case".ljust(16), "lower case", ()),
        (b"A" * 16, "A" * 16, ()),
        (b"  INDENTED      ", "INDENTED", ()),
        (b"NUL".ljust(16, b"\0"), "NUL", ("called AE title is padded with NUL",)),
        (b"NUL AND SPACE  \0", "NUL AND SPACE", ("called AE title is padded with NUL",)),
        (b" " * 16, "", ("called AE title is empty",)),
        (bytes(16), "", ("called AE title is empty", "called AE title is padded with NUL")),
        (b"K\xc4SE".ljust(16), "K\xc4SE", ("called AE title 'K\\xc4SE' has characters that no AE title has",)),
        (b"A\\B".ljust(16), "A\\B", ("called AE title 'A\\\\B' has characters that no AE title has",)),
        (b"A\nB".ljust(16), "A\nB", ("called AE title 'A\\nB' has characters that no AE title has",)),
        (b"A\0B".ljust(16), "A\0B", ("called AE title 'A\\x00B' has characters that no AE title has",)),
    ],
)
def test_odd_ae_titles_are_read(raw: bytes, title: str, quirks: tuple[str, ...]) -> None:
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, called=raw))
    assert (pdu.called_ae_title, pdu.calling_ae_title) == (title, "CALLING")
    assert pdu.quirks == quirks
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, calling=raw))
    assert (pdu.called_ae_title, pdu.calling_ae_title) == ("CALLED", title)
    assert pdu.quirks == tuple(quirk.replace("called", "calling") for quirk in quirks)


def test_the_ae_titles_of_an_answer_are_never_a_quirk() -> None:
    answered = item(0x21, b"\1\0\0\0" + item(0x40, b"1.2"))
    pdu = decode_ac(
        body(APPLICATION_CONTEXT_ITEM, answered, USER_ITEM, called=bytes(16), calling=b"\xff\\\n".ljust(16))
    )
    assert (pdu.called_ae_title, pdu.calling_ae_title) == ("", "\xff\\\n")
    assert pdu.quirks == ()
    assert decode_whole(encode(pdu)) == pdu


@pytest.mark.parametrize("version", [0, 1, 2, 3, 0x8001, 0xFFFF])
def test_the_protocol_version_is_kept_as_it_is(version: int) -> None:
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, version=version))
    assert pdu.protocol_version == version
    assert pdu.quirks == ()


@pytest.mark.parametrize(
    "items, quirks",
    [
        ((APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM), ("0 user information items",)),
        ((CONTEXT_ITEM, USER_ITEM), ("0 application context items",)),
        ((APPLICATION_CONTEXT_ITEM, USER_ITEM), ("no presentation context proposed",)),
        (
            (APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM),
            ("presentation contexts with the same ID",),
        ),
        ((APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, item(0x77, b"?")), ("unknown item 0x77",)),
        ((APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, item(0x21, b"")), ("unknown item 0x21",)),
        (
            (item(0x10, b"1.2\0"), APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM),
            ("application context name is padded", "2 application context items"),
        ),
        (
            (APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, item(0x50, b"")),
            ("2 user information items",),
        ),
        (
            (APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, item(0x50, USER_ITEM[4:] + item(0x59, b"\0\0"))),
            ("user identity response in an A-ASSOCIATE-RQ",),
        ),
    ],
)
def test_odd_sets_of_items_are_tolerated(items: tuple[bytes, ...], quirks: tuple[str, ...]) -> None:
    assert decode_rq(body(*items)).quirks == quirks


def test_what_is_missing_reads_as_empty() -> None:
    pdu = decode_rq(body())
    assert pdu == AssociateRQ("CALLED", "CALLING", (), UserInformation(), application_context="")


def test_items_may_come_in_any_order() -> None:
    pdu = decode_rq(body(USER_ITEM, CONTEXT_ITEM, APPLICATION_CONTEXT_ITEM))
    assert pdu == REQUEST
    assert pdu.quirks == ()


def test_user_information_in_two_items_is_put_together() -> None:
    halves = item(0x50, item(0x51, b"\0\0\x40\0")), item(0x50, item(0x52, b"1.2.3"))
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, *halves))
    assert pdu == REQUEST
    assert pdu.quirks == ("2 user information items",)


def test_a_private_application_context_is_no_quirk() -> None:
    pdu = decode_rq(body(item(0x10, b"1.2.99"), CONTEXT_ITEM, USER_ITEM))
    assert pdu.application_context == "1.2.99"
    assert pdu.quirks == ()


def test_unknown_items_are_kept_and_sent_on() -> None:
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, USER_ITEM, item(0x77, b"one"), item(0x21, b"")))
    assert pdu.unknown == (UnknownItem(0x77, b"one"), UnknownItem(0x21, b""))
    assert decode_whole(encode(pdu)) == pdu


@pytest.mark.parametrize(
    "sub_item",
    [item(0x58, b"\1\0\0\2me\0\0"), item(0x57, b"\0\x031.2\0\x031.3\0\0")],
    ids=["user identity", "common extended negotiation"],
)
def test_what_only_a_request_may_say_is_tolerated_in_an_answer(sub_item: bytes) -> None:
    pdu = decode_ac(body(APPLICATION_CONTEXT_ITEM, item(0x50, USER_ITEM[4:] + sub_item)))
    assert pdu.quirks == ("user identity or common extended negotiation in an A-ASSOCIATE-AC",)


def test_answers_that_share_an_id_are_kept() -> None:
    answered = item(0x21, b"\1\0\0\0" + item(0x40, b"1.2"))
    pdu = decode_ac(body(APPLICATION_CONTEXT_ITEM, answered, answered, USER_ITEM))
    assert pdu.contexts == (PresentationContextAC(1, 0, "1.2"),) * 2
    assert pdu.quirks == ("presentation contexts with the same ID",)


def test_a_user_information_item_that_forgets_a_uid_in_its_length_is_read() -> None:
    contents = USER_ITEM[4:] + item(0x56, b"\0\x031.2\1")
    short = struct.pack(">BBH", 0x50, 0, len(contents) - 5) + contents
    pdu = decode_rq(body(APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, short))
    assert pdu.user.extended == (ExtendedNegotiation("1.2", b"\1"),)
    assert pdu.quirks == (
        f"User Information Item says {len(contents) - 5} bytes where its sub-items take {len(contents)}",
    )
    with pytest.raises(RemoteProtocolError):
        decode_rq(body(APPLICATION_CONTEXT_ITEM, short, CONTEXT_ITEM[:-1]))


@pytest.mark.parametrize(
    "data",
    [
        body(b"\x10\0\0"),
        body(b"\x10\0\0\x041.2"),
        body(b"\x50\0\0\x01"),
        body(b"\x77\0\xff\xff" + bytes(1000)),
        body(b"\x20\0\0\x04\1\0\0\0\x30\0\0\1"),
        body(item(0x50, b"\x51\0\0\x05\0\0\0\0"), APPLICATION_CONTEXT_ITEM),
        body(item(0x20, b"\1\0\0")),
    ],
)
def test_an_item_that_overruns_its_container_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_rq(data)
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\0", b"\0\0\0\0", b"\0\0\0\1\1", b"\0\0\0\3\1\3", b"\xff\xff\xff\xff\1\3", b"\0\0\0\2\1\3\0"],
)
def test_a_presentation_data_value_that_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(PDUType.DATA_TF, data)


@pytest.mark.parametrize(
    "kind, data, count",
    [
        (1, ASSOCIATE_RQ[6:], 18),
        (2, ASSOCIATE_AC[6:], 10),
        (4, VECTORS["P-DATA-TF"][0][6:], 2),
    ],
)
def test_the_number_of_items_is_bounded(kind: int, data: bytes, count: int) -> None:
    decode(kind, data, max_items=count)
    with pytest.raises(RemoteProtocolError, match="too many items"):
        decode(kind, data, max_items=count - 1)


def test_the_bound_on_items_holds_without_being_asked_for() -> None:
    decode_rq(body(item(0x77, b"") * 8192))
    with pytest.raises(RemoteProtocolError, match="too many items"):
        decode_rq(body(item(0x77, b"") * 8193))


# Strictness


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "A\\B", "A\nB", "A\0", "\xc4", "A\x7f", "\u4e2d", "A\n"])
def test_bad_ae_titles_are_not_sent(title: str) -> None:
    with pytest.raises(LocalProtocolError, match="AE title"):
        encode(AssociateRQ(title, "ME", (CONTEXT,), UserInformation()))
    with pytest.raises(LocalProtocolError, match="AE title"):
        encode(AssociateRQ("YOU", title, (CONTEXT,), UserInformation()))


@pytest.mark.parametrize("title", ["A" * 17, "\u4e2d"])
def test_ae_titles_that_no_field_can_carry_are_not_returned(title: str) -> None:
    with pytest.raises(LocalProtocolError, match="AE title"):
        encode(AssociateAC(title, "ME", (), UserInformation()))


@pytest.mark.parametrize(
    "pdu",
    [
        AssociateRQ("YOU", "ME", (), UserInformation()),
        AssociateRQ("YOU", "ME", (CONTEXT, CONTEXT), UserInformation()),
        AssociateRQ("YOU", "ME", (CONTEXT,), UserInformation(user_identity_response=b"")),
        AssociateRQ("YOU", "ME", (CONTEXT,), UserInformation(), application_context=""),
        AssociateRQ("YOU", "ME", (CONTEXT,), UserInformation(), application_context="1.2 "),
        AssociateRQ("YOU", "ME", (CONTEXT,), UserInformation(), protocol_version=65536),
        *(
            AssociateRQ("YOU", "ME", (CONTEXT,), UserInformation(), unknown=(UnknownItem(kind, b""),))
            for kind in (0x10, 0x20, 0x50, 256)
        ),
        *(
            AssociateAC("YOU", "ME", (), UserInformation(), unknown=(UnknownItem(kind, b""),))
            for kind in (0x10, 0x21, 0x50)
        ),
        AssociateAC("YOU", "ME", (), UserInformation(user_identity=UserIdentityRQ(1, b"me"))),
        AssociateAC("YOU", "ME", (), UserInformation(common_extended=(CommonExtendedNegotiation("1.2", "1.3"),))),
        AssociateRJ(256, 0, 0),
        AssociateRJ(0, -1, 0),
        AssociateRJ(0, 0, 256),
        Abort(256, 0),
        Abort(0, 256),
        DataTF(()),
        DataTF((PresentationDataValue(256, 0, b""),)),
        DataTF((PresentationDataValue(1, 256, b""),)),
    ],
)
def test_what_the_standard_forbids_is_not_sent(pdu: PDU) -> None:
    with pytest.raises(LocalProtocolError):
        encode(pdu)


# Round trips


@given(requests(wild_uids, known=False) | answers(received_ae_titles, wild_uids, known=False) | short_pdus)
def test_what_is_encoded_is_what_is_decoded(pdu: PDU) -> None:
    assert decode_whole(encode(pdu)) == pdu


@given(requests(uids, known=True))
def test_what_we_send_has_no_quirks_but_what_it_leaves_out(pdu: AssociateRQ) -> None:
    quirks = decode_rq(encode(pdu)[HEADER_LENGTH:]).quirks
    assert all(quirk.startswith(("no sub-item", "extended negotiation information seems")) for quirk in quirks)


# Inputs of any kind


@given(st.integers(0, 8), st.binary(max_size=400))
def test_arbitrary_bytes_are_decoded_or_refused(kind: int, noise: bytes) -> None:
    decodes_or_is_refused(kind, noise)


@given(st.sampled_from([1, 2]), st.lists(st.tuples(st.sampled_from([0x10, 0x20, 0x21, *range(0x50, 0x5A)]), data)))
def test_arbitrary_items_are_decoded_or_refused(kind: int, items: list[tuple[int, bytes]]) -> None:
    decodes_or_is_refused(kind, body(*(item(item_type, contents) for item_type, contents in items)))
    user = item(0x50, b"".join(item(item_type, contents) for item_type, contents in items))
    decodes_or_is_refused(kind, body(APPLICATION_CONTEXT_ITEM, user))


@given(
    requests(wild_uids, known=False) | answers(ae_titles, wild_uids, known=False) | short_pdus,
    st.lists(st.tuples(st.integers(0, 500), bytes8), max_size=4),
    st.integers(0, 600),
    data,
)
def test_damaged_pdus_are_decoded_or_refused(pdu: PDU, damage: list[tuple[int, int]], cut: int, tail: bytes) -> None:
    damaged = bytearray(encode(pdu))
    for at, byte in damage:
        damaged[at % len(damaged)] = byte
    decodes_or_is_refused(encode(pdu)[0], bytes(damaged[HEADER_LENGTH:][:cut]) + tail)


class TestRemembering:
    """A-ASSOCIATE PDUs that come again."""

    @pytest.fixture(autouse=True)
    def nothing_remembered(self, monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
        remembered: dict[Any, Any] = {}
        monkeypatch.setattr(pdus, "REMEMBERED", remembered)
        monkeypatch.setattr(pdus, "KEPT", {})
        return remembered

    def test_the_same_bytes_are_decoded_once(self) -> None:
        body = encode(REQUEST)[6:]
        assert decode(1, body) is decode(1, memoryview(body))
        assert decode(1, body) == REQUEST

    def test_what_is_like_it_is_another(self) -> None:
        body = encode(REQUEST)[6:]
        other = encode(replace(REQUEST, calling_ae_title="OTHER"))[6:]
        decode(1, body)
        assert decode(1, other) == replace(REQUEST, calling_ae_title="OTHER")

    def test_a_limit_counts_for_what_was_seen_under_another(self) -> None:
        body = encode(REQUEST)[6:]
        decode(1, body)
        with pytest.raises(RemoteProtocolError):
            decode(1, body, max_items=1)

    def test_whether_it_is_remembered_can_be_asked(self) -> None:
        body = encode(REQUEST)[6:]
        first = decode(1, body)
        assert pdus.is_remembered(first)
        assert not pdus.is_remembered(replace(REQUEST))
        for number in range(pdus.REMEMBERED_AT_ONCE):
            decode(1, encode(replace(REQUEST, calling_ae_title=f"AE{number}"))[6:])
        assert not pdus.is_remembered(first)

    def test_no_password_is_kept(self, nothing_remembered: dict[Any, Any]) -> None:
        identity = UserIdentityRQ(2, b"user", b"secret")
        request = replace(REQUEST, user=replace(REQUEST.user, user_identity=identity))
        assert decode(1, encode(request)[6:]) == request
        assert not nothing_remembered

    def test_memory_is_bounded(self, nothing_remembered: dict[Any, Any]) -> None:
        for number in range(3 * pdus.REMEMBERED_AT_ONCE):
            decode(1, encode(replace(REQUEST, calling_ae_title=f"AE{number}"))[6:])
        assert len(nothing_remembered) == pdus.REMEMBERED_AT_ONCE == len(pdus.KEPT)
        long = replace(REQUEST, unknown=(UnknownItem(0x7E, bytes(pdus.MOST_REMEMBERED)),))
        assert decode(1, encode(long)[6:]) is not decode(1, encode(long)[6:])
