"""What a match may depend on beyond the identifier, and how a key is refused."""

from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag

from dicomio.errors import InvalidIdentifier
from dicomio.matching.temporal import offset_minutes

__all__ = ["InvalidKey", "MatchOptions"]

# PS3.4 C.4.1.1.4: Identifier does not match SOP class.
DOES_NOT_MATCH = 0xA900


class InvalidKey(InvalidIdentifier, ValueError):
    """A key of an identifier has a value by which nothing can be matched (PS3.4 C.2.2.2).

    A handler that lets it pass answers with 0xA900 and names the key.

    Args:
        tag: of the key.
        value: what the key says.
        reason: why this is no value to match by.
    """

    def __init__(self, tag: BaseTag, value: object, reason: str) -> None:
        self.tag = tag
        super().__init__(
            DOES_NOT_MATCH, f"{keyword_for_tag(tag) or tag}: {shortened(repr(value))} {reason}", offending=[tag]
        )

    def __str__(self) -> str:
        return self.comment


def shortened(text: str, most: int = 64) -> str:
    """A text that fits an error message, whatever a peer sent."""
    return text if len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How keys are compared where the standard leaves a choice, or lets peers negotiate one (PS3.4 C.5.1.1).

    Args:
        ignore_case_in_names: whether person names match in upper and lower case alike (PS3.4 C.2.2.2.1);
            everything else is case-sensitive.
        fuzzy_names: negotiated fuzzy semantic matching of person names: see `FuzzyName`.
        combined_datetime: negotiated date-time matching: ranges of a date and of the time beside it are one range
            (PS3.4 C.2.2.2.5.4).
        timezone: offset from UTC as `+0100`, assumed for an identifier or a candidate without Timezone Offset From
            UTC (0008,0201). Where the offsets of both are known, dates and times of the candidate are compared in
            the timezone of the identifier; otherwise as they are written.

    Raises:
        ValueError: when `timezone` is no offset.
    """

    ignore_case_in_names: bool = True
    fuzzy_names: bool = False
    combined_datetime: bool = False
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and offset_minutes(self.timezone) is None:
            raise ValueError(f"{self.timezone!r} is no offset from UTC such as +0100")
