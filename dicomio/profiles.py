"""Profiles of peers: everything that is special about one, under a name, kept in a TOML file.

```toml
[archive]
address = "ARCHIVE@10.0.0.5:11112"
ae_title = "MODALITY1"
window = 8
max_pdu = 131072
timeout = 60
tls = { ca = "archive.pem", certificate = "me.crt", key = "me.key", profile = "extended BCP 195" }
```
"""

import ssl as openssl
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

from dicomio.config import Address, Limits, Timeout, checked_ae_title, checked_window
from dicomio.tls import Profile, checked_context, client_context

__all__ = ["Peer", "load_peers"]

TLS_PATHS: Final = ("ca", "certificate", "key", "crl")
# What the values of a profile are, apart from those that may be several things.
KINDS: Final[Mapping[str, type]] = {
    "address": str,
    "ae_title": str,
    "max_pdu": int,
    "associations": int,
    "strict": bool,
    "local_host": str,
    "role_selection": bool,
    "tls": dict,
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote application entity, and how to deal with it.

    Args:
        address: where it is.
        ae_title: our own AE title with it; `None` for the usual one.
        window: operations to have outstanding on an association with it; some peers are disturbed by being asked.
        max_pdu: the longest P-DATA-TF PDU we ask it for, bytes, 0 for any; `None` for the usual one.
        associations: at once; `None` for the usual number.
        timeout: deadlines.
        strict: refuse deviations that are tolerated otherwise.
        role_selection: whether it is asked for roles (PS3.7 D.3.3.4); where it is not, it is expected to take them.
            Some peers are disturbed by being asked.
        ssl: a TLS context; without it connections are plain.
        local_host: address of ours that connections come from; the choice of the system by default.

    Raises:
        TypeError: one of these is not of the kind that is wanted.
        ValueError: a title is none, or a number is out of bounds.
    """

    address: Address
    ae_title: str | None = None
    window: int | tuple[int, int] | None = None
    max_pdu: int | None = None
    associations: int | None = None
    timeout: Timeout = field(default_factory=Timeout)
    strict: bool = False
    role_selection: bool = True
    ssl: openssl.SSLContext | None = None
    local_host: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.address, Address):
            raise TypeError(f"address is {self.address!r}; dicomio.Address.parse makes an address of a text")
        if self.ae_title is not None:
            checked_ae_title(self.ae_title)
        if self.window is not None:
            checked_window(self.window)
        if not isinstance(self.timeout, Timeout):
            raise TypeError(f"timeout is {self.timeout!r}; a dicomio.Timeout is expected")
        checked_context(self.ssl, "client_context")
        # Has them looked at.
        self.limits()

    @classmethod
    def from_table(cls, table: Mapping[str, Any], directory: Path) -> Self:
        """Reads one table of a TOML file.

        Args:
            table: what is in it.
            directory: where the files are that it names without a directory.

        Raises:
            TypeError: a value is not of the kind that is wanted.
            ValueError: a name is not known, or a value does not suit it.
            OSError: a certificate or key cannot be read.
        """
        values = dict(table)
        refuse_unknown("a peer", values, [*(each.name for each in fields(cls) if each.name != "ssl"), "tls"])
        if "address" not in values:
            raise ValueError("address is missing")
        for name, kind in KINDS.items():
            # True is an integer too.
            if name in values and type(values[name]) is not kind:
                raise ValueError(f"{name} is {values[name]!r}; {kind.__name__} is expected")
        values["address"] = Address.parse(values["address"])
        if "window" in values:
            values["window"] = checked_window(values["window"])
        if "timeout" in values:
            values["timeout"] = timeout_from(values["timeout"])
        if "tls" in values:
            values["ssl"] = context_from(values.pop("tls"), directory)
        return cls(**values)

    def limits(self, given: Limits | None = None) -> Limits:
        """Limits with what is special about this peer, where those given say nothing else than is usual."""
        usual = Limits()
        given = given or usual
        special = {
            name: value
            for name, value in (("max_pdu", self.max_pdu), ("associations", self.associations))
            if value is not None and getattr(given, name) == getattr(usual, name)
        }
        return replace(given, **special)


def refuse_unknown(what: str, table: Mapping[str, object], known: Collection[str]) -> None:
    """Looks whether the keys of a table are known.

    Raises:
        ValueError: some are not; the message has those that are.
    """
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: {what} has no such thing; it has {', '.join(known)}")


def timeout_from(given: Any) -> Timeout:
    """The deadlines that a table describes, or a number for all of them."""
    if not isinstance(given, Mapping):
        return Timeout(given)
    refuse_unknown("timeout", given, [each.name for each in fields(Timeout)])
    return Timeout(**given)


def context_from(table: Mapping[str, Any], directory: Path) -> openssl.SSLContext:
    """The TLS context that a table describes."""
    options = dict(table)
    refuse_unknown("tls", options, list(signature(client_context).parameters))
    paths = {name: paths_from(name, options[name], directory) for name in TLS_PATHS if name in options}
    for name, found in paths.items():
        options[name] = found if isinstance(options[name], list) else found[0]
    if "profile" in options:
        profiles = [profile.value for profile in Profile]
        if options["profile"] not in profiles:
            wanted = ", ".join(map(repr, profiles))
            raise ValueError(f"tls: profile is {options['profile']!r}; one of {wanted} is expected")
        options["profile"] = Profile(options["profile"])
    try:
        return client_context(**options)
    except TypeError as error:
        raise ValueError(f"tls: {error}") from error
    except OSError as error:
        about = [name for name, found in paths.items() if any(str(path) in str(error) for path in found)]
        error.strerror = ": ".join(filter(None, ["tls", ", ".join(about), error.strerror]))
        raise


def paths_from(name: str, value: object, directory: Path) -> list[Path]:
    """The file of a key of the TLS table, or its files."""
    found: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"tls: {name} is {value!r}; a file is expected, or a list of files")
    return [directory / each for each in found]


def load_peers(path: str | PathLike[str]) -> dict[str, Peer]:
    """Reads profiles by name.

    Args:
        path: a TOML file with a table for each peer.

    Raises:
        ValueError: it is not such a file; the message names table and reason.
        OSError: it, or a file it names, cannot be read; the message names table and key then.
    """
    file = Path(path)
    with file.open("rb") as stream:
        tables = tomllib.load(stream)
    peers = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ValueError(f"{file}: {name} is not a table")
        try:
            peers[name] = Peer.from_table(table, file.parent)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file}: [{name}]: {error}") from error
        except OSError as error:
            error.strerror = f"{file}: [{name}]: {error.strerror}"
            raise
    return peers
