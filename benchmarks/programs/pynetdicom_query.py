"""pynetdicom as server or as client of queries, with the same data as ours.

`scp` finds as many studies as the Study ID of a query says, or entries of a worklist as the Accession Number says, and
prints its port; `scu` takes so many matches, with `--images` those of dcmqrscp, and prints how long that took, as JSON.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

import dicomio
from benchmarks.programs.rows import IMAGE_KEYS, IMAGE_UID, KEYS, row, worklist_entry
from dicomio.sop import ModalityWorklistInformationModelFind, StudyRootQueryRetrieveInformationModelFind

PENDING = 0xFF00


def serve(most: int) -> None:
    """Serves until the process is ended."""
    rows = [row(number) for number in range(most)]
    entries = [worklist_entry(number) for number in range(most)]

    def find(event: Any) -> Iterator[tuple[int, Any]]:
        asked = event.identifier
        if event.request.AffectedSOPClassUID == ModalityWorklistInformationModelFind:
            found = entries[: int(asked.AccessionNumber)]
        else:
            found = rows[: int(asked.StudyID)]
        for each in found:
            yield PENDING, each

    entity = AE(ae_title="BENCH")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(ModalityWorklistInformationModelFind)
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    print(server.server_address[1], flush=True)
    threading.Event().wait()


def studies(count: int) -> Dataset:
    """What to ask a server of ours for so many studies."""
    return dicomio.dataset(**dict.fromkeys(KEYS, "") | {"QueryRetrieveLevel": "STUDY", "StudyID": str(count)})


def ask(port: int, count: int, first: Dataset, everything: Dataset) -> float:
    """Seconds that so many matches take, after a first one."""
    entity = AE()
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association: Any = entity.associate("127.0.0.1", port, ae_title="BENCH")
    take(association, first, 1)
    started = time.perf_counter()
    take(association, everything, count)
    seconds = time.perf_counter() - started
    association.release()
    return seconds


def take(association: Any, identifier: Dataset, count: int) -> None:
    """Takes so many matches one by one."""
    responses = association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind)
    found = sum(1 for _, match in responses if match is not None)
    if found != count:
        raise SystemExit(f"{found} matches in place of {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("scp").add_argument("--most", type=int, required=True)
    scu = commands.add_parser("scu")
    scu.add_argument("--port", type=int, required=True)
    scu.add_argument("--count", type=int, required=True)
    scu.add_argument("--images", action="store_true")
    given = parser.parse_args()
    if given.command == "scp":
        serve(given.most)
        return
    if given.images:
        first, everything = (
            dicomio.dataset(**IMAGE_KEYS | {"SOPInstanceUID": f"{IMAGE_UID}.0"}),
            dicomio.dataset(**IMAGE_KEYS),
        )
    else:
        first, everything = studies(1), studies(given.count)
    print(json.dumps({"seconds": ask(given.port, given.count, first, everything)}))


if __name__ == "__main__":
    main()
