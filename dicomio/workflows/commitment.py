"""Storage Commitment, Push Model (PS3.4 J): will a peer keep these objects, so that we may delete ours?

The requester names instances in an N-ACTION under a Transaction UID, and may release the association. Some time later,
on that association or on one that the peer opens, an N-EVENT-REPORT tells which of them the peer answers for. Nothing
but the Transaction UID connects the two.

`StorageCommitment` asks and waits for the report; `CommitmentProvider` answers, and delivers its reports.
"""

import asyncio
import logging
import ssl as tls
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.application import Application
from dicomio.association import Association
from dicomio.calling import awaitable
from dicomio.client import Client
from dicomio.config import PresentationContext, Timeout, checked_ae_title, checked_uid
from dicomio.errors import ConnectFailed, DicomError, Refused, StatusError, TransactionExpired
from dicomio.identifiers import dataset
from dicomio.matching.values import element_of, items_of
from dicomio.opening import connect
from dicomio.requests import ActionRequest, EventReport
from dicomio.requests.base import UID
from dicomio.sop import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from dicomio.status import Status

__all__ = ["Check", "CommitmentProvider", "CommitmentResult", "StorageCommitment", "Transaction"]

logger = logging.getLogger("dicomio.commitment")

Instances: TypeAlias = Sequence[tuple[str, str]]
Check: TypeAlias = Callable[[Instances], Awaitable[Mapping[str, int]]]

# PS3.4 Table J.3-1: Action Type ID
REQUEST: Final = 1
# PS3.4 Table J.3-2: Event Type ID
SUCCESSFUL: Final = 1
FAILURES_EXIST: Final = 2

TRANSACTION_UID: Final = 0x00081195
REFERENCED_SOP_SEQUENCE: Final = 0x00081199
FAILED_SOP_SEQUENCE: Final = 0x00081198
REFERENCED_SOP_CLASS_UID: Final = 0x00081150
REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
FAILURE_REASON: Final = 0x00081197

# As long as a requester waits by default, and about as long as a provider tries to deliver a report: a day, seconds.
DAY: Final = 86_400.0
DELAYS: Final = tuple(10.0 * 2**attempt for attempt in range(13))

# Transactions that were reported, and are remembered in case that the peer has not heard us say so.
REMEMBERED: Final = 1_000


# what is sent


def references(instances: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """The items of a Referenced SOP Sequence (PS3.3 Table 10-11)."""
    return [{"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": uid} for sop_class, uid in instances]


def action_information(transaction_uid: str, instances: Instances) -> Dataset:
    """What a request consists of (PS3.4 Table J.3-1)."""
    return dataset(TransactionUID=transaction_uid, ReferencedSOPSequence=references(instances))


def event_information(
    transaction_uid: str, instances: Instances, failures: Mapping[str, int], retrieve_ae_title: str | None = None
) -> Dataset:
    """What a report consists of (PS3.4 Table J.3-2); every instance is in one sequence or the other."""
    committed = [pair for pair in instances if pair[1] not in failures]
    failed = [pair for pair in instances if pair[1] in failures]
    elements: dict[str, Any] = {"TransactionUID": transaction_uid}
    if committed:
        elements["ReferencedSOPSequence"] = references(committed)
        if retrieve_ae_title is not None:
            elements["RetrieveAETitle"] = retrieve_ae_title
    if failed:
        items = references(failed)
        for item in items:
            item["FailureReason"] = int(failures[item["ReferencedSOPInstanceUID"]])
        elements["FailedSOPSequence"] = items
    return dataset(**elements)


# what is received


def uid_of(ds: Dataset, tag: int) -> str:
    """A UID as the peer sent it, its padding apart; empty where there is none.

    It is read from the bytes, since pydicom takes its time, and has a warning for each UID that is not a valid one.
    """
    element: Any = ds.get_item(tag)
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


def sequence_of(ds: Dataset, tag: int) -> Iterator[Dataset]:
    """The items of a sequence; none where it is missing, or not a sequence."""
    element = element_of(ds, tag)  # type: ignore[arg-type]  # a number is as good
    yield from items_of(element) if element is not None else ()


def referenced_instances(information: Dataset) -> Instances:
    """The instances a request is about, SOP class and SOP instance; one that is named twice counts once.

    Raises:
        Refused: there is none, or a reference is not one.
    """
    found: dict[str, str] = {}
    for item in sequence_of(information, REFERENCED_SOP_SEQUENCE):
        sop_class, uid = uid_of(item, REFERENCED_SOP_CLASS_UID), uid_of(item, REFERENCED_SOP_INSTANCE_UID)
        if not UID.fullmatch(sop_class) or not UID.fullmatch(uid):
            raise Refused(Status.INVALID_ARGUMENT_VALUE, f"not a reference to an instance: {uid[:30]!r}")
        found.setdefault(uid, sop_class)
    if not found:
        raise Refused(Status.INVALID_ARGUMENT_VALUE, "no Referenced SOP Sequence")
    return [(sop_class, uid) for uid, sop_class in found.items()]


def failure_reason(item: Dataset) -> Status:
    """Failure Reason (0008,1197); Processing Failure where the peer has none, or none that makes sense."""
    element = element_of(item, FAILURE_REASON)  # type: ignore[arg-type]  # a number is as good
    value = element.value if element is not None else None
    return Status(value) if isinstance(value, int) and 0 < value <= 0xFFFF else Status.PROCESSING_FAILURE


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """What became of a storage commitment request (PS3.4 J.3.3.1).

    Attributes:
        committed: SOP Instance UIDs of those that the peer keeps.
        failed: why the peer does not keep the others, by SOP Instance UID (PS3.3 C.14.1.1); those that the report does
            not mention are here too, as a Processing Failure. `Status.meaning_for("commitment")` has the words.
        information: the report as it came, with Retrieve AE Title and Storage Media File-Set where the peer told.
    """

    committed: Sequence[str]
    failed: Mapping[str, Status]
    information: Dataset = field(repr=False)

    def __str__(self) -> str:
        reasons = "".join(
            f"; {uid}: 0x{int(reason):04X} {reason.meaning_for('commitment')}" for uid, reason in self.failed.items()
        )
        return f"{len(self.committed)} committed, {len(self.failed)} failed{reasons}"


def result_of(instances: Instances, information: Dataset) -> CommitmentResult:
    """What a report says of the instances that were asked for."""
    kept = {uid_of(item, REFERENCED_SOP_INSTANCE_UID) for item in sequence_of(information, REFERENCED_SOP_SEQUENCE)}
    reasons = {
        uid_of(item, REFERENCED_SOP_INSTANCE_UID): failure_reason(item)
        for item in sequence_of(information, FAILED_SOP_SEQUENCE)
    }
    # Whoever reads the result may delete objects: only those go through that the report is clear about.
    committed = tuple(uid for _, uid in instances if uid in kept and uid not in reasons)
    failed = {
        uid: reasons.get(uid, Status.PROCESSING_FAILURE) for _, uid in instances if uid not in kept or uid in reasons
    }
    return CommitmentResult(committed, failed, information)


def transaction_uid_of(request: ActionRequest | EventReport) -> str:
    """The transaction that a request is about, once it is clear that it is about one.

    Raises:
        Refused: it is about another instance than the well-known one, or names no transaction.
    """
    # Some peers leave it out; there is just one (PS3.4 J.3.5).
    if request.sop_instance_uid not in ("", StorageCommitmentPushModelInstance):
        raise Refused(Status.NO_SUCH_SOP_INSTANCE)
    uid = uid_of(request.data_set, TRANSACTION_UID)
    if not UID.fullmatch(uid):
        raise Refused(Status.INVALID_ARGUMENT_VALUE, "no Transaction UID")
    return uid


# as SCU


class Transaction:
    """A storage commitment request that the peer has accepted.

    Attributes:
        uid: Transaction UID.
        instances: SOP class and SOP instance of what was asked for.
    """

    __slots__ = ("expiry", "future", "instances", "uid")

    def __init__(self, uid: str, instances: Instances) -> None:
        self.uid = uid
        self.instances = instances
        self.future: asyncio.Future[CommitmentResult] = asyncio.get_running_loop().create_future()
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result, or will be none any more."""
        return self.future.done()

    async def result(self) -> CommitmentResult:
        """Waits for the report; whoever is cancelled meanwhile may ask again.

        Raises:
            TransactionExpired: none came in time.
        """
        return await asyncio.shield(self.future)

    def __repr__(self) -> str:
        return f"<Transaction {self.uid} of {len(self.instances)} instances{', done' if self.done else ''}>"


class StorageCommitment:
    """Asks peers to keep what they were sent, and takes their reports (SCU, PS3.4 J.3).

    Reports come to the application: on associations that were opened with `app=`, and on those that peers open with it
    while it is served.

    ```python
    commitment = StorageCommitment(app)
    transaction = await commitment.request(association, [(sop_class_uid, sop_instance_uid)])
    result = await transaction.result()
    ```

    Args:
        app: gets a handler for N-EVENT-REPORT of the Storage Commitment Push Model.

    Attributes:
        transactions: those that wait for a report, by Transaction UID.
    """

    def __init__(self, app: Application) -> None:
        self.transactions: dict[str, Transaction] = {}
        self.reported: deque[str] = deque(maxlen=REMEMBERED)
        app.n_event_report(StorageCommitmentPushModel)(self.report)

    async def request(
        self, peer: Association | Client, instances: Iterable[tuple[str, str]], *, expires: float | None = DAY
    ) -> Transaction:
        """Asks a peer to commit to keeping instances (PS3.4 J.3.2.1).

        Args:
            peer: an association, or a client, with Storage Commitment Push Model among its contexts.
            instances: SOP Class UID and SOP Instance UID of each, at least one; one that is given twice counts once.
            expires: seconds to wait for the report, `None` for as long as it takes.

        Raises:
            ValueError: there are no instances, or something is not a UID.
            StatusError: the peer does not process the request.
            NoPresentationContext: the peer does not support storage commitment.
            DicomError: the association is over or could not be opened.
        """
        unique = {checked_uid(uid): checked_uid(sop_class) for sop_class, uid in instances}
        if not unique:
            raise ValueError("a storage commitment request needs at least one instance")
        transaction = Transaction(
            str(generate_uid(prefix=None)), tuple((sop_class, uid) for uid, sop_class in unique.items())
        )
        information = await asyncio.to_thread(action_information, transaction.uid, transaction.instances)
        # The report may be here before the response is.
        self.transactions[transaction.uid] = transaction
        try:
            await peer.n_action(StorageCommitmentPushModel, StorageCommitmentPushModelInstance, REQUEST, information)
        except BaseException:
            self.transactions.pop(transaction.uid, None)
            raise
        if expires is not None and not transaction.done:
            transaction.expiry = asyncio.get_running_loop().call_later(expires, self.expire, transaction, expires)
        return transaction

    async def report(self, request: EventReport) -> None:
        """Takes a report (PS3.4 J.3.3.1)."""
        if request.event_type not in (SUCCESSFUL, FAILURES_EXIST):
            raise Refused(Status.NO_SUCH_EVENT_TYPE, f"event type {request.event_type}")
        uid = transaction_uid_of(request)
        transaction = self.transactions.get(uid)
        if transaction is not None:
            self.conclude(transaction, await asyncio.to_thread(result_of, transaction.instances, request.information))
        elif uid not in self.reported:
            raise Refused(Status.INVALID_ARGUMENT_VALUE, "unknown transaction")

    def conclude(self, transaction: Transaction, result: CommitmentResult) -> None:
        """A report is here; the first one counts."""
        if self.transactions.pop(transaction.uid, None) is None:
            return
        self.reported.append(transaction.uid)
        if transaction.expiry is not None:
            transaction.expiry.cancel()
        transaction.future.set_result(result)

    def expire(self, transaction: Transaction, seconds: float) -> None:
        """No report has come in time."""
        if self.transactions.pop(transaction.uid, None) is not None:
            transaction.future.set_exception(
                TransactionExpired(f"transaction {transaction.uid}: no report within {seconds:g} s")
            )
            # Nobody needs to be waiting.
            transaction.future.exception()


# as SCP


@dataclass(slots=True, eq=False)
class Report:
    """A report that is to be delivered.

    Attributes:
        uid: Transaction UID.
        instances: what was asked for.
        association: that of the request, until it has been tried.
        requester: AE title to report to.
        ours: AE title that the requester knows us by.
        delays: seconds until the next attempts.
        failures: what is not kept and why, by SOP Instance UID.
    """

    uid: str
    instances: Instances
    association: Association | None
    requester: str
    ours: str
    delays: Iterator[float]
    failures: Mapping[str, Status] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"report of transaction {self.uid} to {self.requester!r}"


class CommitmentProvider:
    """Answers storage commitment requests, and reports what becomes of them (SCP, PS3.4 J.3).

    A request is accepted at once; then `check` is asked. If the requester keeps its association open it waits for the
    report there; otherwise the report goes to the address that `destinations` of the application has for its AE title,
    again and again where it cannot be delivered.

    ```python
    async def check(instances):
        return {uid: Status.NO_SUCH_SOP_INSTANCE for sop_class, uid in instances if uid not in stored}

    CommitmentProvider(app, check)
    ```

    Transactions are kept in memory, and are gone with the process.

    Args:
        app: gets a handler for N-ACTION of the Storage Commitment Push Model.
        check: is given SOP Class UID and SOP Instance UID of what is asked for, and returns why it is not kept, by SOP
            Instance UID, for those that are not: `NO_SUCH_SOP_INSTANCE`, `CLASS_INSTANCE_CONFLICT`,
            `SOP_CLASS_NOT_SUPPORTED`, `RESOURCE_LIMITATION` or `PROCESSING_FAILURE` (PS3.3 C.14.1.1). It may take as
            long as it needs; where it raises, everything has failed. A plain function runs in a worker thread.
        delays: seconds between the attempts to deliver a report; there is one more of these, the first.
        linger: seconds for which the requester may release the association before the report goes out on it.
        timeout: seconds for which a requester that is reported to may let us wait: connection, negotiation, response.
        retrieve_ae_title: Retrieve AE Title (0008,0054), where to get from what is kept.
        ssl: a TLS context for associations that are opened for reports; by default that of the destination, if any.
        transactions: requests that may be under way at once; more are refused. One requester has a quarter of it at
            most, so that one who cannot be reached for a day takes nothing from the others.
        instances: instances of all requests that may be under way at once, likewise.

    Attributes:
        reports: what is under way, by Transaction UID.
    """

    def __init__(
        self,
        app: Application,
        check: Check | Callable[[Instances], Mapping[str, int]],
        *,
        delays: Iterable[float] = DELAYS,
        linger: float = 1.0,
        timeout: float = 30.0,
        retrieve_ae_title: str | None = None,
        ssl: tls.SSLContext | None = None,
        transactions: int = 1_000,
        instances: int = 500_000,
    ) -> None:
        self.app = app
        self.check: Check = awaitable(check)
        self.delays = tuple(delays)
        self.linger = linger
        self.timeout = timeout
        self.retrieve_ae_title = checked_ae_title(retrieve_ae_title) if retrieve_ae_title is not None else None
        self.ssl = ssl
        self.most_transactions = transactions
        self.most_instances = instances
        self.reports: dict[str, Report] = {}
        self.lingering: dict[Association, asyncio.Event] = {}
        app.n_action(StorageCommitmentPushModel)(self.take)
        app.on_close(self.closed)

    async def take(self, request: ActionRequest) -> None:
        """Accepts a request (PS3.4 J.3.2.1.3)."""
        if request.action_type != REQUEST:
            raise Refused(Status.NO_SUCH_ACTION_TYPE, f"action type {request.action_type}")
        uid = transaction_uid_of(request)
        instances = await asyncio.to_thread(referenced_instances, request.information)
        self.check_room(uid, request.peer.ae_title, instances)
        association = request.association
        report = Report(uid, instances, association, request.peer.ae_title, our_title(association), iter(self.delays))
        request.after(self.process, report)

    def check_room(self, uid: str, requester: str, instances: Instances) -> None:
        """Refuses a transaction that there already is, and those that are too much.

        Raises:
            Refused: it is.
        """
        if uid in self.reports:
            # Not accepted and reported as failed, as PS3.3 C.14.1.1 has it: that would be taken for the report of the
            # transaction which has this UID.
            raise Refused(Status.DUPLICATE_TRANSACTION_UID, "the Transaction UID is in use")
        everyone = self.reports.values()
        for reports, share in (everyone, 1), ([each for each in everyone if each.requester == requester], 4):
            count, named = len(reports) + 1, sum(len(each.instances) for each in reports) + len(instances)
            if count > self.most_transactions / share or named > self.most_instances / share:
                raise Refused(Status.RESOURCE_LIMITATION, "too many storage commitment requests under way")

    async def process(self, report: Report) -> None:
        """Finds out what is kept, and reports it; the requester knows that its request was accepted."""
        if self.reports.setdefault(report.uid, report) is not report:
            logger.warning("%r has used transaction UID %s twice at once", report.requester, report.uid)
            return
        try:
            found = await self.check(report.instances)
            report.failures = {uid: Status(found[uid]) for _, uid in report.instances if found.get(uid)}
        except Exception:
            logger.exception("the check for the %s failed", report)
            report.failures = {uid: Status.PROCESSING_FAILURE for _, uid in report.instances}
        except BaseException:
            self.drop(report)
            raise
        await self.attempt(report)

    async def attempt(self, report: Report) -> None:
        """Tries to deliver a report, now or later."""
        try:
            await self.deliver(report)
        except Exception as error:
            self.put_off(report, error)
        except BaseException:
            self.drop(report)
            raise
        else:
            del self.reports[report.uid]
            failed = len(report.failures)
            logger.info("%s delivered: %d of %d instances failed", report, failed, len(report.instances))

    def put_off(self, report: Report, error: Exception) -> None:
        """Has a report delivered later; no task waits for that, so that it keeps no server from closing."""
        delay = next(report.delays, None)
        if delay is None:
            del self.reports[report.uid]
            logger.error("%s given up: %s", report, error)
            return
        logger.warning("%s not delivered: %s; next attempt in %g s", report, error, delay)
        asyncio.get_running_loop().call_later(delay, lambda: self.app.spawn(self.attempt(report)))

    def drop(self, report: Report) -> None:
        """Forgets a report that was cancelled: the server is closing."""
        del self.reports[report.uid]
        logger.error("%s given up: cancelled", report)

    # the two routes of a report (PS3.4 J.3.3.1.2)

    async def deliver(self, report: Report) -> None:
        """Reports on the association of the request if that stays open, and else on a new one.

        Raises:
            DicomError: the requester cannot be reached, or does not take the report.
        """
        association, report.association = report.association, None
        if association is not None and await self.stays_open(association):
            try:
                async with asyncio.timeout(self.timeout):
                    await self.tell(association, report)
            except (DicomError, TimeoutError) as error:
                logger.info("%s not taken on the association of the request: %s", report, str(error) or "no response")
            else:
                return
        await self.deliver_anew(report)

    async def deliver_anew(self, report: Report) -> None:
        """Reports on an association of our own."""
        address = await self.app.locate(report.requester)
        if address is None:
            report.delays = iter(())  # nor will it be tomorrow
            raise ConnectFailed(f"no address is known for {report.requester!r}")
        opening = connect(
            address,
            contexts=[PresentationContext(StorageCommitmentPushModel, scu=False, scp=True)],
            ae_title=report.ours,
            app=self.app,
            timeout=Timeout(self.timeout, response=self.timeout),
            ssl=self.ssl,
        )
        refusal: StatusError | None = None
        async with opening as association:
            try:
                await self.tell(association, report)
            except StatusError as error:
                refusal = error  # which is no reason to abort
        if refusal is not None:
            raise refusal

    async def tell(self, association: Association, report: Report) -> None:
        """Sends the report."""
        information = await asyncio.to_thread(
            event_information, report.uid, report.instances, report.failures, self.retrieve_ae_title
        )
        event_type = FAILURES_EXIST if "FailedSOPSequence" in information else SUCCESSFUL
        await association.n_event_report(
            StorageCommitmentPushModel, StorageCommitmentPushModelInstance, event_type, information
        )

    async def stays_open(self, association: Association) -> bool:
        """Whether the requester waits for the report; whoever does not will release the association right away.

        A report that crosses with the release confuses many a requester.
        """
        if association.is_established:
            ended = self.lingering.setdefault(association, asyncio.Event())
            with suppress(TimeoutError):
                async with asyncio.timeout(self.linger):
                    await ended.wait()
        return association.is_established

    async def closed(self, association: Association) -> None:
        """An association is over."""
        if association in self.lingering:
            self.lingering.pop(association).set()


def our_title(association: Association) -> str:
    """The AE title that the peer knows us by, and that it has to see in a report too (PS3.4 J.3.3.1.2, note 2)."""
    agreement = association.agreement
    assert agreement is not None
    if association.peer.ae_title != agreement.calling_ae_title:
        return agreement.calling_ae_title
    # It may have called us anything.
    with suppress(ValueError):
        return checked_ae_title(agreement.called_ae_title)
    return association.local.ae_title
