"""Printers for tests, and what is printed on them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio import Application, Association, PrintProvider, PrintRequest, Response, StatusError, dataset, sop
from dicomio.services.normalized import Answer, invoke
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField

__all__ = [
    "CONTEXTS",
    "FILM",
    "META",
    "SESSION",
    "Peer",
    "Printing",
    "box",
    "connect",
    "gradient",
    "holding",
    "item",
    "refused",
    "tags",
]

META = sop.BasicGrayscalePrintManagementMeta
CONTEXTS = [META, sop.BasicColorPrintManagementMeta, sop.PresentationLUT, sop.PrintJob]
SESSION, FILM = "1.2.1", "1.2.2"


class Printing:
    """A printer with what it printed.

    Attributes:
        gate: the handler waits for it.
        failure: what the handler raises, after it has set `info`.
        answer: what the printer says before it takes a job; an exception is raised.
    """

    def __init__(self, **options: Any) -> None:
        self.app = Application("PRINTER")
        self.printed: list[PrintRequest] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.info = ""
        self.answer: int | Exception | None = None
        self.provider = PrintProvider(self.app, self.expose, accept=self.accept, **options)

    async def accept(self, request: PrintRequest) -> int | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def expose(self, request: PrintRequest) -> None:
        await self.gate.wait()
        if self.failure is not None:
            request.info = self.info
            raise self.failure
        self.printed.append(request)

    async def finished(self) -> None:
        """Waits until every job is over."""
        while self.app.background:
            await asyncio.wait(list(self.app.background))


@asynccontextmanager
async def connect(printing: Printing, **options: Any) -> AsyncIterator[Association]:
    """An association with a printer, with every context there is for printing."""
    async with connected(printing.app, **{"contexts": CONTEXTS, **options}) as association:
        yield association
    await printing.finished()


def gradient(rows: int = 4, columns: int = 6) -> NDArray[Any]:
    """Gray values from black to white."""
    return np.linspace(0, 255, rows * columns).astype("uint8").reshape(rows, columns)


def item(rows: int = 2, columns: int = 3, *, bits: int = 8, color: bool = False, **elements: Any) -> Dataset:
    """The item of the sequence that holds the image of a box; `None` leaves an element out."""
    samples, allocated = (3 if color else 1), (8 if bits == 8 else 16)
    known: dict[str, Any] = {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if color else "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        **({"PlanarConfiguration": 1} if color else {}),
    }
    data = elements.pop("PixelData", bytes(rows * columns * samples * allocated // 8))
    found = dataset(**{keyword: value for keyword, value in (known | elements).items() if value is not None})
    if data is not None:
        found.add_new(0x7FE00010, "OW", data)
    return found


def box(position: int = 1, *, color: bool = False, **elements: Any) -> Dataset:
    """The attributes of an image box."""
    keyword = "BasicColorImageSequence" if color else "BasicGrayscaleImageSequence"
    known: dict[str, Any] = {"ImageBoxPosition": position, keyword: [item(color=color)]}
    return dataset(**known | elements)


def holding(pixels: list[Dataset], position: int = 1) -> Dataset:
    """The attributes of an image box with these items."""
    found = box(position)
    found.BasicGrayscaleImageSequence = pixels
    return found


class Peer:
    """Somebody who prints, message by message."""

    def __init__(self, association: Association, meta: str = META) -> None:
        self.association = association
        self.meta = meta

    async def session(self, uid: str | None = SESSION, **elements: Any) -> Answer:
        attributes = dataset(**elements)
        return await self.association.n_create(sop.BasicFilmSession, uid, attributes, negotiated_as=self.meta)

    async def film(self, uid: str | None = FILM, *, session: str = SESSION, **elements: Any) -> Answer:
        reference = {"ReferencedSOPClassUID": sop.BasicFilmSession, "ReferencedSOPInstanceUID": session}
        known = {"ImageDisplayFormat": r"STANDARD\1,2", "ReferencedFilmSessionSequence": [reference]}
        given = {keyword: value for keyword, value in (known | elements).items() if value is not ...}
        return await self.association.n_create(sop.BasicFilmBox, uid, dataset(**given), negotiated_as=self.meta)

    async def set(self, sop_class: str, uid: str, changes: Dataset) -> Answer:
        return await self.association.n_set(sop_class, uid, changes, negotiated_as=self.meta)

    async def print(self, uid: str = FILM, sop_class: str = sop.BasicFilmBox, action: int = 1) -> Answer:
        return await self.association.n_action(sop_class, uid, action, negotiated_as=self.meta)

    async def delete(self, uid: str, sop_class: str = sop.BasicFilmBox) -> Response:
        return await self.association.n_delete(sop_class, uid, negotiated_as=self.meta)

    async def unnamed(self, field: CommandField, sop_class: str, changes: Dataset | None = None) -> Answer:
        """A request that does not say what it is about."""
        action = 1 if field == CommandField.N_ACTION_RQ else None
        command = Command(field, requested_sop_class_uid=sop_class, action_type_id=action)
        return await invoke(self.association, command, changes, negotiated_as=self.meta)


def refused(raised: pytest.ExceptionInfo[StatusError]) -> tuple[int, list[str]]:
    """The status of a refusal, and the attributes that are to blame."""
    response = raised.value.response
    tags = (*response.attribute_identifiers, *response.offending_elements)
    return int(raised.value.status), [Tag(tag).json_key for tag in tags]


def tags(*keywords: str) -> list[str]:
    return [Tag(keyword).json_key for keyword in keywords]
