"""The chapters of a conformance statement (PS3.2)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydicom.charset import python_encoding

from dicomio.config import PresentationContext, Role
from dicomio.conformance import policies, words
from dicomio.conformance.described import Described, Subject
from dicomio.conformance.markdown import BREAK, Document, escaped
from dicomio.conformance.offers import (
    ANYTHING,
    Group,
    Offer,
    grouped,
    name_of,
    offers,
    service_title,
    syntax_names,
)
from dicomio.conformance.security import tls_items
from dicomio.conformance.statuses import others, statuses
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.opening import proposals
from dicomio.server import Server
from dicomio.sop.services import ServiceClass
from dicomio.wire.commands import CommandField

__all__ = ["conformance_statement"]

ROLES: Mapping[Role, str] = {Role.SCU: "SCU", Role.SCP: "SCP", Role.BOTH: "SCU and SCP"}
# A DIMSE service of ours that needs an association with somebody else than who asked for it.
MOVE = CommandField.C_MOVE_RQ


def conformance_statement(
    app: Described,
    server: Server | None = None,
    *,
    workers: int | None = None,
    proposes: Iterable[str | PresentationContext] = (),
) -> str:
    """Describes an application in the shape of PS3.2, in Markdown.

    Args:
        app: the application.
        server: what serves it, for limits, deadlines, TLS and addresses; without one the defaults are described.
        workers: processes that serve it.
        proposes: what it proposes on associations that it opens by itself; that cannot be seen from outside.

    Raises:
        ValueError: something in `proposes` is not a UID.
    """
    subject = Subject(app, server, workers, proposals(proposes))
    found = offers(app)
    groups = grouped(found)
    lists = {id(group): f"list {number}" for number, group in enumerate(many(groups), 1)}
    document = Document(f"DICOM Conformance Statement: {app.ae_title}")
    document.text(f"Written from the application by dicomio, implementation version {IMPLEMENTATION_VERSION_NAME}.")
    overview(document, subject, groups, lists)
    introduction(document)
    document.heading(1, "Networking")
    implementation_model(document, subject, found)
    specification(document, subject, groups, lists)
    interfaces(document, subject)
    configuration(document, subject)
    document.heading(1, "Media Interchange")
    document.text(words.MEDIA)
    character_sets(document)
    security(document, subject)
    annexes(document, groups, lists)
    return str(document)


def many(groups: Iterable[Group]) -> Iterator[Group]:
    """The groups that have a list in the annex."""
    return (group for group in groups if len(group) > 1)


def overview(document: Document, subject: Subject, groups: Sequence[Group], lists: Mapping[int, str]) -> None:
    document.heading(1, "Conformance Statement Overview")
    document.text(words.OVERVIEW.format(ae_title=escaped(subject.app.ae_title)))
    rows = [
        (service_title(group[0].service), title_of(group, lists), *users(group[0].uses, group[0].provides))
        for group in groups
    ]
    rows += (
        [("Storage Service Class (PS3.4 B)", "every SOP class that is moved", "Yes", "No")] if moves(subject) else []
    )
    rows += [("Proposed by the AE", name_of(uid), *users(*roles)) for uid, roles in proposed(subject).items()]
    document.table(("Service class", "SOP class", "User (SCU)", "Provider (SCP)"), rows, "No network services.")


def users(uses: bool, provides: bool) -> tuple[str, str]:
    return "Yes" if uses else "No", "Yes" if provides else "No"


def moves(subject: Subject) -> bool:
    """Whether objects are sent to other application entities."""
    return subject.has(MOVE)


def proposed(subject: Subject) -> dict[str, tuple[bool, bool]]:
    """The SOP classes that the author of the application says it proposes, as SCU and as SCP."""
    return {context.abstract_syntax: (context.scu, context.scp) for context in subject.proposes}


def title_of(group: Group, lists: Mapping[int, str]) -> str:
    """The name of a SOP class, or where the names of several are listed."""
    if id(group) in lists:
        return f"{len(group)} SOP Classes, {lists[id(group)]} of the annex"
    return name_of(group[0].uid)


def uid_of(group: Group, lists: Mapping[int, str]) -> str:
    """The UID of a SOP class; none where there are several, or any."""
    return "see there" if id(group) in lists else "any" if group[0].uid == ANYTHING else group[0].uid


def introduction(document: Document) -> None:
    document.heading(1, "Introduction")
    document.heading(2, "Scope and Limits of this Statement")
    document.text(words.INTRODUCTION)
    document.heading(2, "References")
    document.text(words.REFERENCES)


# 3.1


def implementation_model(document: Document, subject: Subject, found: Sequence[Offer]) -> None:
    title = escaped(subject.app.ae_title)
    document.heading(2, "Implementation Model")
    document.heading(3, "Application Data Flow")
    document.text(f"{title} is one application entity. Peers open associations with it to have it perform requests.")
    if moves(subject):
        document.text(f"{title} opens associations with move destinations to send them objects.")
    document.heading(3, "Functional Definition of the Application Entity")
    document.items(functions(found))
    document.heading(3, "Sequencing of Real-World Activities")
    document.text(words.SEQUENCING)


def functions(found: Sequence[Offer]) -> Iterator[str]:
    """What it performs, by service class."""
    for service, members in by_service(found).items():
        operations = dict.fromkeys(operation for offer in members for operation in offer.receives)
        does = [f"performs {', '.join(operations)}"] if operations else []
        if any(offer.sends for offer in members):
            does.append("sends what a C-GET asks for")
        if any(offer.reports for offer in members):
            does.append("may report events with N-EVENT-REPORT")
        yield f"{service_title(service)}: {', '.join(does)}."


def by_service(found: Iterable[Offer]) -> dict[ServiceClass, list[Offer]]:
    """SOP classes by service class."""
    services: dict[ServiceClass, list[Offer]] = {}
    for offer in found:
        services.setdefault(offer.service, []).append(offer)
    return services


# 3.2


def specification(document: Document, subject: Subject, groups: Sequence[Group], lists: Mapping[int, str]) -> None:
    document.heading(2, f"AE Specification: {subject.app.ae_title}")
    document.heading(3, "SOP Classes")
    rows = [
        (title_of(group, lists), uid_of(group, lists), *users(group[0].uses, group[0].provides)) for group in groups
    ]
    document.table(("SOP class", "UID", "SCU", "SCP"), rows, "None.")
    association_policies(document, subject)
    initiation(document, subject)
    acceptance(document, subject, groups, lists)


def association_policies(document: Document, subject: Subject) -> None:
    document.heading(3, "Association Policies")
    document.heading(4, "General")
    document.text(words.GENERAL)
    document.text(policies.maximum(subject))
    document.heading(4, "Number of Associations")
    document.table(("What", "Number"), policies.associations(subject), "Not limited.")
    document.heading(4, "Asynchronous Nature")
    window = subject.app.admission.window
    document.text(words.ASYNCHRONOUS.format(window=window) if window != 1 else "One operation at a time.")
    document.heading(4, "Implementation Identifying Information")
    rows = [
        ("Implementation class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation version name", IMPLEMENTATION_VERSION_NAME),
    ]
    document.table(("What", "Value"), rows, "")


def initiation(document: Document, subject: Subject) -> None:
    """Association initiation policy."""
    document.heading(3, "Association Initiation Policy")
    rows = list(initiated(subject))
    if moves(subject):
        document.text("A C-MOVE opens associations with its destination, and releases them after the final response.")
    document.table(
        ("Activity", "Abstract syntax", "UID", "Transfer syntaxes", "UIDs", "Role of the AE"),
        rows,
        "The application is not known to open associations.",
    )
    document.text(words.NOT_PROPOSED)


def initiated(subject: Subject) -> Iterator[tuple[str, ...]]:
    """Presentation contexts that are proposed."""
    if moves(subject):
        own = "that of the object; where it can be converted, also uncompressed Little Endian ones"
        yield "C-MOVE", "the SOP class of each object", "that of the object", own, "that of the object", "SCU"
    for context in subject.proposes:
        names = syntax_names(context.transfer_syntaxes)
        yield (
            "of the application",
            name_of(context.abstract_syntax),
            context.abstract_syntax,
            BREAK.join(names.values()),
            BREAK.join(names),
            ROLES[context.role],
        )


def acceptance(document: Document, subject: Subject, groups: Sequence[Group], lists: Mapping[int, str]) -> None:
    """Association acceptance policy."""
    document.heading(3, "Association Acceptance Policy")
    document.heading(4, "Who May Open Associations")
    document.items(policies.acceptance(subject))
    document.text("Associations are rejected as follows (PS3.8 9.3.4):")
    document.table(("Result", "Source", "Reason", "When"), policies.rejections(subject), "")
    document.heading(4, "Accepted Presentation Contexts")
    rows = [context_row(group, lists) for group in groups]
    header = ("Abstract syntax", "UID", "Transfer syntaxes", "UIDs", "Role of the AE", "Extended negotiation")
    document.table(header, rows, "None.")
    document.text(words.ACCEPTED)
    document.text(words.UNKNOWN_REQUESTS if subject.app.unknown_handler is not None else words.OTHER_REQUESTS)
    for service, members in by_service(offer for group in groups for offer in group).items():
        conformance_to(document, subject, service, members)


def context_row(group: Group, lists: Mapping[int, str]) -> tuple[str, ...]:
    """One accepted presentation context."""
    offer = group[0]
    names = syntax_names(offer.syntaxes)
    return (
        title_of(group, lists),
        uid_of(group, lists),
        BREAK.join(names.values()) if offer.syntaxes is not None else "any that is proposed",
        BREAK.join(names) if offer.syntaxes is not None else "any",
        ROLES[offer.role],
        offer.extended,
    )


def conformance_to(document: Document, subject: Subject, service: ServiceClass, members: Sequence[Offer]) -> None:
    """SOP specific conformance to one service class."""
    document.heading(4, f"SOP Specific Conformance: {service_title(service)}")
    operations = {operation: offer.uid for offer in members for operation in offer.receives}
    if any(offer.sends for offer in members):
        document.text(words.SENT)
    if any(offer.reports for offer in members):
        document.text(words.REPORTED)
    for operation, uid in operations.items():
        document.text(f"{operation} is answered with:")
        document.table(("Status", "Meaning", "When"), statuses(subject, operation, uid), "")
    rest = others(subject, operations)
    if rest:
        document.text(words.OTHER_STATUSES.format(statuses="; ".join(map(escaped, rest))))
    elif operations:
        document.text(
            "The function that is registered for a request may answer with other statuses; which is not known."
        )


# 3.3 and after


def interfaces(document: Document, subject: Subject) -> None:
    document.heading(2, "Network Interfaces")
    document.items(policies.network(subject))


def configuration(document: Document, subject: Subject) -> None:
    document.heading(2, "Configuration")
    document.heading(3, "AE Title/Presentation Address Mapping")
    document.text(f"The local AE title is {escaped(subject.app.ae_title)}; it is set when the application is made.")
    destinations = subject.app.destinations
    if isinstance(destinations, Mapping):
        rows = [(title, getattr(where, "address", where)) for title, where in destinations.items()]
        document.table(("Remote AE title", "Address"), rows, "No remote AE titles are known.")
    else:
        document.text("A function of the application finds the addresses of remote AE titles; they are not known.")
    document.heading(3, "Parameters")
    if subject.server is None:
        document.text(words.DEFAULTS)
    rows = [(meaning, policies.seconds(getattr(subject.timeout, name))) for name, meaning in words.TIMEOUTS.items()]
    document.table(("Deadline", "Value"), rows, "")
    document.table(("Limit", "Value"), limit_rows(subject), "")


def limit_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    """The limits that are not among the association policies already."""
    for name, (meaning, unit) in words.LIMITS.items():
        value = getattr(subject.limits, name)
        if value is not None:
            yield meaning, f"{value} {unit}".strip() if value else "not limited"


def character_sets(document: Document) -> None:
    document.heading(1, "Support of Character Sets")
    names = ", ".join(name for name in python_encoding if name)
    document.text(words.CHARACTER_SETS.format(names=escaped(names)))


def security(document: Document, subject: Subject) -> None:
    document.heading(1, "Security")
    document.heading(2, "Security Profiles")
    if subject.server is None:
        document.text(
            "Whether connections are secured by TLS is chosen when the application is served; it is not known."
        )
    else:
        document.items(map(escaped, tls_items(subject.server.ssl)))
    document.heading(2, "Association Level Security")
    document.items(policies.acceptance(subject))
    document.text(policies.identity(subject))
    document.heading(2, "Application Level Security")
    middleware = " Functions of the application see every request before it is performed; what they do is not known."
    document.text("Nothing is known of it." + middleware * bool(subject.app.middlewares))


def annexes(document: Document, groups: Sequence[Group], lists: Mapping[int, str]) -> None:
    document.heading(1, "Annexes")
    document.heading(2, "Private SOP Classes and Transfer Syntaxes")
    rows = [(uid, "SOP class") for group in groups for offer in group if is_private(uid := offer.uid)]
    syntaxes = dict.fromkeys(uid for group in groups for uid in group[0].syntaxes or ())
    rows += [(uid, "transfer syntax") for uid in syntaxes if is_private(uid)]
    document.table(("UID", "What"), rows, "None is named by the application.")
    document.heading(2, "Lists of SOP Classes")
    if not lists:
        document.text("None.")
    for group in many(groups):
        document.heading(3, f"L{lists[id(group)][1:]}: {service_title(group[0].service)}")
        document.table(("SOP class", "UID"), [(name_of(offer.uid), offer.uid) for offer in group], "")


def is_private(uid: str) -> bool:
    """Whether a UID is not one of the standard's."""
    return uid != ANYTHING and not uid.startswith("1.2.840.10008.")
