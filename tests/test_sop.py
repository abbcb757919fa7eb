"""The UIDs against pydicom's copy of PS3.6 Annex A."""

from types import ModuleType

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomio import sop
from dicomio.sop import QueryModel, classes, models, storage, syntaxes

# PS3.6 since 2024: not in the dictionary of every pydicom 3.
NEWER = {
    "DeflatedImageFrameCompression": "1.2.840.10008.1.2.8.1",
    "HeightMapSegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.8",
    "JPEGXL": "1.2.840.10008.1.2.4.112",
    "JPEGXLJPEGRecompression": "1.2.840.10008.1.2.4.111",
    "JPEGXLLossless": "1.2.840.10008.1.2.4.110",
    "LabelMapSegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.7",
}
# Named after storage, but nothing that is stored with C-STORE.
NOT_STORED = {
    "MediaStorageDirectoryStorage",
    "StorageCommitmentPushModel",
    "StorageCommitmentPullModel",
    "RTBeamsDeliveryInstructionStorageTrial",
}
WELL_KNOWN = "Well-known SOP Instance"
SOP_CLASSES = ("SOP Class", "Meta SOP Class")
TRANSFER_SYNTAX = "Transfer Syntax"


def constants(module: ModuleType) -> dict[str, str]:
    """The UIDs that a module names."""
    return {name: uid for name, uid in vars(module).items() if isinstance(uid, str) and uid.startswith("1.2.840.")}


def registered(*kinds: str) -> dict[str, str]:
    """The UIDs of these kinds in pydicom's dictionary, by keyword; a few retired ones have none."""
    return {words[4]: uid for uid, words in UID_dictionary.items() if words[1] in kinds and words[4]}


def test_transfer_syntaxes() -> None:
    ours = constants(syntaxes)
    assert ours == registered(TRANSFER_SYNTAX) | {name: uid for name, uid in NEWER.items() if name in ours}


def test_sop_classes() -> None:
    ours = constants(classes) | constants(storage)
    theirs = registered(*SOP_CLASSES)
    assert theirs.items() <= ours.items()
    instances = {name: uid for name, uid in ours.items() if name not in theirs and name not in NEWER}
    assert instances.items() <= registered(WELL_KNOWN).items()


def test_well_known_instances_are_those_of_service_classes() -> None:
    missing = registered(WELL_KNOWN).keys() - constants(classes).keys()
    assert all(name.endswith("Palette") for name in missing)


def test_newer_ones() -> None:
    assert NEWER.items() <= (constants(syntaxes) | constants(storage)).items()


def test_storage_is_every_class_that_is_stored() -> None:
    expected = {name for name in registered("SOP Class") if "Storage" in name} - NOT_STORED | NEWER.keys()
    assert set(sop.STORAGE) == {uid for name, uid in constants(storage).items() if name in expected}
    assert len(sop.STORAGE) == len(set(sop.STORAGE)) == len(constants(storage))


def test_uncompressed() -> None:
    assert set(sop.UNCOMPRESSED) == {str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)}


@pytest.mark.parametrize("module", [classes, storage, syntaxes])
def test_everything_is_named_in_the_package(module: ModuleType) -> None:
    for name, uid in constants(module).items():
        assert getattr(sop, name) == uid
        assert sop.NAMES[uid] == name
        assert sop.name_of(uid) == name


def test_no_uid_has_two_names() -> None:
    together = [*constants(classes).values(), *constants(storage).values(), *constants(syntaxes).values()]
    assert len(together) == len(set(together)) == len(sop.NAMES)


def test_a_private_uid_stands_for_itself() -> None:
    assert sop.name_of("1.3.6.1.4.1.9590.100.1") == "1.3.6.1.4.1.9590.100.1"


@pytest.mark.parametrize("model", sop.MODELS, ids=lambda model: model.name)
def test_models_have_the_classes_of_their_operations(model: QueryModel) -> None:
    for uid, endings in ((model.find, ("Find", "Query")), (model.move, ("Move",)), (model.get, ("Get",))):
        assert uid is None or sop.NAMES[uid].endswith(endings)
    words = model.name.replace("/", "").replace(" ", "")
    assert list(model) == [uid for uid in (model.find, model.move, model.get) if uid]
    assert len({sop.NAMES[uid].removesuffix("Find").removesuffix("Move").removesuffix("Get") for uid in model}) == 1
    assert all(words in sop.NAMES[uid] for uid in model)


def test_every_query_and_retrieve_class_is_in_a_model() -> None:
    # Of the General Purpose Worklist, long retired, none is left; a repository query is asked with its own keys.
    others = {"GeneralPurposeWorklistInformationModelFind", "RepositoryQuery"}
    expected = {name for name in constants(classes) if name.endswith(("Find", "Move", "Get", "Query"))} - others
    assert {sop.NAMES[uid] for model in sop.MODELS for uid in model} == expected


def test_iterating_a_model_gives_what_to_propose() -> None:
    assert list(sop.STUDY_ROOT) == [
        "1.2.840.10008.5.1.4.1.2.2.1",
        "1.2.840.10008.5.1.4.1.2.2.2",
        "1.2.840.10008.5.1.4.1.2.2.3",
    ]
    assert list(sop.COMPOSITE_INSTANCE_ROOT) == ["1.2.840.10008.5.1.4.1.2.4.2", "1.2.840.10008.5.1.4.1.2.4.3"]
    assert list(sop.WORKLIST) == ["1.2.840.10008.5.1.4.31"]
    assert sop.QUERY == (sop.Verification, *sop.STUDY_ROOT, *sop.PATIENT_ROOT)


def test_a_private_model() -> None:
    assert list(QueryModel("Private", find="1.2.3", get="1.2.5")) == ["1.2.3", "1.2.5"]


def test_exports() -> None:
    assert {name for name, value in vars(models).items() if isinstance(value, QueryModel)} <= set(models.__all__)
    assert set(models.__all__) <= set(vars(sop))
