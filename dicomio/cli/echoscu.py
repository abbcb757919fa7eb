"""`dicomio echoscu`: C-ECHO, and how long it took."""

import time
from argparse import Namespace

from dicomio import Address, DicomError
from dicomio.cli.output import Output
from dicomio.cli.scu import associated, complete, peer_of, told
from dicomio.sop import Verification

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    peer = peer_of(args)
    try:
        return complete(echo(args, peer, output))
    except DicomError as error:
        output.error(told(error, peer), error)
        return 1


async def echo(args: Namespace, peer: Address, output: Output) -> int:
    """Asks as often as wanted on one association."""
    async with associated(args, "echoscu", Verification) as association:
        for number in range(1, args.repeat + 1):
            # The clock of an event loop may count milliseconds only.
            started = time.perf_counter()
            await association.echo()
            seconds = time.perf_counter() - started
            record = {"peer": str(peer), "number": number, "status": "0x0000", "seconds": round(seconds, 6)}
            output.result(f"{peer}: echo {number} of {args.repeat} after {seconds * 1000:.2f} ms", record)
        if args.abort:
            association.abort(detail="as wanted by --abort")
    return 0
