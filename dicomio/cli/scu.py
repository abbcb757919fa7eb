"""What all tools that go to a peer have in common."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dicomio import (
    Address,
    Association,
    Client,
    DicomError,
    Identity,
    Limits,
    Peer,
    PresentationContext,
    Timeout,
    connect,
)
from dicomio.cli.errors import UsageError
from dicomio.cli.security import client_tls, identity_of, require_response
from dicomio.server import loop_factory

__all__ = [
    "ae_title_of",
    "associated",
    "complete",
    "directory_of",
    "limits_of",
    "peer_of",
    "remote_of",
    "timeout_of",
    "told",
    "visiting",
]

# Seconds that the peer gets to end in good order what was interrupted, or has failed.
GRACE: Final = 5.0


def peer_of(args: Namespace) -> Address:
    """The peer that the command line names."""
    return Address(args.call, args.host, args.port)


def ae_title_of(args: Namespace, tool: str) -> str:
    """Our AE title; by default the tool's name, as in the classic toolkit."""
    return args.aetitle or tool.upper()


def timeout_of(args: Namespace) -> Timeout:
    """The deadlines that the command line sets."""
    acse = args.acse_timeout
    given = {
        "connect": args.timeout,
        "negotiate": acse,
        "release": acse,
        "artim": acse,
        "response": args.dimse_timeout,
    }
    usual = args.peer_profile.timeout if args.peer_profile is not None else Timeout()
    return replace(usual, **{name: seconds for name, seconds in given.items() if seconds is not None})


def limits_of(args: Namespace) -> Limits:
    """The limits that the command line sets."""
    return Limits(max_pdu=args.max_pdu)


def remote_of(args: Namespace, tool: str) -> Peer:
    """The peer, and how to deal with it: what its profile says, but for what options say otherwise.

    Raises:
        UsageError: a file that is needed for TLS cannot be used.
    """
    address = peer_of(args)
    return replace(
        args.peer_profile or Peer(address),
        address=address,
        ae_title=ae_title_of(args, tool),
        window=args.window,
        max_pdu=args.max_pdu,
        timeout=timeout_of(args),
        ssl=client_tls(args),
    )


async def prepared(args: Namespace, tool: str) -> tuple[Peer, Identity | None]:
    """The peer and who asks, without blocking the event loop: files are read for both."""
    return await asyncio.to_thread(remote_of, args, tool), await asyncio.to_thread(identity_of, args)


def directory_of(args: Namespace) -> Path:
    """Where files are written; made if need be.

    Raises:
        UsageError: it cannot be made.
    """
    directory = Path(args.output_directory or ".").absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}") from error
    return directory


@asynccontextmanager
async def associated(args: Namespace, tool: str, sop_class: str) -> AsyncIterator[Association]:
    """An association with the peer about one SOP class, its user identity answered where that was asked for."""
    peer, identity = await prepared(args, tool)
    async with connect(peer, contexts=[sop_class], identity=identity) as association:
        require_response(association)
        yield association


class Visitor(Client):
    """A client that wants its user identity answered, where that was asked for."""

    async def open(self, contexts: Sequence[PresentationContext]) -> Association:
        association = await super().open(contexts)
        try:
            require_response(association)
        except DicomError:
            await association.release()
            raise
        return association


@asynccontextmanager
async def visiting(args: Namespace, tool: str) -> AsyncIterator[Client]:
    """The peer as a client, for as long as the block runs.

    Associations are released whatever ends the block, an interrupt too: only who does not answer is aborted.
    """
    peer, identity = await prepared(args, tool)
    client = Visitor(peer, identity=identity)
    grace: float | None = GRACE
    try:
        yield client
        grace = None
    finally:
        try:
            async with asyncio.timeout(grace):
                await client.aclose()
        except TimeoutError:
            await client.aclose(abort=True)


def complete(work: Coroutine[Any, Any, int]) -> int:
    """Runs the work of a tool in an event loop of its own; SIGINT cancels it and raises `KeyboardInterrupt`."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def told(error: Exception, peer: Address) -> str:
    """What went wrong, and with whom."""
    text = str(error) or type(error).__name__
    return text if str(peer) in text else f"{peer}: {text}"
