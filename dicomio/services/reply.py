"""What a request comes to: the response as users see it, and the error that a Failure status is."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dicomio.dimse import DimseProvider
from dicomio.errors import DicomError, InvalidInstance, LocalProtocolError, StatusError
from dicomio.operations import Inbound, Reply
from dicomio.sop import statuses_of
from dicomio.status import Status
from dicomio.wire.commands import RESPONSE_BIT, Command, CommandField

__all__ = ["Response", "answer", "check", "respond", "response_to"]

logger = logging.getLogger("dicomio.association")

# N-EVENT-REPORT-RQ to N-DELETE-RQ
NORMALIZED = range(CommandField.N_EVENT_REPORT_RQ, CommandField.N_DELETE_RQ + 1)
# What stands in the way of a DIMSE-N request in its attributes, so that these are listed (PS3.7 C.5).
ABOUT_ATTRIBUTES = (0x0105, 0x0106, 0x0107, 0x0116, 0x0120, 0x0121, 0xB010)
# Responses that have an Attribute Identifier List (PS3.7 10.3; PS3.4 KK.2.2.3 has one in N-ACTION-RSP).
WITH_ATTRIBUTE_LIST = (
    CommandField.N_GET_RSP,
    CommandField.N_SET_RSP,
    CommandField.N_CREATE_RSP,
    CommandField.N_ACTION_RSP,
)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request.

    Attributes:
        status: Status (0000,0900).
        error_comment: Error Comment (0000,0902), where the peer sent one.
        offending_elements: Offending Element (0000,0901), tags as 32-bit numbers.
        attribute_identifiers: Attribute Identifier List (0000,1005), likewise.
        error_id: Error ID (0000,0903).
        sop_instance_uid: Affected SOP Instance UID (0000,1000).
        meaning: what the status means in the service class of the SOP class.
    """

    status: Status
    error_comment: str | None = None
    offending_elements: Sequence[int] = ()
    attribute_identifiers: Sequence[int] = ()
    error_id: int | None = None
    sop_instance_uid: str | None = None
    meaning: str = field(default="", compare=False)


def check(provider: DimseProvider, operation: str, reply: Reply, sop_class: str = "") -> Response:
    """The response, unless its status is a Failure.

    Args:
        provider: the association, for the text of the error.
        operation: what was asked for, likewise.
        reply: what came back.
        sop_class: UID of the SOP class that it is about, by which statuses have different meanings.

    Raises:
        StatusError: the status is a Failure, or there is none.
    """
    command = reply.command
    status = Status(command.status if command.status is not None else 0xC000)
    response = Response(
        status,
        command.error_comment,
        command.offending_elements,
        command.attribute_identifiers,
        command.error_id,
        command.affected_sop_instance_uid,
        meaning_of(status, sop_class, command.name.removesuffix("-RSP")),
    )
    if status.is_failure:
        comment = f": {command.error_comment}" if command.error_comment else ""
        raise StatusError(
            f"{provider.peer} answered {operation} with 0x{status:04X} {response.meaning}{comment}", response
        )
    return response


@lru_cache(maxsize=1024)
def meaning_of(status: Status, sop_class: str, operation: str) -> str:
    """What a status means in the response to an operation on a SOP class."""
    service = statuses_of(sop_class, operation)
    return status.meaning_for(service) if service else status.meaning


def response_to(inbound: Inbound, status: int, comment: str = "", *, offending: Sequence[int] = ()) -> Command:
    """The response to a request: it repeats what the request was about (PS3.7 9.3, 10.3)."""
    request = inbound.command
    response = Command(
        request.field | RESPONSE_BIT,
        affected_sop_class_uid=request.affected_sop_class_uid or request.requested_sop_class_uid,
        status=int(status),
        error_comment=comment or None,
    )
    if request.field == CommandField.C_STORE_RQ or request.field in NORMALIZED:
        # Other messages have no such element, and a peer that sends one all the same does not get it back.
        response.affected_sop_instance_uid = request.affected_sop_instance_uid or request.requested_sop_instance_uid
    if status in ABOUT_ATTRIBUTES and response.field in WITH_ATTRIBUTE_LIST:
        response.attribute_identifiers = tuple(offending)
    else:
        response.offending_elements = tuple(offending)
    return response


def answer(inbound: Inbound, status: int, comment: str = "", *, offending: Sequence[int] = ()) -> None:
    """Answers a request finally, without a data set."""
    inbound.answer(response_to(inbound, status, comment, offending=offending))


async def respond(
    inbound: Inbound,
    status: int,
    comment: str = "",
    *,
    offending: Sequence[int] = (),
    error_id: int | None = None,
    complete: Callable[[Command], bytes | None] | None = None,
) -> Status | None:
    """Answers a request finally, once the peer has sent all of it; where the association is over, does nothing.

    Args:
        inbound: the request.
        status: of the response.
        comment: Error Comment.
        offending: Offending Element.
        error_id: Error ID.
        complete: adds to the response what else belongs into it, and returns its data set.

    Returns:
        The status that was sent: another one where the response could not be; `None` where the association is over.
    """
    if inbound.body is not None:
        try:
            await inbound.body.finished()
        except DicomError as error:
            if inbound.provider.ended is not None:
                return None
            logger.warning("%s: %s", inbound.provider.peer, error)
            status, comment = Status.CANNOT_UNDERSTAND, "no data set"
    response = response_to(inbound, status, comment, offending=offending)
    response.error_id = error_id
    try:
        data = complete(response) if complete is not None else None
        response.has_data_set = data is not None
        inbound.answer(response, data)
    except (InvalidInstance, LocalProtocolError) as error:
        logger.error("%s: what a handler returned cannot be sent: %s", inbound.provider.peer, error)
        response = response_to(inbound, Status.PROCESSING_FAILURE, "the response cannot be encoded")
        inbound.answer(response)
    if inbound.provider.protocol.writing_paused:
        await inbound.provider.drain()
    return Status(response.status or 0)
