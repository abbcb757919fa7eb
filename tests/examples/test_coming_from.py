"""The pages for those who come from DCMTK and from pynetdicom: complete, and true of what they come from."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from pynetdicom import AE, _config, evt, pdu_primitives
from pynetdicom.association import Association

import dicomio
from dicomio import Application, FindRequest, PresentationContext, dataset, sop
from dicomio.cli.configs import load_profile
from dicomio.cli.options import options_of
from dicomio.cli.options.tools import REFUSED
from tests.examples.programs import ROOT, all_blocks, blocks
from tests.interop.pynetdicom_steady import mend

mend()

PYNETDICOM = "docs/coming-from/pynetdicom.md"
DCMTK = "docs/coming-from/dcmtk.md"
# What is imported into the module of settings without being one.
NOT_SETTINGS = {"Any", "Callable", "validate_ae", "validate_ui"}
# Of dcmnet 3.6.7: what dul.h, assoc.h and dimse.h declare, without what prints to a stream.
FUNCTIONS = {
    "DUL_": """
        InitializeNetwork DropNetwork RequestAssociation ReceiveAssociationRQ AcknowledgeAssociationRQ
        RejectAssociationRQ ReleaseAssociation AcknowledgeRelease AbortAssociation DropAssociation
        CloseTransportConnection ReadPDVs WritePDVs NextPDV AssociationParameter MakePresentationCtx DumpParams
        DumpConnectionParameters ClearServiceParameters dataWaiting networkSocket associationWaiting
        activateAssociatePDUStorage returnAssociatePDUStorage getTransportConnection setTransportLayer
        activateCompatibilityMode activateCallback getPeerCertificateLength getPeerCertificate processIsForkedChild
        markProcessAsForkedChild readSocketHandleAsForkedChild requestForkOnTransportConnectionReceipt
    """,
    "ASC_": """
        initializeNetwork dropNetwork createAssociationParameters destroyAssociationParameters setTransportLayerType
        setAPTitles getAPTitles getApplicationContextName setPresentationAddresses getPresentationAddresses
        getRejectParameters printRejectParameters addPresentationContext countPresentationContexts
        countAcceptedPresentationContexts getPresentationContext acceptPresentationContext
        acceptContextsWithPreferredTransferSyntaxes acceptContextsWithTransferSyntax refusePresentationContext
        findAcceptedPresentationContext findAcceptedPresentationContextID getRequestedExtNegList
        setRequestedExtNegList getAcceptedExtNegList setAcceptedExtNegList getUserIdentRQ getUserIdentAC
        setIdentRQUserPassword setIdentRQUserOnly setIdentRQKerberos setIdentRQSaml setIdentRQJwt setIdentAC
        getCopyOfIdentResponse getPeerCertificateLength getPeerCertificate setTransportLayer dumpParameters
        dumpConnectionParameters activateCallback associationWaiting dataWaiting selectReadableAssociation
        requestAssociation receiveAssociation acknowledgeAssociation rejectAssociation releaseAssociation
        acknowledgeRelease abortAssociation dropSCPAssociation dropAssociation closeTransportConnection
        destroyAssociation
    """,
    "DIMSE_": """
        echoUser sendEchoResponse storeUser storeProvider sendStoreResponse findUser findProvider sendFindResponse
        moveUser moveProvider sendMoveResponse getUser getProvider sendGetResponse sendCancelRequest checkForCancelRQ
        sendMessageUsingFileData sendMessageUsingMemoryData receiveCommand receiveDataSetInMemory
        receiveDataSetInFile createFilestream ignoreDataSet dumpMessage StoreUserCallback FindUserCallback
        MoveUserCallback SubOpProviderCallback
    """,
}
# Methods that are virtual, or there to be called, of scu.h, scp.h, scppool.h, dstorscu.h, dstorscp.h and tlslayer.h;
# of pairs of a setter and a getter the setter.
METHODS = {
    "DcmSCU": """
        addPresentationContext clearPresentationContexts initNetwork freeNetwork negotiateAssociation
        findPresentationContextID findAnyPresentationContextID findPresentationContext sendECHORequest
        sendSTORERequest sendMOVERequest handleMOVEResponse sendCGETRequest handleCGETSession handleCGETResponse
        handleSTORERequest handleSTORERequestFile sendFINDRequest handleFINDResponse sendCANCELRequest
        sendACTIONRequest sendEVENTREPORTRequest handleEVENTREPORTRequest sendNCREATERequest sendNSETRequest
        closeAssociation releaseAssociation abortAssociation setMaxReceivePDULength setDIMSEBlockingMode setAETitle
        setPeerHostName setPeerAETitle setPeerPort setDIMSETimeout setACSETimeout setConnectionTimeout
        setAssocConfigFileAndProfile setStorageDir setStorageMode setVerbosePCMode setDatasetConversionMode
        setProgressNotificationMode isConnected getTLSEnabled notifyInstanceStored notifySENDProgress
        notifyRECEIVEProgress checkEVENTREPORTRequest createStorageFilename ignoreSTORERequest
    """,
    "DcmSCP": """
        listen addPresentationContext setPort setAETitle setRespondWithCalledAETitle loadAssociationCfgFile
        setAndCheckAssociationProfile forceAssociationRefuse setMaxReceivePDULength setConnectionBlockingMode
        setDIMSEBlockingMode setDIMSETimeout setACSETimeout setConnectionTimeout setHostLookupEnabled isConnected
        numAssociations getCalledAETitle getPeerAETitle getPeerIP getPeerMaxPDULength handleIncomingCommand
        notifyAssociationRequest checkCalledAETitleAccepted checkCallingAETitleAccepted checkCallingHostAccepted
        notifyAssociationAcknowledge notifyReleaseRequest notifyAbortRequest notifyAssociationTermination
        notifyDIMSEError stopAfterCurrentAssociation sendACTIONResponse sendFINDResponse checkForCANCEL
        sendSTOREResponse sendMOVEResponse handleECHORequest handleEVENTREPORTRequest handleACTIONRequest
        handleSTORERequest handleFINDRequest handleMOVERequest sendEVENTREPORTRequest checkEVENTREPORTRequest
        refuseAssociation sendDIMSEMessage receiveDIMSECommand receiveDIMSEDataset addStatusDetail
    """,
    "DcmSCPPool": "setMaxThreads getMaxThreads numThreads stopAfterCurrentAssociations createSCPWorker",
    "DcmStorageSCU": """
        getAssociationCounter getNumberOfSOPInstances getNumberOfSOPInstancesToBeSent setDecompressionMode
        setHaltOnInvalidFileMode setHaltOnUnsuccessfulStoreMode setAllowIllegalProposalMode setReadFromDICOMDIRMode
        resetSentStatus removeAllSOPInstances removeSOPInstance addDicomFile addDataset addPresentationContexts
        negotiateAssociation sendSOPInstances getStatusSummary createReportFile notifySOPInstanceSent
    """,
    "DcmStorageSCP": """
        setOutputDirectory setDirectoryGenerationMode setFilenameGenerationMode setFilenameExtension
        loadAssociationConfiguration checkAndProcessSTORERequest generateSTORERequestFilename notifyInstanceStored
        generateDirAndFilename
    """,
    "DcmTLSTransportLayer": """
        setPrivateKeyFile setCertificateFile checkPrivateKeyMatchesCertificate addTrustedCertificateFile
        addTrustedCertificateDir addCertificateRevocationList setCRLverification addTrustedClientCertificateFile
        addVerificationFlags verifyClientCertificate isRootCertificate setTLSProfile clearTLSProfile addCipherSuite
        activateCipherSuites setCipherSuites canWriteRandomSeed writeRandomSeed seedPRNG addPRNGseed
        setCertificateVerification setPrivateKeyPasswd setPrivateKeyPasswdFromConsole setBuiltInDHParameters
        setTempDHParameters printSupportedCiphersuites initializeOpenSSL
    """,
}
# cond.h
CONDITIONS = """
    ASC_BADPRESENTATIONCONTEXTID ASC_MISSINGTRANSFERSYNTAX ASC_NULLKEY ASC_SHUTDOWNAPPLICATION
    ASC_USERIDENTIFICATIONFAILED ASC_SCPSCUROLESELECTIONFAILED DIMSE_BADCOMMANDTYPE DIMSE_BADDATA DIMSE_BADMESSAGE
    DIMSE_ILLEGALASSOCIATION DIMSE_NODATAAVAILABLE DIMSE_NOVALIDPRESENTATIONCONTEXTID DIMSE_NULLKEY
    DIMSE_OUTOFRESOURCES DIMSE_PARSEFAILED DIMSE_READPDVFAILED DIMSE_RECEIVEFAILED DIMSE_SENDFAILED
    DIMSE_UNEXPECTEDPDVTYPE DIMSE_NODATADICT DUL_ASSOCIATIONREJECTED DUL_ILLEGALACCEPT DUL_ILLEGALKEY DUL_ILLEGALPDU
    DUL_ILLEGALPDULENGTH DUL_ILLEGALREQUEST DUL_INCORRECTBUFFERLENGTH DUL_INSUFFICIENTBUFFERLENGTH DUL_LISTERROR
    DUL_NETWORKCLOSED DUL_NOASSOCIATIONREQUEST DUL_NOPDVS DUL_NULLKEY DUL_PCTRANSLATIONFAILURE DUL_PDATAPDUARRIVED
    DUL_PEERABORTEDASSOCIATION DUL_PEERREQUESTEDRELEASE DUL_READTIMEOUT DUL_REQUESTASSOCIATIONFAILED
    DUL_UNEXPECTEDPDU DUL_UNSUPPORTEDPEERPROTOCOL DUL_WRONGDATATYPE NET_EC_InvalidSOPClassUID
    NET_EC_UnknownStorageSOPClass NET_EC_InvalidSOPInstanceUID NET_EC_InvalidTransferSyntaxUID
    NET_EC_UnknownTransferSyntax NET_EC_NoPresentationContextsDefined NET_EC_NoAcceptablePresentationContexts
    NET_EC_NoSOPInstancesToSend NET_EC_NoSuchSOPInstance NET_EC_InvalidDatasetPointer NET_EC_AlreadyConnected
    NET_EC_InsufficientPortPrivileges
"""
GLOBALS = """
    TCP_NODELAY TCP_BUFFER_LENGTH dcmConnectionTimeout dcmSocketSendTimeout dcmSocketReceiveTimeout
    dcmDisableGethostbyaddr dcmAssociatePDUSizeLimit dcmMaxOutgoingPDUSize dcmExternalSocketHandle
    dcmTCPWrapperDaemonName dcmEnableBackwardCompatibility g_dimse_send_groupLength_encoding
    g_dimse_send_sequenceType_encoding g_dimse_save_dimse_data
"""
TOOLS = "echoscu storescu storescp dcmsend dcmrecv findscu getscu movescu termscu"


def missing(page: str, names: Iterable[str]) -> list[str]:
    """Names that do not stand in any code span or code block of a page."""
    text = (ROOT / page).read_text()
    spans = " ".join([*re.findall(r"`([^`\n]+)`", text), *(block for _, block in all_blocks(page))])
    return sorted(name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", spans))


def ending_with_2(tool: str) -> set[str]:
    """Options of a classic tool that the page says ours ends with exit code 2 for."""
    (row,) = re.findall(rf"^\| `{tool}` \| (.*) \|$", (ROOT / DCMTK).read_text(), re.MULTILINE)
    return set(re.findall(r"`([-+][^`]+)`", row))


def public(found: object) -> set[str]:
    """The names that are there to be used."""
    return {name for name in dir(found) if not name.startswith("_")}


def test_everything_of_an_application_entity_has_its_counterpart() -> None:
    assert missing(PYNETDICOM, {f"ae.{name}" for name in public(AE)}) == []


def test_everything_of_an_association_has_its_counterpart() -> None:
    association = Association(AE(), "requestor")
    names = public(association) - public(threading.Thread()) | {"is_alive"}
    assert missing(PYNETDICOM, {f"assoc.{name}" for name in names}) == []


def test_every_event_has_its_counterpart() -> None:
    events = {name for name in vars(evt) if name.startswith("EVT_")}
    assert len(events) >= 30
    assert missing(PYNETDICOM, {f"evt.{name}" for name in events}) == []


def test_everything_that_events_have_has_its_counterpart() -> None:
    given = {"assoc", "context", "request", "timestamp"}
    assert missing(PYNETDICOM, {f"event.{name}" for name in public(evt.Event) | given}) == []


def test_every_setting_has_its_counterpart() -> None:
    assert missing(PYNETDICOM, {f"_config.{name}" for name in public(_config) - NOT_SETTINGS}) == []


def test_everything_else_that_is_exported_has_its_counterpart() -> None:
    names = set(pynetdicom.__all__) - {"__version__", "evt"}
    # The identity of pynetdicom itself.
    assert missing(PYNETDICOM, {name for name in names if not name.startswith("PYNETDICOM_")}) == []


def test_every_item_of_negotiation_has_its_counterpart() -> None:
    items = {name for name in public(pdu_primitives) if name.endswith(("Notification", "Negotiation"))}
    assert len(items) == 8
    assert missing(PYNETDICOM, items) == []


def test_every_program_of_pynetdicom_has_its_counterpart() -> None:
    apps = Path(pynetdicom.__file__).parent / "apps"
    programs = {
        path.name for path in apps.iterdir() if (path / "__main__.py").exists() or (path / f"{path.name}.py").exists()
    }
    assert len(programs) >= 8
    assert missing(PYNETDICOM, {f"python -m pynetdicom {name}" for name in programs}) == []


def shut_down(ae: AE) -> None:
    """Ends servers of pynetdicom once their associations have ended, as it stumbles over those that are about to."""
    for thread in threading.enumerate():
        if isinstance(thread, Association):
            thread.join(10)
    ae.shutdown()


async def test_the_client_of_pynetdicom_finds_what_ours_finds(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application("PACS")

    @app.find(dicomio.STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[dict[str, Any]]:
        assert request.identifier.PatientName == "DOE*"
        for description in ("CT THORAX", "MR HEAD"):
            yield {"StudyDescription": description, "StudyInstanceUID": "1.2.3"}

    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        source = blocks(PYNETDICOM, "py")[0].replace('"localhost", 11112', f'"127.0.0.1", {server.port}')
        await asyncio.to_thread(exec, source, {})
    assert capsys.readouterr().out == blocks(PYNETDICOM, "text")[0]


async def test_the_server_of_pynetdicom_stores_what_ours_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = blocks(PYNETDICOM, "py")[1].replace('("127.0.0.1", 11112)', '("127.0.0.1", 0), block=False')
    source = source.replace("ae.start_server", "server = ae.start_server")
    session: dict[str, Any] = {}
    await asyncio.to_thread(exec, source, session)
    image = dataset(SOPClassUID=sop.CTImageStorage, SOPInstanceUID="1.2.3.1", PatientName="DOE^JANE")
    try:
        port = session["server"].server_address[1]
        async with dicomio.Client(f"STORE_SCP@127.0.0.1:{port}") as client:
            await client.store(image)
        with pytest.raises(dicomio.AssociationRejected):
            await dicomio.echo(f"OTHER@127.0.0.1:{port}")
    finally:
        await asyncio.to_thread(shut_down, session["ae"])
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3.1.dcm"]


@pytest.mark.parametrize("prefix", FUNCTIONS)
def test_every_function_of_dcmnet_has_its_counterpart(prefix: str) -> None:
    assert missing(DCMTK, {prefix + name for name in FUNCTIONS[prefix].split()}) == []


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_counterpart_in_the_section_of_its_class(name: str) -> None:
    _, section = re.split(rf"^##+ {name}$", (ROOT / DCMTK).read_text(), flags=re.MULTILINE)
    table = section.partition("\n## ")[0]
    assert [each for each in METHODS[name].split() if not re.search(rf"`{each}`", table)] == []


def test_every_condition_has_its_line() -> None:
    table = (ROOT / DCMTK).read_text().partition("\n## Conditions\n")[2].partition("```")[0]
    named = re.findall(r"`([A-Z_]+[A-Za-z]*)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert set(CONDITIONS.split()) - set(named) == set()
    assert [name for name in named if named.count(name) > 1] == []


def test_every_global_setting_of_dcmnet_has_its_counterpart() -> None:
    assert missing(DCMTK, GLOBALS.split()) == []


def test_the_file_of_a_profile_says_what_that_of_dcmtk_says(tmp_path: Path) -> None:
    file = tmp_path / "association.toml"
    file.write_text(blocks(DCMTK, "toml")[0])
    profile = load_profile(str(file), "default")
    lossless = (sop.JPEG2000Lossless, sop.ExplicitVRLittleEndian)
    assert profile.proposed() == (
        PresentationContext(sop.Verification),
        PresentationContext(sop.CTImageStorage, lossless),
        PresentationContext(sop.MRImageStorage, lossless, scu=True, scp=True),
    )
    assert profile.extended == {sop.CTImageStorage: bytes.fromhex("020001000000")}


@pytest.mark.parametrize("tool", TOOLS.split())
def test_options_that_are_said_to_end_with_2_do(tool: str) -> None:
    works = {spelling for option in options_of(tool) if option.group != REFUSED for spelling in option.spellings}
    assert works & ending_with_2(tool) == set()


@pytest.mark.parametrize("tool", TOOLS.split())
def test_there_is_advice_for_every_option_that_ends_with_2(tool: str) -> None:
    _, _, advice = (ROOT / DCMTK).read_text().partition("\nWhat to do without them:\n")
    rows = [row for row in advice.splitlines() if row.startswith("| `")]
    general = {option for row in rows for option in re.findall(r"`([-+][^`]+)`", row.split(" | ")[0])}
    families = {option for option in ending_with_2(tool) if "-x…" in general and re.match(r"[-+]x", option)}
    assert ending_with_2(tool) - families - general == set()
