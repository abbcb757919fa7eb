"""Printers keep count of what there is, whatever they are asked for and in whatever order (PS3.4 H.4)."""

import struct
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicomio import Answer, Association, PresentationContext, Response, Status, StatusError, dataset, sop
from dicomio.wire.commands import Command, CommandField
from dicomio.workflows.printing.attributes import IMAGE_PIXEL
from tests.association.peers import settled
from tests.workflows.printers import META, Peer, Printing, box, connect

SESSIONS = ("1.2.1", "1.2.2")
FILMS = ("1.3.1", "1.3.2", "1.3.3")
# Messages as they may come, with the instance that each is about.
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["create", "set", "print", "delete"]), st.sampled_from(SESSIONS + FILMS)),
    st.tuples(st.just("image"), st.sampled_from(FILMS)),
)
REFUSALS = (Status.INVALID_ATTRIBUTE_VALUE, Status.MISSING_ATTRIBUTE, Status.MISSING_ATTRIBUTE_VALUE)
PIXEL_MODULE = [Tag(keyword) for keyword in IMAGE_PIXEL]


@dataclass
class Model:
    """What a printer has, as the tables of PS3.4 H.4 have it."""

    session: str = ""
    films: dict[str, bool] = field(default_factory=dict)

    def status(self, operation: str, uid: str) -> int:
        """What a message leads to, and what it is answered with."""
        if operation == "create":
            return self.create_session(uid) if uid in SESSIONS else self.create_film(uid)
        if uid not in (self.session, *self.films):
            return Status.NO_SUCH_SOP_INSTANCE
        if operation == "print":
            return self.print(uid)
        if operation == "image":
            self.films[uid] = True
        elif operation == "delete" and uid == self.session:
            self.session, self.films = "", {}
        elif operation == "delete":
            del self.films[uid]
        return Status.SUCCESS

    def create_session(self, uid: str) -> int:
        if self.session:
            return Status.RESOURCE_LIMITATION
        self.session = uid
        return Status.SUCCESS

    def create_film(self, uid: str) -> int:
        if uid in self.films:
            return Status.DUPLICATE_SOP_INSTANCE
        if not self.session:
            return Status.INVALID_ATTRIBUTE_VALUE
        self.films[uid] = False
        return Status.SUCCESS

    def print(self, uid: str) -> int:
        if uid in self.films:
            return Status.SUCCESS if self.films[uid] else Status.FILM_BOX_EMPTY_PAGE
        if not self.films:
            return Status.FILM_SESSION_WITHOUT_FILM_BOXES
        return Status.SUCCESS if any(self.films.values()) else Status.FILM_SESSION_EMPTY_PAGE


class Driver:
    """Sends what the model is told of."""

    def __init__(self, association: Association) -> None:
        self.peer = Peer(association)
        self.images: dict[str, str] = {}

    async def status(self, operation: str, uid: str, session: str) -> int:
        return int((await answer_to(self.send(operation, uid, session))).status)

    async def send(self, operation: str, uid: str, session: str) -> Any:
        sop_class = sop.BasicFilmSession if uid in SESSIONS else sop.BasicFilmBox
        if operation == "create" and uid in SESSIONS:
            return await self.peer.session(uid)
        if operation == "create":
            film = await self.peer.film(uid, session=session or "1.2.9", ImageDisplayFormat=r"STANDARD\1,1")
            self.images[uid] = film.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID
            return film
        if operation == "image":
            return await self.peer.set(sop.BasicGrayscaleImageBox, self.images.get(uid, "1.2.9"), box())
        if operation == "set":
            return await self.peer.set(sop_class, uid, dataset(SpecificCharacterSet="ISO_IR 100"))
        if operation == "print":
            return await self.peer.print(uid, sop_class)
        return await self.peer.delete(uid, sop_class)


@given(st.lists(OPERATIONS, max_size=25))
@example([("create", "1.2.1"), ("create", "1.3.1"), ("image", "1.3.1"), ("print", "1.3.1"), ("delete", "1.2.1")])
async def test_every_order_of_messages(operations: list[tuple[str, str]]) -> None:
    printing, model = Printing(), Model()
    printed = 0
    async with connect(printing, contexts=[META]) as association:
        driver = Driver(association)
        for operation, uid in operations:
            session = model.session
            expected = model.status(operation, uid)
            assert await driver.status(operation, uid, session) == expected, (operation, uid)
            printed += operation == "print" and not Status(expected).is_failure
        held = next(iter(printing.provider.holdings.values()), None)
        assert held is None or (held.session_uid, set(held.films)) == (model.session, set(model.films))
    await settled()
    assert (printing.provider.used, printing.provider.holdings) == (0, {})
    assert len(printing.printed) == printed


def wrong(tag: int, vr: str, value: Any) -> Dataset:
    """A data set with an element that is not what it should be."""
    ds = Dataset()
    ds.add_new(tag, vr, value)
    return ds


@pytest.mark.parametrize(
    "attributes",
    [
        wrong(0x20100010, "US", 7),
        wrong(0x20100500, "LO", "1.2.1"),
        wrong(0x20100130, "DS", "1.5"),
        wrong(0x00091001, "UT", "1" * 70_000),
        wrong(0x20100010, "OB", bytes(70_000)),
        wrong(0x20000010, "LO", "many"),
    ],
)
async def test_elements_that_make_no_sense(attributes: Dataset) -> None:
    async with connect(Printing()) as association:
        peer = Peer(association)
        await peer.session()
        reference = {"ReferencedSOPClassUID": sop.BasicFilmSession, "ReferencedSOPInstanceUID": "1.2.1"}
        film = dataset(ImageDisplayFormat=r"STANDARD\1,1", ReferencedFilmSessionSequence=[reference])
        film.update(attributes)
        with pytest.raises(StatusError) as raised:
            await association.n_create(sop.BasicFilmBox, "1.3.1", film, negotiated_as=META)
        assert raised.value.status == Status.INVALID_ATTRIBUTE_VALUE
        assert raised.value.response.attribute_identifiers == (next(iter(attributes.keys())),)


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian, of a VR with long values (PS3.5 7.1.2)."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


def encoded(pixels: dict[int, bytes]) -> bytes:
    """An image box of these elements, whatever their values."""
    item = b"".join(element(tag, b"UN", value) for tag, value in sorted(pixels.items()))
    items = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
    position = element(Tag("ImageBoxPosition"), b"UN", b"\1\0")
    return position + element(Tag("BasicGrayscaleImageSequence"), b"SQ", items)


@given(st.dictionaries(st.sampled_from(PIXEL_MODULE), st.binary(max_size=9) | st.sampled_from([b"\1\0", b"\x08\0"])))
@example(dict.fromkeys(PIXEL_MODULE, b""))
@example({**dict.fromkeys(PIXEL_MODULE, b"\1\0"), Tag("PixelRepresentation"): b"\0\0"})
async def test_no_image_makes_a_printer_stumble(pixels: dict[int, bytes]) -> None:
    """Whatever an item consists of, the answer names what is wrong with it."""
    async with connect(Printing(), contexts=[PresentationContext(META, (ExplicitVRLittleEndian,))]) as association:
        peer = Peer(association)
        await peer.session()
        film = await peer.film(ImageDisplayFormat=r"STANDARD\1,1")
        uid = film.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID
        command = Command(
            CommandField.N_SET_RQ, requested_sop_class_uid=sop.BasicGrayscaleImageBox, requested_sop_instance_uid=uid
        )
        command.has_data_set = True
        (context,) = association.contexts.values()
        response = (await association.request(context, command, encoded(pixels))).command
        assert response.status in REFUSALS
        assert set(response.attribute_identifiers) <= set(PIXEL_MODULE)
        assert response.attribute_identifiers
        assert association.is_established


async def answer_to(request: Awaitable[Answer | Response]) -> Any:
    """The response to a request, whatever it is."""
    try:
        answer = await request
    except StatusError as error:
        return error.response
    return answer.response if isinstance(answer, Answer) else answer
