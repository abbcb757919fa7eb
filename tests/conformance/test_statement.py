"""`app.conformance_statement()`: what an application is, and nothing that it is not."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    WORKLIST,
    Access,
    Address,
    Application,
    CommitmentProvider,
    FindRequest,
    Limits,
    Peer,
    PresentationContext,
    PrintProvider,
    QueryExtension,
    Request,
    RetrieveRequest,
    Status,
    StorageCommitment,
    StorageExtension,
    StoreRequest,
    Timeout,
    UPSProvider,
    serve,
    sop,
    tls,
)
from dicomio.archive import Archive
from dicomio.implementation import IMPLEMENTATION_VERSION_NAME
from dicomio.negotiation import Supported

from .reading import chapter, columns, headings, tables

GOLDEN = Path(__file__).with_name("golden.md")
VERSION = "DICOMIO X.Y.Z"

ACCEPTED = "Accepted Presentation Contexts"


async def handle(request: Request) -> None:
    """A handler that no test calls."""


def hospital() -> Application:
    """An application as they are: some of everything."""
    app = Application(
        "ARCHIVE",
        destinations={
            "WORKSTATION": "WORKSTATION@10.1.0.7:104",
            "PRINTER": Peer(Address("PRINTER", "10.1.0.8", 11112)),
        },
        access=Access(called=["ARCHIVE"], calling=["CT*", "MR?"], networks=["10.0.0.0/8"]),
        window=8,
    )
    syntaxes = [sop.JPEG2000Lossless, sop.ExplicitVRLittleEndian, "1.2.826.0.1.3680043.99.1"]
    app.store(sop.CTImageStorage, sop.MRImageStorage, transfer_syntaxes=syntaxes)(handle)
    app.store("1.2.826.0.1.3680043.99.2")(handle)
    app.find(STUDY_ROOT, WORKLIST)(handle)
    app.move(STUDY_ROOT)(handle)
    app.extend(STUDY_ROOT, QueryExtension(relational=True, combined_datetime=True))
    app.extend(sop.CTImageStorage, StorageExtension(level=2, coercion=1))
    app.extend(WORKLIST, bytes)
    app.map_exception(OSError, Status.OUT_OF_RESOURCES)
    CommitmentProvider(app, handle)  # type: ignore[arg-type]  # never called
    app.authenticate(handle)
    return app


def described(app: Application) -> str:
    """The statement without the version of the day."""
    server = serve(
        app,
        "10.1.0.5",
        11112,
        proxies=["10.1.0.2"],
        timeout=Timeout(20, idle=None),
        limits=Limits(associations=100, associations_per_peer=10),
    )
    proposes: list[str | PresentationContext] = [
        PresentationContext(sop.StorageCommitmentPushModel, scu=False, scp=True),
        sop.Verification,
    ]
    text = app.conformance_statement(server, workers=2, proposes=proposes)
    return text.replace(IMPLEMENTATION_VERSION_NAME, VERSION)


def test_golden_file() -> None:
    """To make it anew: `python -m tests.conformance.test_statement`."""
    assert described(hospital()) == GOLDEN.read_text()


def accepted_by(app: Application) -> dict[str, tuple[str, str]]:
    """Transfer syntaxes and role by SOP class UID, as the statement has them."""
    text = app.conformance_statement()
    lists = {
        f"{len(rows) - 1} SOP Classes": [row[1] for row in rows[1:]]
        for rows in tables(text)
        if rows[0] == ["SOP class", "UID"]
    }
    found: dict[str, tuple[str, str]] = {}
    for name, uid, syntaxes, role in columns(
        chapter(text, ACCEPTED), "Abstract syntax", "UID", "UIDs", "Role of the AE"
    ):
        members = lists[name.partition(",")[0]] if uid == "see there" else [uid]
        found.update(dict.fromkeys(members, (syntaxes, role)))
    return found


ROLES = {1: "SCU", 2: "SCP", 3: "SCU and SCP"}
STORAGE = st.lists(st.sampled_from([*sop.STORAGE, "1.2.3.4", "1.2.3.5"]), unique=True, max_size=30)
MODELS = st.lists(st.sampled_from([PATIENT_ROOT, STUDY_ROOT, WORKLIST]), unique=True)
NORMALIZED = st.lists(
    st.sampled_from([uid for uid in sop.SOP_CLASSES if uid not in sop.STORAGE and uid != sop.Verification]),
    unique=True,
    max_size=5,
)


def registered(stored: list[str], models: list[Any], normalized: list[str], gets: bool) -> Application:
    """An application with handlers for these SOP classes."""
    app = Application("ANY")
    if stored:
        app.store(*stored)(handle)
    if models:
        app.find(*models)(handle)
    if gets:
        app.get(STUDY_ROOT)(handle)
    for decorate in (app.n_create, app.n_get, app.n_event_report):
        if normalized:
            decorate(*normalized)(handle)
    return app


@given(STORAGE, MODELS, NORMALIZED, st.booleans())
def test_everything_that_is_accepted_is_in_it_and_nothing_else(
    stored: list[str], models: list[Any], normalized: list[str], gets: bool
) -> None:
    app = registered(stored, models, normalized, gets)
    found = accepted_by(app)
    assert {*stored, *(model.find for model in models), *normalized, sop.Verification} <= set(found)
    for uid in {*sop.NAMES, "1.2.3.4", "1.2.3.5"}:
        wanted: Supported | None = app.supported(uid)
        if uid in found:
            assert wanted is not None
            syntaxes = "any" if wanted.transfer_syntaxes is None else "<br>".join(wanted.transfer_syntaxes)
            assert found[uid] == (syntaxes, ROLES[wanted.role.value])
        else:
            # What nobody has named is in the line for any other SOP class.
            assert wanted is None or ("any" in found and uid not in sop.NAMES)


@given(STORAGE, MODELS, NORMALIZED, st.booleans())
def test_tables_and_numbers_hold_together(
    stored: list[str], models: list[Any], normalized: list[str], gets: bool
) -> None:
    check_form(registered(stored, models, normalized, gets).conformance_statement())


def check_form(text: str) -> None:
    """Whether each row has as many cells as its table, and headings are numbered one after the other."""
    assert len(list(tables(text))) > 5
    before: list[int] = []
    for level, number, _ in headings(text)[1:]:
        *parents, last = (int(part) for part in number.split("."))
        siblings = [*before, 0][: len(parents) + 1]
        assert [*parents, last] == [*siblings[:-1], siblings[-1] + 1]
        assert level == min(len(parents) + 2, 6)
        before = [*parents, last]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=16))
def test_ae_titles_with_characters_of_markdown(ae_title: str) -> None:
    if not ae_title.strip():
        return
    app = Application("ME", destinations={ae_title: f"{ae_title}@localhost:104"}, access=Access(calling=[ae_title]))
    text = app.conformance_statement()
    check_form(text)
    ((title, address),) = columns(text, "Remote AE title", "Address")
    assert (title, address) == (ae_title.strip(), f"{ae_title}@localhost:104".strip())


@pytest.mark.parametrize("register", [CommitmentProvider, PrintProvider])
def test_providers(register: Callable[..., Any]) -> None:
    app = Application("PROVIDER")
    register(app, handle)
    check_form(app.conformance_statement())


def test_commitment_of_who_asks_and_of_who_answers() -> None:
    asks, answers = Application("ASKS"), Application("ANSWERS")
    StorageCommitment(asks)
    CommitmentProvider(answers, handle)  # type: ignore[arg-type]  # never called
    name = "Storage Commitment Push Model SOP Class"
    assert (name, "Yes", "No") in columns(asks.conformance_statement(), "SOP class", "SCU", "SCP")
    text = answers.conformance_statement()
    assert (name, "No", "Yes") in columns(text, "SOP class", "SCU", "SCP")
    assert "Events may be reported" in text
    assert "Events may be reported" not in asks.conformance_statement()


def test_unified_procedure_steps() -> None:
    """Requests on one of the five SOP classes may come on contexts of others (PS3.4 CC.3.1.2)."""
    app = Application("UPS")
    UPSProvider(app)
    text = app.conformance_statement()
    found = {uid for _, uid in columns(text, "SOP class", "UID")}
    assert {sop.UnifiedProcedureStepPush, sop.UnifiedProcedureStepPull, sop.UnifiedProcedureStepWatch} <= found
    performed = next(line for line in text.splitlines() if line.startswith("- Unified Procedure Step"))
    assert performed.endswith(
        "performs N-GET, N-SET, N-ACTION, N-CREATE, C-FIND, may report events with N-EVENT-REPORT."
    )
    rows = columns(chapter(text, "SOP Classes"), "UID", "SCU", "SCP")
    assert (sop.UnifiedProcedureStepEvent, "No", "Yes") in rows
    assert "0xC310 The UPS is not yet in the IN PROGRESS state" in text


def test_archive(tmp_path: Path) -> None:
    app = Archive(tmp_path, ae_title="PACS", worklist=tmp_path).app
    text = app.conformance_statement()
    check_form(text)
    rows = {row[0]: row[1] for row in columns(chapter(text, "SOP Classes"), "SOP class", "SCU")}
    assert rows["Any other SOP Class, private ones included"] == "Yes"
    assert rows["Modality Worklist Information Model - FIND"] == "No"
    assert f"{len(set(sop.STORAGE) - NON_PATIENT)} SOP Classes, list 1 of the annex" in rows
    lists = chapter(text, "List 1: Storage Service Class (PS3.4 B)")
    assert {uid for (uid,) in columns(lists, "UID")} >= set(sop.STORAGE) - NON_PATIENT
    assert "C-GET" in chapter(text, "Functional Definition of the Application Entity")


# PS3.4 GG: a service class of their own
NON_PATIENT = {uid for uid, known in sop.SOP_CLASSES.items() if known.service_class.annex == "GG"}


def test_echo_only() -> None:
    text = Application("ECHO").conformance_statement()
    assert columns(text, "SOP class", "SCU", "SCP") == [("Verification SOP Class", "No", "Yes")]
    assert columns(text, "Status", "When") == [("0x0000", "Always: no handler is registered for it.")]
    assert "The application is not known to open associations." in text
    assert "No remote AE titles are known." in text
    assert "not served when this statement was written" in text


def test_echo_with_a_handler() -> None:
    app = Application("ECHO")
    app.echo()(handle)
    app.map_exception(KeyError, 0xC123)
    rows = columns(app.conformance_statement(), "Status", "Meaning", "When")
    assert ("0xC123", "Cannot understand, or unable to process") == rows[-1][:2]
    assert "KeyError" in rows[-1][2]
    assert ("0x0110", "Processing failure") in [row[:2] for row in rows]


def test_statuses_of_each_operation() -> None:
    text = hospital().conformance_statement()
    query = chapter(text, "SOP Specific Conformance: Query/Retrieve Service Class (PS3.4 C)")
    finds, moves = tables(query)
    assert {row[0] for row in finds[1:]} >= {"0x0000", "0xFF00", "0xFF01", "0xFE00", "0xA900", "0xC000", "0xA700"}
    assert {row[0] for row in moves[1:]} >= {"0x0000", "0xFF00", "0xFE00", "0xB000", "0xA702", "0xA801"}
    assert "0xA801" not in {row[0] for row in finds[1:]}
    storage = chapter(text, "SOP Specific Conformance: Storage Service Class (PS3.4 B)")
    assert ("0xA700", "Out of resources") in columns(storage, "Status", "Meaning")
    assert "0xB006 Elements discarded" in storage


def test_functions_that_decide() -> None:
    app = Application("OWN", destinations=lambda ae_title: find_nothing(ae_title))
    app.unknown(handle)
    app.middleware(handle)
    app.on_associate(handle)
    text = app.conformance_statement()
    assert "A function of the application finds the addresses" in text
    assert "answered by a function of the application; how is not known" in text
    assert "Functions of the application see every request" in text
    assert "A function of the application decides on each association" in text
    assert ("any", "any") in columns(text, "Result", "Reason")


async def find_nothing(ae_title: str) -> Address:
    raise LookupError(ae_title)


# ---- what serves it ----


def served(**options: Any) -> str:
    """The statement of an application with a server that does not run."""
    app = Application("SERVED")
    return app.conformance_statement(serve(app, **options))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate and its key."""
    import trustme

    path = tmp_path_factory.mktemp("tls") / "server.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.mark.parametrize("profile", list(tls.Profile))
def test_tls_profiles(profile: tls.Profile, certificate: Path) -> None:
    text = served(ssl=tls.server_context(certificate, profile=profile))
    assert f"secured by TLS with the {profile.value} profile (PS3.15 Annex B)" in text
    assert "Protocol versions: TLS 1.2 or higher." in text
    assert "Peers are not asked for a certificate." in text


def test_tls_with_mutual_authentication(certificate: Path) -> None:
    assert "Peers need a certificate" in served(ssl=tls.server_context(certificate, ca=certificate))
    optional = tls.server_context(certificate, ca=certificate, required=False)
    assert "Peers may have a certificate" in served(ssl=optional)


def test_tls_that_is_no_profile(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert "of no profile of PS3.15 Annex B" in served(ssl=context)
    older = tls.server_context(certificate)
    older.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    text = served(ssl=older)
    assert "of no profile of PS3.15 Annex B" in text
    assert "the lowest that the TLS library has or higher" in text
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    assert "Revocation lists are looked at." in served(ssl=context)


def test_tls_that_changes(certificate: Path) -> None:
    reloading = tls.Reloading(lambda: tls.server_context(certificate), [certificate])
    text = served(ssl=reloading)
    assert "read again when their files change" in text
    assert "non-downgrading BCP 195" in text
    assert "they are not known" in served(ssl=lambda: reloading.context)


def test_limits_and_deadlines() -> None:
    text = served(
        timeout=Timeout(artim=5, response=None, idle=None),
        limits=Limits(associations=7, associations_per_peer=2, max_pdu=0),
    )
    deadlines = {row[0]: row[1] for row in columns(text, "Deadline", "Value")}
    assert deadlines["An association on which nothing happens"] == "none"
    assert next(value for meaning, value in deadlines.items() if meaning.startswith("ARTIM")) == "5 s"
    assert ("Longest P-DATA-TF PDU that peers are asked for", "not limited") in columns(text, "Limit", "Value")
    assert ("Maximum number of simultaneous associations", "7") in columns(text, "What", "Number")
    assert "asked for is any length (0)" in text


def test_network() -> None:
    assert "It listens on port 104 of every address." in served(port=104)
    assert "It listens on port 104 of 10.0.0.1, ::1." in served(host=["10.0.0.1", "::1"], port=104)
    assert "It listens on the Unix socket /run/dicom." in served(path="/run/dicom")
    assert "Deviations of peers from the protocol are not tolerated." in served(strict=True)


async def test_running_server() -> None:
    app = Application("RUNNING")
    async with serve(app, "127.0.0.1", 0) as server:
        text = app.conformance_statement(server)
        assert f"It listens on RUNNING@127.0.0.1:{server.port}." in text


def test_strict_server_refuses_other_sop_classes() -> None:
    app = Application("STRICT")
    app.store()(handle)
    text = app.conformance_statement(serve(app, strict=True))
    assert ("0x0122", "SOP class not supported") in columns(
        chapter(text, "SOP Specific Conformance: Storage Service Class (PS3.4 B)"), "Status", "Meaning"
    )


def test_proposals_of_the_application() -> None:
    app = Application("BOTH")
    text = app.conformance_statement(proposes=[sop.CTImageStorage])
    row = ("of the application", sop.CTImageStorage, "1.2.840.10008.1.2.1<br>1.2.840.10008.1.2", "SCU")
    assert row in columns(text, "Activity", "UID", "UIDs", "Role of the AE")
    with pytest.raises(ValueError, match="is not a UID"):
        app.conformance_statement(proposes=["CTImageStorage"])


# ---- handlers of the right types ----


def test_handlers_that_are_generators() -> None:
    app = Application("TYPED")

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[dict[str, str]]:
        yield {}

    @app.get(STUDY_ROOT)
    async def get(request: RetrieveRequest) -> list[Path]:
        return []

    @app.store("*")
    async def store(request: StoreRequest) -> None: ...

    check_form(app.conformance_statement())


if __name__ == "__main__":
    GOLDEN.write_text(described(hospital()))
