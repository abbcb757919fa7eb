"""The event loop is free again within 20 ms, whatever the size of the objects and of the PDUs."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dicomio
from dicomio import Limits, StoreRequest
from dicomio.datasets import Instance
from tests.association.peers import CONTEXTS, MEBIBYTE, instance, storing

MOST = 0.02
SIZE = 48 * MEBIBYTE


class Watchdog:
    """Takes the processor time of each turn of the event loop; what else the machine does does not count.

    Attributes:
        longest: of the turns, seconds.
        turns: how many there were.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.longest = 0.0
        self.turns = 0
        self.last = time.thread_time()
        self.handle = self.loop.call_soon(self.turn)

    def turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.turns += 1
        self.handle = self.loop.call_soon(self.turn)


@contextmanager
def watching() -> Iterator[Watchdog]:
    """Watches the event loop; the garbage that other tests have left is not its business."""
    gc.disable()
    watchdog = Watchdog()
    try:
        yield watchdog
    finally:
        watchdog.handle.cancel()
        gc.enable()


@pytest.mark.parametrize("max_pdu", [16_384, 131_072, 0])
async def test_a_big_object(tmp_path: Path, max_pdu: int, either_pace: bool) -> None:
    async def store(request: StoreRequest) -> None:
        await request.save(tmp_path)

    limits, big = Limits(max_pdu=max_pdu), instance(SIZE, "1.2.3.4")
    async with (
        dicomio.serve(storing(store), "127.0.0.1", 0, limits=limits) as server,
        dicomio.connect(f"APP@127.0.0.1:{server.port}", contexts=CONTEXTS, limits=limits) as association,
    ):
        await association.store(instance(MEBIBYTE))
        with watching() as watchdog:
            await association.store(big)
    assert watchdog.turns > 100
    assert watchdog.longest < MOST
    assert (tmp_path / "1.2.3.4.dcm").stat().st_size > SIZE


async def test_many_small_files_at_once(tmp_path: Path, either_pace: bool) -> None:
    async def store(request: StoreRequest) -> None:
        await request.save(tmp_path)

    instances: list[Instance] = [instance(40_000, f"1.2.3.{number}") for number in range(1, 401)]
    async with dicomio.serve(storing(store), "127.0.0.1", 0) as server:
        async with dicomio.Client(f"APP@127.0.0.1:{server.port}", limits=Limits(associations=4)) as client:
            with watching() as watchdog:
                assert not await client.store_many(instances)
    assert watchdog.turns > 100
    assert watchdog.longest < MOST
    assert len(list(tmp_path.iterdir())) == len(instances)
