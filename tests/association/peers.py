"""What the tests of associations share: a peer that does what it is told, a client without sockets, objects to send."""

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pydicom

from dicomio import Application, Association, Client, Role, StoreRequest, sop
from dicomio.buffers import SHARED, ReceiveBuffer
from dicomio.config import Limits, PresentationContext, Timeout
from dicomio.datasets import Instance
from dicomio.messages import CommandReceived, DataReceived
from dicomio.negotiation import Supported, accept, conclude, propose
from dicomio.opening import Serves, connect, negotiated
from dicomio.protocol import UpperLayerProtocol
from dicomio.server import Server, serve
from dicomio.session import Aborted, AssociateAccepted, AssociateRequested, UpperLayer, UpperLayerEvent
from dicomio.testing import pipe
from dicomio.wire.commands import Command, CommandField
from dicomio.wire.pdus import AssociateAC, AssociateRQ

E = TypeVar("E")
T = TypeVar("T")

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"

# One context for each of these, so that an object goes out as it is.
CT = PresentationContext(sop.CTImageStorage, (sop.ExplicitVRLittleEndian,))
VERIFICATION = PresentationContext(sop.Verification)
CONTEXTS = (VERIFICATION, CT)

INSTANCE_UID = "1.2.826.0.1.3680043.9.1"
MEBIBYTE = 1 << 20


def instance(size: int = 1000, uid: str = INSTANCE_UID, sop_class: str = sop.CTImageStorage) -> Instance:
    """An object of `size` bytes whose data set nobody decodes."""
    return Instance.from_bytes(sop_class, uid, sop.ExplicitVRLittleEndian, content(size))


def content(size: int) -> bytes:
    """Bytes that are nowhere the same as 251 bytes further on, so that nothing can be swapped unnoticed.

    Of even length, as data sets are: an odd number gets a NUL behind it.
    """
    return (bytes(range(251)) * (size // 251 + 1))[:size] + bytes(size % 2)


def echo_rq(message_id: int = 1) -> Command:
    return Command(CommandField.C_ECHO_RQ, message_id=message_id, affected_sop_class_uid=sop.Verification)


def store_rq(message_id: int = 1, uid: str = INSTANCE_UID) -> Command:
    return Command(
        CommandField.C_STORE_RQ,
        message_id=message_id,
        affected_sop_class_uid=sop.CTImageStorage,
        affected_sop_instance_uid=uid,
        priority=0,
        has_data_set=True,
    )


def response(request: Command, status: int = 0) -> Command:
    return Command(
        request.field | 0x8000,
        responding_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=status,
    )


class ScriptedPeer:
    """The other side of an association: notes what happens, and does nothing but what a test says."""

    def __init__(self, *, calling: str | None = None, contexts: Sequence[PresentationContext] = CONTEXTS) -> None:
        request = None
        if calling is not None:
            request = propose(called="APP", calling=calling, contexts=contexts, maximum_length=16384)
        self.upper = UpperLayer(requestor=request is not None, limits=Limits(), artim=None, request=request)
        self.protocol = UpperLayerProtocol(self.upper, self, SHARED, None)
        self.events: asyncio.Queue[UpperLayerEvent] = asyncio.Queue()
        self.data = bytearray()
        self.gone = asyncio.Event()
        self.accepting = True

    # what it hears

    def connected(self) -> None: ...

    def write_timed_out(self) -> None: ...

    def handle(self, event: UpperLayerEvent) -> None:
        if isinstance(event, DataReceived):
            event.chunks = [memoryview(b"".join(event.chunks))]
            self.data += event.chunks[0]
        if isinstance(event, AssociateRequested) and self.accepting:
            self.accept(event)
        if isinstance(event, AssociateAccepted):
            assert self.upper.request is not None
            self.upper.establish(conclude(self.upper.request, event.pdu, requestor=True).contexts, 0)
        self.events.put_nowait(event)

    def disconnected(self, error: Exception | None) -> None:
        self.gone.set()

    async def hear(self, kind: type[E]) -> E:
        """The next event of a kind; others are passed over."""
        while True:
            event = await self.events.get()
            if isinstance(event, kind):
                return event

    async def hear_command(self) -> Command:
        return (await self.hear(CommandReceived)).command

    async def hear_data(self) -> bytes:
        """The rest of a data set."""
        parts: list[memoryview] = []
        last = False
        while not last:
            event = await self.hear(DataReceived)
            parts, last = parts + event.chunks, event.last
        self.data.clear()
        return b"".join(parts)

    async def hear_request(self) -> Command:
        """A request with all of its data set."""
        command = await self.hear_command()
        if command.has_data_set:
            await self.hear_data()
        return command

    @property
    def heard_abort(self) -> bool:
        """Whether an A-ABORT is among what has not been listened to."""
        found = []
        while not self.events.empty():
            found.append(self.events.get_nowait())
        return any(isinstance(event, Aborted) for event in found)

    # what it says

    def answer(self, pdu: AssociateRQ) -> AssociateAC:
        return accept(pdu, lambda uid: Supported(uid, None, Role.BOTH), maximum_length=16384)

    def accept(self, event: AssociateRequested) -> None:
        answer = self.answer(event.pdu)
        self.upper.establish(conclude(event.pdu, answer, requestor=False).contexts, 0)
        self.upper.accept(answer)
        self.protocol.flush()

    def say(self, command: Command, data: bytes | None = None, context_id: int = 1) -> None:
        self.protocol.write(self.upper.message(context_id, command, data))

    def say_bytes(self, data: bytes) -> None:
        self.protocol.write(data)

    def abort(self, source: int = 0, reason: int = 0) -> None:
        self.upper.abort(0.0, source, reason)
        self.protocol.flush()

    def release(self) -> None:
        self.upper.release()
        self.protocol.flush()

    def confirm_release(self) -> None:
        self.upper.confirm_release(0.0)
        self.protocol.flush()

    def hang_up(self) -> None:
        self.protocol.kill()


@asynccontextmanager
async def scripted_acceptor(
    *,
    contexts: Sequence[PresentationContext] = CONTEXTS,
    app: Serves | None = None,
    timeout: Timeout | float | None = 30.0,
    limits: Limits | None = None,
    strict: bool = False,
    peer: ScriptedPeer | None = None,
) -> AsyncIterator[tuple[Association, ScriptedPeer]]:
    """An association that we opened with a scripted peer; the connection is dropped at the end."""
    opening = connect("PEER@memory", contexts=contexts, app=app, timeout=timeout, limits=limits, strict=strict)
    association, peer = opening.prepare(), peer or ScriptedPeer()
    pipe(association.protocol, peer.protocol)
    await negotiated(association)
    try:
        yield association, peer
    finally:
        association.protocol.kill()
        await association.protocol.closed


@asynccontextmanager
async def scripted_requestor(
    app: Application,
    *,
    contexts: Sequence[PresentationContext] = CONTEXTS,
    timeout: Timeout | float | None = 30.0,
    limits: Limits | None = None,
    strict: bool = False,
    negotiate: bool = True,
) -> AsyncIterator[tuple[Association, ScriptedPeer]]:
    """An association that a scripted peer opened with an application: our side of it, and the peer."""
    server = serve(app, timeout=timeout, limits=limits, strict=strict)
    accepted = server.accept()
    peer = ScriptedPeer(calling="SCRIPTED", contexts=contexts)
    pipe(peer.protocol, accepted)
    if negotiate:
        await peer.hear(AssociateAccepted)
    try:
        yield accepted.association, peer
    finally:
        peer.hang_up()
        await peer.gone.wait()
        server.close()
        await server.wait_closed()


class MemoryClient(Client):
    """A client whose associations are pipes to an application in the same process.

    Attributes:
        opened: associations so far.
    """

    def __init__(self, app: Application, **options: Any) -> None:
        super().__init__(f"{app.ae_title}@memory", **options)
        self.server: Server = serve(app, timeout=options.get("timeout", 30.0))
        self.opened: list[Association] = []

    async def open(self, contexts: Sequence[PresentationContext]) -> Association:
        opening = connect(self.address, contexts=contexts, timeout=self.timeout, limits=self.limits)
        association = opening.prepare()
        pipe(association.protocol, self.server.accept())
        await negotiated(association)
        self.opened.append(association)
        return association

    async def __aexit__(self, *exc_info: Any) -> None:
        await super().__aexit__(*exc_info)
        self.server.close()
        await self.server.wait_closed()


def storing(handler: Callable[[Any], Any]) -> Application:
    """An application with one handler for C-STORE of anything."""
    app = Application("APP")
    app.store("*")(handler)
    return app


def storing_until(go_on: asyncio.Event) -> Application:
    """One whose handler has read the object, and then waits."""

    async def store(request: StoreRequest) -> None:
        await request.read()
        await go_on.wait()

    return storing(store)


class Interrupted:
    """Awaits something and cancels the task that does where it waits for the n-th time.

    Args:
        awaitable: what to await.
        at: 0 for its first `await` that really waits.
        later: turns of the event loop between that moment and the cancellation.
        instead: what to do then, in place of cancelling.
    """

    def __init__(
        self, awaitable: Awaitable[Any], at: int, later: int, instead: Callable[[], object] | None = None
    ) -> None:
        self.awaitable = awaitable
        self.at = at
        self.later = later
        self.instead = instead
        self.reached = False

    def __await__(self) -> Generator[Any, None, Any]:
        task = asyncio.current_task()
        assert task is not None
        steps = self.awaitable.__await__()
        thrown: BaseException | None = None
        for count in itertools.count():
            try:
                waiting_for = next(steps) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            if count == self.at:
                self.reached = True
                after_turns(self.later, self.instead or task.cancel)
            thrown = None
            try:
                yield waiting_for
            except BaseException as error:
                thrown = error


def started(awaitable: Awaitable[T]) -> "asyncio.Task[T]":
    """A task that awaits something, be it a coroutine or another thing to await."""

    async def run() -> T:
        return await awaitable

    return asyncio.get_running_loop().create_task(run())


def after_turns(count: int, func: Callable[[], object]) -> None:
    """Calls a function after some turns of the event loop; at once for 0."""
    if count:
        asyncio.get_running_loop().call_soon(after_turns, count - 1, func)
    else:
        func()


async def settled(turns: int = 20) -> None:
    """Lets the event loop run until what is ready has run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Turns the event loop until something is so; the test's own timeout ends it where that never comes."""
    while not condition():
        await asyncio.sleep(0)


def held_buffers() -> int:
    """Receive buffers that somebody still holds."""
    return sum(isinstance(found, ReceiveBuffer) and found.holders > 0 for found in gc.get_objects())


def leftovers(directory: Path) -> list[str]:
    """What is in a directory and below, hidden files included."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
