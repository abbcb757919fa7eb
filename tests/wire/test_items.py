"""Items and sub-items one by one: laid out as the standard says, oddities tolerated and named, bad values not sent."""

import struct
from collections.abc import Callable

import pytest

from dicomio.errors import LocalProtocolError, RemoteProtocolError
from dicomio.wire.cursor import Cursor, Writer
from dicomio.wire.items import (
    MOST_QUIRKS,
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    Notes,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UnknownItem,
    UserIdentityRQ,
    UserInformation,
    UserInformationReader,
    read_context_ac,
    read_context_rq,
    read_uid,
    user_information_length,
    write_context_ac,
    write_context_rq,
    write_user_information,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
STORAGE_SERVICE = "1.2.840.10008.4.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

REQUIRED = UserInformation(maximum_length=16384, implementation_class_uid="1.2.3")
REQUIRED_BYTES = b"\x51\x00\x00\x04\x00\x00\x40\x00\x52\x00\x00\x051.2.3"


def item(kind: int, data: bytes) -> bytes:
    """An item as the standard draws it."""
    return struct.pack(">BBH", kind, 0, len(data)) + data


def prefixed(data: str | bytes) -> bytes:
    """Bytes behind their length in two bytes."""
    raw = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(raw)) + raw


def read_user(data: bytes, max_items: int = 100) -> tuple[UserInformation, tuple[str, ...]]:
    """Decodes the contents of a User Information Item."""
    notes = Notes(max_items)
    reader = UserInformationReader(notes)
    reader.read(Cursor(data))
    return reader.result(), notes.quirks


def write_user(user: UserInformation) -> bytes:
    """Encodes a User Information Item, and returns its contents."""
    writer = Writer()
    write_user_information(writer, user)
    assert writer.data[:4] == struct.pack(">BBH", 0x50, 0, len(writer.data) - 4)
    return bytes(writer.data[4:])


# What follows the two required sub-items, as bytes of the standard's tables and as values.
USER_SUB_ITEMS: dict[str, tuple[bytes, UserInformation]] = {
    "none": (b"", REQUIRED),
    "asynchronous operations window": (
        b"\x53\x00\x00\x04\x00\x00\x00\x05",
        UserInformation(16384, "1.2.3", async_window=AsyncOperationsWindow(0, 5)),
    ),
    "role selections": (
        b"\x54\x00\x00\x07\x00\x031.2\x01\x00\x54\x00\x00\x08\x00\x041.25\x00\x01",
        UserInformation(16384, "1.2.3", roles=(RoleSelection("1.2", True, False), RoleSelection("1.25", False, True))),
    ),
    "implementation version name": (
        b"\x55\x00\x00\x07DICOM 1",
        UserInformation(16384, "1.2.3", implementation_version_name="DICOM 1"),
    ),
    "extended negotiations": (
        b"\x56\x00\x00\x08\x00\x031.2\x01\x00\x01\x56\x00\x00\x05\x00\x031.3",
        UserInformation(
            16384, "1.2.3", extended=(ExtendedNegotiation("1.2", b"\x01\x00\x01"), ExtendedNegotiation("1.3", b""))
        ),
    ),
    "common extended negotiations": (
        b"\x57\x00\x00\x15\x00\x031.2\x00\x031.3\x00\x09\x00\x031.4\x00\x0215\x57\x00\x00\x0c\x00\x031.6\x00\x031.7\x00\x00",
        UserInformation(
            16384,
            "1.2.3",
            common_extended=(
                CommonExtendedNegotiation("1.2", "1.3", ("1.4", "15")),
                CommonExtendedNegotiation("1.6", "1.7"),
            ),
        ),
    ),
    "user identity": (
        b"\x58\x00\x00\x0b\x02\x01\x00\x03me!\x00\x02pw",
        UserInformation(16384, "1.2.3", user_identity=UserIdentityRQ(2, b"me!", b"pw", True)),
    ),
    "user identity response": (
        b"\x59\x00\x00\x04\x00\x02ok",
        UserInformation(16384, "1.2.3", user_identity_response=b"ok"),
    ),
    "empty user identity response": (
        b"\x59\x00\x00\x02\x00\x00",
        UserInformation(16384, "1.2.3", user_identity_response=b""),
    ),
}


@pytest.mark.parametrize("name", USER_SUB_ITEMS)
def test_sub_items_are_laid_out_as_the_standard_says(name: str) -> None:
    data, user = USER_SUB_ITEMS[name]
    assert write_user(user) == REQUIRED_BYTES + data
    assert read_user(REQUIRED_BYTES + data) == (user, ())


@pytest.mark.parametrize("name", USER_SUB_ITEMS)
def test_a_user_information_item_cut_inside_a_sub_item_is_refused(name: str) -> None:
    data = REQUIRED_BYTES + USER_SUB_ITEMS[name][0]
    borders = {at for at in range(len(data)) if Cursor(data).items_fill(at)}
    for length in set(range(len(data))) - borders:
        with pytest.raises(RemoteProtocolError):
            read_user(data[:length])


@pytest.mark.parametrize("kind, size", [(0x51, 4), (0x53, 4), (0x54, 7), (0x57, 12), (0x58, 6), (0x59, 2), (0x56, 5)])
def test_a_sub_item_too_short_for_its_fields_is_refused(kind: int, size: int) -> None:
    full = {0x54: prefixed("1.2") + b"\0\0", 0x57: prefixed("1.2") * 2 + b"\0\0", 0x56: prefixed("1.2")}
    data = full.get(kind, bytes(size))
    assert len(data) == size
    read_user(item(kind, data))
    for length in range(size):
        with pytest.raises(RemoteProtocolError):
            read_user(item(kind, data[:length]))


@pytest.mark.parametrize(
    "data",
    [
        item(0x56, b"\x00\x041.2"),
        item(0x54, b"\xff\xff1.2\x01\x01"),
        item(0x57, prefixed("1.2") + prefixed("1.3") + b"\x00\x06" + prefixed("1.4")),
        item(0x57, prefixed("1.2") + prefixed("1.3") + b"\x00\x04\x00\x031."),
        item(0x58, b"\x02\x00\x00\x02me\x00\x03pw"),
        item(0x59, b"\x00\x03ok"),
    ],
    ids=["0x56 UID", "0x54 UID", "0x57 list", "0x57 entry", "0x58 secondary", "0x59 response"],
)
def test_a_length_inside_a_sub_item_cannot_overrun_it(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_user(REQUIRED_BYTES + data + item(0x5E, bytes(100)))


@pytest.mark.parametrize(
    "data, quirk",
    [
        (item(0x53, bytes(6)), "sub-item 0x53 is too long"),
        (item(0x54, prefixed("1.2") + b"\1\1\0"), "sub-item 0x54 is too long"),
        (item(0x57, prefixed("1.2") * 2 + b"\0\0\0"), "sub-item 0x57 is too long"),
        (item(0x58, b"\1\0" + prefixed("me") + prefixed("") + b"\0"), "sub-item 0x58 is too long"),
        (item(0x59, prefixed("ok") + b"\0"), "sub-item 0x59 is too long"),
        (item(0x51, bytes(4)), "sub-item 0x51 occurs 2 times"),
        (item(0x5E, b"x"), "unknown sub-item 0x5E in the user information"),
        (item(0x50, b""), "unknown sub-item 0x50 in the user information"),
        (item(0x54, prefixed("1.2 ") + b"\1\1"), "SOP class UID of a role selection is padded"),
        (item(0x56, prefixed("1.2\0")), "SOP class UID of an extended negotiation is padded"),
        (
            item(0x57, prefixed("1.2\0") + prefixed("1") + b"\0\0"),
            "SOP class UID of a common extended negotiation is padded",
        ),
        (item(0x57, prefixed("1.2") + prefixed("") + b"\0\0"), "service class UID is empty"),
        (item(0x57, prefixed("1.2") * 2 + prefixed(prefixed("1.2 "))), "related general SOP class UID is padded"),
        (item(0x56, prefixed("1.2") + b"\0\1\1"), "extended negotiation information seems to begin with its length"),
        (item(0x56, prefixed("1.2") + b"\0\2\1\1"), "extended negotiation information seems to begin with its length"),
        (item(0x58, b"\x06\0" + prefixed("me") + prefixed("")), "user identity of type 6"),
        (item(0x58, b"\0\0" + prefixed("me") + prefixed("")), "user identity of type 0"),
        (item(0x55, b"NAME "), "implementation version name is padded"),
        (item(0x55, b"NAME\0"), "implementation version name is padded"),
        (item(0x55, b""), "implementation version name is not 1 to 16 characters of ASCII"),
        (item(0x55, b"x" * 17), "implementation version name is not 1 to 16 characters of ASCII"),
        (item(0x55, b"\xe4"), "implementation version name is not 1 to 16 characters of ASCII"),
    ],
)
def test_what_is_tolerated_is_noted(data: bytes, quirk: str) -> None:
    assert read_user(REQUIRED_BYTES + data)[1] == (quirk,)


def test_a_maximum_length_too_long_is_read_as_far_as_it_is_defined() -> None:
    user, quirks = read_user(item(0x51, b"\0\0\1\0\0") + item(0x52, b"1.2"))
    assert user.maximum_length == 256
    assert quirks == ("sub-item 0x51 is too long",)


def test_unknown_sub_items_are_kept_and_sent_on() -> None:
    data = REQUIRED_BYTES + item(0x5E, b"one") + item(0x77, b"")
    user, _ = read_user(data)
    assert user.unknown == (UnknownItem(0x5E, b"one"), UnknownItem(0x77, b""))
    assert write_user(user) == data


def test_missing_required_sub_items_are_noted() -> None:
    user, quirks = read_user(b"")
    assert user == UserInformation()
    assert quirks == (
        "no sub-item 0x51 in the user information",
        "no sub-item 0x52 in the user information",
    )


def test_of_a_sub_item_that_occurs_twice_the_last_counts() -> None:
    data = item(0x51, b"\0\0\0\1") + item(0x51, b"\0\0\0\2") + item(0x52, b"1.2") + item(0x52, b"1.3")
    user, quirks = read_user(data)
    assert (user.maximum_length, user.implementation_class_uid) == (2, "1.3")
    assert quirks == ("sub-item 0x51 occurs 2 times", "sub-item 0x52 occurs 2 times")


def test_padding_is_taken_off_and_odd_names_are_kept() -> None:
    user, _ = read_user(item(0x52, b"1.2.3\0 ") + item(0x55, b" a name of more than 16 \0"))
    assert user.implementation_class_uid == "1.2.3"
    assert user.implementation_version_name == " a name of more than 16"


@pytest.mark.parametrize("byte", [1, 2, 255])
def test_a_flag_is_set_by_any_value_but_zero(byte: int) -> None:
    flag = bytes([byte])
    user, quirks = read_user(REQUIRED_BYTES + item(0x54, prefixed("1.2") + b"\0" + flag))
    assert user.roles == (RoleSelection("1.2", False, True),)
    assert quirks == (("role selection with a role that is neither 0 nor 1",) if byte > 1 else ())
    user, quirks = read_user(REQUIRED_BYTES + item(0x58, b"\1" + flag + prefixed("me") + prefixed("")))
    assert user.user_identity == UserIdentityRQ(1, b"me", b"", True)
    assert quirks == ((f"user identity that asks for a response with {byte}",) if byte > 1 else ())


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_user_identities_of_the_types_of_the_standard_are_no_quirk(kind: int) -> None:
    user, quirks = read_user(REQUIRED_BYTES + item(0x58, bytes([kind, 0]) + prefixed("me") + prefixed("")))
    assert user.user_identity == UserIdentityRQ(kind, b"me")
    assert quirks == ()


@pytest.mark.parametrize("information", [b"", b"\0\0", b"\1", b"\1\1\1\1", b"\0\1\1\1"])
def test_extended_negotiation_information_is_opaque(information: bytes) -> None:
    user, quirks = read_user(REQUIRED_BYTES + item(0x56, prefixed(CT) + information))
    assert user.extended == (ExtendedNegotiation(CT, information),)
    assert quirks == ()


def test_a_length_before_extended_negotiation_information_stays() -> None:
    user, _ = read_user(item(0x56, prefixed(CT) + b"\0\3\1\0\1"))
    assert user.extended == (ExtendedNegotiation(CT, b"\0\3\1\0\1"),)


def test_a_later_version_of_common_extended_negotiation_is_read_as_far_as_it_is_known() -> None:
    data = prefixed(CT) + prefixed(STORAGE_SERVICE) + prefixed(prefixed(CT)) + b"from the future"
    user, quirks = read_user(REQUIRED_BYTES + struct.pack(">BBH", 0x57, 1, len(data)) + data)
    assert user.common_extended == (CommonExtendedNegotiation(CT, STORAGE_SERVICE, (CT,)),)
    assert quirks == ("sub-item 0x57 is too long",)


def test_passwords_are_not_shown() -> None:
    user = UserInformation(user_identity=UserIdentityRQ(2, b"someone", b"hush"), user_identity_response=b"ticket")
    assert not {"someone", "hush", "ticket"} & set(repr(user).replace("'", " ").split())
    assert "hush" not in repr(user)
    assert "someone" not in repr(user)
    assert "ticket" not in repr(user)


@pytest.mark.parametrize(
    "raw, uid, quirk",
    [
        (b"1.2.840", "1.2.840", ()),
        (b"1.2.84", "1.2.84", ()),
        (b"1" * 64, "1" * 64, ()),
        (b"1" * 65, "1" * 65, ("x is longer than 64 characters",)),
        (b"a" * 64, "a" * 64, (f"x '{'a' * 64}' has characters that no UID has",)),
        (b"1.2\0", "1.2", ("x is padded",)),
        (b"1.2 ", "1.2", ("x is padded",)),
        (b"1.2 \0 \0", "1.2", ("x is padded",)),
        (b"", "", ("x is empty",)),
        (b"\0\0", "", ("x is padded", "x is empty")),
        (b"1.2.abc", "1.2.abc", ("x '1.2.abc' has characters that no UID has",)),
        (b"1.\xe4\n", "1.\xe4\n", ("x '1.\\xe4\\n' has characters that no UID has",)),
        (b" 1.2", " 1.2", ("x ' 1.2' has characters that no UID has",)),
        (b"1.2\n", "1.2\n", ("x '1.2\\n' has characters that no UID has",)),
    ],
)
def test_uids_are_read_as_they_come(raw: bytes, uid: str, quirk: tuple[str, ...]) -> None:
    notes = Notes(1)
    assert read_uid(raw, "x", notes) == uid
    assert notes.quirks == quirk


BAD_UIDS = ["", "1" * 65, "1.2 ", "1.2\0", "1.\xe4", "1.2\n"]


@pytest.mark.parametrize("uid", BAD_UIDS)
@pytest.mark.parametrize(
    "make",
    [
        lambda uid: UserInformation(implementation_class_uid=uid),
        lambda uid: UserInformation(roles=(RoleSelection(uid, True, True),)),
        lambda uid: UserInformation(extended=(ExtendedNegotiation(uid, b""),)),
        lambda uid: UserInformation(common_extended=(CommonExtendedNegotiation(uid, "1.2"),)),
        lambda uid: UserInformation(common_extended=(CommonExtendedNegotiation("1.2", uid),)),
        lambda uid: UserInformation(common_extended=(CommonExtendedNegotiation("1.2", "1.3", (uid,)),)),
    ],
)
def test_bad_uids_are_not_sent(make: Callable[[str], UserInformation], uid: str) -> None:
    with pytest.raises(LocalProtocolError, match="is not a UID"):
        write_user(make(uid))


@pytest.mark.parametrize(
    "user",
    [
        UserInformation(maximum_length=-1),
        UserInformation(maximum_length=1 << 32),
        UserInformation(async_window=AsyncOperationsWindow(65536, 0)),
        UserInformation(async_window=AsyncOperationsWindow(0, -1)),
        UserInformation(implementation_version_name=""),
        UserInformation(implementation_version_name="x" * 17),
        UserInformation(implementation_version_name="x "),
        UserInformation(implementation_version_name="x\n"),
        UserInformation(implementation_version_name="\xe4"),
        UserInformation(extended=(ExtendedNegotiation("1.2", bytes(65536 - 5)),)),
        UserInformation(extended=(ExtendedNegotiation("1.2", bytes(40000)),) * 2),
        UserInformation(common_extended=(CommonExtendedNegotiation("1.2", "1.3", ("1" * 64,) * 993),)),
        UserInformation(user_identity=UserIdentityRQ(256, b"")),
        UserInformation(user_identity=UserIdentityRQ(3, bytes(65536))),
        UserInformation(user_identity=UserIdentityRQ(2, b"", bytes(65536))),
        UserInformation(user_identity=UserIdentityRQ(2, bytes(65530), b"")),
        UserInformation(user_identity_response=bytes(65536)),
        UserInformation(unknown=(UnknownItem(256, b""),)),
        UserInformation(unknown=(UnknownItem(0x5E, bytes(65536)),)),
        *(UserInformation(unknown=(UnknownItem(kind, b""),)) for kind in range(0x51, 0x5A)),
    ],
)
def test_what_the_wire_cannot_carry_is_not_sent(user: UserInformation) -> None:
    with pytest.raises(LocalProtocolError):
        write_user(user)


def test_the_longest_extended_negotiation_fits() -> None:
    user = UserInformation(16384, "1.2.3", extended=(ExtendedNegotiation("1.2", bytes(65535 - 4 - 5 - 17)),))
    assert len(write_user(user)) == 65535
    assert read_user(write_user(user))[0] == user


CONTEXT_RQ = (
    b"\x03\x00\x00\x00" + item(0x30, CT.encode()) + item(0x40, IMPLICIT.encode()) + item(0x40, EXPLICIT.encode())
)
CONTEXT_AC = b"\x03\x00\x00\x00" + item(0x40, IMPLICIT.encode())


def test_proposed_context() -> None:
    notes = Notes(10)
    context = read_context_rq(Cursor(CONTEXT_RQ), notes)
    assert context == PresentationContextRQ(3, CT, (IMPLICIT, EXPLICIT))
    assert notes.quirks == ()
    writer = Writer()
    write_context_rq(writer, context)
    assert writer.data == item(0x20, CONTEXT_RQ)


def test_answered_context() -> None:
    notes = Notes(10)
    context = read_context_ac(Cursor(CONTEXT_AC), notes)
    assert context == PresentationContextAC(3, 0, IMPLICIT)
    assert notes.quirks == ()
    writer = Writer()
    write_context_ac(writer, context)
    assert writer.data == item(0x21, CONTEXT_AC)


@pytest.mark.parametrize(
    "data, context, quirks",
    [
        (
            b"\x02\x00\x00\x00" + CONTEXT_RQ[4:],
            PresentationContextRQ(2, CT, (IMPLICIT, EXPLICIT)),
            ("presentation context ID 2 is even",),
        ),
        (b"\x03\xff\xff\xff" + CONTEXT_RQ[4:], PresentationContextRQ(3, CT, (IMPLICIT, EXPLICIT)), ()),
        (
            CONTEXT_RQ + item(0x40, b""),
            PresentationContextRQ(3, CT, (IMPLICIT, EXPLICIT)),
            ("transfer syntax is empty",),
        ),
        (
            CONTEXT_RQ + item(0x77, b"?"),
            PresentationContextRQ(3, CT, (IMPLICIT, EXPLICIT)),
            ("unknown sub-item 0x77 in a presentation context",),
        ),
        (
            CONTEXT_RQ + item(0x30, b"1.2"),
            PresentationContextRQ(3, "1.2", (IMPLICIT, EXPLICIT)),
            ("presentation context with 2 abstract syntaxes proposed",),
        ),
        (
            b"\x05\0\0\0" + item(0x30, CT.encode()),
            PresentationContextRQ(5, CT, ()),
            ("presentation context without transfer syntaxes proposed",),
        ),
        (
            b"\x05\0\0\0" + item(0x40, IMPLICIT.encode() + b"\0"),
            PresentationContextRQ(5, "", (IMPLICIT,)),
            ("transfer syntax is padded", "presentation context with 0 abstract syntaxes proposed"),
        ),
        (
            b"\x05\0\0\0" + item(0x30, b"") + item(0x40, IMPLICIT.encode()),
            PresentationContextRQ(5, "", (IMPLICIT,)),
            ("abstract syntax is empty",),
        ),
    ],
)
def test_odd_proposals_are_tolerated(data: bytes, context: PresentationContextRQ, quirks: tuple[str, ...]) -> None:
    notes = Notes(10)
    assert read_context_rq(Cursor(data), notes) == context
    assert notes.quirks == quirks


@pytest.mark.parametrize(
    "data, context, quirks",
    [
        (b"\3\0\3\0", PresentationContextAC(3, 3, ""), ("presentation context answered with 0 transfer syntaxes",)),
        (
            b"\3\0\4\0" + item(0x40, b""),
            PresentationContextAC(3, 4, ""),
            ("transfer syntax is empty", "presentation context answered with 0 transfer syntaxes"),
        ),
        (b"\3\0\4\0" + CONTEXT_AC[4:], PresentationContextAC(3, 4, IMPLICIT), ()),
        (b"\2\xff\0\xff" + CONTEXT_AC[4:], PresentationContextAC(2, 0, IMPLICIT), ()),
        (
            b"\3\0\x05\0" + CONTEXT_AC[4:],
            PresentationContextAC(3, 5, IMPLICIT),
            ("presentation context answered with result 5",),
        ),
        (
            CONTEXT_AC + item(0x40, EXPLICIT.encode()),
            PresentationContextAC(3, 0, EXPLICIT),
            ("presentation context answered with 2 transfer syntaxes",),
        ),
        (
            b"\3\0\0\0" + item(0x30, CT.encode()) + CONTEXT_AC[4:],
            PresentationContextAC(3, 0, IMPLICIT),
            ("presentation context answered with an abstract syntax",),
        ),
    ],
)
def test_odd_answers_are_tolerated(data: bytes, context: PresentationContextAC, quirks: tuple[str, ...]) -> None:
    notes = Notes(10)
    assert read_context_ac(Cursor(data), notes) == context
    assert notes.quirks == quirks


@pytest.mark.parametrize("read", [read_context_rq, read_context_ac])
@pytest.mark.parametrize("data", [b"", b"\1\0\0", CONTEXT_RQ[:-1], CONTEXT_RQ + b"\x40\0\0"])
def test_a_context_that_overruns_is_refused(read: Callable[[Cursor, Notes], object], data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(Cursor(data), Notes(10))


@pytest.mark.parametrize(
    "context",
    [
        PresentationContextRQ(2, CT, (IMPLICIT,)),
        PresentationContextRQ(0, CT, (IMPLICIT,)),
        PresentationContextRQ(257, CT, (IMPLICIT,)),
        PresentationContextRQ(-1, CT, (IMPLICIT,)),
        PresentationContextRQ(1, CT, ()),
        PresentationContextRQ(1, "", (IMPLICIT,)),
        PresentationContextRQ(1, CT, ("",)),
        PresentationContextRQ(1, CT, ("1" * 64,) * 1000),
    ],
)
def test_bad_proposals_are_not_sent(context: PresentationContextRQ) -> None:
    with pytest.raises(LocalProtocolError):
        write_context_rq(Writer(), context)


@pytest.mark.parametrize(
    "context",
    [
        PresentationContextAC(256, 0, IMPLICIT),
        PresentationContextAC(1, 256, IMPLICIT),
        PresentationContextAC(1, 0, ""),
        PresentationContextAC(1, 0, "\xe4"),
        PresentationContextAC(1, 3, " "),
    ],
)
def test_bad_answers_are_not_sent(context: PresentationContextAC) -> None:
    with pytest.raises(LocalProtocolError):
        write_context_ac(Writer(), context)


@pytest.mark.parametrize(
    "context",
    [PresentationContextAC(2, 0, IMPLICIT), PresentationContextAC(0, 4, ""), PresentationContextAC(255, 1, CT)],
)
def test_an_answer_repeats_the_id_of_the_proposal(context: PresentationContextAC) -> None:
    writer = Writer()
    write_context_ac(writer, context)
    assert read_context_ac(Cursor(bytes(writer.data[4:])), Notes(10)) == context


def test_a_rejection_without_transfer_syntax_still_has_the_sub_item() -> None:
    writer = Writer()
    write_context_ac(writer, PresentationContextAC(1, 3, ""))
    assert writer.data == item(0x21, b"\1\0\3\0" + item(0x40, b""))


@pytest.mark.parametrize(
    "said, following, length, quirks",
    [
        (10, b"", 10, ()),
        (10, item(0x77, b"abc"), 10, ()),
        (5, b"", 10, ("User Information Item says 5 bytes where its sub-items take 10",)),
        (0, b"", 0, ()),
        (11, b"", 11, ()),
        (9, b"x", 9, ()),
    ],
)
def test_a_user_information_item_shorter_than_its_contents_is_understood(
    said: int, following: bytes, length: int, quirks: tuple[str, ...]
) -> None:
    notes = Notes(10)
    cursor = Cursor(item(0x5E, b"123456") + following)
    assert user_information_length(cursor, said, notes) == length
    assert notes.quirks == quirks
    assert cursor.offset == 0


def test_items_sub_items_and_list_entries_are_counted() -> None:
    data = item(0x5E, b"") * 3 + item(0x57, prefixed("1.2") * 2 + prefixed(prefixed("1") * 4))
    read_user(data, max_items=8)
    with pytest.raises(RemoteProtocolError, match="too many items"):
        read_user(data, max_items=7)
    read_context_rq(Cursor(CONTEXT_RQ), Notes(3))
    with pytest.raises(RemoteProtocolError, match="too many items"):
        read_context_rq(Cursor(CONTEXT_RQ), Notes(2))


def test_quirks_are_noted_once_and_not_without_end() -> None:
    notes = Notes(1)
    for number in range(MOST_QUIRKS + 10):
        notes.quirk(f"quirk {number}")
        notes.quirk("quirk 0")
    assert notes.quirks == tuple(f"quirk {number}" for number in range(MOST_QUIRKS))
