"""What `storescu` and `dcmsend` have in common: looking at files, sending them, and telling what failed."""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from dicomio import Address, Instance, InvalidInstance, PresentationContext, connect
from dicomio.cli.configs import Profile
from dicomio.cli.errors import UsageError
from dicomio.cli.inputs import Unreadable, named_files, read_heads
from dicomio.cli.output import Output
from dicomio.cli.plan import Rules, batches_of
from dicomio.cli.scu import peer_of, remote_of, told
from dicomio.cli.security import identity_of
from dicomio.cli.sending import Outcome, Transfer

__all__ = ["Sender"]

# Files looked at in one go of a worker thread, so that an interrupt need not wait for all of them.
GLANCE: Final = 64


class Sender:
    """One run of a tool that sends files.

    Args:
        args: what the command line says.
        output: where to tell it.
        rules: in which transfer syntaxes to send.
        file_format: which files to take where no option says it: `"any"`, `"file"` or `"data set"`.
        profile: what to negotiate, in place of what the files need.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(
        self, args: Namespace, output: Output, rules: Rules, file_format: str, profile: Profile | None = None
    ) -> None:
        self.args = args
        self.output = output
        self.rules = rules
        self.contexts = profile.proposed() if profile is not None else None
        self.extended = profile.extended if profile is not None else None
        self.file_format: str = args.file_format or file_format
        self.peer: Address = peer_of(args)
        self.remote = remote_of(args, output.tool.name)
        self.identity = identity_of(args)
        self.stored = 0
        self.failures: list[Outcome] = []

    async def run(self, *, repeat: int = 1, jobs: int = 1, abort: bool = False, single: bool = False) -> int:
        """Looks at the files, sends them, and says what failed.

        Args:
            repeat: how often to send each.
            jobs: associations at once.
            abort: end associations by aborting them.
            single: do not open another association when one does not suffice.
        """
        args = self.args
        instances = [instance for instance in await self.look() for _ in range(repeat)]
        with self.output.bar(sum(instance.length for instance in instances), wanted=not args.no_progress) as bar:
            transfer = Transfer(
                batches_of(instances, self.rules),
                self.open,
                self.report,
                bar,
                rules=self.rules,
                halt=not args.no_halt,
                abort=abort,
                single=single,
                show_contexts=args.verbose_pc,
            )
            await transfer.run(jobs)
        await self.finish(transfer)
        return self.conclude(transfer)

    async def look(self) -> list[Instance]:
        """The objects to send.

        Raises:
            UsageError: there are none, or one cannot be read and that is not to be passed over.
        """
        files = named_files(self.args)
        instances: list[Instance] = []
        while heads := await asyncio.to_thread(read_heads, files, GLANCE, self.check):
            for head in heads:
                if isinstance(head, Instance):
                    instances.append(head)
                else:
                    self.pass_over(head)
        if not instances and not self.failures:
            raise UsageError("there are no DICOM files to send")
        return instances

    def check(self, instance: Instance) -> None:
        """Looks whether an object is one of those to send.

        Raises:
            InvalidInstance: it is not.
        """
        if self.file_format == "file" and not instance.offset:
            raise InvalidInstance(f"{instance.path}: it has no file meta information; +f sends it all the same")
        if self.file_format == "data set" and instance.offset:
            raise InvalidInstance(f"{instance.path}: it has file meta information, which -f excludes")

    def pass_over(self, head: Unreadable) -> None:
        """A file that cannot be sent: a failure where failures are passed over, else the end."""
        outcome = Outcome(head.path, error=head.error)
        if not self.args.no_halt:
            raise UsageError(self.reason_of(outcome))
        self.report(outcome)

    def open(self, contexts: Sequence[PresentationContext]) -> connect:
        """An association with the peer, still to be opened."""
        return connect(self.remote, contexts=self.contexts or contexts, identity=self.identity, extended=self.extended)

    def report(self, outcome: Outcome) -> None:
        """Takes note of an outcome; failures, and with `--json` all of them, are results."""
        text = ""
        if outcome.error is None:
            self.stored += 1
        else:
            self.failures.append(outcome)
            reason = self.reason_of(outcome)
            text = f"failed: {reason}" if outcome.instance is None else f"failed: {outcome.path}: {reason}"
        self.output.result(text, outcome.record)

    async def finish(self, transfer: Transfer) -> None:
        """What a tool does when everything has been tried."""

    def conclude(self, transfer: Transfer) -> int:
        """Says how it went, and finds the exit code."""
        left, failed = transfer.left, len(self.failures)
        if not failed and not left:
            return 0
        if left and transfer.refusal is not None:
            error: Exception | None = transfer.refusal
            reason = told(transfer.refusal, self.peer)
        elif self.failures:
            error = self.failures[0].error
            reason = self.reason_of(self.failures[0])
        else:
            error, reason = None, f"{left} of {self.stored + left} instances not sent over a single association"
        counts = f"{failed} of {self.stored + failed + left} instances failed" + (f", {left} not sent" if left else "")
        if failed:
            # Results on stdout have said so already; who reads them as JSON does not see them.
            known = not self.output.json and reason in map(self.reason_of, self.failures)
            reason = counts if known else f"{counts}: {reason}"
        self.output.error(reason, error)
        refused = any(outcome.instance is not None for outcome in self.failures)
        return 1 if refused or left else 2

    def reason_of(self, failure: Outcome) -> str:
        """Why an object was not stored: with the peer's name, or with the file's where the peer was not asked."""
        error = failure.error
        assert error is not None
        if failure.instance is not None:
            return told(error, self.peer)
        reason = getattr(error, "strerror", None) or str(error)
        return reason if str(failure.path) in reason else f"{failure.path}: {reason}"
