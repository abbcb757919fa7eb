"""`Association`: the DIMSE provider with the service calls, as users hold it."""

from collections.abc import Sequence
from types import TracebackType

from dicomio.config import PresentationContext
from dicomio.dimse import DimseProvider
from dicomio.services.user import ServiceUser

__all__ = ["Association"]


class Association(DimseProvider, ServiceUser):
    """An association with a peer, whichever side opened it: ask it for something, release it, abort it.

    Obtained from `dicomio.connect`, or as `request.association` in a handler.

    Attributes:
        peer: address and AE title of the peer.
        local: our own.
        agreement: what was negotiated.
        ended: why it is over, `None` while it is not.
    """

    def reserve(self, contexts: Sequence[PresentationContext]) -> "Unshared":
        """The association itself, whatever contexts it has."""
        return Unshared(self)

    def __repr__(self) -> str:
        return f"<Association with {self.peer} {self.state}>"


class Unshared:
    """Lends an association for a request; it needs no care, since it is not taken from a pool."""

    __slots__ = ("association",)

    def __init__(self, association: Association) -> None:
        self.association = association

    async def __aenter__(self) -> Association:
        return self.association

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None
