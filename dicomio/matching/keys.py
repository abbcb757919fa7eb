"""The kinds of matching of PS3.4 C.2.2.2, each a small value that accepts elements or does not."""

from dataclasses import dataclass, field

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.matching.patterns import Test, beginnings, pattern_test, same_groups, some_group
from dicomio.matching.temporal import first_datetime, moved
from dicomio.matching.values import Comparable, comparable, element_of, is_blank, items_of, raw_values, reader

__all__ = [
    "CombinedRange",
    "Empty",
    "FuzzyName",
    "Key",
    "Keys",
    "Range",
    "SequenceKey",
    "Single",
    "UIDList",
    "Universal",
    "Values",
    "Wildcard",
]


@dataclass(frozen=True, slots=True)
class Universal:
    """Matches every entity, also where it has no such attribute: a key without a value (PS3.4 C.2.2.2.3)."""

    def accepts(self, element: DataElement | None) -> bool:
        """True."""
        return True


@dataclass(frozen=True, slots=True)
class Empty:
    """Matches entities in which the attribute is missing or has no value: the key `""` (PS3.4 C.2.2.2.7)."""

    def accepts(self, element: DataElement | None) -> bool:
        """Whether the candidate has no value."""
        if element is None or element.is_empty:
            return True
        return element.VR != "SQ" and all(map(is_blank, raw_values(element)))


@dataclass(frozen=True, slots=True)
class Single:
    """Matches one value (PS3.4 C.2.2.2.1).

    Args:
        value: in the form in which `comparable` gives the values of candidates.
        vr: of the key.
        ignore_case: whether a person name has been folded, and matches in upper and lower case alike.
    """

    value: Comparable
    vr: str
    ignore_case: bool = False

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the values of the element is this one."""
        if element is None:
            return False
        read, value = reader(self.vr, self.ignore_case), self.value
        if self.vr == "PN":
            return any(same_groups(str(value), str(read(each))) for each in raw_values(element))
        return any(read(each) == value for each in raw_values(element))


@dataclass(frozen=True, slots=True)
class UIDList:
    """Matches each of several UIDs (PS3.4 C.2.2.2.2)."""

    uids: frozenset[str]

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the values of the element is in the list."""
        return element is not None and any(str(each).strip(" \0") in self.uids for each in raw_values(element))


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Matches what looks like a pattern: `*` is any characters or none, `?` is one of any kind (PS3.4 C.2.2.2.4).

    In a person name, components that are missing at the end count as empty: `DOE^*` matches `DOE` too.

    Args:
        pattern: without padding; that of a name in the form in which `comparable` gives names.
        vr: of the key.
        ignore_case: whether a person name has been folded, and matches in upper and lower case alike.
    """

    pattern: str
    vr: str
    ignore_case: bool = False
    tests: tuple[Test, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        groups = self.pattern.split("=") if self.vr == "PN" else [self.pattern]
        object.__setattr__(self, "tests", tuple(pattern_test(group or "*", self.vr) for group in groups))

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the values of the element looks like the pattern."""
        if element is None:
            return False
        read = reader(self.vr, self.ignore_case)
        if self.vr == "PN":
            return any(some_group(self.tests, str(read(each))) for each in raw_values(element))
        (test,) = self.tests
        return any(test(str(read(each))) for each in raw_values(element) if each)


@dataclass(frozen=True, slots=True)
class FuzzyName:
    """Matches person names that are about the same: negotiated fuzzy semantic matching (PS3.4 C.2.2.2.1.1).

    Each word of the key has to be the beginning of some word of the name, in whatever order and component, without
    regard to case, accents, apostrophes and letters such as ø, which count as o. Words with `*` or `?` in them are
    patterns for a whole word. What merely sounds alike does not match.

    Args:
        name: the key as it was sent.
    """

    name: str
    tests: tuple[Test, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tests", tuple(map(beginnings, self.name.split("="))))

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the values of the element is about this name."""
        if element is None:
            return False
        return any(some_group(self.tests, str(each)) for each in raw_values(element))


@dataclass(frozen=True, slots=True)
class Range:
    """Matches dates, times or datetimes between two others, inclusive (PS3.4 C.2.2.2.5).

    A time or datetime alone is the range of its precision: `1030` is all of that minute (PS3.4 C.2.2.2.1, note).

    Args:
        low: first moment, in the form in which `comparable` gives the values of candidates; `None`: from ever.
        high: last moment; `None`: for ever.
        vr: DA, TM or DT.
        offset: of `low` and `high` from UTC in minutes, only for DT and where it is known. A datetime that says its
            own is compared there; one that does not is compared as the clock showed it.
    """

    low: str | None
    high: str | None
    vr: str
    offset: int | None = None

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the values of the element lies in the range."""
        if element is None:
            return False
        if self.offset is not None:
            return any(self.contains(self.moment(str(each))) for each in raw_values(element))
        read = reader(self.vr, ignore_case=False)
        return any(self.contains(read(each)) for each in raw_values(element))

    def contains(self, moment: Comparable | None) -> bool:
        """Whether a moment, in the form of the bounds, lies in the range."""
        if not isinstance(moment, str):
            return False
        return (self.low is None or self.low <= moment) and (self.high is None or moment <= self.high)

    def moment(self, text: str) -> str | None:
        """A datetime of a candidate, moved to the offset of the bounds if it says its own."""
        found = first_datetime(text.strip(" \0"))
        if found is None or self.offset is None or found[1] is None:
            return found and found[0]
        return moved(found[0], self.offset - found[1])


@dataclass(frozen=True, slots=True)
class Values:
    """Matches what one of several keys matches (PS3.4 C.2.2.2.8)."""

    keys: tuple["Key", ...]

    def accepts(self, element: DataElement | None) -> bool:
        """Whether one of the keys accepts the element."""
        return any(key.accepts(element) for key in self.keys)


@dataclass(frozen=True, slots=True)
class CombinedRange:
    """Matches a date and the time beside it as one moment (PS3.4 C.2.2.2.5.4).

    Args:
        date: tag of the date.
        time: tag of the time.
        range: of both, in the form `YYYYMMDDHHMMSS.FFFFFF`.
    """

    date: BaseTag
    time: BaseTag
    range: Range

    def accepts(self, candidate: Dataset) -> bool:
        """Whether the first date and time of the candidate lie in the range."""
        elements = element_of(candidate, self.date), element_of(candidate, self.time)
        first = [next(comparable(element), None) for element in elements if element is not None]
        return len(first) == 2 and None not in first and self.range.contains("".join(map(str, first)))


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one data set: an identifier, or an item in it. Universal ones are left out, they decide nothing.

    Args:
        single: keys by tag.
        combined: dates and times that are matched together; they are not among the others.
    """

    single: tuple[tuple[BaseTag, "Key"], ...] = ()
    combined: tuple[CombinedRange, ...] = ()

    def tags(self) -> list[BaseTag]:
        """Of the attributes of which candidates are matched."""
        return [tag for tag, _ in self.single] + [tag for pair in self.combined for tag in (pair.date, pair.time)]

    def accepts(self, candidate: Dataset) -> bool:
        """Whether a candidate matches all keys."""
        for tag, key in self.single:
            if not key.accepts(element_of(candidate, tag)):
                return False
        return all(key.accepts(candidate) for key in self.combined)


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """Matches sequences one item of which matches all keys of an item of the key (PS3.4 C.2.2.2.6).

    Args:
        keys: of each item of the key; the standard allows one item.
    """

    keys: tuple[Keys, ...]

    def accepts(self, element: DataElement | None) -> bool:
        """Whether an item of the sequence matches."""
        return element is not None and any(keys.accepts(item) for item in items_of(element) for keys in self.keys)


Key = Universal | Empty | Single | UIDList | Wildcard | FuzzyName | Range | Values | SequenceKey
