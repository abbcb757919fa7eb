"""Printing on somebody else's printer (PS3.4 H, as SCU)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import anyio
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio import sop
from dicomio.application import Application
from dicomio.association import Association
from dicomio.calling import awaitable
from dicomio.client import Client
from dicomio.config import PresentationContext
from dicomio.errors import DicomError, NoPresentationContext, Refused, StatusError
from dicomio.identifiers import dataset
from dicomio.operations import Dispatch, Inbound
from dicomio.requests import EventReport
from dicomio.services.normalized import Answer
from dicomio.services.reply import Response
from dicomio.sop import name_of
from dicomio.status import Status
from dicomio.wire.commands import CommandField
from dicomio.workflows.printing.attributes import LUT_SHAPES, references, uids_in
from dicomio.workflows.printing.images import COLOR, GRAYSCALE, Image, Window, image_box
from dicomio.workflows.printing.jobs import PrintEvent, PrintWarning, SubmittedJob, text_of
from dicomio.workflows.printing.states import JOB_EVENTS, PRINTER_EVENTS, JobState

__all__ = ["FilmBox", "PrintSession", "print_session"]

logger = logging.getLogger("dicomio.printing")

# PS3.4 Tables H.4-3 and H.4-8: Action Type ID
PRINT: Final = 1
# Some accept a context for what they do not know.
NOT_SUPPORTED: Final = (Status.NO_SUCH_SOP_CLASS, Status.SOP_CLASS_NOT_SUPPORTED, Status.UNRECOGNIZED_OPERATION)
# Jobs whose state is kept: more than anybody prints on one association.
MOST_JOBS: Final = 1_000


class PrintSession:
    """A film session on a printer; `print_session` makes one.

    Attributes:
        uid: its SOP Instance UID.
        attributes: what the printer made of them, once there is a session.
        warnings: what the printer did otherwise than asked, in the order of events.
        presentation_lut: SOP Instance UID of the Presentation LUT that films of the session refer to; `None` without
            one, also where the printer does not support any.
        jobs: print jobs by SOP Instance UID.
    """

    def __init__(
        self,
        user: Client | Association,
        attributes: Dataset,
        *,
        color: bool,
        presentation_lut: str | Dataset | None,
        on_event: Callable[[PrintEvent], Any] | None,
        timeout: float | None,
    ) -> None:
        self.user = user
        self.attributes = attributes
        self.color = color
        self.lut = lut_attributes(presentation_lut)
        self.on_event: Callable[[PrintEvent], Awaitable[Any]] | None = awaitable(on_event) if on_event else None
        self.timeout = timeout
        self.meta = sop.BasicColorPrintManagementMeta if color else sop.BasicGrayscalePrintManagementMeta
        self.uid = str(generate_uid())
        self.presentation_lut: str | None = None
        self.warnings: list[PrintWarning] = []
        self.jobs: dict[str, SubmittedJob] = {}
        self.created: list[tuple[str, str, str]] = []
        self.stack = AsyncExitStack()
        self.events = Application("EVENTS")
        self.events.n_event_report(sop.PrintJob, sop.Printer)(self.take_event)

    async def __aenter__(self) -> Self:
        contexts = [self.meta, *([sop.PresentationLUT] if self.lut is not None else []), sop.PrintJob]
        lease = self.user.reserve([PresentationContext(uid) for uid in contexts])
        async with AsyncExitStack() as stack:
            provider = await stack.enter_async_context(lease)
            assert isinstance(provider, Association)
            self.association = provider
            stack.callback(setattr, provider, "dispatch", provider.dispatch)
            provider.dispatch = Listening(provider.dispatch, self.events.dispatch)
            stack.push_async_exit(self.leave)
            await self.begin()
            self.stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stack.__aexit__(exc_type, exc, traceback)

    async def begin(self) -> None:
        """Creates the Presentation LUT, if any, and the film session."""
        if self.lut is not None:
            await self.create_lut(self.lut)
        answer = await self.create(sop.BasicFilmSession, self.uid, self.attributes, self.meta)
        self.uid = answer.response.sop_instance_uid or self.uid
        self.attributes.update(answer)

    async def create_lut(self, attributes: Dataset) -> None:
        """Creates a Presentation LUT (PS3.4 H.4.9); a printer that knows none prints without."""
        uid = str(generate_uid())
        try:
            answer = await self.create(sop.PresentationLUT, uid, attributes, sop.PresentationLUT)
        except (NoPresentationContext, StatusError) as error:
            if isinstance(error, StatusError) and error.status not in NOT_SUPPORTED:
                raise
            self.warn(PrintWarning("N-CREATE of PresentationLUT", "the printer does not support it, it prints without"))
        else:
            self.presentation_lut = answer.response.sop_instance_uid or uid

    def film_box(
        self,
        layout: str = r"STANDARD\1,1",
        *,
        orientation: str | None = None,
        size: str | None = None,
        **elements: object,
    ) -> "FilmBox":
        """A film: `async with session.film_box(…) as film`, or `film = await session.film_box(…)`.

        Leaving the block deletes it; otherwise it lasts as long as the session.

        Args:
            layout: Image Display Format, `STANDARD\\columns,rows` or as the printer defines it (PS3.3 C.13.3.1).
            orientation: PORTRAIT or LANDSCAPE.
            size: Film Size ID, such as 14INX17IN or A4.
            elements: further attributes by keyword (PS3.4 Table H.4-6): `MaxDensity=280`, `Trim="YES"` …
        """
        attributes = dataset(
            ImageDisplayFormat=layout,
            ReferencedFilmSessionSequence=references([(sop.BasicFilmSession, self.uid)]),
            **given(FilmOrientation=orientation, FilmSizeID=size),
            **elements,
        )
        if self.presentation_lut is not None:
            lut = references([(sop.PresentationLUT, self.presentation_lut)])
            attributes.update(dataset(ReferencedPresentationLUTSequence=lut))
        return FilmBox(self, attributes)

    async def print(self) -> SubmittedJob | None:
        """Prints all films of the session, together (N-ACTION, PS3.4 H.4.1.2.4); not every printer can.

        Returns:
            The print job; `None` where the printer keeps no account of them.

        Raises:
            StatusError: the printer refuses: unable to, no films, queue full.
            DicomError: the association is over.
        """
        return await self.start_printing(sop.BasicFilmSession, self.uid)

    async def update(self, **elements: object) -> Answer:
        """Changes attributes of the session (N-SET, PS3.4 H.4.1.2.2).

        Args:
            elements: the attributes that change, by keyword: `NumberOfCopies=2` …

        Raises:
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        return await self.set(sop.BasicFilmSession, self.uid, dataset(**elements))

    async def printer(self, *attributes: int | str) -> Answer:
        """How the printer is (N-GET, PS3.4 H.4.6.2.2): `PrinterStatus` is NORMAL, WARNING or FAILURE.

        Args:
            attributes: keywords or tags of what is wanted; everything by default.

        Raises:
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        answer = await self.association.n_get(sop.Printer, sop.PrinterInstance, *attributes, negotiated_as=self.meta)
        return self.note("N-GET of Printer", answer)

    # what the parts of a session share

    async def create(self, sop_class: str, uid: str, attributes: Dataset, negotiated_as: str) -> Answer:
        """N-CREATE; what was created is deleted when the session ends."""
        answer = await self.association.n_create(sop_class, uid, attributes, negotiated_as=negotiated_as)
        if sop_class != sop.BasicFilmBox:
            # Film boxes go with their session (PS3.4 H.4.1.2.3.2).
            self.created.append((sop_class, answer.response.sop_instance_uid or uid, negotiated_as))
        return self.note(f"N-CREATE of {name_of(sop_class)}", answer)

    async def set(self, sop_class: str, uid: str, modifications: Dataset) -> Answer:
        """N-SET."""
        answer = await self.association.n_set(sop_class, uid, modifications, negotiated_as=self.meta)
        return self.note(f"N-SET of {name_of(sop_class)}", answer)

    async def delete(self, sop_class: str, uid: str, negotiated_as: str) -> None:
        """N-DELETE; a printer that refuses has printed all the same."""
        try:
            await self.association.n_delete(sop_class, uid, negotiated_as=negotiated_as)
        except StatusError as error:
            status = Status(error.status)
            self.warn(PrintWarning(f"N-DELETE of {name_of(sop_class)}", status.meaning_for("print"), status))

    async def start_printing(self, sop_class: str, uid: str) -> SubmittedJob | None:
        """N-ACTION."""
        answer = await self.association.n_action(sop_class, uid, PRINT, negotiated_as=self.meta)
        self.note(f"N-ACTION of {name_of(sop_class)}", answer)
        for _, job in uids_in(answer, "ReferencedPrintJobSequence"):
            return self.job(job)
        return None

    def note(self, operation: str, answer: Answer) -> Answer:
        """Keeps a Warning status where it is seen."""
        if answer.status.is_warning:
            response: Response = answer.response
            comment = f": {response.error_comment}" if response.error_comment else ""
            self.warn(PrintWarning(operation, f"{answer.status.meaning_for('print')}{comment}", answer.status))
        return answer

    def warn(self, warning: PrintWarning) -> None:
        logger.warning("%s: %s", self.association.peer, warning)
        self.warnings.append(warning)

    # events

    def job(self, uid: str) -> SubmittedJob:
        """A print job; reports of it may come before the response that names it.

        Raises:
            Refused: there are too many.
        """
        if uid not in self.jobs:
            if len(self.jobs) >= MOST_JOBS:
                raise Refused(Status.NO_SUCH_SOP_INSTANCE, "too many print jobs")
            self.jobs[uid] = SubmittedJob(self.association, uid)
        return self.jobs[uid]

    async def take_event(self, request: EventReport) -> None:
        """Takes an event of the printer or of a print job (PS3.4 H.4.5.2.1, H.4.6.2.1)."""
        is_job = request.sop_class_uid == sop.PrintJob
        state = (JOB_EVENTS if is_job else PRINTER_EVENTS).get(request.event_type)
        if state is None:
            raise Refused(Status.NO_SUCH_EVENT_TYPE, f"event type {request.event_type}")
        info = text_of(request.information, "ExecutionStatusInfo" if is_job else "PrinterStatusInfo")
        event = PrintEvent(request.sop_instance_uid, state, info, request.information)
        if isinstance(state, JobState):
            self.job(event.uid).take(state, info)
        if self.on_event is not None:
            await self.on_event(event)

    # leaving

    async def leave(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Deletes what was created; an association that was opened for the session ends with it."""
        if isinstance(self.user, Client) and exc is not None:
            # Nothing survives its association.
            self.association.abort(detail=f"left by {type(exc).__name__}")
            await self.association.wait_closed()
            return
        await self.tidy(self.delete_all, exc)
        if isinstance(self.user, Client):
            await self.association.release()

    async def tidy(self, work: Callable[[], Awaitable[None]], exc: BaseException | None) -> None:
        """Does what is left to do at the end of a block; where it is left by an exception, that goes on its way."""
        if exc is None:
            await work()
            return
        try:
            with anyio.fail_after(self.timeout, shield=True):
                await work()
        except (DicomError, TimeoutError) as error:
            logger.warning("%s: what was to be printed could not be deleted: %s", self.association.peer, error)

    async def delete_all(self) -> None:
        while self.created:
            await self.delete(*self.created.pop())


class FilmBox:
    """A film of a session; `PrintSession.film_box` makes one.

    Attributes:
        uid: its SOP Instance UID.
        attributes: what the printer made of them, once there is a film.
        images: SOP class and SOP instance of its image boxes, in the order of their positions.
        annotations: likewise of its annotation boxes.
    """

    def __init__(self, session: PrintSession, attributes: Dataset) -> None:
        self.session = session
        self.attributes = attributes
        self.uid = str(generate_uid())
        self.images: Sequence[tuple[str, str]] = ()
        self.annotations: Sequence[tuple[str, str]] = ()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        session = self.session
        answer = await session.create(sop.BasicFilmBox, self.uid, self.attributes, session.meta)
        self.uid = answer.response.sop_instance_uid or self.uid
        self.attributes.update(answer)
        self.images = list(uids_in(answer, "ReferencedImageBoxSequence"))
        self.annotations = list(uids_in(answer, "ReferencedBasicAnnotationBoxSequence"))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.session.tidy(self.delete, exc)

    async def image(
        self,
        position: int,
        image: Image,
        *,
        bits: int = 8,
        window: Window | None = None,
        frame: int = 1,
        **elements: object,
    ) -> Answer:
        """Puts an image on the film (N-SET, PS3.4 H.4.3).

        Args:
            position: of the image box, from 1, row by row.
            image: a data set with pixel data, an array (rows and columns, or with 3 samples of RGB), or the attributes
                of an image box with its sequence ready. Without `window` an image looks as it says itself.
            bits: 8 or 12 per pixel, for images in gray.
            window: center and width of what is to be seen, in values of the modality (Hounsfield units).
            frame: number of the frame, from 1.
            elements: further attributes by keyword: `Polarity="REVERSE"`, `RequestedImageSize=200` …

        Returns:
            The response; its status is a Warning where the image was made to fit.

        Raises:
            ValueError: there is no such position or frame, or it is not an image.
            ImportError: the image needs numpy, or a decoder, that is not installed.
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        sop_class, uid = self.box(self.images, position)
        box = await asyncio.to_thread(image_box, image, color=self.session.color, bits=bits, window=window, frame=frame)
        box.update(dataset(ImageBoxPosition=position, **elements))
        return await self.session.set(sop_class, uid, box)

    async def erase(self, position: int) -> Answer:
        """Takes an image off the film (PS3.4 H.4.3.1.2.1.3).

        Raises:
            ValueError: there is no such position.
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        sop_class, uid = self.box(self.images, position)
        keyword = COLOR if self.session.color else GRAYSCALE
        return await self.session.set(sop_class, uid, dataset(ImageBoxPosition=position, **{keyword: []}))

    async def annotate(self, position: int, text: str) -> Answer:
        """Writes into an annotation box (N-SET, PS3.4 H.4.4), of which there are as many as the
        `AnnotationDisplayFormatID` of the film says; the association needs a context for Basic Annotation Box.

        Raises:
            ValueError: there is no such position.
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        sop_class, uid = self.box(self.annotations, position)
        attributes = dataset(AnnotationPosition=position, TextString=text)
        answer = await self.session.association.n_set(sop_class, uid, attributes)
        return self.session.note("N-SET of BasicAnnotationBox", answer)

    async def update(self, **elements: object) -> Answer:
        """Changes attributes of the film (N-SET, PS3.4 H.4.2.2.2).

        Args:
            elements: the attributes that change, by keyword.

        Raises:
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        return await self.session.set(sop.BasicFilmBox, self.uid, dataset(**elements))

    async def print(self) -> SubmittedJob | None:
        """Prints the film (N-ACTION, PS3.4 H.4.2.2.4).

        Returns:
            The print job; `None` where the printer keeps no account of them.

        Raises:
            StatusError: the printer refuses.
            DicomError: the association is over.
        """
        return await self.session.start_printing(sop.BasicFilmBox, self.uid)

    async def delete(self) -> None:
        """Deletes the film, which leaving the block does otherwise."""
        await self.session.delete(sop.BasicFilmBox, self.uid, self.session.meta)

    def box(self, boxes: Sequence[tuple[str, str]], position: int) -> tuple[str, str]:
        """The box at a position."""
        if not 1 <= position <= len(boxes):
            raise ValueError(f"the film has {len(boxes)} such boxes, there is none at position {position}")
        return boxes[position - 1]


class Listening:
    """Serves events of the printer, and leaves everything else to who has served it before.

    Args:
        others: serves other requests.
        events: serves events.
    """

    __slots__ = ("events", "others")

    def __init__(self, others: Dispatch, events: Dispatch) -> None:
        self.others = others
        self.events = events

    def __call__(self, request: Inbound, /) -> Coroutine[Any, Any, None] | None:
        command = request.command
        about = command.affected_sop_class_uid or request.context.abstract_syntax
        is_event = command.field == CommandField.N_EVENT_REPORT_RQ and about in (sop.PrintJob, sop.Printer)
        return self.events(request) if is_event else self.others(request)


def given(**elements: object) -> dict[str, object]:
    """Those elements that have a value."""
    return {keyword: value for keyword, value in elements.items() if value is not None}


def lut_attributes(presentation_lut: str | Dataset | None) -> Dataset | None:
    """The attributes of a Presentation LUT.

    Raises:
        ValueError: there is no such shape.
    """
    if isinstance(presentation_lut, str):
        if presentation_lut not in LUT_SHAPES:
            raise ValueError(f"{presentation_lut!r} is not a Presentation LUT Shape; these are {', '.join(LUT_SHAPES)}")
        return dataset(PresentationLUTShape=presentation_lut)
    return presentation_lut


def print_session(
    user: Client | Association,
    *,
    copies: int = 1,
    priority: str | None = None,
    medium: str | None = None,
    destination: str | None = None,
    label: str | None = None,
    color: bool = False,
    presentation_lut: str | Dataset | None = None,
    on_event: Callable[[PrintEvent], Any] | None = None,
    timeout: float | None = 10.0,
    **elements: object,
) -> PrintSession:
    """A film session: `async with print_session(…) as session`.

    Entering the block creates it on the printer, leaving it deletes it, with its films. What was printed is printed.

    Args:
        user: the printer. An association needs contexts for Basic Grayscale or Basic Color Print Management Meta, and
            may have some for Presentation LUT and Print Job; a client opens one of its own for the session.
        copies: of each film.
        priority: HIGH, MED or LOW.
        medium: PAPER, CLEAR FILM, BLUE FILM …
        destination: MAGAZINE, PROCESSOR, BIN_1 …
        label: a title for people.
        color: print in color.
        presentation_lut: its shape, `IDENTITY` or `LIN OD`, or its attributes (PS3.4 H.4.9), for all films of the
            session. A printer that knows none prints without; `warnings` has that.
        on_event: called with each event of the printer and of the print jobs; a plain function runs in a thread.
        timeout: seconds that deleting may take where the block is left by an exception.
        elements: further attributes by keyword (PS3.4 Table H.4-2).

    Raises:
        ValueError: a value does not suit its attribute.
        StatusError: the printer refuses.
        NoPresentationContext: the peer is not a printer.
        DicomError: the association is over or could not be opened.
    """
    known = given(PrintPriority=priority, MediumType=medium, FilmDestination=destination, FilmSessionLabel=label)
    attributes = dataset(NumberOfCopies=copies, **known, **elements)
    return PrintSession(
        user, attributes, color=color, presentation_lut=presentation_lut, on_event=on_event, timeout=timeout
    )
