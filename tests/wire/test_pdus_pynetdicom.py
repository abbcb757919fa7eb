"""The PDUs against those of an independent implementation: it reads what we write, and we read what it writes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from pynetdicom import pdu as other
from pynetdicom import pdu_items as items
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.tests import encoded_pdu_items

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
from dicomio.wire.pdus import (
    HEADER_LENGTH,
    PDU,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    DataTF,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
    decode,
    encode,
)
from tests.wire.strategies import ae_titles, answers, requests, short_pdus, uids
from tests.wire.vectors import VECTORS

# The PDUs that it recorded for its own tests, with what is odd about them
RECORDED: dict[str, tuple[str, ...]] = {
    "a_associate_rq": (),
    "a_associate_rq_user_async": (),
    "a_associate_rq_role": (),
    "a_associate_rq_user_id_user_pass": (),
    "a_associate_rq_user_id_ext_neg": (),
    "a_associate_rq_called": ("called AE title is empty",),
    "a_associate_rq_calling": ("calling AE title is empty",),
    "a_associate_ac": (),
    "a_associate_ac_zero_ts": ("transfer syntax is empty", "presentation context answered with 0 transfer syntaxes"),
    "a_associate_ac_no_ts": ("presentation context answered with 0 transfer syntaxes",),
    "a_associate_rj": (),
    "a_release_rq": (),
    "a_release_rp": (),
    "a_abort": (),
    "a_p_abort": (),
    "p_data_tf": (),
    "p_data_tf_rq": (),
    "p_data_tf_n_event_report": (),
}
# It refuses AE titles of spaces only.
UNREADABLE = {"a_associate_rq_called", "a_associate_rq_calling"}

OTHER_PDUS: dict[int, Callable[[], other.PDU]] = {
    1: other.A_ASSOCIATE_RQ,
    2: other.A_ASSOCIATE_AC,
    3: other.A_ASSOCIATE_RJ,
    4: other.P_DATA_TF,
    5: other.A_RELEASE_RQ,
    6: other.A_RELEASE_RP,
    7: other.A_ABORT_RQ,
}


def read_by_other(data: bytes) -> other.PDU:
    """What the other implementation decodes."""
    pdu = OTHER_PDUS[data[0]]()
    pdu.decode(data)
    return pdu


def translate(pdu: other.PDU) -> PDU:
    """What the other implementation understood, in our terms."""
    match pdu:
        case other.A_ASSOCIATE_RQ():
            return AssociateRQ(
                pdu.called_ae_title.strip(),
                pdu.calling_ae_title.strip(),
                tuple(translate_context_rq(context) for context in pdu.presentation_context),
                translate_user(pdu.user_information),
                str(pdu.application_context_name),
                pdu.protocol_version,
            )
        case other.A_ASSOCIATE_AC():
            return AssociateAC(
                pdu.reserved_aet.strip(),
                pdu.reserved_aec.strip(),
                tuple(translate_context_ac(context) for context in pdu.presentation_context),
                translate_user(pdu.user_information),
                str(pdu.application_context_name),
                pdu.protocol_version,
            )
        case other.A_ASSOCIATE_RJ():
            return AssociateRJ(given_int(pdu.result), given_int(pdu.source), given_int(pdu.reason_diagnostic))
        case other.A_ABORT_RQ():
            return Abort(given_int(pdu.source), given_int(pdu.reason_diagnostic))
        case other.P_DATA_TF():
            return DataTF(tuple(translate_value(value) for value in pdu.presentation_data_value_items))
        case _:
            return ReleaseRQ() if pdu.pdu_type == 5 else ReleaseRP()


def given_int(value: int | None) -> int:
    """A field that the other implementation must have read."""
    assert value is not None
    return value


def translate_context_rq(context: items.PresentationContextItemRQ) -> PresentationContextRQ:
    """A proposed presentation context in our terms."""
    syntaxes = tuple(str(uid) for uid in context.transfer_syntax)
    return PresentationContextRQ(given_int(context.context_id), str(context.abstract_syntax), syntaxes)


def translate_context_ac(context: items.PresentationContextItemAC) -> PresentationContextAC:
    """An answered presentation context in our terms."""
    result = given_int(context.result_reason)
    return PresentationContextAC(given_int(context.context_id), result, str(context.transfer_syntax or ""))


def translate_value(value: items.PresentationDataValueItem) -> PresentationDataValue:
    """A presentation data value in our terms; there the message control header counts as data."""
    assert value.data is not None
    return PresentationDataValue(given_int(value.context_id), value.data[0], value.data[1:])


def translate_user(item: items.UserInformationItem | None) -> UserInformation:
    """User information in our terms."""
    user = UserInformation()
    assert item is not None
    for sub_item in item.user_data:
        user = with_sub_item(user, sub_item)
    return user


def with_sub_item(user: UserInformation, sub_item: items.PDUItem) -> UserInformation:
    """User information with one sub-item more."""
    match sub_item:
        case items.MaximumLengthSubItem():
            return replace(user, maximum_length=sub_item.maximum_length_received)
        case items.ImplementationClassUIDSubItem():
            return replace(user, implementation_class_uid=sub_item.implementation_class_uid)
        case items.ImplementationVersionNameSubItem():
            return replace(user, implementation_version_name=sub_item.implementation_version_name)
        case items.AsynchronousOperationsWindowSubItem():
            window = sub_item.max_operations_invoked, sub_item.max_operations_performed
            return replace(user, async_window=AsyncOperationsWindow(given_int(window[0]), given_int(window[1])))
        case items.SCP_SCU_RoleSelectionSubItem():
            role = RoleSelection(str(sub_item.uid), bool(sub_item.scu), bool(sub_item.scp))
            return replace(user, roles=(*user.roles, role))
        case items.SOPClassExtendedNegotiationSubItem():
            extended = ExtendedNegotiation(str(sub_item.uid), sub_item.app_info or b"")
            return replace(user, extended=(*user.extended, extended))
        case items.SOPClassCommonExtendedNegotiationSubItem():
            related = tuple(str(uid) for uid in sub_item.related_general_sop_class_identification)
            common = CommonExtendedNegotiation(str(sub_item.sop_class_uid), str(sub_item.service_class_uid), related)
            return replace(user, common_extended=(*user.common_extended, common))
        case items.UserIdentitySubItemRQ():
            identity = UserIdentityRQ(
                given_int(sub_item.id_type),
                sub_item.primary or b"",
                sub_item.secondary or b"",
                bool(sub_item.response_requested),
            )
            return replace(user, user_identity=identity)
        case items.UserIdentitySubItemAC():
            return replace(user, user_identity_response=sub_item.response)
        case _:
            pytest.fail(f"{sub_item} was not understood")


def primitive(pdu: AssociateRQ) -> A_ASSOCIATE:
    """The A-ASSOCIATE primitive from which the other implementation makes such a PDU."""
    request = A_ASSOCIATE()
    request.application_context_name = pdu.application_context
    request.called_ae_title = pdu.called_ae_title
    request.calling_ae_title = pdu.calling_ae_title
    request.presentation_context_definition_list = [proposal(context) for context in pdu.contexts]
    user = pdu.user
    assert user.maximum_length is not None
    maximum_length = MaximumLengthNotification()
    maximum_length.maximum_length_received = user.maximum_length
    implementation_class_uid = ImplementationClassUIDNotification()
    implementation_class_uid.implementation_class_uid = user.implementation_class_uid
    version_name = ImplementationVersionNameNotification()
    version_name.implementation_version_name = user.implementation_version_name
    window = AsynchronousOperationsWindowNegotiation()
    assert user.async_window is not None
    window.maximum_number_operations_invoked = user.async_window.invoked
    window.maximum_number_operations_performed = user.async_window.performed
    request.user_information = [maximum_length, implementation_class_uid, version_name, window, *negotiations(user)]
    return request


def proposal(context: PresentationContextRQ) -> PresentationContext:
    """A presentation context of the other implementation."""
    proposed = PresentationContext()
    proposed.context_id = context.id
    proposed.abstract_syntax = context.abstract_syntax
    proposed.transfer_syntax = list(context.transfer_syntaxes)
    return proposed


def negotiations(
    user: UserInformation,
) -> list[
    SCP_SCU_RoleSelectionNegotiation
    | SOPClassExtendedNegotiation
    | SOPClassCommonExtendedNegotiation
    | UserIdentityNegotiation
]:
    """The other implementation's items for role selection, extended negotiation and user identity."""
    (role,), (extended,), (common,), identity = user.roles, user.extended, user.common_extended, user.user_identity
    assert identity is not None
    role_item = SCP_SCU_RoleSelectionNegotiation()
    role_item.sop_class_uid, role_item.scu_role, role_item.scp_role = role.sop_class_uid, role.scu, role.scp
    extended_item = SOPClassExtendedNegotiation()
    extended_item.sop_class_uid = extended.sop_class_uid
    extended_item.service_class_application_information = extended.information
    common_item = SOPClassCommonExtendedNegotiation()
    common_item.sop_class_uid = common.sop_class_uid
    common_item.service_class_uid = common.service_class_uid
    common_item.related_general_sop_class_identification = list(common.related)
    identity_item = UserIdentityNegotiation()
    identity_item.user_identity_type = identity.type
    identity_item.primary_field = identity.primary
    identity_item.secondary_field = identity.secondary
    identity_item.positive_response_requested = identity.positive_response
    return [role_item, extended_item, common_item, identity_item]


@pytest.mark.parametrize("name", RECORDED)
def test_reads_what_it_recorded(name: str) -> None:
    data: bytes = getattr(encoded_pdu_items, name)
    pdu = decode(data[0], data[HEADER_LENGTH:])
    assert getattr(pdu, "quirks", ()) == RECORDED[name]
    if name not in UNREADABLE:
        assert pdu == translate(read_by_other(data))
        assert decode(data[0], encode(pdu)[HEADER_LENGTH:]) == pdu


@pytest.mark.parametrize("name", VECTORS)
def test_it_reads_the_vectors_of_the_standard(name: str) -> None:
    data, pdu = VECTORS[name]
    assert translate(read_by_other(data)) == pdu
    assert read_by_other(data).encode() == data


def test_reads_what_it_makes_of_a_primitive() -> None:
    pdu = VECTORS["A-ASSOCIATE-RQ"][1]
    assert isinstance(pdu, AssociateRQ)
    data = other.A_ASSOCIATE_RQ(primitive(pdu)).encode()
    decoded = decode(data[0], data[HEADER_LENGTH:])
    assert isinstance(decoded, AssociateRQ)
    assert decoded == pdu
    assert decoded.quirks == ()


@given(requests(uids, known=True) | answers(ae_titles, uids, known=True) | short_pdus)
def test_it_reads_what_we_write_and_writes_it_the_same(pdu: PDU) -> None:
    data = encode(pdu)
    understood = read_by_other(data)
    assert translate(understood) == pdu
    assert understood.encode() == data
