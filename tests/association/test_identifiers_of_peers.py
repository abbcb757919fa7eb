"""Identifiers and commands of peers that are wrong or odd: junk reaches no handler, and the association stands."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import STUDY_ROOT, Application, FindRequest, InvalidIdentifier, Limits, RetrieveRequest, query, sop
from dicomio.datasets import encode
from dicomio.identifiers import dataset
from dicomio.sop import COMPOSITE_INSTANCE_ROOT
from dicomio.testing import connected
from dicomio.wire.commands import Command
from tests.association.peers import ScriptedPeer, echo_rq, scripted_requestor
from tests.association.querying import (
    ECHO_ID,
    FIND_ID,
    GET_ID,
    KEYS,
    MOVE_ID,
    QUERYING,
    STUDY_KEYS,
    STUDY_UID,
    SYNTAX,
    cancel_rq,
    find_rq,
    get_rq,
    hear_final,
    move_rq,
)

SERVICES = {"find": (find_rq, FIND_ID), "get": (get_rq, GET_ID), "move": (move_rq, MOVE_ID)}
EVERY_SERVICE = pytest.mark.parametrize("make, context_id", SERVICES.values(), ids=SERVICES)

LEVEL, PATIENT_ID, STUDY_INSTANCE_UID = 0x00080052, 0x00100020, 0x0020000D


def element(tag: int, vr: str, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian, whatever its value."""
    number = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    long = vr in ("SQ", "UN", "OB", "UT")
    length = b"\0\0" + len(value).to_bytes(4, "little") if long else len(value).to_bytes(2, "little")
    return number + vr.encode() + length + value


STUDY_LEVEL = element(LEVEL, "CS", b"STUDY ")
UID_KEY = element(STUDY_INSTANCE_UID, "UI", b"1.2\0")


def deep(levels: int) -> bytes:
    """Sequences in sequences."""
    nested = b""
    for _ in range(levels):
        item = b"\xfe\xff\x00\xe0" + len(nested).to_bytes(4, "little") + nested
        nested = element(0x00081140, "SQ", item)
    return nested


class Served:
    """An application for find, get and move that notes the identifiers it was asked with."""

    def __init__(self) -> None:
        self.app = Application("APP", destinations={"DESTINATION": "DESTINATION@127.0.0.1:1"})
        self.requests: list[FindRequest | RetrieveRequest] = []
        for register in (self.app.find, self.app.get, self.app.move):
            register(STUDY_ROOT)(self.handle)

    async def handle(self, request: FindRequest | RetrieveRequest) -> Sequence[Any]:
        self.requests.append(request)
        return []

    async def say(
        self, command: Command, data: bytes | None, context_id: int, *, limits: Limits | None = None
    ) -> Command:
        """The final response to a request; the next one finds the association in order."""
        async with scripted_requestor(self.app, contexts=QUERYING, limits=limits) as (association, peer):
            command.has_data_set = data is not None
            peer.say(command, data, context_id)
            final, pending = await hear_final(peer)
            assert pending == []
            await check_served(peer)
            assert association.is_established
        return final


async def check_served(peer: ScriptedPeer) -> None:
    peer.say(echo_rq(99), context_id=ECHO_ID)
    command = await peer.hear_command()
    assert (command.responding_to, command.status) == (99, 0)


# refused


@EVERY_SERVICE
@pytest.mark.parametrize(
    "data, comment",
    [
        (b"", "no Query/Retrieve Level"),
        (UID_KEY, "no Query/Retrieve Level"),
        (element(LEVEL, "CS", b"") + UID_KEY, "no Query/Retrieve Level"),
        (element(LEVEL, "CS", b"PATIENT ") + UID_KEY, "Query/Retrieve Level 'PATIENT'"),
        (element(LEVEL, "CS", b"SHELF ") + UID_KEY, "Query/Retrieve Level 'SHELF'"),
        (element(LEVEL, "CS", b"STUDY\\SERIES") + UID_KEY, "Query/Retrieve Level"),
    ],
)
async def test_missing_or_illegal_level(
    make: Callable[[], Command], context_id: int, data: bytes, comment: str
) -> None:
    """PS3.4 C.4.1.1.4: Identifier does not match SOP Class."""
    served = Served()
    final = await served.say(make(), data, context_id)
    assert final.status == 0xA900
    assert final.offending_elements == (LEVEL,)
    assert final.error_comment is not None
    assert final.error_comment.startswith(comment)
    assert served.requests == []


@EVERY_SERVICE
@pytest.mark.parametrize(
    "data, offending",
    [
        (element(0x00080020, "UI", b"1.2\0"), 0x00080020),
        (element(0x00100010, "SQ", b""), 0x00100010),
        (element(0x00280010, "US", b"\1\0\0"), 0x00280010),
        (element(0x00200013, "IS", b"many"), 0x00200013),
        (element(0x00181151, "DS", b"abcd"), 0x00181151),
        (element(0x00081140, "LO", b"text"), 0x00081140),
    ],
)
async def test_a_key_of_the_wrong_vr_or_without_sense(
    make: Callable[[], Command], context_id: int, data: bytes, offending: int
) -> None:
    served = Served()
    elements = sorted([STUDY_LEVEL, UID_KEY, data], key=lambda each: (each[1], each[0], each[3], each[2]))
    final = await served.say(make(), b"".join(elements), context_id)
    assert (final.status, final.offending_elements) == (0xA900, (offending,))
    assert final.error_comment
    assert served.requests == []


async def test_a_nested_key_of_the_wrong_vr() -> None:
    served = Served()
    item = element(0x00080060, "UI", b"1.2\0")
    item = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    final = await served.say(find_rq(), STUDY_LEVEL + element(0x00400100, "SQ", item), FIND_ID)
    assert (final.status, final.offending_elements) == (0xA900, (0x00080060,))
    assert served.requests == []


@EVERY_SERVICE
@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 40,
        b"STUDY",
        STUDY_LEVEL + UID_KEY[:-1],
        STUDY_LEVEL + b"\x20\0\x0d\0UI\xff\xff1.2\0",
        STUDY_LEVEL + element(0x00081140, "SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\x7f"),
        STUDY_LEVEL + deep(500),
    ],
)
async def test_an_identifier_that_cannot_be_decoded(make: Callable[[], Command], context_id: int, data: bytes) -> None:
    """PS3.4 C.4.1.1.4: Unable to process."""
    served = Served()
    final = await served.say(make(), data, context_id)
    assert final.status == 0xC000
    assert final.error_comment
    assert served.requests == []


@EVERY_SERVICE
async def test_no_identifier_at_all(make: Callable[[], Command], context_id: int) -> None:
    served = Served()
    command = make()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        whole = peer.upper.command(context_id, command)
        present, absent = b"\0\0\0\x08\x02\0\0\0\1\0", b"\0\0\0\x08\x02\0\0\0\1\1"
        assert present in whole
        peer.say_bytes(whole.replace(present, absent))
        final = await peer.hear_command()
        assert (final.status, final.error_comment) == (0xC000, "no identifier")
        await check_served(peer)
    assert served.requests == []


@EVERY_SERVICE
async def test_an_identifier_that_is_announced_and_not_sent(make: Callable[[], Command], context_id: int) -> None:
    """The next command tells that it will not come; the request is answered all the same."""
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (association, peer):
        peer.say_bytes(peer.upper.command(context_id, make()))
        peer.say(echo_rq(99), context_id=ECHO_ID)
        answers = {command.responding_to: command for command in [await peer.hear_command(), await peer.hear_command()]}
        assert (answers[1].status, answers[99].status) == (0xC000, 0)
        assert "announced a data set and did not send it" in association.quirks
    assert served.requests == []


@EVERY_SERVICE
async def test_an_identifier_longer_than_the_limit(make: Callable[[], Command], context_id: int) -> None:
    served = Served()
    data = STUDY_LEVEL + element(0x00104000, "LT", b"x" * 5000) + UID_KEY
    final = await served.say(make(), data, context_id, limits=Limits(data_set=4096))
    assert final.status == 0xA700
    assert served.requests == []


@pytest.mark.parametrize(
    "level, missing",
    [("STUDY", STUDY_INSTANCE_UID), ("SERIES", 0x0020000E), ("IMAGE", 0x00080018)],
)
@pytest.mark.parametrize("service", ["get", "move"])
async def test_a_retrieval_has_to_name_what_it_wants(service: str, level: str, missing: int) -> None:
    """PS3.4 C.4.2.1.4: the Unique Key of the level, a UID or a list of them."""
    make, context_id = SERVICES[service]
    for keys in ({}, {"PatientID": "1"}, {"StudyInstanceUID": "", "SeriesInstanceUID": "", "SOPInstanceUID": ""}):
        served = Served()
        final = await served.say(make(), encode(query(level, **keys), SYNTAX), context_id)
        assert (final.status, final.offending_elements) == (0xA900, (missing,))
        assert served.requests == []


async def test_frames_are_named_by_their_instance() -> None:
    app, requests = Application("APP"), []

    @app.get(COMPOSITE_INSTANCE_ROOT)
    async def get(request: RetrieveRequest) -> Sequence[Any]:
        requests.append(request.level)
        return []

    async with connected(app) as association:
        frame = query("FRAME", SOPInstanceUID="1.2.3", SimpleFrameList=[1])
        assert (await association.get(frame, model=COMPOSITE_INSTANCE_ROOT)).total == 0
    assert requests == ["FRAME"]


# odd, and served


@pytest.mark.parametrize(
    "level", [b"STUDY ", b"STUDY\0", b" STUDY", b"STUDY     "], ids=["space", "nul", "leading", "spaces"]
)
async def test_a_level_with_padding(level: bytes) -> None:
    served = Served()
    final = await served.say(find_rq(), element(LEVEL, "CS", level) + UID_KEY, FIND_ID)
    assert final.status == 0
    assert served.requests[0].level == "STUDY"


@pytest.mark.parametrize(
    "data",
    [
        element(0x00090010, "LO", b"VENDOR") + element(0x00091001, "LO", b"secret"),
        element(0x00091001, "UN", b"without creator "),
        element(0x00080062, "UI", b""),
        element(0x0008FFFF, "UN", b""),
        element(0x00080020, "UN", b"20240101"),
        element(0x00080061, "CS", b"CT\\MR "),
        element(0x00081140, "SQ", b""),
        element(0x00081140, "SQ", b"\xfe\xff\x00\xe0\0\0\0\0"),
    ],
)
async def test_keys_that_nobody_knows_reach_the_handler(data: bytes) -> None:
    served = Served()
    final = await served.say(find_rq(), STUDY_LEVEL + data + UID_KEY, FIND_ID)
    assert final.status == 0
    assert served.requests[0].identifier.StudyInstanceUID == "1.2"


@pytest.mark.filterwarnings("ignore:Invalid value for VR IS")
async def test_a_number_with_a_decimal_point() -> None:
    served = Served()
    final = await served.say(find_rq(), STUDY_LEVEL + element(0x00200013, "IS", b"1.0 "), FIND_ID)
    assert final.status == 0
    assert served.requests[0].identifier.InstanceNumber == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "charset, value, name",
    [
        (b"", "Müller".encode(), None),
        (b"ISO_IR 999", "Müller".encode(), None),
        (b"ISO_IR 192", "Müller".encode("latin-1") + b" ", None),
        (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
    ],
)
async def test_character_sets_that_are_empty_unknown_or_wrong(charset: bytes, value: bytes, name: str | None) -> None:
    served = Served()
    value += b" " * (len(value) % 2)
    data = element(0x00080005, "CS", charset) + STUDY_LEVEL + element(0x00100010, "PN", value) + UID_KEY
    final = await served.say(find_rq(), data, FIND_ID)
    assert final.status == 0
    found = str(served.requests[0].identifier.PatientName)
    assert found.startswith("M")
    assert name in (None, found)


async def test_an_identifier_in_implicit_vr_where_explicit_was_agreed() -> None:
    served = Served()
    data = encode(query("STUDY", StudyInstanceUID="1.2.3"), sop.ImplicitVRLittleEndian)
    final = await served.say(find_rq(), data, FIND_ID)
    assert final.status == 0
    assert served.requests[0].identifier.StudyInstanceUID == "1.2.3"


@pytest.mark.parametrize("service", ["get", "move"])
async def test_a_list_of_uids(service: str) -> None:
    served = Served()
    make, context_id = SERVICES[service]
    final = await served.say(make(), encode(query("STUDY", StudyInstanceUID=["1.2", "1.3"]), SYNTAX), context_id)
    assert final.status == 0
    assert served.requests[0].identifier.StudyInstanceUID == ["1.2", "1.3"]


# commands


def without(message: bytes, tag: bytes, length: int) -> bytes:
    """The same message with one element of its command turned into one that does not exist."""
    found = tag + length.to_bytes(4, "little")
    assert message.count(found) == 1
    return message.replace(found, b"\0\0\x77\x77" + length.to_bytes(4, "little"))


@EVERY_SERVICE
async def test_a_request_without_a_priority(make: Callable[[], Command], context_id: int) -> None:
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        message = peer.upper.message(context_id, make(), STUDY_KEYS)
        peer.say_bytes(without(message, b"\0\0\0\x07", 2))
        assert (await peer.hear_command()).status == 0
        assert served.requests[0].priority is None
        await check_served(peer)


@EVERY_SERVICE
async def test_a_request_without_a_sop_class(make: Callable[[], Command], context_id: int) -> None:
    """It is that of its presentation context."""
    served = Served()
    command = make()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        message = peer.upper.message(context_id, command, STUDY_KEYS)
        uid = command.affected_sop_class_uid or ""
        peer.say_bytes(without(message, b"\0\0\2\0", len(uid) + len(uid) % 2))
        assert (await peer.hear_command()).status == 0
        assert served.requests[0].sop_class_uid == uid
        assert served.requests[0].model is STUDY_ROOT
        await check_served(peer)


@pytest.mark.parametrize("to", ["", "  ", "NOBODY", "destination"])
async def test_a_destination_that_is_not_known(to: str) -> None:
    """PS3.4 C.4.2.1.5: 0xA801 Refused: Move Destination unknown."""
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        message = peer.upper.message(MOVE_ID, move_rq(to="DESTINATION"), STUDY_KEYS)
        padded = to.encode().ljust(12)
        assert message.count(b"DESTINATION ") == 1
        peer.say_bytes(message.replace(b"DESTINATION ", padded))
        final = await peer.hear_command()
        assert final.status == 0xA801
        assert final.error_comment == f"{to.strip()!r} is not a destination known here"
        assert (final.completed, final.failed, final.warning, final.remaining) == (None, None, None, None)
        await check_served(peer)
    assert served.requests == []


async def test_a_move_without_a_destination() -> None:
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        message = peer.upper.message(MOVE_ID, move_rq(), STUDY_KEYS)
        peer.say_bytes(without(message, b"\0\0\0\x06", 12))
        assert (await peer.hear_command()).status == 0xA801
        await check_served(peer)
    assert served.requests == []


async def test_a_destination_padded_with_nul() -> None:
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (_, peer):
        message = peer.upper.message(MOVE_ID, move_rq(), STUDY_KEYS)
        peer.say_bytes(message.replace(b"DESTINATION ", b"DESTINATION\0"))
        assert (await peer.hear_command()).status == 0


async def test_the_same_message_id_again_while_the_first_is_served() -> None:
    """PS3.7 C.5.8: Duplicate Invocation. The window is one, so that the second waits for its turn, and is served."""
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (association, peer):
        peer.say(find_rq(1), KEYS, FIND_ID)
        peer.say(find_rq(1), KEYS, FIND_ID)
        assert [(await peer.hear_command()).status for _ in range(2)] == [0, 0]
        assert association.is_established


async def test_requests_on_contexts_of_other_services() -> None:
    """A C-FIND on the context of C-GET has no handler there."""
    served = Served()
    final = await served.say(find_rq(), KEYS, GET_ID)
    assert final.status == 0x0211
    assert served.requests == []


async def test_cancels_of_what_cannot_be_cancelled() -> None:
    served = Served()
    async with scripted_requestor(served.app, contexts=QUERYING) as (association, peer):
        for message_id in (0, 1, 65535):
            peer.say(cancel_rq(message_id), context_id=ECHO_ID)
        await check_served(peer)
        assert association.is_established


# what handlers and middleware may do about it


async def test_a_handler_may_refuse_keys_with_the_same_exception() -> None:
    app = Application("APP")

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> Sequence[Dataset]:
        if "PatientID" in request.identifier:
            raise InvalidIdentifier(0xA900, "ask without", offending=[PATIENT_ID])
        return []

    async with connected(app) as association:
        assert await association.find(query("STUDY", StudyInstanceUID=STUDY_UID)) == []
        matches = association.find(query("STUDY", PatientID=""))
        with pytest.raises(Exception, match=r"0xA900 .*: ask without"):
            await matches
        assert matches.response is not None
        assert matches.response.offending_elements == (PATIENT_ID,)


async def test_middleware_may_look_at_the_identifier_and_its_defect() -> None:
    served, seen = Served(), []

    @served.app.middleware
    async def watch(request: Any, call_next: Callable[[Any], Any]) -> Any:
        if isinstance(request, FindRequest):
            try:
                seen.append(request.identifier.StudyInstanceUID)
            except InvalidIdentifier as error:
                seen.append(error.offending)
        return await call_next(request)

    await served.say(find_rq(), encode(dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2"), SYNTAX), FIND_ID)
    await served.say(find_rq(), encode(dataset(QueryRetrieveLevel="SHELF"), SYNTAX), FIND_ID)
    assert seen == ["1.2", (LEVEL,)]
    assert len(served.requests) == 1
