"""Manages procedure steps for others, and prints what happens to them.

`python examples/ups_provider.py 11112 WORKER@localhost:11113 VIEWER@10.0.0.9:104`, where what follows the port are
those who may subscribe to events.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from dicomio import Address, Application, UPSEvent, UPSProvider


def ups_provider(subscribers: Mapping[str, Address]) -> Application:
    """An application with a worklist of Unified Procedure Steps, in memory."""

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        await provider.announce("RESTARTED")  # whoever was subscribed has to do it again
        yield

    app = Application("RIS", destinations=subscribers, lifespan=lifespan)
    provider = UPSProvider(app, fallback=list(subscribers))

    @provider.on_event
    async def note(event: UPSEvent) -> None:
        print(event, flush=True)

    return app


if __name__ == "__main__":
    known = [Address.parse(text) for text in sys.argv[2:]]
    ups_provider({address.ae_title: address for address in known}).run(port=int(sys.argv[1]))
