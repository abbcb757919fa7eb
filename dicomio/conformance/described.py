"""What a statement is written from: an application, what serves it, and what nobody can see of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dicomio.admission import Admission
from dicomio.config import Limits, PresentationContext, Timeout
from dicomio.server import Server

__all__ = ["Described", "Subject"]


class Described(Protocol):
    """What has to be known of an application."""

    @property
    def ae_title(self) -> str: ...
    @property
    def admission(self) -> Admission: ...
    @property
    def handlers(self) -> Mapping[int, Mapping[str, Callable[[Any], Any]]]: ...
    @property
    def statuses(self) -> Mapping[type[Exception], int]: ...
    @property
    def destinations(self) -> Any: ...
    @property
    def middlewares(self) -> Sequence[object]: ...
    @property
    def unknown_handler(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about.

    Attributes:
        app: the application.
        server: what serves it, running or not; without one the defaults of `serve` are described.
        workers: processes that serve it; `None` where that is not known.
        proposes: what the application proposes on associations it opens, as far as its author says so.
    """

    app: Described
    server: Server | None
    workers: int | None
    proposes: Sequence[PresentationContext]

    @property
    def limits(self) -> Limits:
        return self.server.limits if self.server is not None else Limits()

    @property
    def timeout(self) -> Timeout:
        return self.server.timeout if self.server is not None else Timeout()

    def has(self, *fields: int) -> bool:
        """Whether there is a handler for one of these kinds of request."""
        return any(self.app.handlers.get(field) for field in fields)
