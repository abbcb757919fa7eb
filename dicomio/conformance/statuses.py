"""The statuses that requests are answered with, as far as that is not up to the handlers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dicomio.conformance.described import Subject
from dicomio.sop.services import statuses_of
from dicomio.status import SERVICE_MEANINGS, Status
from dicomio.wire.commands import CommandField

__all__ = ["others", "statuses"]

# Code, when it is sent, and for which DIMSE services; N for all six of DIMSE-N.
TABLE: Final = """
    0x0000 | The request was performed.                                            | *
    0xFF00 | With each match.                                                      | C-FIND
    0xFF01 | With a match, where the handler says that optional keys were not used.  | C-FIND
    0xFF00 | While sub-operations go on.                                           | C-GET C-MOVE
    0xFE00 | The peer cancelled the request (C-CANCEL).                            | C-FIND C-GET C-MOVE
    0xB000 | Some sub-operations failed, or ended with a warning.                  | C-GET C-MOVE
    0xA702 | All sub-operations failed.                                            | C-GET C-MOVE
    0xA801 | The move destination is not among the destinations.                   | C-MOVE
    0xA900 | The identifier lacks a level or a unique key, or a value is not valid. | C-FIND C-GET C-MOVE
    0xC000 | There is no identifier, or it cannot be decoded.                      | C-FIND C-GET C-MOVE
    0xC000 | There is no data set, or it is empty.                                 | C-STORE
    0x0117 | The SOP Instance UID is not a valid UID; in a C-STORE, or missing.     | C-STORE N
    0x0107 | Attributes that were asked for do not exist; they are listed.         | N-GET
    0x0212 | The data set cannot be decoded.                                       | N
    0x0210 | The message ID is that of a request under way.                        | *
    0x0110 | The handler failed, in a way that has no other status.                | C-ECHO C-STORE N
    0xC000 | The handler failed, in a way that has no other status.                | C-FIND C-GET C-MOVE
"""


def read_table() -> Iterator[tuple[Status, str, tuple[str, ...]]]:
    """The lines of the table."""
    for line in TABLE.strip().splitlines():
        code, when, operations = (part.strip() for part in line.split("|"))
        yield Status(int(code, 16)), when, tuple(operations.split())


ROWS: Final = tuple(read_table())
ALL: Final = "*"


def statuses(subject: Subject, operation: str, sop_class: str) -> list[tuple[str, str, str]]:
    """What a request is answered with: status, its meaning in the service class, and when."""
    service = statuses_of(sop_class, operation)
    if operation == "C-ECHO" and not subject.app.handlers.get(CommandField.C_ECHO_RQ) and not subject.app.middlewares:
        return [("0x0000", Status.SUCCESS.meaning, "Always: no handler is registered for it.")]
    kinds = {operation, operation[:1] if operation.startswith("N-") else "", ALL}
    rows = [(status, when) for status, when, operations in ROWS if kinds.intersection(operations)]
    rows += [
        (Status(status), f"The handler failed with {exception.__name__}, or an exception derived from it.")
        for exception, status in subject.app.statuses.items()
    ]
    if subject.server is not None and subject.server.strict and operation == "C-STORE":
        rows.append((Status.SOP_CLASS_NOT_SUPPORTED, "The SOP class is not that of the presentation context."))
    return [(f"0x{status:04X}", status.meaning_for(service), when) for status, when in rows]


def others(subject: Subject, operations: Mapping[str, str]) -> Sequence[str]:
    """Further statuses that PS3.4 has for a service class, which handlers may answer with.

    Args:
        subject: what is described.
        operations: DIMSE services with a SOP class each is used with.
    """
    known = {code for operation, uid in operations.items() for code, _, _ in statuses(subject, operation, uid)}
    found: dict[str, str] = {}
    for operation, uid in operations.items():
        service = statuses_of(uid, operation)
        for code in SERVICE_MEANINGS.get(service, {}):
            found.setdefault(f"0x{code:04X}", Status(code).meaning_for(service))
    return [f"{code} {meaning}" for code, meaning in found.items() if code not in known]
