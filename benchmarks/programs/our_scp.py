"""A dicomio server that answers C-ECHO and stores what it gets; prints its port."""

import argparse
import asyncio
from pathlib import Path

from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from dicomio import Application, Limits, StoreRequest, serve, tls


def application(inbox: Path) -> Application:
    """Stores into a directory."""
    app = Application("BENCH")

    @app.store()
    async def store(request: StoreRequest) -> None:
        await request.save(inbox)

    return app


async def listen(inbox: Path, limits: Limits, certificate: Path | None) -> None:
    """Serves until the process is ended."""
    context = tls.server_context(certificate) if certificate is not None else None
    async with serve(application(inbox), "127.0.0.1", 0, limits=limits, ssl=context) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inbox", type=Path, required=True)
    parser.add_argument("--max-pdu", type=int, default=Limits().max_pdu)
    parser.add_argument("--associations", type=int, default=100)
    parser.add_argument("--certificate", type=Path, help="with its key; without it connections are plain")
    parser.add_argument("--loop", required=True)
    arguments = parser.parse_args()
    allow_open_files(arguments.associations)
    limits = Limits(associations=arguments.associations, max_pdu=arguments.max_pdu)
    run(listen(arguments.inbox, limits, arguments.certificate), arguments.loop)


if __name__ == "__main__":
    main()
