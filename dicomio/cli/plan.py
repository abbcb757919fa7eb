"""What to propose so that objects can be sent, and which of them go over one association."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dicomio import Association, Instance, PresentationContext
from dicomio.datasets import convertible
from dicomio.sop import ExplicitVRLittleEndian, ImplicitVRLittleEndian

__all__ = ["Batch", "batches_of", "contexts_for", "target_of"]

# Presentation-context-IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS: Final = 128
FALLBACKS: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
IMPLICIT_ONLY: Final = (ImplicitVRLittleEndian,)


@dataclass(slots=True)
class Batch:
    """Objects whose presentation contexts fit one association together."""

    contexts: dict[PresentationContext, None] = field(default_factory=dict)
    instances: deque[Instance] = field(default_factory=deque)

    def admits(self, contexts: Iterable[PresentationContext]) -> bool:
        """Whether there is room for these contexts as well."""
        return len(self.contexts.keys() | set(contexts)) <= MOST_CONTEXTS


def contexts_for(
    sop_class: str, transfer_syntax: str, preferred: Sequence[str] | None
) -> tuple[PresentationContext, ...]:
    """What to propose for a kind of object, one transfer syntax to a context where it matters.

    Args:
        sop_class: SOP class UID.
        transfer_syntax: the one it is encoded in.
        preferred: what the command line prefers, best first; `None` for no preference.
    """
    if preferred == IMPLICIT_ONLY:
        return (PresentationContext(sop_class, IMPLICIT_ONLY),)
    single = [transfer_syntax]
    if preferred and preferred[0] != transfer_syntax and convertible(transfer_syntax, preferred[:1]):
        single.insert(0, preferred[0])
    others = tuple(syntax for syntax in FALLBACKS if syntax not in single)
    contexts = [PresentationContext(sop_class, (syntax,)) for syntax in single]
    if others and convertible(transfer_syntax, others):
        contexts.append(PresentationContext(sop_class, others))
    return tuple(contexts)


def batches_of(instances: Iterable[Instance], preferred: Sequence[str] | None) -> list[Batch]:
    """Puts objects together, in as few associations as their presentation contexts allow."""
    batches: list[Batch] = []
    known: dict[tuple[str, str], Batch] = {}
    for instance in instances:
        kind = instance.sop_class_uid, instance.transfer_syntax
        if kind not in known:
            contexts = contexts_for(*kind, preferred)
            batch = next((batch for batch in batches if batch.admits(contexts)), None)
            if batch is None:
                batches.append(batch := Batch())
            batch.contexts |= dict.fromkeys(contexts)
            known[kind] = batch
        known[kind].instances.append(instance)
    return batches


def target_of(association: Association, instance: Instance, preferred: Sequence[str] | None) -> str | None:
    """The preferred transfer syntax, where the peer accepted it and the object can be converted to it."""
    if not preferred or preferred[0] == instance.transfer_syntax:
        return None
    for context in association.contexts.values():
        if context.abstract_syntax == instance.sop_class_uid and context.transfer_syntax == preferred[0]:
            return convertible(instance.transfer_syntax, preferred[:1])
    return None
