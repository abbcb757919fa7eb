"""For tests of applications: two sides of an association over a memory pipe, without sockets.

```python
async with connected(app) as association:
    await association.store("ct.dcm")
```
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from dicomio import sop
from dicomio.application import Application
from dicomio.association import Association
from dicomio.config import Address, Limits, PresentationContext, Role, Timeout
from dicomio.extensions import Extension, Identity
from dicomio.opening import connect, negotiated
from dicomio.pool import MOST_CONTEXTS
from dicomio.protocol import UpperLayerProtocol
from dicomio.server import Server, serve
from dicomio.wire.items import CommonExtendedNegotiation

__all__ = ["MemoryTransport", "connected", "pipe"]

# Bytes that may be on their way before the sender has to wait, about what a socket buffer holds.
IN_FLIGHT: Final = 262_144

# SOP classes that tests are likely to store, for applications that take more than one association can propose.
USUAL: Final = (
    sop.Verification,
    sop.CTImageStorage,
    sop.MRImageStorage,
    sop.ComputedRadiographyImageStorage,
    sop.DigitalXRayImageStorageForPresentation,
    sop.DigitalMammographyXRayImageStorageForPresentation,
    sop.UltrasoundImageStorage,
    sop.UltrasoundMultiFrameImageStorage,
    sop.SecondaryCaptureImageStorage,
    sop.XRayAngiographicImageStorage,
    sop.NuclearMedicineImageStorage,
    sop.PositronEmissionTomographyImageStorage,
    sop.EnhancedCTImageStorage,
    sop.EnhancedMRImageStorage,
    sop.RTImageStorage,
    sop.RTDoseStorage,
    sop.RTStructureSetStorage,
    sop.RTPlanStorage,
    sop.SegmentationStorage,
    sop.BasicTextSRStorage,
    sop.EnhancedSRStorage,
    sop.ComprehensiveSRStorage,
    sop.EncapsulatedPDFStorage,
    sop.GrayscaleSoftcopyPresentationStateStorage,
)

# Each in a context of its own, so that a file goes out in the transfer syntax it has.
SYNTAXES: Final = (
    sop.ExplicitVRLittleEndian,
    sop.ImplicitVRLittleEndian,
    sop.JPEGBaseline8Bit,
    sop.JPEG2000Lossless,
    sop.RLELossless,
)


class MemoryTransport(asyncio.Transport):
    """One end of a pipe in memory, with the flow control of a socket.

    Args:
        protocol: who reads and writes at this end.
        name: what `get_extra_info("peername")` says.
    """

    def __init__(self, protocol: UpperLayerProtocol, name: tuple[str, int]) -> None:
        super().__init__({"peername": name, "sockname": name})
        self.protocol = protocol
        self.loop = asyncio.get_running_loop()
        self.other: MemoryTransport | None = None
        self.incoming = bytearray()
        self.paused = False
        self.full = False
        self.ended = False
        self.lost = False
        self.scheduled = False

    def write(self, data: Any) -> None:
        """Passes bytes on; the other end gets them in a later turn of the event loop."""
        other = self.other
        if other is None or self.ended or self.lost:
            return
        other.incoming += data
        other.schedule()
        if not self.full and len(other.incoming) > IN_FLIGHT:
            self.full = True
            self.protocol.pause_writing()

    def schedule(self) -> None:
        if not self.scheduled:
            self.scheduled = True
            self.loop.call_soon(self.deliver)

    def deliver(self) -> None:
        """Hands what has arrived to the protocol, a buffer at a time."""
        self.scheduled = False
        if self.lost or self.paused:
            return
        if self.incoming:
            buffer = self.protocol.get_buffer(len(self.incoming))
            count = min(len(buffer), len(self.incoming))
            buffer[:count] = self.incoming[:count]
            del self.incoming[:count]
            self.protocol.buffer_updated(count)
            self.relieve()
        if self.incoming:
            self.schedule()
        elif self.other is not None and self.other.ended and not self.lost:
            self.close()

    def relieve(self) -> None:
        """Lets the other end write again."""
        other = self.other
        if other is not None and other.full and len(self.incoming) <= IN_FLIGHT // 2:
            other.full = False
            self.loop.call_soon(other.writable)

    def writable(self) -> None:
        """Tells the protocol so, unless it has filled the pipe again meanwhile."""
        if not self.full and not self.lost:
            self.protocol.resume_writing()

    def close(self) -> None:
        """Ends this end once what it has written was passed on."""
        if not self.ended:
            self.ended = True
            self.loop.call_soon(self.lose, None)
            if self.other is not None:
                self.other.schedule()

    def abort(self) -> None:
        """Ends this end at once."""
        self.incoming.clear()
        self.close()

    def lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(error)

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self.schedule()

    def get_write_buffer_size(self) -> int:
        return len(self.other.incoming) if self.full and self.other is not None else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The pipe has a limit of its own; nothing is kept of what was written."""


def pipe(first: UpperLayerProtocol, second: UpperLayerProtocol) -> tuple[MemoryTransport, MemoryTransport]:
    """Connects two protocols; the second is told first, as a listening side is."""
    one = MemoryTransport(first, ("memory", 104))
    two = MemoryTransport(second, ("memory", 50104))
    one.other, two.other = two, one
    second.connection_made(two)
    first.connection_made(one)
    return one, two


def usual_contexts(app: Application) -> list[PresentationContext]:
    """What to propose to an application so that most of what it takes can be sent to it."""
    special = [uid for handlers in app.handlers.values() for uid in handlers if uid[0].isdigit()]
    usual = [uid for uid in USUAL if app.supported(uid) is not None]
    wanted = list(dict.fromkeys([*special, *usual]))[:MOST_CONTEXTS]
    each = max(1, MOST_CONTEXTS // len(wanted))
    contexts = []
    for uid in wanted:
        if each == 1 or uid == sop.Verification:
            contexts.append(PresentationContext(uid))
        else:
            contexts += [PresentationContext(uid, (syntax,)) for syntax in SYNTAXES[:each]]
    return contexts


@asynccontextmanager
async def connected(
    app: Application,
    *,
    client: Application | None = None,
    ae_title: str = "TEST",
    contexts: Iterable[str | PresentationContext] | None = None,
    timeout: Timeout | float | None = 30.0,
    limits: Limits | None = None,
    strict: bool = False,
    roles: Mapping[str, Role] | None = None,
    window: int | tuple[int, int] | None = None,
    identity: Identity | None = None,
    extended: Mapping[str, bytes | Extension] | None = None,
    common_extended: Sequence[CommonExtendedNegotiation] = (),
) -> AsyncIterator[Association]:
    """An association with an application, in memory.

    Leaving the block releases the association and runs the end of the application's lifespan.

    Args:
        app: what is to be tested.
        client: serves what `app` asks for on the association.
        ae_title: AE title of the requesting side.
        contexts: what to propose; by default what `app` has handlers for, and where that is too much for one
            association, the storage SOP classes that are most common.
        timeout: deadlines of both sides.
        limits: what each side may send.
        strict: refuse deviations that are tolerated otherwise.
        roles: as for `dicomio.connect`; likewise the others.
        window: operations to have outstanding.
        identity: who asks.
        extended: SOP class extended negotiation.
        common_extended: SOP class common extended negotiation.

    Yields:
        The requesting side.
    """
    wanted: Sequence[str | PresentationContext] = list(contexts) if contexts is not None else usual_contexts(app)
    opening = connect(
        Address(app.ae_title, "memory"),
        contexts=wanted,
        ae_title=ae_title,
        app=client,
        timeout=timeout,
        limits=limits,
        strict=strict,
        roles=roles,
        window=window,
        identity=identity,
        extended=extended,
        common_extended=common_extended,
    )
    server = serve(app, timeout=timeout, limits=limits, strict=strict)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.running())
        stack.push_async_callback(finish, server)
        opening.association = association = opening.prepare()
        pipe(association.protocol, server.accept())
        await negotiated(association)
        stack.push_async_exit(opening.__aexit__)
        yield association


async def finish(server: Server) -> None:
    """Ends the serving side, which has never listened."""
    server.close()
    await server.wait_closed()
