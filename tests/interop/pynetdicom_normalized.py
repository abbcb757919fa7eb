"""The six DIMSE-N services with pynetdicom, in either role. It tells what it heard in lines of JSON.

Usage: pynetdicom_normalized.py scp PORT SOP-CLASS ...
       pynetdicom_normalized.py scu PORT CALLED-AE-TITLE SOP-CLASS ... < REQUESTS

The SCP keeps instances by UID. It answers action type 1 with what came along, and reports that as event type 2 on the
same association. REQUESTS are lists in JSON: service, SOP class, instance, then what the service takes: attributes by
keyword, keywords, or an action type and attributes; "await" waits for the report of an event.
"""

import json
import queue
import sys
import threading
import time
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom import AE, debug_logger, evt
from pynetdicom.dimse_messages import N_ACTION_RSP

HOST = "127.0.0.1"
PATIENCE = 20
# A request of the peer that comes while it waits for an answer is taken for that answer; and a release that follows a
# request of the peer at once overtakes its own answer.
SETTLING = 0.05
SUCCESS, INVALID_VALUE, DUPLICATE, NO_SUCH_INSTANCE = 0x0000, 0x0106, 0x0111, 0x0112
MISSING, NO_SUCH_ACTION = 0x0120, 0x0123


def dataset_of(elements: dict[str, Any]) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        is_sequence = isinstance(value, list)
        setattr(ds, keyword, [dataset_of(item) for item in value] if is_sequence else value)
    return ds


def elements_of(ds: Dataset | None) -> dict[str, Any]:
    found = {}
    for element in ds or ():
        is_sequence = element.VR == "SQ"
        found[element.keyword] = [elements_of(item) for item in element.value] if is_sequence else str(element.value)
    return found


def tell(what: dict[str, Any]) -> None:
    # In one piece: other threads write to the log meanwhile.
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


# ---- SCP ----


def scp(port: str, *sop_classes: str) -> None:
    ae = AE("PYNETDICOM")
    for uid in sop_classes:
        ae.add_supported_context(uid)
    instances: dict[str, Dataset] = {}
    reports: queue.Queue[tuple[str, str, Dataset]] = queue.Queue()

    def create(event: Any) -> tuple[int | Dataset, Dataset | None]:
        uid, attributes = event.request.AffectedSOPInstanceUID, event.attribute_list
        tell({"service": "create", "instance": uid, "data": elements_of(attributes)})
        if uid in instances:
            return DUPLICATE, None
        if "PatientID" not in attributes:
            # It has no place for a list of attributes here.
            status = Dataset()
            status.Status, status.ErrorComment = MISSING, "who?"
            return status, None
        instances[uid] = attributes
        return SUCCESS, attributes

    def change(event: Any) -> tuple[int | Dataset, Dataset | None]:
        uid, modifications = event.request.RequestedSOPInstanceUID, event.modification_list
        tell({"service": "set", "instance": uid, "data": elements_of(modifications)})
        if uid not in instances:
            return NO_SUCH_INSTANCE, None
        if "PatientID" in modifications:
            status = Dataset()
            status.Status, status.ErrorComment, status.ErrorID = INVALID_VALUE, "never", 17
            status.AttributeIdentifierList = [Tag("PatientID")]
            return status, None
        instances[uid].update(modifications)
        return SUCCESS, modifications

    def get(event: Any) -> tuple[int, Dataset | None]:
        held = instances.get(event.request.RequestedSOPInstanceUID)
        if held is None:
            return NO_SUCH_INSTANCE, None
        wanted = event.attribute_identifiers
        return SUCCESS, Dataset({tag: held[tag] for tag in wanted if tag in held}) if wanted else held

    def act(event: Any) -> tuple[int, Dataset | None]:
        uid = event.request.RequestedSOPInstanceUID
        if uid not in instances:
            return NO_SUCH_INSTANCE, None
        if event.action_type != 1:
            return NO_SUCH_ACTION, None
        reports.put((event.request.RequestedSOPClassUID, uid, event.action_information))
        return SUCCESS, event.action_information

    def answered(event: Any) -> None:
        if isinstance(event.message, N_ACTION_RSP) and not reports.empty():
            threading.Thread(target=report, args=(event.assoc,)).start()

    def report(association: Any) -> None:
        sop_class, uid, information = reports.get()
        status, reply = association.send_n_event_report(information, 2, sop_class, uid)
        tell({"service": "report", "status": status.get("Status"), "data": elements_of(reply)})

    def delete(event: Any) -> int:
        return SUCCESS if instances.pop(event.request.RequestedSOPInstanceUID, None) else NO_SUCH_INSTANCE

    handlers = [
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_GET, get),
        (evt.EVT_N_ACTION, act),
        (evt.EVT_N_DELETE, delete),
        (evt.EVT_DIMSE_SENT, answered),
    ]
    ae.start_server((HOST, int(port)), block=True, evt_handlers=handlers)  # type: ignore[arg-type]


# ---- SCU ----


def scu(port: str, called: str, *sop_classes: str) -> None:
    ae = AE("PYNETDICOM")
    for uid in sop_classes:
        ae.add_requested_context(uid)
    events: queue.Queue[dict[str, Any]] = queue.Queue()

    def take(event: Any) -> tuple[int, Dataset | None]:
        information = event.event_information if event.request.EventInformation else None
        uid, data = event.request.AffectedSOPInstanceUID, elements_of(information)
        events.put({"service": "event", "instance": uid, "type": event.event_type, "data": data})
        return SUCCESS, information

    association = ae.associate(HOST, int(port), ae_title=called, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    for service, sop_class, uid, *arguments in json.load(sys.stdin):
        if service == "await":
            tell(events.get(timeout=PATIENCE))
            time.sleep(SETTLING)
            continue
        answer = ask(association, service, sop_class, uid, *arguments)
        status, ds = answer if isinstance(answer, tuple) else (answer, None)
        tell({"service": service, "data": elements_of(ds), **elements_of(status)})
        time.sleep(SETTLING)
    association.release()


def ask(association: Any, service: str, sop_class: str, uid: str | None, *arguments: Any) -> Any:
    if service == "create":
        return association.send_n_create(dataset_of(arguments[0]), sop_class, uid)
    if service == "set":
        return association.send_n_set(dataset_of(arguments[0]), sop_class, uid)
    if service == "get":
        return association.send_n_get([Tag(keyword) for keyword in arguments[0]], sop_class, uid)
    if service == "action":
        return association.send_n_action(dataset_of(arguments[1]), arguments[0], sop_class, uid)
    return association.send_n_delete(sop_class, uid)


if __name__ == "__main__":
    debug_logger()
    if sys.argv[1] == "scp":
        scp(*sys.argv[2:])
    else:
        scu(*sys.argv[2:])
