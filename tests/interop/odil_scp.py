"""Verification and Storage SCP made with odil, for the interpreter that the system's odil belongs to.

Usage: odil_scp.py PORT DIRECTORY
"""

import os
import sys
from typing import Any

import odil


def serve(port: int, directory: str) -> None:
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
    while True:
        message = association.receive_message()
        is_store = message.get_command_field() == odil.messages.Message.Command.C_STORE_RQ
        (store_scp if is_store else echo_scp)(message)


def main() -> None:
    """Serve one association after the other; odil stops listening meanwhile."""
    while True:
        try:
            serve(int(sys.argv[1]), sys.argv[2])
        except (odil.AssociationReleased, odil.AssociationAborted, odil.Exception) as end:
            print(f"association ended: {end!r}", flush=True)


if __name__ == "__main__":
    main()
