"""What is negotiated, from a file: association configuration profiles in TOML.

```toml
[transfer_syntaxes]
plain = ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian"]
images = ["JPEG2000Lossless", "plain"]

[sop_classes]
radiology = ["CTImageStorage", "MRImageStorage"]

[[profiles.default.contexts]]
sop_classes = ["radiology", "1.2.826.0.1.3680043.9.1.2"]
transfer_syntaxes = ["images"]
```
"""

import tomllib
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from dicomio import Application, PresentationContext, StorageExtension, sop
from dicomio.cli.errors import UsageError
from dicomio.config import checked_uid
from dicomio.sop import syntaxes

__all__ = ["Context", "Profile", "configured", "load_profile"]

USUAL_PROFILE: Final = "default"
# Groups of SOP classes that need no list.
STORAGE: Final = "storage"
ANY: Final = "*"
# Presentation-context-IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS: Final = 128
MOST_NESTING: Final = 16

TRANSFER_SYNTAXES: Final = {name: uid for uid, name in sop.NAMES.items() if vars(syntaxes).get(name) == uid}
SOP_CLASSES: Final = {name: uid for uid, name in sop.NAMES.items() if name not in TRANSFER_SYNTAXES}
ROLES: Final = {"scu": (True, False), "scp": (False, True), "both": (True, True)}

TABLES: Final = ("profiles", "sop_classes", "transfer_syntaxes")
EXTENSION_KEYS: Final = {"level": 3, "signatures": 3, "coercion": 2}


@dataclass(frozen=True, slots=True)
class Context:
    """SOP classes that are negotiated alike.

    Args:
        sop_classes: UIDs; `"storage"` for every standard storage SOP class, `"*"` for whatever is stored.
        transfer_syntaxes: UIDs, best first; `None` for whatever the requestor prefers.
        scu: the requestor is SCU.
        scp: the requestor is SCP.
    """

    sop_classes: tuple[str, ...]
    transfer_syntaxes: tuple[str, ...] | None
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile of a file.

    Args:
        place: file and table, for messages.
        contexts: presentation contexts.
        extended: SOP class extended negotiation by SOP class UID (PS3.7 D.3.3.5).
    """

    place: str
    contexts: tuple[Context, ...]
    extended: Mapping[str, bytes] = field(default_factory=dict)

    def accepted(self) -> dict[str, tuple[str, ...] | None]:
        """Transfer syntaxes by SOP class, for an acceptor; those of contexts for the same one are put together.

        Raises:
            UsageError: a context leaves nothing that a receiver could do.
        """
        found: dict[str, tuple[str, ...] | None] = {}
        for number, context in enumerate(self.contexts, 1):
            if not context.scu:
                raise UsageError(f"{self.place}, contexts {number}: role: a receiver needs a requestor that is SCU")
            for uid in context.sop_classes:
                known = found.get(uid, ())
                if known is None or context.transfer_syntaxes is None:
                    found[uid] = None
                else:
                    found[uid] = tuple(dict.fromkeys((*known, *context.transfer_syntaxes)))
        return found

    def serve(self, app: Application, handler: Any) -> None:
        """Registers a handler for what an acceptor takes. Verification is answered without one.

        Raises:
            UsageError: a context leaves nothing that a receiver could do.
        """
        for uid, transfer_syntaxes in self.accepted().items():
            if uid != sop.Verification:
                app.store(*(() if uid == STORAGE else (uid,)), transfer_syntaxes=transfer_syntaxes)(handler)
        for uid, information in self.extended.items():
            app.extend(uid, answering(information))

    def proposed(self) -> tuple[PresentationContext, ...]:
        """What a requestor proposes: a presentation context for each SOP class of each context.

        Raises:
            UsageError: a context cannot be proposed, or there are too many.
        """
        found: list[PresentationContext] = []
        for number, context in enumerate(self.contexts, 1):
            place = f"{self.place}, contexts {number}"
            for uid in context.sop_classes:
                if uid in (STORAGE, ANY):
                    raise UsageError(f"{place}: sop_classes: {uid!r} is for receivers; a sender has to name each")
                if context.transfer_syntaxes is None:
                    raise UsageError(f"{place}: transfer_syntaxes: a sender has to name them")
                found.append(PresentationContext(uid, context.transfer_syntaxes, context.scu, context.scp))
        if len(found) > MOST_CONTEXTS:
            raise UsageError(f"{self.place}: {len(found)} presentation contexts; an association has {MOST_CONTEXTS}")
        return tuple(found)


def answering(information: bytes) -> Any:
    """Answers every proposal with the same."""
    return lambda proposed: information


def configured(args: Namespace) -> Profile | None:
    """The profile that the command line names; `None` where it names none.

    Raises:
        UsageError: it cannot be used.
    """
    if args.config_file is not None:
        return load_profile(*args.config_file)
    if args.config is not None:
        return load_profile(args.config, args.config_profile or USUAL_PROFILE)
    if args.config_profile is not None:
        raise UsageError("option --config-profile needs --config")
    return None


def load_profile(file: str, name: str) -> Profile:
    """Reads one profile of a file; the whole file is checked.

    Args:
        file: a TOML file.
        name: of the profile.

    Raises:
        UsageError: the file cannot be read, it is wrong, or has no such profile; the text names file, table and key.
    """
    try:
        tables = tomllib.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:  # neither TOML nor UTF-8
        raise UsageError(f"{file}: {error}") from error
    profiles = Reader(file, tables).profiles()
    if name not in profiles:
        raise UsageError(f"{file} has no profile {name!r}; it has {', '.join(profiles) or 'none'}")
    return profiles[name]


class Reader:
    """Makes profiles of what is in a file.

    Args:
        file: its name, for messages.
        tables: its contents.

    Raises:
        UsageError: something in it is wrong.
    """

    def __init__(self, file: str, tables: Mapping[str, Any]) -> None:
        self.file = file
        self.tables = tables
        self.allow("the file", tables, TABLES)
        self.syntax_lists = self.lists("transfer_syntaxes", TRANSFER_SYNTAXES)
        self.class_lists = self.lists("sop_classes", SOP_CLASSES)

    def wrong(self, place: str, reason: str) -> NoReturn:
        """Says what is wrong, and where."""
        raise UsageError(f"{self.file}: {place}: {reason}")

    def allow(self, place: str, table: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Has a table contain nothing but what is known."""
        for key in table:
            if key not in keys:
                self.wrong(place, f"{key}: there is no such key; there are {', '.join(keys)}")

    def table(self, place: str, value: object) -> Mapping[str, Any]:
        """A value that is to be a table."""
        if not isinstance(value, dict):
            self.wrong(place, "it must be a table")
        return value

    def texts(self, place: str, value: object) -> list[str]:
        """A value that is to be a list of texts."""
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            self.wrong(place, "it must be a list of one text or more")
        return value

    def lists(self, key: str, keywords: Mapping[str, str]) -> dict[str, list[str]]:
        """The lists that have names."""
        found = {}
        for name, value in self.table(f"[{key}]", self.tables.get(key, {})).items():
            if name in keywords or name in (STORAGE, ANY):
                self.wrong(f"[{key}]", f"{name}: a list cannot have this name, which means something already")
            found[name] = self.texts(f"[{key}] {name}", value)
        for name in found:
            self.resolve(f"[{key}] {name}", found[name], found, keywords)
        return found

    def resolve(
        self,
        place: str,
        names: Sequence[str],
        lists: Mapping[str, list[str]],
        keywords: Mapping[str, str],
        depth: int = 0,
    ) -> tuple[str, ...]:
        """UIDs of keywords, UIDs and names of lists, in order, each once."""
        if depth > MOST_NESTING:
            self.wrong(place, "the lists contain one another")
        found: dict[str, None] = {}
        for name in names:
            if name in keywords:
                found[keywords[name]] = None
            elif name in lists:
                found |= dict.fromkeys(self.resolve(place, lists[name], lists, keywords, depth + 1))
            elif name in (STORAGE, ANY) and keywords is SOP_CLASSES:
                found[name] = None
            else:
                found[self.uid(place, name)] = None
        return tuple(found)

    def uid(self, place: str, text: str) -> str:
        """A text that is to be a UID."""
        try:
            return checked_uid(text)
        except ValueError:
            self.wrong(place, f"{text!r} is neither a keyword, the name of a list, nor a UID")

    def profiles(self) -> dict[str, Profile]:
        """Every profile by its name."""
        tables = self.table("[profiles]", self.tables.get("profiles", {}))
        return {name: self.profile(f"[profiles.{name}]", table) for name, table in tables.items()}

    def profile(self, place: str, value: object) -> Profile:
        """One profile."""
        table = self.table(place, value)
        self.allow(place, table, ("contexts", "extended"))
        contexts = [self.context(*each) for each in self.rows(place, table, "contexts")]
        if not contexts:
            self.wrong(place, "contexts: there must be one or more")
        extended: dict[str, bytes] = {}
        for where, row in self.rows(place, table, "extended"):
            extended |= self.extension(where, row)
        return Profile(f"{self.file}: {place}", tuple(contexts), extended)

    def rows(self, place: str, table: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The tables in an array of them, each with its place."""
        value = table.get(key, [])
        if not isinstance(value, list):
            self.wrong(place, f"{key}: it must be an array of tables")
        places = [f"{place} {key} {number}" for number in range(1, len(value) + 1)]
        return [(where, self.table(where, row)) for where, row in zip(places, value, strict=True)]

    def classes(self, place: str, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The SOP classes that a row is about."""
        return self.resolve(
            f"{place}: sop_classes",
            self.texts(f"{place}: sop_classes", row.get("sop_classes")),
            self.class_lists,
            SOP_CLASSES,
        )

    def context(self, place: str, row: Mapping[str, Any]) -> Context:
        """One row of contexts."""
        self.allow(place, row, ("sop_classes", "transfer_syntaxes", "role"))
        role = row.get("role", "scu")
        if not isinstance(role, str) or role.lower() not in ROLES:
            self.wrong(place, f"role: {role!r} is none of {', '.join(ROLES)}")
        where = f"{place}: transfer_syntaxes"
        wanted = row.get("transfer_syntaxes")
        found = None
        if wanted is not None:
            found = self.resolve(where, self.texts(where, wanted), self.syntax_lists, TRANSFER_SYNTAXES)
        return Context(self.classes(place, row), found, *ROLES[role.lower()])

    def extension(self, place: str, row: Mapping[str, Any]) -> dict[str, bytes]:
        """One row of SOP class extended negotiation."""
        self.allow(place, row, ("sop_classes", "information", *EXTENSION_KEYS))
        classes = self.classes(place, row)
        if STORAGE in classes:
            classes = tuple(dict.fromkeys((*sop.STORAGE, *classes)))
        if ANY in classes:
            self.wrong(place, "sop_classes: '*' cannot be negotiated about")
        levels = {key: row[key] for key in EXTENSION_KEYS if key in row}
        for key, value in levels.items():
            if type(value) is not int or not 0 <= value <= EXTENSION_KEYS[key]:
                self.wrong(place, f"{key}: {value!r} is not a number from 0 to {EXTENSION_KEYS[key]}")
        if "information" not in row:
            information = StorageExtension(**levels).encode()
        elif levels:
            self.wrong(place, f"information: it stands for all bytes, {', '.join(levels)} included")
        else:
            information = self.octets(f"{place}: information", row["information"])
        return {uid: information for uid in classes if uid != STORAGE}

    def octets(self, place: str, value: object) -> bytes:
        """A text of hexadecimal digits."""
        try:
            return bytes.fromhex(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            self.wrong(place, f"{value!r} is not a text of hexadecimal digits")
