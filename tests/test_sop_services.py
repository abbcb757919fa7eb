"""Service classes, DIMSE services and statuses of SOP classes, against pydicom's dictionary and pynetdicom's tables."""

import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import service_class
from pynetdicom.sop_class import uid_to_service_class

from dicomio import Application, Refused, Response, StatusError, dataset, sop
from dicomio.sop.services import SERVICE_CLASSES
from dicomio.status import SERVICE_MEANINGS, Status
from dicomio.testing import connected

REGISTERED = {uid: words for uid, words in UID_dictionary.items() if words[1] in ("SOP Class", "Meta SOP Class")}
# Drafts of the nineties without a keyword, of which nothing was left.
NAMELESS = {uid for uid, words in REGISTERED.items() if not words[4]}
RETIRED = {uid for uid, words in REGISTERED.items() if words[3] == "Retired"}
# What it has as part of another service class.
OTHERWISE = {
    "CompositeInstanceRetrieveWithoutBulkData": "QueryRetrieve",
    "InstanceandFrameLevelRetrieve": "QueryRetrieve",
}
OPERATIONS = {
    "C-ECHO",
    "C-FIND",
    "C-GET",
    "C-MOVE",
    "C-STORE",
    "N-ACTION",
    "N-CREATE",
    "N-DELETE",
    "N-EVENT-REPORT",
    "N-GET",
    "N-SET",
}


def test_every_sop_class_of_the_dictionary_has_a_service_class() -> None:
    assert REGISTERED.keys() - NAMELESS <= sop.SOP_CLASSES.keys()


def test_nothing_else_has_one() -> None:
    newer = {sop.HeightMapSegmentationStorage, sop.LabelMapSegmentationStorage}
    assert sop.SOP_CLASSES.keys() - newer <= REGISTERED.keys()
    assert sop.service_of(sop.PrinterInstance) is None
    assert sop.service_of("1.3.6.1.4.1.9590.100.1") is None


def test_service_classes_are_those_of_another_implementation() -> None:
    differing = set()
    for uid, found in sop.SOP_CLASSES.items():
        name = found.service_class.name.replace("/", "").replace("-", "").replace(" ", "")
        if uid_to_service_class(uid).__name__ != f"{OTHERWISE.get(name, name)}ServiceClass":
            differing.add(uid)
    # What is retired, what is newer than it is, and what no DIMSE service is used for.
    assert {uid_to_service_class(uid) for uid in differing} == {service_class.ServiceClass}
    rest = {found.service_class.name for found in sop.SOP_CLASSES.values() if found.uid in differing - RETIRED}
    assert rest == {"Storage", "Media Storage", "Real-Time Communication", "Print Management"}


def test_operations_are_dimse_services() -> None:
    assert {operation for found in sop.SOP_CLASSES.values() for operation in found.operations} == OPERATIONS
    without = {uid for uid, found in sop.SOP_CLASSES.items() if not found.operations} - RETIRED
    names = {sop.name_of(uid) for uid in without if not sop.name_of(uid).endswith("RealTimeCommunication")}
    assert names == {"MediaStorageDirectoryStorage", "VOILUTBox"}


@pytest.mark.parametrize(
    "uid, operations",
    [
        (sop.Verification, ("C-ECHO",)),
        (sop.CTImageStorage, ("C-STORE",)),
        (sop.StudyRootQueryRetrieveInformationModelMove, ("C-MOVE",)),
        (sop.ModalityWorklistInformationModelFind, ("C-FIND",)),
        (sop.ModalityPerformedProcedureStep, ("N-CREATE", "N-SET")),
        (sop.StorageCommitmentPushModel, ("N-ACTION", "N-EVENT-REPORT")),
        (sop.UnifiedProcedureStepPull, ("C-FIND", "N-GET", "N-SET", "N-ACTION")),
        (sop.VideoEndoscopicImageRealTimeCommunication, ()),
    ],
    ids=lambda value: sop.name_of(value) if isinstance(value, str) else "",
)
def test_operations_of_some(uid: str, operations: tuple[str, ...]) -> None:
    assert sop.SOP_CLASSES[uid].operations == operations


@pytest.mark.parametrize("meta", [uid for uid in sop.MEMBERS if sop.name_of(uid).endswith("Meta")], ids=sop.name_of)
def test_a_meta_sop_class_has_the_operations_of_its_members(meta: str) -> None:
    members = {operation for uid in sop.MEMBERS[meta] for operation in sop.SOP_CLASSES[uid].operations}
    assert set(sop.SOP_CLASSES[meta].operations) == members


def test_service_classes_have_statuses_that_there_are() -> None:
    assert {found.statuses for found in SERVICE_CLASSES.values()} - {""} <= SERVICE_MEANINGS.keys()


@pytest.mark.parametrize("annex", SERVICE_CLASSES)
def test_every_status_of_another_implementation_has_a_meaning(annex: str) -> None:
    members = [found for found in sop.SOP_CLASSES.values() if found.service_class.annex == annex and found.operations]
    services = {sop.statuses_of(found.uid, operation) for found in members for operation in found.operations}
    for code in {code for found in members for code in uid_to_service_class(found.uid).statuses}:
        meanings = {Status(code).meaning_for(service) for service in services}
        assert any("no standard meaning" not in meaning for meaning in meanings), f"0x{code:04X}"


@pytest.mark.parametrize(
    "uid, operation, code, meaning",
    [
        (sop.CTImageStorage, "C-STORE", 0xA700, "Out of resources"),
        (sop.CTImageStorage, "C-STORE", 0xA900, "Data set does not match SOP class"),
        (sop.STUDY_ROOT.find, "C-FIND", 0xA900, "Identifier does not match SOP class"),
        (sop.STUDY_ROOT.move, "C-MOVE", 0xA702, "Out of resources: unable to perform sub-operations"),
        (sop.STUDY_ROOT.get, "C-STORE", 0xA900, "Data set does not match SOP class"),
        (sop.GeneralRelevantPatientInformationQuery, "C-FIND", 0xC100, "More than one match found"),
        (sop.UnifiedProcedureStepPull, "N-ACTION", 0xC302, "The UPS is already IN PROGRESS"),
        (sop.UnifiedProcedureStepPull, "C-FIND", 0xC302, "Unable to process"),
        (sop.RTIonMachineVerification, "N-GET", 0xC112, "Applicable machine verification instance not found"),
        (sop.MediaCreationManagement, "N-ACTION", 0xC202, None),
        (sop.DisplaySystem, "N-GET", 0x0112, "No such SOP instance"),
    ],
)
def test_meanings(uid: str, operation: str, code: int, meaning: str | None) -> None:
    found = Status(code).meaning_for(sop.statuses_of(uid, operation))
    assert found == meaning or (meaning is None and found.startswith("Media creation request already in progress"))


async def test_errors_say_what_a_status_means_in_the_service_class() -> None:
    app = Application("ANY")

    @app.n_action(sop.UnifiedProcedureStepPush, sop.ProceduralEventLogging, "1.2.3.4")
    async def refuse(request: object) -> None:
        raise Refused(0xC104)

    expected = {
        sop.ProceduralEventLogging: "IDs inconsistent in matching a current study: event not logged",
        sop.UnifiedProcedureStepPush: "Cannot understand, or unable to process",
        "1.2.3.4": "IDs inconsistent in matching a current study: event not logged (logging)",
    }
    async with connected(app, contexts=expected) as association:
        for uid, meaning in expected.items():
            with pytest.raises(StatusError) as error:
                await association.n_action(uid, "1.2.3", 1, dataset())
            assert isinstance(error.value.response, Response)
            assert error.value.response.meaning == meaning
            assert str(error.value) == (f"ANY@memory:104 answered N-ACTION of {sop.name_of(uid)} with 0xC104 {meaning}")
