"""The six DIMSE-N services, both sides (PS3.7 10.1)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio.calling import call
from dicomio.config import PresentationContext, Role
from dicomio.datasets import decode, encode
from dicomio.dimse import DimseProvider
from dicomio.errors import NoPresentationContext
from dicomio.identifiers import dataset
from dicomio.negotiation import AcceptedContext
from dicomio.requests.normalized import GetRequest, NormalizedRequest
from dicomio.services.contexts import pick_context
from dicomio.services.reply import Response, check
from dicomio.sop import name_of
from dicomio.status import Status
from dicomio.wire.commands import Command

__all__ = ["Answer", "invoke", "performer", "proposals", "tags_of"]


class Answer(Dataset):
    """The data set of a response to a DIMSE-N request; empty where the peer sent none.

    Attributes:
        response: its status, and what else the response says.
    """

    response: Response

    @property
    def status(self) -> Status:
        """Success or a Warning."""
        return self.response.status


def proposals(sop_class: str, negotiated_as: str | None, role: Role) -> Sequence[PresentationContext]:
    """What to propose for a request; a report of events comes from an SCP."""
    scp = role is Role.SCP
    return [PresentationContext(negotiated_as or sop_class, scu=not scp, scp=scp)]


def context_for(provider: DimseProvider, abstract_syntax: str, role: Role) -> AcceptedContext:
    """The presentation context of a request.

    Peers that report events, or take reports of them, often leave out role selection: any accepted context will do
    then, unless we are strict.

    Raises:
        NoPresentationContext: there is none.
        DicomError: the association is over.
    """
    try:
        return pick_context(provider, abstract_syntax, role)
    except NoPresentationContext:
        if provider.upper.strict:
            raise
        for context in provider.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                provider.upper.messages.note("did not answer a role selection that is needed")
                return context
        raise


async def invoke(
    provider: DimseProvider,
    command: Command,
    data_set: Dataset | None,
    *,
    negotiated_as: str | None = None,
    role: Role = Role.SCU,
) -> Answer:
    """A DIMSE-N request of ours.

    Args:
        provider: the association.
        command: the command set, with the SOP class and instance.
        data_set: what goes with it.
        negotiated_as: abstract syntax of the presentation context, where it is not the SOP class.
        role: which role of ours the request belongs to.

    Raises:
        StatusError: the peer answered with a Failure status.
        NoPresentationContext: the SOP class was not negotiated.
        InvalidInstance: the data set cannot be encoded, or that of the response not be decoded.
        DicomError: the association is over.
    """
    sop_class = command.affected_sop_class_uid or command.requested_sop_class_uid or ""
    context = context_for(provider, negotiated_as or sop_class, role)
    data = encode(data_set, context.transfer_syntax) if data_set is not None else None
    command.has_data_set = data is not None
    reply = await provider.request(context, command, data)
    operation = f"{command.name.removesuffix('-RQ')} of {name_of(sop_class)}"
    response = check(provider, operation, reply, sop_class)
    answer = Answer()
    if reply.data:
        answer.update(decode(reply.data, context.transfer_syntax, provider.limits))
    answer.response = response
    return answer


def tags_of(attributes: Sequence[int | str]) -> tuple[int, ...]:
    """Tags of attributes that are given as keywords or as tags.

    Raises:
        ValueError: a keyword is not in the data dictionary.
    """
    tags = []
    for attribute in attributes:
        tag = tag_for_keyword(attribute) if isinstance(attribute, str) else attribute
        if tag is None:
            raise ValueError(f"{attribute} is not a keyword of the DICOM data dictionary")
        tags.append(int(Tag(tag)))
    return tuple(tags)


# as performer


def performer(func: Callable[..., Any]) -> Callable[[NormalizedRequest], Awaitable[Any]]:
    """A handler for a DIMSE-N request, of either kind.

    It returns `None` for Success, a status, a data set or mapping of keywords that goes with the response, or a status
    and one of these.
    """

    async def perform(request: NormalizedRequest) -> Any:
        request.data_set  # noqa: B018  # raises what is wrong with it, before the handler is called
        result = await call(func, request)
        status, answer = result if isinstance(result, tuple) and len(result) == 2 else (None, result)
        if answer is None:
            return status
        if isinstance(answer, Mapping):
            answer = dataset(**answer)
        if not isinstance(answer, Dataset):
            # A status, or nothing that can be answered with.
            return result
        request.result = request.select(answer) if isinstance(request, GetRequest) else answer
        return status

    return perform
