"""Query and retrieve SCU made with odil, for the interpreter that the system's odil belongs to.

Usage: odil_query_scu.py OPERATION PORT CALLED-AE-TITLE < TASKS, where OPERATION is find, move or get, and TASKS is
JSON: one `{"directory", "identifier", "sop_class", "destination"}` for each request. What is found or got is written
into the directory.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import odil

Context = odil.AssociationParameters.PresentationContext
UNCOMPRESSED = [odil.registry.ExplicitVRLittleEndian, odil.registry.ImplicitVRLittleEndian]
STORAGE = [odil.registry.CTImageStorage, odil.registry.MRImageStorage, odil.registry.SecondaryCaptureImageStorage]


def writer(directory: str) -> Callable[[Any], None]:
    """Return what writes data sets into a directory; it can make files only of those that have a SOP Class UID."""
    count = iter(range(1, 10000))

    def write(data_set: Any) -> None:
        with odil.open(os.path.join(directory, f"match{next(count):04d}.dcm"), "wb") as stream:
            if "SOPClassUID" in data_set:
                odil.Writer.write_file(data_set, stream, odil.DataSet(), data_set.get_transfer_syntax())
            else:
                odil.Writer(stream, odil.registry.ExplicitVRLittleEndian).write_data_set(data_set)

    return write


def associate(port: int, called: str, sop_class: str, storage: list[str]) -> Any:
    """Open an association for an operation, as SCP of storage for C-GET."""
    contexts = [Context(1, sop_class, UNCOMPRESSED, Context.Role.SCU)]
    contexts += [Context(3 + 2 * number, uid, UNCOMPRESSED, Context.Role.SCP) for number, uid in enumerate(storage)]
    association = odil.Association()
    association.set_peer_host("127.0.0.1")
    association.set_peer_port(port)
    parameters = association.update_parameters()
    parameters.set_calling_ae_title("ODIL").set_called_ae_title(called).set_presentation_contexts(contexts)
    association.associate()
    return association


def perform(operation: str, association: Any, task: dict[str, Any]) -> None:
    """Do what one task says."""
    with odil.open(task["identifier"], "rb") as stream:
        _, identifier = odil.Reader.read_file(stream)
    write = writer(task["directory"])
    if operation == "find":
        scu = odil.FindSCU(association)
        scu.set_affected_sop_class(task["sop_class"])
        scu.find(identifier, write)
    elif operation == "move":
        scu = odil.MoveSCU(association)
        scu.set_affected_sop_class(task["sop_class"])
        scu.set_move_destination(task["destination"])
        scu.move(identifier, write, lambda response: None)
    else:
        scu = odil.GetSCU(association)
        scu.set_affected_sop_class(task["sop_class"])
        scu.get(identifier, write)


def main() -> None:
    """Do every task, on an association of its own."""
    operation, port, called = sys.argv[1:]
    for task in json.load(sys.stdin):
        association = associate(int(port), called, task["sop_class"], STORAGE if operation == "get" else [])
        perform(operation, association, task)
        association.release()


if __name__ == "__main__":
    main()
