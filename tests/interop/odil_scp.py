"""Verification, Storage, Query and Retrieve SCP made with odil, for the interpreter that the system's odil belongs to.

Usage: odil_scp.py PORT DIRECTORY [AE-TITLE=PORT ...]

The AE titles are destinations of C-MOVE on this host. Queries are answered about the files in the directory.
"""

import fnmatch
import os
import sys
from typing import Any

import odil

Command = odil.messages.Message.Command
Context = odil.AssociationParameters.PresentationContext
UNIQUE_KEYS = {
    b"PATIENT": "PatientID",
    b"STUDY": "StudyInstanceUID",
    b"SERIES": "SeriesInstanceUID",
    b"IMAGE": "SOPInstanceUID",
}
NOT_MATCHED = {odil.registry.QueryRetrieveLevel, odil.registry.SpecificCharacterSet}


def held(directory: str) -> list[Any]:
    """Return every data set that was stored."""
    data_sets = []
    for name in sorted(os.listdir(directory)):
        with odil.open(os.path.join(directory, name), "rb") as stream:
            data_sets.append(odil.Reader.read_file(stream)[1])
    return data_sets


def texts(data_set: Any, tag: Any) -> list[str]:
    """Return the values of an element that has texts or numbers; names are compared as they are encoded."""
    element = data_set[tag] if tag in data_set else None
    if element is None or not (element.is_string() or element.is_int()):
        return []
    values = element.as_string() if element.is_string() else element.as_int()
    return [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values]


def matches_text(pattern: str, text: str) -> bool:
    """Match a single value, a wildcard or a range (PS3.4 C.2.2.2)."""
    first, dash, last = pattern.partition("-")
    if dash and (first + last).isdigit():
        return first <= text and (not last or text <= last)
    return fnmatch.fnmatchcase(text, pattern)


def matches(keys: Any, data_set: Any) -> bool:
    """Match every key; several values of one are alternatives."""
    for tag in keys.keys():
        patterns = [] if tag in NOT_MATCHED else [text for text in texts(keys, tag) if text]
        values = texts(data_set, tag)
        if patterns and not any(matches_text(pattern, value) for pattern in patterns for value in values):
            return False
    return True


def found(keys: Any, directory: str) -> list[Any]:
    """Return the data sets that match."""
    return [data_set for data_set in held(directory) if matches(keys, data_set)]


class Generator:
    """What odil asks for data sets: matches, or what is to be sent."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory
        self.data_sets: list[Any] = []

    def initialize(self, request: Any) -> None:
        """Find them."""
        self.data_sets = found(request.get_data_set(), self.directory)

    def done(self) -> bool:
        """Say whether there are no more."""
        return not self.data_sets

    def next(self) -> None:
        """Go on to the next one."""
        del self.data_sets[0]

    def get(self) -> Any:
        """Return the present one."""
        return self.data_sets[0]

    def count(self) -> int:
        """Return how many there are."""
        return len(self.data_sets)


class Matches(Generator, odil.FindSCP.DataSetGenerator):  # type: ignore[misc]
    """Answers of C-FIND: the attributes that are asked for, once for each entity."""

    def initialize(self, request: Any) -> None:
        """Find them."""
        keys = request.get_data_set()
        level = keys.as_string("QueryRetrieveLevel")[0]
        unique = UNIQUE_KEYS[level if isinstance(level, bytes) else level.encode()]
        entities = {
            texts(data_set, getattr(odil.registry, unique))[0]: data_set for data_set in found(keys, self.directory)
        }
        self.data_sets = [self.answer(keys, data_set) for data_set in entities.values()]

    def answer(self, keys: Any, data_set: Any) -> Any:
        """Return what is asked for of a data set, and its character set."""
        answer = odil.DataSet()
        for tag, element in keys.items():
            answer.add(tag, data_set[tag] if tag in data_set else element)
        if odil.registry.SpecificCharacterSet in data_set:
            answer.add(odil.registry.SpecificCharacterSet, data_set[odil.registry.SpecificCharacterSet])
        return answer


class GetObjects(Generator, odil.GetSCP.DataSetGenerator):  # type: ignore[misc]
    """Objects of C-GET."""


class MoveObjects(Generator, odil.MoveSCP.DataSetGenerator):  # type: ignore[misc]
    """Objects of C-MOVE."""

    def __init__(self, directory: str, destinations: dict[str, int]) -> None:
        super().__init__(directory)
        self.destinations = destinations

    def get_association(self, request: Any) -> Any:
        """Say what association there has to be with the destination; odil asks before `initialize`, and opens it."""
        destination = request.get_move_destination().strip()
        data_sets = found(request.get_data_set(), self.directory)
        uids = sorted({data_set.as_string("SOPClassUID")[0] for data_set in data_sets})
        syntaxes = [odil.registry.ExplicitVRLittleEndian, odil.registry.ImplicitVRLittleEndian]
        association = odil.Association()
        association.set_peer_host("127.0.0.1")
        association.set_peer_port(self.destinations[destination])
        contexts = [Context(2 * n + 1, uid, syntaxes, Context.Role.SCU) for n, uid in enumerate(uids)]
        parameters = association.update_parameters()
        parameters.set_calling_ae_title("ODIL").set_called_ae_title(destination).set_presentation_contexts(contexts)
        return association


def serve(port: int, directory: str, destinations: dict[str, int]) -> None:
    """Serve one association, until the peer ends it; odil accepts whatever contexts are proposed."""
    association = odil.Association()
    association.receive_association("v4", port)

    def store(request: Any) -> int:
        path = os.path.join(directory, request.get_affected_sop_instance_uid() + ".dcm")
        data_set = request.get_data_set()
        with odil.open(path, "wb") as stream:
            odil.Writer.write_file(data_set, stream, odil.DataSet(), data_set.get_transfer_syntax())
        return 0

    store_scp, echo_scp = odil.StoreSCP(association), odil.EchoSCP(association)
    store_scp.set_callback(store)
    echo_scp.set_callback(lambda request: 0)
    find_scp, get_scp, move_scp = odil.FindSCP(association), odil.GetSCP(association), odil.MoveSCP(association)
    generators = Matches(directory), GetObjects(directory), MoveObjects(directory, destinations)
    for scp, generator in zip((find_scp, get_scp, move_scp), generators, strict=True):
        scp.set_generator(generator)
    scps = {
        Command.C_STORE_RQ: store_scp,
        Command.C_ECHO_RQ: echo_scp,
        Command.C_FIND_RQ: find_scp,
        Command.C_GET_RQ: get_scp,
        Command.C_MOVE_RQ: move_scp,
    }
    while True:
        message = association.receive_message()
        # While odil answers it does not receive: a C-CANCEL comes too late.
        if message.get_command_field() in scps:
            scps[message.get_command_field()](message)


def main() -> None:
    """Serve one association after the other; odil stops listening meanwhile."""
    destinations = {title: int(port) for title, port in (argument.split("=") for argument in sys.argv[3:])}
    while True:
        try:
            serve(int(sys.argv[1]), sys.argv[2], destinations)
        except (odil.AssociationReleased, odil.AssociationAborted, odil.Exception) as end:
            print(f"association ended: {end!r}", flush=True)


if __name__ == "__main__":
    main()
