"""Who is let in, and what an association agrees on: access, identity, extended negotiation (PS3.7 D.3.3)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import pytest

from dicomio import (
    Access,
    Application,
    AssociationRejected,
    Client,
    CommonExtendedNegotiation,
    FindRequest,
    Identity,
    Limits,
    LocalProtocolError,
    PresentationContext,
    Proposal,
    QueryExtension,
    Role,
    Server,
    StorageExtension,
    StoreRequest,
    Timeout,
    connect,
    dataset,
    query,
    serve,
    sop,
)
from dicomio.admission import MOST_FAILURES, Admission, fits, origin
from dicomio.negotiation import Supported
from dicomio.sop import STUDY_ROOT
from dicomio.testing import connected
from tests.association.peers import until

VERIFICATION = [sop.Verification]


# access


@pytest.mark.parametrize(
    "ae_title, patterns, expected",
    [
        ("CT1", ["CT1"], True),
        (" CT1 ", ["CT1"], True),
        ("CT2", ["CT1", "CT2"], True),
        ("CT10", ["CT?"], False),
        ("CT10", ["CT*"], True),
        ("ct1", ["CT1"], False),
        ("MR3", ["[CM][TR]?"], True),
        ("", ["*"], True),
    ],
)
def test_ae_titles_are_compared_with_patterns(ae_title: str, patterns: list[str], expected: bool) -> None:
    assert fits(ae_title, patterns) is expected


@pytest.mark.parametrize(
    "host, networks, expected",
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8", "11.1.2.3"], True),
        ("11.1.2.4", ["10.0.0.0/8", "11.1.2.3"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("::1", ["10.0.0.0/8"], False),
        ("memory", ["10.0.0.0/8"], True),
        ("8.8.8.8", [], True),
    ],
)
def test_hosts_are_looked_up_in_networks(host: str, networks: list[str], expected: bool) -> None:
    assert Access(networks=networks).admits_host(host) is expected


def test_a_network_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Access(networks=["nonsense"])


@pytest.mark.parametrize("name", ["called", "calling", "networks"])
def test_a_text_is_no_sequence_of_texts(name: str) -> None:
    with pytest.raises(ValueError, match=f"Access.{name} is 'ARCHIVE'; it must be a sequence"):
        Access(**{name: "ARCHIVE"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "access, reason",
    [
        (Access(called=["OTHER"]), 7),
        (Access(calling=["CT*", "MR*"]), 3),
        (Access(called=["OTHER"], calling=["CT*"]), 7),
    ],
)
async def test_ae_titles_that_are_not_allowed_are_rejected(access: Access, reason: int) -> None:
    with pytest.raises(AssociationRejected) as caught:
        async with connected(Application("APP", access=access), contexts=VERIFICATION):
            pass
    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, reason)


async def test_ae_titles_that_are_allowed_are_let_in() -> None:
    app = Application("APP", access=Access(called=["AP?"], calling=["TES*"]))
    async with connected(app, contexts=VERIFICATION) as association:
        assert await association.echo() > 0


async def test_connections_from_elsewhere_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    app = Application("APP", access=Access(networks=["192.0.2.0/24"]))
    async with serve(app, "127.0.0.1", 0) as server:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await connect(f"APP@127.0.0.1:{server.port}", contexts=VERIFICATION)
    assert "not from a network that is allowed" in caplog.text


# identity


def guarded(refusal: float = 0.0) -> Application:
    """Lets in who knows the passcode."""
    app = Application("APP", access=Access(refusal=refusal))

    @app.authenticate
    async def identify(proposal: Proposal) -> str | None:
        identity = proposal.identity
        if identity is None:
            return "nobody in particular"
        if identity.name == "banned":
            raise AssociationRejected(2, 1, 1)
        proposal.identity_response = b"welcome"
        return identity.name if identity.passcode == "open sesame" else None

    return app


@pytest.mark.parametrize("positive_response", [True, False])
async def test_what_authenticate_returns_is_the_identity_of_the_association(positive_response: bool) -> None:
    app, seen = guarded(), []

    @app.echo()
    async def echo(request: object) -> None:
        seen.append(request.association.identity)  # type: ignore[attr-defined]

    identity = Identity.username("ali", "open sesame", positive_response=positive_response)
    async with connected(app, contexts=VERIFICATION, identity=identity) as association:
        await association.echo()
        assert association.identity == identity
        assert association.agreement is not None
        assert association.agreement.identity_response == (b"welcome" if positive_response else None)
    assert seen == ["ali"]


async def test_authenticate_may_let_in_who_does_not_say_who_he_is() -> None:
    async with connected(guarded(), contexts=VERIFICATION) as association:
        assert await association.echo() > 0


@pytest.mark.parametrize(
    "identity, expected",
    [
        (Identity.username("ali", "wrong"), (1, 1, 1)),
        (Identity.username("unknown", "open barley"), (1, 1, 1)),
        (Identity.jwt(b"a.b.c"), (1, 1, 1)),
        (Identity.username("banned", "open sesame"), (2, 1, 1)),
    ],
)
async def test_an_identity_that_is_refused_rejects_the_association(
    identity: Identity, expected: tuple[int, int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AssociationRejected) as caught:
        async with connected(guarded(), contexts=VERIFICATION, identity=identity):
            pass
    assert (caught.value.result, caught.value.source, caught.value.reason) == expected
    assert "identity refused" in caplog.text
    assert identity.name not in caplog.text or not identity.name


async def test_refusing_takes_the_same_time_whatever_is_wrong() -> None:
    """The refusal comes at a multiple of the unit after the proposal, however long looking took."""
    loop = asyncio.get_running_loop()
    for work in (0.0, 0.012):
        app = Application("APP", access=Access(refusal=0.05))

        async def identify(proposal: Proposal, work: float = work) -> None:
            await asyncio.sleep(work)

        app.authenticate(identify)
        started = loop.time()
        with pytest.raises(AssociationRejected):
            async with connected(app, contexts=VERIFICATION, identity=Identity.username("x")):
                pass
        assert 0.05 <= loop.time() - started < 0.1


async def test_a_host_that_keeps_failing_is_not_looked_at_any_more() -> None:
    app, looked = Application("APP", access=Access(refusal=0)), 0

    @app.authenticate
    async def identify(proposal: Proposal) -> None:
        nonlocal looked
        looked += 1

    async def attempt() -> tuple[int, int, int]:
        with pytest.raises(AssociationRejected) as caught:
            async with connected(app, contexts=VERIFICATION, identity=Identity.username("x")):
                pass
        return caught.value.result, caught.value.source, caught.value.reason

    answers = [await attempt() for _ in range(MOST_FAILURES + 2)]
    assert answers == [(1, 1, 1)] * MOST_FAILURES + [(2, 3, 1)] * 2
    assert looked == MOST_FAILURES


async def test_guessing_at_once_is_no_way_to_guess_more_often() -> None:
    """All are looked at, as none has been refused yet; what is found after too many refusals does not count."""
    app, together = Application("APP", access=Access(refusal=0)), asyncio.Barrier(3 * MOST_FAILURES)

    @app.authenticate
    async def identify(proposal: Proposal) -> str | None:
        await together.wait()
        assert proposal.identity is not None
        if proposal.identity.name == "ali":
            await until(lambda: sum(map(len, app.admission.failures.values())) == MOST_FAILURES)
            return "ali"
        return None

    async def attempt(name: str) -> tuple[int, int, int]:
        with pytest.raises(AssociationRejected) as caught:
            async with connected(app, contexts=VERIFICATION, identity=Identity.username(name)):
                pass
        return caught.value.result, caught.value.source, caught.value.reason

    names = ["ali", *(f"guess {number}" for number in range(3 * MOST_FAILURES - 1))]
    answers = await asyncio.gather(*map(attempt, names))
    assert answers[0] == (2, 3, 1)
    assert sorted(answers) == [(1, 1, 1)] * MOST_FAILURES + [(2, 3, 1)] * 2 * MOST_FAILURES


def test_failures_are_forgotten_after_a_while_and_of_too_many_hosts() -> None:
    admission = Admission(lambda uid: None, Access(), 1)
    for moment in range(MOST_FAILURES):
        admission.note_failure("h", float(moment))
    assert admission.is_blocked("h", 60.0)
    assert not admission.is_blocked("h", 61.0)
    for number in range(2_000):
        admission.note_failure(str(number), 0.0)
    assert len(admission.failures) == 1_000


def test_an_address_of_ipv6_is_no_other_host_than_its_neighbours() -> None:
    assert {origin(host) for host in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8::3%eth0")} == {"2001:db8::/64"}
    assert {origin(host) for host in ("10.0.0.1", "::ffff:10.0.0.1")} == {"10.0.0.1"}
    assert origin("") == ""


async def test_a_look_up_that_fails_tells_nobody_which_names_there_are(caplog: pytest.LogCaptureFixture) -> None:
    """Answer, time and count are those of a passcode that is wrong."""
    app, loop = Application("APP", access=Access(refusal=0.05)), asyncio.get_running_loop()

    @app.authenticate
    def identify(proposal: Proposal) -> bool:
        assert proposal.identity is not None
        return {"ali": "open sesame"}[proposal.identity.name] == proposal.identity.passcode

    for name in ("ali", "kasim"):
        started = loop.time()
        with caplog.at_level(logging.ERROR), pytest.raises(AssociationRejected) as caught:
            async with connected(app, contexts=VERIFICATION, identity=Identity.username(name, "wrong")):
                pass
        assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 1)
        assert 0.05 <= loop.time() - started < 0.1
    assert sum(map(len, app.admission.failures.values())) == 2
    assert "looking at an identity failed" in caplog.text


async def test_a_hook_that_takes_too_long_rejects_for_now(caplog: pytest.LogCaptureFixture) -> None:
    app, timeout = Application("APP"), Timeout(5, negotiate=0.05)

    @app.on_associate
    async def look(proposal: Proposal) -> None:
        await asyncio.Event().wait()

    async with serve(app, "127.0.0.1", 0, timeout=timeout) as server:
        with pytest.raises(AssociationRejected) as caught:
            await connect(f"APP@127.0.0.1:{server.port}", contexts=VERIFICATION)
    assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 1, 1)
    assert "took too long" in caplog.text


def fails(information: bytes) -> bytes:
    raise ZeroDivisionError


@pytest.mark.parametrize("respond", [fails, lambda information: bytes(70_000), lambda information: "a text"])
@pytest.mark.parametrize("hooks", [False, True])
async def test_an_answer_that_cannot_be_sent_rejects_for_now(
    respond: Callable[[bytes], bytes], hooks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Application("APP")
    app.extend(sop.Verification, respond)
    if hooks:
        app.on_associate(lambda proposal: None)
    with pytest.raises(AssociationRejected) as caught:
        async with connected(app, contexts=VERIFICATION, extended={sop.Verification: b"anything"}):
            pass
    assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 1, 1)
    assert "an association cannot be accepted" in caplog.text


async def test_a_proposal_that_is_too_long_is_told_at_once() -> None:
    with pytest.raises(LocalProtocolError, match="user identity and extended negotiation are too long"):
        async with connected(Application("APP"), contexts=VERIFICATION, identity=Identity.saml(bytes(65_536))):
            pass


# extended negotiation


def extended_app() -> tuple[Application, list[QueryExtension]]:
    app, seen = Application("APP"), []

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> list[dict[str, str]]:
        seen.append(request.extension)
        return []

    app.extend(STUDY_ROOT, QueryExtension(relational=True, fuzzy=True))
    return app, seen


async def test_handlers_see_what_was_agreed_on_for_queries() -> None:
    app, seen = extended_app()
    uid = str(STUDY_ROOT.find)
    wanted = {uid: QueryExtension(relational=True, combined_datetime=True)}
    async with connected(app, contexts=[uid], extended=wanted) as association:
        await association.find(query("STUDY", PatientID=""))
        assert association.agreement is not None
        assert QueryExtension.decode(association.agreement.extended[uid]) == QueryExtension(relational=True)
    assert seen == [QueryExtension(relational=True)]


async def test_without_a_proposal_nothing_is_agreed_on() -> None:
    app, seen = extended_app()
    async with connected(app, contexts=[str(STUDY_ROOT.find)]) as association:
        await association.find(query("STUDY", PatientID=""))
    assert seen == [QueryExtension()]


async def test_extensions_of_other_sop_classes_are_not_answered() -> None:
    app, _ = extended_app()
    wanted = {str(STUDY_ROOT.find): b"\x01", sop.Verification: b"\x01"}
    async with connected(app, contexts=[*wanted], extended=wanted) as association:
        assert association.agreement is not None
        assert list(association.agreement.extended) == [str(STUDY_ROOT.find)]


async def test_storage_says_what_it_does_with_objects() -> None:
    app = Application("APP")
    app.store(sop.CTImageStorage)(lambda request: None)
    app.extend(sop.CTImageStorage, StorageExtension(level=1))
    wanted = {sop.CTImageStorage: StorageExtension()}
    async with connected(app, contexts=[sop.CTImageStorage], extended=wanted) as association:
        assert association.agreement is not None
        answer = StorageExtension.decode(association.agreement.extended[sop.CTImageStorage])
    assert answer == StorageExtension(level=1)


async def test_a_special_case_of_a_supported_sop_class_is_supported() -> None:
    private, stored = "1.2.3.4.5", []
    app = Application("APP")
    app.store(sop.CTImageStorage)(lambda request: stored.append(request.sop_class_uid))
    related = CommonExtendedNegotiation(private, "1.2.840.10008.4.2", (sop.MRImageStorage, sop.CTImageStorage))
    async with connected(app, contexts=[private], common_extended=[related]) as association:
        assert [context.abstract_syntax for context in association.contexts.values()] == [private]
        special = dataset(SOPClassUID=private, SOPInstanceUID="1.2.3", PatientID="4711")
        assert (await association.store(special)).status == 0
    assert stored == [private]
    async with connected(app, contexts=[private, sop.CTImageStorage]) as association:
        assert [context.abstract_syntax for context in association.contexts.values()] == [sop.CTImageStorage]


# roles (PS3.7 D.3.3.4)


@pytest.mark.parametrize(
    "proposed, handlers, expected",
    [
        (Role.SCU, "action", Role.SCU),
        (Role.SCP, "action", None),
        (Role.BOTH, "action", Role.SCU),
        (Role.SCU, "event", Role.SCU),
        (Role.SCP, "event", Role.SCP),
        (Role.BOTH, "event", Role.BOTH),
        (Role.BOTH, "both", Role.BOTH),
    ],
)
async def test_roles_follow_from_handlers(proposed: Role, handlers: str, expected: Role | None) -> None:
    uid = sop.StorageCommitmentPushModel
    app = Application("APP")
    if handlers in ("action", "both"):
        app.n_action(uid)(lambda request: None)
    if handlers in ("event", "both"):
        app.n_event_report(uid)(lambda request: None)
    async with connected(app, contexts=[uid, sop.Verification], roles={uid: proposed}) as association:
        roles = [context.role for context in association.contexts.values() if context.abstract_syntax == uid]
    assert roles == ([expected] if expected is not None else [])


# everywhere the same


async def test_a_client_proposes_what_it_was_told_to() -> None:
    app = guarded()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(app, "127.0.0.1", 0))
        identity = Identity.username("ali", "open sesame", positive_response=True)
        client = Client(f"APP@127.0.0.1:{server.port}", identity=identity, window=(3, 2))
        await stack.enter_async_context(client)
        async with client.reserve([PresentationContext(sop.Verification)]) as association:
            assert association.agreement is not None
            assert association.agreement.window_invoked == 3
            assert association.agreement.window_performed == 2
            assert association.agreement.identity_response == b"welcome"


# proposals that come again


class Seasonal(Application):
    """Supports what it supports only in season."""

    in_season = False

    def supported(self, abstract_syntax: str) -> Supported | None:
        return super().supported(abstract_syntax) if self.in_season else None


async def accepted_by(server: Server, contexts: Sequence[str] = VERIFICATION) -> list[str]:
    """The SOP classes that a server accepts, the same proposal from the same address each time."""
    async with connect(f"APP@127.0.0.1:{server.port}", contexts=contexts) as association:
        return [context.abstract_syntax for context in association.contexts.values()]


async def test_a_proposal_that_comes_again_has_the_same_answer() -> None:
    app = Application("APP")
    async with serve(app, "127.0.0.1", 0) as server:
        assert [await accepted_by(server) for _ in range(3)] == [VERIFICATION] * 3
        assert len(app.admission.answers.kept) == 1


async def test_a_handler_that_is_registered_later_counts_for_proposals_seen_before() -> None:
    app = Application("APP")
    contexts = [sop.Verification, sop.CTImageStorage]
    async with serve(app, "127.0.0.1", 0) as server:
        assert await accepted_by(server, contexts) == [sop.Verification]

        @app.store(sop.CTImageStorage)
        async def store(request: StoreRequest) -> None:
            await request.read()

        assert await accepted_by(server, contexts) == contexts


async def test_what_a_hook_refuses_is_refused_each_time_it_does() -> None:
    app = Application("APP")
    refusing = [False, True, False]

    async with serve(app, "127.0.0.1", 0) as server:
        assert await accepted_by(server) == VERIFICATION

        @app.on_associate
        async def look(proposal: Proposal) -> None:
            if refusing.pop(0):
                proposal.refuse(1)

        assert [await accepted_by(server) for _ in range(3)] == [VERIFICATION, [], VERIFICATION]


async def test_what_is_supported_at_times_is_asked_for_each_time() -> None:
    app = Seasonal("APP")
    async with serve(app, "127.0.0.1", 0) as server:
        assert await accepted_by(server) == []
        app.in_season = True
        assert await accepted_by(server) == VERIFICATION


async def test_different_limits_are_announced_for_the_same_proposal() -> None:
    app = Application("APP")
    announced = []
    for max_pdu in (16_384, 65_536):
        async with (
            serve(app, "127.0.0.1", 0, limits=Limits(max_pdu=max_pdu)) as server,
            connect(f"APP@127.0.0.1:{server.port}", contexts=VERIFICATION) as association,
        ):
            assert association.agreement is not None
            announced.append(association.agreement.send_maximum)
    assert announced == [16_384, 65_536]


async def test_of_long_proposals_and_of_secrets_nothing_is_kept() -> None:
    app, guard = Application("APP"), guarded()
    many = [PresentationContext(f"1.2.3.{number}", (f"1.2.{'9' * 55}",)) for number in range(60)]
    identity = Identity.username("ali", "open sesame", positive_response=True)
    async with serve(app, "127.0.0.1", 0) as server, serve(guard, "127.0.0.1", 0) as other:
        async with connect(f"APP@127.0.0.1:{server.port}", contexts=many):
            pass
        async with connect(f"APP@127.0.0.1:{other.port}", contexts=VERIFICATION, identity=identity):
            pass
        assert not app.admission.answers.kept
        assert not guard.admission.answers.kept
        assert await accepted_by(server) == VERIFICATION
        assert app.admission.answers.kept
