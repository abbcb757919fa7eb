"""Names for the files of received objects, each in the way of an option of the classic toolkit.

Nothing that a peer says becomes part of a name unless it is a UID with nothing but digits and dots in it.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import uuid4

from dicomio.cli.modalities import prefix_of
from dicomio.datasets import safe_name

__all__ = ["NAMINGS", "Clock", "Naming", "stamp"]

# Of SOP Class UID and SOP Instance UID, without an extension.
Naming: TypeAlias = Callable[[str, str], str]


class Clock:
    """Local time that is never the same twice.

    Args:
        resolution: how far two times are apart, at least.
    """

    def __init__(self, resolution: timedelta) -> None:
        self.resolution = resolution
        self.last: datetime | None = None

    def now(self) -> datetime:
        """The time, or the least that has not been."""
        now = datetime.now()
        self.last = now if self.last is None else max(now, self.last + self.resolution)
        return self.last


def stamp(time: datetime) -> str:
    """A time to the millisecond, as directories have it."""
    return f"{time:%Y%m%d_%H%M%S}{time.microsecond // 1000:03}"


def by_instance() -> Naming:
    """`CT.1.2.3`: the SOP Instance UID."""
    return lambda sop_class, sop_instance: f"{prefix_of(sop_class)}.{safe_name(sop_instance)}"


def by_new_uid() -> Naming:
    """`CT.X.2.25.…`: a UID that nothing else has (PS3.5 B.2)."""
    return lambda sop_class, sop_instance: f"{prefix_of(sop_class)}.X.2.25.{uuid4().int}"


def by_chance() -> Naming:
    """`CT_0123456789abcdef`."""
    return lambda sop_class, sop_instance: f"{prefix_of(sop_class)}_{secrets.token_hex(8)}"


def by_millisecond() -> Naming:
    """`20260102030405678.CT`, the time; `20260102030405678_0000.CT` for the second object within a millisecond."""
    latest, count = "", 0

    def name(sop_class: str, sop_instance: str) -> str:
        nonlocal latest, count
        now = datetime.now()
        text = f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03}"
        # A clock that is set back does not give a name twice.
        count = 0 if text > latest else count + 1
        latest = max(text, latest)
        return f"{latest}{f'_{count - 1:04}' if count else ''}.{prefix_of(sop_class)}"

    return name


def by_microsecond() -> Naming:
    """`20260102030405.678901.CT`: the time."""
    clock = Clock(timedelta(microseconds=1))
    return lambda sop_class, sop_instance: f"{clock.now():%Y%m%d%H%M%S.%f}.{prefix_of(sop_class)}"


# What the options about names stand for; each call is one run of a tool.
NAMINGS: Final[Mapping[str, Callable[[], Naming]]] = {
    "instance": by_instance,
    "new-uid": by_new_uid,
    "chance": by_chance,
    "millisecond": by_millisecond,
    "microsecond": by_microsecond,
}
