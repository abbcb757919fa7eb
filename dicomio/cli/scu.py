"""What all tools that go to a peer have in common."""

import asyncio
from argparse import Namespace
from collections.abc import Coroutine
from typing import Any

from dicomio import Address, Limits, Timeout
from dicomio.server import loop_factory

__all__ = ["ae_title_of", "complete", "limits_of", "peer_of", "timeout_of", "told"]


def peer_of(args: Namespace) -> Address:
    """The peer that the command line names."""
    return Address(args.call, args.host, args.port)


def ae_title_of(args: Namespace, tool: str) -> str:
    """Our AE title; by default the tool's name, as in the classic toolkit."""
    return args.aetitle or tool.upper()


def timeout_of(args: Namespace) -> Timeout:
    """The deadlines that the command line sets."""
    acse = args.acse_timeout
    return Timeout(connect=args.timeout, negotiate=acse, release=acse, artim=acse, response=args.dimse_timeout)


def limits_of(args: Namespace) -> Limits:
    """The limits that the command line sets."""
    return Limits(max_pdu=args.max_pdu)


def complete(work: Coroutine[Any, Any, int]) -> int:
    """Runs the work of a tool in an event loop of its own; SIGINT cancels it and raises `KeyboardInterrupt`."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def told(error: Exception, peer: Address) -> str:
    """What went wrong, and with whom."""
    text = str(error) or type(error).__name__
    return text if str(peer) in text else f"{peer}: {text}"
