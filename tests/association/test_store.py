"""C-STORE: what is sent, in which context, and what becomes of the answer (PS3.4 B, PS3.7 9.1.1)."""

import asyncio
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    Application,
    InvalidInstance,
    Limits,
    LocalProtocolError,
    NoPresentationContext,
    Refused,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import Instance
from dicomio.outgoing import BATCH, FileData, StreamData
from dicomio.services.storage import Priority, contexts_to_propose
from dicomio.testing import connected
from dicomio.threads import in_thread
from dicomio.wire.commands import CommandField
from dicomio.wire.pdata import BatchPacker, payload_size
from tests.association.peers import (
    CONTEXTS,
    CT,
    INSTANCE_UID,
    MEBIBYTE,
    SAMPLES,
    MemoryClient,
    content,
    instance,
    response,
    scripted_acceptor,
    started,
    store_rq,
    storing,
)

pytestmark = pytest.mark.usefixtures("either_pace")


class Inbox:
    """An application that keeps what it is sent.

    Attributes:
        received: requests and their data sets.
    """

    def __init__(self) -> None:
        self.received: list[tuple[StoreRequest, bytes]] = []
        self.app = storing(self.store)

    async def store(self, request: StoreRequest) -> None:
        self.received.append((request, await request.read()))


async def test_the_command_says_what_is_sent() -> None:
    async with scripted_acceptor() as (association, peer):
        storing_it = started(
            association.store(instance(), priority=Priority.LOW, move_originator="MOVER", move_originator_message_id=17)
        )
        command = await peer.hear_command()
        assert command.field == CommandField.C_STORE_RQ
        assert command.affected_sop_class_uid == sop.CTImageStorage
        assert command.affected_sop_instance_uid == INSTANCE_UID
        assert command.priority == 2
        assert (command.move_originator, command.move_originator_message_id) == ("MOVER", 17)
        assert command.has_data_set
        assert await peer.hear_data() == content(1000)
        peer.say(response(command), context_id=3)
        assert (await storing_it).status == Status.SUCCESS


SIZES = [2, 16_378, 16_384, 262_144, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH, 3 * BATCH + 12_345]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["bytes", "file", "stream"])
async def test_every_size_from_every_source(tmp_path: Path, size: int, kind: str) -> None:
    inbox = Inbox()
    source = instance(size)
    if kind == "file":
        path = tmp_path / "data"
        await in_thread(path.write_bytes, b"skip" + content(size))
        source = Instance(source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax, path, 4, size)
    async with MemoryClient(inbox.app) as client:
        if kind == "stream":

            async def forward(request: StoreRequest) -> None:
                await client.store(request)

            async with connected(storing(forward), contexts=CONTEXTS) as association:
                await association.store(source)
        else:
            await client.store(source)
    ((_, data),) = inbox.received
    assert data == content(size)


@pytest.mark.parametrize("maximum", [4096, 16_384, 100_001, 0])
async def test_pdus_are_as_long_as_the_peer_takes_them(maximum: int) -> None:
    inbox = Inbox()
    async with connected(inbox.app, contexts=CONTEXTS, limits=Limits(max_pdu=maximum), strict=True) as association:
        assert association.agreement is not None
        assert association.agreement.send_maximum == maximum
        await association.store(instance(2 * MEBIBYTE + 77))
    assert inbox.received[0][1] == content(2 * MEBIBYTE + 77)


async def test_path_text_data_set_and_instance() -> None:
    inbox = Inbox()
    path = SAMPLES / "CT_small.dcm"
    ds = await in_thread(dcmread, path)
    opened = await in_thread(Instance.open, path)
    async with connected(inbox.app, contexts=CONTEXTS) as association:
        for source in (path, str(path), opened, ds):
            assert (await association.store(source)).status == 0
    sets = [data for _, data in inbox.received]
    assert sets[0] == sets[1] == sets[2] == await in_thread(opened.read)
    assert {request.sop_instance_uid for request, _ in inbox.received} == {ds.SOPInstanceUID}


async def test_a_data_set_decoded_by_the_handler() -> None:
    seen = []

    async def store(request: StoreRequest) -> None:
        seen.append(await request.dataset())

    async with connected(storing(store), contexts=CONTEXTS) as association:
        await association.store(SAMPLES / "CT_small.dcm")
    assert seen[0].PatientID == "1CT1"
    assert seen[0].file_meta.TransferSyntaxUID == sop.ExplicitVRLittleEndian


async def test_progress_of_sending() -> None:
    async with (
        connected(Inbox().app, contexts=CONTEXTS) as association,
        association.store(instance(3 * BATCH + 6)) as sending,
    ):
        steps = [step async for step in sending]
        assert (await sending).status == 0
    assert steps[-1].bytes == 3 * BATCH + 6
    assert {step.total for step in steps} == {3 * BATCH + 6}
    assert [step.bytes for step in steps] == sorted(step.bytes for step in steps)


# what comes back


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0001])
async def test_a_warning_is_returned(status: int) -> None:
    async with scripted_acceptor() as (association, peer):
        storing_it = started(association.store(instance()))
        answer = response(await peer.hear_request(), status)
        answer.error_comment = "coerced"
        peer.say(answer, context_id=3)
        result = await storing_it
        assert (result.status, result.error_comment) == (status, "coerced")


@pytest.mark.parametrize("status", [0x0110, 0x0117, 0x0122, 0xA700, 0xA900, 0xC000, 0xCFFF, 0x1234])
async def test_a_failure_is_raised(status: int) -> None:
    async with scripted_acceptor() as (association, peer):
        storing_it = started(association.store(instance()))
        answer = response(await peer.hear_request(), status)
        answer.error_comment, answer.offending_elements = "no room", (0x00100010, 0x00080018)
        peer.say(answer, context_id=3)
        with pytest.raises(
            StatusError, match=f"answered C-STORE of {INSTANCE_UID} with 0x{status:04X}.*no room"
        ) as caught:
            await storing_it
        assert caught.value.status == status
        assert tuple(caught.value.response.offending_elements) == (0x00100010, 0x00080018)
        assert association.is_established


async def test_an_answer_before_the_end_of_the_data_set() -> None:
    """Some peers refuse as soon as they have seen the command; the message goes on to its end all the same."""
    async with scripted_acceptor() as (association, peer):
        storing_it = started(association.store(instance(3 * MEBIBYTE)))
        command = await peer.hear_command()
        peer.say(response(command, 0xA700), context_id=3)
        assert await peer.hear_data() == content(3 * MEBIBYTE)
        with pytest.raises(StatusError):
            await storing_it
        echo = started(association.echo())
        peer.say(response(await peer.hear_command()))
        await echo


async def test_answers_out_of_order_find_their_requests() -> None:
    async with scripted_acceptor() as (association, peer):
        association.window.size = 3
        waiting = [
            started(association.store(instance(100 * number, f"{INSTANCE_UID}.{number}"))) for number in (1, 2, 3)
        ]
        commands = [await peer.hear_request() for _ in waiting]
        for command, status in zip(reversed(commands), (0xB003, 0xB002, 0xB001), strict=True):
            peer.say(response(command, status), context_id=3)
        found = [(await each).status for each in waiting]
        assert found == [0xB001, 0xB002, 0xB003]


async def test_an_answer_to_nothing_is_noted() -> None:
    async with scripted_acceptor() as (association, peer):
        command = response(store_rq())
        command.responding_to = 4711
        peer.say(command, context_id=3)
        echo = started(association.echo())
        peer.say(response(await peer.hear_command()))
        await echo
        assert "responded to a request that is not outstanding" in association.quirks


# what cannot be sent


async def test_what_is_no_dicom_leaves_the_association_as_it_was(tmp_path: Path) -> None:
    async with connected(Inbox().app, contexts=CONTEXTS) as association:
        with pytest.raises(InvalidInstance):
            await association.store(SAMPLES / "README.txt")
        with pytest.raises(FileNotFoundError):
            await association.store(tmp_path / "missing")
        with pytest.raises(InvalidInstance, match="SOP Class UID"):
            await association.store(Dataset())
        assert await association.echo() >= 0


async def test_a_file_that_has_gone_since_it_was_opened(tmp_path: Path) -> None:
    """Nothing was sent yet, so the association stays."""
    gone = Instance(sop.CTImageStorage, INSTANCE_UID, sop.ExplicitVRLittleEndian, tmp_path / "gone", 0, 100)
    async with connected(Inbox().app, contexts=CONTEXTS) as association:
        with pytest.raises(FileNotFoundError):
            await association.store(gone)
        assert not association.pending
        assert await association.echo() >= 0


async def test_a_file_that_is_shorter_than_it_was(tmp_path: Path) -> None:
    path = tmp_path / "short"
    await in_thread(path.write_bytes, bytes(50))
    short = Instance(sop.CTImageStorage, INSTANCE_UID, sop.ExplicitVRLittleEndian, path, 0, 100)
    async with connected(Inbox().app, contexts=CONTEXTS) as association:
        with pytest.raises(InvalidInstance, match="has become shorter"):
            await association.store(short)
        assert await association.echo() >= 0


async def test_a_class_that_was_not_proposed() -> None:
    async with connected(Inbox().app, contexts=CONTEXTS) as association:
        with pytest.raises(NoPresentationContext, match="was not proposed on this association") as caught:
            await association.store(instance(sop_class=sop.MRImageStorage))
        assert caught.value.sop_class == sop.MRImageStorage


async def test_a_class_that_the_peer_does_not_take() -> None:
    app = Application("APP")
    app.store(sop.MRImageStorage)(lambda request: None)
    async with connected(app, contexts=CONTEXTS) as association:
        with pytest.raises(NoPresentationContext, match="the peer does not support the SOP class"):
            await association.store(instance())


async def test_a_transfer_syntax_that_the_peer_does_not_take() -> None:
    app = Application("APP")
    app.store("*", transfer_syntaxes=[sop.ExplicitVRLittleEndian])(lambda request: None)
    video = Instance.from_bytes(sop.VideoEndoscopicImageStorage, INSTANCE_UID, sop.MPEG4HP41, bytes(100))
    async with MemoryClient(app) as client:
        with pytest.raises(NoPresentationContext, match="the peer supports none of the transfer syntaxes") as caught:
            await client.store(video)
        assert caught.value.transfer_syntax == sop.MPEG4HP41


async def test_uids_that_cannot_be_sent() -> None:
    async with connected(Inbox().app, contexts=CONTEXTS) as association:
        with pytest.raises(LocalProtocolError):
            await association.store(instance(uid="1." + "2" * 100))
        assert not association.pending
        assert await association.echo() >= 0


# passing on


async def test_passing_on_keeps_the_bytes_and_the_flow() -> None:
    """A proxy holds no more of an object than is on its way, whatever its size."""
    go_on, inbox = asyncio.Event(), Inbox()

    async def hold(request: StoreRequest) -> None:
        await go_on.wait()
        await inbox.store(request)

    async with MemoryClient(storing(hold)) as inner:

        async def forward(request: StoreRequest) -> Status:
            return (await inner.store(request)).status

        async with connected(storing(forward), contexts=CONTEXTS) as association:
            sending = association.store(instance(20 * MEBIBYTE))
            first = await anext(aiter(sending))
            assert first.bytes < 8 * MEBIBYTE
            go_on.set()
            assert (await sending).status == 0
    assert inbox.received[0][1] == content(20 * MEBIBYTE)


async def test_a_refusal_further_on_comes_back() -> None:
    async def refuse(request: StoreRequest) -> None:
        raise Refused(0xA701, "inner is full")

    async with MemoryClient(storing(refuse)) as inner:

        async def forward(request: StoreRequest) -> Status:
            return (await inner.store(request)).status

        async with connected(storing(forward), contexts=CONTEXTS) as association:
            with pytest.raises(StatusError, match="inner is full") as caught:
                await association.store(instance(3 * MEBIBYTE))
            assert caught.value.status == 0xA701
            assert await association.echo() >= 0


async def test_passing_on_stops_when_the_first_peer_aborts() -> None:
    """Half an object must not look like a whole one: the association behind is aborted too."""
    inner_errors, arrived = [], asyncio.Event()

    async def store(request: StoreRequest) -> None:
        arrived.set()
        try:
            await request.read()
        except asyncio.CancelledError:
            inner_errors.append(True)
            raise

    async with MemoryClient(storing(store)) as inner:

        async def forward(request: StoreRequest) -> None:
            await inner.store(request)

        async with MemoryClient(storing(forward)) as outer:
            sending = started(outer.store(instance(20 * MEBIBYTE)))
            await arrived.wait()
            outer.opened[0].abort()
            with pytest.raises(dicomio.AssociationAborted):
                await sending
    assert inner_errors == [True]


# the sources by themselves


async def test_a_stream_is_cut_into_batches_at_any_size() -> None:
    for sizes in ([], [1], [10, 20, 30], [100] * 50, [4000, 1, 4000], [8192], [8192, 1]):
        chunks = [content(size) for size in sizes]

        async def produce(chunks: list[bytes] = chunks):  # type: ignore[no-untyped-def]
            for chunk in chunks:
                yield chunk

        batch = BatchPacker(1, payload_size(1030), 4096)
        source = StreamData(produce())
        sent, last = 0, False
        rounds = 0
        while not last:
            view, count, last = await source.fill(batch)
            assert count <= batch.capacity
            assert count == batch.capacity or last
            assert len(view) > count
            sent += count
            rounds += 1
        assert sent == sum(size + size % 2 for size in sizes)
        assert rounds == max(1, -(-sent // batch.capacity))
        await source.aclose()


async def test_a_file_is_closed_however_its_sending_ends(tmp_path: Path) -> None:
    path = tmp_path / "data"
    await in_thread(path.write_bytes, bytes(10_000))
    source = FileData(path, 0, 10_000, None)
    await source.fill(BatchPacker(1, 1000, 2000))
    assert source.descriptor >= 0
    await source.aclose()
    assert source.descriptor < 0
    await source.aclose()


def test_what_is_proposed_for_an_object() -> None:
    """Its own transfer syntax by itself, so that the peer has to say yes or no to that; and what it can become."""
    uid = sop.CTImageStorage
    assert list(contexts_to_propose(uid, sop.ExplicitVRLittleEndian)) == [
        PresentationContext(uid, (sop.ExplicitVRLittleEndian,)),
        PresentationContext(uid, (sop.ImplicitVRLittleEndian,)),
    ]
    assert list(contexts_to_propose(uid, sop.RLELossless)) == [
        PresentationContext(uid, (sop.RLELossless,)),
        PresentationContext(uid, (sop.ExplicitVRLittleEndian, sop.ImplicitVRLittleEndian)),
    ]
    assert list(contexts_to_propose(uid, sop.MPEG4HP41)) == [PresentationContext(uid, (sop.MPEG4HP41,))]


async def test_small_objects_leave_in_one_write() -> None:
    """Command and data set together, so that nobody's Nagle algorithm waits for an acknowledgement in between."""
    async with scripted_acceptor(contexts=[CT]) as (association, peer):
        transport = association.protocol.transport
        assert transport is not None
        writes, write = [], transport.write

        def note(data: bytes) -> None:
            writes.append(len(data))
            write(data)

        transport.write = note  # type: ignore[method-assign, assignment]
        storing_it = started(association.store(instance(2000)))
        peer.say(response(await peer.hear_request()))
        await storing_it
        assert len(writes) == 1
