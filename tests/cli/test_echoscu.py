"""`dicomio echoscu`, and how every SCU says what went wrong."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from dicomio import Application, AssociationAborted, AssociationReleased, NoPresentationContext, Proposal
from dicomio.cli.scu import told
from dicomio.config import Address

from .conftest import Receive, Tool, command, serving

ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 1])


def test_echo(tool: Tool, receiver: Receive) -> None:
    peer = receiver()
    code, out, err = tool("echoscu", "127.0.0.1", peer.port)
    assert (code, err) == (0, "")
    assert re.fullmatch(rf"ANY-SCP@127\.0\.0\.1:{peer.port}: echo 1 of 1 after \d+\.\d\d ms\n", out)
    peer.close()
    assert [type(ended) for ended in peer.ended] == [AssociationReleased]


def test_titles_and_repetition_as_json_lines(tool: Tool, receiver: Receive) -> None:
    peer = receiver()
    code, out, err = tool("echoscu", "localhost", peer.port, "--json", "--repeat", 3, "-aec", "ARCHIVE", "-aet", "ME")
    records = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [record["number"] for record in records] == [1, 2, 3]
    assert {record["peer"] for record in records} == {f"ARCHIVE@localhost:{peer.port}"}
    assert all(record["status"] == "0x0000" and 0 < record["seconds"] < 10 for record in records)


def test_abort_in_place_of_release(tool: Tool, receiver: Receive) -> None:
    peer = receiver()
    assert tool("echoscu", "127.0.0.1", peer.port, "--abort").code == 0
    peer.close()
    assert [type(ended) for ended in peer.ended] == [AssociationAborted]


def test_nobody_listens(tool: Tool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert tool("echoscu", "127.0.0.1", port) == (
        1,
        "",
        f"dicomio echoscu: ANY-SCP@127.0.0.1:{port}: Connection refused\n",
    )


def test_no_such_host(tool: Tool) -> None:
    code, out, err = tool("echoscu", "no-such-host.invalid", 104)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dicomio echoscu: ANY-SCP@no-such-host.invalid:104: ")


def test_silent_peer(peer_saying: Callable[[bytes], AbstractContextManager[int]]) -> None:
    with peer_saying(b"") as port:
        code, out, err = command("echoscu", "127.0.0.1", port, "-ta", "0.2")
    assert (code, out) == (1, "")
    assert err == f"dicomio echoscu: ANY-SCP@127.0.0.1:{port}: no answer to A-ASSOCIATE-RQ within 0.2 s\n"


def test_aborting_peer(tool: Tool, peer_saying: Callable[[bytes], AbstractContextManager[int]]) -> None:
    with peer_saying(ABORT) as port:
        code, out, err = tool("echoscu", "127.0.0.1", port)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"ANY-SCP@127.0.0.1:{port} aborted: unrecognized PDU (source 2, reason 1)" in err


def test_peer_that_speaks_something_else(peer_saying: Callable[[bytes], AbstractContextManager[int]]) -> None:
    with peer_saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        code, out, err = command("echoscu", "127.0.0.1", port)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"ANY-SCP@127.0.0.1:{port} does not speak DICOM" in err


def test_rejecting_peer(tool: Tool, receiver: Receive) -> None:
    peer = receiver("--refuse")
    code, out, err = tool("echoscu", "127.0.0.1", peer.port)
    assert (code, out) == (1, "")
    assert err == (
        f"dicomio echoscu: ANY-SCP@127.0.0.1:{peer.port} rejected the association permanently: no reason given "
        "(result 1, source 1 service user, reason 1)\n"
    )


def test_peer_without_verification(tool: Tool) -> None:
    app = Application("PEER")

    @app.on_associate
    async def refuse_contexts(proposal: Proposal) -> None:
        for context in proposal.pdu.contexts:
            proposal.refuse(context.id, 3)

    with serving(app) as (server, _):
        port = server.port
        code, out, err = tool("echoscu", "127.0.0.1", port)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"ANY-SCP@127.0.0.1:{port}" in err
    assert "1.2.840.10008.1.1" in err


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_quiet(tool: Tool, receiver: Receive, option: str) -> None:
    assert tool("echoscu", "127.0.0.1", receiver("--refuse").port, option) == (1, "", "")


def test_debug_tells_where_an_error_comes_from(tool: Tool, receiver: Receive) -> None:
    code, _, err = tool("echoscu", "127.0.0.1", receiver("--refuse").port, "-d")
    assert code == 1
    assert "dicomio.errors.AssociationRejected" in err


def test_errors_that_do_not_name_the_peer_are_told_with_it() -> None:
    error = NoPresentationContext("1.2.3")
    assert told(error, Address("A", "h", 1)) == "A@h:1: no presentation context accepted for SOP class 1.2.3"
