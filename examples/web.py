"""HTTP and DICOM in one program and one event loop: `pip install fastapi uvicorn`, then `uvicorn examples.web:web`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import dicomio

PORT = 11112

dicom = dicomio.Application("ARCHIVE")
received: list[str] = []


@dicom.store()
async def store(request: dicomio.StoreRequest) -> None:
    ds = await request.dataset()
    received.append(str(ds.SOPInstanceUID))


@asynccontextmanager
async def lifespan(web: FastAPI) -> AsyncIterator[None]:
    async with dicomio.serve(dicom, port=PORT) as server:
        web.state.server = server
        yield


web = FastAPI(lifespan=lifespan)


@web.get("/instances")
async def instances() -> list[str]:
    return received
