"""C-FIND, C-MOVE and C-GET as their handlers see them (PS3.4 C.4; PS3.7 9.1.2 to 9.1.4)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomio.datasets import decode, encode
from dicomio.errors import InvalidIdentifier, InvalidInstance
from dicomio.extensions import QueryExtension, RetrieveExtension
from dicomio.identifiers import check_identifier, dataset
from dicomio.operations import Inbound
from dicomio.requests.base import Request
from dicomio.sop.models import BY_SOP_CLASS
from dicomio.status import Status
from dicomio.wire.commands import RESPONSE_BIT, Command, CommandField
from dicomio.wire.commands import encode as encode_command

__all__ = ["FindRequest", "IdentifierRequest", "Progress", "RetrieveRequest"]

# The most that a counter of sub-operations can say.
MOST: Final = 0xFFFF

FAILED_SOP_INSTANCE_UID_LIST: Final = 0x00080058
QUERY_RETRIEVE_LEVEL: Final = 0x00080052
# What identifiers have beside keys: Specific Character Set, level, Timezone Offset From UTC.
NO_KEYS: Final = frozenset({0x00080005, QUERY_RETRIEVE_LEVEL, 0x00080201})
# The longest value that Explicit VR has a length for in the VR of UIDs (PS3.5 7.1.2).
LONGEST: Final = 0xFFFE
# Seconds for which a handler that never waits may go on before others get their turn.
TURN: Final = 0.002


class IdentifierRequest(Request):
    """What C-FIND, C-MOVE and C-GET have in common.

    Attributes:
        sop_class_uid: Affected SOP Class UID.
        model: the query model it belongs to; `None` for a private SOP class.
        level: Query/Retrieve Level, `"PATIENT"`, `"STUDY"`, `"SERIES"` or `"IMAGE"`; empty where the model has none.
        priority: 0 medium, 1 high, 2 low; `None` where the peer sent none.
    """

    __slots__ = ("level", "loaded", "model", "priority", "sop_class_uid")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.sop_class_uid = inbound.command.affected_sop_class_uid or inbound.context.abstract_syntax
        self.model = BY_SOP_CLASS.get(inbound.context.abstract_syntax)
        self.priority = inbound.command.priority
        self.level = ""
        self.loaded: Dataset | InvalidIdentifier = InvalidIdentifier(Status.CANNOT_UNDERSTAND, "no identifier")

    @property
    def identifier(self) -> Dataset:
        """The keys: what to match, and what to return.

        Raises:
            InvalidIdentifier: it cannot be worked with; then no handler but only middleware gets to see the request.
        """
        if isinstance(self.loaded, InvalidIdentifier):
            raise self.loaded
        return self.loaded

    @property
    def negotiated(self) -> bytes:
        """The answer to SOP class extended negotiation for this SOP class (PS3.7 D.3.3.5); empty without one."""
        agreement = self.inbound.provider.agreement
        return agreement.extended.get(self.inbound.context.abstract_syntax, b"") if agreement else b""

    async def load(self) -> None:
        """Reads and checks the identifier; what is wrong with it is raised where it is looked at."""
        try:
            found = await self.decoded(self.decode)
        except InvalidIdentifier as error:
            self.loaded = error
        except InvalidInstance as error:
            self.loaded = InvalidIdentifier(Status.CANNOT_UNDERSTAND, str(error))
        else:
            self.loaded = self.loaded if found is None else found

    def decode(self, data: bytes) -> Dataset:
        ds = decode(data, self.transfer_syntax, self.inbound.provider.limits)
        retrieving = self.command.field != CommandField.C_FIND_RQ
        self.level = check_identifier(ds, self.model.levels if self.model else (), retrieving=retrieving)
        return ds


class FindRequest(IdentifierRequest):
    """C-FIND (PS3.4 C.4.1, PS3.7 9.1.2).

    Attributes:
        sent: matches sent so far.
    """

    __slots__ = ("responses", "resumed", "sent", "wanted")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.sent = 0
        self.wanted: frozenset[int] = frozenset()
        self.responses: dict[int, bytes] = {}
        self.resumed = inbound.provider.loop.time()

    @property
    def extension(self) -> QueryExtension:
        """What was negotiated beyond the baseline for this SOP class."""
        return QueryExtension.decode(self.negotiated)

    async def load(self) -> None:
        await super().load()
        if isinstance(self.loaded, Dataset):
            # Group lengths, which some send along, are no keys either.
            self.wanted = frozenset(int(tag) for tag in self.loaded.keys() if tag not in NO_KEYS and tag & 0xFFFF)

    async def send(self, match: Dataset | Mapping[str, Any]) -> None:
        """Sends a match, as yielding it from the handler does; waits where the peer is slower than we are.

        The status is Pending, with the warning 0xFF01 where the match lacks an element that was asked for: then the
        key is not supported.

        Raises:
            InvalidInstance: the match cannot be encoded.
            ValueError: a mapping has what is not in the data dictionary.
            DicomError: the association is over.
        """
        ds = match if isinstance(match, Dataset) else dataset(**match)
        tags = set(map(int, ds.keys()))
        if self.level and QUERY_RETRIEVE_LEVEL not in tags:
            ds = Dataset({**dict(ds.items())})
            ds.QueryRetrieveLevel = self.level
        data = encode(ds, self.transfer_syntax)
        self.inbound.answer_soon(self.response(Status.PENDING if self.wanted <= tags else Status.PENDING_WARNING), data)
        self.sent += 1
        await self.pause()

    def response(self, status: int) -> bytes:
        """The command set of a match, which is the same for all with its status."""
        encoded = self.responses.get(status)
        if encoded is None:
            response = Command(
                CommandField.C_FIND_RSP,
                responding_to=self.inbound.message_id,
                affected_sop_class_uid=self.sop_class_uid,
                status=status,
                has_data_set=True,
            )
            encoded = self.responses[status] = encode_command(response)
        return encoded

    async def pause(self) -> None:
        """Waits for a slow peer, and lets others have their turn now and then."""
        provider = self.inbound.provider
        if provider.is_behind:
            await provider.drain()
        elif provider.loop.time() - self.resumed < TURN:
            return
        await asyncio.sleep(0)
        self.resumed = provider.loop.time()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a retrieval has got: numbers of sub-operations, which are objects (PS3.7 9.1.3, 9.1.4).

    Attributes:
        completed: without failure or warning.
        failed: not sent, or not stored.
        warning: stored, with something to tell.
        remaining: not tried yet.
    """

    completed: int = 0
    failed: int = 0
    warning: int = 0
    remaining: int = 0

    @property
    def total(self) -> int:
        """All of them together."""
        return self.completed + self.failed + self.warning + self.remaining


class RetrieveRequest(IdentifierRequest):
    """C-MOVE or C-GET (PS3.4 C.4.2, C.4.3; PS3.7 9.1.3, 9.1.4).

    Attributes:
        destination: AE title that a C-MOVE sends to; `None` for a C-GET.
        progress: sub-operations so far.
        failed_uids: SOP Instance UIDs of those that failed.
    """

    __slots__ = ("destination", "failed_uids", "progress", "started")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        is_move = inbound.command.field == CommandField.C_MOVE_RQ
        self.destination = (inbound.command.move_destination or "").strip() if is_move else None
        self.progress = Progress()
        self.failed_uids: list[str] = []
        self.started = False

    @property
    def extension(self) -> RetrieveExtension:
        """What was negotiated beyond the baseline for this SOP class."""
        return RetrieveExtension.decode(self.negotiated)

    def complete(self, response: Command) -> bytes | None:
        """Adds the counters and, unless all went well, the Failed SOP Instance UID List (PS3.4 C.4.2.1.4.2)."""
        if not self.started:
            return None
        self.count(response)
        if response.status != Status.CANCEL:
            response.remaining = None
        if not self.failed_uids:
            return None
        failed = Dataset()
        failed.add(uid_list(FAILED_SOP_INSTANCE_UID_LIST, self.failed_uids))
        return encode(failed, self.transfer_syntax)

    def send_progress(self) -> None:
        """Sends a Pending response with the counters.

        Raises:
            DicomError: the association is over.
        """
        response = Command(
            self.command.field | RESPONSE_BIT, affected_sop_class_uid=self.sop_class_uid, status=Status.PENDING
        )
        self.count(response)
        self.inbound.answer(response)

    def count(self, response: Command) -> None:
        """Enters the counters; their fields have 16 bits."""
        progress = self.progress
        response.completed, response.failed = min(progress.completed, MOST), min(progress.failed, MOST)
        response.warning, response.remaining = min(progress.warning, MOST), min(progress.remaining, MOST)


def uid_list(tag: int, uids: Sequence[str]) -> DataElement:
    """An element of any number of UIDs; those too long for their VR have to be UN (PS3.5 6.2.2)."""
    value = "\\".join(uids)
    if len(value) <= LONGEST:
        return DataElement(tag, "UI", list(uids))
    return DataElement(tag, "UN", value.encode() + b"\0" * (len(value) % 2))
