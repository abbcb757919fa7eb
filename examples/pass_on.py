"""Passes each object on to another archive while it arrives, without ever holding the whole of it.

`python examples/pass_on.py 11112 ARCHIVE@archive.example:104`
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dicomio import Application, Client, Limits, StoreRequest


def pass_on(address: str) -> Application:
    """An application that stores nothing itself; the status of the archive behind it is the answer."""
    archive = Client(address, ae_title="PASSON", limits=Limits(associations=4))

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        async with archive:
            yield

    app = Application("PASSON", lifespan=lifespan)

    @app.store()
    async def store(request: StoreRequest) -> int:
        response = await archive.store(request)
        return response.status

    return app


if __name__ == "__main__":
    pass_on(sys.argv[2]).run(port=int(sys.argv[1]))
