"""DICOM files that every peer is asked to carry, made from the test data inside the pydicom package."""

import math
import random
import shutil
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.tag import Tag

__all__ = [
    "ALL_KINDS",
    "Kind",
    "Sample",
    "build_samples",
    "by_instance",
    "data_set_bytes",
    "differences",
    "lay_out",
    "takeable",
]

_TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
# Data Set Trailing Padding means nothing; an application may store in a character set of its own choice.
_NOT_COMPARED = frozenset({Tag("DataSetTrailingPadding"), Tag("SpecificCharacterSet")})


class Kind(Enum):
    """A trait of a sample that some peer cannot handle."""

    IMPLICIT = auto()
    EXPLICIT = auto()
    BIG_ENDIAN = auto()
    DEFLATED = auto()
    JPEG = auto()
    RLE = auto()
    MULTI_FRAME = auto()
    PRIVATE_SOP_CLASS = auto()
    PRIVATE_ELEMENTS = auto()
    ODD_LENGTH = auto()
    UTF_8 = auto()
    ISO_2022 = auto()
    VERY_LONG_VRS = auto()


ALL_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Sample:
    """One file with File Meta Information.

    Attributes:
        name: short name for the ids of tests.
        path: where the file is.
        kinds: what a peer has to cope with to take it.
        sop_class_uid: as in the data set.
        sop_instance_uid: as in the data set; no two samples share one.
        transfer_syntax_uid: of the data set.
    """

    name: str
    path: Path
    kinds: frozenset[Kind]
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a sample is made: a file of pydicom's, and the attributes that are set in it."""

    source: str
    kinds: frozenset[Kind]
    edits: Mapping[str, Any]


def recipe(source: str, *kinds: Kind, **edits: Any) -> Recipe:
    """Collect the arguments of a recipe."""
    return Recipe(source, frozenset(kinds), edits)


RECIPES: Mapping[str, Recipe] = {
    "explicit": recipe("MR_small.dcm", Kind.EXPLICIT),
    "private-elements": recipe("CT_small.dcm", Kind.EXPLICIT, Kind.PRIVATE_ELEMENTS),
    "implicit": recipe("MR_small_implicit.dcm", Kind.IMPLICIT),
    "big-endian": recipe("ExplVR_BigEnd.dcm", Kind.BIG_ENDIAN),
    "deflated": recipe("image_dfl.dcm", Kind.DEFLATED),
    "jpeg": recipe("SC_rgb_jpeg_dcmtk.dcm", Kind.JPEG),
    "rle": recipe("MR_small_RLE.dcm", Kind.RLE),
    "multi-frame": recipe("SC_rgb_rle_2frame.dcm", Kind.RLE, Kind.MULTI_FRAME),
    "report": recipe("reportsi.dcm", Kind.EXPLICIT),
    "private-sop-class": recipe(
        "MR_small.dcm",
        Kind.EXPLICIT,
        Kind.PRIVATE_SOP_CLASS,
        SOPClassUID="2.25.94238475209384572094857209348572",
    ),
    # Of more P-DATA-TF PDUs than one, whatever maximum length a peer announces.
    "large": recipe(
        "SC_rgb_small_odd.dcm",
        Kind.EXPLICIT,
        Rows=600,
        Columns=600,
        PixelData=random.Random(0).randbytes(600 * 600 * 3),
    ),
    "odd-length": recipe("SC_rgb_small_odd.dcm", Kind.EXPLICIT, Kind.ODD_LENGTH, PatientID="odd"),
    # The names are the examples of PS3.5 Annexes J and H.
    "utf-8": recipe(
        "MR_small.dcm",
        Kind.EXPLICIT,
        Kind.UTF_8,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Wang^XiaoDong=王^小東=",
    ),
    "iso-2022": recipe(
        "MR_small.dcm",
        Kind.EXPLICIT,
        Kind.ISO_2022,
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "very-long-vrs": recipe(
        "MR_small.dcm",
        Kind.EXPLICIT,
        Kind.VERY_LONG_VRS,
        SelectorOVValue=bytes(range(16)),
        SelectorSVValue=[-(2**63), 2**63 - 1],
        SelectorUVValue=2**64 - 1,
    ),
}


def build_samples(directory: Path) -> dict[str, Sample]:
    """Write every sample into `directory`, and describe them by name."""
    with warnings.catch_warnings():
        # Some of these files are in the package because they are odd.
        warnings.simplefilter("ignore")
        return {name: _build(name, recipe, directory) for name, recipe in RECIPES.items()}


def _build(name: str, recipe: Recipe, directory: Path) -> Sample:
    ds = pydicom.dcmread(_TEST_FILES / recipe.source)
    for keyword, value in recipe.edits.items():
        setattr(ds, keyword, value)
    # Variants of one image share their UID in the package; a server would take them for duplicates.
    ds.SOPInstanceUID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path = directory / f"{name}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return Sample(name, path, recipe.kinds, ds.SOPClassUID, ds.SOPInstanceUID, str(ds.file_meta.TransferSyntaxUID))


def takeable(samples: Iterable[Sample], *kinds: frozenset[Kind]) -> list[Sample]:
    """Return the samples that each of several peers can handle, given the kinds that each one takes."""
    common = ALL_KINDS.intersection(*kinds)
    return [sample for sample in samples if sample.kinds <= common]


def data_set_bytes(path: Path) -> bytes:
    """Return the encoded data set of a file, without preamble and File Meta Information (PS3.10 7.1)."""
    data = path.read_bytes()
    if data[128:132] != b"DICM":
        raise ValueError(f"{path} is not a DICOM file")
    # (0002,0000) UL comes first: its 12 bytes are not counted in its value.
    return data[144 + int.from_bytes(data[140:144], "little") :]


def lay_out(directory: Path, samples: Mapping[str, Sample], places: Mapping[str, str]) -> None:
    """Fill a directory with what is to be sent: samples, by place and name, a bare data set, and what is no object."""
    for place, name in places.items():
        (directory / place).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(samples[name].path, directory / place)
    (directory / "notes.txt").write_text("nothing to see")
    (directory / "bare.img").write_bytes(data_set_bytes(samples["implicit"].path))


def differences(sent: Path, received: Path) -> list[str]:
    """Say what a transfer changed, disregarding what converting between transfer syntaxes may change.

    Bulk data and private elements are compared only if both files have the same transfer syntax.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = pydicom.dcmread(sent), pydicom.dcmread(received)
        exact = before.file_meta.TransferSyntaxUID == after.file_meta.TransferSyntaxUID
        return list(_differences(before, after, exact))


def _differences(before: Dataset, after: Dataset, exact: bool) -> Iterator[str]:
    for element in before:
        if not _is_comparable(element, exact):
            continue
        if element.tag not in after:
            yield f"{element.tag} {element.name} is missing"
        elif element.VR == "SQ":
            yield from _sequence_differences(element, after[element.tag], exact)
        elif not _is_same(element, after[element.tag]):
            yield f"{element.tag} {element.name}: {element.value!r} became {after[element.tag].value!r}"


def _is_same(before: DataElement, after: DataElement) -> bool:
    if before.VR == "DS" and before.VM == after.VM == 1 and not before.is_empty and not after.is_empty:
        return math.isclose(before.value, after.value)
    return bool(before.value == after.value)


def _is_comparable(element: DataElement, exact: bool) -> bool:
    if element.tag.element == 0 or element.tag in _NOT_COMPARED:
        return False
    return exact or not (element.tag.is_private or element.VR in _BULK_VRS)


def _sequence_differences(before: DataElement, after: DataElement, exact: bool) -> Iterator[str]:
    items, others = list(before.value), list(after.value)
    if len(items) != len(others):
        yield f"{before.tag} {before.name}: {len(items)} items became {len(others)}"
    for item, other in zip(items, others, strict=False):
        yield from _differences(item, other, exact)


def by_instance(paths: Iterable[Path]) -> dict[str, Path]:
    """Map the Media Storage SOP Instance UID of each file to the file."""
    return {str(read_file_meta_info(path).MediaStorageSOPInstanceUID): path for path in paths}
