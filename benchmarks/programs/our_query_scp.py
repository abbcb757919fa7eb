"""A dicomio server that finds as many studies as the Study ID of a query says, and sends what is in a folder.

It finds as many entries of a worklist as the Accession Number says.

A C-MOVE goes to the port of the loopback interface that its destination is the number of. Prints its port.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from benchmarks.programs.rows import row, worklist_entry
from dicomio import STUDY_ROOT, WORKLIST, Address, Application, FindRequest, Limits, RetrieveRequest, serve


async def locate(ae_title: str) -> Address:
    return Address(ae_title, "127.0.0.1", int(ae_title))


def application(most: int, folder: Path) -> Application:
    """Finds and sends."""
    app = Application("BENCH", destinations=locate)
    rows = [row(number) for number in range(most)]
    entries = [worklist_entry(number) for number in range(most)]

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for each in rows[: int(request.identifier.StudyID)]:
            yield each

    @app.find(WORKLIST)
    async def find_entries(request: FindRequest) -> AsyncIterator[Dataset]:
        for each in entries[: int(request.identifier.AccessionNumber)]:
            yield each

    @app.get(STUDY_ROOT)
    @app.move(STUDY_ROOT)
    def retrieve(request: RetrieveRequest) -> Sequence[Path]:
        return sorted(folder.iterdir())

    return app


async def listen(app: Application) -> None:
    """Serves until the process is ended."""
    async with serve(app, "127.0.0.1", 0, limits=Limits(associations=1000)) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--loop", required=True)
    arguments = parser.parse_args()
    allow_open_files(1000)
    run(listen(application(arguments.most, arguments.folder)), arguments.loop)


if __name__ == "__main__":
    main()
