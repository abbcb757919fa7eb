"""Which service class of PS3.4 a SOP class belongs to, and which DIMSE services it is used with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dicomio.sop import classes, models, storage
from dicomio.sop.models import QueryModel

__all__ = ["SERVICE_CLASSES", "SOP_CLASSES", "SOPClass", "ServiceClass", "service_of", "statuses_of"]


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """A service class of PS3.4.

    Attributes:
        name: as PS3.4 has it.
        annex: of PS3.4; of another part where it says so.
        statuses: what statuses mean in it: a key of `dicomio.status.SERVICE_MEANINGS`; empty where it has none of its
            own.
    """

    name: str
    annex: str
    statuses: str = ""


@dataclass(frozen=True, slots=True)
class SOPClass:
    """A SOP class of PS3.4.

    Attributes:
        uid: its UID.
        service_class: to which it belongs.
        operations: the DIMSE services it is used with, `"N-CREATE"`; none where it is used without DIMSE, or retired
            for so long that PS3.4 does not say it any more.
    """

    uid: str
    service_class: ServiceClass
    operations: tuple[str, ...] = ()


# Service class (annex) and the key of its statuses; below it the SOP classes and their DIMSE services.
TABLE = """
    Verification (A) -
        Verification                                    C-ECHO
    Study Content Notification (D) -
        BasicStudyContentNotification                   .
    Patient Management (E) -
        DetachedPatientManagement                       .
        DetachedPatientManagementMeta                   .
        DetachedVisitManagement                         .
    Procedure Step (F) mpps
        ModalityPerformedProcedureStep                  N-CREATE N-SET
        ModalityPerformedProcedureStepRetrieve          N-GET
        ModalityPerformedProcedureStepNotification      N-EVENT-REPORT
        GeneralPurposeScheduledProcedureStep            .
        GeneralPurposePerformedProcedureStep            .
        DetachedStudyManagement                         .
        DetachedStudyManagementMeta                     .
        StudyComponentManagement                        .
    Results Management (G) -
        DetachedResultsManagement                       .
        DetachedResultsManagementMeta                   .
        DetachedInterpretationManagement                .
    Print Management (H) print
        BasicGrayscalePrintManagementMeta               N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
        BasicColorPrintManagementMeta                   N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
        BasicFilmSession                                N-CREATE N-SET N-ACTION N-DELETE
        BasicFilmBox                                    N-CREATE N-SET N-ACTION N-DELETE
        BasicGrayscaleImageBox                          N-SET
        BasicColorImageBox                              N-SET
        BasicAnnotationBox                              N-SET
        PrintJob                                        N-GET N-EVENT-REPORT
        Printer                                         N-GET N-EVENT-REPORT
        PrinterConfigurationRetrieval                   N-GET
        PresentationLUT                                 N-CREATE N-DELETE
        VOILUTBox                                       .
        ReferencedImageBox                              .
        ReferencedGrayscalePrintManagementMeta          .
        ReferencedColorPrintManagementMeta              .
        ImageOverlayBox                                 .
        BasicPrintImageOverlayBox                       .
        PrintQueueManagement                            .
        PullPrintRequest                                .
        PullStoredPrintManagementMeta                   .
    Media Storage (I) -
        MediaStorageDirectoryStorage                    .
    Storage Commitment (J) commitment
        StorageCommitmentPushModel                      N-ACTION N-EVENT-REPORT
        StorageCommitmentPullModel                      .
    Application Event Logging (P) logging
        ProceduralEventLogging                          N-ACTION
        SubstanceAdministrationLogging                  N-ACTION
    Instance Availability Notification (R) -
        InstanceAvailabilityNotification                N-CREATE
    Media Creation Management (S) media creation
        MediaCreationManagement                         N-CREATE N-ACTION N-GET
    Unified Procedure Step (CC) ups
        UnifiedProcedureStepPush                        N-CREATE N-ACTION N-GET
        UnifiedProcedureStepWatch                       N-ACTION N-GET C-FIND
        UnifiedProcedureStepPull                        C-FIND N-GET N-SET N-ACTION
        UnifiedProcedureStepEvent                       N-EVENT-REPORT
        UnifiedProcedureStepQuery                       C-FIND
        UnifiedProcedureStepPushTrial                   .
        UnifiedProcedureStepWatchTrial                  .
        UnifiedProcedureStepPullTrial                   .
        UnifiedProcedureStepEventTrial                  .
    RT Machine Verification (DD) rt machine verification
        RTConventionalMachineVerification               N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
        RTIonMachineVerification                        N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
        RTConventionalMachineVerificationTrial          .
        RTIonMachineVerificationTrial                   .
    Display System Management (EE) -
        DisplaySystem                                   N-GET
    Storage Management (KK) storage management
        InventoryCreation                               N-ACTION N-EVENT-REPORT
    Real-Time Communication (PS3.22) -
        VideoEndoscopicImageRealTimeCommunication       .
        VideoPhotographicImageRealTimeCommunication     .
        AudioWaveformRealTimeCommunication              .
        RenditionSelectionDocumentRealTimeCommunication .
    Query/Retrieve (C) query
        RepositoryQuery                                 C-FIND
    Basic Worklist Management (K) query
        GeneralPurposeWorklistManagementMeta            .
        GeneralPurposeWorklistInformationModelFind      .
    Storage (B) storage
        RTBeamsDeliveryInstructionStorageTrial          .
    Non-Patient Object Storage (GG) storage
        HangingProtocolStorage                          C-STORE
        ColorPaletteStorage                             C-STORE
        GenericImplantTemplateStorage                   C-STORE
        ImplantAssemblyTemplateStorage                  C-STORE
        ImplantTemplateGroupStorage                     C-STORE
        CTDefinedProcedureProtocolStorage               C-STORE
        XADefinedProcedureProtocolStorage               C-STORE
        ProtocolApprovalStorage                         C-STORE
        InventoryStorage                                C-STORE
    Relevant Patient Information Query (Q) relevant patient
    Hanging Protocol Query/Retrieve (U) query
    Substance Administration Query (V) query
    Color Palette Query/Retrieve (X) query
    Instance and Frame Level Retrieve (Y) retrieve
    Composite Instance Retrieve Without Bulk Data (Z) retrieve
    Implant Template Query/Retrieve (BB) query
    Defined Procedure Protocol Query/Retrieve (HH) query
    Protocol Approval Query/Retrieve (II) query
    Inventory Query/Retrieve (JJ) query
"""

# The annexes of query models, and the DIMSE services of their SOP classes.
BY_ANNEX: Mapping[str, tuple[QueryModel, ...]] = {
    "C": (models.PATIENT_ROOT, models.STUDY_ROOT, models.PATIENT_STUDY_ONLY),
    "K": (models.WORKLIST,),
    "Q": (
        models.RELEVANT_PATIENT_GENERAL,
        models.RELEVANT_PATIENT_BREAST_IMAGING,
        models.RELEVANT_PATIENT_CARDIAC,
    ),
    "U": (models.HANGING_PROTOCOL,),
    "V": (models.PRODUCT_CHARACTERISTICS, models.SUBSTANCE_APPROVAL),
    "X": (models.COLOR_PALETTE,),
    "Y": (models.COMPOSITE_INSTANCE_ROOT,),
    "Z": (models.COMPOSITE_INSTANCE_WITHOUT_BULK_DATA,),
    "BB": (models.GENERIC_IMPLANT_TEMPLATE, models.IMPLANT_ASSEMBLY_TEMPLATE, models.IMPLANT_TEMPLATE_GROUP),
    "HH": (models.DEFINED_PROCEDURE_PROTOCOL,),
    "II": (models.PROTOCOL_APPROVAL,),
    "JJ": (models.INVENTORY,),
}

# Statuses of these mean the same in every service class.
BY_OPERATION: Mapping[str, str] = {"C-STORE": "storage", "C-FIND": "query", "C-GET": "retrieve", "C-MOVE": "retrieve"}


def read_table() -> Iterator[ServiceClass | SOPClass]:
    """Each service class, and behind it the SOP classes that it has in the table."""
    service_class = ServiceClass("", "")
    for line in TABLE.strip().splitlines():
        name, is_service_class, rest = line.strip().partition(" (")
        if is_service_class:
            annex, statuses = rest.split(") ")
            service_class = ServiceClass(name, annex, statuses.strip("-"))
            yield service_class
        else:
            keyword, *operations = name.split()
            uid: str = getattr(classes, keyword, None) or getattr(storage, keyword)
            yield SOPClass(uid, service_class, tuple(operation for operation in operations if operation != "."))


def of_models(service_class: ServiceClass) -> Iterator[SOPClass]:
    """The SOP classes of the query models of a service class."""
    for model in BY_ANNEX.get(service_class.annex, ()):
        for uid, operation in ((model.find, "C-FIND"), (model.move, "C-MOVE"), (model.get, "C-GET")):
            if uid is not None:
                # The objects of a C-GET come on the same association, on contexts of their own.
                yield SOPClass(uid, service_class, (operation,))


def every_sop_class() -> Iterator[SOPClass]:
    """The SOP classes of the table, those of query models, and every one that is stored."""
    entries = list(read_table())
    for uid in storage.STORAGE:
        yield SOPClass(uid, SERVICE_CLASSES["B"], ("C-STORE",))
    for entry in entries:
        if isinstance(entry, SOPClass):
            yield entry
    for service_class in SERVICE_CLASSES.values():
        yield from of_models(service_class)


SERVICE_CLASSES: Mapping[str, ServiceClass] = {
    entry.annex: entry for entry in read_table() if isinstance(entry, ServiceClass)
}
SOP_CLASSES: Mapping[str, SOPClass] = {entry.uid: entry for entry in every_sop_class()}


def service_of(uid: str) -> ServiceClass | None:
    """The service class that a SOP class belongs to; `None` where PS3.4 has no such SOP class."""
    found = SOP_CLASSES.get(uid)
    return found.service_class if found is not None else None


def statuses_of(uid: str, operation: str) -> str:
    """What the statuses of responses mean: a key of `dicomio.status.SERVICE_MEANINGS`.

    Args:
        uid: SOP class UID; that of a private one is taken for one that has no statuses of its own.
        operation: DIMSE service, as `"N-CREATE"`.
    """
    service_class = service_of(uid)
    own = service_class.statuses if service_class is not None else ""
    # A relevant patient query has statuses that other queries have not.
    return own if own == "relevant patient" else BY_OPERATION.get(operation, own)
