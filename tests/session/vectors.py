"""Whole conversations as one side hears them: ours, pynetdicom's, and some that go wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    P_DATA_TF,
)
from pynetdicom.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_RELEASE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)

from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from tests.session.scenes import (
    AC,
    CT,
    ECHO,
    ECHO_RESPONSE,
    PROVIDER_ABORT,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    STORE,
    STORE_RESPONSE,
    UNKNOWN_PDU,
    USER_ABORT,
    VERIFICATION,
)

DATA_SET = bytes(range(101))
# bytes of a message in each PDU: several for the data set, one or two for the commands
PAYLOAD = 40
# the longest PDU that pynetdicom is told of, with its PDV header
PYNETDICOM_MAXIMUM = 46
PYNETDICOM = "1.2.826.0.1.3680043.9.3811"

ECHO_PDUS = pack_message(1, encode(ECHO), None, PAYLOAD)
STORE_PDUS = pack_message(3, encode(STORE), DATA_SET, PAYLOAD)
RESPONSES = pack_message(1, encode(ECHO_RESPONSE), None, 1000) + pack_message(3, encode(STORE_RESPONSE), None, PAYLOAD)


def pdv(control: int, data: bytes, context_id: int = 3) -> bytes:
    return (len(data) + 2).to_bytes(4, "big") + bytes([context_id, control]) + data


def data_pdu(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return b"\4\0" + len(body).to_bytes(4, "big") + body


# command and data set in one PDU, in many PDVs, with empty ones between and at the end
MANY_PDVS = data_pdu(
    pdv(1, encode(STORE)[:50]),
    pdv(1, b""),
    pdv(1, encode(STORE)[50:]),
    pdv(3, b""),
    pdv(0, b""),
    pdv(0, DATA_SET[:1]),
    pdv(0, DATA_SET[1:]),
    pdv(2, b""),
)


@dataclass(frozen=True)
class Vector:
    """A conversation as one side hears it.

    Args:
        requestor: which side.
        turns: what the peer sends before it waits for an answer.
        events: the names of what happens.
    """

    requestor: bool
    turns: tuple[bytes, ...]
    events: tuple[str, ...]


def associate(kind: type[Any], **values: Any) -> bytes:
    """An A-ASSOCIATE PDU as pynetdicom encodes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", "ARCHIVE"
    for name, value in values.items():
        setattr(primitive, name, value)
    return from_primitive(kind, primitive)


def from_primitive(kind: type[Any], primitive: object) -> bytes:
    pdu = kind()
    pdu.from_primitive(primitive)
    data = pdu.encode()
    assert isinstance(data, bytes)
    return data


def user_information(*more: object) -> list[object]:
    length = MaximumLengthNotification()
    length.maximum_length_received = 16382
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = PYNETDICOM
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "VECTORS"
    return [length, implementation, version, *more]


def negotiations() -> Iterator[object]:
    """Everything that a requestor may negotiate and that pynetdicom has."""
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 4, 0
    yield window
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    yield role
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"user", b"secret"
    yield identity


def contexts(*, answered: bool) -> list[Any]:
    """Presentation contexts 1 and 3; pynetdicom pads no UID, for PS3.8 Annex F forbids it."""
    found: list[Any] = [build_context(VERIFICATION), build_context(CT)]
    for context_id, context in zip((1, 3), found, strict=True):
        context.context_id = context_id
        if answered:
            context.transfer_syntax = context.transfer_syntax[:1]
            context.result = 0
    return found


def pynetdicom_rq() -> bytes:
    return associate(
        A_ASSOCIATE_RQ,
        user_information=user_information(*negotiations()),
        presentation_context_definition_list=contexts(answered=False),
    )


def pynetdicom_ac() -> bytes:
    return associate(
        A_ASSOCIATE_AC,
        user_information=user_information(),
        presentation_context_definition_results_list=contexts(answered=True),
        result=0,
    )


def message(kind: type[Any], primitive: object, context_id: int) -> bytes:
    """A DIMSE message as pynetdicom encodes it."""
    whole = kind()
    whole.primitive_to_message(primitive)
    return b"".join(from_primitive(P_DATA_TF, part) for part in whole.encode_msg(context_id, PYNETDICOM_MAXIMUM))


def pynetdicom_requests() -> bytes:
    echo = C_ECHO()
    echo.MessageID, echo.AffectedSOPClassUID = 1, VERIFICATION
    store = C_STORE()
    store.MessageID, store.AffectedSOPClassUID, store.AffectedSOPInstanceUID = 2, CT, "1.2.3"
    store.Priority, store.DataSet = 0, BytesIO(DATA_SET)
    return message(C_ECHO_RQ, echo, 1) + message(C_STORE_RQ, store, 3)


def pynetdicom_responses() -> bytes:
    echo = C_ECHO()
    echo.MessageIDBeingRespondedTo, echo.AffectedSOPClassUID, echo.Status = 1, VERIFICATION, 0
    store = C_STORE()
    store.MessageIDBeingRespondedTo, store.AffectedSOPClassUID, store.AffectedSOPInstanceUID = 2, CT, "1.2.3"
    store.Status = 0
    return message(C_ECHO_RSP, echo, 1) + message(C_STORE_RSP, store, 3)


def pynetdicom_release(kind: type[Any], result: str | None = None) -> bytes:
    primitive = A_RELEASE()
    primitive.result = result
    return from_primitive(kind, primitive)


def pynetdicom_rejection() -> bytes:
    return associate(A_ASSOCIATE_RJ, result=1, result_source=1, diagnostic=7)


def pynetdicom_abort() -> bytes:
    primitive = A_ABORT()
    primitive.abort_source = 0
    return from_primitive(A_ABORT_RQ, primitive)


SERVED = ("AssociateRequested", "command", "command", "data", "ReleaseRequested")
ANSWERED = ("AssociateAccepted", "command", "command", "ReleaseRequested")
FAULTY = ("AssociateRequested", "command")

VECTORS: Mapping[str, Vector] = {
    "served": Vector(False, (RQ, ECHO_PDUS + STORE_PDUS + RELEASE_RQ), SERVED),
    "served in many PDVs": Vector(False, (RQ, ECHO_PDUS + MANY_PDVS + RELEASE_RQ), SERVED),
    "served to pynetdicom": Vector(
        False, (pynetdicom_rq(), pynetdicom_requests() + pynetdicom_release(A_RELEASE_RQ)), SERVED
    ),
    "answered": Vector(True, (AC + RESPONSES, RELEASE_RQ), ANSWERED),
    "answered by pynetdicom": Vector(
        True, (pynetdicom_ac() + pynetdicom_responses(), pynetdicom_release(A_RELEASE_RQ)), ANSWERED
    ),
    "rejected": Vector(True, (RJ,), ("AssociateRejected",)),
    "rejected by pynetdicom": Vector(True, (pynetdicom_rejection(),), ("AssociateRejected",)),
    "aborted": Vector(True, (AC + PROVIDER_ABORT,), ("AssociateAccepted", "aborted")),
    "aborted by pynetdicom": Vector(
        False, (pynetdicom_rq(), pynetdicom_abort() + RELEASE_RQ), ("AssociateRequested", "aborted")
    ),
    "aborted in a data set": Vector(
        False,
        (RQ, data_pdu(pdv(3, encode(STORE)), pdv(0, DATA_SET)) + USER_ABORT),
        ("AssociateRequested", "command", "part of data", "aborted"),
    ),
    "unknown PDU": Vector(False, (RQ, ECHO_PDUS + UNKNOWN_PDU + RELEASE_RQ), (*FAULTY, "aborted")),
    "unexpected PDU": Vector(False, (RQ, ECHO_PDUS + RELEASE_RP + RELEASE_RQ), (*FAULTY, "aborted")),
    "data after release": Vector(
        False,
        (RQ, ECHO_PDUS + RELEASE_RQ + ECHO_PDUS),
        ("AssociateRequested", "command", "ReleaseRequested", "aborted"),
    ),
    "PDV longer than its PDU": Vector(
        False,
        (RQ, ECHO_PDUS + data_pdu(pdv(3, encode(ECHO), 1), b"\0\0\0\x40\1\0data") + RELEASE_RQ),
        (*FAULTY, "command", "aborted"),
    ),
    "data set cut short by a command": Vector(
        False,
        (RQ, data_pdu(pdv(3, encode(STORE)), pdv(0, DATA_SET), pdv(3, encode(ECHO), 1)) + RELEASE_RQ),
        ("AssociateRequested", "command", "part of data", "aborted"),
    ),
    "data without a command, twice no data": Vector(
        False,
        (RQ, data_pdu(pdv(2, b"stray")) + 2 * data_pdu(pdv(3, encode(STORE))) + ECHO_PDUS + RELEASE_RQ),
        ("AssociateRequested", "command", "DataMissing", "command", "DataMissing", "command", "ReleaseRequested"),
    ),
    "request that is rejected": Vector(False, (RQ[:6] + b"\0\2" + RQ[8:] + ECHO_PDUS,), ("AssociateRejected",)),
    "data before the request": Vector(False, (ECHO_PDUS + RQ + UNKNOWN_PDU + ECHO_PDUS,), ("aborted",)),
    "HTTP": Vector(False, (b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n",), ("aborted",)),
}
