"""What `movescu` and `getscu` have in common: numbers while objects are on their way, and what became of them."""

import logging
from argparse import Namespace
from pathlib import Path
from typing import Any

from dicomio import Address, Progress, Retrieval, Status, StoreRequest
from dicomio.cli.naming import NAMINGS
from dicomio.cli.output import Bar, Output, object_record
from dicomio.cli.scu import peer_of

__all__ = ["Reporter"]

logger = logging.getLogger("dicomio.cli.retrieving")


class Reporter:
    """Says how retrievals go.

    Args:
        args: the command line.
        output: the voice of the tool.
        operation: what it is, in words.
    """

    def __init__(self, args: Namespace, output: Output, operation: str) -> None:
        self.args = args
        self.output = output
        self.operation = operation
        self.peer: Address = peer_of(args)
        self.naming = NAMINGS["instance"]()

    async def save(self, request: StoreRequest, directory: Path) -> None:
        """Writes an object to its file, named as in the classic toolkit.

        Raises:
            OSError: it cannot be written.
        """
        name = self.naming(request.sop_class_uid, request.sop_instance_uid)
        self.keep(request, await request.save(directory / name))

    def advance(self, progress: Progress, bar: Bar) -> None:
        """Shows how far it has got."""
        bar.reach(progress.total - progress.remaining, progress.total)
        if progress.failed or progress.warning:
            bar.describe(words_for(progress))

    def respond(self, status: Status, progress: Progress, failed_uids: list[str] | None = None) -> None:
        """A response of the peer: a result for programs."""
        logger.info("%s: %s, %d remaining: %s", self.peer, words_for(progress), progress.remaining, status)
        record = {
            "status": f"0x{status:04X}",
            "completed": progress.completed,
            "failed": progress.failed,
            "warning": progress.warning,
            "remaining": progress.remaining,
            "failed_sop_instance_uids": failed_uids or [],
        }
        self.output.result("", record)

    def keep(self, request: StoreRequest, path: Path) -> None:
        """An object that was written to a file."""
        logger.info("%s: %s", request.peer, path)
        self.output.result("", object_record(request, path))

    def finish(self, retrieval: Retrieval[Any]) -> None:
        """The final response: what failed is a result."""
        failed = list(retrieval.failed_uids)
        self.respond(retrieval.status, retrieval.progress, failed)
        if not self.output.json:
            for uid in failed:
                self.output.result(f"failed: {uid}", {})

    def conclude(self, retrieval: Retrieval[Any]) -> bool:
        """Whether a retrieval that the peer did not refuse ended well; else it says how."""
        status, progress = retrieval.status, retrieval.progress
        cancelled = retrieval.received == self.args.cancel and status == Status.CANCEL
        if not progress.failed and (cancelled or status == Status.SUCCESS):
            return True
        self.output.error(f"{self.peer}: {self.operation} ended with {status}: {words_for(progress)}")
        return False


def words_for(progress: Progress) -> str:
    """The numbers in words."""
    words = f"{progress.completed} completed, {progress.failed} failed"
    return words + (f", {progress.warning} with warnings" if progress.warning else "")
