"""`dicomio getscu`: C-GET, and the objects in files."""

import logging
from argparse import Namespace

from dicomio import Client, DicomError, Refused, StatusError, StoreRequest
from dicomio.cli.output import Bar, Output
from dicomio.cli.queries import Query, queries_of
from dicomio.cli.retrieving import Reporter
from dicomio.cli.scu import complete, directory_of, told, visiting

__all__ = ["run"]

logger = logging.getLogger("dicomio.cli.getscu")


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    scu = GetSCU(args, output)
    try:
        return complete(scu.run())
    except DicomError as error:
        output.error(told(error, scu.reporter.peer), error)
        return 1


class GetSCU:
    """One run of the tool.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.args = args
        self.output = output
        self.reporter = Reporter(args, output, "C-GET")
        self.queries = queries_of(args)
        self.directory = directory_of(args)

    async def run(self) -> int:
        """Retrieves what one query after the other asks for, until one fails."""
        async with visiting(self.args, "getscu") as client:
            for query in self.queries:
                with self.output.bar(None, objects=True, wanted=not self.args.no_progress) as bar:
                    if not await self.get(client, query, bar):
                        return 1
        return 0

    async def get(self, client: Client, query: Query, bar: Bar) -> bool:
        """Retrieves what one query asks for."""
        getting = client.get(query.identifier, model=query.model)
        try:
            async with getting:
                async for request in getting:
                    await self.keep(request)
                    bar.reach(getting.received, max(getting.received, getting.progress.total))
                    if getting.received == self.args.cancel:
                        break
        except StatusError:
            self.reporter.finish(getting)
            raise
        self.reporter.advance(getting.progress, bar)
        self.reporter.finish(getting)
        return self.reporter.conclude(getting)

    async def keep(self, request: StoreRequest) -> None:
        """Writes one object to its file; one that cannot be had is a failure, and the others go on."""
        try:
            await self.reporter.save(request, self.directory)
        except Refused as error:
            logger.warning("%r: %s", request, error)
