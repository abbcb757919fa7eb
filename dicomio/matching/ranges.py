"""Keys that are dates, times and datetimes, and ranges of them (PS3.4 C.2.2.2.5)."""

from collections.abc import Callable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from dicomio.matching.keys import CombinedRange, Key, Range, Single, Universal
from dicomio.matching.options import InvalidKey, MatchOptions
from dicomio.matching.temporal import Span, date_span, datetime_span, moved, offset_minutes, split_range, time_span
from dicomio.matching.values import raw_values

__all__ = ["combined_ranges", "parse_temporal", "partner"]


def parse_temporal(element: DataElement, value: Any, options: MatchOptions) -> Key:
    """A moment of some precision, or a range of moments."""
    text = str(value).strip(" \0")
    # No wild cards are meant for dates and times, but this one is common and cannot be misunderstood.
    if text == "*":
        return Universal()
    sides = split_range(text, element.VR)
    if element.VR == "DT":
        return parse_datetime(element, text, sides or (text, text), options)
    if element.VR == "DA" and sides is None:
        return Single(bound(element, text, date_span)[0], "DA")
    return checked_range(element, text, parse_range(element, sides or (text, text)))


def bound(element: DataElement, text: str, span: Callable[[str], Span | None]) -> Span:
    """The first and the last moment of one side of a range."""
    found = span(text)
    if found is None:
        raise InvalidKey(element.tag, text, f"is no value for {element.VR}, and no range of them")
    return found


def parse_range(element: DataElement, sides: tuple[str, str]) -> Range:
    """A range of dates or of times."""
    span = date_span if element.VR == "DA" else time_span
    low = bound(element, sides[0], span)[0] if sides[0] else None
    high = bound(element, sides[1], span)[1] if sides[1] else None
    return Range(low, high, element.VR)


def checked_range(element: DataElement, text: str, found: Range) -> Range:
    """A range, if there is anything in it; PS3.4 C.2.2.2.5.2: "Range Matching crossing midnight is not supported"."""
    if found.low is None and found.high is None:
        raise InvalidKey(element.tag, text, "is a range without beginning and end")
    if found.low is not None and found.high is not None and found.low > found.high:
        raise InvalidKey(element.tag, text, "is a range that ends before it begins")
    return found


def parse_datetime(element: DataElement, text: str, sides: tuple[str, str], options: MatchOptions) -> Range:
    """A range of datetimes, with both sides at one offset from UTC: what one of them says holds for the other too."""
    spans = [datetime_span(side) for side in sides]
    if any(side and span is None for side, span in zip(sides, spans, strict=True)):
        raise InvalidKey(element.tag, text, "is no datetime, and no range of them")
    said = [span[2] for span in spans if span is not None and span[2] is not None]
    offset = said[0] if said else offset_minutes(options.timezone or "")
    low, high = (None if span is None else at_offset(span, offset) for span in spans)
    return checked_range(element, text, Range(low and low[0], high and high[1], "DT", offset))


def at_offset(span: tuple[str, str, int | None], offset: int | None) -> Span:
    """The moments of a datetime as clocks show them at an offset from UTC."""
    minutes = 0 if offset is None or span[2] is None else offset - span[2]
    return moved(span[0], minutes), moved(span[1], minutes)


def partner(tag: BaseTag) -> BaseTag | None:
    """The time that belongs to a date, and the other way round: Study Time (0008,0030) to Study Date (0008,0020)."""
    keyword = keyword_for_tag(tag)
    for ours, theirs in (("Date", "Time"), ("Time", "Date")):
        other = tag_for_keyword(keyword.replace(ours, theirs)) if ours in keyword else None
        if other is not None and other != tag and dictionary_VR(other) in ("DA", "TM"):
            return BaseTag(other)
    return None


def combined_ranges(elements: Mapping[BaseTag, DataElement]) -> list[CombinedRange]:
    """Dates and times that are matched together.

    PS3.4 C.2.2.2.5.4: "a pair of Attributes that are of VR DA and TM, both of which specify the same form of Range
    Matching".
    """
    pairs = ((date, elements.get(partner(date.tag) or date.tag)) for date in elements.values() if date.VR == "DA")
    found = (combined_range(date, time) for date, time in pairs if time is not None and time.VR == "TM")
    return [combined for combined in found if combined is not None]


def single_range(element: DataElement) -> Range | None:
    """The range that a date or a time is, `None` when it is none, or several; it may end before it begins."""
    values = raw_values(element)
    text = str(values[0]).strip(" \0") if len(values) == 1 else ""
    sides = split_range(text, element.VR)
    return None if sides is None else parse_range(element, sides)


def open_ends(found: Range) -> tuple[bool, bool]:
    """Which form of range it is."""
    return found.low is None, found.high is None


def combined_range(date: DataElement, time: DataElement) -> CombinedRange | None:
    """A date and a time that are matched together, `None` where each is matched by itself."""
    days, times = single_range(date), single_range(time)
    if days is None or times is None or open_ends(days) != open_ends(times):
        return None
    low = None if days.low is None or times.low is None else days.low + times.low
    high = None if days.high is None or times.high is None else days.high + times.high
    # From the evening of one day to the morning of another the time alone ends before it begins.
    found = checked_range(date, f"{date.value} {time.value}", Range(low, high, "DT"))
    return CombinedRange(date.tag, time.tag, found)
