"""What an application accepts: found by asking what negotiation asks, for every SOP class there is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from pydicom.uid import UID as NAMED

from dicomio import sop
from dicomio.config import UID, Role
from dicomio.conformance.described import Described
from dicomio.extensions import QueryExtension, RetrieveExtension, StorageExtension
from dicomio.implementation import IMPLEMENTATION_CLASS_UID
from dicomio.sop.services import SOP_CLASSES, ServiceClass, service_of
from dicomio.wire.commands import CommandField

__all__ = ["ANYTHING", "Group", "Offer", "grouped", "name_of", "offers", "service_title", "syntax_names"]

# Stands for every SOP class that has no other offer: a UID that nobody else can have given to one.
ANYTHING: Final = f"{IMPLEMENTATION_CLASS_UID}.0"
# As many SOP classes that are treated alike are listed in an annex.
MANY: Final = 12

PRIVATE: Final = ServiceClass("Private", "")
EVENT: Final = "N-EVENT-REPORT"


@dataclass(frozen=True, slots=True)
class Offer:
    """One SOP class as it is accepted.

    Attributes:
        uid: its UID.
        service: the service class it belongs to.
        role: roles that are accepted for ourselves.
        syntaxes: accepted transfer syntaxes, preferred first; `None` where any is.
        receives: DIMSE services that are performed for the peer.
        sends: DIMSE services that are known to be invoked on the same association.
        extended: SOP class extended negotiation, in words.
    """

    uid: str
    service: ServiceClass
    role: Role
    syntaxes: tuple[str, ...] | None
    receives: tuple[str, ...]
    sends: tuple[str, ...]
    extended: str

    @property
    def provides(self) -> bool:
        """Whether we are SCP of it; there are SOP classes whose SCP only reports."""
        reports_only = not self.receives and not self.sends
        return reports_only or any(operation != EVENT for operation in self.receives)

    @property
    def uses(self) -> bool:
        """Whether we are SCU of it: who is reported to, or sends what a C-GET asked for."""
        return EVENT in self.receives or bool(self.sends)

    @property
    def reports(self) -> bool:
        """Whether we may report events to those who use it."""
        known = SOP_CLASSES.get(self.uid)
        return known is not None and EVENT in known.operations and self.provides


Group = Sequence[Offer]


def offers(app: Described) -> list[Offer]:
    """Everything that is accepted, by service class."""
    registered = [uid for handlers in app.handlers.values() for uid in handlers if UID.fullmatch(uid)]
    candidates = dict.fromkeys([*SOP_CLASSES, *sop.NAMES, *registered, ANYTHING])
    found = [offer for uid in candidates if (offer := offer_of(app, uid)) is not None]
    return sorted(found, key=lambda offer: (offer.service is PRIVATE, len(offer.service.annex), offer.service.annex))


def offer_of(app: Described, uid: str) -> Offer | None:
    """What is accepted for a SOP class; `None` where nothing is."""
    supported = app.admission.supported(uid)
    if supported is None:
        return None
    gets = "C-STORE" if Role.SCU in supported.role and app.handlers.get(CommandField.C_GET_RQ) else ""
    receives = tuple(received(app, uid))
    if not receives and Role.SCP in supported.role and may_be_stored(uid):
        receives = ("C-STORE",)
    return Offer(
        uid,
        service_of(uid) or PRIVATE,
        supported.role,
        tuple(supported.transfer_syntaxes) if supported.transfer_syntaxes is not None else None,
        receives,
        (gets,) if gets and not any(operation.startswith("N-") for operation in receives) else (),
        extension_words(app, uid),
    )


def may_be_stored(uid: str) -> bool:
    """Whether a SOP class that no handler names is accepted because handlers store whatever comes."""
    known = SOP_CLASSES.get(uid)
    return known is None or not known.operations or "C-STORE" in known.operations


def received(app: Described, uid: str) -> Iterator[str]:
    """The DIMSE services that handlers perform on a presentation context of a SOP class."""
    if uid == sop.Verification:
        yield "C-ECHO"
    known = SOP_CLASSES.get(uid)
    for field in sorted(app.handlers):
        operation = CommandField(field).name.removesuffix("_RQ").replace("_", "-")
        handlers = app.handlers[field]
        through = known is not None and operation in known.operations and operation.startswith("N-")
        members = sop.MEMBERS.get(uid, ()) if through else ()
        if operation != "C-ECHO" and any(each in handlers for each in (uid, *members)):
            yield operation


def extension_words(app: Described, uid: str) -> str:
    """How extended negotiation is answered."""
    respond = app.admission.extensions.get(uid)
    extension = getattr(respond, "__self__", None)
    match extension:
        case QueryExtension() | RetrieveExtension():
            names = [each.name.replace("_", " ") for each in fields(extension) if getattr(extension, each.name)]
            return ", ".join(names) or "baseline behavior"
        case StorageExtension():
            return f"level {extension.level}, signatures {extension.signatures}, coercion {extension.coercion}"
        case _:
            return "none" if respond is None else "answered by a function of the application"


def grouped(found: Iterable[Offer]) -> list[Group]:
    """SOP classes that are treated alike together, where they are many; the others one by one."""
    alike: dict[object, list[Offer]] = {}
    for offer in found:
        alike.setdefault(replace(offer, uid=ANYTHING if offer.uid == ANYTHING else ""), []).append(offer)
    return [
        part for group in alike.values() for part in ([group] if len(group) >= MANY else [[offer] for offer in group])
    ]


def name_of(uid: str) -> str:
    """The name of a UID as PS3.6 has it."""
    if uid == ANYTHING:
        return "Any other SOP Class, private ones included"
    known = NAMED(uid).name
    if known != uid:
        return known
    return sop.NAMES.get(uid, "private, or unknown to the software")


def syntax_names(syntaxes: Sequence[str] | None) -> Mapping[str, str]:
    """The names of transfer syntaxes by UID; nothing where any is accepted."""
    return {uid: name_of(uid) for uid in syntaxes or ()}


def service_title(service: ServiceClass) -> str:
    """What a service class is called."""
    if service is PRIVATE:
        return "Private SOP Classes"
    part = "" if service.annex.startswith("PS3") else "PS3.4 "
    return f"{service.name} Service Class ({part}{service.annex})"
