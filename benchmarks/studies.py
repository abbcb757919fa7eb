"""Orthanc with many studies of one small image each, as a server of queries."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.images import save
from benchmarks.others import OrthancReceiver
from benchmarks.peers import dcmtk_environment
from benchmarks.processes import Server, timed
from benchmarks.programs.rows import stored_study

__all__ = ["OrthancFinder"]

MAX_PDU: Final = 16_384


@dataclass(frozen=True, slots=True)
class OrthancFinder(OrthancReceiver):
    """Orthanc that answers queries from its database alone, which is its fastest way.

    Args:
        studies: how many it has.
    """

    max_pdu: int = MAX_PDU
    studies: int = 0

    def start(self, inbox: Path, log: Path) -> Server:
        """Starts it and sends it the studies.

        Raises:
            Failure: it does not listen in time, or does not take them.
        """
        folder = inbox / "studies"
        folder.mkdir()
        for number in range(self.studies):
            save(stored_study(number), folder / f"{number}.dcm")
        server = OrthancReceiver.start(self, inbox, log)
        try:
            command = ["storescu", "--scan-directories", "127.0.0.1", str(server.port), str(folder)]
            timed(command, dcmtk_environment(no_delay=True))
        except BaseException:
            server.stop()
            raise
        shutil.rmtree(folder)
        return server

    def settings(self, port: int, inbox: Path) -> dict[str, object]:
        own = {"DicomAlwaysAllowFind": True, "LimitFindResults": 0, "StorageAccessOnFind": "Never"}
        return OrthancReceiver.settings(self, port, inbox) | own
