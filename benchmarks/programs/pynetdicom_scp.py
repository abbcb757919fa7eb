"""A pynetdicom server that answers C-ECHO and stores what it gets without decoding it; prints its port.

It stores in the two ways that pynetdicom documents for that: by default the handler writes `event.encoded_dataset()`;
with `--chunked` pynetdicom writes to a temporary file as the data set arrives, and the handler gives it its name.
"""

import argparse
import threading
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, VerificationPresentationContexts, _config, evt

SUCCESS = 0x0000
MOST_ASSOCIATIONS = 1000


def store_whole(event: Any, inbox: Path) -> int:
    """Writes the data set as it was received, once all of it is there."""
    with (inbox / str(event.request.AffectedSOPInstanceUID)).open("wb") as file:
        file.write(event.encoded_dataset())
    return SUCCESS


def store_chunked(event: Any, inbox: Path) -> int:
    """Moves the file that was written meanwhile; it is on the same file system where TMPDIR is there."""
    event.dataset_path.rename(inbox / str(event.request.AffectedSOPInstanceUID))
    return SUCCESS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inbox", type=Path, required=True)
    parser.add_argument("--max-pdu", type=int, required=True)
    parser.add_argument("--chunked", action="store_true")
    arguments = parser.parse_args()
    _config.STORE_RECV_CHUNKED_DATASET = arguments.chunked
    entity = AE(ae_title="BENCH")
    entity.maximum_pdu_size = arguments.max_pdu
    entity.maximum_associations = MOST_ASSOCIATIONS
    entity.supported_contexts = AllStoragePresentationContexts + VerificationPresentationContexts
    handler = store_chunked if arguments.chunked else store_whole
    server: Any = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handler, [arguments.inbox])]
    )
    print(server.server_address[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
