"""HTTP and DICOM in one program and one event loop: what is stored by DICOM can be searched and fetched by HTTP.

`pip install fastapi uvicorn`, then `uvicorn examples.fastapi_app:web`, and for example

    dicomio storescu localhost 11112 +sd study
    curl 'localhost:8000/instances?PatientName=DOE*&StudyDate=20250101-&SeriesDescription='
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from pydicom import Dataset, dcmread

import dicomio
from dicomio.matching import compile_query

PORT = 11112
INBOX = Path("inbox")

dicom = dicomio.Application("ARCHIVE")
received: dict[str, Dataset] = {}


@dicom.store()
async def store(request: dicomio.StoreRequest) -> None:
    path = await request.save(INBOX)
    received[request.sop_instance_uid] = await asyncio.to_thread(dcmread, path, stop_before_pixels=True)


@asynccontextmanager
async def lifespan(web: FastAPI) -> AsyncIterator[None]:
    async with dicomio.serve(dicom, port=PORT):
        yield


web = FastAPI(lifespan=lifespan)


@web.get("/instances")
async def search(request: Request) -> list[dict[str, Any]]:
    """The parameters are those of a C-FIND, keywords with values to match, or none to be told them."""
    try:
        wanted = compile_query(dicomio.dataset(**{"SOPInstanceUID": "", **request.query_params}))
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    return [wanted.project(each).to_json_dict() for each in received.values() if wanted.matches(each)]


@web.get("/instances/{uid}")
async def fetch(uid: str) -> FileResponse:
    if uid not in received:
        raise HTTPException(404)
    return FileResponse(INBOX / f"{uid}.dcm", media_type="application/dicom")
