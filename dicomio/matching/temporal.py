"""Dates, times and datetimes as texts of one length, so that comparing texts compares moments (PS3.5 6.2).

A date is `YYYYMMDD`, a time `HHMMSS.FFFFFF`, a datetime both together. A value of less precision, `10` or `2024`,
is the span from its first moment to its last.
"""

import re
from calendar import monthrange
from datetime import datetime, timedelta

__all__ = [
    "Span",
    "date_span",
    "datetime_span",
    "first_date",
    "first_datetime",
    "first_time",
    "moved",
    "offset_minutes",
    "split_range",
    "time_span",
]

Span = tuple[str, str]

# ACR-NEMA wrote 2024.01.31 and 10:30:00 (PS3.5 6.2, notes on DA and TM).
DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)")
TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?")

# PS3.5 6.2: "The offset from UTC is in the range -1200 to +1400".
OFFSET = r"(?:-(?:0\d|1[01])[0-5]\d|-1200|\+(?:0\d|1[0-3])[0-5]\d|\+1400)"
CLOCK = r"\d{4}(?:\d\d(?:\d\d(?:\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?)?)?)?"
DATETIME = re.compile(rf"({CLOCK})({OFFSET})?")

# A hyphen with four digits behind it that can be an offset is one, and separates nothing.
DATETIME_RANGE = re.compile(rf"({CLOCK}{OFFSET}?)? ?- ?({CLOCK}{OFFSET}?)?")

FIRST_TIME, LAST_TIME = "000000.000000", "235959.999999"


def offset_minutes(text: str) -> int | None:
    """Minutes east of UTC that `+0100` means, `None` when it is no offset."""
    if not text.isascii() or re.fullmatch(OFFSET, text) is None:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return -minutes if text[0] == "-" else minutes


def first_date(text: str) -> str | None:
    """A date in its one form, `None` when it is none; whether there is such a day in the calendar is not looked at."""
    if len(text) == 8 and text.isdigit() and text.isascii():
        return text
    found = DATE.fullmatch(text)
    return f"{found[1]}{found[3]}{found[4]}" if found and text.isascii() else None


def date_span(text: str) -> Span | None:
    """The first and the last moment of a date, which are the same; `None` when the calendar has no such day."""
    day = first_date(text)
    return None if day is None or last_day(day[:6]) < day[6:] or day[6:] == "00" else (day, day)


def last_day(month: str) -> str:
    """The last day of a month `YYYYMM`; before all days when there is no such month."""
    year, number = int(month[:4]), int(month[4:])
    return str(monthrange(year, number)[1]) if year and 1 <= number <= 12 else ""


def first_time(text: str) -> str | None:
    """The first moment of a time, `None` when it is none."""
    span = time_span(text)
    return None if span is None else span[0]


def time_span(text: str) -> Span | None:
    """The first and the last moment of a time of whatever precision, `None` when it is none."""
    found = TIME.fullmatch(text)
    if found is None or not text.isascii():
        return None
    hour, minute, second, fraction = found.groups()
    # A leap second is taken for the second before: calendars that count the offset from UTC know none.
    known = hour + (minute or "") + ("59" if second == "60" else second or "") + (f".{fraction}" if fraction else "")
    return known + FIRST_TIME[len(known) :], known + LAST_TIME[len(known) :]


def first_datetime(text: str) -> tuple[str, int | None] | None:
    """The first moment of a datetime, and its own offset from UTC in minutes; `None` when it is none."""
    found = datetime_span(text)
    return None if found is None else (found[0], found[2])


def datetime_span(text: str) -> tuple[str, str, int | None] | None:
    """The first and the last moment of a datetime, and its own offset from UTC in minutes; `None` when it is none."""
    found = DATETIME.fullmatch(text)
    if found is None or not text.isascii():
        return None
    clock = found[1]
    month = clock[4:6]
    first = clock[:4] + (month or "01") + (clock[6:8] or "01")
    last = clock[:4] + (month or "12")
    last += clock[6:8] or last_day(last)
    times = time_span(clock[8:]) if len(clock) > 8 else (FIRST_TIME, LAST_TIME)
    if times is None or date_span(first) is None:
        return None
    return first + times[0], last + times[1], None if found[2] is None else offset_minutes(found[2])


def split_range(text: str, vr: str) -> tuple[str, str] | None:
    """The two sides of a range, either of them may be empty; `None` when the text is no range (PS3.4 C.2.2.2.5)."""
    if vr == "DT":
        found = None if DATETIME.fullmatch(text) else DATETIME_RANGE.fullmatch(text)
        return None if found is None else (found[1] or "", found[2] or "")
    low, hyphen, high = text.partition("-")
    return (low.strip(), high.strip()) if hyphen else None


def moved(moment: str, minutes: int) -> str:
    """A datetime `YYYYMMDDHHMMSS.FFFFFF` as clocks show it that many minutes further east."""
    if minutes == 0:
        return moment
    month, day, hour, minute, second = (int(moment[at : at + 2]) for at in range(4, 14, 2))
    try:
        here = datetime(int(moment[:4]), month, day, hour, minute, second, int(moment[15:]))
        there = here + timedelta(minutes=minutes)
    except (ValueError, OverflowError):  # the first or the last day that can be counted, or none
        return moment
    return f"{there.year:04}{there:%m%d%H%M%S.%f}"
