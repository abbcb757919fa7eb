"""Command sets against pydicom's writer, pynetdicom's recorded messages, and everything a peer could do to them."""

import dataclasses
import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pynetdicom import dimse_messages
from pynetdicom.tests import encoded_dimse_msg

from dicomio.errors import LocalProtocolError, RemoteProtocolError
from dicomio.wire import commands
from dicomio.wire.commands import ELEMENTS, MESSAGES, Command, CommandField, decode, encode

REQUESTS = [member for member in CommandField if not member & 0x8000]
RESPONSES = [member for member in CommandField if member & 0x8000]

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = "1.2.826.0.1.3680043.8.498.1234567890"

SAMPLES: dict[str, Any] = {
    "message_id": 7,
    "responding_to": 65535,
    "affected_sop_class_uid": CT_IMAGE_STORAGE,
    "requested_sop_class_uid": "1.2.840.10008.3.1.2.3.3",
    "affected_sop_instance_uid": INSTANCE,
    "requested_sop_instance_uid": INSTANCE + ".1",
    "priority": 2,
    "status": 0xB000,
    "move_destination": "WORKSTATION",
    "move_originator": "VIEWER",
    "move_originator_message_id": 513,
    "remaining": 4,
    "completed": 3,
    "failed": 2,
    "warning": 1,
    "event_type_id": 1,
    "action_type_id": 2,
    "attribute_identifiers": (0x00100010, 0x7FE00010, 0xFFFEE000),
    "offending_elements": (0x00080018,),
    "error_comment": "Out of disk space",
    "error_id": 9,
}

ODD_COMMANDS = {
    "c_move_rsp_cmd_with_dup",  # its counters have two values each
}
VECTORS = {
    name: bytes(getattr(encoded_dimse_msg, name))[1:]
    for name in dir(encoded_dimse_msg)
    if "_cmd" in name and name not in ODD_COMMANDS
}


def sample(field: int, *, optional: bool = True) -> Command:
    """A message with all elements that it may have, or with those that it must have."""
    message = MESSAGES[CommandField(field)]
    numbers = message.mandatory + (message.optional if optional else ())
    given_values = {ELEMENTS[number].attribute: value for number in numbers if (value := sample_of(number)) is not None}
    return Command(field, has_data_set=message.data_set == "M", **given_values)


def changed(command: Command, **values: Any) -> Command:
    return dataclasses.replace(command, **values)


def sample_of(number: int) -> Any:
    return SAMPLES.get(ELEMENTS[number].attribute)


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def split(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of a well-formed command set."""
    found = []
    position = 0
    while position < len(data):
        group, number, length = struct.unpack_from("<HHI", data, position)
        position += 8 + length
        found.append((group << 16 | number, data[position - length : position]))
    return found


def join(elements: list[tuple[int, bytes]]) -> bytes:
    """A command set of these elements, with a group length that is right."""
    body = b"".join(element(tag, value) for tag, value in elements if tag != 0)
    return element(0, struct.pack("<I", len(body))) + body


def as_data_set(command: Command) -> Dataset:
    """The same command in pydicom's terms, without group length."""
    found = Dataset()
    for number, (attribute, vr, _) in ELEMENTS.items():
        value = getattr(command, attribute, None)
        if number == 0x0800:
            value = 0x0001 if value else 0x0101
        if value is not None and value != ():
            found.add_new(number, vr, list(map(Tag, value)) if vr == "AT" else value)
    return found


def written_by_pydicom(command: Command) -> bytes:
    """What pydicom writes for it in Implicit VR Little Endian."""
    data_set = as_data_set(command)
    body = DicomBytesIO()
    body.is_little_endian = True
    body.is_implicit_VR = True
    write_dataset(body, data_set)
    return element(0, struct.pack("<I", len(body.getvalue()))) + body.getvalue()


class TestTables:
    def test_elements_are_those_of_the_dictionary(self) -> None:
        for number, (_, vr, name) in ELEMENTS.items():
            assert (vr, name) == (dictionary_VR(number), dictionary_description(number))

    def test_elements_are_the_attributes_of_a_command(self) -> None:
        attributes = {each.name for each in dataclasses.fields(Command)} - {"unknown", "quirks"}
        assert {each.attribute for each in ELEMENTS.values()} - {"group_length"} == attributes

    def test_the_23_messages_have_their_numbers_and_names(self) -> None:
        theirs = {number: name for number, (name, _) in dimse_messages._MESSAGE_TYPES.items()}
        assert {int(field): message.name for field, message in MESSAGES.items()} == theirs
        assert len(CommandField) == 23

    @pytest.mark.parametrize("field", CommandField)
    def test_messages_have_the_elements_and_data_sets_that_pynetdicom_gives_them(self, field: CommandField) -> None:
        message = MESSAGES[field]
        theirs = {int(Tag(keyword)) for keyword in dimse_messages._COMMAND_SET_KEYWORDS[message.name]}
        ours = {0, *message.mandatory, *message.optional}
        assert theirs <= ours
        # What we allow besides explains a failure (PS3.7 Annex C).
        assert ours - theirs <= {0x0901, 0x0902, 0x0903, 0x1005}
        assert (message.data_set != "-") == (field.name in dimse_messages._DATASET_KEYWORDS)

    def test_no_request_has_what_explains_a_status(self) -> None:
        for field in REQUESTS:
            assert not {0x0900, 0x0901, 0x0902, 0x0903} & {*MESSAGES[field].mandatory, *MESSAGES[field].optional}


class TestCommand:
    @pytest.mark.parametrize("field", CommandField)
    def test_name_and_direction(self, field: CommandField) -> None:
        command = Command(field)
        assert command.name == field.name.replace("_", "-")
        assert command.is_response == (field in RESPONSES) == command.name.endswith("RSP")
        assert command.is_request == (field in REQUESTS)

    def test_unknown_field(self) -> None:
        assert Command(0x0FF0).name == "command 0x0FF0"
        assert Command(0x0FF0).is_request
        assert Command(0x8FF0).is_response

    def test_quirks_do_not_make_a_difference(self) -> None:
        assert Command(CommandField.C_ECHO_RQ, quirks=("odd",)) == Command(CommandField.C_ECHO_RQ)
        assert Command(CommandField.C_ECHO_RQ, message_id=1) != Command(CommandField.C_ECHO_RQ)


class TestEncode:
    def test_echo_by_hand(self) -> None:
        command = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid="1.2.840.10008.1.1")
        assert encode(command) == bytes.fromhex(
            "00000000 04000000 38000000"
            "00000200 12000000 312e322e3834302e31303030382e312e3100"
            "00000001 02000000 3000"
            "00001001 02000000 0100"
            "00000008 02000000 0101"
        )

    @pytest.mark.parametrize("optional", [True, False])
    @pytest.mark.parametrize("field", CommandField)
    def test_every_message_is_what_pydicom_writes(self, field: CommandField, optional: bool) -> None:
        command = sample(field, optional=optional)
        assert encode(command) == written_by_pydicom(command)

    @pytest.mark.parametrize("field", CommandField)
    def test_a_missing_mandatory_element_is_refused(self, field: CommandField) -> None:
        mandatory = [ELEMENTS[number].attribute for number in MESSAGES[field].mandatory]
        for attribute in set(mandatory) - {"field", "has_data_set"}:
            with pytest.raises(LocalProtocolError, match="needs"):
                encode(changed(sample(field), **{attribute: None}))

    @pytest.mark.parametrize("field", CommandField)
    def test_a_foreign_element_is_refused(self, field: CommandField) -> None:
        own = {ELEMENTS[number].attribute for number in (*MESSAGES[field].mandatory, *MESSAGES[field].optional)}
        for attribute in SAMPLES.keys() - own:
            with pytest.raises(LocalProtocolError, match="has no"):
                encode(changed(sample(field), **{attribute: SAMPLES[attribute]}))

    @pytest.mark.parametrize("field", CommandField)
    def test_a_data_set_is_announced_by_the_rules_only(self, field: CommandField) -> None:
        for has_data_set in (True, False):
            command = changed(sample(field), has_data_set=has_data_set)
            if MESSAGES[field].data_set == ("-" if has_data_set else "M"):
                with pytest.raises(LocalProtocolError, match="data set"):
                    encode(command)
            else:
                assert encode(command) == written_by_pydicom(command)

    @pytest.mark.parametrize(
        "attribute, value",
        [
            ("message_id", -1),
            ("message_id", 65536),
            ("priority", 65536),
            ("move_originator_message_id", -1),
            ("affected_sop_class_uid", ""),
            ("affected_sop_class_uid", "1." + "2" * 63),
            ("affected_sop_class_uid", "1.2.3 "),
            ("affected_sop_instance_uid", "1.2\\1.3"),
            ("affected_sop_instance_uid", "1.2\0"),
            ("affected_sop_instance_uid", "1.2.é"),
            ("move_originator", ""),
            ("move_originator", "   "),
            ("move_originator", "SEVENTEEN_LETTERS"),
            ("move_originator", "A\\B"),
            ("move_originator", "A\nB"),
            ("move_originator", "ŁÓDŹ"),
            ("priority", 1.0),
            ("priority", [1]),
            ("affected_sop_class_uid", ["1.2"]),
        ],
    )
    def test_a_value_that_does_not_fit_is_refused(self, attribute: str, value: Any) -> None:
        with pytest.raises(LocalProtocolError, match="does not fit"):
            encode(changed(sample(CommandField.C_STORE_RQ), **{attribute: value}))

    @pytest.mark.parametrize("tag", [-1, 0x1_0000_0000])
    def test_a_tag_that_does_not_fit_is_refused(self, tag: int) -> None:
        with pytest.raises(LocalProtocolError, match="does not fit"):
            encode(changed(sample(CommandField.N_GET_RQ), attribute_identifiers=(tag,)))

    def test_limits_of_text_are_inclusive(self) -> None:
        uid = "1." + "2" * 62
        command = changed(
            sample(CommandField.C_STORE_RQ), affected_sop_instance_uid=uid, move_originator="SIXTEEN__LETTERS"
        )
        assert decode(encode(command)) == command

    @pytest.mark.parametrize("uid", ["1." + "2" * 70, "1.2.é", "1.2.a"])
    def test_a_response_repeats_any_uid(self, uid: str) -> None:
        command = changed(sample(CommandField.C_STORE_RSP), affected_sop_instance_uid=uid)
        assert decode(encode(command)) == command

    def test_a_response_has_no_empty_uid(self) -> None:
        with pytest.raises(LocalProtocolError, match="does not fit"):
            encode(changed(sample(CommandField.C_STORE_RSP), affected_sop_instance_uid=""))

    @pytest.mark.parametrize(
        "comment, sent",
        [
            ("x" * 65, "x" * 64),
            ("x" * 63 + " yz", "x" * 63),
            ("C:\\images\nare full\x7f", "C:/images are full"),
            ("größe", "gr??e"),
            (" \t\n", None),
            ("", None),
        ],
    )
    def test_any_error_comment_is_made_to_fit(self, comment: str, sent: str | None) -> None:
        command = changed(sample(CommandField.C_STORE_RSP), error_comment=comment)
        received = decode(encode(command))
        assert received.error_comment == sent
        assert received.quirks == ()

    def test_unknown_elements_are_sent_in_their_places(self) -> None:
        command = changed(sample(CommandField.C_ECHO_RQ), unknown={0x5010: b"ab", 0x0001: b""})
        tags = [tag for tag, _ in split(encode(command))]
        assert tags == [0x0000, 0x0001, 0x0002, 0x0100, 0x0110, 0x0800, 0x5010]
        assert decode(encode(command)) == command

    @pytest.mark.parametrize("tag, raw", [(0x0110, b"ab"), (0x0000, b""), (0x00080018, b""), (-1, b""), (1, b"a")])
    def test_unknown_elements_that_are_none_are_refused(self, tag: int, raw: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="unknown element"):
            encode(changed(sample(CommandField.C_ECHO_RQ), unknown={tag: raw}))

    def test_an_unknown_request_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError, match="command 0x0FF0 is none"):
            encode(Command(0x0FF0, message_id=1))

    @pytest.mark.parametrize("field", [-1, 0x1_8000])
    def test_a_field_beyond_16_bits_is_refused(self, field: int) -> None:
        with pytest.raises(LocalProtocolError):
            encode(Command(field, responding_to=1, status=0x0211))

    def test_an_unknown_request_can_be_answered(self) -> None:
        command = Command(0x8FF0, responding_to=1, status=0x0211, affected_sop_class_uid="1.2")
        assert encode(command) == written_by_pydicom(command)
        received = decode(encode(command))
        assert received == command
        assert received.quirks == ("command field 0x8FF0 is not known",)


def uids() -> st.SearchStrategy[str]:
    return st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)


def printable(longest: int) -> st.SearchStrategy[str]:
    """ASCII text without a backslash, and without spaces at its ends."""
    return st.from_regex(rf"[!-\[\]-~]([ -\[\]-~]{{0,{longest - 2}}}[!-\[\]-~])?", fullmatch=True)


TAG_LISTS = st.lists(st.integers(0, 0xFFFFFFFF), max_size=6).map(tuple)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "US": st.integers(0, 0xFFFF),
    "UI": uids(),
    "AE": printable(16),
    "LO": printable(64),
    "AT": TAG_LISTS,
}


@st.composite
def messages(draw: st.DrawFn) -> Command:
    """Any message that the tables allow."""
    field = draw(st.sampled_from(CommandField))
    message = MESSAGES[field]
    values: dict[str, Any] = {
        "has_data_set": message.data_set == "M" or (message.data_set == "U" and draw(st.booleans()))
    }
    for number in (*message.mandatory, *message.optional):
        if number not in (0x0100, 0x0800) and (number in message.mandatory or draw(st.booleans())):
            values[ELEMENTS[number].attribute] = draw(VALUES[ELEMENTS[number].vr])
    unknown = draw(st.dictionaries(st.integers(0x2000, 0xFFFF), st.sampled_from([b"", b"ab", b"\0\0\0\0"]), max_size=3))
    return Command(field, unknown=unknown, **values)


class TestBothWays:
    @given(messages())
    def test_what_is_encoded_is_decoded(self, command: Command) -> None:
        received = decode(encode(command))
        assert received == command
        assert isinstance(received.field, CommandField)
        assert received.quirks == tuple(
            f"unknown element (0000,{t:04X}) is kept as it is" for t in sorted(command.unknown)
        )

    @given(messages())
    def test_pydicom_reads_the_same(self, command: Command) -> None:
        command.unknown.clear()
        found = read_dataset(BytesIO(encode(command)), is_implicit_VR=True, is_little_endian=True)
        del found[0x00000000]
        assert found == as_data_set(command)

    @pytest.mark.parametrize("name", VECTORS)
    def test_recorded_messages(self, name: str) -> None:
        data = VECTORS[name]
        command = decode(data)
        assert command.quirks == ()
        assert command.name.lower().replace("-", "_") == name.partition("_cmd")[0]
        again = decode(encode(command))
        assert again == command
        assert {tag for tag, _ in split(encode(command))} == {tag for tag, _ in split(data)}

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_will_do(self, kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
        command = sample(CommandField.C_STORE_RQ)
        received = decode(kind(encode(command)))
        assert received == command
        assert type(received.affected_sop_class_uid) is str


class TestOddities:
    """What is tolerated: each is named in the quirks, and the rest of the message is understood."""

    def test_group_length_missing_or_wrong(self) -> None:
        data = encode(sample(CommandField.C_ECHO_RQ))
        for odd in (data[12:], element(0, struct.pack("<I", 1)) + data[12:], element(0, b"") + data[12:]):
            received = decode(odd)
            assert received == sample(CommandField.C_ECHO_RQ)
            assert received.quirks == ("Command Group Length (0000,0000) is missing or wrong",)

    def test_group_length_with_a_wrong_size(self) -> None:
        data = encode(sample(CommandField.C_ECHO_RQ))
        received = decode(element(0, b"\x38\0") + data[12:])
        assert received == sample(CommandField.C_ECHO_RQ)
        assert "Command Group Length (0000,0000) has 2 bytes instead of 4" in received.quirks

    @pytest.mark.parametrize("pad", [b"\0", b" "])
    def test_a_pad_byte_at_the_end(self, pad: bytes) -> None:
        received = decode(encode(sample(CommandField.C_ECHO_RQ)) + pad)
        assert received == sample(CommandField.C_ECHO_RQ)
        assert received.quirks == ("a pad byte follows the last element of the command set",)

    @pytest.mark.parametrize("field", CommandField)
    def test_every_element_removed(self, field: CommandField) -> None:
        command = sample(field)
        elements = split(encode(command))
        for index, (number, _) in enumerate(elements[1:], 1):
            rest = join(elements[:index] + elements[index + 1 :])
            if number == 0x0100:
                with pytest.raises(RemoteProtocolError, match="without Command Field"):
                    decode(rest)
                continue
            received = decode(rest)
            default = command.has_data_set if number == 0x0800 else () if ELEMENTS[number].vr == "AT" else None
            assert received == changed(command, **{ELEMENTS[number].attribute: default})
            missing = f"{ELEMENTS[number].name} (0000,{number:04X}) is missing"
            assert received.quirks == ((missing,) if number in MESSAGES[field].mandatory else ())

    @pytest.mark.parametrize("field", CommandField)
    def test_every_element_twice(self, field: CommandField) -> None:
        elements = split(encode(sample(field)))
        for index, (number, _) in enumerate(elements[1:], 1):
            received = decode(join(elements[: index + 1] + elements[index:]))
            assert received == sample(field)
            assert received.quirks == (f"{ELEMENTS[number].name} (0000,{number:04X}) comes twice, the last one counts",)

    @pytest.mark.parametrize("field", CommandField)
    def test_every_element_with_every_length(self, field: CommandField) -> None:
        elements = split(encode(sample(field)))
        for index, (number, value) in enumerate(elements[1:], 1):
            for size in range(70):
                other = (value * 70)[:size]
                odd = join([*elements[:index], (number, other), *elements[index + 1 :]])
                if number == 0x0100 and size < 2:
                    with pytest.raises(RemoteProtocolError, match="without Command Field"):
                        decode(odd)
                else:
                    received = decode(odd)
                    assert received.field == field
                    assert size % 2 == 0 or any("odd length" in quirk for quirk in received.quirks)

    def test_of_two_different_values_the_last_counts(self) -> None:
        elements = split(encode(sample(CommandField.C_ECHO_RQ)))
        received = decode(join([*elements, (0x0110, b"\x05\x01")]))
        assert received.message_id == 0x0105
        assert received.quirks == ("Message ID (0000,0110) comes twice, the last one counts",)

    def test_out_of_order(self) -> None:
        elements = split(encode(sample(CommandField.C_ECHO_RQ)))
        received = decode(join(elements[::-1]))
        assert received == sample(CommandField.C_ECHO_RQ)
        assert [quirk for quirk in received.quirks if not quirk.endswith("out of order")] == []
        assert len(received.quirks) == 3

    def test_several_values(self) -> None:
        data = bytes(encoded_dimse_msg.c_move_rsp_cmd_with_dup)[1:]
        received = decode(data)
        assert received.name == "C-MOVE-RSP"
        assert None not in (received.remaining, received.completed, received.failed, received.warning)
        assert "Number of Failed Sub-operations (0000,1022) has 4 bytes instead of 2" in received.quirks

    @pytest.mark.parametrize(
        "number, raw, value, quirk",
        [
            (0x0002, b"1.2\0", "1.2", None),
            (0x0002, b"1.22", "1.22", None),
            (0x0002, b"1.2 ", "1.2", "not a well-formed UID"),
            (0x0002, b"1.2\0\0\0", "1.2", "not a well-formed UID"),
            (0x0002, b"1.2.A\0", "1.2.A", "not a well-formed UID"),
            (0x0002, b"1.2\\1.3\0", "1.2", "not a well-formed UID"),
            (0x0002, b"1." + b"2" * 66, "1." + "2" * 66, "not a well-formed UID"),
            (0x0002, b"1.2.\xe9\0", "1.2.é", "not a well-formed UID"),
            (0x0002, b"\0\0", None, "not a well-formed UID"),
            (0x0002, b"", None, "is missing"),
            (0x1030, b"VIEWER", "VIEWER", None),
            (0x1030, b" VIEWER         ", "VIEWER", None),
            (0x1030, b"VIEWER\0\0", "VIEWER", "not a well-formed AE title"),
            (0x1030, b"VIEW\x07R", "VIEW\x07R", "not a well-formed AE title"),
            (0x1030, b"VIEWER OF SEVENTEEN", "VIEWER OF SEVENTEEN", "not a well-formed AE title"),
            (0x1030, b"        ", None, None),
            (0x1030, b"", None, None),
            (0x1031, b"\x05\x00", 5, None),
            (0x1031, b"\x05\x00\x06\x00", 5, "has 4 bytes instead of 2"),
            (0x1031, b"\x05", None, "has 1 bytes instead of 2"),
            (0x1031, b"", None, None),
            (0x0700, b"\xff\xff", 65535, None),
        ],
    )
    def test_values(self, number: int, raw: bytes, value: Any, quirk: str | None) -> None:
        elements = dict(split(encode(sample(CommandField.C_STORE_RQ))))
        received = decode(join(list({**elements, number: raw}.items())))
        assert getattr(received, ELEMENTS[number].attribute) == value
        assert any(quirk in each for each in received.quirks) if quirk is not None else received.quirks == ()

    @pytest.mark.parametrize(
        "number, raw, value, odd",
        [
            (0x0902, b"disk full ", "disk full", False),
            (0x0902, b"", None, False),
            (0x0902, b"   ", None, True),
            (0x0902, b"x" * 66, "x" * 66, True),
            (0x0902, "größe ".encode(), "größe", True),
            (0x0902, b"gr\xf6\xdfe", "gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e", True),
            (0x0901, b"\x10\0\x20\0\x08\0\x18\0", (0x00100020, 0x00080018), False),
            (0x0901, b"\x10\0\x20\0\x08\0", (0x00100020,), True),
            (0x0901, b"\x10\0", (), True),
            (0x0901, b"", (), False),
        ],
    )
    def test_values_of_responses(self, number: int, raw: bytes, value: Any, odd: bool) -> None:
        elements = dict(split(encode(sample(CommandField.C_STORE_RSP))))
        received = decode(join(list({**elements, number: raw}.items())))
        assert getattr(received, ELEMENTS[number].attribute) == value
        assert bool(received.quirks) == odd

    @pytest.mark.parametrize("raw", [b"\0\0", b"\x01\0", b"\x02\x01", b"\xff\xff", b"\x01\0\x01\x01"])
    def test_any_other_data_set_type_announces_a_data_set(self, raw: bytes) -> None:
        elements = dict(split(encode(sample(CommandField.C_FIND_RSP))))
        assert decode(join(list({**elements, 0x0800: raw}.items()))).has_data_set

    def test_a_data_set_announced_against_the_rules(self) -> None:
        elements = dict(split(encode(sample(CommandField.C_STORE_RQ))))
        received = decode(join(list({**elements, 0x0800: b"\x01\x01"}.items())))
        assert not received.has_data_set
        assert received.quirks == ("C-STORE-RQ announces no data set",)
        elements = dict(split(encode(sample(CommandField.C_STORE_RSP))))
        received = decode(join(list({**elements, 0x0800: b"\0\0"}.items())))
        assert received.has_data_set
        assert received.quirks == ("C-STORE-RSP announces a data set",)

    def test_foreign_elements_are_understood(self) -> None:
        elements = [*split(encode(sample(CommandField.C_ECHO_RQ))), (0x0900, b"\0\0")]
        received = decode(join(elements))
        assert received.status == 0
        assert received.quirks == ("Status (0000,0900) does not belong in C-ECHO-RQ",)

    def test_unknown_elements_are_kept(self) -> None:
        extra = [(0x5010, b"abc"), (0x5010, b"de"), (0x00080018, b"1.2\0")]
        received = decode(join([*split(encode(sample(CommandField.C_ECHO_RQ))), *extra]))
        assert received.unknown == {0x5010: b"de", 0x00080018: b"1.2\0"}
        assert received.quirks == (
            "unknown element (0000,5010) has an odd length",
            "unknown element (0000,5010) is kept as it is",
            "unknown element (0000,5010) comes twice, the last one counts",
            "unknown element (0008,0018) is kept as it is",
        )

    def test_an_unknown_message_is_read_as_far_as_it_goes(self) -> None:
        received = decode(join([(0x0100, b"\xf0\x0f"), (0x0110, b"\x05\0"), (0x0800, b"\x01\x01")]))
        assert received == Command(0x0FF0, message_id=5)
        assert received.quirks == ("command field 0x0FF0 is not known",)


class TestRefused:
    """What is no command set at all."""

    @pytest.mark.parametrize(
        "data, why",
        [
            (b"", "without Command Field"),
            (b"\0\0", "in the middle of an element, after 2 bytes"),
            (bytes(12), "in the middle of an element, after 4 bytes"),
            (struct.pack("<HHI", 0, 2, 0xFFFFFFFF) + b"1.2\0", "undefined length"),
            (struct.pack("<HHI", 0, 2, 5) + b"1.2\0", "has 5 bytes, but 4 are left"),
            (b"\0\0\0\0UL\x04\0\x38\0\0\0", "Explicit VR"),
            (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", "of a command set has"),
        ],
    )
    def test_other_bytes(self, data: bytes, why: str) -> None:
        with pytest.raises(RemoteProtocolError, match=why):
            decode(data)

    def test_explicit_vr(self) -> None:
        data_set = as_data_set(sample(CommandField.C_STORE_RQ))
        buffer = DicomBytesIO()
        buffer.is_little_endian = True
        buffer.is_implicit_VR = False
        write_dataset(buffer, data_set)
        with pytest.raises(RemoteProtocolError, match="Explicit VR"):
            decode(buffer.getvalue())

    @pytest.mark.parametrize(
        "data",
        [
            element(0x0110, b"") * 100,
            element(0x0110, b"\0\0") * 100,
            element(0x5010, b"a") * 100,
            b"".join(element(0x5000 + number, b"") for number in range(100)),
            b"".join(element(number << 16, b"") for number in range(1, 100)),
        ],
    )
    def test_oddities_without_end(self, data: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="too many oddities"):
            decode(data)

    @pytest.mark.parametrize("field", CommandField)
    def test_every_message_cut_at_every_length(self, field: CommandField) -> None:
        assert_every_cut_is_told(encode(sample(field)))

    @pytest.mark.parametrize("name", VECTORS)
    def test_every_vector_cut_at_every_length(self, name: str) -> None:
        assert_every_cut_is_told(VECTORS[name])

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        check_only_remote_errors(data)

    @given(st.lists(st.tuples(st.sampled_from([*ELEMENTS, 0x0001, 0x5010, 0x00080018]), st.binary(max_size=12))))
    def test_any_elements(self, elements: list[tuple[int, bytes]]) -> None:
        check_only_remote_errors(b"".join(element(tag, value) for tag, value in elements))

    @given(messages(), st.data())
    def test_any_byte_changed(self, command: Command, data: st.DataObject) -> None:
        raw = bytearray(encode(command))
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        check_only_remote_errors(bytes(raw))


def assert_every_cut_is_told(data: bytes) -> None:
    """No beginning of a message passes as a message without a word."""
    for size in range(len(data)):
        assert oddities(data[:size])


def oddities(data: bytes) -> tuple[str, ...]:
    """The quirks of a message, or why it is none."""
    try:
        return decode(data).quirks
    except RemoteProtocolError as error:
        return (str(error),)


def check_only_remote_errors(data: bytes) -> None:
    """Decoding ends in a command with a bounded number of quirks, or in a `RemoteProtocolError`."""
    try:
        command = decode(data)
    except RemoteProtocolError:
        return
    assert 0 <= command.field <= 0xFFFF
    assert command.name
    assert len(command.quirks) < 4 * commands.MAX_QUIRKS
