"""Data sets made from keywords: what is asked for in a query, and what is told in a notification."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_dict, repeater_has_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.errors import InvalidIdentifier
from dicomio.sop.models import UNIQUE_KEYS

__all__ = ["as_dataset", "check_identifier", "dataset", "query"]

# PS3.4 C.4.1.1.4: Identifier does not match SOP class.
DOES_NOT_MATCH = 0xA900
QUERY_RETRIEVE_LEVEL = 0x00080052

# PS3.5 6.1.2.3: UTF-8. Only said where the values need it.
UTF8 = "ISO_IR 192"

TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


def query(level: str, **keys: Any) -> Dataset:
    """An identifier for C-FIND, C-MOVE or C-GET (PS3.4 C.4.1.1.3).

    Args:
        level: Query/Retrieve Level (0008,0052): PATIENT, STUDY, SERIES or IMAGE; an empty text leaves it out,
            as worklist queries do.
        keys: what to match and what to return, by keyword, as for `dataset`; an empty value matches everything.

    Raises:
        ValueError: when a keyword is not in the data dictionary, or a value does not suit it.
    """
    return dataset(**({"QueryRetrieveLevel": level} if level else {}), **keys)


def dataset(**elements: Any) -> Dataset:
    """A data set from keywords of the data dictionary (PS3.6).

    Texts beyond ASCII are sent as UTF-8 unless `SpecificCharacterSet` is given.

    Args:
        elements: values by keyword, or by tag, as in `**{"0008,0061": "CT"}`: texts, numbers, dates, bytes, lists of
            these; `None` for an empty element; for a sequence a list of mappings or data sets, or a single one.

    Raises:
        ValueError: when a keyword is not in the data dictionary, or a value does not suit it.
    """
    ds = filled(elements)
    if "SpecificCharacterSet" not in ds and not is_ascii(elements):
        ds.SpecificCharacterSet = UTF8
    return ds


def as_dataset(given: Dataset | Mapping[str, Any], name: str) -> Dataset:
    """What is given where a data set is expected: one, or a mapping of keywords that becomes one.

    Args:
        given: the data set, or values by keyword as for `dataset`.
        name: of the parameter.

    Raises:
        TypeError: it is neither.
        ValueError: a keyword is not in the data dictionary, or a value does not suit it.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, Mapping) and all(isinstance(keyword, str) for keyword in given):
        return dataset(**given)
    wanted = "a data set, as dicomio.query or dicomio.dataset makes one, or a mapping of keywords"
    raise TypeError(f"{name} is {repr(given)[:200]}; {wanted} is expected")


def filled(elements: Mapping[str, Any]) -> Dataset:
    """A data set with these elements, those of nested sequences included."""
    ds = Dataset()
    for keyword, value in elements.items():
        tag = tag_of(keyword)
        vr = dictionary_VR(tag)
        if vr == "SQ":
            value = items_of(keyword, value)
        try:
            # Not validated, because what matches need not be a value: `C*` is no Modality, and a range no date.
            ds.add(DataElement(tag, vr, value, validation_mode=IGNORE))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{keyword}: {value!r} is not a value for it: {error}") from error
    return ds


def check_identifier(ds: Dataset, levels: Sequence[str], *, retrieving: bool = False) -> str:
    """Looks whether an identifier of a peer can be worked with (PS3.4 C.4.1.1.3, C.4.2.1.4).

    Args:
        ds: the identifier.
        levels: the Query/Retrieve Levels of its model; none where its identifiers have none.
        retrieving: it says what to retrieve, so that it has to name it.

    Returns:
        Its Query/Retrieve Level, an empty text where its model has none.

    Raises:
        InvalidIdentifier: the level is missing or not one of the model, a value is not of its VR, or an element is of
            another VR than the data dictionary says.
    """
    for tag in list(ds.keys()):
        check_element(ds, tag)
    if not levels:
        return ""
    level = str(ds.get("QueryRetrieveLevel") or "").strip()
    if level not in levels:
        said = f"Query/Retrieve Level {level[:16]!r}" if level else "no Query/Retrieve Level"
        raise InvalidIdentifier(
            DOES_NOT_MATCH, f"{said}; it can be {', '.join(levels)}", offending=[QUERY_RETRIEVE_LEVEL]
        )
    if retrieving and (UNIQUE_KEYS[level] not in ds or not ds[UNIQUE_KEYS[level]].value):
        raise InvalidIdentifier(DOES_NOT_MATCH, f"no unique key of level {level}", offending=[UNIQUE_KEYS[level]])
    return level


def check_element(ds: Dataset, tag: BaseTag) -> None:
    """Decodes one element, as its handler would later."""
    try:
        element = ds[tag]
        expected = dictionary_VR(tag) if not tag.is_private and dictionary_has_tag(tag) else "UN"
        if element.VR == "SQ":
            for item in element.value:
                for nested in list(item.keys()):
                    check_element(item, nested)
    except InvalidIdentifier:
        raise
    except Exception as error:  # whatever pydicom makes of the bytes of a peer
        raise InvalidIdentifier(DOES_NOT_MATCH, f"{tag} cannot be decoded", offending=[tag]) from error
    if "UN" not in (element.VR, expected) and element.VR not in expected.split(" or "):
        comment = f"{tag} has VR {element.VR} in place of {expected}"
        raise InvalidIdentifier(DOES_NOT_MATCH, comment, offending=[tag])


def tag_of(keyword: str) -> BaseTag:
    """The tag of a keyword; for one that does not exist an error says what may have been meant."""
    number = TAG.fullmatch(keyword)
    if number is not None:
        tag = BaseTag(int(number[1] + number[2], 16))
        if not dictionary_has_tag(tag) and not repeater_has_tag(tag):
            raise ValueError(f"{tag} is not in the DICOM data dictionary; add an element with its VR to the data set")
        return tag
    found = tag_for_keyword(keyword) if keyword else None
    if found is None:
        close = get_close_matches(keyword, filter(None, keyword_dict), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{keyword} is not a keyword of the DICOM data dictionary{hint}")
    return BaseTag(found)


def items_of(keyword: str, value: Any) -> list[Dataset]:
    """The items of a sequence."""
    if value is None or value == "":
        return []
    items = [value] if isinstance(value, Mapping | Dataset) else value
    if not isinstance(items, Sequence) or not all(isinstance(item, Mapping | Dataset) for item in items):
        raise ValueError(f"{keyword} is a sequence: it takes a list of mappings or data sets, not {value!r}")
    return [item if isinstance(item, Dataset) else filled(item) for item in items]


def is_ascii(value: Any) -> bool:
    """Whether all texts in a value, however nested, do without a Specific Character Set (0008,0005)."""
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, Mapping):
        return all(is_ascii(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(is_ascii(each) for each in value)
    return True if not isinstance(value, Dataset) else all(is_ascii(str(each.value)) for each in value.iterall())
