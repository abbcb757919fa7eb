"""What the attributes of printing may be, and how many image boxes a film has (PS3.4 H.4, PS3.3 C.13)."""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.errors import InvalidIdentifier, Refused
from dicomio.identifiers import check_element, dataset
from dicomio.status import Status
from dicomio.workflows.commitment import (
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    references,
    sequence_of,
    uid_of,
)
from dicomio.workflows.printing.images import COLOR, GRAYSCALE

__all__ = [
    "FILM_DEFAULTS",
    "LUT_SHAPES",
    "SESSION_DEFAULTS",
    "SETTABLE",
    "check_image",
    "check_lut",
    "check_terms",
    "check_values",
    "filled",
    "image_boxes",
    "in_little_endian",
    "invalid",
    "items_of",
    "references",
    "require",
    "size_of",
    "tags_of",
    "uids_in",
]

# What an SCP has to have a value for where the SCU gives none (PS3.4 Tables H.4-2 and H.4-6).
SESSION_DEFAULTS: Mapping[str, object] = {
    "NumberOfCopies": 1,
    "PrintPriority": "MED",
    "MediumType": "PAPER",
    "FilmDestination": "PROCESSOR",
}
FILM_DEFAULTS: Mapping[str, object] = {
    "FilmOrientation": "PORTRAIT",
    "FilmSizeID": "A4",
    "MagnificationType": "CUBIC",
    "MaxDensity": 300,
    "ConfigurationInformation": None,
}

# PS3.4 Table H.4-7: what of a film box may be changed.
SETTABLE: Final = (
    "MagnificationType",
    "MaxDensity",
    "ConfigurationInformation",
    "ReferencedPresentationLUTSequence",
    "SmoothingType",
    "BorderDensity",
    "EmptyImageDensity",
    "MinDensity",
    "Trim",
    "Illumination",
    "ReflectedAmbientLight",
    "ICCProfile",
    "SpecificCharacterSet",
)

# PS3.3 C.13: attributes with Enumerated Values.
TERMS: Mapping[str, Sequence[str]] = {
    "PrintPriority": ("HIGH", "MED", "LOW"),
    "FilmOrientation": ("PORTRAIT", "LANDSCAPE"),
    "Trim": ("YES", "NO"),
    "Polarity": ("NORMAL", "REVERSE"),
    "RequestedDecimateCropBehavior": ("DECIMATE", "CROP", "FAIL"),
}

# PS3.3 C.13.3.1: columns and rows, or the number of images in each row or column.
DISPLAY_FORMAT: Final = re.compile(r"(STANDARD|ROW|COL)\\(\d{1,4}(?:,\d{1,4})*)")
# More on one film nobody could make out.
MOST_IMAGE_BOXES: Final = 1_000

# PS3.4 Tables H.4-10 and H.4-11
IMAGE_PIXEL: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
# PS3.3 C.13.5: Samples per Pixel, Photometric Interpretation, Bits Allocated, Bits Stored, High Bit, Pixel
# Representation
GRAYS: Final = [
    (1, photometric, *bits, 0) for photometric in ("MONOCHROME1", "MONOCHROME2") for bits in ((8, 8, 7), (16, 12, 11))
]
COLORS: Final = [(3, "RGB", 8, 8, 7, 0)]

# PS3.4 Table H.4-23
LUT_SHAPES: Final = ("IDENTITY", "LIN OD")
LUT_ENTRIES: Final = (256, 4096)
LUT_BITS: Final = range(10, 17)

# What may be long, and is kept as it is; and what nothing else is longer than.
BULK: Final = ("OB", "OW", "OB or OW", "UN")
MOST_TEXT: Final = 65_536


def tags_of(keywords: Iterable[str]) -> list[int]:
    """The tags of attributes."""
    return [tag_for_keyword(keyword) or 0 for keyword in keywords]


def image_boxes(display_format: str, layouts: Mapping[str, int]) -> int | None:
    """How many image boxes a film has (PS3.3 C.13.3.1).

    Args:
        display_format: Image Display Format (2010,0010).
        layouts: numbers of image boxes in the formats that a printer defines, as `SLIDE` and `CUSTOM\\1`.

    Returns:
        `None` where there is no such format.
    """
    if display_format in layouts:
        return layouts[display_format]
    match = DISPLAY_FORMAT.fullmatch(display_format)
    if match is None:
        return None
    numbers = [int(number) for number in match[2].split(",")]
    if match[1] == "STANDARD":
        count = numbers[0] * numbers[1] if len(numbers) == 2 else 0
    else:
        count = sum(numbers) if all(numbers) else 0
    return count if 0 < count <= MOST_IMAGE_BOXES else None


def items_of(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none where it is missing, or something else."""
    return list(sequence_of(ds, tag_for_keyword(keyword) or 0))


def uids_in(ds: Dataset, keyword: str) -> Iterator[tuple[str, str]]:
    """The SOP class and SOP instance of each item of a sequence that refers to instances."""
    for item in items_of(ds, keyword):
        yield uid_of(item, REFERENCED_SOP_CLASS_UID), uid_of(item, REFERENCED_SOP_INSTANCE_UID)


def require(ds: Dataset, *keywords: str) -> None:
    """Looks whether attributes are there and have a value.

    Raises:
        Refused: they are not; "Missing attribute" or "Missing attribute value" (PS3.7 C.5.8, C.5.9).
    """
    absent = [keyword for keyword in keywords if keyword not in ds]
    if absent:
        raise Refused(Status.MISSING_ATTRIBUTE, " ".join(absent), offending=tags_of(absent))
    empty = [keyword for keyword in keywords if ds[keyword].is_empty]
    if empty:
        raise Refused(Status.MISSING_ATTRIBUTE_VALUE, " ".join(empty), offending=tags_of(empty))


def check_terms(ds: Dataset) -> None:
    """Looks whether attributes have values that are defined for them.

    Raises:
        Refused: one does not; "Invalid attribute value" (PS3.7 C.5.4).
    """
    wrong = [keyword for keyword, terms in TERMS.items() if ds.get(keyword) and ds[keyword].value not in terms]
    copies = ds.get("NumberOfCopies")
    if copies is not None and (not isinstance(copies, int) or not 1 <= copies <= 0xFFFF):
        wrong.append("NumberOfCopies")
    if wrong:
        raise invalid(*wrong)


def invalid(*keywords: str) -> Refused:
    """The refusal of values."""
    return Refused(Status.INVALID_ATTRIBUTE_VALUE, " ".join(keywords), offending=tags_of(keywords))


def size_of(ds: Dataset) -> int:
    """About how many bytes a data set holds on to."""
    values = (element.value for element in ds.iterall())
    return sum(len(value) for value in values if isinstance(value, bytes | str))


def check_image(box: Dataset, *, color: bool) -> None:
    """Looks whether there is an image in an image box, if any, that can be printed.

    Raises:
        Refused: something is missing or cannot be.
    """
    keyword = COLOR if color else GRAYSCALE
    items = items_of(box, keyword)
    if len(items) > 1:
        raise invalid(keyword)
    for item in items:
        require(item, *IMAGE_PIXEL)
        samples, photometric, rows, columns, *bits, data = (item[name].value for name in IMAGE_PIXEL)
        if (samples, photometric, *bits) not in (COLORS if color else GRAYS):
            raise invalid("SamplesPerPixel", "PhotometricInterpretation", *IMAGE_PIXEL[4:8])
        if not isinstance(rows, int) or not isinstance(columns, int):
            raise invalid("Rows", "Columns")
        size = rows * columns * samples * bits[0] // 8
        if not size <= len(data) <= size + 1:
            raise invalid("Rows", "Columns", "PixelData")


def check_lut(ds: Dataset) -> None:
    """Looks whether there is one Presentation LUT, and it is one (PS3.4 Table H.4-23).

    Raises:
        Refused: it is not.
    """
    if "PresentationLUTShape" in ds:
        if ds.PresentationLUTShape not in LUT_SHAPES or "PresentationLUTSequence" in ds:
            raise invalid("PresentationLUTShape")
        return
    require(ds, "PresentationLUTSequence")
    for item in items_of(ds, "PresentationLUTSequence"):
        require(item, "LUTDescriptor", "LUTData")
        entries, first, bits = [*values_of(item, "LUTDescriptor"), 0, 0, 0][:3]
        if entries not in LUT_ENTRIES or first != 0 or bits not in LUT_BITS:
            raise invalid("LUTDescriptor")
        data = item["LUTData"].value
        if entries != (len(data) // 2 if isinstance(data, bytes) else len(values_of(item, "LUTData"))):
            raise invalid("LUTData")


def values_of(ds: Dataset, keyword: str) -> Sequence[Any]:
    """The values of an attribute."""
    element = ds[keyword]
    return element.value if element.VM > 1 else [element.value]


def check_values(ds: Dataset) -> None:
    """Decodes every value.

    Raises:
        Refused: one cannot be decoded, is absurdly long, or has another VR than its attribute; "Invalid attribute
            value" (PS3.7 C.5.4).
    """
    for tag in list(ds.keys()):
        try:
            check_value(ds, tag)
        except InvalidIdentifier as error:
            raise Refused(Status.INVALID_ATTRIBUTE_VALUE, error.comment, offending=error.offending) from error
        except Refused:
            raise
        except Exception as error:  # whatever pydicom makes of the bytes of a peer
            raise Refused(Status.INVALID_ATTRIBUTE_VALUE, f"{tag} cannot be decoded", offending=[tag]) from error


def check_value(ds: Dataset, tag: BaseTag) -> None:
    """Decodes one value; a long list of short ones would take a multiple of its bytes."""
    element: Any = ds.get_item(tag)
    vr = str(element.VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"))
    if vr == "SQ":
        for item in ds[tag].value:
            check_values(item)
        return
    if vr not in BULK and isinstance(element.value, bytes) and len(element.value) > MOST_TEXT:
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, f"{tag} is too long", offending=[tag])
    check_element(ds, tag)


def in_little_endian(ds: Dataset) -> Dataset:
    """A data set from big endian, whose words are still in that order (PS3.5 7.3)."""
    found = Dataset()
    found.update(ds)
    for element in found.iterall():
        if element.VR == "OW" and len(element.value) % 2 == 0:
            words = array("H", element.value)
            words.byteswap()
            element.value = words.tobytes()
    return found


def filled(ds: Dataset, defaults: Mapping[str, object]) -> Dataset:
    """A data set with values for what it says nothing about."""
    for keyword, value in defaults.items():
        if not ds.get(keyword) and ds.get(keyword) != 0:
            ds.update(dataset(**{keyword: value}))
    return ds
