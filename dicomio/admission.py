"""Who is let in: what an application answers to an A-ASSOCIATE-RQ (PS3.8 7.1.1, PS3.7 D.3.3)."""

import asyncio
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv6Network, ip_network
from typing import Any, Final, TypeAlias

from dicomio import negotiation
from dicomio.association import Association
from dicomio.config import Address, Role, checked_window, ip_of
from dicomio.errors import AssociationRejected, LocalProtocolError
from dicomio.extensions import Identity
from dicomio.memory import Memory
from dicomio.negotiation import Answer, Supported
from dicomio.wire.pdus import AssociateAC, AssociateRQ, is_remembered

__all__ = ["Access", "Admission", "Proposal"]

logger = logging.getLogger("dicomio.application")

Hook: TypeAlias = Callable[[Any], Awaitable[Any]]
Respond: TypeAlias = Callable[[bytes], bytes | None]

# PS3.8 Table 9-21
NO_REASON: Final = (1, 1, 1)
CALLING_NOT_RECOGNIZED: Final = (1, 1, 3)
CALLED_NOT_RECOGNIZED: Final = (1, 1, 7)
TRANSIENT_FAILURE: Final = (2, 1, 1)
CONGESTION: Final = (2, 3, 1)

# Identities of one host that may be refused in so many seconds before the next are not even looked at.
MOST_FAILURES: Final = 10
FAILURE_WINDOW: Final = 60.0
# Hosts of which failures are remembered.
MOST_HOSTS: Final = 1_000
# Who has one address of IPv6 has as many as a network of this prefix (RFC 4291 2.5.1).
PREFIX: Final = 64


@dataclass(frozen=True, slots=True)
class Access:
    """Who may open associations; what is empty is not looked at.

    Args:
        called: AE titles by which we may be called, as patterns with `*`, `?` and `[…]`.
        calling: AE titles of those who may call, likewise.
        networks: from where, as IP addresses or networks: `"10.0.0.0/8"`.
        refusal: seconds that refusing an identity takes, whatever is wrong with it.

    Raises:
        ValueError: a network is none, or a text is given in place of a sequence of them.
    """

    called: Sequence[str] = ()
    calling: Sequence[str] = ()
    networks: Sequence[str] = ()
    refusal: float = 1.0

    def __post_init__(self) -> None:
        for name in ("called", "calling", "networks"):
            # A text is a sequence of texts too: of single characters.
            if isinstance(getattr(self, name), str):
                raise ValueError(f"Access.{name} is {getattr(self, name)!r}; it must be a sequence of texts")
        for network in self.networks:
            ip_network(network)

    def admits_host(self, host: str) -> bool:
        """Whether connections may come from there; what is no IP address, as of a Unix socket, is local."""
        if not self.networks:
            return True
        address = ip_of(host)
        return address is None or any(address in ip_network(network) for network in self.networks)

    def refuses(self, pdu: AssociateRQ) -> tuple[int, int, int] | None:
        """Result, source and reason of a rejection by AE titles, if it comes to that."""
        if self.called and not fits(pdu.called_ae_title, self.called):
            return CALLED_NOT_RECOGNIZED
        if self.calling and not fits(pdu.calling_ae_title, self.calling):
            return CALLING_NOT_RECOGNIZED
        return None


def fits(ae_title: str, patterns: Sequence[str]) -> bool:
    """Whether an AE title is one of those meant; spaces around it do not count (PS3.8 7.1.1.3)."""
    return any(fnmatchcase(ae_title.strip(), pattern) for pattern in patterns)


def origin(host: str) -> str:
    """What counts as one host, so that nobody is another one with each attempt."""
    address = ip_of(host)
    if address is None or address.version == 4:
        return str(address or host)
    return str(IPv6Network((address, PREFIX), strict=False))


class Proposal:
    """An association that a peer asks for; `@app.on_associate` may refuse parts of it, or all.

    Attributes:
        association: the association in the making; `peer` is who asks, by address and calling AE title.
        pdu: the A-ASSOCIATE-RQ with everything in it.
        refused: what `refuse` was called for, result by presentation context ID.
        identity_response: server-response for a peer that wants one with its identity.
    """

    __slots__ = ("association", "identity_response", "pdu", "refused")

    def __init__(self, association: Association, pdu: AssociateRQ) -> None:
        self.association = association
        self.pdu = pdu
        self.refused: dict[int, int] = {}
        self.identity_response = b""

    @property
    def peer(self) -> Address:
        """Who asks."""
        return self.association.peer

    @property
    def identity(self) -> Identity | None:
        """For whom the peer asks, if it says so."""
        item = self.pdu.user.user_identity
        return Identity.from_item(item) if item is not None else None

    def refuse(self, context_id: int, result: int = 1) -> None:
        """Refuses one presentation context.

        Args:
            context_id: its ID.
            result: 1 user-rejection, 2 no-reason, 3 abstract-syntax-not-supported, 4 transfer-syntaxes-not-supported
                (PS3.8 9.3.3.2).

        Raises:
            ValueError: the result is another one.
        """
        if result not in (1, 2, 3, 4):
            raise ValueError(f"a presentation context is refused with result 1 to 4, not {result}")
        self.refused[context_id] = result


class Admission:
    """Answers to A-ASSOCIATE-RQs.

    Args:
        supported: what is supported for a SOP class.
        access: who may open associations.
        window: operations that one association may have outstanding, in either direction, where the peer asks for it.
        is_fixed: whether what is supported changes only where `answers` is cleared.

    Attributes:
        hooks: see every proposal.
        authenticate: looks at identities.
        extensions: what answers SOP class extended negotiation, by SOP class.
        answers: to proposals whose answer depends on what is supported alone; to be cleared when that changes.
    """

    def __init__(
        self, supported: Callable[[str], Supported | None], access: Access, window: int, *, is_fixed: bool = False
    ) -> None:
        self.supported = supported
        self.is_fixed = is_fixed
        self.access = access
        if not isinstance(checked_window(window), int):
            raise TypeError(f"window is {window!r}; an application has one number for both directions")
        self.window = window
        self.hooks: list[Hook] = []
        self.authenticate: Hook | None = None
        self.extensions: dict[str, Respond] = {}
        self.failures: OrderedDict[str, deque[float]] = OrderedDict()
        self.answers: Memory[Answer] = Memory()

    @property
    def is_immediate(self) -> bool:
        """Whether no hook has to be waited for."""
        return not self.hooks and self.authenticate is None

    def admits_connection(self, association: Association) -> bool:
        """Whether a connection may stay."""
        if self.access.admits_host(association.peer.host):
            return True
        logger.warning("%s: connection refused: not from a network that is allowed", association.peer)
        return False

    def answer(self, association: Association, pdu: AssociateRQ) -> None:
        """Answers at once."""
        rejection = self.access.refuses(pdu)
        if rejection is not None:
            self.reject(association, rejection)
        else:
            self.accept(Proposal(association, pdu))

    async def answer_with_hooks(self, association: Association, pdu: AssociateRQ) -> None:
        """Answers after everybody had a look."""
        proposal = Proposal(association, pdu)
        rejection = self.access.refuses(pdu)
        try:
            async with asyncio.timeout(association.timeout.negotiate):
                if rejection is None and self.authenticate is not None:
                    rejection = await self.identify(proposal, self.authenticate)
                if rejection is None:
                    for hook in self.hooks:
                        await hook(proposal)
        except AssociationRejected as refusal:
            rejection = refusal.result, refusal.source, refusal.reason
        except TimeoutError:
            logger.error("%s: deciding on an association took too long", association.peer)
            rejection = TRANSIENT_FAILURE
        except Exception:
            logger.exception("%s: deciding on an association failed", association.peer)
            rejection = TRANSIENT_FAILURE
        if association.ended is not None:
            return
        if rejection is None:
            self.accept(proposal)
        else:
            self.reject(association, rejection)

    async def identify(self, proposal: Proposal, authenticate: Hook) -> tuple[int, int, int] | None:
        """Has the identity looked at; how long a refusal takes tells nothing about its reason."""
        loop, host = asyncio.get_running_loop(), origin(proposal.peer.host)
        started = loop.time()
        if self.is_blocked(host, started):
            logger.warning("%s: too many identities were refused", proposal.peer)
            return CONGESTION
        rejection: tuple[int, int, int] | None = None
        try:
            proposal.association.identity = await authenticate(proposal)
        except AssociationRejected as refusal:
            rejection = refusal.result, refusal.source, refusal.reason
        except Exception:
            # As if it were wrong: a look-up that fails for a name that nobody has must not be told from any other.
            logger.exception("%s: looking at an identity failed", proposal.peer)
            rejection = NO_REASON
        if rejection is None and not proposal.association.identity:
            rejection = NO_REASON
        # Others of the same host may have been refused meanwhile: nobody guesses more often by guessing at once.
        is_blocked = self.is_blocked(host, loop.time())
        if rejection is not None:
            logger.warning("%s: identity refused", proposal.peer)
            self.note_failure(host, started)
        if is_blocked:
            rejection = CONGESTION
        if rejection is not None:
            await self.take_time(loop.time() - started)
        return rejection

    async def take_time(self, elapsed: float) -> None:
        """Waits for the next multiple of the time that a refusal takes."""
        unit = self.access.refusal
        if unit > 0:
            await asyncio.sleep(math.ceil(elapsed / unit) * unit - elapsed)

    def is_blocked(self, host: str, now: float) -> bool:
        """Whether a host has failed too often lately."""
        times = self.failures.get(host)
        while times and now - times[0] > FAILURE_WINDOW:
            times.popleft()
        return times is not None and len(times) >= MOST_FAILURES

    def note_failure(self, host: str, now: float) -> None:
        self.failures.setdefault(host, deque(maxlen=MOST_FAILURES)).append(now)
        self.failures.move_to_end(host)
        while len(self.failures) > MOST_HOSTS:
            self.failures.popitem(last=False)

    def reject(self, association: Association, rejection: tuple[int, int, int]) -> None:
        try:
            association.reject(*rejection)
        except LocalProtocolError:
            # A hook may raise what another peer sent to it, and peers send anything.
            logger.exception("%s: an association was rejected for a reason that cannot be sent", association.peer)
            association.reject(*TRANSIENT_FAILURE)

    def accept(self, proposal: Proposal) -> None:
        association = proposal.association
        try:
            association.accept(self.answer_to(proposal))
        except Exception:
            # What functions of the application answer may be anything, and longer than an item can be.
            logger.exception("%s: an association cannot be accepted", association.peer)
            self.reject(association, TRANSIENT_FAILURE)
        else:
            logger.info("%s: association accepted", association.peer)

    def answer_to(self, proposal: Proposal) -> Answer:
        """The answer to a proposal; the same as before where it depends on what is supported alone."""
        pdu, limits = proposal.pdu, proposal.association.limits
        if self.is_immediate and self.is_fixed and not pdu.user.extended and is_remembered(pdu):
            return self.answers.recall(
                lambda pdu, limits, supported: self.answer_anew(proposal), pdu, limits, self.supported
            )
        return self.answer_anew(proposal)

    def answer_anew(self, proposal: Proposal) -> Answer:
        """The answer to a proposal that has not been made before, or not so that its answer depended on it alone."""
        return negotiation.answer(proposal.pdu, self.accepted(proposal))

    def accepted(self, proposal: Proposal) -> AssociateAC:
        """The A-ASSOCIATE-AC for a proposal."""
        return negotiation.accept(
            proposal.pdu,
            with_related(self.supported, proposal.pdu),
            maximum_length=proposal.association.limits.max_pdu,
            refuse=proposal.refused,
            window=(self.window, self.window),
            extended=self.extend,
            identity_response=proposal.identity_response if self.authenticate is not None else None,
        )

    def extend(self, sop_class: str, information: bytes) -> bytes | None:
        """The answer to SOP class extended negotiation, if there is one."""
        respond = self.extensions.get(sop_class)
        return respond(information) if respond is not None else None


def with_related(supported: Callable[[str], Supported | None], pdu: AssociateRQ) -> Callable[[str], Supported | None]:
    """What is supported, with SOP classes that the peer says are special cases of supported ones (PS3.7 D.3.3.6)."""
    related = negotiation.related_sop_classes(pdu)
    if not related:
        return supported

    def find(uid: str) -> Supported | None:
        candidates = [supported(each) for each in (uid, *related.get(uid, ()))]
        choices = [choice for choice in candidates if choice is not None]
        # A SOP class that nobody knows may be sent by a C-GET at least; one that it is a case of may be stored, too.
        return max(choices, key=lambda choice: Role.SCP in choice.role, default=None)

    return find
