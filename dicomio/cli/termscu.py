"""`dicomio termscu`: asks a peer to end."""

import asyncio
from argparse import Namespace
from typing import Final

from dicomio import Address, AssociationAborted, AssociationRejected, ConnectionLost, DicomError
from dicomio.cli.output import Output
from dicomio.cli.scu import associated, complete, peer_of, told
from dicomio.cli.shutdown import SHUTDOWN

__all__ = ["run"]

# Seconds that a peer gets to stop listening after it has ended the association, and between two looks at that.
GRACE: Final = 3.0
GLANCE: Final = 0.1

# PS3.8 Table 9-21: service-user, no-reason-given
NO_REASON: Final = (1, 1)


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    return complete(terminate(args, peer_of(args), output))


async def terminate(args: Namespace, peer: Address, output: Output) -> int:
    """Asks; the exit code is 0 where the peer accepts, or ends the association and then itself."""
    try:
        answer = "accepts to shut down" if await ask(args, peer) else ""
    except DicomError as error:
        if not may_be_gone(error) or not await is_gone(peer):
            output.error(told(error, peer), error)
            return 1
        answer = "has shut down"
    if not answer:
        output.error(f"{peer} does not support being shut down by a peer (Shutdown SOP class refused)")
        return 1
    output.result(f"{peer} {answer}", {"peer": str(peer), "answer": answer})
    return 0


async def ask(args: Namespace, peer: Address) -> bool:
    """Whether the peer accepts the Shutdown SOP class."""
    async with associated(args, "termscu", SHUTDOWN) as association:
        return bool(association.contexts)


def may_be_gone(error: DicomError) -> bool:
    """Whether a peer that ends has said so this way: the classic servers refuse the association without a reason."""
    if isinstance(error, AssociationRejected):
        return (error.source, error.reason) == NO_REASON
    return isinstance(error, AssociationAborted | ConnectionLost)


async def is_gone(peer: Address) -> bool:
    """Whether nobody listens there any more, within a few seconds."""
    try:
        async with asyncio.timeout(GRACE):
            while True:
                _, writer = await asyncio.open_connection(peer.host, peer.port)
                writer.close()
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        return False
    except OSError:
        return True
