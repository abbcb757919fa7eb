"""`dicomio movescu`: C-MOVE, to others or to a receiver of our own."""

import asyncio
import logging
from argparse import Namespace
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from dicomio import Application, Client, DicomError, Progress, Status, StatusError, StoreRequest, serve
from dicomio.cli.output import Bar, Output
from dicomio.cli.queries import Query, queries_of
from dicomio.cli.retrieving import Reporter
from dicomio.cli.scu import ae_title_of, complete, directory_of, limits_of, timeout_of, told, visiting

__all__ = ["run"]

logger = logging.getLogger("dicomio.cli.movescu")

# Seconds to wait for each object that comes after the final response, as some peers send them.
PATIENCE: Final = 10.0


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    scu = MoveSCU(args, output)
    try:
        return complete(scu.run())
    except DicomError as error:
        output.error(told(error, scu.reporter.peer), error)
        return 1


class MoveSCU:
    """One run of the tool.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.args = args
        self.output = output
        self.destination = args.destination or ae_title_of(args, "movescu")
        self.reporter = Reporter(args, output, f"C-MOVE to {self.destination}")
        self.queries = queries_of(args)
        self.directory = directory_of(args)
        self.inbox = Inbox(self.directory, self.reporter) if args.receiving_port is not None else None

    async def run(self) -> int:
        """Listens, if that is wanted, and moves what one query after the other asks for, until one fails."""
        async with AsyncExitStack() as stack:
            if self.inbox is not None and not await self.listen(self.inbox, stack):
                return 1
            client = await stack.enter_async_context(visiting(self.args, "movescu"))
            for query in self.queries:
                with self.output.bar(None, objects=True, wanted=not self.args.no_progress) as bar:
                    if not await self.move(client, query, bar):
                        return 1
        return 0

    async def listen(self, inbox: "Inbox", stack: AsyncExitStack) -> bool:
        """Begins to receive; says why where that cannot be."""
        port, timeout, limits = self.args.receiving_port, timeout_of(self.args), limits_of(self.args)
        app = inbox.application(self.destination)
        try:
            await stack.enter_async_context(serve(app, port=port, timeout=timeout, limits=limits))
        except OSError as error:
            self.output.error(f"cannot listen on port {port}: {error.strerror or error}", error)
            return False
        return True

    async def move(self, client: Client, query: Query, bar: Bar) -> bool:
        """Moves what one query asks for."""
        moving = client.move(query.identifier, to=self.destination, model=query.model)
        before = self.inbox.count if self.inbox is not None else 0
        try:
            async with moving:
                async for progress in moving:
                    self.reporter.respond(moving.status, progress)
                    self.reporter.advance(progress, bar)
                    if moving.received == self.args.cancel:
                        break
        except StatusError:
            self.reporter.finish(moving)
            raise
        if self.inbox is not None and moving.status != Status.CANCEL:
            await self.inbox.reach(before + moving.progress.completed + moving.progress.warning)
        self.reporter.advance(moving.progress, bar)
        self.reporter.finish(moving)
        return self.reporter.conclude(moving) and self.arrived(moving.progress, before)

    def arrived(self, progress: Progress, before: int) -> bool:
        """Whether we have what the peer has sent; else it says so."""
        if self.inbox is None:
            return True
        sent, got = progress.completed + progress.warning, self.inbox.count - before
        if got < sent:
            self.output.error(f"{self.reporter.peer}: of {sent} objects that it says to have sent {got} arrived here")
        return got >= sent


class Inbox:
    """Where objects arrive when we are the destination ourselves.

    Args:
        directory: where their files go.
        reporter: hears of each.

    Attributes:
        count: objects that have come.
    """

    def __init__(self, directory: Path, reporter: Reporter) -> None:
        self.directory = directory
        self.reporter = reporter
        self.count = 0
        self.arrived = asyncio.Event()

    def application(self, ae_title: str) -> Application:
        """The application that receives them: everything, as it was asked for."""
        app = Application(ae_title)
        app.store("*")(self.store)
        app.map_exception(OSError, Status.OUT_OF_RESOURCES)
        return app

    async def store(self, request: StoreRequest) -> None:
        """Writes one object to its file."""
        try:
            await self.reporter.save(request, self.directory)
        except OSError as error:
            # The peer only hears that there was something.
            logger.warning("%s: %s", request.sop_instance_uid, error)
            raise
        self.count += 1
        self.arrived.set()

    async def reach(self, count: int) -> None:
        """Waits until so many objects have come, or none has for a while."""
        while self.count < count:
            self.arrived.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.arrived.wait()
            except TimeoutError:
                return
