"""Printing on a printer: what it is asked for, and what it tells (PS3.4 H, SCU)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    ActionRequest,
    Application,
    Association,
    CreateRequest,
    DeleteRequest,
    GetRequest,
    JobState,
    NoPresentationContext,
    PrinterState,
    PrintEvent,
    PrintSession,
    Refused,
    SetRequest,
    Status,
    StatusError,
    SubmittedJob,
    dataset,
    print_session,
    sop,
)
from dicomio.testing import connected
from tests.association.peers import settled
from tests.workflows.printers import CONTEXTS, META, Printing, box, connect, gradient


@pytest.fixture
def printing() -> Printing:
    return Printing()


@pytest.fixture
async def association(printing: Printing) -> AsyncIterator[Association]:
    async with connect(printing) as association:
        yield association


async def test_a_film_is_printed(association: Association, printing: Printing) -> None:
    async with print_session(association, copies=2, medium="BLUE FILM", label="Ward 3", OwnerID="me") as session:
        async with session.film_box(r"STANDARD\2,3", orientation="LANDSCAPE", MaxDensity=280) as film:
            assert len(film.images) == 6
            assert (await film.image(1, gradient())).status == Status.SUCCESS
            await film.image(6, gradient(), Polarity="REVERSE")
            await film.print()
    await printing.finished()
    (request,) = printing.printed
    assert (request.copies, request.session.MediumType) == (2, "BLUE FILM")
    assert (request.session.FilmSessionLabel, request.session.OwnerID) == ("Ward 3", "me")
    (printed,) = request.films
    assert (printed.attributes.FilmOrientation, printed.attributes.MaxDensity) == ("LANDSCAPE", 280)
    assert [bool(image) for image in printed.images] == [True, False, False, False, False, True]
    assert printed.images[5].Polarity == "REVERSE"
    (pixels,) = printed.images[0].BasicGrayscaleImageSequence
    assert pixels.PixelData == gradient().tobytes()


async def test_nothing_is_left_on_the_printer(association: Association, printing: Printing) -> None:
    async with print_session(association, presentation_lut="LIN OD") as session:
        await session.film_box()
        async with session.film_box():
            (held,) = printing.provider.holdings.values()
            assert (len(held.films), len(held.luts)) == (2, 1)
        assert len(held.films) == 1
    assert (held.session_uid, held.films, held.boxes, held.luts) == ("", {}, {}, {})
    async with print_session(association):
        assert held.session_uid


async def test_by_a_client(printing: Printing) -> None:
    async with (
        dicomio.serve(printing.app, "127.0.0.1", 0) as server,
        dicomio.Client(f"PRINTER@127.0.0.1:{server.port}") as client,
    ):
        async with print_session(client, presentation_lut="IDENTITY") as session:
            assert session.presentation_lut is not None
            async with session.film_box() as film:
                await film.image(1, gradient())
                job = await film.print()
                assert job is not None
                assert await job.finished() is JobState.DONE
            association = session.association
        assert association.ended is not None
        assert printing.provider.holdings == {}
        with pytest.raises(ZeroDivisionError):
            await fail(print_session(client))
        assert (await client.n_get(sop.Printer, sop.PrinterInstance, negotiated_as=META)).PrinterStatus == "NORMAL"
    assert len(printing.printed) == 1


async def fail(session: PrintSession) -> None:
    """Leaves a session by an exception."""
    async with session:
        raise ZeroDivisionError


async def test_in_color(association: Association, printing: Printing) -> None:
    async with print_session(association, color=True) as session, session.film_box() as film:
        await film.image(1, gradient())
        await film.print()
    await printing.finished()
    (item,) = printing.printed[0].films[0].images[0].BasicColorImageSequence
    assert (item.PhotometricInterpretation, len(item.PixelData)) == ("RGB", 3 * gradient().size)


async def test_all_films_of_a_session(association: Association, printing: Printing) -> None:
    async with print_session(association) as session:
        for _ in range(3):
            film = await session.film_box()
            await film.image(1, gradient())
        job = await session.print()
        assert job is not None
        assert await job.finished() is JobState.DONE
    assert [len(request.films) for request in printing.printed] == [3]


async def test_attributes_change(association: Association, printing: Printing) -> None:
    async with print_session(association) as session:
        await session.update(NumberOfCopies=3)
        async with session.film_box() as film:
            await film.update(MaxDensity=250)
            await film.image(1, box())
            await film.print()
            await film.erase(1)
            await film.print()
    await printing.finished()
    first, second = printing.printed
    assert (first.copies, first.films[0].attributes.MaxDensity) == (3, 250)
    assert (first.films[0].is_empty, second.films[0].is_empty) == (False, True)


async def test_attributes_that_the_printer_chose(association: Association) -> None:
    async with print_session(association) as session, session.film_box() as film:
        assert session.attributes.PrintPriority == "MED"
        assert film.attributes.FilmSizeID == "A4"


class TestPresentationLUT:
    """For all films of a session."""

    @pytest.mark.parametrize("shape", ["IDENTITY", "LIN OD"])
    async def test_shapes(self, association: Association, printing: Printing, shape: str) -> None:
        async with print_session(association, presentation_lut=shape) as session:
            async with session.film_box(Illumination=2000) as film:
                await film.image(1, gradient())
                await film.print()
        await printing.finished()
        (request,) = printing.printed
        (reference,) = request.films[0].attributes.ReferencedPresentationLUTSequence
        assert request.presentation_luts[reference.ReferencedSOPInstanceUID].PresentationLUTShape == shape

    async def test_a_table(self, association: Association, printing: Printing) -> None:
        item = dataset(LUTDescriptor=[256, 0, 12])
        item.add_new(0x00283006, "US", list(range(256)))
        async with print_session(association, presentation_lut=dataset(PresentationLUTSequence=[item])) as session:
            (held,) = printing.provider.holdings.values()
            assert list(held.luts) == [session.presentation_lut]

    async def test_a_shape_that_is_none(self, association: Association) -> None:
        with pytest.raises(ValueError, match="IDENTITY, LIN OD"):
            print_session(association, presentation_lut="INVERSE")

    async def test_a_printer_that_knows_none(self, printing: Printing, caplog: pytest.LogCaptureFixture) -> None:
        async with connect(printing, contexts=[META]) as association:
            async with print_session(association, presentation_lut="IDENTITY") as session:
                assert session.presentation_lut is None
                (warning,) = session.warnings
                assert str(warning) == "N-CREATE of PresentationLUT: the printer does not support it, it prints without"
                async with session.film_box() as film:
                    assert "ReferencedPresentationLUTSequence" not in film.attributes
        assert "prints without" in caplog.text

    @pytest.mark.parametrize("status", [0x0118, 0x0122, 0x0211])
    async def test_a_printer_that_accepts_a_context_all_the_same(self, status: int) -> None:
        printer = OddPrinter(create_PresentationLUT=Refused(status))
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association, presentation_lut="IDENTITY") as session:
                assert session.presentation_lut is None
                assert [warning.status for warning in session.warnings] == [None]


class TestImages:
    """Image boxes and annotation boxes."""

    async def test_positions_that_are_not_there(self, association: Association) -> None:
        async with print_session(association) as session, session.film_box(r"ROW\2,1") as film:
            for position in (0, 4, -1):
                with pytest.raises(ValueError, match="has 3 such boxes"):
                    await film.image(position, gradient())
            with pytest.raises(ValueError, match="has 0 such boxes"):
                await film.annotate(1, "DOE^JANE")

    async def test_what_was_given_is_not_touched(self, association: Association) -> None:
        ready = box(2)
        async with print_session(association) as session, session.film_box(r"STANDARD\1,2") as film:
            await film.image(1, ready, Polarity="REVERSE")
        assert ready == box(2)

    async def test_twelve_bits(self, association: Association, printing: Printing) -> None:
        async with print_session(association) as session, session.film_box() as film:
            await film.image(1, gradient(), bits=12)
            await film.print()
        await printing.finished()
        (item,) = printing.printed[0].films[0].images[0].BasicGrayscaleImageSequence
        assert (item.BitsAllocated, item.BitsStored) == (16, 12)

    async def test_annotations(self) -> None:
        printing = Printing(annotations={"LABEL": 2})
        async with connect(printing, contexts=[*CONTEXTS, sop.BasicAnnotationBox]) as association:
            async with print_session(association) as session:
                async with session.film_box(AnnotationDisplayFormatID="LABEL") as film:
                    await film.annotate(2, "DOE^JANE")
                    await film.print()
        assert [each.get("TextString") for each in printing.printed[0].films[0].annotations] == [None, "DOE^JANE"]


class TestEvents:
    """What the printer reports on the association."""

    async def test_a_job(self, association: Association, printing: Printing) -> None:
        events: list[PrintEvent] = []
        async with print_session(association, on_event=events.append) as session:
            job = await print_one(session)
            assert await job.finished() is JobState.DONE
            await printing.finished()
            assert [event.state for event in events] == [JobState.PRINTING, JobState.DONE]
            assert {event.uid for event in events} == {job.uid}
            assert session.jobs == {job.uid: job}
            assert "DONE" in repr(job)

    async def test_a_job_that_fails(self, association: Association, printing: Printing) -> None:
        printing.failure, printing.info = ZeroDivisionError("no film"), "FILM JAM"
        async with print_session(association) as session:
            job = await print_one(session)
            assert await job.finished() is JobState.FAILURE
            assert job.info == "FILM JAM"

    async def test_waiting_again(self, association: Association, printing: Printing) -> None:
        printing.gate.clear()
        async with print_session(association) as session:
            job = await print_one(session)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await job.finished()
            printing.gate.set()
            assert await job.finished() is JobState.DONE
            assert await job.finished() is JobState.DONE
        assert job.waiters == set()

    async def test_the_association_ends_first(self, association: Association, printing: Printing) -> None:
        printing.gate.clear()
        session = print_session(association)
        await session.__aenter__()
        job = await print_one(session)
        waiting = asyncio.create_task(job.finished())
        await settled()
        association.abort()
        with pytest.raises(dicomio.AssociationAborted):
            await waiting
        printing.gate.set()

    async def test_the_printer(self, association: Association, printing: Printing) -> None:
        events: list[PrintEvent] = []

        async def note(event: PrintEvent) -> None:
            events.append(event)

        async with print_session(association, on_event=note) as session:
            await printing.provider.set_status("WARNING", "SUPPLY LOW")
            await printing.provider.set_status(PrinterState.FAILURE, "FILM JAM")
            found = await session.printer("PrinterStatus", "PrinterStatusInfo")
        assert [(event.state, event.info) for event in events] == [
            (PrinterState.WARNING, "SUPPLY LOW"),
            (PrinterState.FAILURE, "FILM JAM"),
        ]
        assert {event.uid for event in events} == {sop.PrinterInstance}
        assert (found.PrinterStatus, found.PrinterStatusInfo) == ("FAILURE", "FILM JAM")

    async def test_events_that_are_none(self, printing: Printing) -> None:
        refused: list[Status] = []

        @printing.app.middleware
        async def report(request: Any, call_next: Callable[[Any], Any]) -> Any:
            if isinstance(request, GetRequest):
                for sop_class, event_type in ((sop.PrintJob, 5), (sop.PrintJob, 0), (sop.Printer, 4)):
                    negotiated_as = META if sop_class == sop.Printer else None
                    with pytest.raises(StatusError) as refusal:
                        await request.association.n_event_report(
                            sop_class, "1.2.3", event_type, negotiated_as=negotiated_as
                        )
                    refused.append(Status(refusal.value.status))
            return await call_next(request)

        async with connect(printing) as association:
            async with print_session(association) as session:
                await session.printer()
        assert refused == [Status.NO_SUCH_EVENT_TYPE] * 3

    async def test_other_requests_go_where_they_went_before(self, printing: Printing) -> None:
        asked: list[str] = []
        client = Application("CLIENT")

        @client.n_event_report(META)
        def other(request: dicomio.EventReport) -> None:
            asked.append(request.sop_class_uid)

        async with connect(printing, client=client) as association:
            before = association.dispatch
            async with print_session(association):
                (serving,) = printing.provider.holdings
                await serving.n_event_report(META, "1.2", 1)
            assert association.dispatch == before
        assert asked == [META]


async def print_one(session: PrintSession) -> SubmittedJob:
    """Prints one film."""
    film = await session.film_box()
    await film.image(1, gradient())
    job = await film.print()
    assert job is not None
    return job


class OddPrinter:
    """A printer that does as it is told by the test.

    Attributes:
        answers: what it answers by message.
        asked: the messages that came.
    """

    def __init__(self, **answers: Any) -> None:
        self.app = Application("ODD")
        self.answers = answers
        self.asked: list[str] = []
        answer = self.answer
        self.app.n_create(sop.BasicFilmSession, sop.BasicFilmBox, sop.PresentationLUT)(answer)
        self.app.n_set(sop.BasicFilmSession, sop.BasicFilmBox, sop.BasicGrayscaleImageBox)(answer)
        self.app.n_action(sop.BasicFilmSession, sop.BasicFilmBox)(answer)
        self.app.n_delete(sop.BasicFilmSession, sop.BasicFilmBox, sop.PresentationLUT)(answer)
        self.app.n_get(sop.Printer, sop.PrintJob)(answer)

    async def answer(self, request: CreateRequest | SetRequest | ActionRequest | DeleteRequest | GetRequest) -> Any:
        name = f"{request.command.name[2:-3].lower()}_{sop.name_of(request.sop_class_uid)}"
        self.asked.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


FILM = dataset(
    ReferencedImageBoxSequence=[
        {"ReferencedSOPClassUID": sop.BasicGrayscaleImageBox, "ReferencedSOPInstanceUID": "1.2.7"}
    ]
)
JOB = dataset(ReferencedPrintJobSequence=[{"ReferencedSOPClassUID": sop.PrintJob, "ReferencedSOPInstanceUID": "1.2.8"}])


class TestWarnings:
    """What printers do otherwise than asked."""

    async def test_they_are_kept_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        printer = OddPrinter(
            create_BasicFilmSession=Status.MEMORY_ALLOCATION_NOT_SUPPORTED,
            create_BasicFilmBox=(Status.DENSITY_OUT_OF_RANGE, FILM),
            set_BasicGrayscaleImageBox=Status.IMAGE_DEMAGNIFIED,
            action_BasicFilmBox=Status.FILM_BOX_EMPTY_PAGE,
            action_BasicFilmSession=Status.FILM_SESSION_PRINTING_NOT_SUPPORTED,
        )
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association) as session, session.film_box() as film:
                assert (await film.image(1, gradient())).status == Status.IMAGE_DEMAGNIFIED
                assert await film.print() is None
                assert await session.print() is None
        codes = [warning.status for warning in session.warnings]
        assert codes == [0xB600, 0xB605, 0xB604, 0xB603, 0xB601]
        assert str(session.warnings[0]) == "N-CREATE of BasicFilmSession: 0xB600 Memory allocation not supported"
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 5

    async def test_a_printer_that_deletes_nothing(self) -> None:
        printer = OddPrinter(
            create_BasicFilmBox=FILM,
            delete_BasicFilmBox=Refused(Status.PROCESSING_FAILURE),
            delete_BasicFilmSession=Refused(Status.NO_SUCH_SOP_INSTANCE),
        )
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association) as session, session.film_box():
                pass
        assert [warning.status for warning in session.warnings] == [0x0110, 0x0112]


class TestRefusals:
    """Failures of the printer are raised, and what was created is deleted."""

    async def test_of_the_session(self) -> None:
        printer = OddPrinter(create_BasicFilmSession=Refused(Status.RESOURCE_LIMITATION))
        async with connected(printer.app, contexts=CONTEXTS) as association:
            before = association.dispatch
            with pytest.raises(StatusError) as refusal:
                await print_session(association, presentation_lut="IDENTITY").__aenter__()
            assert association.dispatch == before
        assert refusal.value.status == Status.RESOURCE_LIMITATION
        assert printer.asked == ["create_PresentationLUT", "create_BasicFilmSession", "delete_PresentationLUT"]

    async def test_of_a_presentation_lut(self) -> None:
        printer = OddPrinter(create_PresentationLUT=Refused(Status.INVALID_ATTRIBUTE_VALUE))
        async with connected(printer.app, contexts=CONTEXTS) as association:
            with pytest.raises(StatusError):
                await print_session(association, presentation_lut="IDENTITY").__aenter__()
        assert printer.asked == ["create_PresentationLUT"]

    async def test_of_a_film(self) -> None:
        printer = OddPrinter(
            create_BasicFilmBox=FILM, action_BasicFilmBox=Refused(Status.FILM_BOX_PRINT_QUEUE_FULL, "later")
        )
        async with connected(printer.app, contexts=CONTEXTS) as association:
            with pytest.raises(StatusError, match=r"queue is full.*later"):
                await print_blank(print_session(association))
        assert printer.asked[-2:] == ["delete_BasicFilmBox", "delete_BasicFilmSession"]

    async def test_that_goes_on_while_leaving(self, caplog: pytest.LogCaptureFixture) -> None:
        """The exception that ended the block is the one that counts."""
        printer = OddPrinter(create_BasicFilmBox=FILM, action_BasicFilmBox=[None])
        async with connected(printer.app, contexts=CONTEXTS) as association:
            session = print_session(association)
            with pytest.raises(ZeroDivisionError):
                await abort_inside(session, association)
        assert "could not be deleted" in caplog.text

    async def test_a_peer_that_is_no_printer(self) -> None:
        app = Application("PACS")
        app.store()(lambda request: None)
        async with connected(app, contexts=[sop.CTImageStorage, META]) as association:
            with pytest.raises(NoPresentationContext):
                await print_session(association).__aenter__()


async def print_blank(session: PrintSession) -> None:
    async with session, session.film_box() as film:
        await film.print()


async def abort_inside(session: PrintSession, association: Association) -> None:
    async with session, session.film_box():
        association.abort()
        raise ZeroDivisionError


class TestOddPrinters:
    """What printers do that they should not."""

    async def test_they_choose_other_uids(self) -> None:
        printer = OddPrinter(create_BasicFilmBox=FILM)

        @printer.app.middleware
        async def rename(request: Any, call_next: Callable[[Any], Any]) -> Any:
            result = await call_next(request)
            if isinstance(request, CreateRequest):
                request.sop_instance_uid = "1.2.99"
            elif isinstance(request, DeleteRequest | ActionRequest):
                assert request.sop_instance_uid == "1.2.99"
            return result

        async with connected(printer.app, contexts=CONTEXTS) as association:
            await print_blank(print_session(association))
        assert printer.asked[-1] == "delete_BasicFilmSession"

    @pytest.mark.parametrize("answer", [None, dataset(), dataset(ReferencedImageBoxSequence=[])])
    async def test_a_film_without_image_boxes(self, answer: Dataset | None) -> None:
        printer = OddPrinter(create_BasicFilmBox=answer)
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association) as session, session.film_box() as film:
                with pytest.raises(ValueError, match="has 0 such boxes"):
                    await film.image(1, gradient())

    async def test_one_that_does_not_report_is_asked(self) -> None:
        states = [dataset(ExecutionStatus=state) for state in ("PENDING", "?", "PRINTING", "DONE")]
        printer = OddPrinter(create_BasicFilmBox=FILM, action_BasicFilmBox=JOB, get_PrintJob=states)
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association) as session, session.film_box() as film:
                job = await film.print()
                assert job is not None
                assert (job.uid, job.state) == ("1.2.8", None)
                assert "unknown" in repr(job)
                assert await job.finished(poll=0.001) is JobState.DONE
        assert printer.asked.count("get_PrintJob") == 4

    async def test_one_that_has_forgotten_the_job(self) -> None:
        gone = Refused(Status.NO_SUCH_SOP_INSTANCE)
        printer = OddPrinter(create_BasicFilmBox=FILM, action_BasicFilmBox=JOB, get_PrintJob=gone)
        async with connected(printer.app, contexts=CONTEXTS) as association:
            async with print_session(association) as session, session.film_box() as film:
                job = await film.print()
                assert job is not None
                with pytest.raises(StatusError):
                    await job.finished(poll=0.001)

    async def test_one_that_invents_jobs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dicomio.workflows.printing.session.MOST_JOBS", 3)
        printing = Printing()
        async with connect(printing) as association:
            async with print_session(association) as session:
                (serving,) = printing.provider.holdings
                for number in range(3):
                    await serving.n_event_report(sop.PrintJob, f"1.2.{number}", 1)
                with pytest.raises(StatusError):
                    await serving.n_event_report(sop.PrintJob, "1.2.3", 1)
                assert len(session.jobs) == 3


async def test_a_cancelled_task_deletes_what_it_created(association: Association, printing: Printing) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with print_session(association) as session, session.film_box():
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    (held,) = printing.provider.holdings.values()
    assert held.films
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (held.session_uid, held.films) == ("", {})
