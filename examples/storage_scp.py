"""A Storage SCP that files objects by study: `python examples/storage_scp.py 11112 inbox`."""

import asyncio
import sys
from pathlib import Path

from dicomio import Application, Instance, Status, StoreRequest
from dicomio.datasets import safe_name


def storage_scp(inbox: Path) -> Application:
    """An application that stores whatever it is sent below a directory."""
    app = Application("ARCHIVE")
    app.map_exception(OSError, Status.OUT_OF_RESOURCES)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        # The study is known only inside the data set, so the file gets its place once it has arrived.
        arrived = await request.save(inbox / "arriving", fsync=True)
        request.after(file_by_study, arrived, inbox)

    return app


async def file_by_study(path: Path, inbox: Path) -> None:
    """Moves a stored object into the directory of its study; disk and decoding are work for a thread."""
    await asyncio.to_thread(move, path, inbox)


def move(path: Path, inbox: Path) -> None:
    """A UID becomes a directory only after it was made safe."""
    study = str(Instance.open(path).dataset().get("StudyInstanceUID", "no study"))
    directory = inbox / safe_name(study)
    directory.mkdir(parents=True, exist_ok=True)
    path.replace(directory / path.name)


if __name__ == "__main__":
    storage_scp(Path(sys.argv[2])).run(port=int(sys.argv[1]))
