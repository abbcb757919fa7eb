"""Being a printer: the rules of PS3.4 H.4, and what peers get that break them."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from dicomio import (
    Association,
    PresentationContext,
    Status,
    StatusError,
    dataset,
    sop,
)
from dicomio.wire import commands
from dicomio.wire.commands import CommandField
from dicomio.workflows.printing.attributes import MOST_IMAGE_BOXES, image_boxes
from tests.association.peers import settled
from tests.workflows.printers import (
    CONTEXTS,
    FILM,
    META,
    SESSION,
    Peer,
    Printing,
    box,
    connect,
    holding,
    item,
    refused,
    tags,
)

COLOR_META = sop.BasicColorPrintManagementMeta
ACTION, DELETE, SET = CommandField.N_ACTION_RQ, CommandField.N_DELETE_RQ, CommandField.N_SET_RQ
PIXELS = "BasicGrayscaleImageSequence"


@pytest.fixture
def printing() -> Printing:
    return Printing()


@pytest.fixture
async def association(printing: Printing) -> AsyncIterator[Association]:
    async with connect(printing) as association:
        yield association


@pytest.fixture
def peer(association: Association) -> Peer:
    return Peer(association)


@pytest.fixture
async def image(peer: Peer) -> str:
    """The SOP Instance UID of the first of two image boxes on a film."""
    await peer.session()
    film = await peer.film()
    return str(film.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID)


class TestFilmSessions:
    """PS3.4 H.4.1"""

    async def test_attributes_get_values(self, peer: Peer) -> None:
        answer = await peer.session(NumberOfCopies=2, FilmSessionLabel="Ward 3")
        assert (answer.NumberOfCopies, answer.FilmSessionLabel, answer.PrintPriority) == (2, "Ward 3", "MED")
        assert answer.response.sop_instance_uid == SESSION

    async def test_a_uid_is_assigned(self, peer: Peer) -> None:
        uid = (await peer.session(None)).response.sop_instance_uid
        assert uid is not None
        assert (await peer.film(session=uid)).status == Status.SUCCESS

    async def test_defaults_of_the_printer(self) -> None:
        printing = Printing(defaults={"MediumType": "BLUE FILM", "FilmSizeID": "14INX17IN", "MaxDensity": 320})
        async with connect(printing) as association:
            peer = Peer(association)
            assert (await peer.session()).MediumType == "BLUE FILM"
            film = await peer.film(MaxDensity=280)
            assert (film.FilmSizeID, film.MaxDensity) == ("14INX17IN", 280)

    async def test_memory_allocation_is_not_supported(self, peer: Peer) -> None:
        assert (await peer.session(MemoryAllocation=100)).status == Status.MEMORY_ALLOCATION_NOT_SUPPORTED

    async def test_there_is_one_at_a_time(self, peer: Peer) -> None:
        await peer.session()
        with pytest.raises(StatusError) as raised:
            await peer.session("1.2.9")
        assert refused(raised) == (Status.RESOURCE_LIMITATION, [])
        await peer.delete(SESSION, sop.BasicFilmSession)
        await peer.session("1.2.9")

    @pytest.mark.parametrize(
        "elements", [{"NumberOfCopies": 0}, {"NumberOfCopies": [1, 2]}, {"PrintPriority": "URGENT"}]
    )
    async def test_values_that_are_none(self, peer: Peer, elements: dict[str, Any]) -> None:
        with pytest.raises(StatusError) as raised:
            await peer.session(**elements)
        assert refused(raised) == (Status.INVALID_ATTRIBUTE_VALUE, tags(*elements))

    async def test_changes(self, peer: Peer, printing: Printing) -> None:
        await peer.session()
        await peer.film()
        await peer.set(sop.BasicFilmSession, SESSION, dataset(NumberOfCopies=4))
        await peer.print()
        await printing.finished()
        assert [request.copies for request in printing.printed] == [4]

    async def test_deletion_takes_everything_along(self, peer: Peer, image: str, printing: Printing) -> None:
        await peer.set(sop.BasicGrayscaleImageBox, image, box())
        assert printing.provider.used > 0
        await peer.delete(SESSION, sop.BasicFilmSession)
        assert printing.provider.used == 0
        with pytest.raises(StatusError) as raised:
            await peer.set(sop.BasicGrayscaleImageBox, image, box())
        assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    @pytest.mark.parametrize("uid", [SESSION, "1.2.9"])
    async def test_one_that_there_is_not(self, peer: Peer, uid: str) -> None:
        if uid != SESSION:
            await peer.session()
        for request in (
            peer.set(sop.BasicFilmSession, uid, dataset(NumberOfCopies=1)),
            peer.print(uid, sop.BasicFilmSession),
            peer.delete(uid, sop.BasicFilmSession),
        ):
            with pytest.raises(StatusError) as raised:
                await request
            assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    async def test_printing_without_films(self, peer: Peer) -> None:
        await peer.session()
        with pytest.raises(StatusError) as raised:
            await peer.print(SESSION, sop.BasicFilmSession)
        assert refused(raised) == (Status.FILM_SESSION_WITHOUT_FILM_BOXES, [])

    async def test_printing_empty_films(self, peer: Peer, printing: Printing) -> None:
        await peer.session()
        await peer.film()
        await peer.film("1.2.3")
        answer = await peer.print(SESSION, sop.BasicFilmSession)
        assert answer.status == Status.FILM_SESSION_EMPTY_PAGE
        await printing.finished()
        assert [len(request.films) for request in printing.printed] == [2]


class TestFilmBoxes:
    """PS3.4 H.4.2"""

    async def test_image_boxes_come_with_it(self, peer: Peer) -> None:
        await peer.session()
        film = await peer.film(ImageDisplayFormat=r"COL\2,3,1")
        boxes = film.ReferencedImageBoxSequence
        assert {each.ReferencedSOPClassUID for each in boxes} == {sop.BasicGrayscaleImageBox}
        assert len({each.ReferencedSOPInstanceUID for each in boxes}) == 6
        assert (film.ImageDisplayFormat, film.FilmOrientation) == (r"COL\2,3,1", "PORTRAIT")

    async def test_in_color(self, association: Association) -> None:
        peer = Peer(association, COLOR_META)
        await peer.session()
        film = await peer.film()
        assert {each.ReferencedSOPClassUID for each in film.ReferencedImageBoxSequence} == {sop.BasicColorImageBox}

    @pytest.mark.parametrize(
        "elements, status, blamed",
        [
            ({"ImageDisplayFormat": ...}, Status.MISSING_ATTRIBUTE, "ImageDisplayFormat"),
            ({"ImageDisplayFormat": None}, Status.MISSING_ATTRIBUTE_VALUE, "ImageDisplayFormat"),
            ({"ImageDisplayFormat": "NONE"}, Status.INVALID_ATTRIBUTE_VALUE, "ImageDisplayFormat"),
            ({"ImageDisplayFormat": "SLIDE"}, Status.INVALID_ATTRIBUTE_VALUE, "ImageDisplayFormat"),
            ({"ReferencedFilmSessionSequence": ...}, Status.MISSING_ATTRIBUTE, "ReferencedFilmSessionSequence"),
            ({"ReferencedFilmSessionSequence": []}, Status.MISSING_ATTRIBUTE_VALUE, "ReferencedFilmSessionSequence"),
            (
                {"ReferencedFilmSessionSequence": [{"ReferencedSOPInstanceUID": "1.2.9"}]},
                Status.INVALID_ATTRIBUTE_VALUE,
                "ReferencedFilmSessionSequence",
            ),
            (
                {"ReferencedPresentationLUTSequence": [{"ReferencedSOPInstanceUID": "1.2.9"}]},
                Status.INVALID_ATTRIBUTE_VALUE,
                "ReferencedPresentationLUTSequence",
            ),
            ({"FilmOrientation": "UPWARD"}, Status.INVALID_ATTRIBUTE_VALUE, "FilmOrientation"),
            ({"Trim": "MAYBE"}, Status.INVALID_ATTRIBUTE_VALUE, "Trim"),
        ],
    )
    async def test_what_is_refused(self, peer: Peer, elements: dict[str, Any], status: Status, blamed: str) -> None:
        await peer.session()
        with pytest.raises(StatusError) as raised:
            await peer.film(**elements)
        assert refused(raised) == (status, tags(blamed))

    async def test_without_a_session(self, peer: Peer) -> None:
        with pytest.raises(StatusError) as raised:
            await peer.film()
        assert refused(raised) == (Status.INVALID_ATTRIBUTE_VALUE, tags("ReferencedFilmSessionSequence"))

    @pytest.mark.parametrize("uid", [SESSION, FILM])
    async def test_a_uid_that_is_taken(self, peer: Peer, uid: str) -> None:
        await peer.session()
        await peer.film()
        with pytest.raises(StatusError) as raised:
            await peer.film(uid)
        assert refused(raised) == (Status.DUPLICATE_SOP_INSTANCE, [])

    async def test_formats_of_the_printer(self) -> None:
        printing = Printing(layouts={"SLIDE": 12, r"CUSTOM\1": 3})
        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            for uid, display_format, count in (("1.2.5", "SLIDE", 12), ("1.2.6", r"CUSTOM\1", 3)):
                film = await peer.film(uid, ImageDisplayFormat=display_format)
                assert len(film.ReferencedImageBoxSequence) == count

    async def test_changes(self, peer: Peer, printing: Printing) -> None:
        await peer.session()
        await peer.film()
        changes = dataset(MaxDensity=250, ImageDisplayFormat=r"STANDARD\1,2", Trim="YES")
        await peer.set(sop.BasicFilmBox, FILM, changes)
        await peer.print()
        await printing.finished()
        attributes = printing.printed[0].films[0].attributes
        assert (attributes.MaxDensity, attributes.Trim) == (250, "YES")

    @pytest.mark.parametrize("elements", [{"ImageDisplayFormat": r"STANDARD\2,2"}, {"FilmSizeID": "A3"}])
    async def test_what_cannot_be_changed(self, peer: Peer, elements: dict[str, Any]) -> None:
        await peer.session()
        await peer.film()
        with pytest.raises(StatusError) as raised:
            await peer.set(sop.BasicFilmBox, FILM, dataset(**elements))
        assert refused(raised) == (Status.INVALID_ATTRIBUTE_VALUE, tags(*elements))

    async def test_one_that_there_is_not(self, peer: Peer) -> None:
        await peer.session()
        for request in (peer.set(sop.BasicFilmBox, FILM, dataset(Trim="NO")), peer.print(), peer.delete(FILM)):
            with pytest.raises(StatusError) as raised:
                await request
            assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    async def test_deletion(self, peer: Peer, image: str, printing: Printing) -> None:
        before = printing.provider.used
        await peer.film("1.2.3")
        await peer.delete("1.2.3")
        assert printing.provider.used == before
        await peer.set(sop.BasicGrayscaleImageBox, image, box())

    async def test_there_are_not_too_many(self, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dicomio.workflows.printing.provider.MOST_FILMS", 1)
        await peer.session()
        await peer.film()
        with pytest.raises(StatusError) as raised:
            await peer.film("1.2.3")
        assert refused(raised) == (Status.RESOURCE_LIMITATION, [])

    async def test_an_empty_film(self, peer: Peer, printing: Printing) -> None:
        await peer.session()
        await peer.film()
        assert (await peer.print()).status == Status.FILM_BOX_EMPTY_PAGE
        await printing.finished()
        assert printing.printed[0].films[0].is_empty

    async def test_no_such_action(self, peer: Peer) -> None:
        await peer.session()
        await peer.film()
        with pytest.raises(StatusError) as raised:
            await peer.print(action=2)
        assert refused(raised) == (Status.NO_SUCH_ACTION_TYPE, [])

    async def test_what_is_printed_does_not_change_any_more(self, peer: Peer, image: str, printing: Printing) -> None:
        """PS3.4 H.4.2.2.4.3: the SCU may update the working instances without affecting previous print requests."""
        printing.gate.clear()
        await peer.set(sop.BasicGrayscaleImageBox, image, box(Polarity="NORMAL"))
        await peer.print()
        await peer.set(sop.BasicGrayscaleImageBox, image, box(Polarity="REVERSE"))
        await peer.set(sop.BasicFilmBox, FILM, dataset(MaxDensity=1))
        await peer.delete(SESSION, sop.BasicFilmSession)
        printing.gate.set()
        await printing.finished()
        (film,) = printing.printed[0].films
        assert (film.images[0].Polarity, film.attributes.MaxDensity) == ("NORMAL", 300)


class TestImageBoxes:
    """PS3.4 H.4.3"""

    @pytest.mark.parametrize("bits", [8, 12])
    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    async def test_gray(self, peer: Peer, image: str, printing: Printing, bits: int, photometric: str) -> None:
        pixels = item(3, 4, bits=bits, PhotometricInterpretation=photometric)
        await peer.set(sop.BasicGrayscaleImageBox, image, holding([pixels]))
        assert (await peer.print()).status == Status.SUCCESS
        await printing.finished()
        assert printing.printed[0].films[0].images[0].BasicGrayscaleImageSequence == [pixels]

    async def test_color(self, association: Association) -> None:
        peer = Peer(association, COLOR_META)
        await peer.session()
        film = await peer.film()
        uid = film.ReferencedImageBoxSequence[1].ReferencedSOPInstanceUID
        await peer.set(sop.BasicColorImageBox, uid, box(2, color=True))
        with pytest.raises(StatusError) as raised:
            await peer.set(sop.BasicColorImageBox, uid, box(2))
        assert refused(raised) == (Status.MISSING_ATTRIBUTE, tags("BasicColorImageSequence"))

    async def test_of_the_other_class(self, peer: Peer, image: str) -> None:
        with pytest.raises(StatusError) as raised:
            await Peer(peer.association, COLOR_META).set(sop.BasicColorImageBox, image, box(color=True))
        assert refused(raised) == (Status.CLASS_INSTANCE_CONFLICT, [])

    @pytest.mark.parametrize(
        "elements, status, blamed",
        [
            ({"ImageBoxPosition": None}, Status.MISSING_ATTRIBUTE_VALUE, ["ImageBoxPosition"]),
            ({"ImageBoxPosition": 2}, Status.INVALID_ATTRIBUTE_VALUE, ["ImageBoxPosition"]),
            ({PIXELS: [item(), item()]}, Status.INVALID_ATTRIBUTE_VALUE, [PIXELS]),
            ({PIXELS: [item(Rows=None)]}, Status.MISSING_ATTRIBUTE, ["Rows"]),
            ({PIXELS: [item(Rows=None, PixelData=None)]}, Status.MISSING_ATTRIBUTE, ["Rows", "PixelData"]),
            ({PIXELS: [item(PixelData=b"")]}, Status.MISSING_ATTRIBUTE_VALUE, ["PixelData"]),
            ({PIXELS: [item(Rows=9)]}, Status.INVALID_ATTRIBUTE_VALUE, ["Rows", "Columns", "PixelData"]),
            ({PIXELS: [item(Rows=[2, 2])]}, Status.INVALID_ATTRIBUTE_VALUE, ["Rows", "Columns"]),
            ({"Polarity": "ODD"}, Status.INVALID_ATTRIBUTE_VALUE, ["Polarity"]),
            ({"RequestedDecimateCropBehavior": "?"}, Status.INVALID_ATTRIBUTE_VALUE, ["RequestedDecimateCropBehavior"]),
            (
                {"ReferencedPresentationLUTSequence": [{"ReferencedSOPInstanceUID": "1.2.9"}]},
                Status.INVALID_ATTRIBUTE_VALUE,
                ["ReferencedPresentationLUTSequence"],
            ),
        ],
    )
    async def test_what_is_refused(
        self, peer: Peer, image: str, elements: dict[str, Any], status: Status, blamed: list[str]
    ) -> None:
        with pytest.raises(StatusError) as raised:
            await peer.set(sop.BasicGrayscaleImageBox, image, box(**elements))
        assert refused(raised) == (status, tags(*blamed))

    @pytest.mark.parametrize(
        "elements",
        [
            {"SamplesPerPixel": 3},
            {"PhotometricInterpretation": "RGB"},
            {"BitsStored": 10},
            {"HighBit": 15},
            {"PixelRepresentation": 1},
            {"BitsAllocated": 16},
        ],
    )
    async def test_pixels_that_no_printer_takes(self, peer: Peer, image: str, elements: dict[str, Any]) -> None:
        with pytest.raises(StatusError) as raised:
            await peer.set(sop.BasicGrayscaleImageBox, image, holding([item(**elements)]))
        status, blamed = refused(raised)
        assert status == Status.INVALID_ATTRIBUTE_VALUE
        assert set(tags(*elements)) <= set(blamed)

    async def test_without_a_position_or_an_image(self, peer: Peer, image: str) -> None:
        for keyword in ("ImageBoxPosition", PIXELS):
            changes = box()
            del changes[keyword]
            with pytest.raises(StatusError) as raised:
                await peer.set(sop.BasicGrayscaleImageBox, image, changes)
            assert refused(raised) == (Status.MISSING_ATTRIBUTE, tags(keyword))

    async def test_erasing(self, peer: Peer, image: str, printing: Printing) -> None:
        """PS3.4 H.4.3.1.2.1.3: zero length and no value."""
        await peer.set(sop.BasicGrayscaleImageBox, image, box())
        await peer.set(sop.BasicGrayscaleImageBox, image, holding([]))
        assert (await peer.print()).status == Status.FILM_BOX_EMPTY_PAGE

    async def test_what_does_not_fit_into_the_memory(self) -> None:
        printing = Printing(memory=40_000)
        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            film = await peer.film()
            first, second = (each.ReferencedSOPInstanceUID for each in film.ReferencedImageBoxSequence)
            await peer.set(sop.BasicGrayscaleImageBox, first, holding([item(100, 100)]))
            with pytest.raises(StatusError) as raised:
                await peer.set(sop.BasicGrayscaleImageBox, second, holding([item(150, 200)], 2))
            assert refused(raised) == (Status.INSUFFICIENT_PRINTER_MEMORY, [])
            await peer.set(sop.BasicGrayscaleImageBox, first, holding([item(100, 200)]))
            with pytest.raises(StatusError) as raised:
                await peer.print()
            assert refused(raised) == (Status.FILM_BOX_PRINT_QUEUE_FULL, [])
            with pytest.raises(StatusError) as raised:
                await peer.film("1.2.3", ImageDisplayFormat=r"STANDARD\10,10")
            assert refused(raised) == (Status.RESOURCE_LIMITATION, [])
        await settled()
        assert printing.provider.used == 0

    async def test_big_endian(self, printing: Printing) -> None:
        contexts = [PresentationContext(META, (ExplicitVRBigEndian,))]
        async with connect(printing, contexts=contexts) as association:
            peer = Peer(association)
            await peer.session()
            film = await peer.film()
            uid = film.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID
            pixels = item(1, 2, bits=12, PixelData=b"\x01\x02\x03\x04")
            await peer.set(sop.BasicGrayscaleImageBox, uid, holding([pixels]))
            await peer.print()
        assert printing.printed[0].films[0].images[0].BasicGrayscaleImageSequence[0].PixelData == b"\x01\x02\x03\x04"


class TestAnnotationBoxes:
    """PS3.4 H.4.4"""

    async def test_as_many_as_the_format_has(self) -> None:
        printing = Printing(annotations={"LABEL": 2})
        async with connect(printing, contexts=[*CONTEXTS, sop.BasicAnnotationBox]) as association:
            peer = Peer(association)
            await peer.session()
            film = await peer.film(AnnotationDisplayFormatID="LABEL")
            first, second = film.ReferencedBasicAnnotationBoxSequence
            uid = first.ReferencedSOPInstanceUID
            await association.n_set(sop.BasicAnnotationBox, uid, dataset(AnnotationPosition=1, TextString="DOE"))
            # What some send who have the position of their only annotation configured.
            await association.n_set(sop.BasicAnnotationBox, uid, dataset(AnnotationPosition=2, TextString="ROE"))
            with pytest.raises(StatusError) as raised:
                await association.n_set(sop.BasicAnnotationBox, uid, dataset(TextString="DOE"))
            assert refused(raised) == (Status.MISSING_ATTRIBUTE, tags("AnnotationPosition"))
            (serving,) = printing.provider.holdings
            assert any("Annotation Position" in quirk for quirk in serving.quirks)
            assert "ReferencedBasicAnnotationBoxSequence" not in await peer.film("1.2.3")
            assert second.ReferencedSOPClassUID == sop.BasicAnnotationBox

    async def test_not_without_a_context(self) -> None:
        printing = Printing(annotations={"LABEL": 2})
        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            film = await peer.film(AnnotationDisplayFormatID="LABEL")
            assert "ReferencedBasicAnnotationBoxSequence" not in film


def table(entries: int = 256, descriptor: tuple[int, int, int] = (256, 0, 12)) -> Dataset:
    """The attributes of a Presentation LUT."""
    lut = dataset(LUTDescriptor=list(descriptor))
    lut.add_new(0x00283006, "US", list(range(entries)))
    return dataset(PresentationLUTSequence=[lut])


class TestPresentationLUTs:
    """PS3.4 H.4.9"""

    @pytest.mark.parametrize(
        "attributes",
        [
            dataset(PresentationLUTShape="IDENTITY"),
            dataset(PresentationLUTShape="LIN OD"),
            table(),
            table(4096, (4096, 0, 16)),
        ],
    )
    async def test_what_is_taken(self, association: Association, attributes: Dataset) -> None:
        answer = await association.n_create(sop.PresentationLUT, "1.2.4", attributes)
        assert answer.status == Status.SUCCESS
        await association.n_delete(sop.PresentationLUT, "1.2.4")
        with pytest.raises(StatusError) as raised:
            await association.n_delete(sop.PresentationLUT, "1.2.4")
        assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    @pytest.mark.parametrize(
        "attributes, status, blamed",
        [
            (dataset(), Status.MISSING_ATTRIBUTE, "PresentationLUTSequence"),
            (dataset(PresentationLUTShape="INVERSE"), Status.INVALID_ATTRIBUTE_VALUE, "PresentationLUTShape"),
            (dataset(PresentationLUTSequence=[]), Status.MISSING_ATTRIBUTE_VALUE, "PresentationLUTSequence"),
            (table(255), Status.INVALID_ATTRIBUTE_VALUE, "LUTData"),
            (table(300, (300, 0, 12)), Status.INVALID_ATTRIBUTE_VALUE, "LUTDescriptor"),
            (table(256, (256, 1, 12)), Status.INVALID_ATTRIBUTE_VALUE, "LUTDescriptor"),
            (table(256, (256, 0, 8)), Status.INVALID_ATTRIBUTE_VALUE, "LUTDescriptor"),
        ],
    )
    async def test_what_is_refused(
        self, association: Association, attributes: Dataset, status: Status, blamed: str
    ) -> None:
        with pytest.raises(StatusError) as raised:
            await association.n_create(sop.PresentationLUT, "1.2.4", attributes)
        assert refused(raised) == (status, tags(blamed))

    async def test_either_a_shape_or_a_table(self, association: Association) -> None:
        attributes = table()
        attributes.PresentationLUTShape = "IDENTITY"
        with pytest.raises(StatusError) as raised:
            await association.n_create(sop.PresentationLUT, "1.2.4", attributes)
        assert refused(raised) == (Status.INVALID_ATTRIBUTE_VALUE, tags("PresentationLUTShape"))

    async def test_what_refers_to_it_keeps_it(self, peer: Peer, printing: Printing) -> None:
        await peer.association.n_create(sop.PresentationLUT, "1.2.4", table())
        await peer.session()
        reference = [{"ReferencedSOPClassUID": sop.PresentationLUT, "ReferencedSOPInstanceUID": "1.2.4"}]
        await peer.film(ReferencedPresentationLUTSequence=reference)
        await peer.association.n_delete(sop.PresentationLUT, "1.2.4")
        await peer.print()
        await printing.finished()
        (lut,) = printing.printed[0].presentation_luts["1.2.4"].PresentationLUTSequence
        assert lut.LUTDescriptor == [256, 0, 12]
        with pytest.raises(StatusError) as raised:
            await peer.film("1.2.5", ReferencedPresentationLUTSequence=reference)
        assert refused(raised) == (Status.INVALID_ATTRIBUTE_VALUE, tags("ReferencedPresentationLUTSequence"))

    async def test_there_are_not_too_many(self, association: Association, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dicomio.workflows.printing.provider.MOST_LUTS", 2)
        for uid in ("1.2.4", "1.2.5"):
            await association.n_create(sop.PresentationLUT, uid, dataset(PresentationLUTShape="IDENTITY"))
        await association.n_delete(sop.PresentationLUT, "1.2.4")
        with pytest.raises(StatusError) as raised:
            await association.n_create(sop.PresentationLUT, "1.2.6", dataset(PresentationLUTShape="IDENTITY"))
        assert refused(raised) == (Status.RESOURCE_LIMITATION, [])


class TestWithoutUids:
    """Print SCUs that leave out the SOP Instance UID."""

    @pytest.fixture(autouse=True)
    def careless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets requests go out though mandatory elements are missing."""
        layouts: Any = commands.LAYOUTS
        for field in (ACTION, DELETE, SET):
            layout = copy.copy(layouts[field])
            layout.steps = [(number, encoder, False) for number, encoder, _ in layout.steps]
            monkeypatch.setitem(layouts, field, layout)

    async def test_the_last_film_is_meant(self, peer: Peer, printing: Printing) -> None:
        await peer.session(None)
        session = next(iter(printing.provider.holdings.values())).session_uid
        await peer.film(None, session=session, FilmSizeID="A4")
        film = await peer.film(None, session=session, FilmSizeID="A3")
        await peer.unnamed(ACTION, sop.BasicFilmBox)
        deleted = await peer.unnamed(DELETE, sop.BasicFilmBox)
        assert deleted.response.sop_instance_uid == film.response.sop_instance_uid
        await peer.unnamed(ACTION, sop.BasicFilmSession)
        await peer.unnamed(DELETE, sop.BasicFilmSession)
        await printing.finished()
        assert [[film.attributes.FilmSizeID for film in each.films] for each in printing.printed] == [["A3"], ["A4"]]
        (serving,) = printing.provider.holdings
        assert sum("no Requested SOP Instance UID" in quirk for quirk in serving.quirks) == 1

    @pytest.mark.parametrize("sop_class", [sop.BasicFilmBox, sop.BasicFilmSession])
    async def test_nothing_can_be_meant(self, peer: Peer, sop_class: str) -> None:
        for field in (ACTION, DELETE):
            with pytest.raises(StatusError) as raised:
                await peer.unnamed(field, sop_class)
            assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    async def test_an_image_box_has_to_be_named(self, peer: Peer, image: str) -> None:
        with pytest.raises(StatusError) as raised:
            await peer.unnamed(SET, sop.BasicGrayscaleImageBox, box())
        assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])


@pytest.mark.parametrize(
    "display_format, count",
    [
        (r"STANDARD\1,1", 1),
        (r"STANDARD\2,3", 6),
        (r"ROW\2,3,2", 7),
        (r"COL\4", 4),
        ("SLIDE", 12),
        ("STANDARD", None),
        (r"STANDARD\0,1", None),
        (r"STANDARD\2", None),
        (r"STANDARD\2,3,4", None),
        (r"STANDARD\9999,9999", None),
        (r"ROW\2,0", None),
        (r"ROW\-1", None),
        (r"CUSTOM\1", None),
        ("", None),
    ],
)
def test_image_display_formats(display_format: str, count: int | None) -> None:
    assert image_boxes(display_format, {"SLIDE": 12}) == count


@given(st.text(max_size=30) | st.from_regex(r"(STANDARD|ROW|COL)\\[0-9,]{0,20}", fullmatch=True))
def test_no_display_format_takes_much(display_format: str) -> None:
    count = image_boxes(display_format, {})
    assert count is None or 0 < count <= MOST_IMAGE_BOXES
