"""Storage commitment with pynetdicom, in either role. It tells what it heard in one line of JSON.

Usage: pynetdicom_commitment.py scp PORT ROUTE REQUESTER-AE-TITLE REQUESTER-PORT [INSTANCE-UID ...]
       pynetdicom_commitment.py scu PORT ROUTE CALLED-AE-TITLE LISTENING-PORT < INSTANCES

ROUTE is "same" where the report is to go over the association of the request, "new" where it needs one of its own. The
SCP keeps the instances that it is given; INSTANCES are pairs of SOP class and SOP instance in JSON.
"""

import json
import queue
import sys
import threading
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, debug_logger, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.pdu import P_DATA_TF

StorageCommitmentPushModel = "1.2.840.10008.1.20.1"
StorageCommitmentPushModelInstance = "1.2.840.10008.1.20.1.1"

HOST = "127.0.0.1"
PATIENCE = 20
NO_SUCH_OBJECT_INSTANCE = 0x0112


def reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item


# ---- SCP ----


def report_on(request: Dataset, kept: set[str]) -> tuple[int, Dataset]:
    """Event type and information of the report."""
    ds = Dataset()
    ds.TransactionUID = request.TransactionUID
    items = list(request.ReferencedSOPSequence)
    committed = [item for item in items if item.ReferencedSOPInstanceUID in kept]
    failed = [item for item in items if item.ReferencedSOPInstanceUID not in kept]
    for item in failed:
        item.FailureReason = NO_SUCH_OBJECT_INSTANCE
    if committed:
        ds.ReferencedSOPSequence = committed
    if failed:
        ds.FailedSOPSequence = failed
    return (2 if failed else 1), ds


def tell(what: dict[str, Any]) -> None:
    # In one piece: other threads write to the log meanwhile.
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def scp(port: str, route: str, requester: str, requester_port: str, *kept: str) -> None:
    ae = AE("PYNETDICOM")
    ae.add_supported_context(StorageCommitmentPushModel)
    requests: queue.Queue[Dataset] = queue.Queue()

    def take(event: Any) -> tuple[int, None]:
        requests.put(event.action_information)
        return 0x0000, None

    def answered(event: Any) -> None:
        if isinstance(event.message, N_ACTION_RSP):
            threading.Thread(target=report, args=(event.assoc,)).start()

    def report(association: Association) -> None:
        event_type, information = report_on(requests.get(), set(kept))
        if route == "new":
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            association = ae.associate(
                HOST, int(requester_port), [context], ae_title=requester, ext_neg=[role], max_pdu=16384
            )
        status, _ = association.send_n_event_report(
            information, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        tell({"status": status.get("Status")})
        if route == "new":
            association.release()

    context = ae.supported_contexts[0]
    ae.start_server(
        (HOST, int(port)), block=True, evt_handlers=[(evt.EVT_N_ACTION, take), (evt.EVT_DIMSE_SENT, answered)]
    )


# ---- SCU ----


def scu(port: str, route: str, called: str, listening_port: str) -> None:
    ae = AE("PYNETDICOM")
    ae.add_requested_context(StorageCommitmentPushModel)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    taken: list[tuple[int, Dataset]] = []

    def take(event: Any) -> tuple[int, None]:
        taken.append((event.event_type, event.event_information))
        return 0x0000, None

    def sent(event: Any) -> None:
        # A release before the answer to the report has left would overtake it.
        if taken and isinstance(event.pdu, P_DATA_TF):
            reports.put(taken.pop())

    handlers: Any = [(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, sent)]
    server: Any = ae.start_server((HOST, int(listening_port)), block=False, evt_handlers=handlers)
    information = Dataset()
    information.TransactionUID = generate_uid()
    information.ReferencedSOPSequence = [reference(sop_class, uid) for sop_class, uid in json.load(sys.stdin)]
    association = ae.associate(HOST, int(port), ae_title=called, evt_handlers=handlers)
    status, _ = association.send_n_action(
        information, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    heard: dict[str, Any] = {"status": status.get("Status")}
    if route == "new":
        association.release()
    if heard["status"] == 0:
        heard |= told(*reports.get(timeout=PATIENCE), information.TransactionUID)
    if route == "same":
        association.release()
    server.shutdown()
    tell(heard)


def told(event_type: int, ds: Dataset, transaction_uid: str) -> dict[str, Any]:
    """A report in a form for JSON."""
    return {
        "event_type": event_type,
        "transaction": ds.TransactionUID == transaction_uid,
        "committed": [item.ReferencedSOPInstanceUID for item in ds.get("ReferencedSOPSequence", [])],
        "failed": {item.ReferencedSOPInstanceUID: item.FailureReason for item in ds.get("FailedSOPSequence", [])},
    }


if __name__ == "__main__":
    debug_logger()
    if sys.argv[1] == "scp":
        scp(*sys.argv[2:])
    else:
        scu(*sys.argv[2:])
