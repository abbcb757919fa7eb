"""Sending objects over associations at once, until all are sent or one fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicomio import (
    Association,
    DicomError,
    Instance,
    InvalidInstance,
    NoPresentationContext,
    PresentationContext,
    Status,
    StatusError,
    connect,
)
from dicomio.cli.output import Bar
from dicomio.cli.plan import Batch, Rules, carrier_of, target_of
from dicomio.cli.security import require_response
from dicomio.datasets import convert
from dicomio.negotiation import AcceptedContext
from dicomio.sop import name_of

__all__ = ["Outcome", "Transfer"]

logger = logging.getLogger("dicomio.cli.sending")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object.

    Args:
        path: its file.
        instance: what was to be sent; `None` where the file could not be read.
        status: what the peer said; `None` where it was not asked, or did not say.
        error: why it was not stored; `None` where it was.
        association: which one it was for, counted from 1; 0 where it was for none.
        context: the presentation context it was sent on; `None` where none would do.
    """

    path: Path
    instance: Instance | None = None
    status: Status | None = None
    error: Exception | None = None
    association: int = 0
    context: AcceptedContext | None = None

    @property
    def record(self) -> dict[str, object]:
        """What `--json` prints."""
        return {
            "path": str(self.path),
            "sop_class_uid": self.instance.sop_class_uid if self.instance else None,
            "sop_instance_uid": self.instance.sop_instance_uid if self.instance else None,
            "transfer_syntax_uid": self.instance.transfer_syntax if self.instance else None,
            "status": f"0x{self.status:04X}" if self.status is not None else None,
            "error": str(self.error) if self.error is not None else None,
        }


class Transfer:
    """One run over a number of batches.

    Args:
        batches: what to send.
        opener: opens an association with presentation contexts.
        report: called with each outcome.
        bar: shows the progress.
        rules: in which transfer syntaxes to send.
        halt: stop at the first failure.
        abort: end associations by aborting them.
        single: do not open another association when one does not suffice.
        show_contexts: log the presentation contexts.

    Attributes:
        associations: how many were opened.
        proposed: presentation contexts that were proposed on them.
        refusal: why an association could not be opened (any more), if so.
    """

    def __init__(
        self,
        batches: Sequence[Batch],
        opener: Callable[[Sequence[PresentationContext]], connect],
        report: Callable[[Outcome], None],
        bar: Bar,
        *,
        rules: Rules,
        halt: bool,
        abort: bool = False,
        single: bool = False,
        show_contexts: bool = False,
    ) -> None:
        self.batches: Final = deque(batches)
        self.opener = opener
        self.report = report
        self.bar = bar
        self.rules = rules
        self.halt = halt
        self.abort = abort
        self.single = single
        self.show_contexts = show_contexts
        self.associations = 0
        self.proposed = 0
        self.halted = False
        self.refusal: DicomError | None = None

    @property
    def left(self) -> int:
        """How many objects have not been tried."""
        return sum(len(batch.instances) for batch in self.batches)

    async def run(self, jobs: int) -> None:
        """Sends everything over so many associations."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(jobs, self.left)):
                tasks.create_task(self.work())

    async def work(self) -> None:
        """Sends batch after batch over one association at a time; a lost one is opened again."""
        try:
            while not self.halted and (batch := self.next_batch()) is not None:
                if self.single and self.associations:
                    logger.warning("%d objects are left, which would need another association", self.left)
                    return
                async with self.opener(tuple(batch.contexts)) as association:
                    self.begin(association, batch)
                    left = self.left
                    async with asyncio.TaskGroup() as lanes:
                        # As many as the peer takes at once; one where that was not negotiated (PS3.7 D.3.3.3).
                        for _ in range(association.window.size):
                            lanes.create_task(self.send_batch(association, batch, self.associations))
                    if self.left == left and association.ended is not None:
                        # It would be the same with the next one, and the one after that.
                        raise association.ended.with_traceback(None)
                    if self.abort:
                        association.abort(detail="as wanted by --abort")
        except DicomError as error:
            # The others may have room enough for the rest.
            self.refusal = error
            logger.info("%s", error)

    def begin(self, association: Association, batch: Batch) -> None:
        """Takes note of an association."""
        self.associations += 1
        self.proposed += len(batch.contexts)
        logger.info("association with %s", association.peer)
        if self.show_contexts:
            for line in contexts_in_words(association):
                logger.info("%s", line)
        require_response(association)

    def next_batch(self) -> Batch | None:
        """One that has something left."""
        while self.batches and not self.batches[0].instances:
            self.batches.popleft()
        return self.batches[0] if self.batches else None

    async def send_batch(self, association: Association, batch: Batch, number: int) -> None:
        """Sends object after object for as long as the association stands."""
        while batch.instances and not self.halted and association.is_established:
            instance = batch.instances.popleft()
            outcome = await self.send(association, instance, number)
            if outcome.error is not None and self.halt:
                self.halted = True
            self.report(outcome)

    async def send(self, association: Association, instance: Instance, number: int) -> Outcome:
        """Sends one object on the association of this number."""
        path = instance.path or Path()
        self.bar.describe(path.name)
        sent = 0
        context: AcceptedContext | None = None
        try:
            prepared = await self.preferably(association, instance)
            context = self.carrier(association, prepared)
            storing = association.store(prepared)
            if self.bar.visible:
                async for progress in storing:
                    self.bar.advance(progress.bytes - sent)
                    sent = progress.bytes
            response = await storing
        except (DicomError, OSError) as error:
            status = Status(error.status) if isinstance(error, StatusError) else None
            return Outcome(path, instance, status, error, number, context)
        finally:
            self.bar.advance(instance.length - sent)
        if response.status.is_warning:
            logger.warning("%s: %s answered with %s", path, association.peer, response.status)
        else:
            logger.info("%s: stored", path)
        return Outcome(path, instance, response.status, None, number, context)

    def carrier(self, association: Association, instance: Instance) -> AcceptedContext | None:
        """The presentation context for an object; where there is none, sending it says why.

        Raises:
            NoPresentationContext: it would have to be decompressed, which is not wanted.
        """
        context, syntax = carrier_of(association, instance), instance.transfer_syntax
        if context is None or context.transfer_syntax == syntax or self.rules.let_convert(syntax):
            return context
        raise NoPresentationContext(instance.sop_class_uid, syntax, detail="it is not to be decompressed")

    async def preferably(self, association: Association, instance: Instance) -> Instance:
        """The object in the preferred transfer syntax, where that is possible."""
        target = target_of(association, instance, self.rules)
        if target is None:
            return instance
        try:
            return await asyncio.to_thread(convert, instance, target, association.limits)
        except InvalidInstance as error:
            logger.info("%s: sent as it is: %s", instance.path, error)
            return instance


def contexts_in_words(association: Association) -> Iterator[str]:
    """A line for each presentation context that was proposed: what became of it (PS3.8 9.3.3.2)."""
    for context in association.contexts.values():
        names = name_of(context.abstract_syntax), name_of(context.transfer_syntax)
        yield f"presentation context {context.id}: {names[0]} in {names[1]}"
    agreement = association.agreement
    for number, (uid, result) in agreement.refused.items() if agreement is not None else ():
        yield f"presentation context {number}: {name_of(uid)} was refused with result {result}"
