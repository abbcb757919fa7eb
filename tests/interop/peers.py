"""Independent implementations of DICOM, each as SCU and as SCP, behind one small interface.

Everything here blocks: call it from a test that has an event loop with `asyncio.to_thread`.
A peer that is not installed skips the test, or fails it when DICOMIO_REQUIRE_PEERS is 1.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.interop.orthanc import orthanc, orthanc_echo, orthanc_store
from tests.interop.processes import (
    DCMJS_DIRECTORY,
    PIXELMED_JAR,
    RUN_PYNETDICOM,
    SYSTEM_PYTHON,
    ScuResult,
    free_port,
    require,
    run,
    running,
    wait_until_listening,
)
from tests.interop.samples import ALL_KINDS, Kind

__all__ = [
    "RunningScp",
    "ScuResult",
    "echo_scus",
    "scp_kinds",
    "scps",
    "serving",
    "store_scu_kinds",
    "store_scus",
]

EchoScu = Callable[[str, int, str], ScuResult]
StoreScu = Callable[[int, str, Sequence[Path], Path], ScuResult]

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningScp:
    """A peer that listens on the loopback interface.

    Attributes:
        port: its DICOM port.
        ae_title: the AE title that it goes by.
        received: returns the files of the instances it has stored so far.
        log: returns what it has written to its log so far.
        wait_until_listening: waits until it listens. For odil, which serves one association at a time and does not
            listen meanwhile, between two associations; the others listen all the time.
    """

    port: int
    ae_title: str
    received: Callable[[], list[Path]]
    log: Callable[[], str]
    wait_until_listening: Callable[[], None]


# ---- echo ----


def _dcmtk_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("dcmtk")
    result = run(["echoscu", "-v", "-aec", called_aet, host, str(port)])
    return _judged(result, "Received Echo Response (Success)" in result.output)


def _pynetdicom_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("pynetdicom")
    result = run([*RUN_PYNETDICOM, "pynetdicom", "echoscu", "-v", "-aec", called_aet, host, str(port)])
    return _judged(result, "Received Echo Response (Status: 0x0000" in result.output)


def _ctn_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("ctn")
    result = run(["dicom_echo", "-a", "CTN", "-c", called_aet, host, str(port)])
    return _judged(result, re.search(r"Verification Status: +0000", result.output) is not None)


def _gdcm_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("gdcm")
    result = run(["gdcmscu", "--echo", "--debug", "-H", host, "-p", str(port), "--call", called_aet])
    return _judged(result, _gdcm_succeeded(result.output))


def _odil_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("odil")
    return run(["odil", "echo", host, str(port), "ODIL", called_aet])


def _pixelmed_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("pixelmed")
    argv = _pixelmed("VerificationSOPClassSCU", host, str(port), "PIXELMED", called_aet, "NONSECURE")
    result = run(argv)
    return _judged(result, "was not successful" not in result.output)


def _dcmjs_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("dcmjs")
    return run(["node", DCMJS_DIRECTORY / "scu.mjs", host, str(port), called_aet])


def _orthanc_echo(host: str, port: int, called_aet: str) -> ScuResult:
    require("orthanc")
    with tempfile.TemporaryDirectory() as workdir:
        return orthanc_echo(host, port, called_aet, Path(workdir))


# ---- store ----

# What makes storescu propose the transfer syntax of its files; it takes all files of a call to share one.
_STORESCU_PROPOSALS: Mapping[str, str] = {
    ImplicitVRLittleEndian: "-xi",
    ExplicitVRBigEndian: "-xb",
    DeflatedExplicitVRLittleEndian: "-xd",
    JPEGBaseline8Bit: "-xy",
    RLELossless: "-xr",
}


def _storescu(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    """Send the files with one association for each way of proposing their transfer syntaxes."""
    require("dcmtk")
    results = []
    for option, group in groupby(sorted(paths, key=_storescu_proposal), key=_storescu_proposal):
        results.append(run(["storescu", "-v", "-R", option, "-aec", aet, _HOST, str(port), *group], workdir))
    return _together(results)


def _storescu_proposal(path: Path) -> str:
    return _STORESCU_PROPOSALS.get(_transfer_syntax_uid(path), "-xe")


def _dcmsend(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("dcmtk")
    result = run(["dcmsend", "-v", "-aec", aet, _HOST, str(port), *paths], workdir)
    return _judged(result, re.search(rf"with status SUCCESS +: {len(paths)}$", result.output, re.MULTILINE) is not None)


def _pynetdicom_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("pynetdicom")
    argv = [*RUN_PYNETDICOM, "pynetdicom", "storescu", "-v", "-cx", "-r", "-aec", aet, _HOST, str(port)]
    results = [run([*argv, directory], workdir) for directory in _by_transfer_syntax(paths, workdir)]
    result = _together(results)
    return _judged(result, result.output.count("Received Store Response (Status: 0x0000") == len(paths))


def _ctn_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("ctn")
    return run(["send_image", "-r", "-a", "CTN", "-c", aet, _HOST, str(port), *paths], workdir)


def _gdcm_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("gdcm")
    argv = ["gdcmscu", "--store", "--debug", "-H", _HOST, "-p", str(port), "--call", aet, "-i"]
    results = [run([*argv, path], workdir) for path in paths]
    return _together([_judged(result, _gdcm_succeeded(result.output)) for result in results])


def _odil_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("odil")
    result = run(["odil", "store", _HOST, str(port), "ODIL", aet, *paths], workdir)
    return _judged(result, result.code == 0 and "Could not store" not in result.output)


def _pixelmed_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("pixelmed")
    # In a mixed set it sends files on the context of another one of the same SOP class.
    results = []
    for _, group in groupby(sorted(paths, key=_transfer_syntax_uid), key=_transfer_syntax_uid):
        files = "".join(f"{path}\n" for path in group)
        argv = _pixelmed("StorageSOPClassSCU", _HOST, str(port), aet, "PIXELMED", "-")
        results.append(run(argv, workdir, files))
    result = _together(results)
    return _judged(result, "Exception" not in result.output)


def _dcmjs_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("dcmjs")
    return run(["node", DCMJS_DIRECTORY / "scu.mjs", _HOST, str(port), aet, *paths], workdir)


def _orthanc_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    require("orthanc")
    return orthanc_store(port, aet, paths, workdir)


# ---- what several of them need ----


def _judged(result: ScuResult, succeeded: bool) -> ScuResult:
    """Correct the exit code of a program that does not tell success from failure."""
    return ScuResult(0 if succeeded else result.code or 1, result.output)


def _together(results: Sequence[ScuResult]) -> ScuResult:
    codes = [result.code for result in results if result.code != 0]
    return ScuResult(codes[0] if codes else 0, "\n".join(result.output for result in results))


def _transfer_syntax_uid(path: Path) -> str:
    return str(read_file_meta_info(path).TransferSyntaxUID)


def _by_transfer_syntax(paths: Sequence[Path], workdir: Path) -> list[Path]:
    """Link the files into one directory per transfer syntax, for a program that proposes just one per SOP class."""
    directories: dict[Path, None] = {}
    for path in paths:
        directory = workdir / _transfer_syntax_uid(path)
        directory.mkdir(exist_ok=True)
        (directory / path.name).symlink_to(path.absolute())
        directories[directory] = None
    return list(directories)


def _gdcm_succeeded(output: str) -> bool:
    """Look for a Status of 0 and the A-RELEASE-RP after it: gdcmscu crashes when it has both."""
    return re.search(r"\(0000,0900\) \S+ \(US\) 0 .*^PDU code: 6$", output, re.DOTALL | re.MULTILINE) is not None


def _pixelmed(main_class: str, *arguments: str | Path) -> list[str | Path]:
    return ["java", "-cp", PIXELMED_JAR, f"com.pixelmed.network.{main_class}", *arguments]


# ---- servers ----


@contextmanager
def serving(argv: Sequence[str | Path], port: int, ae_title: str, workdir: Path, inbox: Path) -> Iterator[RunningScp]:
    """Run a server that stores into `inbox`; it is started there, as some write into their current directory."""
    log = workdir / "scp.log"
    with running(argv, [port], log, inbox) as process:
        yield RunningScp(
            port,
            ae_title,
            received=lambda: _dicom_files(inbox),
            log=lambda: log.read_text(errors="replace"),
            wait_until_listening=lambda: wait_until_listening(process, [port], log),
        )


def _inbox(workdir: Path) -> Path:
    inbox = workdir / "inbox"
    inbox.mkdir(parents=True)
    return inbox


def _dicom_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _storescp(
    workdir: Path, *, ae_title: str = "STORESCP", options: Sequence[str] = ()
) -> AbstractContextManager[RunningScp]:
    require("dcmtk")
    port, inbox = free_port(), _inbox(workdir)
    argv: list[str | Path] = ["storescp", "-v", "-aet", ae_title, *options, "-od", inbox, str(port)]
    return serving(argv, port, ae_title, workdir, inbox)


def _storescp_all(workdir: Path, *, ae_title: str = "STORESCP") -> AbstractContextManager[RunningScp]:
    """Accept every transfer syntax and unknown SOP classes, and write the bytes as they come."""
    return _storescp(workdir, ae_title=ae_title, options=["+xa", "+B", "-pm"])


# Without a profile it accepts nothing but Verification; this one comes with the package.
_DCMRECV_PROFILE = ["-xf", "/etc/dcmtk/storescp.cfg", "AllDICOM"]


def _dcmrecv(
    workdir: Path, *, ae_title: str = "DCMRECV", options: Sequence[str] = ()
) -> AbstractContextManager[RunningScp]:
    require("dcmtk")
    port, inbox = free_port(), _inbox(workdir)
    argv: list[str | Path] = ["dcmrecv", "-v", "-aet", ae_title, *_DCMRECV_PROFILE, *options, "-od", inbox, str(port)]
    return serving(argv, port, ae_title, workdir, inbox)


def _dcmqrscp(
    workdir: Path,
    *,
    ae_title: str = "DCMQRSCP",
    destinations: Mapping[str, int] | None = None,
    options: Sequence[str] = (),
) -> AbstractContextManager[RunningScp]:
    """Run a query/retrieve server; destinations of C-MOVE are AE titles on ports of this host."""
    require("dcmtk")
    port, inbox = free_port(), _inbox(workdir)
    hosts = "".join(
        f"destination{number} = ({title}, {_HOST}, {destination})\n"
        for number, (title, destination) in enumerate((destinations or {}).items())
    )
    configuration = workdir / "dcmqrscp.cfg"
    configuration.write_text(
        f"MaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\n{hosts}HostTable END\n"
        f"AETable BEGIN\n{ae_title} {inbox} RW (200, 1024mb) ANY\nAETable END\n"
    )
    argv: list[str | Path] = ["dcmqrscp", "-v", *options, "-c", configuration, str(port)]
    return serving(argv, port, ae_title, workdir, inbox)


def _simple_storage(workdir: Path, *, ae_title: str = "CTN") -> AbstractContextManager[RunningScp]:
    require("ctn")
    port, inbox = free_port(), _inbox(workdir)
    return serving(["simple_storage", "-c", ae_title, str(port)], port, ae_title, workdir, inbox)


def _odil_scp(
    workdir: Path, *, ae_title: str = "ODIL", destinations: Mapping[str, int] | None = None
) -> AbstractContextManager[RunningScp]:
    require("odil")
    port, inbox = free_port(), _inbox(workdir)
    script = Path(__file__).parent / "odil_scp.py"
    titles = [f"{title}={destination}" for title, destination in (destinations or {}).items()]
    return serving([SYSTEM_PYTHON, script, str(port), inbox, *titles], port, ae_title, workdir, inbox)


def _pixelmed_scp(workdir: Path, *, ae_title: str = "PIXELMED") -> AbstractContextManager[RunningScp]:
    require("pixelmed")
    port, inbox = free_port(), _inbox(workdir)
    argv = _pixelmed("StorageSOPClassSCPDispatcher", str(port), ae_title, inbox, "NONSECURE", "ANY")
    return serving(argv, port, ae_title, workdir, inbox)


def _pynetdicom_scp(
    workdir: Path, *, ae_title: str = "PYNETDICOM", options: Sequence[str] = ()
) -> AbstractContextManager[RunningScp]:
    require("pynetdicom")
    port, inbox = free_port(), _inbox(workdir)
    argv: list[str | Path] = [*RUN_PYNETDICOM, "pynetdicom", "storescp", "-v", "-ba", _HOST, "-aet", ae_title]
    return serving([*argv, *options, "-od", inbox, str(port)], port, ae_title, workdir, inbox)


def _dcmjs_scp(
    workdir: Path, *, ae_title: str = "DCMJS", destinations: Mapping[str, int] | None = None
) -> AbstractContextManager[RunningScp]:
    require("dcmjs")
    port, inbox = free_port(), _inbox(workdir)
    titles = [f"{title}={destination}" for title, destination in (destinations or {}).items()]
    return serving(["node", DCMJS_DIRECTORY / "scp.mjs", str(port), inbox, *titles], port, ae_title, workdir, inbox)


@contextmanager
def _orthanc_scp(
    workdir: Path, *, ae_title: str = "ORTHANC", destinations: Mapping[str, int] | None = None
) -> Iterator[RunningScp]:
    """Run Orthanc; destinations of C-MOVE are AE titles on ports of this host."""
    require("orthanc")
    inbox = _inbox(workdir)
    modalities = {title: [title, _HOST, port] for title, port in (destinations or {}).items()}
    with orthanc(workdir, ae_title, modalities) as server:
        yield RunningScp(
            server.port,
            ae_title,
            received=lambda: server.download(inbox),
            log=lambda: server.log.read_text(errors="replace"),
            wait_until_listening=lambda: None,
        )


# ---- the interface ----

echo_scus: Mapping[str, EchoScu] = {
    "dcmtk": _dcmtk_echo,
    "pynetdicom": _pynetdicom_echo,
    "ctn": _ctn_echo,
    "gdcm": _gdcm_echo,
    "odil": _odil_echo,
    "pixelmed": _pixelmed_echo,
    "dcmjs": _dcmjs_echo,
    "orthanc": _orthanc_echo,
}
"""By peer: sends one C-ECHO to `(host, port, called AE title)`."""

store_scus: Mapping[str, StoreScu] = {
    "storescu": _storescu,
    "dcmsend": _dcmsend,
    "pynetdicom": _pynetdicom_store,
    "ctn": _ctn_store,
    "gdcm": _gdcm_store,
    "odil": _odil_store,
    "pixelmed": _pixelmed_store,
    "dcmjs": _dcmjs_store,
    "orthanc": _orthanc_store,
}
"""By peer: sends files to `(port, AE title, files, an empty directory for its own use)` of this host."""

scps: Mapping[str, Callable[..., AbstractContextManager[RunningScp]]] = {
    "storescp": _storescp,
    "storescp-all": _storescp_all,
    "dcmrecv": _dcmrecv,
    "dcmqrscp": _dcmqrscp,
    "orthanc": _orthanc_scp,
    "ctn": _simple_storage,
    "odil": _odil_scp,
    "pixelmed": _pixelmed_scp,
    "pynetdicom": _pynetdicom_scp,
    "dcmjs": _dcmjs_scp,
}
"""By peer: runs it with its files below an empty directory. All take `ae_title=`; storescp, dcmrecv, dcmqrscp and
pynetdicom `options=`, a sequence of further arguments; dcmqrscp, orthanc, odil and dcmjs `destinations=`, the ports of
AE titles for C-MOVE."""

_UNCOMPRESSED_ONLY = ALL_KINDS - {Kind.DEFLATED, Kind.JPEG, Kind.RLE}

store_scu_kinds: Mapping[str, frozenset[Kind]] = {
    "storescu": ALL_KINDS - {Kind.PRIVATE_SOP_CLASS},
    "dcmsend": ALL_KINDS,
    "pynetdicom": ALL_KINDS,
    "ctn": ALL_KINDS - {Kind.DEFLATED, Kind.PRIVATE_SOP_CLASS, Kind.VERY_LONG_VRS},
    "gdcm": ALL_KINDS - {Kind.DEFLATED, Kind.PRIVATE_SOP_CLASS},
    # It proposes the uncompressed transfer syntaxes only, and sends encapsulated pixel data in them all the same.
    "odil": _UNCOMPRESSED_ONLY - {Kind.PRIVATE_SOP_CLASS, Kind.VERY_LONG_VRS},
    "pixelmed": ALL_KINDS,
    # It drops private elements, and decodes all text as if it had one character set.
    "dcmjs": ALL_KINDS - {Kind.BIG_ENDIAN, Kind.DEFLATED, Kind.ISO_2022, Kind.PRIVATE_ELEMENTS},
    "orthanc": ALL_KINDS,
}
"""What a peer can send and have arrive unchanged."""

scp_kinds: Mapping[str, frozenset[Kind]] = {
    "storescp": _UNCOMPRESSED_ONLY - {Kind.PRIVATE_SOP_CLASS},
    "storescp-all": ALL_KINDS,
    "dcmrecv": ALL_KINDS - {Kind.PRIVATE_SOP_CLASS},
    "dcmqrscp": _UNCOMPRESSED_ONLY - {Kind.PRIVATE_SOP_CLASS},
    "orthanc": ALL_KINDS,
    # It stores implicit VR as a bare data set, and dies of VRs that it does not know.
    "ctn": _UNCOMPRESSED_ONLY - {Kind.IMPLICIT, Kind.PRIVATE_SOP_CLASS, Kind.VERY_LONG_VRS},
    # It aborts on VRs that it does not know.
    "odil": ALL_KINDS - {Kind.DEFLATED, Kind.VERY_LONG_VRS},
    "pixelmed": ALL_KINDS - {Kind.DEFLATED, Kind.PRIVATE_SOP_CLASS},
    "pynetdicom": ALL_KINDS - {Kind.PRIVATE_SOP_CLASS},
    "dcmjs": ALL_KINDS - {Kind.BIG_ENDIAN, Kind.DEFLATED, Kind.ISO_2022, Kind.PRIVATE_ELEMENTS},
}
"""What a peer accepts, and stores unchanged."""
