"""An archive that stores files, and answers for them (storage commitment).

`python examples/commitment_scp.py 11112 inbox EXAMPLE@localhost:11113`, where what follows the directory are those who
are told what became of their requests.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dicomio import Address, Application, CommitmentProvider, Instance, InvalidInstance, Status, StoreRequest


def commitment_scp(inbox: Path, requesters: Mapping[str, str | Address]) -> Application:
    """An application that keeps whatever it is sent in a directory."""
    app = Application("ARCHIVE", destinations=requesters)
    app.map_exception(OSError, Status.OUT_OF_RESOURCES)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        await request.save(inbox / f"{request.sop_instance_uid}.dcm", fsync=True)

    def check(instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:  # in a thread, so it may look at the disk
        return {uid: status for sop_class, uid in instances if (status := look_at(inbox / f"{uid}.dcm", sop_class))}

    CommitmentProvider(app, check, retrieve_ae_title=app.ae_title)
    return app


def look_at(path: Path, sop_class_uid: str) -> Status:
    """Whether a file is there and what it should be: Success, or why we do not answer for it."""
    try:
        instance = Instance.open(path)
    except FileNotFoundError:
        return Status.NO_SUCH_SOP_INSTANCE
    except (OSError, InvalidInstance):
        return Status.PROCESSING_FAILURE
    return Status.SUCCESS if instance.sop_class_uid == sop_class_uid else Status.CLASS_INSTANCE_CONFLICT


if __name__ == "__main__":
    known = [Address.parse(text) for text in sys.argv[3:]]
    app = commitment_scp(Path(sys.argv[2]), {address.ae_title: address for address in known})
    app.run(port=int(sys.argv[1]))
