"""DCMTK's `wlmscpfs` with many entries in its worklist, one file each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.images import FIRST, MANY, save
from benchmarks.peers import dcmtk_environment
from benchmarks.processes import Server, free_port, start_probed
from benchmarks.programs.rows import worklist_entry

__all__ = ["start_wlmscpfs"]

# Without this file it takes a directory for none of its own.
LOCK: Final = "lockfile"


def start_wlmscpfs(count: int, inbox: Path, log: Path) -> Server:
    """Starts it with so many entries for `MANY`, and one for `FIRST`; it does not look whether they are complete.

    Raises:
        Failure: it does not listen in time.
    """
    write_worklist(inbox / FIRST, range(1))
    write_worklist(inbox / MANY, range(count))
    port = free_port()
    command = ["wlmscpfs", "--single-process", "--disable-file-reject", "--data-files-path", str(inbox), str(port)]
    probe = ["echoscu", "-aec", MANY, "127.0.0.1", str(port)]
    return start_probed(command, port, probe, log, dcmtk_environment(no_delay=True))


def write_worklist(folder: Path, numbers: Iterable[int]) -> None:
    folder.mkdir()
    (folder / LOCK).touch()
    for number in numbers:
        save(worklist_entry(number), folder / f"{number}.wl")
