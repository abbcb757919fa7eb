from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from pydicom.dataset import Dataset
from dicomio import STUDY_ROOT, Application, Status
from dicomio import FindRequest, RetrieveRequest, StoreRequest

from archive import find_paths, find_rows

INBOX = Path("inbox")
app = Application("ARCHIVE", destinations={"WORKSTATION": "WORKSTATION@10.0.0.9:104"})
app.map_exception(OSError, Status.OUT_OF_RESOURCES)


@app.store()
async def store(request: StoreRequest) -> None:
    await request.save(INBOX / f"{request.sop_instance_uid}.dcm")


@app.find(STUDY_ROOT)
async def find(request: FindRequest) -> AsyncIterator[Dataset]:
    for row in find_rows(request.identifier):
        yield row


@app.get(STUDY_ROOT)
@app.move(STUDY_ROOT)
async def retrieve(request: RetrieveRequest) -> Sequence[Path]:
    return find_paths(request.identifier)


if __name__ == "__main__":
    app.run(port=11112)
