"""Candidates whose clocks differ from those of the identifier (PS3.3 C.12.1.1.8, PS3.4 C.5.1.1)."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicomio.matching.keys import Key, Keys, Range, SequenceKey, Single, Values
from dicomio.matching.ranges import partner
from dicomio.matching.temporal import first_date, first_datetime, first_time, moved, offset_minutes
from dicomio.matching.values import element_of, items_of, raw_values

__all__ = ["TIMEZONE_OFFSET_FROM_UTC", "Zone", "is_temporal", "offset_of"]

TIMEZONE_OFFSET_FROM_UTC = BaseTag(0x00080201)

# A day far from both ends of the calendar, for times of which the day is not known.
SOME_DAY = "20000102"


def offset_of(ds: Dataset, otherwise: int | None) -> int | None:
    """The offset from UTC in minutes that a data set says for its dates and times."""
    element = element_of(ds, TIMEZONE_OFFSET_FROM_UTC)
    minutes = None if element is None else offset_minutes(str(element.value).strip(" \0"))
    return otherwise if minutes is None else minutes


def is_temporal(keys: Keys) -> bool:
    """Whether dates or times are asked for, in items too."""
    return bool(keys.combined) or any(depends_on_clock(key) for _, key in keys.single)


def depends_on_clock(key: Key) -> bool:
    """Whether what a key matches depends on the timezone."""
    if isinstance(key, Values):
        return any(map(depends_on_clock, key.keys))
    if isinstance(key, SequenceKey):
        return any(map(is_temporal, key.keys))
    return isinstance(key, Range) or (isinstance(key, Single) and key.vr == "DA")


@dataclass(frozen=True, slots=True)
class Zone:
    """The clock of a candidate, and the one by which it is looked at.

    Args:
        offset: of the candidate from UTC, in minutes.
        target: offset of the identifier; `None` leaves dates and times as they are, and tells datetimes their offset.
    """

    offset: int
    target: int | None

    def seen(self, candidate: Dataset, tags: Iterable[BaseTag]) -> Dataset:
        """These attributes of a candidate, dates and times by the clock of the identifier."""
        there = Dataset()
        for tag in tags:
            element = element_of(candidate, tag)
            if element is not None:
                there[tag] = self.seen_element(candidate, element)
        return there

    def seen_element(self, candidate: Dataset, element: DataElement) -> DataElement:
        """One element by the clock of the identifier."""
        if element.VR == "DT":
            return with_value(element, [self.stamped(str(each)) for each in raw_values(element)])
        if element.VR in ("DA", "TM"):
            return self.seen_moment(candidate, element)
        if element.VR == "SQ":
            return with_value(element, Sequence(self.seen(item, list(item.keys())) for item in items_of(element)))
        return element

    def stamped(self, text: str) -> str:
        """A datetime that says its offset."""
        text = text.strip(" \0")
        found = first_datetime(text)
        if found is None or found[1] is not None:
            return text
        return f"{text}{'-' if self.offset < 0 else '+'}{abs(self.offset) // 60:02}{abs(self.offset) % 60:02}"

    def seen_moment(self, candidate: Dataset, element: DataElement) -> DataElement:
        """A date, or a time: the day may be another one in the other timezone, which depends on both."""
        minutes = 0 if self.target is None else self.target - self.offset
        tag = partner(element.tag)
        other = None if tag is None or minutes == 0 else element_of(candidate, tag)
        date, time = (element, other) if element.VR == "DA" else (other, element)
        day = SOME_DAY if date is None else first_date(str(date.value).strip(" \0"))
        clock = None if time is None else first_time(str(time.value).strip(" \0"))
        if minutes == 0 or day is None or clock is None:
            return element
        moment = moved(day + clock, minutes)
        return with_value(element, moment[:8] if element.VR == "DA" else moment[8:])


def with_value(element: DataElement, value: object) -> DataElement:
    """An element like another one, with a value that is not looked at again."""
    return DataElement(element.tag, element.VR, value, already_converted=True)
