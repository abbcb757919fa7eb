"""What handlers get: one typed object for each kind of request of a peer."""

from dicomio.requests.base import EchoRequest, Request, UnknownRequest
from dicomio.requests.query import FindRequest, IdentifierRequest, Progress, RetrieveRequest
from dicomio.requests.store import StoreProgress, StoreRequest

__all__ = [
    "EchoRequest",
    "FindRequest",
    "IdentifierRequest",
    "Progress",
    "Request",
    "RetrieveRequest",
    "StoreProgress",
    "StoreRequest",
    "UnknownRequest",
]
