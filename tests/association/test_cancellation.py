"""Cancelled at every `await`: the association ends where a message cannot be stopped, and nothing else suffers."""

import asyncio
import itertools
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from dicomio import (
    Application,
    AssociationAborted,
    Client,
    DicomError,
    Limits,
    Refused,
    Status,
    StoreRequest,
    sop,
)
from dicomio.datasets import Instance
from dicomio.session import Aborted
from tests.association.peers import (
    INSTANCE_UID,
    MEBIBYTE,
    Interrupted,
    MemoryClient,
    ScriptedPeer,
    content,
    held_buffers,
    instance,
    leftovers,
    response,
    scripted_acceptor,
    settled,
    storing,
    until,
)

# A single write, one batch of many PDUs, and several batches with flow control between them.
SIZES = {"small": 1000, "one-batch": 300_000, "batches": 2 * MEBIBYTE + 300_001}


def saving(directory: Path) -> Application:
    async def save(request: StoreRequest) -> None:
        await request.save(directory / "")

    return storing(save)


def on_disk(directory: Path, source: Instance) -> Instance:
    """The same object as a file."""
    path = directory / "source.dcm"
    uids = ((b"\x02\0", source.sop_class_uid), (b"\x03\0", source.sop_instance_uid), (b"\x10\0", source.transfer_syntax))
    head = b"".join(b"\x02\0" + tag + b"UI" + len(even(uid)).to_bytes(2, "little") + even(uid) for tag, uid in uids)
    path.write_bytes(bytes(128) + b"DICM" + head + source.read())
    return Instance.open(path)


def even(uid: str) -> bytes:
    value = uid.encode()
    return value + b"\0" * (len(value) % 2)


async def interrupt(awaitable: Awaitable[Any], at: int, later: int) -> bool:
    """Runs something and cancels it at its n-th wait; whether it got as far as that."""
    interrupted = Interrupted(awaitable, at, later)

    async def run() -> None:
        await interrupted

    try:
        await asyncio.create_task(run())
    except asyncio.CancelledError:
        assert interrupted.reached
    return interrupted.reached


async def nine_other_calls(client: Client, kept: Path) -> None:
    """What still has to work on the same client after one call was cancelled."""
    for number in range(3):
        assert await client.echo() >= 0
        await client.store(instance(700, f"{INSTANCE_UID}.{number}"))
        assert (kept / f"{INSTANCE_UID}.{number}.dcm").read_bytes().endswith(content(700))
        async with client.store_many([instance(900, f"{INSTANCE_UID}.{number}")]) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None]


@pytest.mark.parametrize("later", [0, 1, 3])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_store_of_bytes_cancelled_at_every_await(tmp_path: Path, size: int, later: int) -> None:
    source, before = instance(size), held_buffers()
    for at in itertools.count():
        async with MemoryClient(saving(tmp_path)) as client:
            reached = await interrupt(client.store(source), at, later)
            await nine_other_calls(client, tmp_path)
        files = set(leftovers(tmp_path)) - {f"{INSTANCE_UID}.{number}.dcm" for number in range(3)}
        assert files <= {f"{INSTANCE_UID}.dcm"}
        assert held_buffers() == before
        if not reached:
            break
    assert at >= 2
    assert (tmp_path / f"{INSTANCE_UID}.dcm").read_bytes().endswith(content(size))
