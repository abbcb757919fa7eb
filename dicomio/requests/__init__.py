"""What handlers get: one typed object for each kind of request of a peer."""

from collections.abc import Mapping

from dicomio.requests.base import EchoRequest, Request, UnknownRequest
from dicomio.requests.normalized import (
    ActionRequest,
    CreateRequest,
    DeleteRequest,
    EventReport,
    GetRequest,
    NormalizedRequest,
    SetRequest,
)
from dicomio.requests.query import FindRequest, IdentifierRequest, Progress, RetrieveRequest
from dicomio.requests.store import StoreProgress, StoreRequest
from dicomio.wire.commands import CommandField

__all__ = [
    "REQUEST_TYPES",
    "ActionRequest",
    "CreateRequest",
    "DeleteRequest",
    "EchoRequest",
    "EventReport",
    "FindRequest",
    "GetRequest",
    "IdentifierRequest",
    "NormalizedRequest",
    "Progress",
    "Request",
    "RetrieveRequest",
    "SetRequest",
    "StoreProgress",
    "StoreRequest",
    "UnknownRequest",
]

# Requests of any other kind are an `UnknownRequest`.
REQUEST_TYPES: Mapping[int, type[Request]] = {
    CommandField.C_ECHO_RQ: EchoRequest,
    CommandField.C_STORE_RQ: StoreRequest,
    CommandField.C_FIND_RQ: FindRequest,
    CommandField.C_GET_RQ: RetrieveRequest,
    CommandField.C_MOVE_RQ: RetrieveRequest,
    CommandField.N_EVENT_REPORT_RQ: EventReport,
    CommandField.N_GET_RQ: GetRequest,
    CommandField.N_SET_RQ: SetRequest,
    CommandField.N_ACTION_RQ: ActionRequest,
    CommandField.N_CREATE_RQ: CreateRequest,
    CommandField.N_DELETE_RQ: DeleteRequest,
}
