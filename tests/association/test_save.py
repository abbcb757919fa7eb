"""From the connection to a file: byte for byte, whole or not at all, and never where the peer would like it."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicomio import Application, InvalidInstance, PresentationContext, StatusError, StoreRequest, sop
from dicomio import files as files_module
from dicomio.datasets import Instance
from dicomio.files import LONGEST_WRITE, VECTORS, NewFile
from dicomio.pace import PACE
from dicomio.testing import connected
from dicomio.threads import in_thread
from tests.association.peers import (
    CONTEXTS,
    INSTANCE_UID,
    MEBIBYTE,
    SAMPLES,
    content,
    held_buffers,
    instance,
    leftovers,
    scripted_requestor,
    store_rq,
    storing,
    until,
)

pytestmark = pytest.mark.usefixtures("either_pace")

FILES = [
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "test-SR.dcm",
]


def saving(target: Any, **options: Any) -> Application:
    async def store(request: StoreRequest) -> None:
        await request.save(target, **options)

    return storing(store)


async def opened(path: Path) -> Instance:
    return await in_thread(Instance.open, path)


async def store_one(app: Application, size: int = 1000, uid: str = INSTANCE_UID) -> int:
    """Stores an object and returns the status."""
    async with connected(app, contexts=CONTEXTS) as association:
        try:
            return int((await association.store(instance(size, uid))).status)
        except StatusError as error:
            return int(error.status)


@pytest.mark.parametrize("name", FILES)
async def test_the_bytes_of_the_data_set_stay_as_they_are(tmp_path: Path, name: str) -> None:
    source = await opened(SAMPLES / name)
    context = PresentationContext(source.sop_class_uid, (source.transfer_syntax,))
    async with connected(saving(tmp_path), contexts=[context]) as association:
        assert (await association.store(source)).status == 0
    (path,) = tmp_path.iterdir()
    saved = await opened(path)
    before, after = (SAMPLES / name).read_bytes()[source.offset :], path.read_bytes()[saved.offset :]
    # PS3.5 A.5: a deflated data set of odd length gets a NUL behind it
    assert before + bytes(len(before) % 2) == after
    assert (saved.sop_class_uid, saved.sop_instance_uid) == (source.sop_class_uid, source.sop_instance_uid)
    assert saved.transfer_syntax == source.transfer_syntax
    assert path.name == f"{source.sop_instance_uid}.dcm"


async def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    """PS3.10 7.1; pydicom reads it as a file of its own."""
    async with connected(saving(tmp_path), contexts=CONTEXTS) as association:
        await association.store(SAMPLES / "CT_small.dcm")
    (path,) = tmp_path.iterdir()
    ds = pydicom.dcmread(BytesIO(path.read_bytes()))
    assert ds.file_meta.TransferSyntaxUID == sop.ExplicitVRLittleEndian
    assert ds.file_meta.SendingApplicationEntityTitle == "TEST"
    assert ds.file_meta.ReceivingApplicationEntityTitle == "APP"
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert ds.PatientID == "1CT1"


@pytest.mark.parametrize("size", [1, 2, 16_000, 16_383, 65_537, 600_000, 3 * MEBIBYTE + 1])
async def test_any_size(tmp_path: Path, size: int) -> None:
    assert await store_one(saving(tmp_path), size) == 0
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().endswith(content(size))


async def test_files_that_turn_slow_in_the_middle_of_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[bool] = []
    writev, loop_thread, clock = os.writev, threading.get_ident(), iter(range(1, 1000))

    def write(descriptor: int, chunks: Sequence[Any]) -> int:
        where.append(threading.get_ident() == loop_thread)
        return writev(descriptor, chunks)

    monkeypatch.setattr("os.writev", write)
    monkeypatch.setattr("dicomio.pace.perf_counter", lambda: next(clock) if len(where) > 2 else 0)
    monkeypatch.setattr(PACE, "asked", 1)
    monkeypatch.setattr(PACE, "run", 1)
    assert await store_one(saving(tmp_path), 900_000) == 0
    assert where[:3] == [True] * 3
    assert set(where[3:]) == {False}
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().endswith(content(900_000))


async def test_an_empty_data_set_is_no_object(tmp_path: Path) -> None:
    async with scripted_requestor(saving(tmp_path)) as (_, peer):
        peer.say(store_rq(), b"", 3)
        answer = await peer.hear_command()
        assert (answer.status, answer.error_comment) == (0xC000, "the data set is empty")
    assert leftovers(tmp_path) == []


# where it goes


async def test_a_directory_a_name_and_what_ends_in_a_slash(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target, expected in [
        (tmp_path / "there", f"there/{INSTANCE_UID}.dcm"),
        (f"{tmp_path}/new/deep/", f"new/deep/{INSTANCE_UID}.dcm"),
        (tmp_path / "name.bin", "name.bin"),
        (tmp_path / "other" / "name", f"other/name/{INSTANCE_UID}.dcm"),
    ]:
        assert await store_one(saving(target)) == 0
        assert (tmp_path / expected).is_file()
    assert len(leftovers(tmp_path)) == 4


async def test_the_path_is_returned(tmp_path: Path) -> None:
    paths = []

    async def store(request: StoreRequest) -> None:
        paths.append(await request.save(tmp_path))

    await store_one(storing(store))
    assert paths == [tmp_path / f"{INSTANCE_UID}.dcm"]


async def test_progress_of_saving(tmp_path: Path) -> None:
    seen = []

    async def store(request: StoreRequest) -> None:
        async with request.save(tmp_path) as saved:
            seen.extend([step async for step in saved])
            assert (await saved).name == f"{INSTANCE_UID}.dcm"

    assert await store_one(storing(store), 3 * MEBIBYTE) == 0
    assert seen[-1].bytes == seen[-1].total == 3 * MEBIBYTE
    assert all(step.total is None for step in seen[:-1])


async def test_a_duplicate_replaces_what_was_there(tmp_path: Path) -> None:
    app = saving(tmp_path)
    async with connected(app, contexts=CONTEXTS) as association:
        for size in (5000, 300_000, 77):
            await association.store(instance(size))
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().endswith(content(77))
    assert path.stat().st_size < 1000


async def test_readers_of_the_old_file_are_not_disturbed(tmp_path: Path) -> None:
    app = saving(tmp_path)
    await store_one(app, 500)
    (path,) = tmp_path.iterdir()
    with path.open("rb") as old:
        await store_one(app, 900)
        assert old.read().endswith(content(500))
    assert path.read_bytes().endswith(content(900))


def last_pdu_apart(message: bytes) -> tuple[bytes, bytes]:
    """All PDUs of a message but the last, and that one."""
    at, last = 0, 0
    while at < len(message):
        last, at = at, at + 6 + int.from_bytes(message[at + 2 : at + 6], "big")
    return message[:last], message[last:]


async def test_nothing_has_the_name_before_it_is_complete(tmp_path: Path) -> None:
    async with scripted_requestor(saving(tmp_path)) as (association, peer):
        begin, end = last_pdu_apart(peer.upper.message(3, store_rq(), content(2 * MEBIBYTE)))
        peer.say_bytes(begin)
        await until(lambda: bool(leftovers(tmp_path)))
        (name,) = leftovers(tmp_path)
        assert name.startswith(".")
        assert name.endswith(".part")
        peer.say_bytes(end)
        assert (await peer.hear_command()).status == 0
        assert association.is_established
    assert leftovers(tmp_path) == [f"{INSTANCE_UID}.dcm"]


@pytest.mark.parametrize("end", ["abort", "hang up", "violate"])
async def test_an_aborted_transfer_leaves_nothing_behind(tmp_path: Path, end: str) -> None:
    before = held_buffers()
    async with scripted_requestor(saving(f"{tmp_path}/inbox/")) as (_, peer):
        peer.say_bytes(last_pdu_apart(peer.upper.message(3, store_rq(), content(2 * MEBIBYTE)))[0])
        await until(lambda: bool(leftovers(tmp_path)))
        if end == "abort":
            peer.abort()
        elif end == "hang up":
            peer.hang_up()
        else:
            peer.say_bytes(bytes(100))
        await peer.gone.wait()
    assert leftovers(tmp_path) == []
    assert held_buffers() == before


async def test_a_transfer_that_is_aborted_while_the_old_file_is_there_keeps_that(tmp_path: Path) -> None:
    await store_one(saving(tmp_path), 500)
    async with scripted_requestor(saving(tmp_path)) as (_, peer):
        peer.say_bytes(last_pdu_apart(peer.upper.message(3, store_rq(), content(2 * MEBIBYTE)))[0])
        await until(lambda: len(leftovers(tmp_path)) == 2)
        peer.abort()
        await peer.gone.wait()
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().endswith(content(500))


async def test_a_handler_that_fails_after_saving_keeps_the_file(tmp_path: Path) -> None:
    async def store(request: StoreRequest) -> None:
        await request.save(tmp_path)
        raise ZeroDivisionError

    assert await store_one(storing(store)) == 0x0110
    assert leftovers(tmp_path) == [f"{INSTANCE_UID}.dcm"]


# hostile names


HOSTILE = {
    "parent": "../../../../tmp/evil",
    "absolute": "/etc/passwd",
    "dots": "..",
    "dot": ".",
    "hidden": ".hidden",
    "nul": "1.2\0.3",
    "newline": "1.2\n3",
    "backslash": "..\\..\\evil",
    "drive": "C:evil",
    "spaces": "1. 2",
    "shell": "$(reboot)",
    "long": "1." + "2" * 10_000,
    "wildcard": "*",
    "dash": "-rf",
    "none": "",
}


@pytest.mark.parametrize("uid", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_uids_never_reach_the_file_system(
    tmp_path: Path, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused before the handler runs, which may build names of them too (PS3.7 C.5.6)."""
    called: list[Any] = []
    touched: list[Any] = []
    monkeypatch.setattr(files_module.NewFile, "open", lambda self: touched.append(self.path))
    async with scripted_requestor(storing(called.append)) as (association, peer):
        peer.say_bytes(with_uid(peer.upper.message(3, store_rq(), bytes(3000)), uid))
        answer = await peer.hear_command()
        assert answer.status == 0x0117
        assert answer.error_comment is not None
        assert len(answer.error_comment) <= 64
        assert association.is_established
    assert called == touched == []
    assert leftovers(tmp_path) == []


def with_uid(message: bytes, uid: str) -> bytes:
    """A C-STORE-RQ with another Affected SOP Instance UID, as only a hostile peer would send it."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    start = message.index(INSTANCE_UID.encode()) - 8
    old = int.from_bytes(message[start + 4 : start + 8], "little")
    command_end = 6 + int.from_bytes(message[2:6], "big")
    head, tail = message[12:start], message[start + 8 + old : command_end]
    command = head + b"\0\0\0\x10" + len(value).to_bytes(4, "little") + value + tail
    pdv = (len(command) + 2).to_bytes(4, "big") + b"\x03\x03" + command
    return b"\x04\0" + len(pdv).to_bytes(4, "big") + pdv + message[command_end:]


@pytest.mark.parametrize("uid", ["1.2.840.10008.5", "A1-b.2", "0", "1" * 64, "1" * 100])
async def test_odd_but_harmless_uids_are_taken(tmp_path: Path, uid: str) -> None:
    async with scripted_requestor(saving(tmp_path)) as (_, peer):
        peer.say_bytes(with_uid(peer.upper.message(3, store_rq(), bytes(3000)), uid))
        assert (await peer.hear_command()).status == 0
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".dcm"
    assert len(path.name) <= 68


async def test_a_sop_class_uid_is_checked_too() -> None:
    called: list[Any] = []
    async with scripted_requestor(storing(called.append)) as (_, peer):
        command = store_rq()
        message = peer.upper.message(3, command, bytes(30))
        uid = sop.CTImageStorage.encode()
        peer.say_bytes(message.replace(uid, b"../" + uid[3:]))
        assert (await peer.hear_command()).status == 0x0117
    assert called == []


# when the file system says no


async def test_a_full_disk_is_answered_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, room = held_buffers(), [MEBIBYTE]

    def writev(descriptor: int, chunks: Sequence[Any]) -> int:
        """As on a disk that gets full: a short write, then the error."""
        data = b"".join(chunks)[: room[0]]
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(data)
        return os.write(descriptor, data)

    monkeypatch.setattr("os.writev", writev)
    app = saving(tmp_path)
    app.map_exception(OSError, 0xA700)
    async with connected(app, contexts=CONTEXTS) as association:
        with pytest.raises(StatusError, match=r"0xA700.*No space left on device") as caught:
            await association.store(instance(3 * MEBIBYTE))
        assert caught.value.status == 0xA700
        assert leftovers(tmp_path) == []
        room[0] = 10 * MEBIBYTE
        assert (await association.store(instance(3 * MEBIBYTE))).status == 0
    assert leftovers(tmp_path) == [f"{INSTANCE_UID}.dcm"]
    assert held_buffers() == before


LIMITED = """
import asyncio, resource, signal, sys
sys.path.insert(0, {root!r})
from dicomio import Application, StatusError
from dicomio.testing import connected
from tests.association.peers import CONTEXTS, MEBIBYTE, instance

app = Application("APP")
app.map_exception(OSError, 0xA700)

@app.store("*")
async def store(request):
    await request.save({directory!r})

async def main():
    async with connected(app, contexts=CONTEXTS) as association:
        try:
            await association.store(instance(3 * MEBIBYTE))
        except StatusError as error:
            print(hex(error.status), error.response.error_comment)
        print((await association.store(instance(1000))).status)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))
asyncio.run(main())
"""


def test_a_limit_of_the_system_on_the_size_of_files(tmp_path: Path) -> None:
    """A real error of a real write, in a process of its own."""
    root = str(Path(__file__).parent.parent.parent)
    program = LIMITED.format(root=root, directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines() == ["0xa700 File too large", "0x0000 Success"]
    assert leftovers(tmp_path) == [f"{INSTANCE_UID}.dcm"]


@pytest.mark.parametrize("where", ["file in the way", "directory in the way"])
async def test_what_is_in_the_way_is_answered(tmp_path: Path, where: str) -> None:
    if where == "file in the way":
        (tmp_path / "file").touch()
        target = tmp_path / "file" / "below" / "name"
    else:
        target = tmp_path
        (tmp_path / f"{INSTANCE_UID}.dcm").mkdir()
    before = leftovers(tmp_path)
    app = saving(target)
    app.map_exception(OSError, 0xA700)
    assert await store_one(app) == 0xA700
    assert leftovers(tmp_path) == before


async def test_fsync_reaches_file_and_directory_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        order.append("directory" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def note_replace(source: str, target: Path) -> None:
        order.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    assert await store_one(saving(tmp_path, fsync=True)) == 0
    assert order == ["file", "rename", "directory"]
    order.clear()
    assert await store_one(saving(tmp_path)) == 0
    assert order == ["rename"]


# the file by itself


def test_more_chunks_than_one_system_call_takes(tmp_path: Path) -> None:
    file = NewFile(tmp_path, "name")
    chunks = [bytes([number % 256]) * 3 for number in range(2 * VECTORS + 5)]
    file.write(chunks)
    file.write([], last=True)
    assert file.path.read_bytes() == b"".join(chunks)


def test_one_write_is_not_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write_chunks(descriptor: int, chunks: Sequence[bytes | memoryview]) -> int:
        written.append(sum(map(len, chunks)))
        return os.writev(descriptor, chunks)

    monkeypatch.setattr(files_module, "write_chunks", write_chunks)
    file = NewFile(tmp_path, "name")
    sizes = [LONGEST_WRITE, 1, LONGEST_WRITE - 1, LONGEST_WRITE // 2, LONGEST_WRITE + 1, 0, 5]
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    file.write(chunks, last=True)
    assert file.path.read_bytes() == b"".join(chunks)
    assert written == [LONGEST_WRITE, LONGEST_WRITE, LONGEST_WRITE // 2, LONGEST_WRITE, 1 + 5]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal, or a file system that feels like it, may cut a write anywhere."""
    monkeypatch.setattr(
        files_module, "write_chunks", lambda descriptor, chunks: os.write(descriptor, b"".join(chunks)[:7])
    )
    file = NewFile(tmp_path, "name")
    file.write([b"abc", b"", b"defghijkl", b"mnopqrstuvwxyz"], last=True)
    assert file.path.read_bytes() == b"abcdefghijklmnopqrstuvwxyz"


def test_without_vectored_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "writev")
    file = NewFile(tmp_path, "name")
    file.write([b"abc", b"def"], last=True)
    assert file.path.read_bytes() == b"abcdef"


def test_discarding_twice_and_after_the_end_does_nothing(tmp_path: Path) -> None:
    file = NewFile(tmp_path, "name")
    file.discard()
    file.write([b"abc"])
    file.discard()
    file.discard()
    assert leftovers(tmp_path) == []
    whole = NewFile(tmp_path, "name")
    whole.write([b"abc"], last=True)
    whole.discard()
    assert leftovers(tmp_path) == ["name"]


def test_permissions_follow_the_mask_of_the_process(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        file = NewFile(tmp_path, "name")
        file.write([b"abc"], last=True)
    finally:
        os.umask(previous)
    assert file.path.stat().st_mode & 0o777 == 0o640


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "name").symlink_to(tmp_path / "precious")
    file = NewFile(tmp_path / "name", "unused")
    file.write([b"abc"], last=True)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "name").is_symlink()


def test_two_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    first, second = NewFile(tmp_path, "name"), NewFile(tmp_path, "name")
    first.write([b"one"])
    second.write([b"two"])
    first.write([b"1"], last=True)
    second.write([b"2"], last=True)
    assert (tmp_path / "name").read_bytes() == b"two2"
    assert leftovers(tmp_path) == ["name"]


async def test_a_dataset_that_cannot_be_decoded() -> None:
    errors = []

    async def store(request: StoreRequest) -> None:
        try:
            await request.dataset()
        except InvalidInstance as error:
            errors.append(error)
            raise

    app = storing(store)
    app.map_exception(InvalidInstance, 0xC000)
    async with scripted_requestor(app) as (_, peer):
        peer.say(store_rq(), b"\x08\0\x05\0CS\xff\xff" + bytes(10), 3)
        assert (await peer.hear_command()).status == 0xC000
    assert len(errors) == 1
