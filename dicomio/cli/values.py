"""What the values of options have to look like. Each function raises `ArgumentTypeError` with the reason."""

import math
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Final

from dicomio.config import Address

if TYPE_CHECKING:
    from dicomio.cli.keys import Key

__all__ = [
    "LOG_LEVELS",
    "ae_title",
    "compression_level",
    "count",
    "duration",
    "host",
    "key",
    "log_level",
    "max_pdu",
    "name_part",
    "paddings",
    "port",
    "seconds",
    "server_port",
]

LONGEST_PADDING: Final = 65_536
LOG_LEVELS = ("fatal", "error", "warn", "info", "debug", "trace")


def number(text: str) -> int:
    """A whole number in decimal digits."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def count(text: str) -> int:
    """How many of something: 1 or more."""
    value = number(text)
    if value < 1:
        raise ArgumentTypeError("it must be at least 1")
    return value


def duration(text: str) -> float:
    """Seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not (math.isfinite(value) and value >= 0):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def seconds(text: str) -> float:
    """Seconds, more than 0."""
    value = duration(text)
    if not value:
        raise ArgumentTypeError("it must be more than 0 seconds")
    return value


def server_port(text: str) -> int:
    """A TCP port to listen on, 0 for any that is free."""
    value = number(text)
    if value > 65535:
        raise ArgumentTypeError(f"port {value} is not between 0 and 65535")
    return value


def port(text: str) -> int:
    """The TCP port of a peer."""
    value = server_port(text)
    if not value:
        raise ArgumentTypeError("port 0 is not between 1 and 65535")
    return value


def max_pdu(text: str) -> int:
    """The longest PDU to receive, in bytes (PS3.8 D.1)."""
    value = number(text)
    if value and not 4096 <= value <= 0xFFFFFFFF:
        raise ArgumentTypeError(f"{value} is neither 0 (unlimited) nor at least 4096")
    return value


def ae_title(text: str) -> str:
    """An AE title: 1 to 16 characters, neither backslash nor control characters (PS3.5 6.2)."""
    title = text.strip(" ")
    if not 1 <= len(title) <= 16:
        raise ArgumentTypeError(f"{text!r} is not an AE title: it must have 1 to 16 characters")
    if not (title.isascii() and title.isprintable()) or "\\" in title:
        raise ArgumentTypeError(f"{text!r} is not an AE title: it has a character that is not allowed")
    return title


def host(text: str) -> str:
    """A host name or IP address."""
    try:
        text.strip("[]").encode("idna")
    except UnicodeError:
        raise ArgumentTypeError(f"{text!r} is not a host name") from None
    if not text.strip("[]") or not text.isprintable():
        raise ArgumentTypeError(f"{text!r} is not a host name")
    return text.strip("[]")


def log_level(text: str) -> str:
    """The name of a log level."""
    if text.lower() not in LOG_LEVELS:
        raise ArgumentTypeError(f"{text!r} is not one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def name_part(text: str) -> str:
    """A part of a file name that cannot lead to another directory."""
    if not all(character.isprintable() and character not in "/\\" for character in text):
        raise ArgumentTypeError(f"{text!r} cannot be part of a file name")
    return text


def compression_level(text: str) -> int:
    """How hard zlib tries, 0 to 9."""
    value = number(text)
    if value > 9:
        raise ArgumentTypeError(f"{value} is not between 0 and 9")
    return value


def paddings(text: str) -> tuple[int, int]:
    """Two numbers of bytes, which arrive with a NUL between them: 0 for no padding, else even (PS3.5 7.1.1)."""
    first, second = map(number, two(text))
    for value in (first, second):
        if value % 2 or value > LONGEST_PADDING:
            raise ArgumentTypeError(f"{value} is not an even number from 0 to {LONGEST_PADDING}")
    return first, second


def key(text: str) -> "Key":
    """A key of a query, and its value."""
    # Loaded where there are keys: what an element may be is known to pydicom.
    from dicomio.cli.keys import read_key

    try:
        return read_key(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def two(text: str) -> tuple[str, str]:
    """Two words, which arrive with a NUL between them."""
    first, _, second = text.partition("\0")
    return first, second


def destination(text: str) -> Address:
    """`AET=HOST:PORT`."""
    title, equals, address = text.partition("=")
    if not equals:
        raise ArgumentTypeError(f"{text!r} is not AET=HOST:PORT")
    try:
        return Address.parse(f"{title}@{address}")
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
