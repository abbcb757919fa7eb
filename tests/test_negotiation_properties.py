"""Whatever a peer proposes or answers, negotiation comes to something, and both sides to the same."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dicomio.config import PresentationContext, Role
from dicomio.negotiation import AcceptedContext, Agreement, Supported, accept, check, conclude, propose
from dicomio.wire.items import (
    AsyncOperationsWindow,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import HEADER_LENGTH, AssociateAC, AssociateRQ, decode, encode

MAXIMUM = 16384
WINDOWS = ((1, 1), (2, 3), (0, 0), (0, 5), (65535, 0))
SOP_CLASSES = ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
TRANSFER_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50")

KNOWN_UIDS = st.sampled_from(SOP_CLASSES)
SYNTAXES = st.sampled_from(TRANSFER_SYNTAXES)
ROLES = st.sampled_from([Role.SCU, Role.SCP, Role.BOTH])
# Any text that may come out of a decoder, which strips padding
FIELD_TEXT = st.text(st.characters(max_codepoint=255), max_size=70).map(lambda text: text.rstrip("\0 "))
FIELD_UIDS = st.one_of(KNOWN_UIDS, SYNTAXES, FIELD_TEXT)
TITLES = st.text(st.characters(max_codepoint=255), max_size=16).map(lambda text: text.rstrip("\0 ").lstrip(" "))
BYTE = st.integers(0, 255)
FIELD_USER = st.builds(
    UserInformation,
    maximum_length=st.none() | st.integers(0, 2**32 - 1),
    implementation_class_uid=st.none() | FIELD_UIDS,
    implementation_version_name=st.none() | FIELD_TEXT,
    async_window=st.none() | st.builds(AsyncOperationsWindow, st.integers(0, 65535), st.integers(0, 65535)),
    roles=st.lists(st.builds(RoleSelection, FIELD_UIDS, st.booleans(), st.booleans()), max_size=4).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, FIELD_UIDS, st.binary(max_size=3)), max_size=4).map(tuple),
    user_identity=st.none() | st.builds(UserIdentityRQ, BYTE, st.binary(max_size=3), st.just(b""), st.booleans()),
    user_identity_response=st.none() | st.binary(max_size=3),
)
FIELD_REQUESTS = st.builds(
    AssociateRQ,
    TITLES,
    TITLES,
    st.lists(
        st.builds(PresentationContextRQ, BYTE, FIELD_UIDS, st.lists(FIELD_UIDS, max_size=3).map(tuple)), max_size=6
    ).map(tuple),
    FIELD_USER,
    FIELD_UIDS,
    st.integers(0, 65535),
)
FIELD_ANSWERS = st.builds(
    AssociateAC,
    TITLES,
    TITLES,
    st.lists(st.builds(PresentationContextAC, BYTE, st.integers(0, 6), FIELD_UIDS), max_size=6).map(tuple),
    FIELD_USER,
)
SUPPORT = st.dictionaries(
    FIELD_UIDS, st.tuples(st.none() | st.lists(SYNTAXES, max_size=3).map(tuple), ROLES), max_size=4
).map(lambda support: {uid: Supported(uid, *choice) for uid, choice in support.items()})


OTHER_SIDE = {Role.SCU: Role.SCP, Role.SCP: Role.SCU, Role.BOTH: Role.BOTH}


def mirrored(agreement: Agreement) -> dict[int, AcceptedContext]:
    """Contexts as the other side has to see them."""
    return {key: replace(context, role=OTHER_SIDE[context.role]) for key, context in agreement.contexts.items()}


def assert_mirrored(rq: AssociateRQ, ac: AssociateAC) -> None:
    """What both sides conclude of an answer of ours fits together."""
    ours, theirs = conclude(rq, ac, requestor=True), conclude(rq, ac, requestor=False)
    assert mirrored(ours) == theirs.contexts
    assert ours.contexts.keys() | ours.refused.keys() == {context.id for context in rq.contexts}
    assert (ours.refused, ours.extended) == (theirs.refused, theirs.extended)
    assert ours.identity_response == theirs.identity_response
    assert (ours.window_invoked, ours.window_performed) == (theirs.window_performed, theirs.window_invoked)
    assert ours.quirks == ()


@settings(deadline=None)
@given(FIELD_REQUESTS, SUPPORT, st.sampled_from(WINDOWS), st.none() | st.binary(max_size=3))
def test_every_request_gets_an_answer(
    rq: AssociateRQ, support: dict[str, Supported], window: tuple[int, int], token: bytes | None
) -> None:
    ac = accept(
        rq,
        support.get,
        maximum_length=MAXIMUM,
        window=window,
        extended=lambda uid, information: information,
        identity_response=token,
    )
    assert decode(2, encode(ac)[HEADER_LENGTH:]) == ac
    assert [context.id for context in ac.contexts] == list(dict.fromkeys(context.id for context in rq.contexts))
    assert_mirrored(rq, ac)


@settings(deadline=None)
@given(FIELD_REQUESTS, FIELD_ANSWERS, st.booleans())
def test_every_answer_can_be_concluded(rq: AssociateRQ, ac: AssociateAC, requestor: bool) -> None:
    agreement = conclude(rq, ac, requestor=requestor)
    assert agreement.contexts.keys() | agreement.refused.keys() == {context.id for context in rq.contexts}
    assert not agreement.contexts.keys() & agreement.refused.keys()
    for context in agreement.contexts.values():
        assert any(context.transfer_syntax in proposed.transfer_syntaxes for proposed in rq.contexts)


PROPOSALS = st.builds(
    lambda uid, syntaxes, role: PresentationContext(uid, syntaxes, scu=Role.SCU in role, scp=Role.SCP in role),
    KNOWN_UIDS,
    st.lists(SYNTAXES, min_size=1, max_size=3),
    ROLES,
)


@settings(deadline=None)
@given(
    st.lists(PROPOSALS, min_size=1, max_size=6),
    SUPPORT,
    st.none() | st.sampled_from(WINDOWS),
    st.sampled_from(WINDOWS),
    st.dictionaries(st.sampled_from(range(1, 12, 2)), st.integers(1, 4)),
)
def test_both_sides_conclude_the_same_from_the_wire(
    contexts: list[PresentationContext],
    support: dict[str, Supported],
    wanted: tuple[int, int] | None,
    bound: tuple[int, int],
    refuse: dict[int, int],
) -> None:
    sent = propose(called="CALLED", calling="CALLING", contexts=contexts, maximum_length=MAXIMUM, window=wanted)
    rq = decode(1, encode(sent)[HEADER_LENGTH:])
    assert isinstance(rq, AssociateRQ)
    assert check(rq) is None
    answer = accept(rq, support.get, maximum_length=65536, refuse=refuse, window=bound)
    ac = decode(2, encode(answer)[HEADER_LENGTH:])
    assert isinstance(ac, AssociateAC)
    assert conclude(sent, ac, requestor=True) == conclude(rq, answer, requestor=True)
    assert_mirrored(sent, ac)
    agreement = conclude(rq, answer, requestor=False)
    assert (agreement.send_maximum, agreement.receive_maximum, agreement.quirks) == (MAXIMUM, 65536, ())
    for context in sent.contexts:
        if context.id in refuse:
            assert agreement.refused[context.id] == (context.abstract_syntax, refuse[context.id])
