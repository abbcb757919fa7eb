"""The state machine of the DICOM Upper Layer (PS3.8 9.2).

The rules are those of the standard, in its own form:

- Thirteen states (Tables 9-1 to 9-5) are shared by both sides. A requestor goes Sta1, Sta4, Sta5, Sta6; an acceptor
  Sta1, Sta2, Sta3, Sta6. Either may release (Sta7, Sta8; Sta9 to Sta12 when both do at once) or abort, and in Sta13
  there is nothing left but to wait until the transport connection is closed.
- Nineteen events are service primitives of the user, PDUs of the peer, or news of the transport connection and the
  ARTIM timer.
- Table 9-10 below names one action for each event that may happen in a state. A blank cell is an event that cannot
  happen there: the user asked for what is not allowed in that state.
- An action has effects and leads to the next state (Tables 9-6 to 9-9). Effects are returned for the caller to carry
  out; the machine itself does nothing but change its state.

`python -m dicomio.machine` prints the table, `python -m dicomio.machine --dot` draws it for Graphviz.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from dicomio.errors import LocalProtocolError

__all__ = ["ACTIONS", "TABLE", "TRANSITIONS", "Action", "Effect", "Event", "State", "StateMachine", "graph"]

# PS3.8 Table 9-10, DICOM Upper Layer Protocol State Transition Table
TABLE = """\
                                       None  Establishment           Data  Release (normal, collision)         Close
Event                                  Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13
Evt1   A-ASSOCIATE request             AE-1
Evt2   Transport connection confirm                      AE-2
Evt3   A-ASSOCIATE-AC PDU                    AA-1  AA-8        AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt4   A-ASSOCIATE-RJ PDU                    AA-1  AA-8        AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt5   Transport connection indication AE-5
Evt6   A-ASSOCIATE-RQ PDU                    AE-6  AA-8        AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
Evt7   A-ASSOCIATE response (accept)               AE-7
Evt8   A-ASSOCIATE response (reject)               AE-8
Evt9   P-DATA request                                                DT-1        AR-7
Evt10  P-DATA-TF PDU                         AA-1  AA-8        AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt11  A-RELEASE request                                             AR-1
Evt12  A-RELEASE-RQ PDU                      AA-1  AA-8        AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt13  A-RELEASE-RP PDU                      AA-1  AA-8        AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6
Evt14  A-RELEASE response                                                        AR-4  AR-9              AR-4
Evt15  A-ABORT request                             AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1
Evt16  A-ABORT PDU                           AA-2  AA-3        AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
Evt17  Transport connection closed           AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
Evt18  ARTIM timer expired                   AA-2                                                              AA-2
Evt19  Unrecognized or invalid PDU           AA-1  AA-8        AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
"""

CELL_WIDTH = 6


class State(IntEnum):
    """A state of the machine, with its definition shortened (PS3.8 Tables 9-1 to 9-5)."""

    description: str

    def __new__(cls, number: int, description: str = "") -> "State":
        member = int.__new__(cls, number)
        member._value_ = number
        member.description = description
        return member

    Sta1 = 1, "idle"
    Sta2 = 2, "transport connection open, awaiting A-ASSOCIATE-RQ"
    Sta3 = 3, "awaiting A-ASSOCIATE response of the local user"
    Sta4 = 4, "awaiting the transport connection"
    Sta5 = 5, "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    Sta6 = 6, "association established, ready for data transfer"
    Sta7 = 7, "awaiting A-RELEASE-RP"
    Sta8 = 8, "awaiting A-RELEASE response of the local user"
    Sta9 = 9, "release collision, requestor side: awaiting A-RELEASE response of the local user"
    Sta10 = 10, "release collision, acceptor side: awaiting A-RELEASE-RP"
    Sta11 = 11, "release collision, requestor side: awaiting A-RELEASE-RP"
    Sta12 = 12, "release collision, acceptor side: awaiting A-RELEASE response of the local user"
    Sta13 = 13, "awaiting the close of the transport connection"


class Event(IntEnum):
    """An event, with the words of its row in Table 9-10 (PS3.8 9.2.3)."""

    description: str

    def __new__(cls, number: int, description: str = "") -> "Event":
        member = int.__new__(cls, number)
        member._value_ = number
        member.description = description
        return member

    Evt1 = 1, "A-ASSOCIATE request"
    Evt2 = 2, "Transport connection confirm"
    Evt3 = 3, "A-ASSOCIATE-AC PDU"
    Evt4 = 4, "A-ASSOCIATE-RJ PDU"
    Evt5 = 5, "Transport connection indication"
    Evt6 = 6, "A-ASSOCIATE-RQ PDU"
    Evt7 = 7, "A-ASSOCIATE response (accept)"
    Evt8 = 8, "A-ASSOCIATE response (reject)"
    Evt9 = 9, "P-DATA request"
    Evt10 = 10, "P-DATA-TF PDU"
    Evt11 = 11, "A-RELEASE request"
    Evt12 = 12, "A-RELEASE-RQ PDU"
    Evt13 = 13, "A-RELEASE-RP PDU"
    Evt14 = 14, "A-RELEASE response"
    Evt15 = 15, "A-ABORT request"
    Evt16 = 16, "A-ABORT PDU"
    Evt17 = 17, "Transport connection closed"
    Evt18 = 18, "ARTIM timer expired"
    Evt19 = 19, "Unrecognized or invalid PDU"


class Effect(Enum):
    """What is to be done by whoever drives the machine; the verbs are those of PS3.8 Tables 9-6 to 9-9."""

    CONNECT = auto()
    """TRANSPORT CONNECT request."""
    CLOSE = auto()
    """Close the transport connection, once what was sent before has left."""
    START_ARTIM = auto()
    """Start the ARTIM timer, or start it anew."""
    STOP_ARTIM = auto()
    """Stop the ARTIM timer if it runs."""
    SEND_ASSOCIATE_RQ = auto()
    SEND_ASSOCIATE_AC = auto()
    SEND_ASSOCIATE_RJ = auto()
    SEND_P_DATA = auto()
    SEND_RELEASE_RQ = auto()
    SEND_RELEASE_RP = auto()
    SEND_ABORT_USER = auto()
    """A-ABORT PDU with source 0, the service-user."""
    SEND_ABORT_PROVIDER = auto()
    """A-ABORT PDU with source 2, the service-provider, and a reason: what is wrong with an invalid PDU (Evt19),
    2 (unexpected PDU) for any other."""
    INDICATE_ASSOCIATE = auto()
    CONFIRM_ACCEPT = auto()
    """A-ASSOCIATE confirmation (accept)."""
    CONFIRM_REJECT = auto()
    """A-ASSOCIATE confirmation (reject)."""
    INDICATE_P_DATA = auto()
    INDICATE_RELEASE = auto()
    """A-RELEASE indication; a release collision where the next state is Sta9 or Sta10."""
    CONFIRM_RELEASE = auto()
    INDICATE_ABORT = auto()
    """A-ABORT indication if the source of the A-ABORT PDU is the service-user, A-P-ABORT indication otherwise."""
    INDICATE_PROVIDER_ABORT = auto()
    """A-P-ABORT indication."""


@dataclass(frozen=True, slots=True)
class Action:
    """A row of PS3.8 Tables 9-6 to 9-9.

    Args:
        next_state: the state it leads to.
        effects: what is to be done, in order.
        otherwise: the action that takes its place where the condition of the standard does not hold.
    """

    next_state: State
    effects: tuple[Effect, ...] = ()
    otherwise: "Action | None" = None


ACTIONS: Mapping[str, Action] = {
    # Table 9-6, association establishment
    "AE-1": Action(State.Sta4, (Effect.CONNECT,)),
    "AE-2": Action(State.Sta5, (Effect.SEND_ASSOCIATE_RQ,)),
    "AE-3": Action(State.Sta6, (Effect.CONFIRM_ACCEPT,)),
    "AE-4": Action(State.Sta1, (Effect.CONFIRM_REJECT, Effect.CLOSE)),
    # "Issue Transport connection response primitive": TCP has done so before it tells of a connection
    "AE-5": Action(State.Sta2, (Effect.START_ARTIM,)),
    # "if A-ASSOCIATE-RQ acceptable by service-provider"
    "AE-6": Action(
        State.Sta3,
        (Effect.STOP_ARTIM, Effect.INDICATE_ASSOCIATE),
        otherwise=Action(State.Sta13, (Effect.STOP_ARTIM, Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM)),
    ),
    "AE-7": Action(State.Sta6, (Effect.SEND_ASSOCIATE_AC,)),
    "AE-8": Action(State.Sta13, (Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM)),
    # Table 9-7, data transfer
    "DT-1": Action(State.Sta6, (Effect.SEND_P_DATA,)),
    "DT-2": Action(State.Sta6, (Effect.INDICATE_P_DATA,)),
    # Table 9-8, association release
    "AR-1": Action(State.Sta7, (Effect.SEND_RELEASE_RQ,)),
    "AR-2": Action(State.Sta8, (Effect.INDICATE_RELEASE,)),
    "AR-3": Action(State.Sta1, (Effect.CONFIRM_RELEASE, Effect.CLOSE)),
    "AR-4": Action(State.Sta13, (Effect.SEND_RELEASE_RP, Effect.START_ARTIM)),
    "AR-5": Action(State.Sta1, (Effect.STOP_ARTIM,)),
    "AR-6": Action(State.Sta7, (Effect.INDICATE_P_DATA,)),
    "AR-7": Action(State.Sta8, (Effect.SEND_P_DATA,)),
    # "if association-requestor, next state is Sta9; if not, next state is Sta10"
    "AR-8": Action(State.Sta9, (Effect.INDICATE_RELEASE,), otherwise=Action(State.Sta10, (Effect.INDICATE_RELEASE,))),
    "AR-9": Action(State.Sta11, (Effect.SEND_RELEASE_RP,)),
    "AR-10": Action(State.Sta12, (Effect.CONFIRM_RELEASE,)),
    # Table 9-9, association abort
    "AA-1": Action(State.Sta13, (Effect.SEND_ABORT_USER, Effect.START_ARTIM)),
    "AA-2": Action(State.Sta1, (Effect.STOP_ARTIM, Effect.CLOSE)),
    "AA-3": Action(State.Sta1, (Effect.INDICATE_ABORT, Effect.CLOSE)),
    "AA-4": Action(State.Sta1, (Effect.INDICATE_PROVIDER_ABORT,)),
    "AA-5": Action(State.Sta1, (Effect.STOP_ARTIM,)),
    # "Ignore PDU"
    "AA-6": Action(State.Sta13),
    "AA-7": Action(State.Sta13, (Effect.SEND_ABORT_PROVIDER,)),
    "AA-8": Action(State.Sta13, (Effect.SEND_ABORT_PROVIDER, Effect.INDICATE_PROVIDER_ABORT, Effect.START_ARTIM)),
}


def read_table(table: str) -> dict[tuple[State, Event], str]:
    """Reads the action names in the cells of a table laid out like `TABLE`."""
    _, header, *rows = table.splitlines()
    columns = [(State[match[0]], match.start()) for match in re.finditer(r"Sta\d+", header)]
    return {
        (state, Event[row.split()[0]]): name
        for row in rows
        for state, start in columns
        if (name := row[start : start + CELL_WIDTH].strip())
    }


TRANSITIONS: Mapping[tuple[State, Event], str] = read_table(TABLE)


def resolve(*, acceptable: bool, requestor: bool) -> dict[tuple[State, Event], Action]:
    """The table with the conditions of AE-6 and AR-8 decided."""
    conditions = {"AE-6": acceptable, "AR-8": requestor}
    return {
        cell: ACTIONS[name] if conditions.get(name, True) else ACTIONS[name].otherwise or ACTIONS[name]
        for cell, name in TRANSITIONS.items()
    }


REQUESTOR = resolve(acceptable=True, requestor=True), resolve(acceptable=False, requestor=True)
ACCEPTOR = resolve(acceptable=True, requestor=False), resolve(acceptable=False, requestor=False)


class StateMachine:
    """The machine of one association, on one side of it.

    Args:
        requestor: this side asks for the association (PS3.8 AR-8).
    """

    __slots__ = ("acceptable_actions", "requestor", "state", "unacceptable_actions")

    def __init__(self, *, requestor: bool) -> None:
        self.requestor = requestor
        self.state = State.Sta1
        self.acceptable_actions, self.unacceptable_actions = REQUESTOR if requestor else ACCEPTOR

    def step(self, event: Event, *, acceptable: bool = True) -> tuple[Effect, ...]:
        """Goes to the next state (PS3.8 9.2.3).

        Args:
            event: what happened.
            acceptable: whether the service-provider finds an A-ASSOCIATE-RQ acceptable; matters to AE-6 alone.

        Returns:
            What is to be done, in order.

        Raises:
            LocalProtocolError: the event cannot happen in this state; the state stays.
        """
        actions = self.acceptable_actions if acceptable else self.unacceptable_actions
        action = actions.get((self.state, event))
        if action is None:
            state = self.state
            raise LocalProtocolError(
                f"{event.description} ({event.name}) is not possible in {state.name}: {state.description}"
            )
        self.state = action.next_state
        return action.effects


def graph() -> str:
    """The table as a graph in the language of Graphviz."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, event), name in sorted(TRANSITIONS.items()):
        action: Action | None = ACTIONS[name]
        while action is not None:
            edges.setdefault((state, action.next_state), []).append(f"{event.name} {event.description}: {name}")
            action = action.otherwise
    nodes = [f'    {state.name} [label="{state.name}\\n{state.description}"];' for state in State]
    arrows = [
        f'    {state.name} -> {next_state.name} [label="{text}"];'
        for (state, next_state), labels in edges.items()
        if (text := "".join(f"{label}\\l" for label in labels))
    ]
    return "\n".join(["digraph upper_layer {", "    node [shape=box];", *nodes, *arrows, "}", ""])


def main(arguments: Sequence[str]) -> None:
    """Writes the table, or with `--dot` the graph, to standard output."""
    sys.stdout.write(graph() if "--dot" in arguments else TABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
