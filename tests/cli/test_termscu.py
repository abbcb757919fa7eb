"""`dicomio termscu`, and servers that may be ended by it."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from dicomio import Application, AssociationRejected, Proposal, connect
from dicomio.cli.shutdown import SHUTDOWN
from dicomio.sop import Verification

from .conftest import Receive, Tool, free_port, serving
from .servers import Running, running

# A-ASSOCIATE-RJ: rejected permanently by the service-user, without a reason, as the classic servers say good-bye
GOOD_BYE = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 1])
WRONG_TITLE = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 7])
ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0])

Words = tuple[object, ...]


@pytest.fixture(params=["storescp", "storescp -pm", "dcmrecv", "qrscp"])
def server_words(request: pytest.FixtureRequest, tmp_path: Path) -> Words:
    """A tool that serves, on any port."""
    return (*request.param.split(), 0, "-od", tmp_path / "data")


def ended(server: Running) -> int:
    """Waits for the end of a tool; its exit code."""
    return server.process.wait(20)


@contextmanager
def classic_server(answer: bytes) -> Iterator[int]:
    """A peer that ends when a peer asks for an association, with these last words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                listener.shutdown(socket.SHUT_RDWR)
                listener.close()
                connection.sendall(answer)
                while answer and connection.recv(65_536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(10)


def test_server_that_may_be_ended(tool: Tool, server_words: Words) -> None:
    with running(*map(str, server_words), "--allow-shutdown") as server:
        code, out, err = tool("termscu", "127.0.0.1", server.port)
        assert (code, out, err) == (0, f"ANY-SCP@127.0.0.1:{server.port} accepts to shut down\n", "")
        assert ended(server) == 0
        assert server.process.stderr is not None
        assert "asked for the end" in server.process.stderr.read()


def test_server_that_may_not(tool: Tool, server_words: Words) -> None:
    with running(*map(str, server_words)) as server:
        code, out, err = tool("termscu", "127.0.0.1", server.port)
        assert (code, out) == (1, "")
        assert "does not support being shut down" in err
        assert tool("echoscu", "127.0.0.1", server.port).code == 0
        assert server.stop() == 0


def test_all_workers_end(tool: Tool, tmp_path: Path) -> None:
    with running("storescp", 0, "-od", tmp_path, "--workers", 2, "--allow-shutdown") as server:
        assert tool("termscu", "127.0.0.1", server.port).code == 0
        assert ended(server) == 0


async def echo_after(tool: Tool, server: Running) -> int:
    """Has a server end while it still has an association; the exit code of the server."""
    async with connect(f"ANY@127.0.0.1:{server.port}", contexts=[Verification]) as other:
        result = await asyncio.to_thread(tool, "termscu", "127.0.0.1", server.port)
        assert result.code == 0
        await other.wait_closed(20)
        assert type(other.ended).__name__ == "AssociationReleased"
    return await asyncio.to_thread(ended, server)


def test_associations_are_released(tool: Tool, tmp_path: Path) -> None:
    with running("storescp", 0, "-od", tmp_path, "--allow-shutdown") as server:
        assert asyncio.run(echo_after(tool, server)) == 0


async def hold(port: int, process_id: int) -> None:
    """Holds the Shutdown SOP class while the server is ended by a signal."""
    async with connect(f"ANY@127.0.0.1:{port}", contexts=[SHUTDOWN]) as association:
        os.kill(process_id, signal.SIGTERM)
        await association.wait_closed(20)


def test_asked_again_while_it_ends(tmp_path: Path) -> None:
    """What asks for the end is over because of the end."""
    with running("storescp", 0, "-od", tmp_path, "--allow-shutdown") as server:
        asyncio.run(hold(server.port, server.process.pid))
        assert ended(server) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_rejected_all_the_same(tool: Tool, tmp_path: Path) -> None:
    """Whose association is rejected has nobody ended."""
    with running("storescp", 0, "-od", tmp_path, "--allow-shutdown", "--refuse") as server:
        code, _, err = tool("termscu", "127.0.0.1", server.port)
        assert code == 1
        assert "rejected the association permanently" in err
        assert server.stop() == 0


def test_requests_on_it_are_unknown(tmp_path: Path) -> None:
    """No message is defined for the Shutdown SOP class."""

    async def ask(port: int) -> int:
        async with connect(f"ANY@127.0.0.1:{port}", contexts=[SHUTDOWN]) as association:
            (context,) = association.contexts.values()
            assert context.transfer_syntax == "1.2.840.10008.1.2.1"
            response = await association.n_action(SHUTDOWN, "1.2.3", 1)
            return int(response.status)

    with running("storescp", 0, "-od", tmp_path, "--allow-shutdown") as server:
        with pytest.raises(Exception, match=r"0x0118|0x0211"):
            asyncio.run(ask(server.port))
        assert ended(server) == 0


def test_without_any_context(tool: Tool, receiver: Receive) -> None:
    peer = receiver()
    code, out, err = tool("termscu", "127.0.0.1", peer.port, "--json")
    assert (code, out) == (1, "")
    assert err.startswith(f"dicomio termscu: ANY-SCP@127.0.0.1:{peer.port} does not support")


@pytest.mark.parametrize("answer", [GOOD_BYE, ABORT, b""], ids=["rejects", "aborts", "hangs up"])
def test_peer_that_ends_at_once(tool: Tool, answer: bytes) -> None:
    with classic_server(answer) as port:
        code, out, err = tool("termscu", "127.0.0.1", port, "--json")
    peer = f"ANY-SCP@127.0.0.1:{port}"
    assert (code, json.loads(out), err) == (0, {"peer": peer, "answer": "has shut down"}, "")


def test_peer_that_rejects_for_another_reason(
    tool: Tool, peer_saying: Callable[[bytes], AbstractContextManager[int]]
) -> None:
    with peer_saying(WRONG_TITLE) as port:
        code, out, err = tool("termscu", "127.0.0.1", port)
    assert (code, out) == (1, "")
    assert "called AE title not recognized" in err


def test_peer_that_rejects_without_a_reason_and_stays(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.cli.termscu.GRACE", 0.3)
    app = Application("ANY-SCP")

    @app.on_associate
    async def reject(proposal: Proposal) -> None:
        raise AssociationRejected

    with serving(app) as (server, _):
        code, out, err = tool("termscu", "127.0.0.1", server.port)
    assert (code, out) == (1, "")
    assert "no reason given" in err


def test_nobody_there(tool: Tool) -> None:
    port = free_port()
    code, out, err = tool("termscu", "127.0.0.1", port)
    assert (code, out) == (1, "")
    assert "Connection refused" in err
