"""Hypothesis strategies for PDUs that may be sent."""

from typing import TypeVar

from hypothesis import strategies as st

from dicomio.wire.items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UnknownItem,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import (
    PDU,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    DataTF,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
)

T = TypeVar("T")
ContextT = TypeVar("ContextT", PresentationContextRQ, PresentationContextAC)

bytes8 = st.integers(0, 0xFF)
bytes16 = st.integers(0, 0xFFFF)
data = st.binary(max_size=60)
uids = st.lists(st.integers(0, 10**9), min_size=2, max_size=5).map(lambda numbers: ".".join(["1", *map(str, numbers)]))
wild_uids = uids | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"), max_size=16)
ae_titles = printable.map(str.strip).filter(bool)
version_names = printable.map(str.rstrip).filter(bool)
received_ae_titles = st.text(st.characters(max_codepoint=0xFF), max_size=16).map(
    lambda title: title.rstrip("\0 ").lstrip(" ")
)


def few(strategy: st.SearchStrategy[T], least: int = 0) -> st.SearchStrategy[tuple[T, ...]]:
    """Tuples of up to three."""
    return st.lists(strategy, min_size=least, max_size=3).map(lambda values: tuple(values))


def unknown_items(known: tuple[int, ...]) -> st.SearchStrategy[tuple[UnknownItem, ...]]:
    """Items of types other than those known in their place."""
    return few(st.builds(UnknownItem, bytes8.filter(lambda kind: kind not in known), data))


def contexts(strategy: st.SearchStrategy[ContextT], least: int) -> st.SearchStrategy[tuple[ContextT, ...]]:
    """Presentation contexts with IDs of their own."""
    lists = st.lists(strategy, min_size=least, max_size=4, unique_by=lambda context: context.id)
    return lists.map(lambda values: tuple(values))


def user_information(answer: bool, uid: st.SearchStrategy[str], known: bool) -> st.SearchStrategy[UserInformation]:
    """User information as a request or as an answer may hold it, without unknown sub-items where all must be known."""
    identities = st.builds(
        UserIdentityRQ, st.sampled_from([1, 3, 4, 5]), st.binary(min_size=1, max_size=60), st.just(b""), st.booleans()
    ) | st.builds(UserIdentityRQ, st.just(2), st.binary(min_size=1, max_size=60), data, st.booleans())
    return st.builds(
        UserInformation,
        maximum_length=st.none() | st.integers(0, 0xFFFFFFFF),
        implementation_class_uid=st.none() | uid,
        implementation_version_name=st.none() | version_names,
        async_window=st.none() | st.builds(AsyncOperationsWindow, bytes16, bytes16),
        roles=few(st.builds(RoleSelection, uid, st.booleans(), st.booleans())),
        extended=few(st.builds(ExtendedNegotiation, uid, data)),
        common_extended=st.just(()) if answer else few(st.builds(CommonExtendedNegotiation, uid, uid, few(uid))),
        user_identity=st.none() if answer else st.none() | identities,
        user_identity_response=st.none() | data if answer else st.none(),
        unknown=st.just(()) if known else unknown_items(tuple(range(0x51, 0x5A))),
    )


def requests(uid: st.SearchStrategy[str], known: bool) -> st.SearchStrategy[AssociateRQ]:
    """A-ASSOCIATE-RQs that may be sent."""
    return st.builds(
        AssociateRQ,
        ae_titles,
        ae_titles,
        contexts(st.builds(PresentationContextRQ, bytes8.map(lambda number: number | 1), uid, few(uid, 1)), 1),
        user_information(False, uid, known),
        application_context=uid,
        protocol_version=bytes16,
        unknown=st.just(()) if known else unknown_items((0x10, 0x20, 0x50)),
    )


def answers(titles: st.SearchStrategy[str], uid: st.SearchStrategy[str], known: bool) -> st.SearchStrategy[AssociateAC]:
    """A-ASSOCIATE-ACs that may be sent."""
    accepted = st.builds(PresentationContextAC, bytes8, st.just(0), uid)
    rejected = st.builds(PresentationContextAC, bytes8, st.integers(1, 4), uid if known else uid | st.just(""))
    return st.builds(
        AssociateAC,
        titles,
        titles,
        contexts(accepted | rejected, 0),
        user_information(True, uid, known),
        application_context=uid,
        protocol_version=bytes16,
        unknown=st.just(()) if known else unknown_items((0x10, 0x21, 0x50)),
    )


short_pdus: st.SearchStrategy[PDU] = st.one_of(
    st.builds(AssociateRJ, bytes8, bytes8, bytes8),
    st.builds(Abort, bytes8, bytes8),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.lists(st.builds(PresentationDataValue, bytes8, bytes8, data), min_size=1, max_size=4).map(
        lambda values: DataTF(tuple(values))
    ),
)
