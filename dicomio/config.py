"""Value objects that configure an association: addresses, deadlines, limits, roles, presentation contexts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Flag
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

__all__ = ["Address", "Limits", "PresentationContext", "Role", "Timeout"]

DEFAULT_PORT = 104
# An AE title may hold an @ of its own, a host never does.
ADDRESS = re.compile(r"(?:(?P<ae>.*)@)?(?P<host>\[[^\]@]+\]|[^:\[\]@]+)(?::(?P<port>[0-9]{1,9}))?")
# PS3.5 6.2, AE: the default repertoire without backslash and control characters, 16 of them at most.
# PS3.5 9.1, with leading zeros tolerated since they occur
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")

# The limits that have to let at least one of something through.
COUNTS = (
    "associations",
    "associations_per_peer",
    "half_open",
    "associate_pdu",
    "items",
    "contexts",
    "command_set",
    "data_set",
    "nesting",
    "inflate_ratio",
)

# Each number of the asynchronous operations window has two bytes (PS3.7 D.3.3.3).
WIDEST_WINDOW = 0xFFFF

# Stands for a deadline that is not given, as no deadline is that.
NOT_GIVEN = float("-inf")

# PS3.5 10.1: Implicit VR Little Endian is what everyone must accept; Explicit VR Little Endian loses nothing.
DEFAULT_TRANSFER_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


class Role(Flag):
    """The role an application entity plays for a SOP class (PS3.7 D.3.3.4)."""

    SCU = 1
    SCP = 2
    BOTH = 3


def checked_ae_title(text: str) -> str:
    """The text, if it is an AE title.

    Raises:
        ValueError: it is none.
    """
    if AE_TITLE.fullmatch(text) is None or not text.strip():
        raise ValueError(f"{text!r} is not an AE title: 1 to 16 ASCII characters without backslash")
    return text


def checked_uid(text: str, hint: str = "the names of SOP classes are constants of dicomio.sop") -> str:
    """The text, if it is a UID.

    Args:
        text: what may be one.
        hint: where to find what may have been meant.

    Raises:
        TypeError: it is no text: a decorator was used without its parentheses, most likely.
        ValueError: it is no UID, but a name perhaps.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is given where a UID is expected; are the parentheses of a decorator missing?")
    if UID.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a UID; {hint}")
    return text


def checked_window(window: Any) -> int | tuple[int, int]:
    """The asynchronous operations window, if it can be negotiated (PS3.7 D.3.3.3).

    Args:
        window: operations that may be outstanding, 0 for any number; or two of these, one for each direction.

    Raises:
        TypeError: it is not made of integers.
        ValueError: it cannot.
    """
    numbers = window if isinstance(window, list | tuple) else [window]
    words = f"window is {window!r}; it must be a number from 0 to {WIDEST_WINDOW}, or two of them"
    # True is an integer too.
    if not all(type(each) is int for each in numbers):
        raise TypeError(words)
    if len(numbers) not in (1, 2) or not all(0 <= each <= WIDEST_WINDOW for each in numbers):
        raise ValueError(words)
    return window if isinstance(window, int) else (numbers[0], numbers[-1])


def is_number(value: object) -> bool:
    """Whether a value is a number or missing; True is an integer too, but not meant as one."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """A host as an IP address, that of IPv4 where it is written as one of IPv6; `None` where it is none.

    Sockets for both kinds of address, as systemd opens them, write `::ffff:10.0.0.8` (RFC 4291 2.5.5.2).
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class Address:
    """Where an application entity listens: `AET@host:port`.

    Args:
        ae_title: its AE title, 1 to 16 characters.
        host: a name or an IP address, IPv6 without brackets.
        port: TCP port, 104 when not given.
    """

    ae_title: str
    host: str
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: "str | Address", *, ae_title: str = "ANY-SCP") -> "Address":
        """Reads `AET@host:port`, `host:port`, `AET@[::1]:104`.

        Args:
            text: the address; an `Address` is returned as it is.
            ae_title: used when the text names none.

        Raises:
            ValueError: when the text is not such an address.
        """
        if isinstance(text, Address):
            return text
        match = ADDRESS.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not an address of the form AET@host:port")
        port = int(match["port"] or DEFAULT_PORT)
        if not 0 < port < 65536:
            raise ValueError(f"{text!r}: port {port} is not between 1 and 65535")
        ae_title = (match["ae"] or "").strip() or ae_title
        return cls(checked_ae_title(ae_title), match["host"].strip("[]"), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        # It may come from the network and is on its way to a log or a terminal.
        ae_title = self.ae_title if self.ae_title.isprintable() else ascii(self.ae_title)[1:-1]
        return f"{ae_title}@{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """A proposal: one SOP class in the transfer syntaxes and roles it may be used with (PS3.8 7.1.1.13).

    Args:
        abstract_syntax: SOP class UID.
        transfer_syntaxes: transfer syntax UIDs, preferred first.
        scu: propose that we act as SCU; with `scp` left `False` no role selection is sent.
        scp: propose that we act as SCP.

    Raises:
        ValueError: without a transfer syntax, or with a text in place of a sequence of them.
    """

    abstract_syntax: str
    transfer_syntaxes: Sequence[str] = DEFAULT_TRANSFER_SYNTAXES
    scu: bool = True
    scp: bool = False

    def __post_init__(self) -> None:
        # A text is a sequence of texts too: of single characters.
        if isinstance(self.transfer_syntaxes, str) or not self.transfer_syntaxes:
            raise ValueError(f"transfer_syntaxes is {self.transfer_syntaxes!r}; it must be a sequence of UIDs")

    @property
    def role(self) -> Role:
        """The roles proposed for ourselves."""
        return (Role.SCU if self.scu else Role(0)) | (Role.SCP if self.scp else Role(0))


@dataclass(frozen=True, slots=True, init=False)
class Timeout:
    """Deadlines in seconds; `None` waits for ever.

    `default` stands for every deadline that is not given, except `response`, `idle` and `pool`: an operation may
    rightly take hours, so may waiting for others to finish theirs, and an idle association is closed after ten minutes.

    Args:
        default: for what is not given, seconds.
        connect: TCP connection and TLS handshake.
        artim: Association Request/Reject/Release Timer (PS3.8 9.1.5): a silent or slow peer outside an association.
        negotiate: from A-ASSOCIATE-RQ to its answer.
        response: from a request to its next response or other sign of progress.
        write: the peer does not read what we send.
        release: from A-RELEASE-RQ to A-RELEASE-RP.
        cancel: from C-CANCEL-RQ to the final response.
        idle: an established association on which nothing happens.
        shutdown: what handlers get to finish when a server closes.
        pool: waiting for a free association of a client.

    Raises:
        TypeError: when a deadline is not a number.
        ValueError: when a deadline is negative.
    """

    default: float | None
    connect: float | None
    artim: float | None
    negotiate: float | None
    response: float | None
    write: float | None
    release: float | None
    cancel: float | None
    idle: float | None
    shutdown: float | None
    pool: float | None

    def __init__(
        self,
        default: float | None = 30.0,
        *,
        connect: float | None = NOT_GIVEN,
        artim: float | None = NOT_GIVEN,
        negotiate: float | None = NOT_GIVEN,
        response: float | None = None,
        write: float | None = NOT_GIVEN,
        release: float | None = NOT_GIVEN,
        cancel: float | None = NOT_GIVEN,
        idle: float | None = 600.0,
        shutdown: float | None = NOT_GIVEN,
        pool: float | None = None,
    ) -> None:
        given = {
            "connect": connect,
            "artim": artim,
            "negotiate": negotiate,
            "write": write,
            "release": release,
            "cancel": cancel,
            "shutdown": shutdown,
        }
        seconds = {"default": default, "response": response, "idle": idle, "pool": pool}
        seconds |= {name: default if value == NOT_GIVEN else value for name, value in given.items()}
        for name, value in seconds.items():
            if not is_number(value):
                raise TypeError(f"Timeout.{name} is {value!r}; it must be a number of seconds, or None")
            # Written so that NaN is refused too.
            if value is not None and not value >= 0:
                raise ValueError(f"Timeout.{name} is {value}; it must be a number of seconds, or None")
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, value: "Timeout | float | None") -> "Timeout":
        """Accepts what `timeout=` parameters accept: a `Timeout`, or a number for every default."""
        return value if isinstance(value, Timeout) else cls(value)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may ask of this process. All sizes in bytes.

    Args:
        associations: at once; `None` is 1 for a client and 1,000 for a server.
        associations_per_peer: at once from one network address, serving only.
        half_open: connections that have not yet sent their A-ASSOCIATE-RQ, serving only.
        keepalive: seconds for which a client keeps an unused association; `None` for as long as the peer allows.
        max_pdu: the longest P-DATA-TF PDU we ask for, 0 for any (PS3.8 D.1).
        associate_pdu: the longest PDU of any other type.
        items: items and sub-items of one PDU.
        contexts: presentation contexts of one association.
        command_set: one command set.
        data_set: one data set held in memory; data sets written to disk are not bounded.
        nesting: depth of sequences in a data set that is decoded.
        inflate_ratio: how many times larger than it arrived a deflated data set may get.

    Raises:
        TypeError: when a limit is not a number.
        ValueError: when a limit would let nothing through, or the protocol cannot express it.
    """

    associations: int | None = None
    associations_per_peer: int | None = None
    half_open: int = 1_000
    keepalive: float | None = 5.0
    max_pdu: int = 262_144
    associate_pdu: int = 458_752
    items: int = 8_192
    contexts: int = 128
    command_set: int = 65_536
    data_set: int = 268_435_456
    nesting: int = 64
    inflate_ratio: int = 200

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not is_number(getattr(self, name)):
                raise TypeError(f"Limits.{name} is {getattr(self, name)!r}; it must be a number")
        if self.max_pdu != 0 and self.max_pdu < 4096:
            raise ValueError(f"Limits.max_pdu is {self.max_pdu}; it must be 0 (any length) or at least 4096")
        if self.max_pdu > 0xFFFFFFFF:
            raise ValueError(f"Limits.max_pdu is {self.max_pdu}; its field has 32 bits")
        if self.contexts > 128:
            raise ValueError(f"Limits.contexts is {self.contexts}; an association has room for 128 (PS3.8 9.3.2.2)")
        if self.keepalive is not None and self.keepalive < 0:
            raise ValueError(f"Limits.keepalive is {self.keepalive}; it must be a number of seconds, or None")
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Limits.{name} is {value}; at least 1 is needed")
