"""Who is let in, how many of them, and what is answered to the others."""

from collections.abc import Iterator

from dicomio.admission import (
    CALLED_NOT_RECOGNIZED,
    CALLING_NOT_RECOGNIZED,
    CONGESTION,
    FAILURE_WINDOW,
    MOST_FAILURES,
    NO_REASON,
    TRANSIENT_FAILURE,
)
from dicomio.conformance.described import Subject
from dicomio.conformance.markdown import escaped
from dicomio.errors import REJECT_REASONS, REJECT_SOURCES
from dicomio.server import ASSOCIATIONS, LOCAL_LIMIT_EXCEEDED

__all__ = ["acceptance", "associations", "identity", "maximum", "network", "rejections", "seconds"]

UNSUPPORTED_APPLICATION_CONTEXT = (1, 1, 2)
UNSUPPORTED_PROTOCOL_VERSION = (1, 2, 2)
RESULTS = {1: "1 permanent", 2: "2 transient"}


def acceptance(subject: Subject) -> Iterator[str]:
    """Who may open associations, in sentences."""
    access = subject.app.admission.access
    for texts, what, anybody in (
        (access.called, "Called AE titles", "Any called AE title is accepted."),
        (access.calling, "Calling AE titles", "Any calling AE title is accepted."),
    ):
        names = ", ".join(escaped(text) for text in texts)
        yield f"{what}: {names}." if texts else anybody
    networks = ", ".join(access.networks)
    yield (
        f"Connections from elsewhere than {networks} are closed." if networks else "Connections may come from anywhere."
    )
    if subject.app.admission.hooks:
        yield "A function of the application decides on each association; by which rules is not known."


def identity(subject: Subject) -> str:
    """What becomes of user identities (PS3.7 D.3.3.7)."""
    if subject.app.admission.authenticate is None:
        return "User identities are accepted, but not looked at; a response that is asked for is not sent."
    return (
        "A function of the application decides on the user identity of each proposal; which types it accepts is not "
        "known. Where it refuses, or there is no identity that it knows, the association is rejected. A host of which "
        f"{MOST_FAILURES} identities were refused within {FAILURE_WINDOW:g} seconds is rejected for as long."
    )


def associations(subject: Subject) -> Iterator[tuple[str, str]]:
    """How many associations there may be."""
    limits = subject.limits
    yield "Maximum number of simultaneous associations", str(limits.associations or ASSOCIATIONS)
    yield "Of these with one network address", str(limits.associations_per_peer or "not limited")
    yield "Processes that serve", str(subject.workers or "not known")


def maximum(subject: Subject) -> str:
    """The longest PDU that is asked for."""
    length = subject.limits.max_pdu
    wanted = f"{length} bytes" if length else "any length (0)"
    return f"The maximum length of PDUs that peers are asked for is {wanted}."


def rejections(subject: Subject) -> Iterator[tuple[str, str, str, str]]:
    """Why associations are rejected: result, source, reason, and when (PS3.8 Table 9-21)."""
    admission = subject.app.admission
    access, hooks, authenticates = admission.access, bool(admission.hooks), admission.authenticate is not None
    for answer, applies, when in (
        (UNSUPPORTED_APPLICATION_CONTEXT, True, "The application context name is another one."),
        (UNSUPPORTED_PROTOCOL_VERSION, True, "The protocol version is another one."),
        (CALLED_NOT_RECOGNIZED, bool(access.called), "The called AE title is not one of those above."),
        (CALLING_NOT_RECOGNIZED, bool(access.calling), "The calling AE title is not one of those above."),
        (NO_REASON, authenticates, "The user identity is refused; the function may choose another reason."),
        (CONGESTION, authenticates, "Too many identities of this host were refused."),
        (TRANSIENT_FAILURE, hooks or authenticates, "Deciding on the association failed."),
        (LOCAL_LIMIT_EXCEEDED, True, "There are as many associations as may be, or the server is about to end."),
    ):
        if applies:
            yield words_of(answer, when)
    if hooks:
        yield "any", "any", "any", "A function of the application rejects the association."


def words_of(answer: tuple[int, int, int], when: str) -> tuple[str, str, str, str]:
    """One row."""
    result, source, reason = answer
    words = REJECT_REASONS[source, reason]
    return RESULTS[result], f"{source} {REJECT_SOURCES[source]}", f"{reason} {words}", when


def network(subject: Subject) -> Iterator[str]:
    """What it listens on, in sentences."""
    yield "TCP/IP, over IPv4 and IPv6 where the machine has them."
    server = subject.server
    if server is None:
        yield "The port is chosen when the application is served."
        return
    if server.path is not None:
        yield f"It listens on the Unix socket {escaped(server.path)}."
    elif server.is_serving:
        yield f"It listens on {', '.join(escaped(address) for address in server.addresses)}."
    else:
        host = server.host if isinstance(server.host, str) else ", ".join(server.host or ("every address",))
        yield f"It listens on port {server.requested_port} of {escaped(host)}."
    if server.proxies:
        networks = ", ".join(map(escaped, server.proxies))
        yield f"Connections from {networks} begin with a header of the PROXY protocol, which says where they come from."
    if server.strict:
        yield "Deviations of peers from the protocol are not tolerated."


def seconds(value: float | None) -> str:
    """A deadline."""
    return "none" if value is None else f"{value:g} s"
