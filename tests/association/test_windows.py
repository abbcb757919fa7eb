"""Pipelining: with a negotiated window both sides keep that many operations outstanding (PS3.7 D.3.3.3)."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from dicomio import Application, Client, Limits, PresentationContext, StoreRequest, serve, sop
from dicomio.testing import connected
from tests.association.peers import CT, content, instance

OBJECTS = 12


class Storage:
    """Holds objects until as many as expected are being served at once, then lets go of them in another order."""

    def __init__(self, expected: int, window: int = 16) -> None:
        self.app = Application("APP", window=window)
        self.app.store(sop.CTImageStorage)(self.store)
        self.expected = expected
        self.now = self.most = 0
        self.stored: list[str] = []
        self.full = asyncio.Event()

    async def store(self, request: StoreRequest) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        assert await request.read() == content(1000)
        if self.now >= self.expected:
            self.full.set()
        await self.full.wait()
        self.now -= 1
        self.stored.append(request.sop_instance_uid)


def objects(count: int = OBJECTS) -> list[str]:
    return [f"1.2.{number}" for number in range(count)]


@pytest.mark.parametrize(
    "proposed, granted, expected",
    [
        (None, 16, 1),
        (1, 16, 1),
        (4, 16, 4),
        (4, 2, 2),
        ((8, 1), 3, 3),
        ((0, 1), 5, 5),
        (0, 16, OBJECTS),
    ],
)
async def test_as_many_are_outstanding_as_was_agreed_on(
    proposed: int | tuple[int, int] | None, granted: int, expected: int
) -> None:
    storage = Storage(expected, granted)
    async with connected(storage.app, contexts=[CT], window=proposed) as association:
        stores = [association.store(instance(uid=uid)) for uid in objects()]
        responses = await asyncio.gather(*stores)
    assert [int(response.status) for response in responses] == [0] * OBJECTS
    assert storage.most == expected
    assert sorted(storage.stored) == sorted(objects())


async def test_without_an_answer_to_the_proposal_the_window_is_one() -> None:
    async with connected(Storage(1).app, contexts=[CT], window=None) as association:
        assert association.agreement is not None
        assert (association.agreement.window_invoked, association.agreement.window_performed) == (1, 1)
        assert association.window.size == 1


async def test_responses_find_their_requests_in_any_order() -> None:
    app = Application("APP")
    order = {"1.2.0": asyncio.Event(), "1.2.1": asyncio.Event(), "1.2.2": asyncio.Event()}
    order["1.2.2"].set()

    @app.store(sop.CTImageStorage)
    async def store(request: StoreRequest) -> int:
        number = int(request.sop_instance_uid[-1])
        await order[request.sop_instance_uid].wait()
        if number:
            order[f"1.2.{number - 1}"].set()
        return 0xB000 + number

    async with connected(app, contexts=[CT], window=3) as association:
        responses = await asyncio.gather(*(association.store(instance(uid=uid)) for uid in order))
    assert [int(response.status) for response in responses] == [0xB000, 0xB001, 0xB002]


async def test_messages_do_not_interleave_however_large_they_are() -> None:
    """Each object arrives as it was sent, though all of them are on their way at once."""
    app = Application("APP")

    @app.store(sop.CTImageStorage)
    async def store(request: StoreRequest) -> None:
        size = 400_000 + int(request.sop_instance_uid[-1]) * 2
        assert await request.read() == content(size)

    async with connected(app, contexts=[CT], window=4, limits=Limits(max_pdu=4096)) as association:
        stores = [association.store(instance(400_000 + 2 * number, f"1.2.{number}")) for number in range(8)]
        assert all(response.status == 0 for response in await asyncio.gather(*stores))


async def test_a_server_invokes_operations_within_the_window_too() -> None:
    storage = Storage(3)
    asked = Application("ASKED")

    @asked.echo()
    async def echo(request: object) -> None:
        association = request.association  # type: ignore[attr-defined]
        await asyncio.gather(*(association.store(instance(uid=uid)) for uid in objects(6)))

    asked.get(sop.STUDY_ROOT)(lambda request: [])
    context = PresentationContext(sop.CTImageStorage, (sop.ExplicitVRLittleEndian,), scu=False, scp=True)
    contexts: list[str | PresentationContext] = [sop.Verification, context]
    async with connected(asked, client=storage.app, contexts=contexts, window=(1, 3)) as association:
        await association.echo()
    assert storage.most == 3


async def test_bulk_sending_uses_the_window_of_every_association() -> None:
    storage = Storage(6)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(storage.app, "127.0.0.1", 0))
        limits = Limits(associations=2)
        client = Client(f"APP@127.0.0.1:{server.port}", window=3, limits=limits)
        await stack.enter_async_context(client)
        assert await client.store_many([instance(uid=uid) for uid in objects(20)]) == []
    assert storage.most == 6
    assert sorted(storage.stored) == sorted(objects(20))
