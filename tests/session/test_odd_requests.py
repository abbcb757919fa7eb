"""The odd A-ASSOCIATE-RQs of the field: each gets an answer, and none an exception or silence (PS3.8 9.3.2)."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from dicomio.config import Limits
from dicomio.errors import AbortReason
from dicomio.machine import State
from dicomio.negotiation import Supported, accept, conclude
from dicomio.session import AssociateRequested, UpperLayer
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from dicomio.wire.pdus import AssociateAC, decode
from tests.session.scenes import ARTIM, ECHO, NOW, UNKNOWN_PDU, USER_ABORT, VERIFICATION, provider_abort, upper_layer

IMPLICIT = b"1.2.840.10008.1.2"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
UID = VERIFICATION.encode()


def item(kind: int, data: bytes) -> bytes:
    return bytes([kind, 0]) + len(data).to_bytes(2, "big") + data


def context(context_id: int = 1, abstract_syntax: bytes = UID, *transfer_syntaxes: bytes) -> bytes:
    """A presentation context; Implicit VR Little Endian where nothing else is said."""
    syntaxes = b"".join(item(0x40, uid) for uid in transfer_syntaxes or (IMPLICIT,))
    return item(0x20, bytes([context_id, 0, 0, 0]) + item(0x30, abstract_syntax) + syntaxes)


MAXIMUM = item(0x51, (16384).to_bytes(4, "big"))
IMPLEMENTATION = item(0x52, b"1.2.3.4")
VERSION = item(0x55, b"FIELD")
COMMON = (MAXIMUM, IMPLEMENTATION, VERSION)


def request(
    *,
    version: int = 1,
    called: bytes = b"ARCHIVE".ljust(16),
    calling: bytes = b"MODALITY".ljust(16),
    reserved: int = 0,
    application_context: bytes | None = APPLICATION_CONTEXT,
    contexts: Sequence[bytes] = (context(),),
    user: Sequence[bytes] | None = COMMON,
    more: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ byte by byte, so that each of them may be wrong."""
    filler = bytes([reserved])
    body = version.to_bytes(2, "big") + filler * 2 + called + calling + filler * 32
    if application_context is not None:
        body += item(0x10, application_context)
    body += b"".join(contexts) + more
    if user is not None:
        body += item(0x50, b"".join(user))
    return b"\1" + filler + len(body).to_bytes(4, "big") + body


def role(uid: bytes) -> bytes:
    return item(0x54, len(uid).to_bytes(2, "big") + uid + b"\1\0")


def identity(kind: int, primary: bytes = b"user") -> bytes:
    return item(0x58, bytes([kind, 1]) + len(primary).to_bytes(2, "big") + primary + b"\0\0")


def maximum(length: int) -> bytes:
    return item(0x51, length.to_bytes(4, "big"))


ACCEPTED: Mapping[str, bytes] = {
    "baseline": request(),
    "UIDs padded with NUL": request(
        application_context=APPLICATION_CONTEXT + b"\0",
        contexts=[context(1, UID + b"\0", IMPLICIT + b"\0")],
        user=(MAXIMUM, item(0x52, b"1.2.3.4\0"), VERSION),
    ),
    "UIDs padded with a space": request(
        application_context=APPLICATION_CONTEXT + b" ", contexts=[context(1, UID + b" ", IMPLICIT + b" ")]
    ),
    "the same context twice": request(contexts=[context(), context()]),
    "no maximum length": request(user=(IMPLEMENTATION, VERSION)),
    "maximum length 0": request(user=(maximum(0), IMPLEMENTATION)),
    "maximum length 1": request(user=(maximum(1), IMPLEMENTATION)),
    "maximum length 0xFFFFFFFF": request(user=(maximum(0xFFFFFFFF), IMPLEMENTATION)),
    "two maximum lengths": request(user=(MAXIMUM, maximum(4096), IMPLEMENTATION)),
    "no implementation class UID": request(user=(MAXIMUM,)),
    "no user information": request(user=None),
    "empty user information": request(user=()),
    "reserved fields of ones": request(reserved=0xFF),
    "empty version name": request(user=(MAXIMUM, IMPLEMENTATION, item(0x55, b""))),
    "version name of 20 characters": request(user=(MAXIMUM, IMPLEMENTATION, item(0x55, b"V" * 20))),
    "asynchronous operations 0, 0": request(user=(*COMMON, item(0x53, bytes(4)))),
    "role selection of a padded UID": request(user=(*COMMON, role(UID + b"\0"))),
    "unknown user sub-item 0x5E": request(user=(*COMMON, item(0x5E, b"what"))),
    "unknown item 0x77": request(more=item(0x77, b"what")),
    "protocol version 3": request(version=3),
    "protocol version 0xFFFF": request(version=0xFFFF),
    "AE titles padded with NUL": request(called=b"ARCHIVE".ljust(16, b"\0"), calling=b"MODALITY".ljust(16, b"\0")),
    "AE titles in Latin-1": request(called=b"ARCHIV\xc9".ljust(16), calling=b"M\xfcNCHEN".ljust(16)),
    "called AE title of spaces": request(called=b" " * 16),
    "calling AE title of spaces": request(calling=b" " * 16),
    "AE titles of NUL": request(called=bytes(16), calling=bytes(16)),
    "even context ID": request(contexts=[context(2)]),
    "context ID 0": request(contexts=[context(0)]),
    "user identity of type 9": request(user=(*COMMON, identity(9))),
    "user identity without a user": request(user=(*COMMON, identity(1, b""))),
    "no application context": request(application_context=None),
    "empty application context": request(application_context=b""),
    "128 contexts": request(contexts=[context(2 * index + 1) for index in range(128)]),
}

# a context that cannot be accepted, with its result (PS3.8 Table 9-18)
UNUSABLE: Mapping[str, tuple[bytes, tuple[int, ...]]] = {
    "empty transfer syntax": (request(contexts=[context(1, UID, b"")]), (4,)),
    "empty transfer syntax beside a good one": (request(contexts=[context(1, UID, b"", IMPLICIT)]), (0,)),
    "no transfer syntax": (request(contexts=[item(0x20, b"\1\0\0\0" + item(0x30, UID))]), (4,)),
    "no abstract syntax": (request(contexts=[item(0x20, b"\1\0\0\0" + item(0x40, IMPLICIT))]), (3,)),
    "empty abstract syntax": (request(contexts=[context(1, b"")]), (3,)),
    "no contexts": (request(contexts=()), ()),
}

REJECTED: Mapping[str, tuple[bytes, bytes]] = {
    "protocol version 2": (request(version=2), b"\3\0\0\0\0\4\0\1\2\2"),
    "protocol version 0": (request(version=0), b"\3\0\0\0\0\4\0\1\2\2"),
    "private application context": (request(application_context=b"1.2.3.4"), b"\3\0\0\0\0\4\0\1\1\2"),
}

ABORTED: Mapping[str, bytes] = {
    "item longer than the PDU": request(more=b"\x77\0\xff\xff"),
    "half of an item header": request()[:4] + (len(request()) - 6 + 2).to_bytes(2, "big") + request()[6:] + b"\x77\0",
    "empty context": request(contexts=[item(0x20, b"")]),
    "HTTP GET": b"GET / HTTP/1.1\r\n\r\n",
    "TLS ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def verification_only(uid: str) -> Supported | None:
    return Supported(uid, None) if uid == VERIFICATION else None


def answer(data: bytes) -> tuple[UpperLayer, bytes]:
    """Answers as a server does; returns what was sent."""
    upper = upper_layer(requestor=False, limits=Limits())
    upper.connected(NOW)
    for event in upper.receive(data, NOW):
        if isinstance(event, AssociateRequested) and upper.state is State.Sta3:
            ac = accept(event.pdu, verification_only, maximum_length=16384, identity_response=b"")
            agreement = conclude(event.pdu, ac, requestor=False)
            upper.establish(agreement.contexts, agreement.send_maximum)
            upper.accept(ac)
    return upper, upper.take_output()


def results(sent: bytes) -> tuple[int, ...]:
    ac = decode(sent[0], sent[6:])
    assert isinstance(ac, AssociateAC)
    return tuple(answered.result for answered in ac.contexts)


def parametrize(variants: Mapping[str, object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("variant", variants.values(), ids=variants.keys())


@parametrize(ACCEPTED)
def test_accepted(variant: bytes) -> None:
    upper, sent = answer(variant)
    ids = [context_id for context_id in range(256) if context_id in upper.messages.contexts]
    assert results(sent) == (0,) * len(ids)
    assert ids
    assert upper.state is State.Sta6
    for context_id in ids:
        assert len(upper.receive(pack_message(context_id, encode(ECHO), None, 1000), NOW)) == 1
    assert upper.send_payload >= 2
    assert upper.output == []


@parametrize(ACCEPTED)
def test_accepted_byte_by_byte(variant: bytes) -> None:
    upper = upper_layer(requestor=False, limits=Limits())
    upper.connected(NOW)
    events = [event for byte in variant for event in upper.receive(bytes([byte]), NOW)]
    whole = upper_layer(requestor=False, limits=Limits())
    whole.connected(NOW)
    assert events == whole.receive(variant, NOW)
    assert upper.state is State.Sta3


@parametrize(UNUSABLE)
def test_answered_with_a_result(variant: tuple[bytes, tuple[int, ...]]) -> None:
    data, expected = variant
    upper, sent = answer(data)
    assert results(sent) == expected
    assert upper.state is State.Sta6


@parametrize(REJECTED)
def test_rejected(variant: tuple[bytes, bytes]) -> None:
    data, expected = variant
    upper, sent = answer(data)
    assert sent == expected
    assert (upper.state, upper.timer) == (State.Sta13, NOW + ARTIM)


@parametrize(ABORTED)
def test_aborted(variant: bytes) -> None:
    upper, sent = answer(variant)
    assert sent == USER_ABORT
    assert upper.state is State.Sta13


def test_unknown_pdu_in_the_same_segment() -> None:
    upper, sent = answer(request() + UNKNOWN_PDU)
    assert sent == provider_abort(AbortReason.UNRECOGNIZED_PDU)
    assert upper.state is State.Sta13
