"""`dicomio findscu`: C-FIND, and what was found."""

import asyncio
import logging
from argparse import Namespace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio import Address, Client, DicomError, Matches, QueryModel, Status
from dicomio.cli.matches import showing
from dicomio.cli.output import Output
from dicomio.cli.queries import Query, queries_of
from dicomio.cli.scu import complete, directory_of, peer_of, told, visiting
from dicomio.datasets import encode, file_header
from dicomio.files import NewFile
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.sop import ExplicitVRLittleEndian

__all__ = ["run"]

logger = logging.getLogger("dicomio.cli.findscu")


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    scu = FindSCU(args, output)
    try:
        return complete(scu.run())
    except DicomError as error:
        output.error(told(error, scu.peer), error)
        return 1


class FindSCU:
    """One run of the tool.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.args = args
        self.output = output
        self.peer: Address = peer_of(args)
        self.queries = queries_of(args)
        self.directory = directory_of(args) if args.extract or args.output_directory else None
        self.found = 0

    async def run(self) -> int:
        """Asks one query after the other, until one fails."""
        async with visiting(self.args, "findscu") as client:
            for query in self.queries:
                if not await self.find(client, query):
                    return 1
        return 0

    async def find(self, client: Client, query: Query) -> bool:
        """Asks one query, and shows what matches."""
        matches = client.find(query.identifier, model=query.model)
        with showing(self.output, query.identifier, live=not self.args.no_progress) as show:
            async with matches:
                async for match in matches:
                    show(match)
                    self.found += 1
                    if self.directory is not None:
                        await self.extract(match, query, self.directory)
                    if matches.received == self.args.cancel:
                        break
        return self.conclude(matches)

    async def extract(self, match: Dataset, query: Query, directory: Path) -> None:
        """Writes a match to a file."""
        sop_class = query.model.find if isinstance(query.model, QueryModel) else query.model
        data = encode(match, ExplicitVRLittleEndian)
        header = file_header(
            sop_class_uid=sop_class or "",
            sop_instance_uid=generate_uid(prefix=None),
            transfer_syntax=ExplicitVRLittleEndian,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        file = NewFile(directory, f"rsp{self.found:04}.dcm")
        await asyncio.to_thread(file.write, [header, data], last=True)
        logger.info("%s", file.path)

    def conclude(self, matches: Matches) -> bool:
        """Says how a query ended, and whether well."""
        cancelled = matches.received == self.args.cancel
        noun = "match" if matches.received == 1 else "matches"
        logger.info("%s: %d %s, %s", self.peer, matches.received, noun, matches.status)
        if matches.status == Status.SUCCESS or (cancelled and matches.status == Status.CANCEL):
            return True
        self.output.error(f"{self.peer}: C-FIND ended with {matches.status}")
        return False
