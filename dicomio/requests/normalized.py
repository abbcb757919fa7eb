"""The six DIMSE-N requests as their handlers see them (PS3.7 10.1)."""

from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from dicomio.datasets import decode, encode
from dicomio.errors import InvalidInstance, Refused
from dicomio.operations import Inbound
from dicomio.requests.base import Request, checked_uid
from dicomio.status import Status
from dicomio.wire.commands import Command

__all__ = [
    "ActionRequest",
    "CreateRequest",
    "DeleteRequest",
    "EventReport",
    "GetRequest",
    "NormalizedRequest",
    "SetRequest",
]

SPECIFIC_CHARACTER_SET: Final = 0x00080005


class NormalizedRequest(Request):
    """What the six have in common.

    Attributes:
        sop_class_uid: the SOP class the request is about; where a meta SOP class was negotiated, one of its members.
        sop_instance_uid: the SOP instance; empty where the peer named none.
        negotiated_as: abstract syntax of the presentation context it came on.
        result: data set of the response, as the handler returned it.
    """

    __slots__ = ("loaded", "negotiated_as", "result", "sop_class_uid", "sop_instance_uid")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        command = inbound.command
        self.negotiated_as = inbound.context.abstract_syntax
        named = command.affected_sop_class_uid or command.requested_sop_class_uid
        self.sop_class_uid = named or self.negotiated_as
        uid = command.affected_sop_instance_uid or command.requested_sop_instance_uid or ""
        self.sop_instance_uid = checked_uid(uid, "instance") if uid else ""
        self.loaded: Dataset | Refused = Dataset()
        self.result: Dataset | None = None

    async def load(self) -> None:
        """Reads the data set; what is wrong with it is raised where it is looked at."""
        limits = self.inbound.provider.limits
        try:
            found = await self.decoded(lambda data: decode(data, self.transfer_syntax, limits))
        except InvalidInstance as error:
            self.loaded = Refused(Status.MISTYPED_ARGUMENT, str(error))
        else:
            self.loaded = self.loaded if found is None else found

    @property
    def data_set(self) -> Dataset:
        """The data set of the request; empty where it has none.

        Raises:
            Refused: it cannot be decoded; then no handler but only middleware gets to see the request.
        """
        if isinstance(self.loaded, Refused):
            raise self.loaded
        return self.loaded

    def complete(self, response: Command) -> bytes | None:
        """Adds the SOP instance, and what the handler returned."""
        response.affected_sop_instance_uid = self.sop_instance_uid or None
        return encode(self.result, self.transfer_syntax) if self.result is not None else None


class CreateRequest(NormalizedRequest):
    """N-CREATE (PS3.7 10.1.5).

    Attributes:
        assigned: whether `sop_instance_uid` is new, since the peer left the choice to us.
    """

    __slots__ = ("assigned",)

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.assigned = not self.sop_instance_uid
        if self.assigned:
            self.sop_instance_uid = str(generate_uid())

    @property
    def attributes(self) -> Dataset:
        """Attribute List: the attributes that the instance is to have."""
        return self.data_set

    def complete(self, response: Command) -> bytes | None:
        """Adds the SOP instance, unless it would have been ours to name and was not created."""
        data = super().complete(response)
        if self.assigned and Status(response.status or Status.SUCCESS).is_failure:
            response.affected_sop_instance_uid = None
        return data


class SetRequest(NormalizedRequest):
    """N-SET (PS3.7 10.1.3)."""

    __slots__ = ()

    @property
    def modifications(self) -> Dataset:
        """Modification List: the attributes that change."""
        return self.data_set


class GetRequest(NormalizedRequest):
    """N-GET (PS3.7 10.1.2).

    Attributes:
        attribute_identifiers: tags of the attributes that are wanted, as 32-bit numbers; none is all of them.
    """

    __slots__ = ("attribute_identifiers", "missing")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.attribute_identifiers: Sequence[int] = inbound.command.attribute_identifiers
        self.missing: tuple[int, ...] = ()

    def select(self, attributes: Dataset) -> Dataset:
        """What was asked for out of the attributes of an instance; notes which of it is not there."""
        if not self.attribute_identifiers:
            return attributes
        # PS3.3 C.12.1.1.2: texts cannot be read without their character set, whether it was asked for or not.
        wanted = (Tag(tag) for tag in (SPECIFIC_CHARACTER_SET, *self.attribute_identifiers) if tag in attributes)
        self.missing = tuple(tag for tag in self.attribute_identifiers if tag not in attributes)
        return Dataset({tag: attributes[tag] for tag in wanted})

    def complete(self, response: Command) -> bytes | None:
        """Adds the attributes; those that do not exist are listed (PS3.7 10.1.2.1.7)."""
        if self.missing and response.status == Status.SUCCESS:
            response.status = Status.ATTRIBUTE_LIST_ERROR
            response.attribute_identifiers = self.missing
        return super().complete(response)


class ActionRequest(NormalizedRequest):
    """N-ACTION (PS3.7 10.1.4).

    Attributes:
        action_type: Action Type ID.
    """

    __slots__ = ("action_type",)

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.action_type = inbound.command.action_type_id or 0

    @property
    def information(self) -> Dataset:
        """Action Information."""
        return self.data_set

    def complete(self, response: Command) -> bytes | None:
        """Adds the action type, and the action reply."""
        response.action_type_id = self.action_type
        return super().complete(response)


class EventReport(NormalizedRequest):
    """N-EVENT-REPORT (PS3.7 10.1.1).

    Attributes:
        event_type: Event Type ID.
    """

    __slots__ = ("event_type",)

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.event_type = inbound.command.event_type_id or 0

    @property
    def information(self) -> Dataset:
        """Event Information."""
        return self.data_set

    def complete(self, response: Command) -> bytes | None:
        """Adds the event type, and the event reply."""
        response.event_type_id = self.event_type
        return super().complete(response)


class DeleteRequest(NormalizedRequest):
    """N-DELETE (PS3.7 10.1.6)."""

    __slots__ = ()
