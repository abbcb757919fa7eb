"""`dicomio record`: a relay that writes what passes to a capture."""

import math
from argparse import Namespace

from dicomio.captures import Recorder
from dicomio.cli.capturing import listen_host, run_until_signal, tell_port
from dicomio.cli.output import Output

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool, until it is interrupted."""
    return run_until_signal(lambda: record(args, output), interrupted=0)


async def record(args: Namespace, output: Output) -> int:
    """Passes connections on, as many as wanted."""
    host = listen_host(args, args.listenport)
    recorder = Recorder(args.host, args.port, args.file, listen_host=host, listen_port=args.listenport)
    async with recorder:
        tell_port(host, recorder.port, output)
        await recorder.wait_ended(args.count if args.count is not None else math.inf)
    return 0
