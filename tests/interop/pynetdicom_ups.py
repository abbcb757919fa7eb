"""Unified Procedure Steps with pynetdicom, in either role. It tells what it heard in lines of JSON.

Usage: pynetdicom_ups.py scp PORT ROUTE SUBSCRIBER-PORT
       pynetdicom_ups.py scu PORT ROUTE CALLED-AE-TITLE LISTENING-PORT

ROUTE is "same" where events go over the association of the subscriber, "new" where they need one of their own. The SCP
has one subscriber, and takes whatever it is told; the SCU schedules a step and performs it.
"""

import json
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context, build_role, debug_logger, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_ACTION_RSP, N_SET_RSP

Push = "1.2.840.10008.5.1.4.34.6.1"
Watch = "1.2.840.10008.5.1.4.34.6.2"
Pull = "1.2.840.10008.5.1.4.34.6.3"
Event = "1.2.840.10008.5.1.4.34.6.4"
Query = "1.2.840.10008.5.1.4.34.6.5"
EVERYTHING = "1.2.840.10008.5.1.4.34.5"

HOST = "127.0.0.1"
PATIENCE = 20
NOT_FOUND = 0xC307


def say(**what: Any) -> None:
    # In one call, since several threads have something to say.
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def data_set(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


# ---- SCP ----


class Manager:
    """Keeps steps without looking at what they are."""

    def __init__(self, route: str, subscriber_port: int) -> None:
        self.route = route
        self.port = subscriber_port
        self.ae = AE("PYNETDICOM")
        for uid in (Push, Watch, Pull, Query, Event):
            self.ae.add_supported_context(uid)
        self.ae.add_requested_context(Event)
        self.steps: dict[str, Dataset] = {}
        self.subscriber = ""
        # What is to be reported once the response has left.
        self.events: queue.Queue[tuple[str, int, Dataset]] = queue.Queue()

    def create(self, event: Any) -> tuple[int, None]:
        step = event.attribute_list
        step.SOPClassUID, step.SOPInstanceUID = Push, event.request.AffectedSOPInstanceUID
        self.steps[step.SOPInstanceUID] = step
        return 0x0000, None

    def get(self, event: Any) -> tuple[int, Dataset | None]:
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        return (0x0000, step) if step is not None else (NOT_FOUND, None)

    def set(self, event: Any) -> tuple[int, None]:
        step = self.steps[event.request.RequestedSOPInstanceUID]
        modifications = event.modification_list
        step.update(modifications)
        if "ProcedureStepProgressInformationSequence" in modifications:
            told = data_set(
                ProcedureStepProgressInformationSequence=modifications.ProcedureStepProgressInformationSequence
            )
            self.happened(step.SOPInstanceUID, 3, told)
        return 0x0000, None

    def act(self, event: Any) -> tuple[int, None]:
        uid, information = event.request.RequestedSOPInstanceUID, event.action_information
        if event.action_type == 1:
            step = self.steps.get(uid)
            if step is None:
                return NOT_FOUND, None
            step.ProcedureStepState = information.ProcedureStepState
            self.happened(uid, 1, self.state_of(step))
        elif event.action_type == 2:
            self.happened(uid, 2, data_set(RequestingAE="SOMEBODY", **dict_of(information)))
        elif event.action_type == 3:
            self.subscriber = information.ReceivingAE
            for step in self.steps.values():
                self.happened(step.SOPInstanceUID, 1, self.state_of(step))
        elif event.action_type == 4:
            self.subscriber = ""
        say(action=event.action_type, lock=str(information.get("DeletionLock")) if information else "")
        return 0x0000, None

    def happened(self, uid: str, kind: int, information: Dataset) -> None:
        if self.subscriber:
            self.events.put((uid, kind, information))

    def state_of(self, step: Dataset) -> Dataset:
        return data_set(ProcedureStepState=step.ProcedureStepState, InputReadinessState=step.InputReadinessState)

    def find(self, event: Any) -> Iterator[tuple[int, Dataset]]:
        for step in self.steps.values():
            match = Dataset()
            for element in event.identifier:
                match.add(step.get(element.tag, element))
            yield 0xFF00, match

    def answered(self, event: Any) -> None:
        if isinstance(event.message, N_ACTION_RSP | N_SET_RSP) and not self.events.empty():
            threading.Thread(target=self.report, args=(event.assoc,)).start()

    def report(self, association: Association) -> None:
        if self.route == "new":
            role = build_role(Event, scp_role=True)
            association = self.ae.associate(HOST, self.port, ae_title=self.subscriber, ext_neg=[role])
        while not self.events.empty():
            uid, kind, information = self.events.get()
            status, _ = association.send_n_event_report(information, kind, Push, uid)
            say(event=kind, status=status.get("Status"))
        if self.route == "new":
            association.release()


def dict_of(ds: Dataset | None) -> dict[str, Any]:
    return {element.keyword: element.value for element in ds or ()}


def scp(port: str, route: str, subscriber_port: str) -> None:
    manager = Manager(route, int(subscriber_port))
    handlers: list[Any] = [
        (evt.EVT_N_CREATE, manager.create),
        (evt.EVT_N_GET, manager.get),
        (evt.EVT_N_SET, manager.set),
        (evt.EVT_N_ACTION, manager.act),
        (evt.EVT_C_FIND, manager.find),
        (evt.EVT_DIMSE_SENT, manager.answered),
    ]
    manager.ae.start_server((HOST, int(port)), block=True, evt_handlers=handlers)


# ---- SCU ----

CODE = data_set(CodeValue="SEG", CodingSchemeDesignator="99X", CodeMeaning="Segment")


def performed() -> Dataset:
    item = data_set(
        PerformedStationNameCodeSequence=[CODE],
        PerformedProcedureStepStartDateTime="20260105101500",
        PerformedWorkitemCodeSequence=[CODE],
        PerformedProcedureStepEndDateTime="20260105102000",
        OutputInformationSequence=[],
    )
    return data_set(UnifiedProcedureStepPerformedProcedureSequence=[item])


def scu(port: str, route: str, called: str, listening_port: str) -> None:
    heard: queue.Queue[tuple[int, str]] = queue.Queue()

    def hear(event: Any) -> tuple[int, None]:
        heard.put((event.event_type, str(event.event_information.get("ProcedureStepState", ""))))
        return 0x0000, None

    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, hear)]
    ae = AE("PYNETDICOM")
    ae.add_supported_context(Event, scu_role=True, scp_role=True)
    ae.start_server((HOST, int(listening_port)), block=False, evt_handlers=handlers)
    for uid in (Push, Watch, Pull, Query):
        ae.add_requested_context(uid)
    # It cannot take events reliably where it asks for something, so that it watches on an association apart.
    watching = [build_context(uid) for uid in ([Watch, Event] if route == "same" else [Watch])]
    watch = ae.associate(HOST, int(port), watching, ae_title=called, evt_handlers=handlers)
    subscription = data_set(ReceivingAE="PYNETDICOM", DeletionLock="TRUE")
    subscribed, _ = watch.send_n_action(subscription, 3, Push, EVERYTHING)
    association = ae.associate(HOST, int(port), ae_title=called)
    statuses = [subscribed.get("Status", -1), *perform(association)]
    events = [heard.get(timeout=PATIENCE) for _ in range(5)]
    watch.release()
    association.release()
    ae.shutdown()
    say(statuses=statuses, events=events)


def perform(association: Association) -> list[int]:
    """Schedules, claims, sets and completes a step; the status of each request."""
    uid, lock = generate_uid(), generate_uid()
    step = data_set(
        ProcedureStepState="SCHEDULED",
        ScheduledProcedureStepPriority="HIGH",
        ProcedureStepLabel="Segment",
        ScheduledProcedureStepStartDateTime="20260105100000",
        InputReadinessState="READY",
        WorklistLabel="",
    )
    changing = data_set(TransactionUID=lock)
    responses = [association.send_n_create(step, Push, uid)]
    query = data_set(ProcedureStepState="SCHEDULED", SOPInstanceUID="", TransactionUID="")
    found = [match for _, match in association.send_c_find(query, Pull) if match is not None]
    say(found=[str(match.SOPInstanceUID) == uid for match in found])
    changing.ProcedureStepState = "IN PROGRESS"
    responses.append(association.send_n_action(changing, 1, Push, uid))
    progress = data_set(ProcedureStepProgressInformationSequence=[data_set(ProcedureStepProgress="50")])
    # Without the Transaction UID it is refused, with it it is not.
    responses.append(association.send_n_set(progress, Push, uid))
    progress.TransactionUID = lock
    responses.append(association.send_n_set(progress, Push, uid))
    changing.ProcedureStepState = "COMPLETED"
    responses.append(association.send_n_action(changing, 1, Push, uid))
    result = performed()
    result.TransactionUID = lock
    responses.append(association.send_n_set(result, Push, uid))
    responses.append(association.send_n_action(data_set(ReasonForCancellation="late"), 2, Push, uid))
    responses.append(association.send_n_action(changing, 1, Push, uid))
    responses.append(association.send_n_get([Tag(0x00741000), Tag(0x00081195)], Push, uid))
    responses.append(association.send_n_action(data_set(ReceivingAE="PYNETDICOM"), 4, Push, EVERYTHING))
    return [status.get("Status", -1) for status, *_ in responses]


if __name__ == "__main__":
    debug_logger()
    (scp if sys.argv[1] == "scp" else scu)(*sys.argv[2:])
