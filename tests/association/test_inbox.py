"""An association without handlers: its requests taken in a loop, its messages made by hand, its end told by hooks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dicomio import (
    STUDY_ROOT,
    Application,
    Association,
    AssociationAborted,
    AssociationRejected,
    EchoRequest,
    FindRequest,
    NoPresentationContext,
    Proposal,
    Request,
    Status,
    StatusError,
    StoreRequest,
    dataset,
    query,
)
from dicomio.requests import NormalizedRequest
from dicomio.sop import CTImageStorage, Printer, Verification
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField

IMAGE = dataset(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3", PatientName="DOE^JANE")
Loop = Callable[[Association], Awaitable[None]]


def accepting(loop: Loop) -> tuple[Application, "asyncio.Future[None]"]:
    """An application whose associations are served by a loop, and what that came to."""
    app = Application("LOOP")
    outcome = asyncio.get_running_loop().create_future()

    @app.on_connect
    async def converse(association: Association) -> None:
        try:
            await loop(association)
        except Exception as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    @app.store()
    @app.find(STUDY_ROOT)
    @app.n_get(Printer)
    async def by_handler(request: Request) -> Status:
        return Status(0xC001)

    return app, outcome


async def test_every_kind_of_request_comes_in_its_turn() -> None:
    seen: list[str] = []

    async def loop(association: Association) -> None:
        async for request in association.requests():
            seen.append(type(request).__name__)
            if isinstance(request, StoreRequest):
                seen.append(str((await request.dataset()).PatientName))
            elif isinstance(request, FindRequest):
                await request.send(dataset(StudyInstanceUID="1.2"))
            elif isinstance(request, NormalizedRequest):
                request.result = dataset(PrinterStatus="NORMAL")

    app, outcome = accepting(loop)
    async with connected(app) as association:
        await association.echo()
        assert (await association.store(IMAGE)).status == Status.SUCCESS
        (match,) = await association.find(query("STUDY", StudyInstanceUID=""))
        assert match.StudyInstanceUID == "1.2"
        assert (await association.n_get(Printer, "1.2")).PrinterStatus == "NORMAL"
    await outcome
    assert seen == ["EchoRequest", "StoreRequest", "DOE^JANE", "FindRequest", "GetRequest"]


async def test_status_and_comment_are_what_the_body_sets() -> None:
    async def loop(association: Association) -> None:
        async for request in association.requests():
            request.status, request.comment = Status.OUT_OF_RESOURCES, "full"

    app, _ = accepting(loop)
    async with connected(app) as association:
        with pytest.raises(StatusError, match="full") as refused:
            await association.store(IMAGE)
    assert refused.value.status == Status.OUT_OF_RESOURCES


async def test_a_cancel_is_there_to_be_looked_at() -> None:
    async def loop(association: Association) -> None:
        async for request in association.requests():
            assert isinstance(request, FindRequest)
            while not request.cancelled:
                await request.send(dataset(StudyInstanceUID="1.2"))

    app, outcome = accepting(loop)
    async with connected(app) as association:
        async with association.find(query("STUDY", StudyInstanceUID="")) as matches:
            async for _ in matches:
                break
        assert association.is_established
    await outcome


async def test_what_is_wrong_by_itself_is_refused_unseen() -> None:
    async def loop(association: Association) -> None:
        async for request in association.requests():
            assert isinstance(request, EchoRequest)

    app, outcome = accepting(loop)
    async with connected(app) as association:
        command = Command(
            CommandField.C_STORE_RQ, affected_sop_class_uid=CTImageStorage, affected_sop_instance_uid="../1", priority=0
        )
        reply = await association.send(command, IMAGE)
        assert reply is not None
        assert reply.command.status == Status.INVALID_SOP_INSTANCE
        await association.echo()
    await outcome


async def test_a_data_set_that_never_comes_is_answered_unseen() -> None:
    async def loop(association: Association) -> None:
        async for request in association.requests():
            assert isinstance(request, EchoRequest)

    app, outcome = accepting(loop)
    async with connected(app) as association:
        context = next(each for each in association.contexts.values() if each.abstract_syntax == STUDY_ROOT.find)
        find = Command(CommandField.C_FIND_RQ, affected_sop_class_uid=STUDY_ROOT.find, priority=0, has_data_set=True)
        pending = await association.start(context, find)
        echo = Command(CommandField.C_ECHO_RQ, message_id=99, affected_sop_class_uid=Verification)
        association.post(context.id, echo)
        assert (await association.reply(pending)).command.status == Status.CANNOT_UNDERSTAND
    await outcome


async def test_a_file_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    async def loop(association: Association) -> None:
        async for request in association.requests():
            assert isinstance(request, StoreRequest)
            with suppress(OSError):
                await request.save(tmp_path / "file" / "1.dcm")

    (tmp_path / "file").touch()
    app, _ = accepting(loop)
    async with connected(app) as association:
        with pytest.raises(StatusError, match="not taken"):
            await association.store(IMAGE)


async def test_leaving_gives_requests_back_to_the_handlers() -> None:
    async def loop(association: Association) -> None:
        async with association.requests() as requests:
            async for _ in requests:
                break

    app, outcome = accepting(loop)
    async with connected(app) as association:
        assert (await association.store(IMAGE)).status == Status.SUCCESS
        await outcome
        with pytest.raises(StatusError) as refused:
            await association.store(IMAGE)
    assert refused.value.status == 0xC001


async def test_an_error_in_the_body_is_a_failure_for_the_peer() -> None:
    async def loop(association: Association) -> None:
        async with association.requests() as requests:
            async for _ in requests:
                raise KeyError("mine")

    app, outcome = accepting(loop)
    async with connected(app) as association:
        with pytest.raises(StatusError, match="not taken") as refused:
            await association.store(IMAGE)
        assert refused.value.status == Status.PROCESSING_FAILURE
    with pytest.raises(KeyError):
        await outcome


async def test_an_abort_is_an_error_and_a_release_is_the_end() -> None:
    async def loop(association: Association) -> None:
        async for _ in association.requests():
            pass

    released, over = accepting(loop)
    async with connected(released) as association:
        await association.echo()
    await over

    aborted, over = accepting(loop)
    async with connected(aborted) as association:
        await association.echo()
        association.abort()
        with pytest.raises(AssociationAborted):
            await over


async def test_the_requesting_side_has_a_loop_too() -> None:
    app = Application("PRINTER")

    @app.n_get(Printer)
    async def report(request: Request) -> None:
        request.after(request.association.n_event_report, Printer, "1.2", 2, dataset(PrinterName="P"))

    async with connected(app, contexts=[Printer]) as association, association.requests() as requests:
        waiting = asyncio.ensure_future(anext(aiter(requests)))
        await association.n_get(Printer, "1.2")
        event = await waiting
        assert (event.command.name, event.command.event_type_id) == ("N-EVENT-REPORT-RQ", 2)


async def test_a_request_of_ones_own_making_gets_its_id_and_its_response() -> None:
    app = Application("ECHO")
    async with connected(app) as association:
        command = Command(CommandField.C_ECHO_RQ, affected_sop_class_uid=Verification)
        reply = await association.send(command)
        assert reply is not None
        assert command.message_id == reply.command.responding_to
        assert (reply.command.status, reply.data) == (Status.SUCCESS, None)


async def test_a_failure_does_not_raise_and_data_may_be_encoded_already() -> None:
    app = Application("STRICT")
    received: list[bytes] = []

    @app.store()
    async def store(request: StoreRequest) -> Status:
        received.append(await request.read())
        return Status.OUT_OF_RESOURCES

    async with connected(app, contexts=[Verification, CTImageStorage]) as association:
        command = Command(
            CommandField.C_STORE_RQ, affected_sop_class_uid=CTImageStorage, affected_sop_instance_uid="1.2", priority=0
        )
        reply = await association.send(command, b"\x08\x00\x60\x00CS\x02\x00CT", context_id=3)
        assert reply is not None
        assert reply.command.status == Status.OUT_OF_RESOURCES
    assert received == [b"\x08\x00\x60\x00CS\x02\x00CT"]


async def test_what_is_no_request_has_no_response() -> None:
    async with connected(Application("ECHO")) as association:
        assert await association.send(Command(CommandField.C_CANCEL_RQ, responding_to=7), context_id=1) is None
        await association.echo()


async def test_a_message_needs_a_context() -> None:
    async with connected(Application("ECHO")) as association:
        with pytest.raises(NoPresentationContext):
            await association.send(Command(CommandField.C_ECHO_RQ, affected_sop_class_uid=Printer))
        with pytest.raises(NoPresentationContext):
            await association.send(Command(CommandField.C_ECHO_RQ, affected_sop_class_uid=Verification), context_id=77)


async def test_hooks_tell_a_release_from_an_abort() -> None:
    app = Application("HOOKS")
    heard: list[str] = []

    @app.on_release
    async def released(association: Association) -> None:
        heard.append(f"released {type(association.ended).__name__}")

    @app.on_abort
    async def aborted(association: Association) -> None:
        heard.append(f"aborted {type(association.ended).__name__}")

    @app.on_close
    async def closed(association: Association) -> None:
        heard.append("closed")

    @app.on_associate
    async def admit(proposal: Proposal) -> None:
        if proposal.peer.ae_title == "STRANGER":
            raise AssociationRejected

    async with connected(app):
        pass
    async with connected(app) as association:
        association.abort()
    with pytest.raises(AssociationRejected):
        async with connected(app, ae_title="STRANGER"):
            pass
    assert heard == ["released AssociationReleased", "closed", "aborted AssociationAborted", "closed", "closed"]


async def test_a_loop_that_hears_of_the_end_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    app = Application("LOOP")

    @app.on_connect
    async def converse(association: Association) -> None:
        async with association.requests() as requests:
            async for _ in requests:
                raise KeyError("a fault")

    async with connected(app) as association:
        association.abort()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    async with connected(app) as association:
        with pytest.raises(StatusError):
            await association.echo()
    (failure,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "a hook of the application failed" in failure.message
