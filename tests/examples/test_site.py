"""The pages of the site: all of them are in its navigation, lead somewhere, and say everything there is to say."""

import builtins
import inspect
import posixpath
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import dicomio
import dicomio.archive
import dicomio.captures
import dicomio.matching
import dicomio.testing
import dicomio.workflows
from dicomio import errors, status
from dicomio.errors import DicomError
from dicomio.status import MEANINGS, SERVICE_MEANINGS, Status
from tests.examples.programs import PAGES, ROOT

CONFIGURATION = (ROOT / "mkdocs.yml").read_text()
NAVIGATION = re.findall(r": (\S+\.md)$", CONFIGURATION, re.MULTILINE)
DOCS = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("**/*.md"))
# docs/.site/hooks.py makes these of files elsewhere.
ELSEWHERE = ["benchmarks.md", "changelog.md", "examples.md", "index.md"]
API = sorted((ROOT / "docs" / "api").glob("*.md"))
DIRECTIVE = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
DIRECTIVES = [found for page in API for found in DIRECTIVE.findall(page.read_text())]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
# Functions of the SRV facility, and the conditions it returned: dicom_services.h of CTN 3.2.
SRV_FUNCTIONS = """
    AcceptSOPClass AcceptServiceClass AcceptServiceClassWithOneXferSyntax CEchoRequest CEchoResponse
    CFindRequest CFindResponse CGetRequest CGetResponse CMoveRequest CMoveResponse CStoreRequest CStoreResponse
    Debug Message MessageIDIn MessageIDOut NActionRequest NActionResponse NCreateRequest NCreateResponse
    NDeleteRequest NDeleteResponse NEventReportRequest NEventReportResponse NGetRequest NGetResponse NSetRequest
    NSetResponse ProposeSOPClassWithXfer ReceiveCommand ReceiveDataSet RegisterSOPClass RegisterSOPClassXfer
    RejectServiceClass RequestServiceClass SendCommand SendDataSet SimulateError TestForCancel
"""
SRV_CONDITIONS = """
    CALLBACKABORTEDSERVICE EMPTYCOMMANDQUEUE FILECREATEFAILED ILLEGALASSOCIATION ILLEGALPARAMETER
    ILLEGALQUERYLEVELATTRIBUTE LISTCREATEFAILURE LISTFAILURE MALLOCFAILURE NOAVAILABLECOMMAND NOCALLBACK NORMAL
    NOSERVICEINASSOCIATION NOTRANSFERSYNTAX OBJECTACCESSFAILED OBJECTBUILDFAILED OBJECTTOOLARGE
    OPERATIONCANCELLED PARSEFAILED PDVRECEIVEDOUTOFSEQUENCE PEERABORTEDASSOCIATION PEERREQUESTEDRELEASE
    PRESENTATIONCONTEXTERROR PRESENTATIONCTXREJECTED QUERYLEVELATTRIBUTEMISSING READPDVFAILED READTIMEOUT
    RECEIVEDATASETFAILED RECEIVEFAILED REQUESTFAILED RESPONSEFAILED SENDFAILED SUSPICIOUSRESPONSE SYSTEMERROR
    UNEXPECTEDCOMMAND UNEXPECTEDPDVTYPE UNEXPECTEDPRESENTATIONCONTEXTID UNSUPPORTEDCOMMAND UNSUPPORTEDSERVICE
    UNSUPPORTEDTRANSFERSYNTAX
"""
L_DICOM_FUNCTIONS = """
    StartUp ShutDown CreateNet FreeNet SetCallback Listen Connect Accept Close SendAssociateRequest
    SendAssociateAccept SendAssociateReject SendData SendReleaseRequest SendReleaseResponse SendAbort
    SendCEchoRequest SendCStoreRequest SendCFindRequest SendCMoveRequest SendCGetRequest SendCCancelRequest
    SendNReportRequest SendNGetRequest SendNSetRequest SendNActionRequest SendNCreateRequest SendNDeleteRequest
    SetSocketOptions GetSocketOptions IsActivated IsAssociated IsConnected GetQueueSend GetServer GetClient
    GetClientCount GetHostInfo GetPeerInfo GetAssociate
"""
L_DICOM_CALLBACKS = """
    ACCEPT CONNECT CLOSE RECEIVEASSOCIATEREQUEST RECEIVEASSOCIATEACCEPT RECEIVEASSOCIATEREJECT RECEIVEDATA
    RECEIVERELEASEREQUEST RECEIVERELEASERESPONSE RECEIVEABORT RECEIVEUNKNOWN PRIVATEKEYPASSWORD SEND RECEIVE
"""
STATUSES = {int(value): name for name, value in vars(Status).items() if isinstance(value, Status)}


def object_at(path: str) -> Any:
    """What a dotted path leads to."""
    found: Any = dicomio
    for name in path.split(".")[1:]:
        found = getattr(found, name)
    return found


def listed(options: str) -> list[str]:
    """The members that a directive asks for."""
    below = re.findall(r"^ +- (\w+)$", options, re.MULTILINE)
    return below + re.findall(r"\w+", " ".join(re.findall(r"members: \[(.*)\]", options)))


def documented() -> Iterator[Any]:
    """Everything that the pages in docs/api show: of modules what the directive asks for, or all that they export."""
    for path, options in DIRECTIVES:
        found = object_at(path)
        if isinstance(found, ModuleType):
            yield from (getattr(found, name) for name in listed(options) or found.__all__)
        else:
            yield found


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(NAVIGATION) == sorted([*DOCS, *ELSEWHERE])


@pytest.mark.parametrize("page", [*PAGES, *(path.relative_to(ROOT).as_posix() for path in API)])
def test_links_lead_to_files(page: str) -> None:
    for link, _ in LINK.findall((ROOT / page).read_text()):
        assert link == "" or (ROOT / posixpath.dirname(page) / link).exists(), link


def test_what_is_exported_is_in_the_reference() -> None:
    shown = list(documented())
    missing = [name for name in dicomio.__all__ if not any(getattr(dicomio, name) is each for each in shown)]
    # Constants are described where they are used: query models in docs/queries.md.
    assert missing == ["PATIENT_ROOT", "QUERY", "STUDY_ROOT", "WORKLIST", "__version__"]


@pytest.mark.parametrize("path, options", [each for each in DIRECTIVES if "members:" in each[1]])
def test_members_that_are_listed_exist(path: str, options: str) -> None:
    found = object_at(path)
    assert [name for name in listed(options) if inspect.getattr_static(found, name, None) is None] == []


def every_error(root: type[DicomError] = DicomError) -> Iterator[str]:
    """The names of all exceptions of the public modules, which have been imported above."""
    yield root.__name__
    for kind in root.__subclasses__():
        if kind.__module__.startswith("dicomio."):
            yield from every_error(kind)


def test_every_error_has_its_section() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    exceptions = set(every_error())
    assert exceptions >= {name for name in errors.__all__ if issubclass(getattr(errors, name), Exception)}
    sections = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    roots = set(re.findall(r"`(\w+)`", page.partition("## The roots")[2]))
    assert sections | roots == exceptions
    drawn = set(re.findall(r"^[├└│─ ]*(\w+)", page.split("```\n")[3], re.MULTILINE))
    assert drawn == exceptions


def test_every_reason_has_its_line() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    for source, reason in errors.REJECT_REASONS:
        words = errors.REJECT_REASONS[source, reason]
        assert re.search(rf"^\| .*\| {reason} \| {re.escape(words)} \|", page, re.MULTILINE), words
    for reason in errors.ABORT_REASONS:
        assert f"| {reason} | `{errors.AbortReason(reason).name}` |" in page


def rows(code: int, words: str) -> str:
    """The line of a table in docs/status.md."""
    return f"| 0x{code:04X} | `{STATUSES[code]}` | {Status(code).category} | {words} |"


def test_every_status_has_its_line() -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    general, *services = re.split(r"^`\"(.+)\"` .*$", page, flags=re.MULTILINE)
    tables = dict(zip(services[::2], services[1::2], strict=True))
    assert [rows(*each) for each in MEANINGS.items() if rows(*each) not in general] == []
    assert list(tables) == list(SERVICE_MEANINGS)
    for service, meanings in SERVICE_MEANINGS.items():
        lines = re.findall(r"^\| 0x.*$", tables[service], re.MULTILINE)
        assert lines == [rows(*each) for each in meanings.items()]


def test_statuses_that_are_named_in_pages_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"\bStatus\.([A-Z_]+)\b", (ROOT / page).read_text()):
            assert hasattr(status.Status, name), (page, name)


def test_every_function_of_the_central_test_node_has_its_counterpart() -> None:
    page = (ROOT / "docs" / "coming-from" / "ctn.md").read_text()
    assert [name for name in SRV_FUNCTIONS.split() if not re.search(rf"\bSRV_{name}\b", page)] == []


def test_every_condition_of_the_central_test_node_has_its_line() -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    lines = re.findall(r"^\| `SRV_(\w+)` \| .*\|$", page, re.MULTILINE)
    assert sorted(lines) == SRV_CONDITIONS.split()


def test_every_function_and_callback_of_leadtools_has_its_counterpart() -> None:
    page = (ROOT / "docs" / "coming-from" / "leadtools.md").read_text()
    names = [
        *(f"L_Dicom{name}" for name in L_DICOM_FUNCTIONS.split()),
        *(f"{name}CALLBACK" for name in L_DICOM_CALLBACKS.split()),
    ]
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize(
    "page", ["docs/errors.md", "docs/status.md", *(each for each in PAGES if "coming-from" in each)]
)
def test_errors_that_are_named_in_pages_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(
        re.findall(r"`((?:[A-Z][a-z]+)*(?:Error|Timeout|Failed|Lost|Aborted|Rejected|Released|Context))`", text)
    )
    known = {*every_error(), *errors.__all__, *dicomio.__all__, *vars(builtins), "CancelledError"}
    assert named - known == set()
