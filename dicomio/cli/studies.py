"""Where received objects go, and which of them belong to one study."""

import asyncio
import unicodedata
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from dicomio import Instance
from dicomio.datasets import safe_name
from dicomio.sop import DeflatedExplicitVRLittleEndian

__all__ = ["Facts", "Studies", "Study", "ascii_name", "facts_of"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
PATIENT_NAME: Final = 0x00100010
STUDY_INSTANCE_UID: Final = 0x0020000D

# Studies under way at once, by peer; the oldest is taken for complete when there are more.
MOST_STUDIES: Final = 1000
LONGEST_NAME: Final = 64

Peer: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What an object says about where it belongs.

    Args:
        study_uid: Study Instance UID (0020,000D); empty where it has none.
        patient_name: Patient's Name (0010,0010); empty where it has none.
    """

    study_uid: str
    patient_name: str


def facts_of(path: Path) -> Facts:
    """Reads the beginning of a DICOM file.

    Raises:
        InvalidInstance: it cannot be decoded.
        OSError: it cannot be read.
    """
    instance = Instance.open(path)
    if instance.transfer_syntax == DeflatedExplicitVRLittleEndian:
        ds = instance.dataset()
    else:
        tags = [Tag(tag) for tag in (SPECIFIC_CHARACTER_SET, PATIENT_NAME, STUDY_INSTANCE_UID)]
        with path.open("rb") as file:
            ds = read_partial(file, lambda tag, vr, length: tag > STUDY_INSTANCE_UID, specific_tags=list(tags))
    return Facts(uid_in(ds), name_in(ds))


def uid_in(ds: Dataset) -> str:
    """Study Instance UID as it stands there: pydicom has opinions on those that are none."""
    value = ds.get_item(STUDY_INSTANCE_UID).value if STUDY_INSTANCE_UID in ds else b""
    return value.decode("ascii", "replace").strip("\0 ") if isinstance(value, bytes) else str(value or "")


def name_in(ds: Dataset) -> str:
    """Patient's Name, where it can be decoded."""
    try:
        return str(ds.get("PatientName") or "")
    except Exception:  # whatever pydicom makes of hostile bytes
        return ""


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
    """

    uid: str
    directory: Path
    calling: str
    called: str
    host: str
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
        self.stamped = datetime.min
        self.ending: set[asyncio.Task[None]] = set()

    @staticmethod
    def wanted(args: Namespace) -> bool:
        """Whether the command line asks for anything that has to do with studies."""
        given = args.sort_conc_studies, args.sort_on_study_uid, args.exec_on_eostudy
        return args.sort_on_patientname or any(value is not None for value in given)

    def study(self, facts: Facts, calling: str, called: str, host: str) -> Study:
        """The study that an object belongs to."""
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
        return study

    def directory(self, facts: Facts) -> Path:
        """Where the objects of a study go."""
        if self.args.sort_conc_studies is not None:
            return self.root / joined(self.args.sort_conc_studies, self.stamp())
        if self.args.sort_on_study_uid is not None:
            return self.root / joined(self.args.sort_on_study_uid, safe_name(facts.study_uid))
        if self.args.sort_on_patientname:
            return self.root / joined(ascii_name(facts.patient_name), self.stamp())
        return self.root

    def stamp(self) -> str:
        """The time to the millisecond, never the same twice."""
        now = datetime.now()
        self.stamped = max(now, self.stamped + timedelta(milliseconds=1)) if self.stamped > datetime.min else now
        return f"{self.stamped:%Y%m%d_%H%M%S}{self.stamped.microsecond // 1000:03}"

    def end(self, peer: Peer, study: Study) -> None:
        """A study is complete."""
        if study.timer is not None:
            study.timer.cancel()
        if self.current.get(peer) is study:
            del self.current[peer]
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
