"""A Storage SCP of a client's own: where a peer sends objects that the client asked it to move (PS3.4 C.4.2)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from dicomio import negotiation, sop
from dicomio.association import Association
from dicomio.config import Limits, Role, Timeout
from dicomio.negotiation import Supported
from dicomio.operations import Dispatch, Inbound
from dicomio.requests import StoreRequest
from dicomio.responses import Channel
from dicomio.server import Server, serve
from dicomio.services.reply import answer, respond
from dicomio.services.retrieve import hand_over
from dicomio.status import Status
from dicomio.wire.commands import CommandField
from dicomio.wire.pdus import AssociateRQ

__all__ = ["Delivery", "Receiver"]


class Delivery:
    """Objects that come for one C-MOVE.

    Attributes:
        message_id: of the C-MOVE; no other of this receiver has it.
        channel: where the objects go.
        otherwise: serves them where nobody takes them from there.
        received: how many have come.
    """

    def __init__(self, message_id: int, channel: Channel[StoreRequest], otherwise: Dispatch | None) -> None:
        # Where the retrieval is only awaited nobody takes objects from the channel, from the beginning.
        self.otherwise = otherwise if channel.closed else None
        self.message_id = message_id
        self.channel = channel
        self.received = 0
        self.arrived = asyncio.Event()

    async def take(self, inbound: Inbound) -> None:
        """Hands one object over, whichever association it came on; they are taken one at a time."""
        if self.otherwise is not None:
            serving = self.otherwise(inbound)
            if serving is not None:
                await serving
        else:
            await hand_over(inbound, self.channel)
        self.received += 1
        self.arrived.set()

    async def until(self, objects: int, patience: float | None) -> None:
        """Waits for objects that come after the final response, as some peers send them.

        Args:
            objects: how many there have to be.
            patience: seconds without one after which there is no hope.
        """
        while self.received < objects and (self.otherwise is not None or not self.channel.closed):
            self.arrived.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.arrived.wait()
            except TimeoutError:
                return


class Receiver:
    """Serves storage of any kind, for the C-MOVEs that are under way.

    Args:
        ae_title: our AE title; peers may call by another one.
        otherwise: serves objects of retrievals that are only awaited.
    """

    def __init__(self, ae_title: str, otherwise: Dispatch | None = None) -> None:
        self.ae_title = ae_title
        self.otherwise = otherwise
        self.background: set[asyncio.Task[None]] = set()
        self.deliveries: dict[int, Delivery] = {}
        self.ids = count(1)
        self.server: Server | None = None

    async def listen(self, host: str | None, port: int, timeout: Timeout, limits: Limits) -> None:
        """Begins to accept associations.

        Raises:
            OSError: it cannot listen there.
        """
        accepted = Limits(max_pdu=limits.max_pdu, data_set=limits.data_set)
        self.server = await serve(self, host, port, timeout=timeout, limits=accepted)

    async def aclose(self) -> None:
        """Ends every association."""
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()

    def deliver(self, channel: Channel[StoreRequest]) -> Delivery:
        """A place for the objects of one more C-MOVE."""
        message_id = next(number % 65535 + 1 for number in self.ids if number % 65535 + 1 not in self.deliveries)
        delivery = self.deliveries[message_id] = Delivery(message_id, channel, self.otherwise)
        return delivery

    # what a server needs of an application

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Nothing is to be done around serving."""
        yield

    def negotiate(self, association: Association, pdu: AssociateRQ) -> None:
        """Accepts storage of every kind."""
        accepted = negotiation.accept(pdu, supported, maximum_length=association.limits.max_pdu)
        association.accept(negotiation.answer(pdu, accepted))

    def connected(self, association: Association) -> None:
        """Nothing is to be done for a new connection."""

    def closed(self, association: Association) -> None:
        """Nothing is to be done for an association that is over."""

    def dispatch(self, inbound: Inbound) -> Coroutine[Any, Any, None] | None:
        """Hands an object to the C-MOVE it comes for."""
        if inbound.command.field == CommandField.C_STORE_RQ:
            delivery = self.delivery_of(inbound)
            return delivery.take(inbound) if delivery is not None else refuse(inbound)
        is_echo = inbound.command.field == CommandField.C_ECHO_RQ
        answer(inbound, Status.SUCCESS if is_echo else Status.UNRECOGNIZED_OPERATION)
        return None

    def delivery_of(self, inbound: Inbound) -> Delivery | None:
        """Which C-MOVE an object comes for; where the peer does not say it has to be the only one."""
        message_id = inbound.command.move_originator_message_id
        if message_id is not None:
            return self.deliveries.get(message_id)
        return next(iter(self.deliveries.values())) if len(self.deliveries) == 1 else None


def supported(abstract_syntax: str) -> Supported | None:
    """Every storage SOP class, private ones too, in any transfer syntax; and Verification."""
    is_known = abstract_syntax in sop.NAMES and abstract_syntax not in (*sop.STORAGE, sop.Verification)
    return None if is_known else Supported(abstract_syntax, None, Role.SCP)


async def refuse(inbound: Inbound) -> None:
    """Answers an object that nobody has asked for."""
    await respond(inbound, Status.PROCESSING_FAILURE, "nobody has asked for this object")
