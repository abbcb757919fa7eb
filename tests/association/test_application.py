"""`Application`: handlers, middleware, statuses, hooks, and what follows from which handlers there are."""

import asyncio
import itertools
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import dicomio
from dicomio import (
    Application,
    Association,
    AssociationRejected,
    NoPresentationContext,
    Proposal,
    Refused,
    Request,
    Role,
    Status,
    StatusError,
    StoreRequest,
    UnknownRequest,
    sop,
)
from dicomio.application import UNCOMPRESSED
from dicomio.config import PresentationContext
from dicomio.errors import REJECT_REASONS, ConnectionLost
from dicomio.session import AssociateAccepted, AssociateRejected
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import (
    CONTEXTS,
    CT,
    INSTANCE_UID,
    MEBIBYTE,
    MemoryClient,
    echo_rq,
    instance,
    scripted_requestor,
    settled,
    started,
    store_rq,
    storing,
    until,
)


async def status_of_store(app: Application) -> tuple[int, str | None]:
    """What an application answers to a C-STORE: status and comment."""
    async with connected(app, contexts=CONTEXTS) as association:
        try:
            response = await association.store(instance())
        except StatusError as error:
            return int(error.status), error.response.error_comment
        finally:
            assert await association.echo() >= 0
        return int(response.status), response.error_comment


class Full(Exception):
    """What an archive may raise."""


class Fuller(Full):
    """And a special case of it."""


def raising(error: BaseException) -> Application:
    async def store(request: StoreRequest) -> None:
        raise error

    return storing(store)


# what handlers return and raise


@pytest.mark.parametrize(
    "result, status",
    [
        (None, 0),
        (Status.SUCCESS, 0),
        (0, 0),
        (Status.COERCION_OF_DATA_ELEMENTS, 0xB000),
        (0xA700, 0xA700),
        (Status.OUT_OF_RESOURCES, 0xA700),
    ],
)
async def test_what_a_handler_returns_is_the_status(result: Any, status: int) -> None:
    async def store(request: StoreRequest) -> Any:
        return result

    assert await status_of_store(storing(store)) == (status, None)


@pytest.mark.parametrize("result", ["Success", 1.5, 0x10000, -1, [0]])
async def test_nonsense_from_a_handler_is_a_failure(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def store(request: StoreRequest) -> Any:
        return result

    status, _ = await status_of_store(storing(store))
    assert status == Status.PROCESSING_FAILURE
    assert [record.levelname for record in caplog.records if record.name == "dicomio.application"] == ["ERROR"]


async def test_refused_carries_status_and_comment() -> None:
    assert await status_of_store(raising(Refused(0xC123, "bad pixels"))) == (0xC123, "bad pixels")


async def test_a_comment_of_any_length_and_alphabet_can_be_sent() -> None:
    """Error Comment has 64 characters of the default repertoire (PS3.7 E.1, PS3.5 6.2)."""
    status, comment = await status_of_store(raising(Refused(0xC123, "ä\n" + "x" * 100)))
    assert status == 0xC123
    assert comment is not None
    assert len(comment) <= 64
    assert comment.endswith("xxx")


async def test_a_status_error_is_passed_on() -> None:
    """So that a handler that asks another peer passes its refusal on, without a word of code."""
    async with MemoryClient(raising(Refused(0xA900, "wrong class"))) as inner:

        async def forward(request: StoreRequest) -> Any:
            return (await inner.store(request)).status

        assert await status_of_store(storing(forward)) == (0xA900, "wrong class")


@pytest.mark.parametrize(
    "error, status, comment",
    [
        (Full("secret path"), 0xA700, None),
        (Fuller(), 0xA701, None),
        (OSError(28, "No space left on device", "/secret/path"), 0xA702, "No space left on device"),
        (FileNotFoundError(2, "No such file or directory"), 0xA702, "No such file or directory"),
        (KeyError("secret"), 0x0110, None),
    ],
)
async def test_exceptions_are_mapped_by_their_nearest_class(error: Exception, status: int, comment: str) -> None:
    """And what they say, which may be private, is not told to the peer."""
    app = raising(error)
    app.map_exception(Full, 0xA700)
    app.map_exception(Fuller, 0xA701)
    app.map_exception(OSError, 0xA702)
    assert await status_of_store(app) == (status, comment)


async def test_an_unexpected_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await status_of_store(raising(ZeroDivisionError()))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert "C-STORE" in record.getMessage()


# which handler


async def test_plain_functions_run_in_threads() -> None:
    threads = []

    def store(request: StoreRequest) -> Status:
        threads.append(threading.current_thread())
        return Status.ELEMENTS_DISCARDED

    assert await status_of_store(storing(store)) == (0xB006, None)
    assert threads[0] is not threading.main_thread()


async def test_plain_functions_raise_what_others_raise() -> None:
    def store(request: StoreRequest) -> None:
        raise Refused(0xA700, "no room")

    assert await status_of_store(storing(store)) == (0xA700, "no room")


async def test_callable_objects_are_handlers() -> None:
    class Store:
        async def __call__(self, request: StoreRequest) -> int:
            return 0xB007

    assert await status_of_store(storing(Store())) == (0xB007, None)


async def test_a_handler_for_one_sop_class_comes_before_one_for_all() -> None:
    app, order = Application("APP"), []

    @app.store("*")
    async def everything(request: StoreRequest) -> None:
        order.append("everything")

    @app.store(sop.CTImageStorage, sop.MRImageStorage)
    async def some(request: StoreRequest) -> None:
        order.append("some")

    secondary = PresentationContext(sop.SecondaryCaptureImageStorage, (sop.ExplicitVRLittleEndian,))
    async with connected(app, contexts=[CT, secondary]) as association:
        await association.store(instance())
        await association.store(instance(sop_class=sop.SecondaryCaptureImageStorage))
    assert order == ["some", "everything"]


async def test_a_handler_for_private_sop_classes() -> None:
    app = Application("APP")
    app.store("1.2.840.99.1")(lambda request: None)
    assert app.supported("1.2.840.99.1") is not None
    assert app.supported("1.2.840.99.2") is None
    assert app.supported(sop.CTImageStorage) is None


async def test_a_handler_without_arguments_takes_every_standard_sop_class() -> None:
    app = Application("APP")
    app.store()(lambda request: None)
    assert all(app.supported(uid) is not None for uid in sop.STORAGE)
    assert app.supported("1.2.840.99.1") is None


async def test_what_is_accepted_follows_from_the_handlers() -> None:
    app = Application("APP")
    app.store(sop.CTImageStorage, transfer_syntaxes=[sop.JPEG2000Lossless])(lambda request: None)
    contexts = [
        PresentationContext(sop.CTImageStorage, (sop.ExplicitVRLittleEndian, sop.JPEG2000Lossless)),
        PresentationContext(sop.CTImageStorage, (sop.ExplicitVRLittleEndian,)),
        PresentationContext(sop.MRImageStorage),
        PresentationContext(sop.Verification, (sop.RLELossless,)),
        PresentationContext(sop.Verification, (sop.RLELossless, sop.ImplicitVRLittleEndian)),
    ]
    async with connected(app, contexts=contexts) as association:
        agreement = association.agreement
        assert agreement is not None
        assert {number: context.transfer_syntax for number, context in agreement.contexts.items()} == {
            1: sop.JPEG2000Lossless,
            9: sop.ImplicitVRLittleEndian,
        }
        assert {number: result for number, (_, result) in agreement.refused.items()} == {3: 4, 5: 3, 7: 4}
        assert {context.role for context in agreement.contexts.values()} == {Role.SCU}
    assert sop.RLELossless not in UNCOMPRESSED


async def test_the_order_of_the_peer_decides_where_we_have_none() -> None:
    app = Application("APP")
    app.store("*")(lambda request: None)
    wanted = (sop.RLELossless, sop.ExplicitVRLittleEndian)
    async with connected(app, contexts=[PresentationContext(sop.CTImageStorage, wanted)]) as association:
        assert association.contexts[1].transfer_syntax == sop.RLELossless


async def test_requests_that_no_handler_takes_are_unrecognized() -> None:
    async with scripted_requestor(storing(lambda request: None)) as (_, peer):
        for field in (CommandField.N_GET_RQ, CommandField.C_ECHO_RQ):
            peer.say(unusual(field), context_id=3)
            answer = await peer.hear_command()
            expected = Status.SUCCESS if field == CommandField.C_ECHO_RQ else Status.UNRECOGNIZED_OPERATION
            assert (answer.status, answer.responding_to, answer.field) == (expected, 5, field | 0x8000)


def unusual(field: int) -> Command:
    return Command(
        field,
        message_id=5,
        affected_sop_class_uid=sop.CTImageStorage if field == CommandField.C_ECHO_RQ else None,
        requested_sop_class_uid=None if field == CommandField.C_ECHO_RQ else sop.CTImageStorage,
        requested_sop_instance_uid=None if field == CommandField.C_ECHO_RQ else INSTANCE_UID,
    )


async def test_a_handler_for_whatever_no_other_takes() -> None:
    app, seen = Application("APP"), []

    @app.unknown
    async def unknown(request: UnknownRequest) -> Status:
        seen.append(request.command.field)
        raise Refused(Status.NO_SUCH_SOP_INSTANCE)

    async with scripted_requestor(app, contexts=[PresentationContext(sop.Verification)]) as (_, peer):
        peer.say(unusual(CommandField.N_GET_RQ))
        assert (await peer.hear_command()).status == Status.NO_SUCH_SOP_INSTANCE
    assert seen == [CommandField.N_GET_RQ]


async def test_a_store_without_a_data_set_reaches_no_handler() -> None:
    called: list[Any] = []
    async with scripted_requestor(storing(called.append)) as (_, peer):
        peer.say_bytes(without_data_set(peer.upper.message(3, store_rq())))
        answer = await peer.hear_command()
        assert (answer.status, answer.error_comment) == (Status.CANNOT_UNDERSTAND, "C-STORE-RQ without a data set")
    assert called == []


def without_data_set(message: bytes) -> bytes:
    """The same command saying that no data set follows (PS3.7 E.1), which a C-STORE-RQ may not say."""
    found = message.index(b"\0\0\0\x08\x02\0\0\0") + 8
    return message[:found] + b"\x01\x01" + message[found + 2 :]


# middleware


async def test_middleware_goes_around_in_the_order_of_registration() -> None:
    app, order = Application("APP"), []

    def layer(name: str) -> None:
        @app.middleware
        async def middleware(request: Request, call_next: Any) -> Any:
            order.append(f"{name} in")
            try:
                return await call_next(request)
            finally:
                order.append(f"{name} out")

    layer("first")
    layer("second")

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        order.append("handler")

    await status_of_store(app)
    assert order[:5] == ["first in", "second in", "handler", "second out", "first out"]
    assert order[5:] == ["first in", "second in", "second out", "first out"]


async def test_middleware_may_answer_itself_change_the_answer_or_raise() -> None:
    for action, status in (("answer", 0xB000), ("change", 0xB006), ("raise", 0xA700)):
        app = storing(lambda request: Status.SUCCESS)

        @app.middleware
        async def middleware(request: Request, call_next: Any, action: str = action) -> Any:
            if not isinstance(request, StoreRequest):
                return await call_next(request)
            if action == "answer":
                return 0xB000
            if action == "raise":
                raise Refused(0xA700)
            assert await call_next(request) == Status.SUCCESS
            return 0xB006

        assert (await status_of_store(app))[0] == status


async def test_middleware_sees_exceptions_of_handlers() -> None:
    app, seen = raising(Full()), []

    @app.middleware
    async def middleware(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Full as error:
            seen.append(error)
            return 0xA701

    assert (await status_of_store(app))[0] == 0xA701
    assert len(seen) == 1


# what comes after


async def test_after_runs_once_the_response_has_left() -> None:
    app, order = Application("APP"), []
    go_on = asyncio.Event()

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        request.after(later, "first", again=1)
        request.after(later, "second")
        order.append("handler")

    async def later(name: str, again: int = 0) -> None:
        await go_on.wait()
        order.append(f"{name} {again}")

    async with connected(app, contexts=CONTEXTS) as association:
        await association.store(instance())
        order.append("response")
        go_on.set()
    assert order == ["handler", "response", "first 1", "second 0"]


async def test_after_runs_though_the_association_is_over_and_though_another_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, done, go_on = Application("APP"), [], asyncio.Event()

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        request.after(fail)
        request.after(succeed)

    async def fail() -> None:
        raise ZeroDivisionError

    async def succeed() -> None:
        await go_on.wait()
        done.append(True)

    async with connected(app, contexts=CONTEXTS) as association:
        await association.store(instance())
        association.abort()
        go_on.set()
    assert done == [True]
    assert "what was to run after the response failed" in caplog.text


async def test_after_does_not_run_where_no_response_left() -> None:
    app, done, arrived = Application("APP"), [], asyncio.Event()

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        request.after(run)
        arrived.set()
        await asyncio.Event().wait()

    async def run() -> None:
        done.append(True)

    async with connected(app, contexts=CONTEXTS) as association:
        storing_it = started(association.store(instance()))
        await arrived.wait()
        association.abort()
        with pytest.raises(dicomio.AssociationAborted):
            await storing_it
    assert done == []


# hooks and the lifespan


@pytest.mark.parametrize("result", [1, 2, 3, 4])
async def test_on_associate_refuses_single_contexts(result: int) -> None:
    app = storing(lambda request: None)

    @app.on_associate
    async def check(proposal: Proposal) -> None:
        for context in proposal.pdu.contexts:
            if context.abstract_syntax == sop.CTImageStorage:
                proposal.refuse(context.id, result)

    async with connected(app, contexts=CONTEXTS) as association:
        assert association.agreement is not None
        assert association.agreement.refused == {3: (sop.CTImageStorage, result)}
        with pytest.raises(NoPresentationContext):
            await association.store(instance())
        assert await association.echo() >= 0


@pytest.mark.parametrize("result", [-1, 0, 5, 255])
def test_a_context_is_not_refused_with_another_result(result: int) -> None:
    with pytest.raises(ValueError, match="result 1 to 4"):
        Proposal(None, None).refuse(1, result)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "result, source, reason", [(result, *pair) for result, pair in itertools.product((1, 2), REJECT_REASONS)]
)
async def test_on_associate_rejects_with_every_reason(result: int, source: int, reason: int) -> None:
    app = Application("APP")

    @app.on_associate
    async def reject(proposal: Proposal) -> None:
        raise AssociationRejected(result, source, reason)

    with pytest.raises(AssociationRejected, match=REJECT_REASONS[source, reason]) as caught:
        async with connected(app):
            pass
    assert (caught.value.result, caught.value.source, caught.value.reason) == (result, source, reason)


async def test_on_associate_sees_who_asks_for_what() -> None:
    app, seen = Application("APP"), []

    @app.on_associate
    def look(proposal: Proposal) -> None:
        seen.append((proposal.peer.ae_title, proposal.pdu.called_ae_title, len(proposal.pdu.contexts)))

    async with connected(app, contexts=CONTEXTS):
        pass
    assert seen == [("TEST", "APP", 2)]


async def test_hooks_run_in_order_until_one_rejects() -> None:
    app, order = Application("APP"), []

    @app.on_associate
    async def first(proposal: Proposal) -> None:
        order.append(1)

    @app.on_associate
    async def second(proposal: Proposal) -> None:
        order.append(2)
        raise AssociationRejected

    @app.on_associate
    async def third(proposal: Proposal) -> None:
        order.append(3)

    async with scripted_requestor(app, negotiate=False) as (_, peer):
        pdu = (await peer.hear(AssociateRejected)).pdu
        assert (pdu.result, pdu.source, pdu.reason) == (1, 1, 1)
    assert order == [1, 2]


async def test_an_on_associate_that_fails_rejects_for_now(caplog: pytest.LogCaptureFixture) -> None:
    app = Application("APP")

    @app.on_associate
    async def fail(proposal: Proposal) -> None:
        raise ZeroDivisionError

    async with scripted_requestor(app, negotiate=False) as (_, peer):
        assert (await peer.hear(AssociateRejected)).pdu.result == 2
    assert "deciding on an association failed" in caplog.text


@pytest.mark.parametrize("error", [AssociationRejected(9, 9, 999), AssociationRejected(1, 7, 1)])
async def test_an_on_associate_that_rejects_with_nonsense_still_rejects(error: AssociationRejected) -> None:
    app = Application("APP")

    @app.on_associate
    async def reject(proposal: Proposal) -> None:
        raise error

    async with scripted_requestor(app, negotiate=False) as (_, peer):
        assert (await peer.hear(AssociateRejected)).pdu.result in (1, 2)


async def test_on_connect_and_on_close() -> None:
    app = Application("APP")
    seen: list[tuple[Any, ...]] = []

    @app.on_connect
    async def connected_(association: Association) -> None:
        seen.append(("connected", association.peer.host, association.is_established))

    @app.on_close
    def closed(association: Association) -> None:
        seen.append(("closed", association.peer.ae_title, type(association.ended).__name__))

    async with connected(app):
        await settled()
    assert seen == [("connected", "memory", False), ("closed", "TEST", "AssociationReleased")]


async def test_hooks_that_fail_are_logged_and_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    app = Application("APP")

    async def fail(association: Association) -> None:
        raise ZeroDivisionError

    app.on_connect(fail)
    app.on_close(fail)
    async with connected(app) as association:
        assert await association.echo() >= 0
    assert caplog.text.count("a hook of the application failed") == 2


async def test_lifespan_surrounds_serving_and_state_is_shared() -> None:
    order = []

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        app.state.index = ["row"]
        order.append("begin")
        yield
        order.append("end")

    app = Application("APP", lifespan=lifespan)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        order.append(app.state.index[0])
        request.after(settle)

    async def settle() -> None:
        await settled()
        order.append("after")

    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        async with dicomio.Client(f"APP@127.0.0.1:{server.port}") as client:
            await client.store(instance())
    assert order == ["begin", "row", "after", "end"]


async def test_a_lifespan_that_fails_ends_serving_before_it_began() -> None:
    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        if app.ae_title:
            raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        await dicomio.serve(Application("APP", lifespan=lifespan), "127.0.0.1", 0)


# what a request tells


async def test_what_a_request_tells_of_itself() -> None:
    app, seen = Application("APP"), []

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        seen.append(request)
        await until(lambda: request.received == 1000)

    async with connected(app, contexts=CONTEXTS) as association:
        await association.store(instance(), priority=1, move_originator="MOVER", move_originator_message_id=9)
    (request,) = seen
    assert request.sop_class_uid == sop.CTImageStorage
    assert request.sop_instance_uid == INSTANCE_UID
    assert request.transfer_syntax == sop.ExplicitVRLittleEndian
    assert (request.priority, request.move_originator, request.move_originator_message_id) == (1, "MOVER", 9)
    assert request.peer.ae_title == "TEST"
    assert request.association.local.ae_title == "APP"
    assert not request.cancelled
    assert repr(request) == "<C-STORE-RQ 1 from TEST@memory:50104>"


async def test_handlers_of_one_association_may_ask_on_it_too() -> None:
    """Reversed roles, as in storage commitment: whoever opened it, both may ask."""
    app = Application("APP")
    results: list[BaseException | float] = []

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        request.after(ask, request.association)

    async def ask(association: Association) -> None:
        try:
            results.append(await association.echo())
        except (NoPresentationContext, ConnectionLost) as error:
            results.append(error)

    async with scripted_requestor(app) as (_, peer):
        peer.say(store_rq(), bytes(10), 3)
        await peer.hear_command()
        await until(lambda: bool(results))
        peer.say(echo_rq(2))
        await peer.hear_command()
    assert isinstance(results[0], NoPresentationContext)


async def test_a_request_in_the_same_segment_as_the_acceptance_waits_for_it() -> None:
    """A requestor that does not wait for the A-ASSOCIATE-AC violates the protocol, whatever it wants."""
    async with scripted_requestor(Application("APP"), negotiate=False) as (association, peer):
        await peer.hear(AssociateAccepted)
        peer.say(echo_rq())
        assert (await peer.hear_command()).status == 0
        assert association.quirks == []


async def test_progress_of_what_arrives() -> None:
    app, seen = Application("APP"), []

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        async def watch() -> None:
            seen.extend([step async for step in request.progress()])

        watching = started(watch())
        await settled()
        await request.read()
        await watching

    async with connected(app, contexts=CONTEXTS) as association:
        await association.store(instance(3 * MEBIBYTE))
    assert seen[-1].bytes == seen[-1].total == 3 * MEBIBYTE
    assert [step.bytes for step in seen] == sorted(step.bytes for step in seen)
