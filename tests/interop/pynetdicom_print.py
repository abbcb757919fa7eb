"""A printer, or who prints, with pynetdicom. It tells what it heard in lines of JSON.

Usage: pynetdicom_print.py scp PORT
       pynetdicom_print.py scu PORT CALLED-AE-TITLE

The printer has one image box on each film, and takes whatever it is told. Who prints makes a film of one image, in gray
and in color, asks for the print job, and hears of it.
"""

import json
import queue
import sys
from typing import Any, TypeAlias

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association

GRAY = "1.2.840.10008.5.1.1.9"
COLOR = "1.2.840.10008.5.1.1.18"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
FILM_BOX = "1.2.840.10008.5.1.1.2"
IMAGE_BOXES = {GRAY: "1.2.840.10008.5.1.1.4", COLOR: "1.2.840.10008.5.1.1.4.1"}
PRINT_JOB = "1.2.840.10008.5.1.1.14"
PRINTER = "1.2.840.10008.5.1.1.16"
PRINTER_INSTANCE = "1.2.840.10008.5.1.1.17"
PRESENTATION_LUT = "1.2.840.10008.5.1.1.23"

HOST = "127.0.0.1"
PATIENCE = 20

# Print jobs, and what happened to them.
Heard: TypeAlias = "queue.Queue[tuple[str, int]]"


def say(**what: Any) -> None:
    # In one call, since several threads have something to say.
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def data_set(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def reference(sop_class: str, uid: str) -> Dataset:
    return data_set(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)


# ---- SCP ----


class Printer:
    """Prints nothing, but says so politely."""

    def __init__(self) -> None:
        self.states = ["PENDING", "PRINTING", "DONE"]

    def create(self, event: Any) -> tuple[int, Dataset]:
        request, attributes = event.request, event.attribute_list
        say(create=request.AffectedSOPClassUID, attributes=json.loads(attributes.to_json()))
        if request.AffectedSOPClassUID == FILM_BOX:
            attributes.ReferencedImageBoxSequence = [reference(IMAGE_BOXES[event.context.abstract_syntax], "1.2.7")]
        return 0x0000, attributes

    def set(self, event: Any) -> tuple[int, None]:
        changes = event.modification_list
        pixels = [item for element in changes if element.VR == "SQ" for item in element.value]
        say(set=event.request.RequestedSOPInstanceUID, pixels=[[item.Rows, item.PixelData.hex()] for item in pixels])
        return 0xB604, None

    def act(self, event: Any) -> tuple[int, Dataset]:
        return 0x0000, data_set(ReferencedPrintJobSequence=[reference(PRINT_JOB, "1.2.8")])

    def get(self, event: Any) -> tuple[int, Dataset]:
        if event.request.RequestedSOPClassUID == PRINT_JOB:
            return 0x0000, data_set(ExecutionStatus=self.states.pop(0), ExecutionStatusInfo="NORMAL")
        return 0x0000, data_set(PrinterStatus="WARNING", PrinterStatusInfo="SUPPLY LOW")

    def delete(self, event: Any) -> int:
        say(delete=event.request.RequestedSOPClassUID)
        return 0x0000


def scp(port: str) -> None:
    printer, ae = Printer(), AE("PYNETDICOM")
    for uid in (GRAY, COLOR, PRINT_JOB, PRESENTATION_LUT):
        ae.add_supported_context(uid)
    handlers: list[Any] = [
        (evt.EVT_N_CREATE, printer.create),
        (evt.EVT_N_SET, printer.set),
        (evt.EVT_N_ACTION, printer.act),
        (evt.EVT_N_GET, printer.get),
        (evt.EVT_N_DELETE, printer.delete),
    ]
    ae.start_server((HOST, int(port)), block=True, evt_handlers=handlers)


# ---- SCU ----


def image(meta: str) -> Dataset:
    item = data_set(
        SamplesPerPixel=1 if meta == GRAY else 3,
        PhotometricInterpretation="MONOCHROME2" if meta == GRAY else "RGB",
        Rows=2,
        Columns=2,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=bytes(range(4 if meta == GRAY else 12)),
    )
    if meta == GRAY:
        return data_set(ImageBoxPosition=1, BasicGrayscaleImageSequence=[item])
    item.PlanarConfiguration = 1
    return data_set(ImageBoxPosition=1, BasicColorImageSequence=[item])


def print_film(association: Association, meta: str, heard: Heard) -> tuple[list[int], list[int]]:
    """Prints one film; gives the status of each response, and the events of the print job."""
    session, film = generate_uid(), generate_uid()
    attributes = data_set(
        ImageDisplayFormat="STANDARD\\1,1", ReferencedFilmSessionSequence=[reference(FILM_SESSION, session)]
    )
    copies = data_set(NumberOfCopies="2", PrintPriority="HIGH")
    responses = [association.send_n_create(copies, FILM_SESSION, session, meta_uid=meta)]
    responses.append(association.send_n_create(attributes, FILM_BOX, film, meta_uid=meta))
    (box,) = (responses[-1][1] or Dataset()).ReferencedImageBoxSequence
    uid = box.ReferencedSOPInstanceUID
    responses.append(association.send_n_set(image(meta), box.ReferencedSOPClassUID, uid, meta_uid=meta))
    responses.append(association.send_n_action(None, 1, FILM_BOX, film, meta_uid=meta))
    (job,) = (responses[-1][1] or Dataset()).ReferencedPrintJobSequence
    statuses = [status.get("Status", -1) for status, _ in responses]
    # A request of the peer that comes while it waits for an answer would be taken for that answer.
    events = [heard.get(timeout=PATIENCE) for _ in range(2)]
    for sop_class, instance in ((FILM_BOX, film), (FILM_SESSION, session)):
        statuses.append(association.send_n_delete(sop_class, instance, meta_uid=meta).get("Status", -1))
    return statuses, [number for uid, number in events if uid == job.ReferencedSOPInstanceUID]


def scu(port: str, called: str) -> None:
    heard: Heard = queue.Queue()

    def hear(event: Any) -> tuple[int, None]:
        heard.put((str(event.request.AffectedSOPInstanceUID), event.event_type))
        return 0x0000, None

    ae = AE("PYNETDICOM")
    for uid in (GRAY, COLOR, PRINT_JOB):
        ae.add_requested_context(uid)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, hear)]
    association = ae.associate(HOST, int(port), ae_title=called, evt_handlers=handlers)
    status, printer = association.send_n_get([Tag(0x2110, 0x0010)], PRINTER, PRINTER_INSTANCE, meta_uid=GRAY)
    say(status=status.get("Status", -1), printer=printer.PrinterStatus if printer else "")
    for meta in (GRAY, COLOR):
        statuses, events = print_film(association, meta, heard)
        say(statuses=statuses, events=events)
    # A release that follows a request of the peer at once may overtake its answer.
    association.abort()


if __name__ == "__main__":
    (scp if sys.argv[1] == "scp" else scu)(*sys.argv[2:])
