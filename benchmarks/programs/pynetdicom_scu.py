"""A pynetdicom client that sends echoes or files over one association and prints how long that took, as JSON.

`send_c_echo` now and then fails on its own where it is called without a pause; then the clock stops, a new association
is opened, and the count goes on. With `--chunked` files are sent without decoding them, as pynetdicom documents it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import AE, _config

VERIFICATION = "1.2.840.10008.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SUCCESS = 0x0000
MOST_FAILURES = 20


@contextmanager
def association_with(port: int, max_pdu: int) -> Iterator[Any]:
    """An association for both purposes."""
    entity = AE(ae_title="BENCH")
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(SECONDARY_CAPTURE, EXPLICIT_VR_LITTLE_ENDIAN)
    association = entity.associate("127.0.0.1", port, max_pdu=max_pdu)
    if not association.is_established:
        raise SystemExit("no association")
    yield association
    if association.is_established:
        association.release()


def echo(port: int, max_pdu: int, count: int) -> dict[str, float]:
    """So many C-ECHOs, each after the answer to the one before."""
    seconds, done, failures = 0.0, 0, 0
    while done < count:
        with association_with(port, max_pdu) as association:
            started = time.perf_counter()
            while done < count and getattr(association.send_c_echo(), "Status", None) == SUCCESS:
                done += 1
            seconds += time.perf_counter() - started
        failures += done < count
        if failures > MOST_FAILURES:
            raise SystemExit(f"{failures} echoes failed")
    return {"seconds": seconds}


def store(port: int, max_pdu: int, first: Path, folder: Path) -> dict[str, float]:
    """One small object, and then all files of a folder against the clock, over the same association."""
    with association_with(port, max_pdu) as association:
        send(association, first)
        started = time.perf_counter()
        for path in sorted(folder.iterdir()):
            send(association, path)
        return {"seconds": time.perf_counter() - started}


def send(association: Any, path: Path) -> None:
    status = association.send_c_store(path)
    if getattr(status, "Status", None) != SUCCESS:
        raise SystemExit(f"{path.name} was not stored: {status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-pdu", type=int, default=16384)
    parser.add_argument("--chunked", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("echo").add_argument("--count", type=int, required=True)
    storing = commands.add_parser("store")
    storing.add_argument("--first", type=Path, required=True)
    storing.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    _config.STORE_SEND_CHUNKED_DATASET = arguments.chunked
    if arguments.command == "echo":
        report = echo(arguments.port, arguments.max_pdu, arguments.count)
    else:
        report = store(arguments.port, arguments.max_pdu, arguments.first, arguments.folder)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
