"""Where received objects go, and which of them belong to one study."""

import asyncio
import logging
import unicodedata
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

from dicomio.cli.facts import Facts
from dicomio.cli.naming import Clock, stamp
from dicomio.datasets import safe_name

__all__ = ["Facts", "Studies", "Study", "ascii_name", "rename"]

logger = logging.getLogger("dicomio.cli.studies")

# Studies under way at once, by peer; the oldest is taken for complete when there are more.
MOST_STUDIES: Final = 1000
LONGEST_NAME: Final = 64
# Six digits are what the names of renamed files have for their numbers.
MOST_RENAMED: Final = 999_999

Peer: TypeAlias = tuple[str, str]


def ascii_name(text: str) -> str:
    """A patient's name as the name of a directory: letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "".join(character if character.isalnum() else "_" for character in plain).strip("_")
    return name[:LONGEST_NAME] or "ANONYMOUS"


@dataclass(eq=False, slots=True)
class Study:
    """Objects of one study from one peer, one after the other.

    Args:
        uid: its UID.
        directory: where they go.
        calling: AE title of the peer.
        called: the AE title it called.
        host: the peer's address.
        files: short name of the SOP class by name of the file, in order of arrival; filled where they are renamed.
        arriving: objects of it that are not in their places yet.
        ended: no more will come.
    """

    uid: str
    directory: Path
    calling: str
    called: str
    host: str
    files: dict[str, str] = field(default_factory=dict)
    arriving: int = 0
    ended: bool = False
    timer: asyncio.TimerHandle | None = field(default=None)


class Studies:
    """Tells studies apart as they come: one is complete when its peer sends another, or has sent nothing for a while.

    Args:
        args: the command line.
        root: where everything goes.
        complete: called with each study that is complete.
    """

    def __init__(self, args: Namespace, root: Path, complete: Callable[[Study], Awaitable[None]]) -> None:
        self.args = args
        self.root = root
        self.complete = complete
        self.current: dict[Peer, Study] = {}
        self.clock = Clock(timedelta(milliseconds=1))
        self.ending: set[asyncio.Task[None]] = set()

    @staticmethod
    def wanted(args: Namespace) -> bool:
        """Whether the command line asks for anything that has to do with studies."""
        return args.sorting is not None or args.exec_on_eostudy is not None

    def study(self, facts: Facts, calling: str, called: str, host: str) -> Study:
        """The study that an object belongs to; `arrived` says when the object is in its place."""
        peer = calling, host
        study = self.current.get(peer)
        if study is None or study.uid != facts.study_uid:
            if study is not None:
                self.end(peer, study)
            elif len(self.current) >= MOST_STUDIES:
                self.end(*next(iter(self.current.items())))
            study = Study(facts.study_uid, self.directory(facts), calling, called, host)
            self.current[peer] = study
        if self.args.eostudy_timeout is not None:
            if study.timer is not None:
                study.timer.cancel()
            loop = asyncio.get_running_loop()
            study.timer = loop.call_later(self.args.eostudy_timeout, self.end, peer, study)
        study.arriving += 1
        return study

    def directory(self, facts: Facts) -> Path:
        """Where the objects of a study go."""
        match self.args.sorting:
            case "time", prefix:
                return self.root / joined(prefix, stamp(self.clock.now()))
            case "uid", prefix:
                return self.root / joined(prefix, safe_name(facts.study_uid))
            case "patient", _:
                return self.root / joined(ascii_name(facts.patient_name), stamp(self.clock.now()))
        return self.root

    def arrived(self, study: Study) -> None:
        """An object is in its place, or will not come to be there."""
        study.arriving -= 1
        self.conclude(study)

    def end(self, peer: Peer, study: Study) -> None:
        """No more of a study will come."""
        if study.timer is not None:
            study.timer.cancel()
        if self.current.get(peer) is study:
            del self.current[peer]
            study.ended = True
            self.conclude(study)

    def conclude(self, study: Study) -> None:
        """A study is complete when nothing of it will come, nor is on its way to its place."""
        if study.ended and not study.arriving:
            task = asyncio.ensure_future(self.complete(study))
            self.ending.add(task)
            task.add_done_callback(self.ending.discard)

    async def close(self) -> None:
        """Nothing more will come: every study is complete."""
        for peer, study in list(self.current.items()):
            self.end(peer, study)
        if self.ending:
            await asyncio.wait(self.ending)


def joined(prefix: str, name: str) -> str:
    """Prefix and name with an underscore between them; an empty prefix is left out."""
    return f"{prefix}_{name}" if prefix else name


def rename(study: Study) -> None:
    """Numbers the files of a study, `CT000001` and so on, passing over numbers that are taken; in a thread."""
    taken = {path.name[2:] for path in study.directory.iterdir()}
    numbers = (f"{number:06}" for number in range(1, MOST_RENAMED + 1))
    free = (number for number in numbers if number not in taken)
    for name, prefix in study.files.items():
        number = next(free, None)
        if number is None:
            logger.warning("%s: there are more files than numbers", study.directory)
            return
        try:
            (study.directory / name).rename(study.directory / f"{prefix[:2]}{number}")
        except OSError as error:
            logger.warning("%s cannot be renamed: %s", study.directory / name, error.strerror or error)
