"""pynetdicom as server or as client of queries, with the same data as ours.

`scp` finds as many studies as the Study ID of a query says and prints its port; `scu` takes so many matches and prints
how long that took, as JSON.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from pynetdicom import AE, evt

import dicomio
from benchmarks.programs.rows import KEYS, row
from dicomio.sop import StudyRootQueryRetrieveInformationModelFind

PENDING = 0xFF00


def serve(most: int) -> None:
    """Serves until the process is ended."""
    rows = [row(number) for number in range(most)]

    def find(event: Any) -> Iterator[tuple[int, Any]]:
        for each in rows[: int(event.identifier.StudyID)]:
            yield PENDING, each

    entity = AE(ae_title="BENCH")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    print(server.server_address[1], flush=True)
    threading.Event().wait()


def ask(port: int, count: int) -> float:
    """Seconds that so many matches take."""
    entity = AE()
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association: Any = entity.associate("127.0.0.1", port)
    take(association, 1)
    started = time.perf_counter()
    take(association, count)
    seconds = time.perf_counter() - started
    association.release()
    return seconds


def take(association: Any, count: int) -> None:
    keys = dict.fromkeys(KEYS, "") | {"QueryRetrieveLevel": "STUDY", "StudyID": str(count)}
    responses = association.send_c_find(dicomio.dataset(**keys), StudyRootQueryRetrieveInformationModelFind)
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
    given = parser.parse_args()
    if given.command == "scp":
        serve(given.most)
    else:
        print(json.dumps({"seconds": ask(given.port, given.count)}))


if __name__ == "__main__":
    main()
