"""Query and retrieve models: the SOP classes that belong together (PS3.4 C, K, Q, U, X, BB, HH, II, JJ, KK)."""

from collections.abc import Iterator
from dataclasses import dataclass

from dicomio.sop import classes

__all__ = [
    "BY_SOP_CLASS",
    "COLOR_PALETTE",
    "COMPOSITE_INSTANCE_ROOT",
    "COMPOSITE_INSTANCE_WITHOUT_BULK_DATA",
    "DEFINED_PROCEDURE_PROTOCOL",
    "GENERIC_IMPLANT_TEMPLATE",
    "HANGING_PROTOCOL",
    "IMPLANT_ASSEMBLY_TEMPLATE",
    "IMPLANT_TEMPLATE_GROUP",
    "INVENTORY",
    "MODELS",
    "PATIENT_ROOT",
    "PATIENT_STUDY_ONLY",
    "PRODUCT_CHARACTERISTICS",
    "PROTOCOL_APPROVAL",
    "QUERY",
    "RELEVANT_PATIENT_BREAST_IMAGING",
    "RELEVANT_PATIENT_CARDIAC",
    "RELEVANT_PATIENT_GENERAL",
    "STUDY_ROOT",
    "SUBSTANCE_APPROVAL",
    "UNIQUE_KEYS",
    "UPS_QUERY",
    "WORKLIST",
    "QueryModel",
]


@dataclass(frozen=True, slots=True)
class QueryModel:
    """A query/retrieve information model; iterating it gives its SOP class UIDs.

    Args:
        name: what people call it.
        find: SOP class UID of its C-FIND, `None` where it has none.
        move: of its C-MOVE.
        get: of its C-GET.
        levels: Query/Retrieve Levels (0008,0052) that its identifiers may name; none where they name no level.
    """

    name: str
    find: str | None = None
    move: str | None = None
    get: str | None = None
    levels: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter([uid for uid in (self.find, self.move, self.get) if uid is not None])


PATIENT_ROOT = QueryModel(
    "Patient Root",
    classes.PatientRootQueryRetrieveInformationModelFind,
    classes.PatientRootQueryRetrieveInformationModelMove,
    classes.PatientRootQueryRetrieveInformationModelGet,
    ("PATIENT", "STUDY", "SERIES", "IMAGE"),
)
STUDY_ROOT = QueryModel(
    "Study Root",
    classes.StudyRootQueryRetrieveInformationModelFind,
    classes.StudyRootQueryRetrieveInformationModelMove,
    classes.StudyRootQueryRetrieveInformationModelGet,
    ("STUDY", "SERIES", "IMAGE"),
)
PATIENT_STUDY_ONLY = QueryModel(
    "Patient/Study Only",
    classes.PatientStudyOnlyQueryRetrieveInformationModelFind,
    classes.PatientStudyOnlyQueryRetrieveInformationModelMove,
    classes.PatientStudyOnlyQueryRetrieveInformationModelGet,
    ("PATIENT", "STUDY"),
)
COMPOSITE_INSTANCE_ROOT = QueryModel(
    "Composite Instance Root",
    None,
    classes.CompositeInstanceRootRetrieveMove,
    classes.CompositeInstanceRootRetrieveGet,
    ("IMAGE", "FRAME"),
)
COMPOSITE_INSTANCE_WITHOUT_BULK_DATA = QueryModel(
    "Composite Instance Retrieve Without Bulk Data",
    get=classes.CompositeInstanceRetrieveWithoutBulkDataGet,
    levels=("IMAGE",),
)
WORKLIST = QueryModel("Modality Worklist", classes.ModalityWorklistInformationModelFind)
RELEVANT_PATIENT_GENERAL = QueryModel(
    "General Relevant Patient Information", classes.GeneralRelevantPatientInformationQuery
)
RELEVANT_PATIENT_BREAST_IMAGING = QueryModel(
    "Breast Imaging Relevant Patient Information", classes.BreastImagingRelevantPatientInformationQuery
)
RELEVANT_PATIENT_CARDIAC = QueryModel(
    "Cardiac Relevant Patient Information", classes.CardiacRelevantPatientInformationQuery
)
HANGING_PROTOCOL = QueryModel(
    "Hanging Protocol",
    classes.HangingProtocolInformationModelFind,
    classes.HangingProtocolInformationModelMove,
    classes.HangingProtocolInformationModelGet,
)
COLOR_PALETTE = QueryModel(
    "Color Palette",
    classes.ColorPaletteQueryRetrieveInformationModelFind,
    classes.ColorPaletteQueryRetrieveInformationModelMove,
    classes.ColorPaletteQueryRetrieveInformationModelGet,
)
GENERIC_IMPLANT_TEMPLATE = QueryModel(
    "Generic Implant Template",
    classes.GenericImplantTemplateInformationModelFind,
    classes.GenericImplantTemplateInformationModelMove,
    classes.GenericImplantTemplateInformationModelGet,
)
IMPLANT_ASSEMBLY_TEMPLATE = QueryModel(
    "Implant Assembly Template",
    classes.ImplantAssemblyTemplateInformationModelFind,
    classes.ImplantAssemblyTemplateInformationModelMove,
    classes.ImplantAssemblyTemplateInformationModelGet,
)
IMPLANT_TEMPLATE_GROUP = QueryModel(
    "Implant Template Group",
    classes.ImplantTemplateGroupInformationModelFind,
    classes.ImplantTemplateGroupInformationModelMove,
    classes.ImplantTemplateGroupInformationModelGet,
)
DEFINED_PROCEDURE_PROTOCOL = QueryModel(
    "Defined Procedure Protocol",
    classes.DefinedProcedureProtocolInformationModelFind,
    classes.DefinedProcedureProtocolInformationModelMove,
    classes.DefinedProcedureProtocolInformationModelGet,
)
PROTOCOL_APPROVAL = QueryModel(
    "Protocol Approval",
    classes.ProtocolApprovalInformationModelFind,
    classes.ProtocolApprovalInformationModelMove,
    classes.ProtocolApprovalInformationModelGet,
)
PRODUCT_CHARACTERISTICS = QueryModel("Product Characteristics", classes.ProductCharacteristicsQuery)
SUBSTANCE_APPROVAL = QueryModel("Substance Approval", classes.SubstanceApprovalQuery)
INVENTORY = QueryModel("Inventory", classes.InventoryFind, classes.InventoryMove, classes.InventoryGet)
UPS_QUERY = QueryModel("Unified Procedure Step", classes.UnifiedProcedureStepQuery)

MODELS = (
    PATIENT_ROOT,
    STUDY_ROOT,
    PATIENT_STUDY_ONLY,
    COMPOSITE_INSTANCE_ROOT,
    COMPOSITE_INSTANCE_WITHOUT_BULK_DATA,
    WORKLIST,
    RELEVANT_PATIENT_GENERAL,
    RELEVANT_PATIENT_BREAST_IMAGING,
    RELEVANT_PATIENT_CARDIAC,
    HANGING_PROTOCOL,
    COLOR_PALETTE,
    GENERIC_IMPLANT_TEMPLATE,
    IMPLANT_ASSEMBLY_TEMPLATE,
    IMPLANT_TEMPLATE_GROUP,
    DEFINED_PROCEDURE_PROTOCOL,
    PROTOCOL_APPROVAL,
    PRODUCT_CHARACTERISTICS,
    SUBSTANCE_APPROVAL,
    INVENTORY,
    UPS_QUERY,
)

BY_SOP_CLASS = {uid: model for model in MODELS for uid in model}

# PS3.4 C.6.1.1, C.6.2.1: the tag of the unique key of each level.
UNIQUE_KEYS = {
    "PATIENT": 0x00100020,
    "STUDY": 0x0020000D,
    "SERIES": 0x0020000E,
    "IMAGE": 0x00080018,
    "FRAME": 0x00080018,
}

# What a client proposes that only queries: the SOP classes of these models, and Verification to look whether the peer
# is there.
QUERY = (classes.Verification, *STUDY_ROOT, *PATIENT_ROOT)
