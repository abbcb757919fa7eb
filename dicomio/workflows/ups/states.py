"""The states of a Unified Procedure Step and what moves it from one to another (PS3.4 CC.1.1)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from dicomio.status import Status

__all__ = ["CANCEL", "CREATE", "FINAL", "Outcome", "UPSState", "change_to", "modification", "outcome"]


class UPSState(StrEnum):
    """Procedure Step State (0074,1000), PS3.4 Table CC.1.1-1."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


# States that nothing leads out of.
FINAL: Final = (UPSState.COMPLETED, UPSState.CANCELED)

# What a request comes to: the state that the step is in afterwards, or the status with which the request ends.
Outcome: TypeAlias = UPSState | Status

# PS3.4 Table CC.1.1-2, and in the last three lines what CC.2.6 says of N-SET. In a cell is the state that follows, or
# the status that is answered instead. The right UID is the Transaction UID that the step was claimed with, and any for
# a step that is SCHEDULED. A cancel request does not end a step IN PROGRESS: its performer is told.
TABLE: Final = """
    request                   | no such step | SCHEDULED   | IN PROGRESS | COMPLETED | CANCELED
    N-CREATE                  | SCHEDULED    | 0111        | 0111        | 0111      | 0111
    IN PROGRESS, right UID    | C307         | IN PROGRESS | C302        | C300      | C300
    IN PROGRESS, wrong UID    | C307         | C301        | C301        | C301      | C301
    SCHEDULED, right UID      | C307         | C303        | C303        | C303      | C303
    SCHEDULED, wrong UID      | C307         | C303        | C303        | C303      | C303
    COMPLETED, right UID      | C307         | C310        | COMPLETED   | B306      | C300
    COMPLETED, wrong UID      | C307         | C301        | C301        | C301      | C301
    Request Cancel            | C307         | CANCELED    | IN PROGRESS | C311      | B304
    CANCELED, right UID       | C307         | C310        | CANCELED    | C300      | B304
    CANCELED, wrong UID       | C307         | C301        | C301        | C301      | C301
    N-SET, right UID          | C307         | C310        | IN PROGRESS | C300      | C300
    N-SET, wrong UID          | C307         | C310        | C301        | C300      | C300
    N-SET without UID         | C307         | SCHEDULED   | C301        | C300      | C300
"""

CREATE: Final = "N-CREATE"
CANCEL: Final = "Request Cancel"


def change_to(state: UPSState, *, right: bool) -> str:
    """The row of the table for a Change UPS State."""
    return f"{state}, {'right' if right else 'wrong'} UID"


def modification(transaction_uid: str, *, right: bool) -> str:
    """The row of the table for an N-SET."""
    if not transaction_uid:
        return "N-SET without UID"
    return f"N-SET, {'right' if right else 'wrong'} UID"


def outcome(request: str, state: UPSState | None) -> Outcome:
    """What a request comes to.

    Args:
        request: a row of the table.
        state: that the step is in; `None` where there is no such step.
    """
    return CELLS[request][state]


def read_table() -> Mapping[str, Mapping[UPSState | None, Outcome]]:
    """The table, cell by cell."""
    lines = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    states = [None, *map(UPSState, lines[0][2:])]
    return {row: dict(zip(states, map(read_cell, cells), strict=True)) for row, *cells in lines[1:]}


def read_cell(text: str) -> Outcome:
    return Status(int(text, 16)) if len(text) == 4 else UPSState(text)


CELLS: Final = read_table()
