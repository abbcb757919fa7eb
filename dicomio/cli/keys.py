"""`-k KEY[=VALUE]`: an element of a query by its path, and its value; and data sets as such paths and texts.

A path names an element by keyword or tag, and one in an item of a sequence by the way to it: `PatientID`, `0010,0020`,
`(0010,0020)`, `ScheduledProcedureStepSequence[0].Modality`, `(0040,0100)[0].(0008,0060)`. Items count from 0, and those
that are not there are made.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, keyword_for_tag, private_dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from dicomio.identifiers import tag_of

__all__ = ["Key", "Step", "assign", "paths_of", "read_key"]

STEP: Final = re.compile(
    r"(?:\((?P<enclosed>[0-9A-Fa-f]{4},[0-9A-Fa-f]{4})\)|(?P<tag>[0-9A-Fa-f]{4},[0-9A-Fa-f]{4})|(?P<keyword>[A-Za-z]\w*))"
    # Nobody asks for a thousand items, and each that is not there is made.
    r"(?:\[(?P<item>[0-9]{1,3})\])?",
    re.ASCII,
)

# What the integers of a VR may be (PS3.5 6.2).
INTEGERS: Final = {
    "US": range(1 << 16),
    "UL": range(1 << 32),
    "UV": range(1 << 64),
    "SS": range(-(1 << 15), 1 << 15),
    "SL": range(-(1 << 31), 1 << 31),
    "SV": range(-(1 << 63), 1 << 63),
}
FLOATS: Final = ("FL", "FD")
BULK: Final = ("OB", "OD", "OF", "OL", "OV", "OW")

# Command sets, file meta information; and what delimits items (PS3.5 7.5).
NO_DATA_SET: Final = (0x0000, 0x0002, 0xFFFE)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path.

    Args:
        tag: of the element.
        item: which item of it; `None` where none is named.
    """

    tag: BaseTag
    item: int | None = None

    def __str__(self) -> str:
        return name_of(self.tag) if self.item is None else f"{name_of(self.tag)}[{self.item}]"


@dataclass(frozen=True, slots=True)
class Key:
    """An element and its value.

    Args:
        steps: the way to it; the last one is the element itself.
        value: text of its values, with backslashes between them; empty to match everything.
    """

    steps: tuple[Step, ...]
    value: str = ""

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))


# reading


def read_key(text: str) -> Key:
    """Reads `KEY[=VALUE]`.

    Raises:
        ValueError: it does not look like that, or names an element that is not in the data dictionary.
    """
    path, _, value = text.partition("=")
    steps: list[Step] = []
    position = 0
    while True:
        match = STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is no path to an element: {path[position:]!r} is neither keyword nor gggg,eeee")
        steps.append(step_of(match))
        position = match.end()
        if position == len(path):
            return Key(tuple(steps), value)
        if path[position] != ".":
            raise ValueError(f"{path!r} is no path to an element: there is {path[position:]!r} behind {match[0]!r}")
        position += 1


def step_of(match: re.Match[str]) -> Step:
    """One step of a path."""
    number = match["enclosed"] or match["tag"]
    tag = BaseTag(int(number.replace(",", ""), 16)) if number else tag_of(match["keyword"])
    if tag.group in NO_DATA_SET or tag.element == 0:
        raise ValueError(f"{match[0]!r} is no element that a query may have")
    return Step(tag, int(match["item"]) if match["item"] else None)


# putting into a data set


def assign(ds: Dataset, key: Key) -> None:
    """Puts an element into a data set, in place of what was there; sequences and items on the way are made.

    Raises:
        ValueError: the value is none for that element, or the path leads through what is no sequence.
    """
    *way, last = key.steps
    for step in way:
        ds = item_of(ds, step)
    vr = vr_of(ds, last.tag)
    if vr == "SQ" or last.item is not None:
        assign_sequence(ds, last, key.value)
    else:
        ds.add(element_of(last.tag, vr, key.value))


def item_of(ds: Dataset, step: Step) -> Dataset:
    """The item that a step leads to; the first where it names none."""
    if vr_of(ds, step.tag) != "SQ":
        raise ValueError(f"{name_of(step.tag)} is no sequence")
    if step.tag not in ds:
        ds.add_new(step.tag, "SQ", [])
    items: Sequence = ds[step.tag].value
    number = step.item or 0
    while len(items) <= number:
        items.append(Dataset())
    return items[number]


def assign_sequence(ds: Dataset, step: Step, value: str) -> None:
    """A sequence as a key: without items, or with an empty one, both of which match everything (PS3.4 C.2.2.2.6)."""
    if step.item is not None:
        item_of(ds, step)
    else:
        ds.add_new(step.tag, "SQ", [])
    if value:
        raise ValueError(f"{name_of(step.tag)} takes no value; name an element of its items")


def vr_of(ds: Dataset, tag: BaseTag) -> str:
    """The VR of an element of a data set, or the one it would have there."""
    if tag in ds and ds[tag].VR != "UN":
        return ds[tag].VR
    try:
        # Of "US or SS" and its like either will do.
        return dictionary_vr(ds, tag)[:2]
    except KeyError:
        return "UN"


def dictionary_vr(ds: Dataset, tag: BaseTag) -> str:
    """The VR of the data dictionary, for a private element that of its creator's.

    Raises:
        KeyError: it is not there.
    """
    if not tag.is_private:
        return dictionary_VR(tag)
    if tag.is_private_creator:
        return "LO"
    # PS3.5 7.8.1: the first byte of the element number tells which creator has reserved it.
    creator = ds.get(Tag(tag.group, tag.element >> 8))
    return private_dictionary_VR(tag, str(creator.value) if creator is not None else "")


def element_of(tag: BaseTag, vr: str, text: str) -> DataElement:
    """An element with the value that a text stands for.

    Raises:
        ValueError: the text is no value of that VR.
    """
    try:
        # Not validated, because what matches need not be a value: `C*` is no Modality, and a range no date.
        return DataElement(tag, vr, value_of(vr, text) if text else None, validation_mode=IGNORE)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ValueError(f"{text!r} is no value for {name_of(tag)} ({vr})") from error


def value_of(vr: str, text: str) -> Any:
    """The value that a text stands for."""
    if vr in INTEGERS:
        return [integer(part, INTEGERS[vr]) for part in text.split("\\")]
    if vr in FLOATS:
        return [float(part) for part in text.split("\\")]
    if vr == "AT":
        return [Tag(int(part.strip("()").replace(",", ""), 16)) for part in text.split("\\")]
    if vr in BULK:
        raise ValueError("bulk data are no key")
    if vr == "UN":
        data = text.encode()
        return data + b" " if len(data) % 2 else data
    return text


def integer(text: str, allowed: range) -> int:
    """A whole number that its VR has room for."""
    number = int(text)
    if number not in allowed:
        raise ValueError(f"{number} is not between {allowed.start} and {allowed.stop - 1}")
    return number


# taking from a data set


def paths_of(ds: Dataset, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The elements of a data set, those of items included, as paths and texts: what `-k` takes.

    Args:
        ds: the data set; it may come from anywhere.
        prefix: what every path begins with.
    """
    for tag in sorted(ds.keys()):
        path, value = prefix + name_of(tag), value_in(ds, tag)
        if not isinstance(value, list):
            yield path, value
            continue
        if not value:
            yield path, ""
        for number, item in enumerate(value):
            if item:
                yield from paths_of(item, f"{path}[{number}].")
            else:
                yield f"{path}[{number}]", ""


def value_in(ds: Dataset, tag: BaseTag) -> str | list[Dataset]:
    """The value of an element as text, or the items of a sequence."""
    try:
        element = ds[tag]
        if element.VR == "SQ":
            return list(element.value)
        return text_of(element.value)
    except Exception:  # whatever pydicom makes of the bytes of a peer
        return "(cannot be decoded)"


def text_of(value: Any) -> str:
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"({len(value)} bytes)" if value else ""
    if isinstance(value, BaseTag):
        return number_of(value)
    if isinstance(value, MultiValue | list):
        return "\\".join(map(text_of, value))
    return str(value)


def name_of(tag: BaseTag) -> str:
    """The keyword of an element, or its tag where it has none."""
    return keyword_for_tag(tag) or number_of(tag)


def number_of(tag: BaseTag) -> str:
    """A tag as `gggg,eeee`."""
    return f"{tag.group:04x},{tag.element:04x}"
