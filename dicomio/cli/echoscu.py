"""`dicomio echoscu`: C-ECHO, and how long it took."""

import asyncio
import time
from argparse import Namespace

from dicomio import Address, DicomError, connect
from dicomio.cli.output import Output
from dicomio.cli.scu import ae_title_of, complete, limits_of, peer_of, strict_of, timeout_of, told
from dicomio.cli.security import client_tls, identity_of, require_response
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
    async with connect(
        peer,
        contexts=[Verification],
        ae_title=ae_title_of(args, "echoscu"),
        timeout=timeout_of(args),
        limits=limits_of(args),
        ssl=await asyncio.to_thread(client_tls, args),
        identity=await asyncio.to_thread(identity_of, args),
        window=args.window,
        strict=strict_of(args),
    ) as association:
        require_response(association)
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
