"""All six DIMSE-N services with pynetdicom, in both roles, on the one service class that has them all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dicomio import (
    ActionRequest,
    Application,
    CreateRequest,
    DeleteRequest,
    EventReport,
    GetRequest,
    Refused,
    SetRequest,
    Status,
    StatusError,
    connect,
    dataset,
    serve,
)
from dicomio.sop import RTConventionalMachineVerification as Verification
from tests.interop.normalized import ask, normalized_scp
from tests.interop.ours import HOST

pytestmark = pytest.mark.interop

PATIENCE = 30.0
UID = "1.2.826.0.1.3680043.9.3811.7"
BEAM = {"TreatmentMachineName": "LINAC 1", "RadiationType": "PHOTON"}
RESULT = {"TreatmentVerificationStatus": "VERIFIED"}


async def test_we_ask(tmp_path: Path) -> None:
    console = Application("LINAC1")
    events: asyncio.Queue[EventReport] = asyncio.Queue()

    @console.n_event_report(Verification)
    async def take(report: EventReport) -> Any:
        events.put_nowait(report)
        return report.information

    async with (
        asyncio.timeout(PATIENCE),
        normalized_scp("pynetdicom", tmp_path, Verification) as peer,
        connect(peer.address, contexts=[Verification], app=console) as association,
    ):
        created = await association.n_create(Verification, UID, dataset(PatientID="4711"))
        assert (created.status, created.PatientID) == (Status.SUCCESS, "4711")
        assert created.response.sop_instance_uid == UID
        changed = await association.n_set(Verification, UID, dataset(GeneralMachineVerificationSequence=[BEAM]))
        assert changed.GeneralMachineVerificationSequence[0].TreatmentMachineName == "LINAC 1"
        some = await association.n_get(Verification, UID, "PatientID")
        assert [element.keyword for element in some] == ["PatientID"]
        everything = await association.n_get(Verification, UID)
        assert len(everything) == 2
        reply = await association.n_action(Verification, UID, 1, dataset(**RESULT))
        assert reply.TreatmentVerificationStatus == "VERIFIED"
        event = await events.get()
        assert (event.event_type, event.sop_instance_uid) == (2, UID)
        assert event.information.TreatmentVerificationStatus == "VERIFIED"
        told = (await peer.told(3))[-1]
        assert told == {"service": "report", "status": 0, "data": RESULT}
        assert (await association.n_delete(Verification, UID)).status == Status.SUCCESS
        assert association.quirks == []


async def test_we_are_refused(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        normalized_scp("pynetdicom", tmp_path, Verification) as peer,
        connect(peer.address, contexts=[Verification]) as association,
    ):
        with pytest.raises(StatusError) as missing:
            await association.n_create(Verification, UID, dataset(PatientName="DOE^JANE"))
        response: Any = missing.value.response
        assert (response.status, response.error_comment) == (Status.MISSING_ATTRIBUTE, "who?")
        for request in (
            association.n_set(Verification, UID, dataset(PatientID="1")),
            association.n_get(Verification, UID),
            association.n_action(Verification, UID, 1),
            association.n_delete(Verification, UID),
        ):
            with pytest.raises(StatusError) as unknown:
                await request
            assert unknown.value.status == Status.NO_SUCH_SOP_INSTANCE
        await association.n_create(Verification, UID, dataset(PatientID="4711"))
        with pytest.raises(StatusError) as fixed:
            await association.n_set(Verification, UID, dataset(PatientID="4712"))
        refused: Any = fixed.value.response
        assert (refused.error_comment, refused.error_id) == ("never", 17)
        assert refused.attribute_identifiers == (0x00100020,)
        with pytest.raises(StatusError, match="0x0123 No such action type"):
            await association.n_action(Verification, UID, 7)


def verifier() -> Application:
    """An application with all six handlers, which keeps instances and reports what it was asked to do."""
    app = Application("VERIFIER")
    app.state.reports = []
    held: dict[str, Any] = {}

    @app.n_create(Verification)
    async def create(request: CreateRequest) -> Any:
        if "PatientID" not in request.attributes:
            raise Refused(Status.MISSING_ATTRIBUTE, "who?", offending=[0x00100020])
        held[request.sop_instance_uid] = request.attributes
        return request.attributes

    @app.n_set(Verification)
    async def change(request: SetRequest) -> Any:
        held = known(request.sop_instance_uid)
        if "PatientID" in request.modifications:
            raise Refused(Status.INVALID_ATTRIBUTE_VALUE, "never", offending=[0x00100020], error_id=17)
        held.update(request.modifications)
        return request.modifications

    @app.n_get(Verification)
    async def get(request: GetRequest) -> Any:
        return known(request.sop_instance_uid)

    @app.n_action(Verification)
    async def act(request: ActionRequest) -> Any:
        known(request.sop_instance_uid)
        if request.action_type != 1:
            raise Refused(Status.NO_SUCH_ACTION_TYPE)
        request.after(report, request)
        return request.information

    async def report(request: ActionRequest) -> None:
        answer = await request.association.n_event_report(
            Verification, request.sop_instance_uid, 2, request.information
        )
        app.state.reports.append(answer)

    @app.n_delete(Verification)
    async def delete(request: DeleteRequest) -> None:
        known(request.sop_instance_uid)
        del held[request.sop_instance_uid]

    def known(uid: str) -> Any:
        if uid not in held:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE)
        return held[uid]

    return app


async def test_peer_asks_us() -> None:
    app = verifier()
    requests = [
        ["create", Verification, UID, {"PatientName": "DOE^JANE"}],
        ["create", Verification, UID, {"PatientID": "4711"}],
        ["set", Verification, UID, {"GeneralMachineVerificationSequence": [BEAM]}],
        ["set", Verification, UID, {"PatientID": "4712"}],
        ["get", Verification, UID, ["PatientID"]],
        ["get", Verification, UID, ["PatientID", "PatientName"]],
        # Of empty information it says that it follows, and sends nothing.
        ["action", Verification, UID, 7, RESULT],
        ["action", Verification, UID, 1, RESULT],
        ["await", Verification, UID],
        ["delete", Verification, UID],
        ["delete", Verification, UID],
    ]
    async with asyncio.timeout(PATIENCE), serve(app, HOST, 0) as server:
        answers = await ask("pynetdicom", server.port, "VERIFIER", [Verification], requests)
    missing, created, changed, fixed, some, less, refused, done, event, deleted, unknown = answers
    assert (missing["Status"], missing["ErrorComment"]) == (f"{0x0120}", "who?")
    assert (created["Status"], created["data"]) == ("0", {"PatientID": "4711"})
    assert (changed["Status"], changed["data"]) == ("0", {"GeneralMachineVerificationSequence": [BEAM]})
    assert (fixed["Status"], fixed["ErrorComment"], fixed["ErrorID"]) == (f"{0x0106}", "never", "17")
    assert "0010,0020" in fixed["AttributeIdentifierList"]
    assert (some["Status"], some["data"]) == ("0", {"PatientID": "4711"})
    assert (less["Status"], less["data"]) == (f"{0x0107}", {"PatientID": "4711"})
    assert "0010,0010" in less["AttributeIdentifierList"]
    assert refused["Status"] == f"{0x0123}"
    assert (done["Status"], done["data"]) == ("0", RESULT)
    assert event == {"service": "event", "instance": UID, "type": 2, "data": RESULT}
    assert (deleted["Status"], unknown["Status"]) == ("0", f"{0x0112}")
    (answer,) = app.state.reports
    assert (answer.status, answer.TreatmentVerificationStatus) == (Status.SUCCESS, "VERIFIED")
