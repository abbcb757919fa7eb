"""What the tools that record and replay have in common."""

import asyncio
import signal
from argparse import Namespace
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dicomio.cli.output import Output
from dicomio.server import loop_factory

__all__ = ["listen_host", "run_until_signal", "tell_port"]

T = TypeVar("T")
U = TypeVar("U")


def run_until_signal(make: Callable[[], Coroutine[Any, Any, T]], interrupted: U) -> T | U:
    """Runs a coroutine to its end, or until SIGINT or SIGTERM.

    Args:
        make: makes the coroutine; it is cancelled by a signal.
        interrupted: what is returned then.
    """

    async def main() -> T | U:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(make())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            await asyncio.wait([task])
            return interrupted if task.cancelled() else task.result()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


def listen_host(args: Namespace, port: int) -> str | None:
    """The address to listen on; with port 0 the system would choose another port for each kind of address."""
    host: str | None = args.listen
    return host or ("0.0.0.0" if port == 0 else None)


def tell_port(host: str | None, port: int, output: Output) -> None:
    """Says where it listens; scripts wait for this line."""
    name = host or "0.0.0.0"
    output.line(f"listening on {f'[{name}]' if ':' in name else name}:{port}")
