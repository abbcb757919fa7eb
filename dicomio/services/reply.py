"""What a request comes to: the response as users see it, and the error that a Failure status is."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomio.dimse import DimseProvider
from dicomio.errors import StatusError
from dicomio.operations import Inbound, Reply
from dicomio.status import Status
from dicomio.wire.commands import Command, CommandField

__all__ = ["RESPONSE_BIT", "Response", "answer", "check"]

# PS3.7 E.1: the Command Field of a response is that of its request with this bit set.
RESPONSE_BIT = 0x8000
# N-EVENT-REPORT-RQ to N-DELETE-RQ
NORMALIZED = range(CommandField.N_EVENT_REPORT_RQ, CommandField.N_DELETE_RQ + 1)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request.

    Attributes:
        status: Status (0000,0900).
        error_comment: Error Comment (0000,0902), where the peer sent one.
        offending_elements: Offending Element (0000,0901), tags as 32-bit numbers.
    """

    status: Status
    error_comment: str | None = None
    offending_elements: Sequence[int] = ()


def check(provider: DimseProvider, operation: str, reply: Reply) -> Response:
    """The response, unless its status is a Failure.

    Args:
        provider: the association, for the text of the error.
        operation: what was asked for, likewise.
        reply: what came back.

    Raises:
        StatusError: the status is a Failure, or there is none.
    """
    command = reply.command
    status = Status(command.status if command.status is not None else 0xC000)
    response = Response(status, command.error_comment, command.offending_elements)
    if status.is_failure:
        comment = f": {command.error_comment}" if command.error_comment else ""
        raise StatusError(f"{provider.peer} answered {operation} with {status}{comment}", response)
    return response


def answer(inbound: Inbound, status: int, comment: str = "", data: bytes | None = None) -> None:
    """Answers a request: the response repeats what the request was about (PS3.7 9.3, 10.3)."""
    request = inbound.command
    response = Command(
        request.field | RESPONSE_BIT,
        affected_sop_class_uid=request.affected_sop_class_uid or request.requested_sop_class_uid,
        status=int(status),
        error_comment=comment or None,
        has_data_set=data is not None,
    )
    if request.field == CommandField.C_STORE_RQ or request.field in NORMALIZED:
        # Other messages have no such element, and a peer that sends one all the same does not get it back.
        response.affected_sop_instance_uid = request.affected_sop_instance_uid or request.requested_sop_instance_uid
    inbound.answer(response, data)
