"""A router: receives, decides, forwards; each object leaves while it arrives, so that none is ever held as a whole.

`python examples/router.py 11112 ARCHIVE@archive.example:104 BREAST@reading.example:104`
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dicomio import Application, Client, DicomError, Limits, Status, StoreRequest, sop

MAMMOGRAPHY = {sop.DigitalMammographyXRayImageStorageForPresentation, sop.BreastTomosynthesisImageStorage}


def router(*addresses: str) -> Application:
    """An application that keeps nothing: what the destination answers is what the sender hears."""
    archive, breast = (Client(each, ae_title="ROUTER", limits=Limits(associations=4)) for each in addresses)

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        async with archive, breast:
            yield

    app = Application("ROUTER", lifespan=lifespan)
    # A destination that cannot be reached: the sender keeps the object, and may try again.
    app.map_exception(DicomError, Status.OUT_OF_RESOURCES)

    @app.store()
    async def store(request: StoreRequest) -> Status:
        # To decide by what is inside, `await request.dataset()`: it is kept, and can be forwarded all the same.
        destination = breast if request.sop_class_uid in MAMMOGRAPHY else archive
        response = await destination.store(request)
        return response.status

    return app


if __name__ == "__main__":
    router(*sys.argv[2:]).run(port=int(sys.argv[1]))
