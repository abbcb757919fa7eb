"""Verification: C-ECHO (PS3.4 A, PS3.7 9.1.5)."""

from time import perf_counter

from dicomio.config import PresentationContext
from dicomio.dimse import DimseProvider
from dicomio.services.contexts import pick_context
from dicomio.services.reply import check
from dicomio.sop import ExplicitVRLittleEndian, ImplicitVRLittleEndian, Verification
from dicomio.status import Status
from dicomio.wire.commands import Command, CommandField

__all__ = ["CONTEXT", "send_echo"]

CONTEXT = PresentationContext(Verification, (ImplicitVRLittleEndian, ExplicitVRLittleEndian))


async def send_echo(provider: DimseProvider) -> float:
    """C-ECHO as SCU.

    Returns:
        The round-trip time in seconds.

    Raises:
        StatusError: the peer answered with a Failure status.
        NoPresentationContext: Verification was not negotiated.
    """
    context = pick_context(provider, Verification)
    started = perf_counter()
    reply = await provider.request(context, Command(CommandField.C_ECHO_RQ, affected_sop_class_uid=Verification))
    elapsed = perf_counter() - started
    if reply.command.status != Status.SUCCESS:
        check(provider, "C-ECHO", reply)
    return elapsed
