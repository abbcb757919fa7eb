"""The asynchronous operations window with peers that negotiate one (PS3.7 D.3.3.3), and with those that do not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from dicomio import Application, Client, EchoRequest, connect, serve
from dicomio.sop import CTImageStorage, Verification
from tests.association.peers import instance
from tests.interop.agreeing import dcmjs_scp, dcmjs_scu, pynetdicom_scp, pynetdicom_scu, reports
from tests.interop.ours import HOST, address_of
from tests.interop.peers import RunningScp, scps

pytestmark = pytest.mark.interop

WINDOW = 4
OBJECTS = 2 * WINDOW


class Echoing:
    """Answers C-ECHO once `expected` are being served, the last one first."""

    def __init__(self, expected: int, window: int) -> None:
        self.app = Application("ARCHIVE", window=window)
        self.app.echo()(self.echo)
        self.expected = expected
        self.most = 0
        self.turns: list[asyncio.Event] = []

    async def echo(self, request: EchoRequest) -> None:
        turn = asyncio.Event()
        self.turns.append(turn)
        self.most = max(self.most, len(self.turns))
        if len(self.turns) == self.expected:
            self.turns.pop().set()
        await turn.wait()
        if self.turns:
            self.turns.pop().set()


@pytest.mark.parametrize(
    "proposed, granted, agreed",
    [((4, 1), 16, [4, 1]), ((4, 2), 3, [3, 2]), ((1, 1), 16, [1, 1])],
)
async def test_dcmjs_asks_several_things_at_once(proposed: tuple[int, int], granted: int, agreed: list[int]) -> None:
    at_once = agreed[0]
    echoing = Echoing(at_once, granted)
    async with serve(echoing.app, HOST, 0) as server:
        result = await asyncio.to_thread(dcmjs_scu, server.port, window=proposed, count=at_once)
    assert result.code == 0, result.output
    assert result.facts["window"] == agreed
    assert result.facts["order"] == list(reversed(range(at_once)))
    assert echoing.most == at_once


async def test_requests_of_dcmjs_beyond_the_window_wait_for_their_turn() -> None:
    """It does not keep to the window by itself."""
    echoing = Echoing(2, 2)
    quirks: list[str] = []
    echoing.app.on_close(lambda association: quirks.extend(association.quirks))
    async with serve(echoing.app, HOST, 0) as server:
        result = await asyncio.to_thread(dcmjs_scu, server.port, window=(WINDOW, 1), count=WINDOW)
    assert result.code == 0, result.output
    assert result.facts["window"] == [2, 1]
    assert echoing.most == 2
    assert quirks == ["sent a request before the response to its last one was due"]


async def test_we_ask_dcmjs_several_things_at_once(tmp_path: Path) -> None:
    """It answers when as many objects as the window admits have come, in reverse order."""
    with dcmjs_scp(tmp_path / "dcmjs", window=[WINDOW, 1], hold=WINDOW) as scp:
        async with connect(address_of(scp), contexts=[CTImageStorage], window=8) as association:
            assert association.agreement is not None
            assert (association.agreement.window_invoked, association.agreement.window_performed) == (WINDOW, 1)
            order: list[int] = []

            async def store(number: int) -> None:
                response = await association.store(instance(uid=f"1.2.{number}"))
                assert response.status == 0
                order.append(number)

            await asyncio.gather(*(store(number) for number in range(OBJECTS)))
    assert order[:WINDOW] == [3, 2, 1, 0]
    assert max(report["held"] for report in reports(scp.log())) == WINDOW


async def test_bulk_sending_fills_the_window_of_dcmjs(tmp_path: Path) -> None:
    with dcmjs_scp(tmp_path / "dcmjs", window=[WINDOW, 1], hold=WINDOW) as scp:
        async with Client(address_of(scp), window=WINDOW) as client:
            assert await client.store_many([instance(uid=f"1.2.{number}") for number in range(OBJECTS)]) == []


@pytest.mark.parametrize("name", scps)
async def test_a_window_disturbs_no_peer(name: str, start_scp: Callable[..., RunningScp]) -> None:
    """Those that do not know windows leave the item out, or answer 1."""
    scp = await asyncio.to_thread(start_scp, name)
    async with connect(address_of(scp), contexts=[Verification], window=(8, 8)) as association:
        assert association.agreement is not None
        narrow = association.agreement.window_invoked == 1
        assert narrow or name == "dcmjs"
        await asyncio.gather(*(association.echo() for _ in range(OBJECTS)))
        assert list(association.quirks) == []


async def test_pynetdicom_hears_of_the_window_and_answers_one() -> None:
    seen: list[tuple[int, int]] = []

    def answer(event: Any) -> tuple[int, int]:
        seen.append((event.nr_invoked, event.nr_performed))
        return 5, 5

    handlers = [(evt.EVT_ASYNC_OPS, answer)]
    async with (
        pynetdicom_scp(Verification, handlers=handlers) as address,
        connect(address, contexts=[Verification], window=(7, 2)) as association,
    ):
        assert association.agreement is not None
        assert (association.agreement.window_invoked, association.agreement.window_performed) == (1, 1)
        await asyncio.gather(*(association.echo() for _ in range(OBJECTS)))
    assert seen == [(7, 2)]


@pytest.mark.parametrize("proposed, granted, agreed", [((5, 3), 4, (4, 3)), ((0, 0), 4, (4, 4)), ((2, 0), 16, (2, 16))])
async def test_pynetdicom_is_told_the_window(proposed: tuple[int, int], granted: int, agreed: tuple[int, int]) -> None:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked, item.maximum_number_operations_performed = proposed
    async with serve(Application("ARCHIVE", window=granted), HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            Verification,
            ext_neg=[item],
            use=lambda association: (association.send_c_echo().Status, association.acceptor.asynchronous_operations),
        )
    assert found == (0, agreed)
