"""Modality Performed Procedure Step with every peer that has it, in both roles."""

import asyncio
from pathlib import Path

import pytest

from dicomio import (
    Client,
    Status,
    StatusError,
    StepEvent,
    StepState,
    connect,
    notify_availability,
    performed_step,
    serve,
)
from dicomio.sop import CTImageStorage, InstanceAvailabilityNotification
from dicomio.sop import ModalityPerformedProcedureStep as MPPS
from dicomio.sop import ModalityPerformedProcedureStepNotification as Notification
from dicomio.sop import ModalityPerformedProcedureStepRetrieve as Retrieve
from tests.interop.normalized import SCRIPTS, ask, normalized_scp
from tests.interop.ours import HOST
from tests.workflows.steps import STUDY, Ris, image, step

pytestmark = pytest.mark.interop

PATIENCE = 30.0
UID = "1.2.826.0.1.3680043.9.3811.8"
REFERENCE = {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": "1.2.4.1"}


# ---- we perform ----


@pytest.mark.parametrize("name", SCRIPTS)
async def test_we_perform_a_step(name: str, tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE), normalized_scp(name, tmp_path, MPPS) as peer:
        async with connect(peer.address, contexts=[MPPS]) as association:
            async with performed_step(association, step(PatientID="4711", PatientName="MÜLLER^EVA"), UID) as performed:
                await performed.update(PerformedProcedureStepDescription="Head")
                performed.add(image())
            assert association.quirks == []
        created, updated, completed = await peer.told(3)
    assert {created["instance"], updated["instance"], completed["instance"]} == {UID}
    assert created["data"]["PerformedProcedureStepStatus"] == "IN PROGRESS"
    assert created["data"]["SpecificCharacterSet"] == "ISO_IR 192"
    assert "MÜLLER" in str(created["data"]["PatientName"])
    assert updated["data"]["PerformedProcedureStepDescription"] == "Head"
    assert completed["data"]["PerformedProcedureStepStatus"] == "COMPLETED"
    (series,) = listed(completed["data"]["PerformedSeriesSequence"])
    assert listed(series["ReferencedImageSequence"]) == [REFERENCE]


def listed(sequence: object) -> list[dict[str, object]]:
    """The items of a sequence; of a single one dcmjs makes no list."""
    return sequence if isinstance(sequence, list) else [sequence]  # type: ignore[list-item]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_we_discontinue_a_step(name: str, tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE), normalized_scp(name, tmp_path, MPPS) as peer:
        async with Client(peer.address) as client:
            performed = performed_step(client, step(PatientID="4711"), UID)
            with pytest.raises(OSError, match="no high voltage"):
                await fail(performed)
            with pytest.raises(StatusError) as refusal:
                async with performed_step(client, step(PatientID="4711"), UID):
                    pytest.fail("the block was entered")
        _, discontinued, _ = await peer.told(3)
    assert performed.state is StepState.DISCONTINUED
    assert refusal.value.status == Status.DUPLICATE_SOP_INSTANCE
    assert discontinued["data"]["PerformedProcedureStepStatus"] == "DISCONTINUED"


async def fail(performed: object) -> None:
    """Begins a step and breaks off."""
    async with performed:  # type: ignore[attr-defined]
        raise OSError("no high voltage")


async def test_we_notify_of_availability(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        normalized_scp("dcmjs", tmp_path, InstanceAvailabilityNotification) as peer,
        Client(peer.address) as client,
    ):
        await notify_availability(client, [image(StudyInstanceUID=STUDY)], retrieve_ae_title="PACS")
        (told,) = await peer.told(1)
    (series,) = listed(told["data"]["ReferencedSeriesSequence"])
    (item,) = listed(series["ReferencedSOPSequence"])
    assert item == {**REFERENCE, "InstanceAvailability": "ONLINE", "RetrieveAETitle": "PACS"}


# ---- a peer performs ----

BEGUN = {
    "Modality": "CT",
    "PatientID": "4711",
    "ScheduledStepAttributesSequence": [{"StudyInstanceUID": STUDY}],
    "PerformedProcedureStepID": "1",
    "PerformedStationAETitle": "CT1",
    "PerformedProcedureStepStartDate": "20260105",
    "PerformedProcedureStepStartTime": "120000",
    "PerformedProcedureStepStatus": "IN PROGRESS",
}
SERIES = [{"SeriesInstanceUID": "1.2.5", "ProtocolName": "Head", "ReferencedImageSequence": [REFERENCE]}]
ENDED = {
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedProcedureStepEndDate": "20260105",
    "PerformedProcedureStepEndTime": "123000",
    "PerformedSeriesSequence": SERIES,
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_peer_performs_a_step(name: str) -> None:
    ris = Ris()
    requests = [
        ["create", MPPS, UID, {**BEGUN, "PerformedProcedureStepStatus": "COMPLETED"}],
        ["create", MPPS, UID, BEGUN],
        ["create", MPPS, UID, BEGUN],
        ["set", MPPS, UID, {"PerformedProcedureStepStatus": "COMPLETED"}],
        ["set", MPPS, UID, ENDED],
        ["set", MPPS, UID, ENDED],
        ["get", Retrieve, UID, ["PatientID", "PerformedProcedureStepStatus"]],
    ]
    async with asyncio.timeout(PATIENCE), serve(ris.app, HOST, 0) as server:
        answers = await ask(name, server.port, "RIS", [MPPS, Retrieve], requests)
    statuses = [int(answer["Status"]) for answer in answers]
    assert statuses == [0x0106, 0x0000, 0x0111, 0x0121, 0x0000, 0x0110, 0x0000]
    assert answers[-1]["data"] == {"PatientID": "4711", "PerformedProcedureStepStatus": "COMPLETED"}
    assert ris.states == ["IN PROGRESS", "COMPLETED"]
    (series,) = ris.step.PerformedSeriesSequence
    assert series.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.4.1"


async def test_peer_hears_what_is_wrong() -> None:
    ris = Ris()
    missing = {keyword: value for keyword, value in BEGUN.items() if keyword != "Modality"}
    requests = [
        ["create", MPPS, UID, missing],
        ["create", MPPS, UID, BEGUN],
        ["set", MPPS, UID, {"PerformedProcedureStepStatus": "COMPLETED"}],
        ["set", MPPS, UID, ENDED],
        ["set", MPPS, UID, ENDED],
    ]
    async with asyncio.timeout(PATIENCE), serve(ris.app, HOST, 0) as server:
        first, _, incomplete, _, last = await ask("pynetdicom", server.port, "RIS", [MPPS], requests)
    assert (first["Status"], first["ErrorComment"]) == (f"{0x0120}", "missing Modality")
    assert incomplete["Status"] == f"{0x0121}"
    assert "0040,0250" in incomplete["AttributeIdentifierList"]
    assert (last["Status"], last["ErrorID"]) == (f"{0x0110}", f"{0xA710}")
    assert last["ErrorComment"] == "Performed Procedure Step Object may no longer be updated"


async def test_peer_hears_of_changes(caplog: pytest.LogCaptureFixture) -> None:
    ris = Ris()
    requests = [
        ["create", MPPS, UID, BEGUN],
        ["await", Notification, UID],
        ["set", MPPS, UID, {"PerformedProcedureStepDescription": "Head"}],
        ["await", Notification, UID],
        ["set", MPPS, UID, {**ENDED, "PerformedProcedureStepStatus": "DISCONTINUED"}],
        ["await", Notification, UID],
    ]
    async with asyncio.timeout(PATIENCE), serve(ris.app, HOST, 0) as server:
        answers = await ask("pynetdicom", server.port, "RIS", [MPPS, Notification], requests)
    events = [StepEvent(answer["type"]) for answer in answers if answer["service"] == "event"]
    assert events == [StepEvent.IN_PROGRESS, StepEvent.UPDATED, StepEvent.DISCONTINUED]
    assert not [record for record in caplog.records if record.name == "dicomio.mpps"]
