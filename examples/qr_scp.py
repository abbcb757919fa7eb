"""A query/retrieve SCP that keeps everything in memory: store to it, query it, retrieve from it by C-GET and C-MOVE.

`python examples/qr_scp.py 11112 WORKSTATION@10.0.0.9:104`, where what follows the port are destinations of C-MOVE.
"""

import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from pydicom.dataset import Dataset

from dicomio import PATIENT_ROOT, STUDY_ROOT, Address, Application, FindRequest, RetrieveRequest, StoreRequest
from dicomio.matching import compile_query

UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}

PATIENT = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"]
STUDY = ["StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription"]
COUNTED = ["ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedInstances"]
SERIES = ["SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription"]
IMAGE = ["SOPInstanceUID", "SOPClassUID", "InstanceNumber"]

# What can be asked for at each level; other keys are passed over, and left out of the answer (PS3.4 C.2.2.1.3).
KEYS = {
    "PATIENT": PATIENT,
    "STUDY": [*PATIENT, *STUDY, *COUNTED],
    "SERIES": [*PATIENT, *STUDY, *SERIES],
    "IMAGE": [*PATIENT, *STUDY, *SERIES, *IMAGE],
}


def qr_scp(destinations: dict[str, Address]) -> Application:
    """An application that finds and sends what it was sent."""
    app = Application("ARCHIVE", destinations=destinations)
    instances: dict[str, Dataset] = {}

    @app.store()
    async def store(request: StoreRequest) -> None:
        instances[request.sop_instance_uid] = await request.dataset()

    @app.find(PATIENT_ROOT, STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        wanted = compile_query(some_of(request.identifier, KEYS[request.level]))
        for entity in entities(instances.values(), request.level):
            if wanted.matches(entity):
                yield wanted.project(entity)

    @app.get(PATIENT_ROOT, STUDY_ROOT)
    @app.move(PATIENT_ROOT, STUDY_ROOT)
    async def retrieve(request: RetrieveRequest) -> Sequence[Dataset]:
        wanted = compile_query(request.identifier)
        return [instance for instance in instances.values() if wanted.matches(instance)]

    return app


def entities(instances: Iterable[Dataset], level: str) -> Iterator[Dataset]:
    """The patients, studies, series or images that the instances belong to."""
    groups: dict[str, list[Dataset]] = {}
    for instance in instances:
        groups.setdefault(instance.get(UNIQUE[level], ""), []).append(instance)
    for group in groups.values():
        entity = some_of(group[0], ["SpecificCharacterSet", *KEYS[level]])
        if level == "STUDY":
            entity.ModalitiesInStudy = sorted({each.Modality for each in group if "Modality" in each})
            entity.SOPClassesInStudy = sorted({each.SOPClassUID for each in group})
            entity.NumberOfStudyRelatedInstances = len(group)
        yield entity


def some_of(ds: Dataset, keywords: Sequence[str]) -> Dataset:
    """A data set with those of the elements that are named."""
    return Dataset({each.tag: each for each in ds if each.keyword in keywords})


if __name__ == "__main__":
    known = [Address.parse(text) for text in sys.argv[2:]]
    qr_scp({address.ae_title: address for address in known}).run(port=int(sys.argv[1]))
