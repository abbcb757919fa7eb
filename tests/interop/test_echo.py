"""C-ECHO in both directions with every peer."""

import asyncio
from collections.abc import Callable

import pytest

from dicomio import (
    Application,
    AssociationRejected,
    Client,
    EchoRequest,
    Proposal,
    Refused,
    Status,
    connect,
    echo,
    serve,
)
from dicomio.sop import Verification
from tests.interop.ours import HOST, address_of
from tests.interop.peers import RunningScp, echo_scus, scps

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]


@pytest.mark.parametrize("name", echo_scus)
async def test_peer_asks_us(name: str) -> None:
    app = Application("ARCHIVE")
    ended: list[Exception | None] = []
    app.on_close(lambda association: ended.append(association.ended))
    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(echo_scus[name], HOST, server.port, "ARCHIVE")
    assert result.code == 0, result.output
    assert [str(reason).partition(" ")[2] for reason in ended] == ["released the association"]


@pytest.mark.parametrize("name", echo_scus)
async def test_peer_is_turned_away(name: str) -> None:
    app = Application("ARCHIVE")

    @app.on_associate
    async def turn_away(proposal: Proposal) -> None:
        raise AssociationRejected(reason=7)

    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(echo_scus[name], HOST, server.port, "NOBODY")
    assert result.code != 0, result.output


@pytest.mark.parametrize("name", sorted(echo_scus.keys() - {"odil"}))  # which does not tell
async def test_peer_hears_of_a_failure(name: str) -> None:
    app = Application("ARCHIVE")

    @app.echo()
    async def fail(request: EchoRequest) -> None:
        raise Refused(Status.PROCESSING_FAILURE, "not today")

    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(echo_scus[name], HOST, server.port, "ARCHIVE")
    assert result.code != 0, result.output


@pytest.mark.parametrize("name", scps)
async def test_we_ask_peer(name: str, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, name)
    async with connect(address_of(scp), contexts=[Verification]) as association:
        for _ in range(50):
            assert 0 < await association.echo() < 10
        assert not association.quirks


async def test_we_ask_once(start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "dcmrecv")
    assert 0 < await echo(address_of(scp)) < 10
    assert "Association Release" in await asyncio.to_thread(scp.log)


async def test_peer_that_refuses(start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=["--refuse"])
    with pytest.raises(AssociationRejected, match="no reason given") as caught:
        await echo(address_of(scp))
    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 1)


@pytest.mark.parametrize("name", ["dcmqrscp", "ctn", "pixelmed"])
async def test_peer_that_goes_by_another_name(name: str, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, name)
    async with Client(f"SOMEBODY@{HOST}:{scp.port}") as client:
        with pytest.raises(AssociationRejected, match="called AE title not recognized"):
            await client.echo()
