"""Which of the accepted presentation contexts carries a request."""

from collections.abc import Iterator

from dicomio.config import Role
from dicomio.dimse import DimseProvider
from dicomio.errors import NoPresentationContext
from dicomio.negotiation import AcceptedContext

__all__ = ["contexts_for", "pick_context", "refusal"]

RESULTS = {
    1: "refused by the peer's user",
    2: "refused without a reason",
    3: "the peer does not support the SOP class",
    4: "the peer supports none of the transfer syntaxes proposed",
}


def contexts_for(provider: DimseProvider, sop_class: str, role: Role = Role.SCU) -> Iterator[AcceptedContext]:
    """The accepted presentation contexts on which we may act in a role for a SOP class."""
    for context in provider.contexts.values():
        if context.abstract_syntax == sop_class and role in context.role:
            yield context


def pick_context(provider: DimseProvider, sop_class: str, role: Role = Role.SCU) -> AcceptedContext:
    """The first of `contexts_for`.

    Raises:
        NoPresentationContext: there is none.
        DicomError: the association is over.
    """
    provider.check_open()
    for context in contexts_for(provider, sop_class, role):
        return context
    raise NoPresentationContext(sop_class, detail=refusal(provider, sop_class))


def refusal(provider: DimseProvider, sop_class: str) -> str:
    """Why there is no context for a SOP class, in words."""
    agreement = provider.agreement
    if any(context.abstract_syntax == sop_class for context in provider.contexts.values()):
        return f"{provider.peer}: the role that was negotiated does not allow it"
    results = [result for uid, result in agreement.refused.values() if uid == sop_class] if agreement else []
    if results:
        return f"{provider.peer}: {RESULTS.get(results[0], f'refused with result {results[0]}')}"
    return "it was not proposed on this association"
