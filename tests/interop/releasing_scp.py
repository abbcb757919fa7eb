"""Storage SCP made with pynetdicom that releases an association after each response, as any side may (PS3.8 7.2).

Usage: releasing_scp.py PORT DIRECTORY
"""

import sys
from pathlib import Path
from threading import Thread
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.pdu import P_DATA_TF


def store(event: Any, directory: str) -> int:
    """Write what arrives."""
    Path(directory, event.request.AffectedSOPInstanceUID).write_bytes(event.encoded_dataset(include_meta=False))
    return 0


def release(event: Any) -> None:
    """Release once a response has left; not in the thread that serves the association, which has to be there for it."""
    if isinstance(event.pdu, P_DATA_TF):
        Thread(target=event.assoc.release).start()


def main() -> None:
    """Serve until terminated."""
    ae = AE("RELEASING")
    ae.supported_contexts = AllStoragePresentationContexts
    handlers: Any = [(evt.EVT_C_STORE, store, [sys.argv[2]]), (evt.EVT_PDU_SENT, release)]
    ae.start_server(("127.0.0.1", int(sys.argv[1])), block=True, evt_handlers=handlers)


if __name__ == "__main__":
    main()
