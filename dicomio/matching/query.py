"""An identifier against candidates: which of them match, and what is told of those that do (PS3.4 C.4.1.1.3)."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicomio.matching.keys import Key, Keys, SequenceKey
from dicomio.matching.options import InvalidKey, MatchOptions
from dicomio.matching.parse import (
    QUERY_RETRIEVE_LEVEL,
    QUERY_RETRIEVE_VIEW,
    SPECIFIC_CHARACTER_SET,
    compile_keys,
    is_key,
    key_element,
)
from dicomio.matching.temporal import offset_minutes
from dicomio.matching.timezones import TIMEZONE_OFFSET_FROM_UTC, Zone, is_temporal, offset_of
from dicomio.matching.values import element_of, items_of

__all__ = ["Query", "compile_query", "matches", "project"]

NO_OPTIONS = MatchOptions()
ANSWERED_ANYHOW = (QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW, TIMEZONE_OFFSET_FROM_UTC)
CHANGEABLE = (MultiValue, Sequence, list, bytearray)


@dataclass(frozen=True, slots=True)
class Requested:
    """An attribute that the response shall have.

    Args:
        tag: of the attribute.
        vr: of the key, for when the candidate has no such attribute.
        items: for a sequence, for each item of the key which items match it, and what is requested of these; none:
            all items, whole.
        echoed: what the response has instead of what the candidate has.
    """

    tag: BaseTag
    vr: str
    items: tuple[tuple[Keys, tuple["Requested", ...]], ...] = ()
    echoed: DataElement | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """The identifier of a C-FIND request, its keys parsed once for many candidates; made by `compile_query`.

    Args:
        keys: what candidates are matched against.
        requested: what responses have.
        temporal: whether dates or times are matched.
        offset: of the identifier from UTC in minutes, `None` where it is not known.
        assumed: offset of candidates that say none.
    """

    keys: Keys
    requested: tuple[Requested, ...]
    temporal: bool
    offset: int | None
    assumed: int | None

    def matches(self, candidate: Dataset) -> bool:
        """Whether a candidate matches all keys (PS3.4 C.2.2.2)."""
        zone = self._zone(candidate) if self.temporal else None
        return self.keys.accepts(candidate if zone is None else zone.seen(candidate, self.keys.tags()))

    def project(self, candidate: Dataset) -> Dataset:
        """The identifier of the response for a candidate: see the function `project`."""
        return projected(candidate, self.requested, self._zone(candidate) if self.temporal else None)

    def _zone(self, candidate: Dataset) -> Zone | None:
        """How the clocks of a candidate have to be looked at, `None` where that is not known."""
        offset = offset_of(candidate, self.assumed)
        return None if offset is None else Zone(offset, self.offset)


def compile_query(identifier: Dataset, options: MatchOptions = NO_OPTIONS) -> Query:
    """Parses the keys of an identifier.

    Args:
        identifier: of a C-FIND request.
        options: what was negotiated, and what the standard leaves open.

    Raises:
        InvalidKey: when a key has a value by which nothing can be matched.
    """
    assumed = offset_minutes(options.timezone or "")
    element = element_of(identifier, TIMEZONE_OFFSET_FROM_UTC)
    said = "" if element is None else str(element.value or "").strip(" \0")
    if said and offset_minutes(said) is None:
        raise InvalidKey(TIMEZONE_OFFSET_FROM_UTC, said, "is no offset from UTC such as +0100")
    keys = compile_keys(identifier, replace(options, timezone=said or options.timezone))
    offset = offset_minutes(said) if said else assumed
    return Query(keys, requested_of(identifier, keys), is_temporal(keys), offset, assumed)


def matches(identifier: Dataset, candidate: Dataset, *, options: MatchOptions = NO_OPTIONS) -> bool:
    """Whether a candidate matches all keys of an identifier (PS3.4 C.2.2.2).

    For many candidates make a `Query` of the identifier first.

    Args:
        identifier: of a C-FIND request. Query/Retrieve Level (0008,0052), Query/Retrieve View (0008,0053), Specific
            Character Set (0008,0005), Timezone Offset From UTC (0008,0201) and group lengths are no keys.
        candidate: the attributes of an entity. One it does not have matches universal keys and `""` only.
        options: what was negotiated, and what the standard leaves open.

    Raises:
        InvalidKey: when a key has a value by which nothing can be matched.
    """
    return compile_query(identifier, options).matches(candidate)


def project(identifier: Dataset, candidate: Dataset, *, options: MatchOptions = NO_OPTIONS) -> Dataset:
    """The identifier of the response for a candidate that matches (PS3.4 C.4.1.1.3.2).

    It has the attributes that the identifier asks for with the values of the candidate, empty where it has none, and
    the candidate's Specific Character Set (0008,0005); Query/Retrieve Level (0008,0052) is that of the identifier.
    Of sequences it has the items that match, in them what is asked for of items (PS3.4 C.2.2.2.6); all of them whole
    where the sequence of the identifier is empty or has an empty item. Nothing is shared with the arguments.

    Args:
        identifier: of a C-FIND request.
        candidate: the attributes of an entity.
        options: those by which the candidate matches.

    Raises:
        InvalidKey: when a key has a value by which nothing can be matched.
    """
    return compile_query(identifier, options).project(candidate)


def is_echoed(tag: BaseTag) -> bool:
    """Whether an attribute is the same in identifier and response; who made up a private block is no property of it."""
    return tag in (QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW) or tag.is_private_creator


def requested_of(identifier: Dataset, keys: Keys) -> tuple[Requested, ...]:
    """What an identifier, or an item of it, asks for."""
    matched = dict(keys.single)
    tags = [tag for tag in identifier.keys() if is_key(tag) or tag in ANSWERED_ANYHOW]
    return tuple(requested_element(key_element(identifier, tag), matched.get(tag)) for tag in tags)


def requested_element(element: DataElement, key: Key | None) -> Requested:
    """What one element of an identifier asks for."""
    if is_echoed(element.tag):
        return Requested(element.tag, element.VR, echoed=element)
    items = items_of(element)
    each_keys = key.keys if isinstance(key, SequenceKey) else [Keys()] * len(items)
    wanted = tuple((keys, requested_of(item, keys)) for item, keys in zip(items, each_keys, strict=True))
    # An item that asks for nothing in particular asks for everything.
    return Requested(element.tag, element.VR, wanted if all(requested for _, requested in wanted) else ())


def projected(candidate: Dataset, requested: tuple[Requested, ...], zone: Zone | None) -> Dataset:
    """What is requested of a candidate, or of an item of it."""
    result = Dataset()
    charset = element_of(candidate, SPECIFIC_CHARACTER_SET)
    if charset is not None and charset.value:
        result.add(copied(charset))
    for each in requested:
        result.add(projected_element(candidate, each, zone))
    return result


def projected_element(candidate: Dataset, requested: Requested, zone: Zone | None) -> DataElement:
    """One attribute of a response."""
    element = requested.echoed if requested.echoed is not None else element_of(candidate, requested.tag)
    if element is None:
        return DataElement(requested.tag, requested.vr, empty_value_for_VR(requested.vr))
    if requested.items and element.VR == "SQ":
        return DataElement(requested.tag, "SQ", list(projected_items(element, requested, zone)))
    return copied(element)


def projected_items(element: DataElement, requested: Requested, zone: Zone | None) -> Iterator[Dataset]:
    """The items of a sequence that match, with what is asked for by the items of the key that they match."""
    for item in items_of(element):
        matching = [
            wanted
            for keys, wanted in requested.items
            if keys.accepts(item if zone is None else zone.seen(item, keys.tags()))
        ]
        if matching:
            together = {each.tag: each for wanted in matching for each in wanted}
            yield projected(item, tuple(together.values()), zone)


def copied(element: DataElement) -> DataElement:
    """An element of its own; only values that can be changed are copied."""
    value = element.value
    value = deepcopy(value) if isinstance(value, CHANGEABLE) else value
    return DataElement(element.tag, element.VR, value, already_converted=True)
