"""Being a printer for others (PS3.4 H, as SCP)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio import sop
from dicomio.application import Application
from dicomio.association import Association
from dicomio.calling import awaitable
from dicomio.config import Address
from dicomio.errors import DicomError, Refused
from dicomio.identifiers import dataset
from dicomio.requests import ActionRequest, CreateRequest, DeleteRequest, GetRequest, SetRequest
from dicomio.status import Status
from dicomio.workflows.printing.attributes import (
    FILM_DEFAULTS,
    SESSION_DEFAULTS,
    SETTABLE,
    check_image,
    check_lut,
    check_terms,
    check_values,
    filled,
    image_boxes,
    in_little_endian,
    invalid,
    references,
    require,
    size_of,
    tags_of,
    uids_in,
)
from dicomio.workflows.printing.images import COLOR, GRAYSCALE
from dicomio.workflows.printing.states import JOB_EVENTS, PRINTER_EVENTS, JobState, PrinterState

__all__ = ["PrintProvider", "PrintRequest", "PrintedFilm"]

logger = logging.getLogger("dicomio.printing")

# PS3.4 Tables H.4-3 and H.4-8: Action Type ID
PRINT: Final = 1
# What one association may have at once, beside what the memory allows.
MOST_FILMS: Final = 100
MOST_LUTS: Final = 100
# About what a data set takes beside the bytes of its values.
INSTANCE: Final = 2_048
# Jobs whose state can be asked for, finished ones included.
MOST_JOBS: Final = 1_000

METAS: Final = (sop.BasicGrayscalePrintManagementMeta, sop.BasicColorPrintManagementMeta, sop.Printer)
OMITTED: Final = "sent no Requested SOP Instance UID; what it has created last is meant"


@dataclass(frozen=True, slots=True)
class PrintedFilm:
    """A film that is to be printed.

    Attributes:
        attributes: of the film box (PS3.3 C.13.3).
        images: attributes of the image boxes in the order of their positions (PS3.3 C.13.5); empty ones where no image
            was set. The image itself is the item of `BasicGrayscaleImageSequence` or `BasicColorImageSequence`.
        annotations: attributes of the annotation boxes, likewise (PS3.3 C.13.6).
    """

    attributes: Dataset
    images: Sequence[Dataset]
    annotations: Sequence[Dataset]

    @property
    def is_empty(self) -> bool:
        """Whether there is no image on it."""
        return not any(image.get(keyword) for image in self.images for keyword in (GRAYSCALE, COLOR))


@dataclass(slots=True, eq=False)
class PrintRequest:
    """What a handler is to print, as it was when the peer asked for it.

    Attributes:
        uid: SOP Instance UID of the print job.
        requester: who wants it printed.
        association: on which it was asked for, which may be over by now.
        session: attributes of the film session, Number of Copies among them (PS3.3 C.13.1).
        films: what is on them, in the order of their creation.
        presentation_luts: attributes of the Presentation LUTs that films and images refer to, by SOP Instance UID.
        info: set it before you raise, to say why: a defined term, such as FILM JAM (PS3.3 C.13.9.1).
    """

    uid: str
    association: Association
    session: Dataset
    films: Sequence[PrintedFilm]
    presentation_luts: Mapping[str, Dataset]
    info: str = ""
    size: int = 0
    begun: bool = False
    reporting: asyncio.Task[None] | None = None

    @property
    def requester(self) -> Address:
        """Who wants it printed."""
        return self.association.peer

    @property
    def copies(self) -> int:
        """How many of each film."""
        return int(self.session.NumberOfCopies)


Handler: TypeAlias = Callable[[PrintRequest], Any]


@dataclass(slots=True, eq=False)
class Box:
    """An image box or annotation box while it may still change."""

    sop_class: str
    uid: str
    position: int
    attributes: Dataset = field(default_factory=Dataset)


@dataclass(slots=True, eq=False)
class Film:
    """A film box while it may still change."""

    attributes: Dataset
    images: Sequence[Box]
    annotations: Sequence[Box]

    def snapshot(self) -> PrintedFilm:
        """The film as it is; what changes later replaces these data sets."""
        images = [box.attributes for box in self.images]
        return PrintedFilm(self.attributes, images, [box.attributes for box in self.annotations])


@dataclass(slots=True, eq=False)
class Holdings:
    """What a peer has created on an association; it is gone when the association is.

    Attributes:
        deleted: Presentation LUTs that the peer has deleted, but that films may still refer to.
        sizes: bytes of what each SOP instance holds.
    """

    session_uid: str = ""
    session: Dataset = field(default_factory=Dataset)
    films: dict[str, Film] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    luts: dict[str, Dataset] = field(default_factory=dict)
    deleted: dict[str, Dataset] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


class PrintProvider:
    """Serves Basic Grayscale and Basic Color Print Management, Presentation LUT and Print Job (PS3.4 H).

    It keeps what peers create, enforces the rules of the standard, and calls a handler with what is to be printed.

    ```python
    async def expose(request: PrintRequest) -> None:
        for film in request.films:
            ...

    PrintProvider(app, expose)
    ```

    The peer has its answer before the handler runs; how the job gets on it hears by events, where it has negotiated
    Print Job: PENDING while others are printed, PRINTING, DONE when the handler returns, FAILURE when it raises.

    Args:
        app: what serves.
        handler: prints; a plain function runs in a worker thread. It runs on though the association may end.
        accept: asked before the answer; it may raise `Refused`, or return a Warning status such as
            `Status.IMAGE_DEMAGNIFIED`. A plain function runs in a worker thread.
        printer: attributes of the printer by keyword: `PrinterName`, `Manufacturer` … (PS3.4 Table H.4-20).
        defaults: values of film sessions and film boxes where a peer gives none, by keyword.
        layouts: numbers of image boxes by Image Display Format, for formats beside STANDARD, ROW and COL.
        annotations: numbers of annotation boxes by Annotation Display Format ID.
        at_once: jobs that the handler prints at the same time.
        queue: jobs that may be waiting or printed; more are refused.
        memory: bytes that unfinished films and jobs may hold altogether; more are refused.
        timeout: seconds within which a peer has to confirm an event.

    Attributes:
        printer: attributes of the printer.
    """

    def __init__(
        self,
        app: Application,
        handler: Handler,
        *,
        accept: Handler | None = None,
        printer: Mapping[str, object] | None = None,
        defaults: Mapping[str, object] | None = None,
        layouts: Mapping[str, int] | None = None,
        annotations: Mapping[str, int] | None = None,
        at_once: int = 1,
        queue: int = 100,
        memory: int = 1_073_741_824,
        timeout: float = 30.0,
    ) -> None:
        self.handler: Callable[[PrintRequest], Awaitable[Any]] = awaitable(handler)
        self.accept: Callable[[PrintRequest], Awaitable[Any]] | None = awaitable(accept) if accept else None
        known = {"PrinterStatus": "NORMAL", "PrinterStatusInfo": "NORMAL", "PrinterName": app.ae_title}
        self.printer = dataset(**known | dict(printer or {}))
        self.session_defaults = {key: (defaults or {}).get(key, value) for key, value in SESSION_DEFAULTS.items()}
        self.film_defaults = {key: (defaults or {}).get(key, value) for key, value in FILM_DEFAULTS.items()}
        self.layouts = layouts or {}
        self.annotations = annotations or {}
        self.turns = asyncio.Semaphore(at_once)
        self.queue = queue
        self.memory = memory
        self.timeout = timeout
        self.used = 0
        self.holdings: dict[Association, Holdings] = {}
        self.under_way: set[PrintRequest] = set()
        self.jobs: dict[str, Dataset] = {}
        self.register(app)

    def register(self, app: Application) -> None:
        """Enters the handlers for every SOP class of the service."""
        app.n_create(sop.BasicFilmSession)(self.create_session)
        app.n_set(sop.BasicFilmSession)(self.set_session)
        app.n_delete(sop.BasicFilmSession)(self.delete_session)
        app.n_action(sop.BasicFilmSession)(self.print_session)
        app.n_create(sop.BasicFilmBox)(self.create_film)
        app.n_set(sop.BasicFilmBox)(self.set_film)
        app.n_delete(sop.BasicFilmBox)(self.delete_film)
        app.n_action(sop.BasicFilmBox)(self.print_film)
        app.n_set(sop.BasicGrayscaleImageBox, sop.BasicColorImageBox)(self.set_image)
        if self.annotations:
            app.n_set(sop.BasicAnnotationBox)(self.set_annotation)
        app.n_create(sop.PresentationLUT)(self.create_lut)
        app.n_delete(sop.PresentationLUT)(self.delete_lut)
        app.n_get(sop.Printer)(self.get_printer)
        app.n_get(sop.PrintJob)(self.get_job)
        app.on_close(self.closed)

    # film sessions

    async def create_session(self, request: CreateRequest) -> tuple[int, Dataset]:
        """N-CREATE of a film session (PS3.4 H.4.1.2.1)."""
        held, attributes = self.held(request), attributes_of(request)
        if held.session_uid:
            raise Refused(Status.RESOURCE_LIMITATION, "there is a film session on this association")
        check_new(held, request)
        attributes = filled(attributes, self.session_defaults)
        self.charge(held, request.sop_instance_uid, attributes)
        held.session_uid, held.session = request.sop_instance_uid, attributes
        unsupported = Status.MEMORY_ALLOCATION_NOT_SUPPORTED
        return unsupported if attributes.get("MemoryAllocation") else Status.SUCCESS, attributes

    async def set_session(self, request: SetRequest) -> None:
        """N-SET of a film session (PS3.4 H.4.1.2.2)."""
        held = self.held_session(request)
        session = merged(held.session, attributes_of(request))
        self.charge(held, held.session_uid, session)
        held.session = session

    async def delete_session(self, request: DeleteRequest) -> None:
        """N-DELETE of a film session, with everything below it (PS3.4 H.4.1.2.3)."""
        held = self.held_session(request)
        for uid in list(held.films):
            self.drop_film(held, uid)
        self.used -= held.sizes.pop(held.session_uid)
        held.session_uid, held.session = "", Dataset()

    async def print_session(self, request: ActionRequest) -> int | tuple[int, Dataset]:
        """N-ACTION of a film session (PS3.4 H.4.1.2.4)."""
        held = self.held_session(request)
        if not held.films:
            raise Refused(Status.FILM_SESSION_WITHOUT_FILM_BOXES)
        films = list(held.films.values())
        return await self.take(request, films, Status.FILM_SESSION_EMPTY_PAGE, Status.FILM_SESSION_PRINT_QUEUE_FULL)

    # film boxes

    async def create_film(self, request: CreateRequest) -> Dataset:
        """N-CREATE of a film box, with its image boxes (PS3.4 H.4.2.2.1)."""
        held, attributes = self.held(request), attributes_of(request)
        check_new(held, request)
        require(attributes, "ImageDisplayFormat", "ReferencedFilmSessionSequence")
        if not held.session_uid or [uid for _, uid in uids_in(attributes, "ReferencedFilmSessionSequence")] != [
            held.session_uid
        ]:
            raise invalid("ReferencedFilmSessionSequence")
        check_luts(held, attributes)
        count = image_boxes(str(attributes.ImageDisplayFormat).strip(), self.layouts)
        if count is None:
            raise invalid("ImageDisplayFormat")
        if len(held.films) >= MOST_FILMS:
            raise Refused(Status.RESOURCE_LIMITATION, "too many film boxes")
        attributes = filled(attributes, self.film_defaults)
        is_color = request.negotiated_as == sop.BasicColorPrintManagementMeta
        images = boxes_of(sop.BasicColorImageBox if is_color else sop.BasicGrayscaleImageBox, count)
        annotations = boxes_of(sop.BasicAnnotationBox, self.annotation_boxes(request.association, attributes))
        self.charge(held, request.sop_instance_uid, attributes, boxes=len(images) + len(annotations))
        held.films[request.sop_instance_uid] = Film(attributes, images, annotations)
        held.boxes.update((box.uid, box) for box in (*images, *annotations))
        return with_boxes(attributes, images, annotations)

    def annotation_boxes(self, association: Association, attributes: Dataset) -> int:
        """How many annotation boxes a film has: none unless the peer can write into them (PS3.4 Table H.4-6)."""
        wanted = str(attributes.get("AnnotationDisplayFormatID") or "").strip()
        return self.annotations.get(wanted, 0) if negotiated(association, sop.BasicAnnotationBox) else 0

    async def set_film(self, request: SetRequest) -> None:
        """N-SET of a film box (PS3.4 H.4.2.2.2)."""
        held = self.held(request)
        film, changes = self.film(held, request), attributes_of(request)
        check_luts(held, changes)
        fixed = [
            element.tag
            for element in changes
            if not element.tag.is_private
            and element.keyword not in SETTABLE
            and (element.tag not in film.attributes or film.attributes[element.tag] != element)
        ]
        if fixed:
            raise Refused(Status.INVALID_ATTRIBUTE_VALUE, "it cannot be changed", offending=fixed)
        attributes = merged(film.attributes, changes)
        self.charge(held, request.sop_instance_uid, attributes, boxes=len(film.images) + len(film.annotations))
        film.attributes = attributes

    async def delete_film(self, request: DeleteRequest) -> None:
        """N-DELETE of a film box (PS3.4 H.4.2.2.3)."""
        held = self.held(request)
        self.film(held, request)
        self.drop_film(held, request.sop_instance_uid)

    async def print_film(self, request: ActionRequest) -> int | tuple[int, Dataset]:
        """N-ACTION of a film box (PS3.4 H.4.2.2.4)."""
        film = self.film(self.held(request), request)
        return await self.take(request, [film], Status.FILM_BOX_EMPTY_PAGE, Status.FILM_BOX_PRINT_QUEUE_FULL)

    def film(self, held: Holdings, request: ActionRequest | DeleteRequest | SetRequest) -> Film:
        """The film box that a request is about; the last one where the peer does not say."""
        if not request.sop_instance_uid and held.films:
            request.association.upper.messages.note(OMITTED)
            request.sop_instance_uid = next(reversed(held.films))
        if request.sop_instance_uid not in held.films:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        return held.films[request.sop_instance_uid]

    def drop_film(self, held: Holdings, uid: str) -> None:
        """Forgets a film box and what is on it."""
        film = held.films.pop(uid)
        for box in (*film.images, *film.annotations):
            del held.boxes[box.uid]
            self.used -= held.sizes.pop(box.uid, 0)
        self.used -= held.sizes.pop(uid)

    # image boxes and annotation boxes

    async def set_image(self, request: SetRequest) -> None:
        """N-SET of an image box (PS3.4 H.4.3.1.2.1, H.4.3.2.2.1)."""
        held = self.held(request)
        box, changes = find_box(held, request), attributes_of(request)
        is_color = box.sop_class == sop.BasicColorImageBox
        require_present(changes, COLOR if is_color else GRAYSCALE)
        require(changes, "ImageBoxPosition")
        if changes.ImageBoxPosition != box.position:
            raise invalid("ImageBoxPosition")
        check_image(changes, color=is_color)
        check_luts(held, changes)
        attributes = merged(box.attributes, changes)
        self.charge(held, box.uid, attributes, Status.INSUFFICIENT_PRINTER_MEMORY)
        box.attributes = attributes

    async def set_annotation(self, request: SetRequest) -> None:
        """N-SET of an annotation box (PS3.4 H.4.4.2.1)."""
        held = self.held(request)
        box, changes = find_box(held, request), attributes_of(request)
        require(changes, "AnnotationPosition")
        if changes.AnnotationPosition != box.position:
            # Which position a box has depends on the format, and some have it configured instead of counting.
            request.association.upper.messages.note("sent an Annotation Position that is not that of the box")
        attributes = merged(box.attributes, changes)
        self.charge(held, box.uid, attributes)
        box.attributes = attributes

    # Presentation LUTs

    async def create_lut(self, request: CreateRequest) -> Dataset:
        """N-CREATE of a Presentation LUT (PS3.4 H.4.9.2.1)."""
        held, attributes = self.held(request), attributes_of(request)
        check_new(held, request)
        check_lut(attributes)
        if len(held.luts) + len(held.deleted) >= MOST_LUTS:
            raise Refused(Status.RESOURCE_LIMITATION, "too many Presentation LUTs")
        self.charge(held, request.sop_instance_uid, attributes)
        held.luts[request.sop_instance_uid] = attributes
        return attributes

    async def delete_lut(self, request: DeleteRequest) -> None:
        """N-DELETE of a Presentation LUT (PS3.4 H.4.9.2.2); what refers to it keeps it."""
        held = self.held(request)
        if request.sop_instance_uid not in held.luts:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        held.deleted[request.sop_instance_uid] = held.luts.pop(request.sop_instance_uid)

    # print jobs

    async def take(
        self, request: ActionRequest, films: Sequence[Film], empty: Status, full: Status
    ) -> int | tuple[int, Dataset]:
        """Takes a print job, unless there are too many."""
        if request.action_type != PRINT:
            raise Refused(Status.NO_SUCH_ACTION_TYPE, f"action type {request.action_type}")
        job = self.job_of(request, films)
        if len(self.under_way) >= self.queue or self.used + job.size > self.memory:
            raise Refused(full)
        self.under_way.add(job)
        self.used += job.size
        try:
            status = await self.accept(job) if self.accept is not None else None
            if status is not None and Status(status).is_failure:
                raise Refused(status)
        except BaseException:
            self.finish(job)
            raise
        self.remember(job)
        request.after(self.run, job)
        if not status and all(film.is_empty for film in job.films):
            status = empty
        if not negotiated(request.association, sop.PrintJob):
            return status or Status.SUCCESS
        return status or Status.SUCCESS, dataset(ReferencedPrintJobSequence=references([(sop.PrintJob, job.uid)]))

    def job_of(self, request: ActionRequest, films: Sequence[Film]) -> PrintRequest:
        """A print job, which contains a copy of the film session as it is (PS3.4 H.4.2.2.4.3)."""
        held = self.held(request)
        job = PrintRequest(
            str(generate_uid()),
            request.association,
            held.session,
            [film.snapshot() for film in films],
            held.deleted | held.luts,
        )
        job.size = INSTANCE + sum(held.sizes.get(box.uid, 0) for film in films for box in film.images)
        return job

    def finish(self, job: PrintRequest) -> None:
        """A job is over, or was never to be."""
        self.under_way.discard(job)
        self.used -= job.size
        job.size = 0

    def remember(self, job: PrintRequest) -> None:
        """Keeps the state of a job for whoever asks (PS3.4 Table H.4-18)."""
        now = datetime.now()
        self.jobs[job.uid] = dataset(
            ExecutionStatus=JobState.PENDING,
            ExecutionStatusInfo="QUEUED",
            CreationDate=f"{now:%Y%m%d}",
            CreationTime=f"{now:%H%M%S}",
            PrintPriority=job.session.PrintPriority,
            PrinterName=self.printer.PrinterName,
            Originator=job.requester.ae_title,
        )
        if len(self.jobs) > MOST_JOBS:
            del self.jobs[next(iter(self.jobs))]

    async def run(self, job: PrintRequest) -> None:
        """Has a job printed when it is its turn."""
        job.begun = True
        try:
            if self.turns.locked():
                self.report(job, JobState.PENDING, "QUEUED")
            async with self.turns:
                self.report(job, JobState.PRINTING, "NORMAL")
                await self.handler(job)
        except Exception:
            logger.exception("print job %s of %s failed", job.uid, job.requester)
            self.report(job, JobState.FAILURE, job.info or "UNKNOWN")
        else:
            self.report(job, JobState.DONE, job.info or "NORMAL")
        finally:
            self.finish(job)
        assert job.reporting is not None
        await job.reporting

    def report(self, job: PrintRequest, state: JobState, info: str) -> None:
        """Notes the state of a job; the peer hears of it while the job goes on."""
        if job.uid in self.jobs:
            self.jobs[job.uid].update(dataset(ExecutionStatus=state, ExecutionStatusInfo=info))
        job.reporting = asyncio.get_running_loop().create_task(self.deliver(job, state, info, job.reporting))

    async def deliver(
        self, job: PrintRequest, state: JobState, info: str, earlier: "asyncio.Task[None] | None"
    ) -> None:
        """Reports a state where the job was asked for, and nowhere else (PS3.4 H.4.5.2.1.2)."""
        if earlier is not None:
            await earlier
        if not negotiated(job.association, sop.PrintJob) or job.association.ended is not None:
            return
        event_type = next(number for number, each in JOB_EVENTS.items() if each is state)
        information = dataset(ExecutionStatusInfo=info, PrinterName=self.printer.PrinterName)
        confirmed = await self.send(job.association, sop.PrintJob, job.uid, event_type, information)
        if confirmed and state.is_final:
            # PS3.4 H.4.5.2.1.2: the instance is deleted after a confirmation from the SCU.
            self.jobs.pop(job.uid, None)

    async def get_job(self, request: GetRequest) -> Dataset:
        """N-GET of a print job (PS3.4 H.4.5.2.2)."""
        if request.sop_instance_uid not in self.jobs:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        return self.jobs[request.sop_instance_uid]

    # the printer

    async def get_printer(self, request: GetRequest) -> Dataset:
        """N-GET of the printer (PS3.4 H.4.6.2.2)."""
        self.held(request)
        if request.sop_instance_uid not in ("", sop.PrinterInstance):
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        return self.printer

    async def set_status(self, state: PrinterState | str, info: str = "NORMAL") -> None:
        """Says how the printer is, and reports it to those who print at the moment (PS3.4 H.4.6.2.1).

        Args:
            state: NORMAL, WARNING or FAILURE.
            info: why, a defined term such as SUPPLY LOW (PS3.3 C.13.9.1).

        Raises:
            ValueError: there is no such state.
        """
        state = PrinterState(state)
        event_type = next(number for number, each in PRINTER_EVENTS.items() if each is state)
        self.printer.update(dataset(PrinterStatus=state, PrinterStatusInfo=info))
        information = dataset(PrinterStatusInfo=info, PrinterName=self.printer.PrinterName)
        reports = (
            self.send(association, sop.Printer, sop.PrinterInstance, event_type, information)
            for association in self.holdings
        )
        await asyncio.gather(*reports)

    async def send(
        self, association: Association, sop_class: str, uid: str, event_type: int, information: Dataset
    ) -> bool:
        """Sends an event; says whether the peer has confirmed it."""
        meta = next((each for each in METAS if negotiated(association, each)), None)
        negotiated_as = meta if sop_class == sop.Printer else None
        try:
            async with asyncio.timeout(self.timeout):
                await association.n_event_report(sop_class, uid, event_type, information, negotiated_as=negotiated_as)
        except (DicomError, TimeoutError) as error:
            logger.info("%s: an event was not confirmed: %s", association.peer, error)
            return False
        return True

    # what is held for a peer

    def held(self, request: Any) -> Holdings:
        """What there is on the association of a request."""
        return self.holdings.setdefault(request.association, Holdings())

    def held_session(self, request: ActionRequest | DeleteRequest | SetRequest) -> Holdings:
        """What there is, once it is clear that the request is about the film session there is."""
        held = self.held(request)
        if not request.sop_instance_uid and held.session_uid:
            request.association.upper.messages.note(OMITTED)
            request.sop_instance_uid = held.session_uid
        if not held.session_uid or request.sop_instance_uid != held.session_uid:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        return held

    def charge(
        self,
        held: Holdings,
        uid: str,
        attributes: Dataset,
        status: Status = Status.RESOURCE_LIMITATION,
        *,
        boxes: int = 0,
    ) -> None:
        """Counts what an instance holds from now on, with the boxes that come along.

        Raises:
            Refused: there is no room for it.
        """
        size = size_of(attributes) + (1 + boxes) * INSTANCE
        more = size - held.sizes.get(uid, 0)
        if self.used + more > self.memory:
            raise Refused(status)
        self.used += more
        held.sizes[uid] = size

    async def closed(self, association: Association) -> None:
        """Forgets what there was on an association; print jobs go on, where the peer knows that they were accepted."""
        held = self.holdings.pop(association, None)
        if held is not None:
            self.used -= sum(held.sizes.values())
        for job in [job for job in self.under_way if job.association is association and not job.begun]:
            self.finish(job)
            self.jobs.pop(job.uid, None)


def attributes_of(request: CreateRequest | SetRequest) -> Dataset:
    """The data set of a request, once everything in it is known to make sense, pixels in little endian."""
    attributes = request.data_set
    check_values(attributes)
    check_terms(attributes)
    return in_little_endian(attributes) if request.transfer_syntax == sop.ExplicitVRBigEndian else attributes


def check_new(held: Holdings, request: CreateRequest) -> None:
    """Refuses an instance that there already is (PS3.7 10.1.5.1.6)."""
    taken = (held.session_uid, *held.films, *held.boxes, *held.luts, *held.deleted)
    if request.sop_instance_uid in taken:
        raise Refused(Status.DUPLICATE_SOP_INSTANCE)


def check_luts(held: Holdings, attributes: Dataset) -> None:
    """Refuses references to Presentation LUTs that there are not."""
    if any(uid not in held.luts for _, uid in uids_in(attributes, "ReferencedPresentationLUTSequence")):
        raise invalid("ReferencedPresentationLUTSequence")


def require_present(attributes: Dataset, keyword: str) -> None:
    """Refuses that an attribute is missing; it may be empty."""
    if keyword not in attributes:
        raise Refused(Status.MISSING_ATTRIBUTE, keyword, offending=tags_of([keyword]))


def find_box(held: Holdings, request: SetRequest) -> Box:
    """The image box or annotation box that a request is about."""
    box = held.boxes.get(request.sop_instance_uid)
    if box is None:
        raise Refused(Status.NO_SUCH_SOP_INSTANCE)
    if box.sop_class != request.sop_class_uid:
        raise Refused(Status.CLASS_INSTANCE_CONFLICT)
    return box


def boxes_of(sop_class: str, count: int) -> list[Box]:
    """New boxes of a film."""
    return [Box(sop_class, str(generate_uid()), position) for position in range(1, count + 1)]


def with_boxes(attributes: Dataset, images: Sequence[Box], annotations: Sequence[Box]) -> Dataset:
    """The attributes of a film box with references to its boxes, as in the response to its N-CREATE."""
    found = merged(Dataset(), attributes)
    found.update(dataset(ReferencedImageBoxSequence=references((box.sop_class, box.uid) for box in images)))
    if annotations:
        items = references((box.sop_class, box.uid) for box in annotations)
        found.update(dataset(ReferencedBasicAnnotationBoxSequence=items))
    return found


def merged(held: Dataset, changes: Dataset) -> Dataset:
    """A new data set with changes; those that were handed out stay as they are."""
    found = Dataset()
    found.update(held)
    found.update(changes)
    return found


def negotiated(association: Association, sop_class: str) -> bool:
    """Whether there is a presentation context for a SOP class."""
    return any(context.abstract_syntax == sop_class for context in association.contexts.values())
