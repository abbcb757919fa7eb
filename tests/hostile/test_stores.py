"""Attacks in the middle of an association: lying C-STOREs, names that are paths, peers that stop."""

import asyncio
from pathlib import Path

import pytest

import dicomio
from dicomio import Application, Refused, Status, StoreRequest, Timeout
from dicomio.sop import CTImageStorage
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField, encode
from dicomio.wire.pdata import COMMAND, DATA, LAST, pack_fragments, pack_message
from tests.hostile.conftest import Victim
from tests.hostile.test_connections import RQ

CT_CONTEXT = 3
GOOD_UID = "1.2.3.4"
HOSTILE_UIDS = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../b",
    "..\\..\\windows",
    "1.2.3\x004",
    "1" * 10_000,
    "",
    " ",
    ".hidden",
    "-rf",
    "1.2.3;rm -rf",
    "1.2\n3",
]


def store_command(uid: str, **changes: object) -> bytes:
    command = Command(
        CommandField.C_STORE_RQ,
        message_id=7,
        affected_sop_class_uid=CTImageStorage,
        affected_sop_instance_uid=GOOD_UID,
        priority=0,
        has_data_set=True,
    )
    for name, value in changes.items():
        setattr(command, name, value)
    # What no honest sender could encode is put in afterwards, length and all.
    good = b"\x00\x00\x00\x10\x08\x00\x00\x00" + GOOD_UID.encode() + b"\x00"
    value = uid.encode() + b"\x00" * (len(uid) % 2)
    return encode(command).replace(good, b"\x00\x00\x00\x10" + len(value).to_bytes(4, "little") + value)


@pytest.mark.parametrize("uid", HOSTILE_UIDS, ids=lambda uid: ascii(uid)[:24])
async def test_a_uid_that_is_a_path_never_reaches_the_file_system(victim: Victim, uid: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    message = pack_message(CT_CONTEXT, store_command(uid), b"\x08\x00\x05\x00\x00\x00\x00\x00", 16000)
    answer = await victim.attack(RQ, message, b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert Status.INVALID_SOP_INSTANCE.to_bytes(2, "little") in answer
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
async def test_a_peer_that_goes_away_in_the_middle_leaves_no_file(victim: Victim, size: int) -> None:
    parts = b"".join(pack_fragments(CT_CONTEXT, DATA, bytes(size), 16000))
    header = len(parts) - 1 if size > 1 else 12
    command = b"".join(pack_fragments(CT_CONTEXT, COMMAND, store_command(GOOD_UID), 16000))
    _, writer = await victim.associate(RQ)
    writer.write(command + parts[:header])
    await writer.drain()
    writer.transport.abort()
    while len(victim.server.associations) > 1:
        await asyncio.sleep(0)
    while victim.app.background:
        await asyncio.wait(victim.app.background)
    assert list(victim.inbox.iterdir()) == []


async def test_a_data_set_that_never_comes_fails_its_request_alone(victim: Victim) -> None:
    """The next command arrives where the data set was due; both get an answer."""
    echo = encode(Command(CommandField.C_ECHO_RQ, message_id=9, affected_sop_class_uid="1.2.840.10008.1.1"))
    sent = pack_message(CT_CONTEXT, store_command(GOOD_UID), None, 16000) + pack_message(1, echo, None, 16000)
    answer = await victim.attack(RQ, sent, b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert b"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x80" in answer
    assert b"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x80" in answer
    assert list(victim.inbox.iterdir()) == []


async def test_an_empty_data_set_is_not_stored(victim: Victim) -> None:
    empty = b"".join(pack_fragments(CT_CONTEXT, DATA, b"", 16000))
    assert empty[11] == DATA | LAST
    answer = await victim.attack(
        RQ,
        pack_message(CT_CONTEXT, store_command(GOOD_UID), None, 16000) + empty,
        b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00",
    )
    assert Status.CANNOT_UNDERSTAND.to_bytes(2, "little") in answer
    assert list(victim.inbox.iterdir()) == []


async def test_a_peer_that_stops_sending_is_aborted(tmp_path: Path) -> None:
    app = Application("VICTIM")

    @app.store()
    async def store(request: StoreRequest) -> None:
        await request.read()

    timeout = Timeout(5, idle=0.1)
    async with dicomio.serve(app, "127.0.0.1", 0, timeout=timeout) as server:
        reader, writer = await Victim(server, tmp_path, app).associate(RQ)
        writer.write(pack_message(CT_CONTEXT, store_command(GOOD_UID), None, 16000))
        answer = b""
        while not answer.endswith(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"):
            answer += await asyncio.wait_for(reader.read(1000), 5)
        assert server.associations == ()
        writer.close()


async def test_a_data_set_beyond_the_limit_is_refused_and_the_association_stays(ct: Path) -> None:
    app = Application("VICTIM")
    sizes: list[int] = []

    @app.store()
    async def store(request: StoreRequest) -> None:
        sizes.append(len(await request.read()))

    async with connected(app, limits=dicomio.Limits(data_set=10_000)) as association:
        with pytest.raises(dicomio.StatusError) as caught:
            await association.store(ct)
        assert caught.value.status == Status.OUT_OF_RESOURCES
        assert await association.echo() < 5
    assert sizes == []


async def test_a_handler_that_raises_costs_its_request_alone(ct: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Application("VICTIM")
    app.map_exception(KeyError, 0xC123)
    errors: list[Exception] = [
        ValueError("secret of the patient"),
        KeyError("x"),
        Refused(0xA701, "full"),
        OSError(28, "No space left"),
    ]
    expected = [0x0110, 0xC123, 0xA701, 0x0110]

    @app.store()
    async def store(request: StoreRequest) -> None:
        raise errors[len(seen)]

    seen: list[int] = []
    async with connected(app) as association:
        for _ in errors:
            with pytest.raises(dicomio.StatusError) as caught:
                await association.store(ct)
            assert "secret" not in str(caught.value)
            seen.append(caught.value.status)
        assert await association.echo() < 5
    assert seen == expected
    assert "C-STORE-RQ" in caplog.text
