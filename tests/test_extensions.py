"""User identity and SOP class extended negotiation as values (PS3.7 D.3.3.5, D.3.3.7; PS3.4 B.3.1, C.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.extensions import (
    Extension,
    Identity,
    QueryExtension,
    RetrieveExtension,
    StorageExtension,
    extension_bytes,
    responder,
)
from dicomio.sop import PATIENT_ROOT, STUDY_ROOT, QueryModel


@pytest.mark.parametrize(
    "identity, kind, primary, secondary",
    [
        (Identity.username("jöe"), 1, "jöe".encode(), b""),
        (Identity.username("joe", "s3cret"), 2, b"joe", b"s3cret"),
        (Identity.kerberos(b"ticket"), 3, b"ticket", b""),
        (Identity.saml(b"<saml/>"), 4, b"<saml/>", b""),
        (Identity.jwt(b"a.b.c"), 5, b"a.b.c", b""),
    ],
)
def test_an_identity_becomes_an_item_and_back(identity: Identity, kind: int, primary: bytes, secondary: bytes) -> None:
    item = identity.item()
    assert (item.type, item.primary, item.secondary, item.positive_response) == (kind, primary, secondary, False)
    assert Identity.from_item(item) == identity


def test_an_identity_tells_names_and_passcodes_of_the_types_that_have_them() -> None:
    assert (Identity.username("joe", "x").name, Identity.username("joe", "x").passcode) == ("joe", "x")
    assert (Identity.jwt(b"token").name, Identity.jwt(b"token").passcode) == ("", "")


def test_secrets_stay_out_of_the_repr() -> None:
    text = repr(Identity.username("joe", "s3cret", positive_response=True))
    assert "s3cret" not in text
    assert "joe" not in text


@given(st.tuples(*[st.booleans()] * 7), st.tuples(*[st.booleans()] * 7))
def test_what_is_agreed_on_for_queries_is_what_both_support(ours: tuple[bool, ...], theirs: tuple[bool, ...]) -> None:
    answer = QueryExtension(*ours).agree(QueryExtension(*theirs).encode())
    both = QueryExtension(*[one and other for one, other in zip(ours, theirs, strict=True)])
    assert QueryExtension.decode(answer) == both


@given(st.tuples(*[st.booleans()] * 2), st.tuples(*[st.booleans()] * 2))
def test_what_is_agreed_on_for_retrievals_is_what_both_support(
    ours: tuple[bool, ...], theirs: tuple[bool, ...]
) -> None:
    answer = RetrieveExtension(*ours).agree(RetrieveExtension(*theirs).encode())
    both = RetrieveExtension(*[one and other for one, other in zip(ours, theirs, strict=True)])
    assert RetrieveExtension.decode(answer) == both


@pytest.mark.parametrize("length", range(10))
def test_a_proposal_of_any_length_gets_an_answer_of_no_more_than_its_length(length: int) -> None:
    proposed = bytes([1] * length)
    assert QueryExtension(relational=True, fuzzy=True).agree(proposed) == bytes([1, 0, 1, 0, 0, 0, 0])[:length]
    assert RetrieveExtension(relational=True).agree(proposed) == bytes([1, 0])[:length]


@pytest.mark.parametrize(
    "extension, encoded",
    [
        (QueryExtension(), b"\0"),
        (QueryExtension(relational=True), b"\1"),
        (QueryExtension(timezone=True), b"\0\0\0\1"),
        (QueryExtension(enhanced_multi_frame=True), b"\0\0\0\0\1"),
        (QueryExtension(empty_values=True), b"\0\0\0\0\0\1"),
        (QueryExtension(multiple_values=True), b"\0\0\0\0\0\0\1"),
        (RetrieveExtension(), b"\0"),
        (RetrieveExtension(relational=True), b"\1"),
        (RetrieveExtension(enhanced_multi_frame=True), b"\0\1"),
    ],
)
def test_no_more_bytes_than_are_needed_are_sent(extension: Extension, encoded: bytes) -> None:
    """Older systems know of one byte alone (PS3.4 C.5.2.1)."""
    assert extension.encode() == encoded


@pytest.mark.parametrize("model", [STUDY_ROOT, PATIENT_ROOT])
def test_of_an_extension_of_queries_retrievals_take_what_concerns_them(model: QueryModel) -> None:
    """Their second byte is about images, where that of queries is about dates and times."""
    extension = QueryExtension(relational=True, combined_datetime=True, fuzzy=True)
    assert [responder(uid, extension)(b"\1\1\1") for uid in model] == [b"\1\1\1", b"\1\0", b"\1\0"]
    assert list(extension_bytes(dict.fromkeys(model, extension)).values()) == [b"\1\1\1", b"\1", b"\1"]
    images = QueryExtension(enhanced_multi_frame=True)
    assert list(extension_bytes(dict.fromkeys(model, images)).values()) == [b"\0\0\0\0\1", b"\0\1", b"\0\1"]


def test_a_byte_that_is_neither_0_nor_1_does_not_ask_for_anything() -> None:
    assert QueryExtension.decode(b"\x02\x01\xff") == QueryExtension(combined_datetime=True)


@given(st.binary(max_size=10))
def test_any_bytes_are_an_extension_of_storage(data: bytes) -> None:
    found = StorageExtension.decode(data)
    assert StorageExtension.decode(found.encode()) == found


def test_a_storage_scp_says_what_it_does_whatever_was_proposed() -> None:
    assert StorageExtension(level=0, signatures=3, coercion=1).agree(b"") == bytes([0, 0, 3, 0, 1, 0])


def test_extensions_are_given_as_values_or_as_bytes() -> None:
    given_by: dict[str, bytes | Extension] = {"1.2": b"\x01", "1.3": QueryExtension(fuzzy=True)}
    assert extension_bytes(given_by) == {"1.2": b"\x01", "1.3": bytes([0, 0, 1])}
    assert extension_bytes(None) == {}


def test_what_answers_is_an_extension_or_a_function() -> None:
    assert responder("1.2", QueryExtension(relational=True))(b"\x01\x01") == b"\x01\x00"
    assert responder("1.2", lambda proposed: proposed[::-1])(b"ab") == b"ba"
