"""What comes of an A-ASSOCIATE-RQ and its answer: contexts, roles, windows, lengths, and the odd PDUs of the field."""

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dicomio.config import PresentationContext, Role
from dicomio.errors import LocalProtocolError
from dicomio.negotiation import AcceptedContext, Supported, accept, check, conclude, propose
from dicomio.wire.items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import APPLICATION_CONTEXT, HEADER_LENGTH, AssociateAC, AssociateRJ, AssociateRQ, decode, encode

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
TOO_LONG = "1." * 32 + "1"
MAXIMUM = 16384
ACCEPTED = PresentationContextAC(1, 0, IMPLICIT)

Window = tuple[int, int]


def user_information(**items: Any) -> UserInformation:
    return UserInformation(maximum_length=MAXIMUM, **items)


def request(*contexts: PresentationContextRQ, user: UserInformation | None = None) -> AssociateRQ:
    return AssociateRQ("CALLED", "CALLING", contexts, user or user_information())


def response(*contexts: PresentationContextAC, user: UserInformation | None = None) -> AssociateAC:
    return AssociateAC("CALLED", "CALLING", contexts, user or user_information())


def proposal(context_id: int = 1, uid: str = CT, *transfer_syntaxes: str) -> PresentationContextRQ:
    return PresentationContextRQ(context_id, uid, transfer_syntaxes or (IMPLICIT,))


def anything(uid: str) -> Supported:
    return Supported(uid, None)


def nothing(uid: str) -> None:
    return None


def simple_proposal() -> AssociateRQ:
    return propose(called="CALLED", calling="CALLING", contexts=[PresentationContext(CT)], maximum_length=MAXIMUM)


# propose


def test_proposal_numbers_the_contexts() -> None:
    rq = propose(
        called="CALLED",
        calling="CALLING",
        contexts=[PresentationContext(VERIFICATION), PresentationContext(CT, [JPEG]), PresentationContext(CT)],
        maximum_length=MAXIMUM,
    )
    assert rq.contexts == (
        proposal(1, VERIFICATION, EXPLICIT, IMPLICIT),
        proposal(3, CT, JPEG),
        proposal(5, CT, EXPLICIT, IMPLICIT),
    )
    assert (rq.called_ae_title, rq.calling_ae_title, rq.user.maximum_length) == ("CALLED", "CALLING", MAXIMUM)
    assert rq.user.implementation_class_uid
    assert rq.user.implementation_version_name
    assert rq.user.async_window is None
    assert rq.user.roles == ()


def test_proposal_of_everything() -> None:
    identity = UserIdentityRQ(2, b"somebody", b"secret", True)
    common = CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ())
    rq = propose(
        called="CALLED",
        calling="CALLING",
        contexts=[PresentationContext(CT)],
        maximum_length=0,
        window=(5, 0),
        extended={CT: b"\1\2"},
        common_extended=[common],
        user_identity=identity,
        implementation_class_uid="1.2.3",
        implementation_version_name="OTHER",
    )
    assert rq.user == UserInformation(
        maximum_length=0,
        implementation_class_uid="1.2.3",
        implementation_version_name="OTHER",
        async_window=AsyncOperationsWindow(5, 0),
        extended=(ExtendedNegotiation(CT, b"\1\2"),),
        common_extended=(common,),
        user_identity=identity,
    )
    assert decode(1, encode(rq)[HEADER_LENGTH:]) == rq


def test_proposal_has_room_for_128_contexts() -> None:
    contexts = [PresentationContext(f"1.2.{number}") for number in range(128)]
    rq = propose(called="CALLED", calling="CALLING", contexts=contexts, maximum_length=MAXIMUM)
    assert [context.id for context in rq.contexts] == list(range(1, 256, 2))
    with pytest.raises(LocalProtocolError, match="129 presentation contexts"):
        propose(called="A", calling="B", contexts=[*contexts, PresentationContext(CT)], maximum_length=MAXIMUM)


@pytest.mark.parametrize(
    "roles, items",
    [
        ([(True, False)], ()),
        ([(False, True)], (RoleSelection(CT, scu=False, scp=True),)),
        ([(True, True)], (RoleSelection(CT, scu=True, scp=True),)),
        ([(True, False), (False, True)], (RoleSelection(CT, scu=True, scp=True),)),
    ],
)
def test_proposal_selects_roles_once_for_a_sop_class(
    roles: list[tuple[bool, bool]], items: tuple[RoleSelection, ...]
) -> None:
    contexts = [PresentationContext(CT, scu=scu, scp=scp) for scu, scp in roles]
    rq = propose(called="CALLED", calling="CALLING", contexts=contexts, maximum_length=MAXIMUM)
    assert rq.user.roles == items


def test_proposal_without_a_role() -> None:
    contexts = [PresentationContext(CT, scu=False, scp=False)]
    with pytest.raises(LocalProtocolError, match="proposes no role"):
        propose(called="CALLED", calling="CALLING", contexts=contexts, maximum_length=MAXIMUM)


# check


@pytest.mark.parametrize(
    "version, application_context, answer",
    [
        (1, APPLICATION_CONTEXT, None),
        (3, APPLICATION_CONTEXT, None),
        (0xFFFF, APPLICATION_CONTEXT, None),
        (1, "", None),
        (0, APPLICATION_CONTEXT, AssociateRJ(1, 2, 2)),
        (2, APPLICATION_CONTEXT, AssociateRJ(1, 2, 2)),
        (2, "1.2.3", AssociateRJ(1, 2, 2)),
        (1, "1.2.3", AssociateRJ(1, 1, 2)),
    ],
)
def test_check(version: int, application_context: str, answer: AssociateRJ | None) -> None:
    rq = replace(simple_proposal(), protocol_version=version, application_context=application_context)
    assert check(rq) == answer


# contexts in the answer


@pytest.mark.parametrize(
    "proposed, preferred, result, chosen",
    [
        ([IMPLICIT], (IMPLICIT,), 0, IMPLICIT),
        ([IMPLICIT, EXPLICIT], (EXPLICIT, IMPLICIT), 0, EXPLICIT),
        ([IMPLICIT, EXPLICIT], (BIG_ENDIAN, IMPLICIT), 0, IMPLICIT),
        ([JPEG, EXPLICIT], None, 0, JPEG),
        ([TOO_LONG, EXPLICIT], None, 0, EXPLICIT),
        ([TOO_LONG], None, 4, IMPLICIT),
        ([JPEG], (EXPLICIT, IMPLICIT), 4, IMPLICIT),
        ([JPEG], (), 4, IMPLICIT),
        ([], (EXPLICIT, IMPLICIT), 4, IMPLICIT),
        ([], None, 4, IMPLICIT),
    ],
)
def test_choice_of_the_transfer_syntax(
    proposed: list[str], preferred: tuple[str, ...] | None, result: int, chosen: str
) -> None:
    rq = request(PresentationContextRQ(1, CT, tuple(proposed)))
    ac = accept(rq, lambda uid: Supported(uid, preferred), maximum_length=MAXIMUM)
    assert ac.contexts == (PresentationContextAC(1, result, chosen),)


def test_answer_to_each_context() -> None:
    rq = request(proposal(1, VERIFICATION), proposal(3, CT), proposal(5, MR), proposal(7, MR, JPEG), proposal(9, MR))
    known = {VERIFICATION: Supported(VERIFICATION, (IMPLICIT,)), MR: Supported(MR, (IMPLICIT,))}
    ac = accept(rq, known.get, maximum_length=4096, refuse={5: 1, 3: 2})
    assert [(context.id, context.result) for context in ac.contexts] == [(1, 0), (3, 2), (5, 1), (7, 4), (9, 0)]
    assert (ac.called_ae_title, ac.calling_ae_title) == ("CALLED", "CALLING")
    assert ac.user.maximum_length == 4096
    assert ac.user.implementation_class_uid
    assert conclude(rq, ac, requestor=True).refused == {3: (CT, 2), 5: (MR, 1), 7: (MR, 4)}


def test_unknown_sop_class() -> None:
    ac = accept(request(proposal()), nothing, maximum_length=MAXIMUM)
    assert [context.result for context in ac.contexts] == [3]


@pytest.mark.parametrize("result", [0, 5, -1])
def test_refusal_with_an_impossible_result(result: int) -> None:
    with pytest.raises(LocalProtocolError, match="from 1 to 4"):
        accept(request(proposal()), anything, maximum_length=MAXIMUM, refuse={1: result})


def test_each_id_is_answered_once() -> None:
    rq = request(proposal(2, CT), proposal(1, MR, EXPLICIT), proposal(1, CT, JPEG), proposal(0, CT))
    ac = accept(rq, anything, maximum_length=MAXIMUM)
    assert ac.contexts == (
        PresentationContextAC(2, 0, IMPLICIT),
        PresentationContextAC(1, 0, EXPLICIT),
        PresentationContextAC(0, 0, IMPLICIT),
    )
    assert conclude(rq, ac, requestor=False).contexts[1] == AcceptedContext(1, MR, EXPLICIT, Role.SCP)


# contexts as concluded from the answer


@pytest.mark.parametrize(
    "proposed, answers, accepted, refused, quirk",
    [
        ([IMPLICIT], [(1, 0, IMPLICIT)], IMPLICIT, None, None),
        ([IMPLICIT], [(1, 1, IMPLICIT)], None, 1, None),
        ([IMPLICIT], [(1, 4, "")], None, 4, None),
        ([IMPLICIT], [(1, 9, "")], None, 9, "answered presentation context 1 with result 9"),
        ([IMPLICIT], [], None, 2, "did not answer presentation context 1"),
        ([IMPLICIT], [(1, 0, "")], IMPLICIT, None, "accepted presentation context 1 without a transfer syntax"),
        ([IMPLICIT, JPEG], [(1, 0, "")], None, 4, "accepted presentation context 1 with no transfer syntax"),
        ([IMPLICIT], [(1, 0, JPEG)], None, 4, f"accepted presentation context 1 with {JPEG}"),
        ([], [(1, 0, "")], None, 4, "accepted presentation context 1 with no transfer syntax"),
        ([IMPLICIT], [(1, 0, IMPLICIT), (1, 3, "")], IMPLICIT, None, "answered presentation context 1 more than once"),
        ([IMPLICIT], [(1, 0, IMPLICIT), (3, 0, IMPLICIT)], IMPLICIT, None, "answered presentation context 3, which"),
    ],
)
def test_answers_to_contexts(
    proposed: list[str],
    answers: list[tuple[int, int, str]],
    accepted: str | None,
    refused: int | None,
    quirk: str | None,
) -> None:
    rq = request(PresentationContextRQ(1, CT, tuple(proposed)))
    ac = response(*(PresentationContextAC(*answer) for answer in answers))
    agreement = conclude(rq, ac, requestor=True)
    assert agreement.contexts == ({1: AcceptedContext(1, CT, accepted, Role.SCU)} if accepted else {})
    assert agreement.refused == ({1: (CT, refused)} if refused is not None else {})
    assert [sentence.startswith(quirk or "") for sentence in agreement.quirks] == ([True] if quirk else [])


# roles; test_roles.py has them all


def test_roles_of_refused_sop_classes_are_not_answered() -> None:
    roles = (RoleSelection(CT, True, True), RoleSelection(MR, True, True))
    rq = request(proposal(1, CT), proposal(3, MR), user=user_information(roles=roles))
    ac = accept(rq, {MR: Supported(MR, None, Role.BOTH)}.get, maximum_length=MAXIMUM)
    assert ac.user.roles == (RoleSelection(MR, True, True),)


def test_roles_of_a_uid_that_cannot_be_sent_are_the_default() -> None:
    user = user_information(roles=(RoleSelection(TOO_LONG, False, True),))
    rq = request(proposal(1, TOO_LONG), user=user)
    ac = accept(rq, anything, maximum_length=MAXIMUM)
    assert ac.user.roles == ()
    assert conclude(rq, ac, requestor=False).contexts[1].role == Role.SCP
    assert encode(ac)


# asynchronous operations window


@pytest.mark.parametrize(
    "proposed, bound, answer",
    [
        (None, (5, 5), None),
        ((1, 1), (1, 1), (1, 1)),
        ((5, 3), (1, 1), (1, 1)),
        ((5, 3), (0, 0), (5, 3)),
        ((0, 0), (0, 0), (0, 0)),
        ((0, 0), (2, 8), (8, 2)),
        ((5, 3), (2, 8), (5, 2)),
        ((0, 3), (2, 8), (8, 2)),
    ],
)
def test_window_of_the_answer(proposed: Window | None, bound: Window, answer: Window | None) -> None:
    window = None if proposed is None else AsyncOperationsWindow(*proposed)
    rq = request(proposal(), user=user_information(async_window=window))
    ac = accept(rq, anything, maximum_length=MAXIMUM, window=bound)
    assert ac.user.async_window == (None if answer is None else AsyncOperationsWindow(*answer))


@pytest.mark.parametrize(
    "proposed, answered, requestor, quirk",
    [
        (None, None, (1, 1), None),
        ((5, 3), None, (1, 1), None),
        (None, (5, 3), (1, 1), "answered an asynchronous operations window, which was not proposed"),
        ((5, 3), (5, 3), (5, 3), None),
        ((5, 3), (4, 1), (4, 1), None),
        ((0, 0), (4, 0), (4, 0), None),
        ((0, 0), (0, 0), (0, 0), None),
        ((5, 3), (6, 3), (5, 3), "answered a wider asynchronous operations window than was proposed"),
        ((5, 3), (0, 0), (5, 3), "answered a wider asynchronous operations window than was proposed"),
    ],
)
def test_window_as_concluded(
    proposed: Window | None, answered: Window | None, requestor: Window, quirk: str | None
) -> None:
    offer, answer = (None if item is None else AsyncOperationsWindow(*item) for item in (proposed, answered))
    rq = request(proposal(), user=user_information(async_window=offer))
    ac = response(ACCEPTED, user=user_information(async_window=answer))
    ours, theirs = conclude(rq, ac, requestor=True), conclude(rq, ac, requestor=False)
    assert (ours.window_invoked, ours.window_performed) == requestor
    assert (theirs.window_performed, theirs.window_invoked) == requestor
    assert ours.quirks == ((quirk,) if quirk else ())


# maximum length


@pytest.mark.parametrize(
    "announced, send_maximum, quirk",
    [
        (MAXIMUM, MAXIMUM, None),
        (0, 0, None),
        (0xFFFFFFFF, 0xFFFFFFFF, None),
        (8, 8, None),
        (7, 8, "announced a maximum length of 7, in which no data fit; 8 is assumed"),
        (1, 8, "announced a maximum length of 1, in which no data fit; 8 is assumed"),
        (None, 16384, "announced no maximum length; 16384 is assumed"),
    ],
)
def test_maximum_length(announced: int | None, send_maximum: int, quirk: str | None) -> None:
    rq = request(proposal(), user=UserInformation(maximum_length=announced))
    ac = accept(rq, anything, maximum_length=65536)
    agreement = conclude(rq, ac, requestor=False)
    assert (agreement.send_maximum, agreement.receive_maximum) == (send_maximum, 65536)
    assert agreement.quirks == ((quirk,) if quirk else ())
    assert conclude(rq, ac, requestor=True).receive_maximum == (announced or 0)
    assert conclude(rq, ac, requestor=True).send_maximum == 65536


# user information


@pytest.mark.parametrize(
    "identity, given, answered",
    [
        (None, b"token", None),
        (UserIdentityRQ(1, b"somebody"), b"token", None),
        (UserIdentityRQ(1, b"somebody", b"", True), None, None),
        (UserIdentityRQ(1, b"somebody", b"", True), b"", b""),
        (UserIdentityRQ(5, b"jwt", b"", True), b"token", b"token"),
    ],
)
def test_identity(identity: UserIdentityRQ | None, given: bytes | None, answered: bytes | None) -> None:
    rq = request(proposal(), user=user_information(user_identity=identity))
    ac = accept(rq, anything, maximum_length=MAXIMUM, identity_response=given)
    assert ac.user.user_identity_response == answered
    agreement = conclude(rq, ac, requestor=True)
    assert (agreement.identity_response, agreement.quirks) == (answered, ())


def test_identity_answered_unasked() -> None:
    ac = response(ACCEPTED, user=user_information(user_identity_response=b"token"))
    agreement = conclude(request(proposal()), ac, requestor=True)
    assert agreement.identity_response is None
    assert agreement.quirks == ("answered a user identity, which was not asked for",)


def test_extended_negotiation() -> None:
    items = [(CT, b"\1"), (CT, b"\2"), (MR, b"\3"), (VERIFICATION, b"\4"), (TOO_LONG, b"\5")]
    user = user_information(extended=tuple(ExtendedNegotiation(*item) for item in items))
    rq = request(proposal(1, CT), proposal(3, MR), proposal(5, TOO_LONG), user=user)

    def answer(uid: str, information: bytes) -> bytes | None:
        return information * 2 if uid != MR else None

    ac = accept(rq, anything, maximum_length=MAXIMUM, extended=answer)
    assert ac.user.extended == (ExtendedNegotiation(CT, b"\1\1"),)
    assert conclude(rq, ac, requestor=True).extended == {CT: b"\1\1"}
    assert accept(rq, anything, maximum_length=MAXIMUM).user.extended == ()


def test_extended_negotiation_answered_unasked() -> None:
    user = user_information(extended=(ExtendedNegotiation(CT, b"\1"),))
    agreement = conclude(request(proposal()), response(ACCEPTED, user=user), requestor=True)
    assert agreement.extended == {}
    assert agreement.quirks == (f"answered an extended negotiation for {CT}, which was not proposed",)


def test_peer_names_itself() -> None:
    rq = simple_proposal()
    ac = accept(rq, anything, maximum_length=0, implementation_class_uid="1.2.3", implementation_version_name="PEER")
    ours, theirs = conclude(rq, ac, requestor=True), conclude(rq, ac, requestor=False)
    assert (ours.implementation_class_uid, ours.implementation_version_name) == ("1.2.3", "PEER")
    assert theirs.implementation_class_uid == rq.user.implementation_class_uid
    assert theirs.implementation_version_name == rq.user.implementation_version_name
    assert (ours.called_ae_title, ours.calling_ae_title) == ("CALLED", "CALLING")


def test_quirks_are_those_of_the_peer() -> None:
    rq = replace(simple_proposal(), quirks=("of the request",))
    ac = replace(accept(rq, anything, maximum_length=MAXIMUM), quirks=("of the answer", "of the answer"))
    assert conclude(rq, ac, requestor=True).quirks == ("of the answer",)
    assert conclude(rq, ac, requestor=False).quirks == ("of the request",)


# odd requests of the field, as bytes


def item(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(data)) + data


def context_item(context_id: int, uid: bytes, *transfer_syntaxes: bytes) -> bytes:
    sub_items = item(0x30, uid) + b"".join(item(0x40, syntax) for syntax in transfer_syntaxes)
    return item(0x20, bytes((context_id, 0, 0, 0)) + sub_items)


USER_ITEMS: Mapping[str, bytes] = {
    "maximum": item(0x51, struct.pack(">L", MAXIMUM)),
    "class": item(0x52, b"1.2.3"),
    "version": item(0x55, b"PEER"),
}
ECHO = context_item(1, VERIFICATION.encode(), IMPLICIT.encode())


def body(
    *,
    version: int = 1,
    called: bytes = b"CALLED",
    application: bytes | None = APPLICATION_CONTEXT.encode(),
    contexts: bytes = ECHO,
    user: bytes | None = b"".join(USER_ITEMS.values()),
    extra: bytes = b"",
) -> bytes:
    """The body of an A-ASSOCIATE-RQ."""
    fixed = struct.pack(">H2x16s16s32x", version, called.ljust(16), b"CALLING".ljust(16))
    name = item(0x10, application) if application is not None else b""
    return fixed + name + contexts + (item(0x50, user) if user is not None else b"") + extra


def user_with(*items: bytes) -> bytes:
    return b"".join((*USER_ITEMS.values(), *items))


def uid_in_role(uid: bytes) -> bytes:
    return item(0x54, struct.pack(">H", len(uid)) + uid + b"\1\1")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(body(), id="baseline"),
        pytest.param(body(contexts=context_item(1, b"1.2.840.10008.1.1\0", b"1.2.840.10008.1.2\0")), id="NUL padded"),
        pytest.param(body(contexts=context_item(1, b"1.2.840.10008.1.1 ", b"1.2.840.10008.1.2 ")), id="space padded"),
        pytest.param(body(contexts=ECHO * 2), id="duplicate ID"),
        pytest.param(body(contexts=context_item(2, VERIFICATION.encode(), IMPLICIT.encode())), id="even ID"),
        pytest.param(body(contexts=context_item(0, VERIFICATION.encode(), IMPLICIT.encode())), id="ID 0"),
        pytest.param(body(contexts=context_item(1, VERIFICATION.encode(), b"", IMPLICIT.encode())), id="empty syntax"),
        pytest.param(body(user=USER_ITEMS["class"] + USER_ITEMS["version"]), id="no maximum length"),
        pytest.param(body(user=item(0x51, bytes(4))), id="maximum 0"),
        pytest.param(body(user=item(0x51, b"\0\0\0\1")), id="maximum 1"),
        pytest.param(body(user=item(0x51, b"\xff" * 4)), id="maximum 0xFFFFFFFF"),
        pytest.param(body(user=user_with(USER_ITEMS["maximum"])), id="two maximum lengths"),
        pytest.param(body(user=USER_ITEMS["maximum"]), id="no implementation class UID"),
        pytest.param(body(user=None), id="no user information"),
        pytest.param(body(user=USER_ITEMS["maximum"] + item(0x55, b"")), id="empty version name"),
        pytest.param(body(user=USER_ITEMS["maximum"] + item(0x55, b"A" * 20)), id="version name of 20"),
        pytest.param(body(user=user_with(item(0x53, bytes(4)))), id="window 0/0"),
        pytest.param(body(user=user_with(uid_in_role(b"1.2.840.10008.1.1\0"))), id="padded UID in a role"),
        pytest.param(body(user=user_with(uid_in_role(b"\xff" * 70))), id="impossible UID in a role"),
        pytest.param(body(user=user_with(item(0x5E, b"what"))), id="unknown sub-item"),
        pytest.param(body(extra=item(0x77, b"what")), id="unknown item"),
        pytest.param(body(user=user_with(item(0x58, b"\x09\x01\0\1a\0\0"))), id="identity of type 9"),
        pytest.param(body(version=3), id="version 3"),
        pytest.param(body(application=None), id="no application context"),
        pytest.param(body(application=b""), id="empty application context"),
        pytest.param(body(application=APPLICATION_CONTEXT.encode() + b"\0"), id="padded application context"),
        pytest.param(body(called=b"CALLED\0\0\0"), id="AE title padded with NUL"),
        pytest.param(body(called=b"K\xd6LN"), id="AE title in Latin-1"),
        pytest.param(body(called=b"  "), id="empty AE title"),
        pytest.param(body(called=b"\x01\\called"), id="AE title with a control character"),
    ],
)
def test_odd_request_is_accepted(data: bytes) -> None:
    rq = decode(1, data)
    assert isinstance(rq, AssociateRQ)
    assert check(rq) is None
    ac = accept(rq, {VERIFICATION: Supported(VERIFICATION, (IMPLICIT,))}.get, maximum_length=MAXIMUM)
    assert decode(2, encode(ac)[HEADER_LENGTH:]) == ac
    agreement = conclude(rq, ac, requestor=False)
    assert [(each.abstract_syntax, each.transfer_syntax) for each in agreement.contexts.values()] == [
        (VERIFICATION, IMPLICIT)
    ]
    assert not agreement.refused


@pytest.mark.parametrize(
    "data, answer",
    [
        pytest.param(body(version=2), AssociateRJ(1, 2, 2), id="version 2"),
        pytest.param(body(application=b"1.2.3"), AssociateRJ(1, 1, 2), id="private application context"),
    ],
)
def test_odd_request_is_rejected(data: bytes, answer: AssociateRJ) -> None:
    rq = decode(1, data)
    assert isinstance(rq, AssociateRQ)
    assert check(rq) == answer


def uid_item(kind: int, uid: str, rest: bytes) -> bytes:
    """A sub-item that begins with a SOP class UID."""
    return item(kind, struct.pack(">H", len(uid)) + uid.encode() + rest)


RELATED = struct.pack(">H", 17) + b"1.2.840.10008.4.2" + bytes(2)


@pytest.mark.parametrize(
    "items, quirk",
    [
        ([uid_item(0x54, CT, b"\1\1")], f"proposed a role selection for {CT}, which is in no presentation context"),
        (
            [uid_item(0x54, VERIFICATION, b"\1\0"), uid_item(0x54, VERIFICATION, b"\0\1")],
            f"proposed a role selection for {VERIFICATION} 2 times; the first counts",
        ),
        ([uid_item(0x54, VERIFICATION, b"\0\0")], f"proposed neither role for {VERIFICATION}; the default holds"),
        (
            [uid_item(0x56, CT, b"\1")],
            f"proposed an extended negotiation for {CT}, which is in no presentation context",
        ),
        (
            [uid_item(0x56, VERIFICATION, b"\1"), uid_item(0x56, VERIFICATION, b"\0")],
            f"proposed an extended negotiation for {VERIFICATION} 2 times; the first counts",
        ),
        (
            [uid_item(0x57, CT, RELATED)],
            f"proposed a common extended negotiation for {CT}, which is in no presentation context",
        ),
        ([uid_item(0x54, VERIFICATION, b"\7\0")], "role selection with a role that is neither 0 nor 1"),
        ([item(0x58, b"\1\7\0\1a\0\0")], "user identity that asks for a response with 7"),
        (
            [item(0x58, b"\1\0\0\1a\0\1b")],
            "sent a secondary field with a user identity of type 1, which has none",
        ),
    ],
)
def test_contradictions_are_noted_and_answered(items: list[bytes], quirk: str) -> None:
    rq = decode(1, body(user=user_with(*items)))
    assert isinstance(rq, AssociateRQ)
    ac = accept(rq, {VERIFICATION: Supported(VERIFICATION, (IMPLICIT,))}.get, maximum_length=MAXIMUM)
    agreement = conclude(rq, ac, requestor=False)
    assert agreement.quirks == (quirk,)
    assert agreement.contexts[1].role == Role.SCP
    assert conclude(rq, ac, requestor=True).quirks == ()


def test_of_two_related_general_sop_classes_the_first_counts() -> None:
    common = [CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", (each,)) for each in (MR, VERIFICATION)]
    rq = request(proposal(1, CT), user=user_information(common_extended=tuple(common)))
    agreement = conclude(rq, accept(rq, anything, maximum_length=MAXIMUM), requestor=False)
    assert dict(agreement.related) == {CT: (MR,)}
    assert agreement.quirks == (f"proposed a common extended negotiation for {CT} 2 times; the first counts",)


def test_context_with_an_empty_transfer_syntax_alone() -> None:
    rq = decode(1, body(contexts=context_item(1, VERIFICATION.encode(), b"")))
    assert isinstance(rq, AssociateRQ)
    assert [context.result for context in accept(rq, anything, maximum_length=MAXIMUM).contexts] == [4]
