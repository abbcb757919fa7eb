"""`dicomio replay`: plays one side of a capture to a live peer."""

import asyncio
from argparse import Namespace

from dicomio import DicomError
from dicomio.captures import InvalidCapture, Replay
from dicomio.cli.capturing import listen_host, run_until_signal, tell_port
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool; 1 if the peer said anything else than in the capture."""
    if (args.port is None) == (args.to is None):
        raise UsageError("either a PORT to listen on or --to HOST PORT is needed")
    differences = run_until_signal(lambda: play(args, output), interrupted=None)
    if differences is None:
        raise KeyboardInterrupt
    for text in differences:
        output.result(text, {"difference": text})
    return 1 if differences else 0


async def play(args: Namespace, output: Output) -> list[str]:
    """Plays all there is; returns the differences.

    Raises:
        UsageError: the capture cannot be read, or not be replayed.
    """
    try:
        replay = await asyncio.to_thread(Replay.load, args.file, timing=args.timing, patience=args.timeout)
    except InvalidCapture as error:
        raise UsageError(f"{args.file}: {error}") from error
    except OSError as error:
        raise UsageError(f"{args.file}: {error.strerror or error}") from error
    if args.to is not None:
        host, port = args.to
        try:
            return await replay.request(host, port)
        except OSError as error:
            raise DicomError(f"{host}:{port}: {error.strerror or error}") from error
    listen = listen_host(args, args.port)
    async with replay.acceptor(listen, args.port) as acceptor:
        tell_port(listen, acceptor.port, output)
        await acceptor.wait_played()
    return acceptor.differences
