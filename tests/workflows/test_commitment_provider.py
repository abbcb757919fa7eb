"""Storage commitment as SCP: which requests are accepted, and how reports reach the requester."""

import asyncio
import dataclasses
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trustme
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    Address,
    Application,
    Association,
    AssociationRejected,
    CommitmentProvider,
    EventReport,
    Peer,
    PresentationContext,
    Proposal,
    Role,
    Server,
    Status,
    StatusError,
    StorageCommitment,
    Transaction,
    dataset,
    serve,
)
from dicomio.sop import CTImageStorage, MRImageStorage
from dicomio.sop import StorageCommitmentPushModel as Push
from dicomio.sop import StorageCommitmentPushModelInstance as PushInstance
from dicomio.testing import connected
from dicomio.workflows.commitment import Report
from tests.association.peers import until

CT1, CT2, MR1 = (CTImageStorage, "1.2.3.1"), (CTImageStorage, "1.2.3.2"), (MRImageStorage, "1.2.3.3")

# Seconds that no test waits: only an event ends a waiting of this length.
FOREVER = 3600.0
# Where nobody listens.
NOBODY = Address("ME", "127.0.0.1", 9)


class Checker:
    """What the provider asks.

    Attributes:
        asked: what it was asked for.
        failures: what it answers.
        ready: it answers once this is set.
    """

    def __init__(self) -> None:
        self.asked: list[Sequence[tuple[str, str]]] = []
        self.failures: Mapping[str, int] = {}
        self.ready = asyncio.Event()
        self.ready.set()

    async def __call__(self, instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        self.asked.append(instances)
        await self.ready.wait()
        return self.failures


class Pacs:
    """The provider, and where it finds its requesters.

    Attributes:
        addresses: by AE title.
        detours: where it goes first, whoever asked.
        located: AE titles that it asked the address of.
    """

    def __init__(self, check: Any = None, **options: Any) -> None:
        self.addresses: dict[str, Address] = {}
        self.located: list[str] = []
        self.detours: list[Address] = []
        self.app = Application("PACS", destinations=self.locate)
        self.check = check or Checker()
        self.provider = CommitmentProvider(self.app, self.check, **{"linger": 0.0, "delays": [], **options})

    async def locate(self, ae_title: str) -> Address:
        self.located.append(ae_title)
        if self.detours:
            return self.detours.pop(0)
        return self.addresses.get(ae_title)  # type: ignore[return-value]  # nobody has this AE title


class Requester:
    """An SCU that listens on a port of its own.

    Attributes:
        reports: calling AE title, event type and information of every report it was given.
        refusals: statuses that its next reports are answered with.
        rejections: how many of the next associations are rejected.
    """

    def __init__(self) -> None:
        self.app = Application("ME")
        self.commitment = StorageCommitment(self.app)
        self.server: Server | None = None
        self.reports: list[tuple[str, int, Dataset]] = []
        self.roles: list[Role] = []
        self.refusals: list[int] = []
        self.rejections = 0
        self.app.middleware(self.look)
        self.app.on_associate(self.admit)

    async def look(self, request: EventReport, call_next: Callable[[EventReport], Any]) -> Any:
        self.reports.append((request.peer.ae_title, request.event_type, request.information))
        self.roles += [context.role for context in request.association.contexts.values()]
        if self.refusals:
            return Status(self.refusals.pop(0))
        return await call_next(request)

    async def admit(self, proposal: Proposal) -> None:
        if self.rejections:
            self.rejections -= 1
            raise AssociationRejected(result=2, source=3, reason=1)

    async def begin(self, pacs: Pacs, *instances: tuple[str, str]) -> Transaction:
        """A transaction whose association is released at once."""
        async with connected(pacs.app, client=self.app, ae_title="ME") as association:
            return await self.commitment.request(association, instances or [CT1], expires=None)


@pytest.fixture
async def me() -> AsyncIterator[Requester]:
    requester = Requester()
    async with serve(requester.app, "127.0.0.1", 0) as requester.server:
        yield requester


def address_of(me: Requester) -> Address:
    assert me.server is not None
    return Address("ME", "127.0.0.1", me.server.port)


@asynccontextmanager
async def kept_open(pacs: Pacs, me: Requester) -> AsyncIterator[Association]:
    """An association of a requester that waits for the report on it."""
    async with connected(pacs.app, client=me.app, ae_title="ME") as association:
        yield association
        await finished(pacs)


def open_to(server: Server, title: str = "PACS") -> dicomio.connect:
    """An association of a requester that serves nothing on it."""
    return dicomio.connect(Address(title, "127.0.0.1", server.port), ae_title="ME", contexts=[Push])


async def finished(pacs: Pacs) -> None:
    """Waits until no report is under way."""
    await until(lambda: not pacs.app.background and not pacs.provider.reports)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the provider said, without the UIDs."""
    return [
        re.sub(r"2\.25\.\d+", "UID", record.getMessage())
        for record in caplog.records
        if record.name == "dicomio.commitment"
    ]


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomio.commitment")


# what is reported


async def test_everything_is_kept(me: Requester) -> None:
    pacs = Pacs(retrieve_ae_title="ARCHIVE")
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1, MR1])
        result = await transaction.result()
    assert pacs.check.asked == [[CT1, MR1]]
    assert (result.committed, result.failed) == (("1.2.3.1", "1.2.3.3"), {})
    ((_, event_type, information),) = me.reports
    assert (event_type, information.RetrieveAETitle, "FailedSOPSequence" in information) == (1, "ARCHIVE", False)


async def test_something_is_not_kept(me: Requester) -> None:
    pacs = Pacs()
    pacs.check.failures = {"1.2.3.2": Status.CLASS_INSTANCE_CONFLICT, "1.2.3.3": Status.SUCCESS, "9.9": 0x0110}
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1, CT2, MR1])
        result = await transaction.result()
    assert (result.committed, result.failed) == (("1.2.3.1", "1.2.3.3"), {"1.2.3.2": Status.CLASS_INSTANCE_CONFLICT})
    ((_, event_type, information),) = me.reports
    assert (event_type, len(information.FailedSOPSequence)) == (2, 1)
    assert "RetrieveAETitle" not in information


async def test_nothing_is_kept(me: Requester) -> None:
    pacs = Pacs(retrieve_ae_title="ARCHIVE")
    pacs.check.failures = {"1.2.3.1": 0x0112}
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).failed == {"1.2.3.1": Status.NO_SUCH_SOP_INSTANCE}
    ((_, event_type, information),) = me.reports
    assert event_type == 2
    assert {element.keyword for element in information} == {"TransactionUID", "FailedSOPSequence"}


def broken(instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    raise OSError("the index is gone")


async def senseless(instances: Sequence[tuple[str, str]]) -> Any:
    return {uid: "no" for _, uid in instances}


@pytest.mark.parametrize("check", [broken, senseless])
async def test_the_check_fails(me: Requester, check: Any, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(check)
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1, MR1])
        result = await transaction.result()
    assert result.failed == dict.fromkeys(("1.2.3.1", "1.2.3.3"), Status.PROCESSING_FAILURE)
    assert logged(caplog)[0] == "the check for the report of transaction UID to 'ME' failed"


async def test_a_plain_function_checks(me: Requester) -> None:
    def check(instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        return {uid: Status.RESOURCE_LIMITATION for _, uid in instances}

    pacs = Pacs(check)
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).failed == {"1.2.3.1": Status.RESOURCE_LIMITATION}


async def test_many_instances(me: Requester) -> None:
    pacs = Pacs()
    instances = [(CTImageStorage, f"1.2.3.{number}") for number in range(3000)]
    pacs.check.failures = {uid: 0x0112 for _, uid in instances[::2]}
    async with kept_open(pacs, me) as association:
        result = await (await me.commitment.request(association, instances)).result()
    assert (len(result.committed), len(result.failed)) == (1500, 1500)


# what is accepted


async def ask(
    association: Association, information: Dataset | None, *, action_type: int = 1, instance: str = PushInstance
) -> Status:
    try:
        return (await association.n_action(Push, instance, action_type, information)).status
    except StatusError as error:
        assert association.is_established
        return Status(error.status)


def asked(uid: str = "1.2.3", *references: Mapping[str, Any]) -> Dataset:
    usual = {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": "1.2.3.1"}
    return dataset(TransactionUID=uid, ReferencedSOPSequence=list(references or [usual]))


WRONG_SEQUENCE = Dataset()
WRONG_SEQUENCE.add_new(0x00081195, "UI", "1.2.3")
WRONG_SEQUENCE.add_new(0x00081199, "UI", "1.2.3.1")

SENSELESS: Mapping[str, Dataset | None] = {
    "nothing": None,
    "empty": Dataset(),
    "no transaction": dataset(ReferencedSOPSequence=asked().ReferencedSOPSequence),
    "no references": dataset(TransactionUID="1.2.3"),
    "no items": dataset(TransactionUID="1.2.3", ReferencedSOPSequence=[]),
    "an empty item": asked("1.2.3", {}),
    "no SOP class": asked("1.2.3", {"ReferencedSOPInstanceUID": "1.2.3.1"}),
    "no SOP instance": asked("1.2.3", {"ReferencedSOPClassUID": CTImageStorage}),
    "a path": asked("1.2.3", {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": "../../etc/passwd"}),
    "not a sequence": WRONG_SEQUENCE,
}


@pytest.mark.parametrize("information", SENSELESS.values(), ids=SENSELESS)
async def test_requests_that_make_no_sense(information: Dataset | None) -> None:
    pacs = Pacs()
    async with connected(pacs.app) as association:
        assert await ask(association, information) == Status.INVALID_ARGUMENT_VALUE
    assert pacs.check.asked == []


@pytest.mark.parametrize(
    "wrong, status",
    [
        ({"action_type": 2}, Status.NO_SUCH_ACTION_TYPE),
        ({"instance": "1.2.3"}, Status.NO_SUCH_SOP_INSTANCE),
    ],
)
async def test_requests_of_another_kind(wrong: Mapping[str, Any], status: Status) -> None:
    pacs = Pacs()
    async with connected(pacs.app) as association:
        assert await ask(association, asked(), **wrong) == status
    assert pacs.check.asked == []


async def test_a_request_names_an_instance_twice() -> None:
    pacs = Pacs()
    once = {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": "1.2.3.1"}
    again = {"ReferencedSOPClassUID": MRImageStorage, "ReferencedSOPInstanceUID": "1.2.3.1"}
    async with connected(pacs.app) as association:
        assert await ask(association, asked("1.2.3", once, again, once)) == Status.SUCCESS
        await finished(pacs)
    assert pacs.check.asked == [[CT1]]


async def test_uids_with_letters_go_back_as_they_came(me: Requester) -> None:
    pacs = Pacs()
    item = {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": "1.2.img-07"}
    async with kept_open(pacs, me) as association:
        assert await ask(association, asked("1.2.3", item)) == Status.SUCCESS
        await until(lambda: bool(me.reports))
    raw = me.reports[0][2].ReferencedSOPSequence[0].get_item(0x00081155).value
    assert raw == b"1.2.img-07"


async def test_a_transaction_uid_is_in_use_until_it_is_reported(me: Requester) -> None:
    pacs = Pacs()
    pacs.check.ready.clear()
    async with kept_open(pacs, me) as association:
        assert await ask(association, asked()) == Status.SUCCESS
        await until(lambda: bool(pacs.provider.reports))
        assert await ask(association, asked()) == Status.DUPLICATE_TRANSACTION_UID
        assert await ask(association, asked("1.2.4")) == Status.SUCCESS
        pacs.check.ready.set()
        await finished(pacs)
        assert await ask(association, asked()) == Status.SUCCESS
    assert len(pacs.check.asked) == 3


async def test_a_transaction_uid_twice_in_the_same_moment(caplog: pytest.LogCaptureFixture) -> None:
    """Both requests were accepted before either was looked at; one of them is reported."""
    pacs = Pacs()
    reports = [Report("1.2.3", [CT1], None, "ME", "PACS", iter(())) for _ in range(2)]
    pacs.check.ready.clear()
    first = asyncio.get_running_loop().create_task(pacs.provider.process(reports[0]))
    await until(lambda: bool(pacs.check.asked))
    await pacs.provider.process(reports[1])
    pacs.check.ready.set()
    await first
    assert len(pacs.check.asked) == 1
    assert logged(caplog)[0] == "'ME' has used transaction UID 1.2.3 twice at once"


@pytest.mark.parametrize("limits", [{"transactions": 8}, {"instances": 12}], ids=str)
async def test_requests_of_one_requester_are_bounded(me: Requester, limits: Mapping[str, int]) -> None:
    pacs = Pacs(**limits)
    pacs.check.ready.clear()
    async with kept_open(pacs, me) as association, connected(pacs.app, ae_title="OTHER") as other:
        await me.commitment.request(association, [CT1, CT2])
        await me.commitment.request(association, [CT1])
        await until(lambda: len(pacs.provider.reports) == 2)
        with pytest.raises(StatusError, match=r"0x0213 .*: too many storage commitment requests under way"):
            await me.commitment.request(association, [CT1])
        assert await ask(other, asked()) == Status.SUCCESS
        pacs.check.ready.set()
        await finished(pacs)
        await me.commitment.request(association, [CT1])


@pytest.mark.parametrize("limits", [{"transactions": 4}, {"instances": 4}], ids=str)
async def test_requests_of_all_requesters_are_bounded(limits: Mapping[str, int]) -> None:
    pacs = Pacs(**limits)
    pacs.check.ready.clear()
    async with AsyncExitStack() as stack:
        statuses = []
        for number in range(5):
            association = await stack.enter_async_context(connected(pacs.app, ae_title=f"CT{number}"))
            statuses.append(await ask(association, asked(f"1.2.{number}")))
            await until(lambda: len(pacs.provider.reports) == min(number + 1, 4))  # noqa: B023  # called at once
        pacs.check.ready.set()
    assert statuses == [Status.SUCCESS] * 4 + [Status.RESOURCE_LIMITATION]


# on which association


async def test_a_requester_that_waits_hears_it_on_its_association(me: Requester) -> None:
    pacs = Pacs(linger=0.001)
    async with kept_open(pacs, me) as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).committed == ("1.2.3.1",)
    assert pacs.located == []


async def test_a_requester_that_releases_hears_it_on_a_new_one(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(linger=FOREVER)
    pacs.addresses["ME"] = address_of(me)
    transaction = await me.begin(pacs, CT1)
    assert (await transaction.result()).committed == ("1.2.3.1",)
    await finished(pacs)
    assert [(title, event_type) for title, event_type, _ in me.reports] == [("PACS", 1)]
    assert me.roles == [Role.SCU]
    assert logged(caplog) == ["report of transaction UID to 'ME' delivered: 0 of 1 instances failed"]
    assert pacs.provider.lingering == {}


async def test_an_association_that_ended_while_the_check_ran(me: Requester) -> None:
    pacs = Pacs(linger=FOREVER)
    pacs.addresses["ME"] = address_of(me)
    pacs.check.ready.clear()
    async with serve(pacs.app, "127.0.0.1", 0) as server:
        async with open_to(server) as association:
            transaction = await me.commitment.request(association, [CT1])
        pacs.check.ready.set()
        assert (await transaction.result()).committed == ("1.2.3.1",)


async def test_a_requester_that_wants_no_reports_on_its_association(
    me: Requester, caplog: pytest.LogCaptureFixture
) -> None:
    pacs = Pacs()
    pacs.addresses["ME"] = address_of(me)
    # Without `client=` the association serves nothing.
    async with connected(pacs.app, ae_title="ME") as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).committed == ("1.2.3.1",)
        await finished(pacs)
        assert association.is_established
    assert "not taken on the association of the request: ME@memory:50104 answered" in logged(caplog)[0]
    assert len(me.reports) == 1


async def test_a_requester_that_does_not_answer_on_its_association(
    me: Requester, caplog: pytest.LogCaptureFixture
) -> None:
    pacs = Pacs(timeout=0.05)
    pacs.addresses["ME"] = address_of(me)
    mute, heard = Application("ME"), asyncio.Event()

    @mute.n_event_report(Push)
    async def ponder(request: EventReport) -> None:
        heard.set()
        await asyncio.Event().wait()

    async with connected(pacs.app, client=mute, ae_title="ME", timeout=dicomio.Timeout(release=0)) as association:
        transaction = await me.commitment.request(association, [CT1])
        assert (await transaction.result()).committed == ("1.2.3.1",)
        await finished(pacs)
    assert heard.is_set()
    assert logged(caplog)[0].endswith("not taken on the association of the request: no response")


async def test_reports_come_from_the_ae_title_that_was_called(me: Requester) -> None:
    pacs = Pacs()
    pacs.addresses["ME"] = address_of(me)
    async with serve(pacs.app, "127.0.0.1", 0) as server:
        for title in ("STORE", "PACS"):
            async with dicomio.connect(
                f"{title}@127.0.0.1:{server.port}", ae_title="ME", contexts=[Push]
            ) as association:
                transaction = await me.commitment.request(association, [CT1])
            await transaction.result()
        await finished(pacs)
    assert [title for title, _, _ in me.reports] == ["STORE", "PACS"]


async def test_an_ae_title_that_cannot_be_called_from(me: Requester) -> None:
    """Peers may call anything; we report under our own AE title then."""
    pacs = Pacs()
    pacs.addresses["ME"] = address_of(me)

    @pacs.app.middleware
    async def misname(request: Any, call_next: Any) -> Any:
        association = request.association
        association.agreement = dataclasses.replace(association.agreement, called_ae_title="back\\slash")
        return await call_next(request)

    transaction = await me.begin(pacs, CT1)
    assert (await transaction.result()).committed == ("1.2.3.1",)
    await finished(pacs)
    assert [title for title, _, _ in me.reports] == ["PACS"]


async def test_a_request_on_an_association_of_ours(me: Requester) -> None:
    """The provider has opened the association, and the requester asks on it in the role of an SCU."""
    pacs = Pacs()
    pacs.addresses["OTHER"] = address_of(me)
    requests: list[Transaction] = []

    @me.app.on_connect
    async def connected_to(association: Association) -> None:
        await until(lambda: association.is_established)
        requests.append(await me.commitment.request(association, [CT1]))

    context = PresentationContext(Push, scu=False, scp=True)
    async with pacs.app.connect(address_of(me), contexts=[context]):
        await until(lambda: bool(requests))
        assert (await requests[0].result()).committed == ("1.2.3.1",)
        await finished(pacs)
    assert [title for title, _, _ in me.reports] == ["PACS"]


@pytest.mark.parametrize("where", ["provider", "destination"])
async def test_reports_over_tls(me: Requester, where: str) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    async with serve(me.app, "127.0.0.1", 0, ssl=theirs) as server:
        address = Address("ME", "127.0.0.1", server.port)
        if where == "provider":
            pacs = Pacs(ssl=ours)
            pacs.addresses["ME"] = address
        else:
            pacs = Pacs()
            pacs.app.destinations = {"ME": Peer(address, ssl=ours)}
        transaction = await me.begin(pacs, CT1)
        assert (await transaction.result()).committed == ("1.2.3.1",)
        await finished(pacs)


# again and again


async def test_a_requester_that_is_not_there_yet(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(delays=[0.0, 0.001])
    pacs.addresses["ME"] = address_of(me)
    pacs.detours = [NOBODY, NOBODY]
    transaction = await me.begin(pacs, CT1)
    assert (await transaction.result()).committed == ("1.2.3.1",)
    await finished(pacs)
    first, second, delivered = logged(caplog)
    assert first == (
        "report of transaction UID to 'ME' not delivered: ME@127.0.0.1:9: Connection refused; next attempt in 0 s"
    )
    assert second.endswith("next attempt in 0.001 s")
    assert delivered.endswith("delivered: 0 of 1 instances failed")


async def test_a_requester_that_rejects(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(delays=[0.0])
    pacs.addresses["ME"] = address_of(me)
    me.rejections = 1
    transaction = await me.begin(pacs, CT1)
    assert (await transaction.result()).committed == ("1.2.3.1",)
    await finished(pacs)
    assert "rejected the association for now (transient): temporary congestion" in logged(caplog)[0]


async def test_a_requester_that_answers_a_failure(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(delays=[0.0, 0.0])
    pacs.addresses["ME"] = address_of(me)
    me.refusals = [Status.PROCESSING_FAILURE, Status.RESOURCE_LIMITATION]
    ended: list[str] = []
    me.app.on_close(lambda association: ended.append(str(association.ended)))
    transaction = await me.begin(pacs, CT1)
    assert (await transaction.result()).committed == ("1.2.3.1",)
    await finished(pacs)
    assert [event_type for _, event_type, _ in me.reports] == [1, 1, 1]
    assert "0x0110 Processing failure; next attempt in 0 s" in logged(caplog)[0]
    await until(lambda: len(ended) == 4)
    assert all(reason.endswith("released the association") or "has been released" in reason for reason in ended)


async def test_a_requester_of_no_known_address(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    pacs = Pacs(delays=[0.0])
    transaction = await me.begin(pacs, CT1)
    await finished(pacs)
    assert pacs.located == ["ME"]
    assert logged(caplog)[-1] == "report of transaction UID to 'ME' given up: no address is known for 'ME'"
    assert not transaction.done


async def test_whatever_goes_wrong_with_an_address(me: Requester, caplog: pytest.LogCaptureFixture) -> None:
    async def lookup(ae_title: str) -> Address:
        raise KeyError(ae_title)

    pacs = Pacs()
    pacs.app.destinations = lookup
    await me.begin(pacs, CT1)
    await finished(pacs)
    assert logged(caplog) == ["report of transaction UID to 'ME' given up: 'ME'"]


async def test_a_report_that_waits_for_its_time_keeps_no_server_from_closing(me: Requester) -> None:
    pacs = Pacs(delays=[FOREVER])
    pacs.addresses["ME"] = NOBODY
    async with serve(pacs.app, "127.0.0.1", 0) as server:
        async with open_to(server) as association:
            await me.commitment.request(association, [CT1])
        await until(lambda: bool(pacs.located) and not pacs.app.background)
    assert len(pacs.provider.reports) == 1


@pytest.mark.parametrize("where", ["check", "delivery"])
async def test_a_server_closes_in_the_middle(me: Requester, where: str, caplog: pytest.LogCaptureFixture) -> None:
    reached = asyncio.Event()

    async def reach_and_stay(_: object) -> Any:
        reached.set()
        await asyncio.Event().wait()

    pacs = Pacs(reach_and_stay if where == "check" else None)
    if where == "delivery":
        pacs.app.destinations = reach_and_stay
    async with (
        serve(pacs.app, "127.0.0.1", 0, timeout=dicomio.Timeout(shutdown=0.01)) as server,
        open_to(server) as association,
    ):
        await me.commitment.request(association, [CT1])
        await reached.wait()
        server.close()
        await server.wait_closed()
    assert pacs.provider.reports == {}
    assert logged(caplog)[-1] == "report of transaction UID to 'ME' given up: cancelled"


def test_the_usual_delays_are_about_a_day() -> None:
    provider = CommitmentProvider(Application("PACS"), senseless)
    assert provider.delays[0] == 10.0
    assert list(provider.delays) == sorted(provider.delays)
    assert 80_000 < sum(provider.delays) < 90_000
