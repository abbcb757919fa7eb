"""A pynetdicom client that sends echoes or files or opens associations, and prints how long that took, as JSON.

pynetdicom now and then loses an answer where requests follow each other without a pause: another of its threads takes
it. The time of requests that fail so does not count, and a new association takes the place of the old one. With
`--chunked` files are sent without decoding them, as pynetdicom documents it for large ones.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from pynetdicom import AE, _config

VERIFICATION = "1.2.840.10008.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SUCCESS = 0x0000
MOST_FAILURES = 5
DEFAULT_PDU = 16_384
# How long an answer may take; after large objects it takes a while.
ANSWER_SECONDS = 5
ANSWER_SECONDS_CHUNKED = 30

Request: TypeAlias = Callable[[Any], Any]


@contextmanager
def association_with(port: int, max_pdu: int) -> Iterator[Any]:
    """An association for both purposes."""
    entity = AE(ae_title="BENCH")
    entity.dimse_timeout = ANSWER_SECONDS_CHUNKED if _config.STORE_SEND_CHUNKED_DATASET else ANSWER_SECONDS
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(SECONDARY_CAPTURE, EXPLICIT_VR_LITTLE_ENDIAN)
    association = entity.associate("127.0.0.1", port, max_pdu=max_pdu)
    if not association.is_established:
        raise SystemExit("no association")
    try:
        yield association
    finally:
        # its thread would keep the process alive
        if association.is_established:
            association.release()


def against_clock(port: int, max_pdu: int, first: Request, requests: Sequence[Request]) -> dict[str, float]:
    """One request, and then all others against the clock, each after the answer to the one before."""
    seconds, cpu, done, failures = 0.0, 0.0, 0, 0
    while done < len(requests):
        with association_with(port, max_pdu) as association:
            first(association)
            started = answered = time.perf_counter()
            before = time.process_time()
            while done < len(requests) and succeeds(requests[done], association):
                answered = time.perf_counter()
                done += 1
            seconds += answered - started
            cpu += time.process_time() - before
        failures += done < len(requests)
        if failures > MOST_FAILURES:
            raise SystemExit(f"{failures} of {len(requests)} requests failed")
    return {"seconds": seconds, "cpu": cpu, "failures": failures}


def succeeds(request: Request, association: Any) -> bool:
    """Sends a request and says whether it was answered with Success."""
    return getattr(request(association), "Status", None) == SUCCESS


def associate(port: int, count: int) -> dict[str, float]:
    """Opens and releases so many associations, one after the other."""
    started, before = time.perf_counter(), time.process_time()
    for _ in range(count):
        with association_with(port, DEFAULT_PDU):
            pass
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - before}


def send_echo(association: Any) -> Any:
    return association.send_c_echo()


def send_file(path: Path, association: Any) -> Any:
    return association.send_c_store(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-pdu", type=int, default=DEFAULT_PDU)
    parser.add_argument("--chunked", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("echo").add_argument("--count", type=int, required=True)
    commands.add_parser("associate").add_argument("--count", type=int, required=True)
    storing = commands.add_parser("store")
    storing.add_argument("--first", type=Path, required=True)
    storing.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    _config.STORE_SEND_CHUNKED_DATASET = arguments.chunked
    if arguments.command == "associate":
        print(json.dumps(associate(arguments.port, arguments.count)))
        return
    if arguments.command == "echo":
        first, requests = send_echo, [send_echo] * arguments.count
    else:
        first = partial(send_file, arguments.first)
        requests = [partial(send_file, path) for path in sorted(arguments.folder.iterdir())]
    report = against_clock(arguments.port, arguments.max_pdu, first, requests)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
