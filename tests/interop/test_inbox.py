"""Peers that send to an association without handlers, and that are sent messages made by hand."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dicomio import (
    Application,
    Association,
    AssociationAborted,
    ConnectionLost,
    EchoRequest,
    Request,
    Status,
    StoreRequest,
    connect,
    serve,
    sop,
)
from dicomio.wire.commands import Command, CommandField
from tests.interop.ours import HOST, address_of
from tests.interop.peers import RunningScp, echo_scus, store_scus
from tests.interop.processes import require, run
from tests.interop.samples import Sample

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]


class Loop:
    """A server whose associations are served by a loop over what the peer asks for."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox
        self.seen: list[str] = []
        self.ends: list[object] = []
        self.app = Application("ARCHIVE")
        self.app.store("*")(self.by_loop)
        self.app.on_connect(self.converse)

    async def by_loop(self, request: Request) -> Status:
        return Status.PROCESSING_FAILURE

    async def converse(self, association: Association) -> None:
        try:
            async for request in association.requests():
                self.seen.append(type(request).__name__)
                if isinstance(request, StoreRequest):
                    await request.save(self.inbox / f"{len(self.seen)}.dcm")
        finally:
            self.ends.append(association.ended)


@pytest.mark.parametrize("name", sorted(echo_scus))
async def test_echoes_are_taken_in_a_loop(name: str, tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    async with serve(loop.app, HOST, 0) as server:
        result = await asyncio.to_thread(echo_scus[name], HOST, server.port, "ARCHIVE")
    assert result.code == 0, result.output
    assert EchoRequest.__name__ in loop.seen


@pytest.mark.parametrize("name", sorted(store_scus))
async def test_objects_are_taken_in_a_loop(name: str, samples: Samples, tmp_path: Path, workdir: Path) -> None:
    loop = Loop(tmp_path / "inbox")
    async with serve(loop.app, HOST, 0) as server:
        paths = [samples["explicit"].path]
        result = await asyncio.to_thread(store_scus[name], server.port, "ARCHIVE", paths, workdir)
    assert result.code == 0, result.output
    assert StoreRequest.__name__ in loop.seen
    assert len(list(loop.inbox.iterdir())) == loop.seen.count(StoreRequest.__name__)


async def test_an_abort_ends_the_loop(tmp_path: Path) -> None:
    require("dcmtk")
    loop = Loop(tmp_path)
    async with serve(loop.app, HOST, 0) as server:
        await asyncio.to_thread(run, ["echoscu", "--abort", HOST, str(server.port)], tmp_path)
    assert loop.seen == ["EchoRequest"]
    assert [type(end) in (AssociationAborted, ConnectionLost) for end in loop.ends] == [True]


@pytest.mark.parametrize("name", ["storescp", "odil", "pixelmed", "pynetdicom", "orthanc", "ctn"])
async def test_messages_made_by_hand_are_answered(name: str, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, name)
    async with connect(address_of(scp), contexts=[sop.Verification]) as association:
        command = Command(CommandField.C_ECHO_RQ, affected_sop_class_uid=sop.Verification)
        replies = [await association.send(command) for _ in range(2)]
    assert [reply and reply.command.status for reply in replies] == [0, 0]
