"""What a profile of a peer stands for on the command line."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dicomio.cli.errors import UsageError

if TYPE_CHECKING:
    from dicomio import Peer

__all__ = ["profiled"]

PROFILE: Final = "--profile="
FILE: Final = "--peers="
USUAL_FILE: Final = "peers.toml"


def profiled(words: Sequence[str]) -> Mapping[str, object]:
    """What the profile that the words name gives to the arguments that are not given; nothing where none is named.

    Args:
        words: arguments with long spellings, values in the same word.

    Raises:
        UsageError: there is no such profile, or the file cannot be used.
    """
    name = value_of(PROFILE, words)
    if name is None:
        return {}
    # Loaded where there is a profile.
    from dicomio import load_peers

    file = value_of(FILE, words) or USUAL_FILE
    try:
        peers = load_peers(file)
    except OSError as error:
        # What is wrong with a file that the profile names comes with table and key.
        words = [error.strerror or str(error), error.filename or ""]
        raise UsageError(": ".join(filter(None, words if file in words[0] else reversed(words)))) from error
    except ValueError as error:
        raise UsageError(str(error) if file in str(error) else f"{file}: {error}") from error
    if name not in peers:
        raise UsageError(f"{file} has no peer {name!r}; it has {', '.join(peers) or 'none'}")
    return defaults_from(peers[name])


def value_of(option: str, words: Sequence[str]) -> str | None:
    """The value of an option; the last one given counts."""
    found = [word.removeprefix(option) for word in words if word.startswith(option)]
    return found[-1] if found else None


def defaults_from(peer: "Peer") -> dict[str, object]:
    """A profile as arguments."""
    found: dict[str, object] = {
        "peer_profile": peer,
        "host": peer.address.host,
        "port": peer.address.port,
        "call": peer.address.ae_title or "ANY-SCP",
        # What the profile says about these is told apart from what the usual deadlines are.
        "timeout": None,
        "acse_timeout": None,
    }
    special = {"aetitle": peer.ae_title, "max_pdu": peer.max_pdu, "window": peer.window, "jobs": peer.associations}
    return found | {name: value for name, value in special.items() if value is not None}
