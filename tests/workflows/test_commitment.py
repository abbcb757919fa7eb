"""Storage commitment as SCU: requests, and the reports that come on whatever association."""

import asyncio
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicomio import (
    ActionRequest,
    Application,
    Association,
    Client,
    CommitmentResult,
    DicomTimeout,
    InvalidInstance,
    NoPresentationContext,
    PresentationContext,
    Refused,
    Role,
    Status,
    StatusError,
    StorageCommitment,
    Transaction,
    TransactionExpired,
    dataset,
)
from dicomio.datasets import decode, encode
from dicomio.sop import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    Verification,
)
from dicomio.sop import StorageCommitmentPushModel as Push
from dicomio.sop import StorageCommitmentPushModelInstance as PushInstance
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from dicomio.workflows.commitment import event_information, referenced_instances, result_of
from tests.association.peers import MemoryClient, started

CT1, CT2, MR1 = (CTImageStorage, "1.2.3.1"), (CTImageStorage, "1.2.3.2"), (MRImageStorage, "1.2.3.3")


class Pacs:
    """A peer that accepts requests and reports what a test tells it to.

    Attributes:
        requests: the Action Information of each request.
    """

    def __init__(self) -> None:
        self.app = Application("PACS")
        self.requests: list[Dataset] = []
        self.commands: list[tuple[int, str]] = []
        self.on_request: Callable[[ActionRequest], object] | None = None
        self.app.n_action(Push)(self.take)

    async def take(self, request: ActionRequest) -> None:
        self.requests.append(request.information)
        self.commands.append((request.action_type, request.sop_instance_uid))
        if self.on_request is not None:
            self.on_request(request)


class Requester:
    """Our own side: an application with storage commitment, and the transactions that it began."""

    def __init__(self) -> None:
        self.app = Application("ME")
        self.commitment = StorageCommitment(self.app)
        self.pacs = Pacs()

    async def begin(self, *instances: tuple[str, str], expires: float | None = None) -> Transaction:
        """A transaction whose association is gone already."""
        async with connected(self.pacs.app) as association:
            return await self.commitment.request(association, instances, expires=expires)


@pytest.fixture
def me() -> Requester:
    return Requester()


def information(
    transaction: Transaction, committed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]] = ()
) -> Dataset:
    """A report."""
    failures = {uid: reason for _, uid, reason in failed}
    return event_information(
        transaction.uid, [*committed, *((sop_class, uid) for sop_class, uid, _ in failed)], failures
    )


# What a peer may propose in order to report: the last two forget that they are the SCP.
PROPOSALS = {
    "as SCP": PresentationContext(Push, scu=False, scp=True),
    "in both roles": PresentationContext(Push, scu=True, scp=True),
    "without a role": PresentationContext(Push),
}


async def report(
    me: Requester, event_type: int, information: Dataset | None, *, instance: str = PushInstance
) -> Status:
    """Reports on a new association."""
    async with connected(me.app, ae_title="PACS", contexts=[PROPOSALS["as SCP"]]) as association:
        return await status_of(association, event_type, information, instance)


async def status_of(
    association: Association, event_type: int, information: Dataset | None, instance: str = PushInstance
) -> Status:
    try:
        return (await association.n_event_report(Push, instance, event_type, information)).status
    except StatusError as error:
        assert association.is_established
        return Status(error.status)


# asking


async def test_request(me: Requester) -> None:
    transaction = await me.begin(CT1, MR1, CT1)
    (asked,) = me.pacs.requests
    assert me.pacs.commands == [(1, "1.2.840.10008.1.20.1.1")]
    assert asked.TransactionUID == transaction.uid
    items = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence]
    assert items == [CT1, MR1]
    assert {element.keyword for element in asked} == {"TransactionUID", "ReferencedSOPSequence"}
    assert transaction.instances == (CT1, MR1)
    assert not transaction.done
    assert transaction.uid in repr(transaction)


async def test_every_request_has_a_transaction_of_its_own(me: Requester) -> None:
    transactions = [await me.begin(CT1) for _ in range(20)]
    assert len({transaction.uid for transaction in transactions}) == 20
    assert set(me.commitment.transactions) == {transaction.uid for transaction in transactions}


@pytest.mark.parametrize("instances", [[], [("CT", "1.2.3")], [(CTImageStorage, "")], [(CTImageStorage, "image 1")]])
async def test_what_cannot_be_asked_for(me: Requester, instances: list[tuple[str, str]]) -> None:
    async with connected(me.pacs.app) as association:
        with pytest.raises(ValueError, match=r"instance|UID"):
            await me.commitment.request(association, instances)
    assert me.pacs.requests == []


async def test_the_peer_does_not_process_it(me: Requester) -> None:
    def refuse(request: ActionRequest) -> None:
        raise Refused(Status.RESOURCE_LIMITATION, "come back tomorrow")

    me.pacs.on_request = refuse
    async with connected(me.pacs.app) as association:
        with pytest.raises(StatusError, match="come back tomorrow"):
            await me.commitment.request(association, [CT1])
    assert me.commitment.transactions == {}


async def test_the_peer_does_not_support_it(me: Requester) -> None:
    async with connected(Application("PACS"), contexts=[Verification, Push]) as association:
        with pytest.raises(NoPresentationContext):
            await me.commitment.request(association, [CT1])
    assert me.commitment.transactions == {}


async def test_one_application_has_one_of_them(me: Requester) -> None:
    with pytest.raises(ValueError, match="already"):
        StorageCommitment(me.app)


# the report


async def test_success(me: Requester) -> None:
    transaction = await me.begin(CT1, MR1)
    sent = information(transaction, [CT1, MR1])
    sent.RetrieveAETitle = "ELSEWHERE"
    assert await report(me, 1, sent) == Status.SUCCESS
    result = await transaction.result()
    assert (result.committed, result.failed) == ((CT1[1], MR1[1]), {})
    assert result.information.RetrieveAETitle == "ELSEWHERE"
    assert str(result) == "2 committed, 0 failed"
    assert transaction.done
    assert me.commitment.transactions == {}


async def test_failures(me: Requester) -> None:
    transaction = await me.begin(CT1, CT2, MR1)
    sent = information(transaction, [CT2], [(*CT1, 0x0122), (*MR1, 0x0119)])
    assert await report(me, 2, sent) == Status.SUCCESS
    result = await transaction.result()
    assert result.committed == (CT2[1],)
    assert result.failed == {CT1[1]: Status.SOP_CLASS_NOT_SUPPORTED, MR1[1]: Status.CLASS_INSTANCE_CONFLICT}
    assert str(result) == (
        "1 committed, 2 failed; 1.2.3.1: 0x0122 Referenced SOP class not supported; "
        "1.2.3.3: 0x0119 Class-instance conflict"
    )


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("reason", [None, 0, 0x0131, 0xFFFF, [0x0110, 0x0112]], ids=str)
def test_failure_reasons(reason: int | list[int] | None, syntax: str) -> None:
    ds = dataset(FailedSOPSequence=[{"ReferencedSOPInstanceUID": "1.2.3", "FailureReason": reason}])
    result = result_of([(CTImageStorage, "1.2.3")], decode(encode(ds, syntax), syntax))
    expected = reason if isinstance(reason, int) and reason else Status.PROCESSING_FAILURE
    assert result.failed == {"1.2.3": expected}


def test_only_what_a_report_is_clear_about_is_committed() -> None:
    ds = dataset(
        ReferencedSOPSequence=[
            {"ReferencedSOPInstanceUID": "1.2.3.1"},
            {"ReferencedSOPInstanceUID": "1.2.3.2"},
            {"ReferencedSOPInstanceUID": "9.9"},
            {},
        ],
        FailedSOPSequence=[{"ReferencedSOPInstanceUID": "1.2.3.2", "FailureReason": 0x0112}],
    )
    result = result_of([CT1, CT2, MR1], ds)
    assert result.committed == ("1.2.3.1",)
    assert result.failed == {"1.2.3.2": Status.NO_SUCH_SOP_INSTANCE, "1.2.3.3": Status.PROCESSING_FAILURE}


def test_a_report_whose_sequences_are_something_else() -> None:
    ds = Dataset()
    ds.add_new(0x00081199, "UI", "1.2.3.1")
    ds.add_new(0x00081198, "OB", b"\0\1\2\3")
    result = result_of([CT1], decode(encode(ds, ExplicitVRLittleEndian), ExplicitVRLittleEndian))
    assert (result.committed, result.failed) == ((), {CT1[1]: Status.PROCESSING_FAILURE})


uids = st.from_regex(r"[12](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)


@given(
    asked=st.lists(st.tuples(uids, uids), min_size=1, unique_by=lambda pair: pair[1]),
    reported=st.dictionaries(uids, st.sampled_from([None, 0x0110, 0x0112, 0x0213])),
)
def test_every_instance_has_a_result(asked: list[tuple[str, str]], reported: dict[str, int | None]) -> None:
    """Whatever is reported, an instance is committed or failed, and committed only if the report says so."""
    for _, uid in asked[::2]:
        reported.setdefault(uid, None)
    failures = {uid: reason for uid, reason in reported.items() if reason is not None}
    pairs = [(CTImageStorage, uid) for uid in reported]
    sent = encode(event_information("1.2", pairs, failures), ExplicitVRLittleEndian)
    result = result_of(asked, decode(sent, ExplicitVRLittleEndian))
    assert sorted([*result.committed, *result.failed]) == sorted(uid for _, uid in asked)
    for _, uid in asked:
        if uid in result.committed:
            assert reported[uid] is None
        else:
            assert result.failed[uid] == (reported.get(uid) or Status.PROCESSING_FAILURE)


TAGS = [0x00081195, 0x00081198, 0x00081199, 0x00081150, 0x00081155, 0x00081197]
values = st.one_of(st.binary(max_size=40), st.sampled_from([b"1.2.3.1", b"\x12\x01", b"\0", b""]))


def encoded(vr: bytes, tag: int, value: bytes) -> bytes:
    """A data element in Explicit VR Little Endian, whatever its value."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"OB", b"SQ", b"UN"):
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def encoded_items(items: list[bytes]) -> bytes:
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)


elements = st.recursive(
    st.builds(encoded, st.sampled_from([b"UI", b"US", b"OB", b"UN", b"LO", b"DS"]), st.sampled_from(TAGS), values),
    lambda inner: st.builds(
        lambda tag, items: encoded(b"SQ", tag, encoded_items(items)), st.sampled_from(TAGS), st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(elements, max_size=4).map(b"".join))
def test_no_data_set_is_too_odd(data: bytes) -> None:
    """Whatever a peer sends is refused, or read, and never an instance committed that was not asked for."""
    try:
        ds = decode(data, ExplicitVRLittleEndian)
    except InvalidInstance:
        return
    result = result_of([CT1, MR1], ds)
    assert sorted([*result.committed, *result.failed]) == [CT1[1], MR1[1]]
    with suppress(Refused):
        assert all(re.fullmatch(r"[\w.\-]+", uid, re.ASCII) for pair in referenced_instances(ds) for uid in pair)


# where the report comes from


@pytest.mark.parametrize("proposal", PROPOSALS.values(), ids=PROPOSALS)
async def test_report_on_a_new_association(me: Requester, proposal: PresentationContext) -> None:
    transaction = await me.begin(CT1)
    async with connected(me.app, ae_title="PACS", contexts=[proposal]) as association:
        assert await status_of(association, 1, information(transaction, [CT1])) == Status.SUCCESS
    assert (await transaction.result()).failed == {}


async def test_roles_are_answered(me: Requester) -> None:
    async with connected(me.app, contexts=[PROPOSALS["as SCP"]]) as association:
        assert [context.role for context in association.contexts.values()] == [Role.SCP]


async def test_report_on_the_same_association(me: Requester) -> None:
    transactions: asyncio.Queue[str] = asyncio.Queue()
    me.pacs.on_request = lambda request: request.after(answer, request)

    async def answer(request: ActionRequest) -> None:
        await status_of(request.association, 1, request.information)
        transactions.put_nowait(request.information.TransactionUID)

    async with connected(me.pacs.app, client=me.app) as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).committed == (CT1[1],)
        assert await transactions.get() == transaction.uid


async def test_report_before_the_response(me: Requester) -> None:
    async def hasty(request: ActionRequest) -> None:
        assert await status_of(request.association, 1, request.information) == Status.SUCCESS

    pacs = Application("PACS")
    pacs.n_action(Push)(hasty)
    async with connected(pacs, client=me.app) as association:
        transaction = await me.commitment.request(association, [CT1], expires=1e-9)
        assert transaction.done
    assert (await transaction.result()).committed == (CT1[1],)


async def test_a_client_will_do(me: Requester) -> None:
    async with MemoryClient(me.pacs.app) as client:
        transaction = await me.commitment.request(client, [CT1])
    assert isinstance(client, Client)
    assert await report(me, 1, information(transaction, [CT1])) == Status.SUCCESS
    assert (await transaction.result()).failed == {}


async def test_several_transactions_at_once(me: Requester) -> None:
    transactions = [await me.begin((CTImageStorage, f"1.2.3.{number}")) for number in range(5)]
    waiters = [started(transaction.result()) for transaction in transactions]
    async with connected(me.app, contexts=[PROPOSALS["as SCP"]]) as association:
        for transaction in reversed(transactions):
            assert await status_of(association, 1, information(transaction, transaction.instances)) == Status.SUCCESS
    results = await asyncio.gather(*waiters)
    assert [result.committed for result in results] == [(f"1.2.3.{number}",) for number in range(5)]


async def test_who_waits_may_be_cancelled_and_ask_again(me: Requester) -> None:
    transaction = await me.begin(CT1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await transaction.result()
    assert await report(me, 1, information(transaction, [CT1])) == Status.SUCCESS
    assert await transaction.result() is await transaction.result()


# what goes wrong


async def test_expiry(me: Requester) -> None:
    transaction = await me.begin(CT1, expires=0.0)
    with pytest.raises(TransactionExpired, match=f"{transaction.uid}: no report within 0 s") as expired:
        await transaction.result()
    assert isinstance(expired.value, DicomTimeout)
    assert transaction.done
    assert await report(me, 1, information(transaction, [CT1])) == Status.INVALID_ARGUMENT_VALUE


async def test_a_report_ends_the_expiry(me: Requester) -> None:
    transaction = await me.begin(CT1, expires=3600.0)
    assert await report(me, 1, information(transaction, [CT1])) == Status.SUCCESS
    me.commitment.expire(transaction, 3600.0)
    assert (await transaction.result()).committed == (CT1[1],)


async def test_unknown_transaction(me: Requester) -> None:
    await me.begin(CT1)
    ds = dataset(TransactionUID="1.2.3", ReferencedSOPSequence=[])
    assert await report(me, 1, ds) == Status.INVALID_ARGUMENT_VALUE


async def test_a_report_that_comes_again_is_confirmed_again(me: Requester) -> None:
    """The peer has not heard our response, and the first report counts."""
    transaction = await me.begin(CT1)
    assert await report(me, 1, information(transaction, [CT1])) == Status.SUCCESS
    assert await report(me, 2, information(transaction, [], [(*CT1, 0x0110)])) == Status.SUCCESS
    assert (await transaction.result()).committed == (CT1[1],)


async def test_two_reports_at_the_same_time(me: Requester) -> None:
    transaction = await me.begin(CT1)
    sent = information(transaction, [CT1])
    assert await asyncio.gather(*(report(me, 1, sent) for _ in range(3))) == [Status.SUCCESS] * 3
    assert (await transaction.result()).committed == (CT1[1],)


@pytest.mark.parametrize("event_type", [0, 3, 0xFFFF])
async def test_event_types(me: Requester, event_type: int) -> None:
    transaction = await me.begin(CT1)
    assert await report(me, event_type, information(transaction, [CT1])) == Status.NO_SUCH_EVENT_TYPE
    assert not transaction.done


async def test_another_instance(me: Requester) -> None:
    transaction = await me.begin(CT1)
    assert await report(me, 1, information(transaction, [CT1]), instance="1.2.3") == Status.NO_SUCH_SOP_INSTANCE
    assert not transaction.done


async def test_peers_that_do_not_name_the_instance(me: Requester) -> None:
    transaction = await me.begin(CT1)
    command = Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=1,
        affected_sop_class_uid=Push,
        affected_sop_instance_uid=PushInstance,
        event_type_id=1,
        has_data_set=True,
    )
    async with connected(me.app, contexts=[PresentationContext(Push, [ImplicitVRLittleEndian])]) as association:
        data = encode(information(transaction, [CT1]), ImplicitVRLittleEndian)
        message = association.upper.message(1, command, data)
        # Affected SOP Instance UID (0000,1000) becomes an element that nobody knows.
        association.protocol.write(message.replace(b"\0\0\0\x10", b"\0\0\x11\x11", 1))
        assert (await transaction.result()).committed == (CT1[1],)


@pytest.mark.parametrize("value", [None, "", "../../etc", "1.2\\1.3", "x" * 200])
async def test_without_a_transaction_uid(me: Requester, value: str | None) -> None:
    ds = dataset(TransactionUID=value) if value is not None else None
    assert await report(me, 1, ds) == Status.INVALID_ARGUMENT_VALUE


async def test_what_the_padding_of_uids_may_be(me: Requester) -> None:
    transaction = await me.begin(CT1)
    ds = dataset(
        TransactionUID=f"{transaction.uid} ", ReferencedSOPSequence=[{"ReferencedSOPInstanceUID": "1.2.3.1\0\0\0"}]
    )
    assert await report(me, 1, ds) == Status.SUCCESS
    assert (await transaction.result()).committed == (CT1[1],)


def test_results_compare_by_what_they_say() -> None:
    assert CommitmentResult(("1.2",), {}, Dataset()) == CommitmentResult(("1.2",), {}, Dataset())
