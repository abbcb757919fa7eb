"""Our own side: an application that stores what peers send, and what the tests of several services ask of peers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dicomio import Address, Application, StoreRequest
from tests.interop.peers import RunningScp, scps, store_scus
from tests.interop.samples import Sample, by_instance, data_set_bytes, differences

__all__ = [
    "HOST",
    "address_of",
    "archive",
    "assert_same_bytes",
    "assert_unchanged",
    "send",
    "stored_when_sent_by",
]

HOST = "127.0.0.1"


def archive(inbox: Path, transfer_syntaxes: Sequence[str] | None = None) -> Application:
    """An application that writes every object to a file as it arrives.

    `app.state.ended` has the reasons why associations are over, once the server is closed.
    """
    inbox.mkdir(exist_ok=True)
    app = Application("ARCHIVE")
    app.state.ended = []

    @app.store("*", transfer_syntaxes=transfer_syntaxes)
    async def store(request: StoreRequest) -> None:
        await request.save(inbox)

    app.on_close(lambda association: app.state.ended.append(association.ended))
    return app


def address_of(scp: RunningScp) -> Address:
    """Where a peer listens."""
    return Address(scp.ae_title, HOST, scp.port)


async def send(sender: str, port: int, sent: Iterable[Sample], workdir: Path) -> None:
    """Has a peer send samples to a port of this host, and expects it to succeed."""
    paths = [sample.path for sample in sent]
    result = await asyncio.to_thread(store_scus[sender], port, "ARCHIVE", paths, workdir)
    assert result.code == 0, result.output


def stored_when_sent_by(
    sender: str, server: str, sent: Iterable[Sample], directory: Path, options: Sequence[str] = ()
) -> dict[str, Path]:
    """What a peer that is a server makes of samples sent by a peer, one after the other: files by SOP Instance UID."""
    workdir = directory / "scu"
    workdir.mkdir(parents=True)
    with scps[server](directory / "scp", **({"options": options} if options else {})) as scp:
        for sample in sent:
            result = store_scus[sender](scp.port, scp.ae_title, [sample.path], workdir)
            assert result.code == 0, result.output
            scp.wait_until_listening()
        return by_instance(scp.received())


def assert_unchanged(sent: Sequence[Sample], received: Mapping[str, Path]) -> None:
    """Every sample arrived, and nothing else, with the same values of attributes."""
    assert sent
    assert set(received) == {sample.sop_instance_uid for sample in sent}
    for sample in sent:
        assert differences(sample.path, received[sample.sop_instance_uid]) == [], sample.name


def assert_same_bytes(sent: Iterable[Sample], received: Mapping[str, Path], expected: Mapping[str, Path]) -> None:
    """The encoded data sets are the expected ones."""
    for sample in sent:
        uid = sample.sop_instance_uid
        assert data_set_bytes(received[uid]) == data_set_bytes(expected[uid]), sample.name
