"""What handlers get: one typed object for each kind of request of a peer."""

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

__all__ = [
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
