"""What to propose so that objects can be sent, and which of them go over one association."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dicomio import Association, Instance, PresentationContext
from dicomio.datasets import convertible
from dicomio.negotiation import AcceptedContext
from dicomio.sop import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

__all__ = ["Batch", "Decompression", "Rules", "batches_of", "carrier_of", "contexts_for", "target_of"]

# Presentation-context-IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS: Final = 128
FALLBACKS: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
IMPLICIT_ONLY: Final = (ImplicitVRLittleEndian,)

PLAIN: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})
# Transfer syntaxes that cannot compress but without loss (PS3.5 Annex A).
LOSSLESS: Final = frozenset(
    {
        DeflatedExplicitVRLittleEndian,
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.4.57",  # JPEG, process 14
        "1.2.840.10008.1.2.4.70",  # JPEG, process 14, selection value 1
        "1.2.840.10008.1.2.4.80",  # JPEG-LS
        "1.2.840.10008.1.2.4.90",  # JPEG 2000
        "1.2.840.10008.1.2.4.92",  # JPEG 2000 Part 2
        "1.2.840.10008.1.2.4.110",  # JPEG XL
        "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000
        "1.2.840.10008.1.2.4.202",  # High-Throughput JPEG 2000 with RPCL
    }
)


class Decompression(StrEnum):
    """Which compressed objects may be decompressed where the peer does not take them as they are."""

    NEVER = "never"
    LOSSLESS = "lossless"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Rules:
    """In which transfer syntaxes objects are sent.

    Args:
        preferred: transfer syntaxes to convert to, best first; `None` for no preference.
        decompression: which compressed objects may be decompressed.
    """

    preferred: tuple[str, ...] | None = None
    decompression: Decompression = Decompression.ANY

    def let_convert(self, transfer_syntax: str) -> bool:
        """Whether what is encoded in a transfer syntax may be sent in another one."""
        if transfer_syntax in PLAIN or self.decompression is Decompression.ANY:
            return True
        return self.decompression is Decompression.LOSSLESS and transfer_syntax in LOSSLESS


@dataclass(slots=True)
class Batch:
    """Objects whose presentation contexts fit one association together."""

    contexts: dict[PresentationContext, None] = field(default_factory=dict)
    instances: deque[Instance] = field(default_factory=deque)

    def admits(self, contexts: Iterable[PresentationContext]) -> bool:
        """Whether there is room for these contexts as well."""
        return len(self.contexts.keys() | set(contexts)) <= MOST_CONTEXTS


def contexts_for(sop_class: str, transfer_syntax: str, rules: Rules) -> tuple[PresentationContext, ...]:
    """What to propose for a kind of object, one transfer syntax to a context where it matters.

    Args:
        sop_class: SOP class UID.
        transfer_syntax: the one it is encoded in.
        rules: what the command line wants.
    """
    preferred = rules.preferred
    if preferred == IMPLICIT_ONLY:
        return (PresentationContext(sop_class, IMPLICIT_ONLY),)
    single = [transfer_syntax]
    if preferred and preferred[0] != transfer_syntax and convertible(transfer_syntax, preferred[:1]):
        single.insert(0, preferred[0])
    others = tuple(syntax for syntax in FALLBACKS if syntax not in single)
    contexts = [PresentationContext(sop_class, (syntax,)) for syntax in single]
    if others and rules.let_convert(transfer_syntax) and convertible(transfer_syntax, others):
        contexts.append(PresentationContext(sop_class, others))
    return tuple(contexts)


def batches_of(instances: Iterable[Instance], rules: Rules) -> list[Batch]:
    """Puts objects together, in as few associations as their presentation contexts allow."""
    batches: list[Batch] = []
    known: dict[tuple[str, str], Batch] = {}
    for instance in instances:
        kind = instance.sop_class_uid, instance.transfer_syntax
        if kind not in known:
            contexts = contexts_for(*kind, rules)
            batch = next((batch for batch in batches if batch.admits(contexts)), None)
            if batch is None:
                batches.append(batch := Batch())
            batch.contexts |= dict.fromkeys(contexts)
            known[kind] = batch
        known[kind].instances.append(instance)
    return batches


def target_of(association: Association, instance: Instance, rules: Rules) -> str | None:
    """The preferred transfer syntax, where the peer accepted it and the object can be converted to it."""
    preferred = rules.preferred
    if not preferred or preferred[0] == instance.transfer_syntax:
        return None
    if preferred[0] not in accepted_for(association, instance.sop_class_uid):
        return None
    return convertible(instance.transfer_syntax, preferred[:1])


def carrier_of(association: Association, instance: Instance) -> AcceptedContext | None:
    """The presentation context that an object is sent on; `None` where none will do."""
    accepted = accepted_for(association, instance.sop_class_uid)
    return accepted.get(convertible(instance.transfer_syntax, accepted) or "")


def accepted_for(association: Association, sop_class: str) -> dict[str, AcceptedContext]:
    """The presentation contexts that the peer accepted for a SOP class, by their transfer syntaxes."""
    contexts = association.contexts.values()
    return {context.transfer_syntax: context for context in contexts if context.abstract_syntax == sop_class}
