"""Our own side as query and retrieve SCP: an application over a list of data sets in memory."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio import PATIENT_ROOT, STUDY_ROOT, WORKLIST, Address, Application, FindRequest, RetrieveRequest
from dicomio.matching import compile_query
from dicomio.sop import PATIENT_STUDY_ONLY

__all__ = ["catalogue", "worklist"]

_LEVELS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_UNIQUE_KEYS = {Tag(keyword) for keyword in _LEVELS.values()}
_MODELS = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)


def catalogue(paths: Iterable[Path], destinations: Mapping[str, Address] | None = None) -> Application:
    """An application that answers queries about files, and sends them.

    `app.state.ended` has the reasons why associations are over, once the server is closed.
    """
    app = Application("ARCHIVE", destinations=destinations or {})
    app.state.ended = []
    held = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in paths}

    @app.find(*_MODELS)
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        query = compile_query(request.identifier)
        for entity in _entities(held.values(), request.level):
            if query.matches(entity):
                yield query.project(entity)

    @app.get(*_MODELS)
    @app.move(*_MODELS, pace=0.0)
    async def retrieve(request: RetrieveRequest) -> Sequence[Path]:
        query = compile_query(_unique_keys(request.identifier))
        return [path for path, ds in held.items() if query.matches(ds)]

    app.on_close(lambda association: app.state.ended.append(association.ended))
    return app


def worklist(items: Sequence[Dataset]) -> Application:
    """An application that answers worklist queries."""
    app = Application("ARCHIVE")

    @app.find(WORKLIST)
    def find(request: FindRequest) -> Iterator[Dataset]:
        query = compile_query(request.identifier)
        return (query.project(item) for item in items if query.matches(item))

    return app


def _unique_keys(identifier: Dataset) -> Dataset:
    """What retrievals go by (PS3.4 C.4.2.2.1); Orthanc sends more."""
    return Dataset({tag: element for tag, element in identifier.items() if tag in _UNIQUE_KEYS})


def _entities(held: Iterable[Dataset], level: str) -> Iterator[Dataset]:
    """One data set for each patient, study, series or instance, with what is to be counted."""
    groups: dict[Any, list[Dataset]] = {}
    for ds in held:
        groups.setdefault(ds[_LEVELS[level]].value, []).append(ds)
    for instances in groups.values():
        entity = Dataset(instances[0])
        if level == "STUDY":
            entity.ModalitiesInStudy = sorted({ds.Modality for ds in instances})
            entity.NumberOfStudyRelatedInstances = len(instances)
        yield entity
