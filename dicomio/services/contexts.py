"""Which of the accepted presentation contexts carries a request."""

from collections.abc import Iterator
from typing import Literal

from dicomio.config import Role, checked_uid
from dicomio.dimse import DimseProvider
from dicomio.errors import NoPresentationContext
from dicomio.negotiation import AcceptedContext
from dicomio.sop.models import QueryModel

__all__ = ["contexts_for", "pick_context", "refusal", "sop_class_of"]

RESULTS = {
    1: "refused by the peer's user",
    2: "refused without a reason",
    3: "the peer does not support the SOP class",
    4: "the peer supports none of the transfer syntaxes proposed",
}


def sop_class_of(model: QueryModel | str, service: Literal["C-FIND", "C-MOVE", "C-GET"]) -> str:
    """The SOP class UID of a service for a query model, or a UID as it is.

    Raises:
        TypeError: it is neither a text nor a query model.
        ValueError: the model does not have the service, or the text is not a UID.
    """
    if not isinstance(model, QueryModel):
        return checked_uid(model, "query models are constants of dicomio and dicomio.sop, as dicomio.STUDY_ROOT")
    uid = {"C-FIND": model.find, "C-MOVE": model.move, "C-GET": model.get}[service]
    if uid is None:
        raise ValueError(f"there is no {service} in the query model {model.name}")
    return uid


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
