"""What is decided when an association is opened (PS3.8 7.1.1, 9.3.2, 9.3.3; PS3.7 Annex D); pure functions of PDUs.

A requestor sends what `propose` makes. An acceptor looks at it with `check` and answers with `accept`. From the two
PDUs alone, either side learns by `conclude` what holds for the association.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from dicomio.config import PresentationContext, Role
from dicomio.errors import LocalProtocolError, RejectResult, RejectSource
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.wire.items import (
    SENDABLE_UID,
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import APPLICATION_CONTEXT, AssociateAC, AssociateRJ, AssociateRQ, encode

__all__ = ["AcceptedContext", "Agreement", "Answer", "Supported", "accept", "answer", "check", "conclude", "propose"]

# Presentation-context-ID: "odd integers between 1 and 255" (PS3.8 9.3.2.2)
MOST_CONTEXTS = 128

# Result/Reason of a presentation context (PS3.8 Table 9-18)
ACCEPTANCE = 0
USER_REJECTION = 1
NO_REASON = 2
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

# Reason/Diag. of an A-ASSOCIATE-RJ, by its source (PS3.8 Table 9-21)
APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
PROTOCOL_VERSION_NOT_SUPPORTED = 2

# Not significant in the answer to a context that is not accepted, yet some peers fail where there is none.
INSIGNIFICANT_TRANSFER_SYNTAX = "1.2.840.10008.1.2"

# Lengths and header of a PDV take 6 bytes, and a fragment has an even length (PS3.8 9.3.5.1, Annex E).
SHORTEST_MAXIMUM = 8
# The item is mandatory (PS3.8 D.1); a peer that forgot it probably has a buffer of the usual size.
USUAL_MAXIMUM = 16_384

# User-Identity-Type of a user name with a passcode, the only one with a secondary field (PS3.7 D.3.3.7.1)
PASSCODE = 2

COUNTERPART: Mapping[Role, Role] = {
    Role(0): Role(0),
    Role.SCU: Role.SCP,
    Role.SCP: Role.SCU,
    Role.BOTH: Role.BOTH,
}

NO_REFUSALS: Mapping[int, int] = MappingProxyType({})
NO_INFORMATION: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Supported:
    """What an acceptor supports for one SOP class.

    Args:
        abstract_syntax: SOP class UID.
        transfer_syntaxes: transfer syntax UIDs, preferred first; `None` for whatever the requestor prefers.
        role: the roles that the acceptor takes.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] | None
    role: Role = Role.SCP


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context that may be used on an association.

    Args:
        id: Presentation-context-ID.
        abstract_syntax: SOP class UID.
        transfer_syntax: transfer syntax UID of the data sets sent on it.
        role: what this side may do on it: as SCU invoke operations, as SCP perform them (PS3.7 D.3.3.4).
    """

    id: int
    abstract_syntax: str
    transfer_syntax: str
    role: Role


@dataclass(frozen=True, slots=True)
class Agreement:
    """What negotiation came to, seen from this side.

    Args:
        called_ae_title: of the acceptor.
        calling_ae_title: of the requestor.
        contexts: accepted presentation contexts by ID.
        refused: abstract syntax and result (PS3.8 Table 9-18) of the other ones, by ID.
        send_maximum: the longest P-DATA-TF variable field the peer receives, bytes, 0 for any (PS3.8 D.1).
        receive_maximum: the longest one that this side announced, bytes, 0 for any.
        window_invoked: operations this side may have outstanding, 0 for any number (PS3.7 D.3.3.3).
        window_performed: operations the peer may have outstanding, 0 for any number.
        implementation_class_uid: of the peer.
        implementation_version_name: of the peer.
        extended: what the acceptor answered to SOP class extended negotiation, by SOP class UID (PS3.7 D.3.3.5).
        identity_response: Server-response to a user identity (PS3.7 D.3.3.7); `None` where none was asked for.
        quirks: what was tolerated, as sentences.
        related: SOP classes of which the requestor says that a SOP class is a special case (PS3.7 D.3.3.6).
    """

    called_ae_title: str
    calling_ae_title: str
    contexts: Mapping[int, AcceptedContext]
    refused: Mapping[int, tuple[str, int]]
    send_maximum: int
    receive_maximum: int
    window_invoked: int
    window_performed: int
    implementation_class_uid: str | None
    implementation_version_name: str | None
    extended: Mapping[str, bytes]
    identity_response: bytes | None
    quirks: tuple[str, ...]
    related: Mapping[str, Sequence[str]]


class Answer(NamedTuple):
    """The answer to an A-ASSOCIATE-RQ that is accepted.

    Attributes:
        pdu: the A-ASSOCIATE-AC.
        encoded: the same, ready to be sent.
        agreement: what it comes to, seen from the acceptor.
    """

    pdu: AssociateAC
    encoded: bytes
    agreement: Agreement


def answer(rq: AssociateRQ, ac: AssociateAC) -> Answer:
    """Makes a proposal and its A-ASSOCIATE-AC an answer.

    Raises:
        LocalProtocolError: the A-ASSOCIATE-AC cannot be sent.
    """
    return Answer(ac, encode(ac), conclude(rq, ac, requestor=False))


def propose(
    *,
    called: str,
    calling: str,
    contexts: Sequence[PresentationContext],
    maximum_length: int,
    window: tuple[int, int] | None = None,
    extended: Mapping[str, bytes] = NO_INFORMATION,
    common_extended: Sequence[CommonExtendedNegotiation] = (),
    user_identity: UserIdentityRQ | None = None,
    role_selection: bool = True,
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME,
) -> AssociateRQ:
    """Makes the A-ASSOCIATE-RQ of a requestor (PS3.8 9.3.2).

    Args:
        called: AE title of the peer.
        calling: AE title of this side.
        contexts: at most 128; they get the IDs 1, 3, 5 and so on.
        maximum_length: the longest P-DATA-TF variable field this side receives, bytes, 0 for any.
        window: operations this side wants to have outstanding, and those it lets the peer have outstanding; 0 for any
            number. `None` sends no item, which means 1 and 1 (PS3.7 D.3.3.3).
        extended: information by SOP class UID (PS3.7 D.3.3.5).
        common_extended: SOP class common extended negotiation (PS3.7 D.3.3.6).
        user_identity: who asks for the association (PS3.7 D.3.3.7).
        role_selection: `False` sends no items about roles, whatever the contexts say.
        implementation_class_uid: of this side.
        implementation_version_name: of this side.

    Raises:
        LocalProtocolError: there are no contexts or too many, or one that proposes no role; or what goes with them is
            too long for an A-ASSOCIATE-RQ.
    """
    if not contexts:
        raise LocalProtocolError("an association needs presentation contexts: SOP classes that it is to be used for")
    if len(contexts) > MOST_CONTEXTS:
        raise LocalProtocolError(f"{len(contexts)} presentation contexts; an association has room for {MOST_CONTEXTS}")
    user = UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=implementation_class_uid,
        implementation_version_name=implementation_version_name,
        async_window=AsyncOperationsWindow(*window) if window is not None else None,
        roles=roles_to_propose(contexts) if role_selection else (),
        extended=tuple(ExtendedNegotiation(uid, information) for uid, information in extended.items()),
        common_extended=tuple(common_extended),
        user_identity=user_identity,
    )
    proposals = tuple(
        PresentationContextRQ(2 * index + 1, context.abstract_syntax, tuple(context.transfer_syntaxes))
        for index, context in enumerate(contexts)
    )
    rq = AssociateRQ(called, calling, proposals, user)
    if extended or common_extended or user_identity is not None:
        check_length(rq)
    return rq


def check_length(rq: AssociateRQ) -> None:
    """Looks whether a proposal fits its items, whose lengths have 16 bits (PS3.8 9.3.2.3)."""
    try:
        encode(rq)
    except LocalProtocolError as error:
        raise LocalProtocolError(
            f"user identity and extended negotiation are too long to be proposed: {error}"
        ) from error


def roles_to_propose(contexts: Sequence[PresentationContext]) -> tuple[RoleSelection, ...]:
    """The role selections needed: one for each SOP class whose roles, over all its contexts, are not the default."""
    roles: dict[str, Role] = {}
    for context in contexts:
        if not context.role:
            raise LocalProtocolError(f"the presentation context for {context.abstract_syntax} proposes no role")
        roles[context.abstract_syntax] = roles.get(context.abstract_syntax, Role(0)) | context.role
    return tuple(role_selection(uid, role) for uid, role in roles.items() if role != Role.SCU)


def role_selection(sop_class_uid: str, role: Role) -> RoleSelection:
    """The item that carries roles of the requestor."""
    return RoleSelection(sop_class_uid, scu=Role.SCU in role, scp=Role.SCP in role)


def selected_role(item: RoleSelection) -> Role:
    """The roles of the requestor that an item carries."""
    return (Role.SCU if item.scu else Role(0)) | (Role.SCP if item.scp else Role(0))


def proposed_roles(rq: AssociateRQ) -> dict[str, Role]:
    """The roles that the requestor proposed for itself, by SOP class; without items that are empty or unanswerable."""
    roles: dict[str, Role] = {}
    for item in rq.user.roles:
        role = selected_role(item)
        if role and SENDABLE_UID.fullmatch(item.sop_class_uid):
            roles.setdefault(item.sop_class_uid, role)
    return roles


def proposed_contexts(rq: AssociateRQ) -> dict[int, PresentationContextRQ]:
    """The proposals by ID; the first where an ID occurs more often."""
    contexts: dict[int, PresentationContextRQ] = {}
    for context in rq.contexts:
        contexts.setdefault(context.id, context)
    return contexts


def check(rq: AssociateRQ) -> AssociateRJ | None:
    """Decides whether the service-provider finds an A-ASSOCIATE-RQ acceptable (PS3.8 9.2.2, AE-6).

    A missing application context name is tolerated; one that is not that of DICOM promises another protocol.

    Returns:
        The refusal, or `None`.
    """
    # "A receiver of this PDU implementing only this version of the DICOM UL protocol shall only test that bit 0 is set"
    if not rq.protocol_version & 1:
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.ACSE, PROTOCOL_VERSION_NOT_SUPPORTED)
    if rq.application_context not in ("", APPLICATION_CONTEXT):
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.SERVICE_USER, APPLICATION_CONTEXT_NAME_NOT_SUPPORTED)
    return None


def no_extension(sop_class_uid: str, information: bytes) -> bytes | None:
    """Answers no extended negotiation."""
    return None


def accept(
    rq: AssociateRQ,
    supported: Callable[[str], Supported | None],
    *,
    maximum_length: int,
    refuse: Mapping[int, int] = NO_REFUSALS,
    window: tuple[int, int] = (1, 1),
    extended: Callable[[str, bytes], bytes | None] = no_extension,
    identity_response: bytes | None = None,
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME,
) -> AssociateAC:
    """Makes the A-ASSOCIATE-AC of an acceptor (PS3.8 9.3.3), in answer to any A-ASSOCIATE-RQ that could be decoded.

    Args:
        rq: what the requestor proposed.
        supported: tells what this side supports for a SOP class UID, `None` if it does not support it.
        maximum_length: the longest P-DATA-TF variable field this side receives, bytes, 0 for any.
        refuse: results from 1 to 4 for contexts that the user refuses, by ID (PS3.8 Table 9-18).
        window: operations this side wants to have outstanding at most, and those it lets the requestor have
            outstanding; 0 for any number. Sent only where the requestor proposed a window (PS3.7 D.3.3.3).
        extended: answers the information proposed for an accepted SOP class, `None` for no answer (PS3.7 D.3.3.5).
        identity_response: Server-response, sent only where the requestor asked for one (PS3.7 D.3.3.7).
        implementation_class_uid: of this side.
        implementation_version_name: of this side.

    Raises:
        LocalProtocolError: `refuse` has a result that is not from 1 to 4.
    """
    if not all(USER_REJECTION <= result <= TRANSFER_SYNTAXES_NOT_SUPPORTED for result in refuse.values()):
        raise LocalProtocolError(f"{dict(refuse)}: a presentation context is refused with a result from 1 to 4")
    contexts, granted = answer_contexts(rq, supported, refuse)
    identity = rq.user.user_identity
    user = UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=implementation_class_uid,
        implementation_version_name=implementation_version_name,
        async_window=answer_window(rq.user.async_window, window),
        roles=tuple(role_selection(uid, granted[uid]) for uid in proposed_roles(rq) if uid in granted),
        extended=answer_extensions(rq, granted, extended),
        user_identity_response=identity_response if identity is not None and identity.positive_response else None,
    )
    return AssociateAC(rq.called_ae_title, rq.calling_ae_title, contexts, user)


def answer_contexts(
    rq: AssociateRQ, supported: Callable[[str], Supported | None], refuse: Mapping[int, int]
) -> tuple[tuple[PresentationContextAC, ...], dict[str, Role]]:
    """Answers every ID once; tells which roles the requestor gets for the SOP classes that are accepted."""
    offers = proposed_roles(rq)
    answers: list[PresentationContextAC] = []
    granted: dict[str, Role] = {}
    for context_id, proposal in proposed_contexts(rq).items():
        uid = proposal.abstract_syntax
        choice = supported(uid)
        role = offers.get(uid, Role.SCU) & COUNTERPART[choice.role] if choice is not None else Role(0)
        result, transfer_syntax = refuse.get(context_id, ACCEPTANCE), INSIGNIFICANT_TRANSFER_SYNTAX
        if result == ACCEPTANCE:
            result, transfer_syntax = answer_context(proposal, choice, role)
        if result == ACCEPTANCE:
            granted[uid] = role
        answers.append(PresentationContextAC(context_id, result, transfer_syntax))
    return tuple(answers), granted


def answer_context(proposal: PresentationContextRQ, choice: Supported | None, role: Role) -> tuple[int, str]:
    """The result of one proposal and the transfer syntax to go with it."""
    if choice is None:
        return ABSTRACT_SYNTAX_NOT_SUPPORTED, INSIGNIFICANT_TRANSFER_SYNTAX
    if not role:
        return USER_REJECTION, INSIGNIFICANT_TRANSFER_SYNTAX
    transfer_syntax = choose_transfer_syntax(proposal.transfer_syntaxes, choice.transfer_syntaxes)
    if transfer_syntax is None:
        return TRANSFER_SYNTAXES_NOT_SUPPORTED, INSIGNIFICANT_TRANSFER_SYNTAX
    return ACCEPTANCE, transfer_syntax


def choose_transfer_syntax(proposed: Sequence[str], preferred: Sequence[str] | None) -> str | None:
    """The first of our preference that was proposed; without a preference the first proposed that we can answer."""
    if preferred is not None:
        return next((uid for uid in preferred if uid in proposed), None)
    return next((uid for uid in proposed if SENDABLE_UID.fullmatch(uid)), None)


def answer_window(proposed: AsyncOperationsWindow | None, window: tuple[int, int]) -> AsyncOperationsWindow | None:
    """The window of the answer; like the proposal, it counts what the requestor invokes and performs."""
    if proposed is None:
        return None
    invoked, performed = window
    return AsyncOperationsWindow(narrower(proposed.invoked, performed), narrower(proposed.performed, invoked))


def narrower(one: int, other: int) -> int:
    """The smaller of two windows, of which 0 is the widest."""
    return min(one, other) if one and other else max(one, other)


def answer_extensions(
    rq: AssociateRQ, granted: Mapping[str, Role], extended: Callable[[str, bytes], bytes | None]
) -> tuple[ExtendedNegotiation, ...]:
    """Answers SOP class extended negotiation for the SOP classes that are accepted."""
    answers: dict[str, ExtendedNegotiation] = {}
    for item in rq.user.extended:
        uid = item.sop_class_uid
        if uid in granted and uid not in answers and SENDABLE_UID.fullmatch(uid):
            information = extended(uid, item.information)
            if information is not None:
                answers[uid] = ExtendedNegotiation(uid, information)
    return tuple(answers.values())


def conclude(rq: AssociateRQ, ac: AssociateAC, *, requestor: bool) -> Agreement:
    """Tells what holds for an association, on either side and whatever the peer answered.

    Args:
        rq: what the requestor proposed.
        ac: what the acceptor answered.
        requestor: whether this side is the requestor.
    """
    quirks = list(ac.quirks) if requestor else [*rq.quirks, *contradictions(rq)]
    own, peer = (rq.user, ac.user) if requestor else (ac.user, rq.user)
    contexts, refused = settle_contexts(rq, ac, requestor, quirks)
    invoked, performed = settle_window(rq.user.async_window, ac.user.async_window, quirks)
    return Agreement(
        called_ae_title=rq.called_ae_title,
        calling_ae_title=rq.calling_ae_title,
        contexts=contexts,
        refused=refused,
        send_maximum=settle_maximum(peer.maximum_length, quirks),
        receive_maximum=own.maximum_length or 0,
        window_invoked=invoked if requestor else performed,
        window_performed=performed if requestor else invoked,
        implementation_class_uid=peer.implementation_class_uid,
        implementation_version_name=peer.implementation_version_name,
        extended=settle_extensions(rq, ac, quirks),
        identity_response=settle_identity(rq.user.user_identity, ac.user.user_identity_response, quirks),
        quirks=tuple(dict.fromkeys(quirks)),
        related=related_sop_classes(rq),
    )


def related_sop_classes(rq: AssociateRQ) -> Mapping[str, Sequence[str]]:
    """The related general SOP classes that the requestor names, by SOP class (PS3.7 D.3.3.6)."""
    related: dict[str, Sequence[str]] = {}
    for item in rq.user.common_extended:
        related.setdefault(item.sop_class_uid, item.related)
    return related


def contradictions(rq: AssociateRQ) -> Iterator[str]:
    """What of a proposal makes no sense beside the rest of it, as sentences; it is answered all the same."""
    proposed = {context.abstract_syntax for context in rq.contexts}
    user = rq.user
    for what, items in (
        ("a role selection", user.roles),
        ("an extended negotiation", user.extended),
        ("a common extended negotiation", user.common_extended),
    ):
        counts = Counter(item.sop_class_uid for item in items if SENDABLE_UID.fullmatch(item.sop_class_uid))
        for uid, count in counts.items():
            if uid not in proposed:
                yield f"proposed {what} for {uid}, which is in no presentation context"
            elif count > 1:
                yield f"proposed {what} for {uid} {count} times; the first counts"
    for item in user.roles:
        if not selected_role(item) and item.sop_class_uid in proposed:
            yield f"proposed neither role for {item.sop_class_uid}; the default holds"
    identity = user.user_identity
    if identity is not None and identity.secondary and identity.type != PASSCODE:
        yield f"sent a secondary field with a user identity of type {identity.type}, which has none"


def settle_contexts(
    rq: AssociateRQ, ac: AssociateAC, requestor: bool, quirks: list[str]
) -> tuple[dict[int, AcceptedContext], dict[int, tuple[str, int]]]:
    """Matches answers with proposals: accepted contexts, and abstract syntax and result of the others."""
    roles = settle_roles(proposed_roles(rq), ac.user.roles, quirks)
    proposals = proposed_contexts(rq)
    answers = matching_answers(proposals, ac.contexts, quirks)
    accepted: dict[int, AcceptedContext] = {}
    refused: dict[int, tuple[str, int]] = {}
    for context_id, proposal in proposals.items():
        uid = proposal.abstract_syntax
        result, transfer_syntax = settle_context(proposal, answers.get(context_id), quirks)
        if result == ACCEPTANCE:
            role = roles.get(uid, Role.SCU)
            role = role if requestor else COUNTERPART[role]
            accepted[context_id] = AcceptedContext(context_id, uid, transfer_syntax, role)
        else:
            refused[context_id] = (uid, result)
    return accepted, refused


def matching_answers(
    proposals: Mapping[int, PresentationContextRQ], contexts: Sequence[PresentationContextAC], quirks: list[str]
) -> dict[int, PresentationContextAC]:
    """The answers by ID, without those that answer nothing."""
    answers: dict[int, PresentationContextAC] = {}
    for answer in contexts:
        if answer.id not in proposals:
            quirks.append(f"answered presentation context {answer.id}, which was not proposed")
        elif answer.id in answers:
            quirks.append(f"answered presentation context {answer.id} more than once; the first answer counts")
        else:
            answers[answer.id] = answer
    return answers


def settle_context(
    proposal: PresentationContextRQ, answer: PresentationContextAC | None, quirks: list[str]
) -> tuple[int, str]:
    """The result of one proposal, and its transfer syntax if it is accepted."""
    if answer is None:
        quirks.append(f"did not answer presentation context {proposal.id}")
        return NO_REASON, ""
    if answer.result != ACCEPTANCE:
        if answer.result > TRANSFER_SYNTAXES_NOT_SUPPORTED:
            quirks.append(f"answered presentation context {proposal.id} with result {answer.result}")
        return answer.result, ""
    if answer.transfer_syntax in proposal.transfer_syntaxes:
        return ACCEPTANCE, answer.transfer_syntax
    if not answer.transfer_syntax and len(proposal.transfer_syntaxes) == 1:
        quirks.append(f"accepted presentation context {proposal.id} without a transfer syntax; one was proposed")
        return ACCEPTANCE, proposal.transfer_syntaxes[0]
    named = answer.transfer_syntax or "no transfer syntax"
    quirks.append(f"accepted presentation context {proposal.id} with {named}, which was not proposed")
    return TRANSFER_SYNTAXES_NOT_SUPPORTED, ""


def settle_roles(offers: Mapping[str, Role], answers: Sequence[RoleSelection], quirks: list[str]) -> dict[str, Role]:
    """The roles of the requestor by SOP class, where they were negotiated (PS3.7 D.3.3.4)."""
    roles: dict[str, Role] = {}
    for item in answers:
        uid = item.sop_class_uid
        role = selected_role(item)
        # "The Association-requestor shall ignore the response if it has not proposed the role."
        if uid not in offers:
            quirks.append(f"answered a role selection for {uid}, which was not proposed")
            continue
        if role & ~offers[uid]:
            quirks.append(f"granted a role for {uid} that was not proposed")
        roles[uid] = role & offers[uid]
    return roles


def settle_window(
    proposed: AsyncOperationsWindow | None, answered: AsyncOperationsWindow | None, quirks: list[str]
) -> tuple[int, int]:
    """The operations that the requestor may invoke and perform at once (PS3.7 D.3.3.3)."""
    # "If the Asynchronous Operations Window is absent the default for the above parameters shall be equal to one."
    if answered is None:
        return 1, 1
    if proposed is None:
        quirks.append("answered an asynchronous operations window, which was not proposed")
        return 1, 1
    invoked, performed = narrower(proposed.invoked, answered.invoked), narrower(proposed.performed, answered.performed)
    if (invoked, performed) != (answered.invoked, answered.performed):
        quirks.append("answered a wider asynchronous operations window than was proposed")
    return invoked, performed


def settle_maximum(announced: int | None, quirks: list[str]) -> int:
    """The longest P-DATA-TF variable field to send, bytes; 0 for any (PS3.8 D.1)."""
    if announced is None:
        quirks.append(f"announced no maximum length; {USUAL_MAXIMUM} is assumed")
        return USUAL_MAXIMUM
    if 0 < announced < SHORTEST_MAXIMUM:
        quirks.append(f"announced a maximum length of {announced}, in which no data fit; {SHORTEST_MAXIMUM} is assumed")
        return SHORTEST_MAXIMUM
    return announced


def settle_extensions(rq: AssociateRQ, ac: AssociateAC, quirks: list[str]) -> dict[str, bytes]:
    """The answers to SOP class extended negotiation, by SOP class (PS3.7 D.3.3.5)."""
    proposed = {item.sop_class_uid for item in rq.user.extended}
    answers: dict[str, bytes] = {}
    for item in ac.user.extended:
        if item.sop_class_uid in proposed:
            answers[item.sop_class_uid] = item.information
        else:
            quirks.append(f"answered an extended negotiation for {item.sop_class_uid}, which was not proposed")
    return answers


def settle_identity(identity: UserIdentityRQ | None, response: bytes | None, quirks: list[str]) -> bytes | None:
    """The Server-response that was asked for (PS3.7 D.3.3.7)."""
    if response is not None and (identity is None or not identity.positive_response):
        quirks.append("answered a user identity, which was not asked for")
        return None
    return response
