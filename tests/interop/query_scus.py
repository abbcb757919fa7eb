"""Independent implementations of DICOM as SCU of query and retrieve, behind one small interface.

Each asks several questions one after the other, on an association of its own for each, and writes what comes into a
directory for each. Everything here blocks, as in `peers`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicomio.sop import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, WORKLIST
from tests.interop.orthanc import Orthanc, orthanc, orthanc_ask, orthanc_move
from tests.interop.processes import (
    DCMJS_DIRECTORY,
    PIXELMED_JAR,
    RUN_PYNETDICOM,
    SYSTEM_PYTHON,
    ScuResult,
    free_ports,
    require,
    run,
    running,
)
from tests.interop.questions import Question, write_identifier

__all__ = [
    "DESTINATION",
    "Asked",
    "Destination",
    "FindScu",
    "GetScu",
    "MoveScu",
    "destinations_for",
    "find_scus",
    "gdcm_find",
    "get_scus",
    "move_scus",
]

DESTINATION = "DESTINATION"
"""What the AE titles begin with that the peers ask objects to be moved to."""

_HOST = "127.0.0.1"
_HERE = Path(__file__).parent
_IDENTIFIER = "identifier.bin"
_MODEL_OPTIONS = {PATIENT_ROOT: "-P", STUDY_ROOT: "-S", PATIENT_STUDY_ONLY: "-O", WORKLIST: "-W"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking.

    Attributes:
        result: the exit code is 0 if every final response was a success.
        files: what came for each question by its name: identifiers of matches, or objects.
    """

    result: ScuResult
    files: Mapping[str, Sequence[Path]]

    def matches(self, question: Question) -> list[Dataset]:
        """The matches of a question."""
        return [pydicom.dcmread(path, force=True) for path in self.files[question.name]]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a peer wants objects to be moved to.

    Attributes:
        ae_title: AE title of the destination.
        port: its port on this host.
    """

    ae_title: str
    port: int


def destinations_for(questions: Sequence[Question]) -> list[Destination]:
    """A destination for each question, so that what comes for one is not taken for what comes for another."""
    return [Destination(f"{DESTINATION}{number}", port) for number, port in enumerate(free_ports(len(questions)))]


FindScu = Callable[[int, str, Sequence[Question], Path], Asked]
GetScu = FindScu
MoveScu = Callable[[int, str, Sequence[Destination], Sequence[Question], Path], Asked]


def _prepare(questions: Sequence[Question], workdir: Path) -> list[tuple[Question, Path]]:
    """Make a directory for each question, with its identifier."""
    prepared = []
    for number, question in enumerate(questions):
        directory = workdir / f"{number:02d}"
        directory.mkdir()
        write_identifier(question, directory / _IDENTIFIER)
        prepared.append((question, directory))
    return prepared


def _collect(prepared: Iterable[tuple[Question, Path]], results: Sequence[ScuResult]) -> Asked:
    """Gather what has been written into the directories."""
    files = {
        question.name: sorted(path for path in directory.rglob("*") if path.is_file() and path.name != _IDENTIFIER)
        for question, directory in prepared
    }
    code = next((result.code for result in results if result.code != 0), 0)
    return Asked(ScuResult(code, "\n".join(result.output for result in results)), files)


def _each(
    questions: Sequence[Question],
    workdir: Path,
    argv: Callable[[int, Question, Path], Sequence[str | Path]],
    succeeded: str,
) -> Asked:
    """Run a program for each question, and look for a pattern in its output."""
    prepared = _prepare(questions, workdir)
    results = []
    for number, (question, directory) in enumerate(prepared):
        result = run(argv(number, question, directory), directory)
        ended = re.search(succeeded, result.output) is not None
        results.append(ScuResult(0 if ended else result.code or 1, result.output))
    return _collect(prepared, results)


def _run_script(
    argv: Sequence[str | Path], operation: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    """Run a script of ours for all questions, with storescp as the destination of each."""
    prepared = _prepare(questions, workdir)
    tasks = [
        {
            "directory": str(directory),
            "identifier": str(directory / _IDENTIFIER),
            "sop_class": getattr(question.model, operation),
            "destination": to[number].ae_title if to else "",
        }
        for number, (question, directory) in enumerate(prepared)
    ]
    with ExitStack() as stack:
        for destination, (_, directory) in zip(to, prepared, strict=False):
            stack.enter_context(_storescp(destination, directory, workdir))
        return _collect(prepared, [run(argv, workdir, json.dumps(tasks))])


def _storescp(destination: Destination, inbox: Path, workdir: Path) -> AbstractContextManager[object]:
    """Run a destination for peers that are none themselves; it writes bytes as they come."""
    require("dcmtk")
    title, port = destination.ae_title, destination.port
    argv: list[str | Path] = ["storescp", "-v", "-aet", title, "+xa", "+B", "-pm", "-od", inbox, str(port)]
    return running(argv, [port], workdir / f"{title}.log", workdir)


# ---- DCMTK ----


def _findscu(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(number: int, question: Question, directory: Path) -> Sequence[str | Path]:
        model = _MODEL_OPTIONS[question.model]
        return ["findscu", "-v", model, "-X", "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received Final Find Response \(Success\)")


def _movescu(port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(number: int, question: Question, directory: Path) -> Sequence[str | Path]:
        options = [_MODEL_OPTIONS[question.model], "+P", str(to[number].port), "-aem", to[number].ae_title]
        return ["movescu", "-v", "+B", "+xa", *options, "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received Final Move Response \(Success\)")


def _getscu(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(number: int, question: Question, directory: Path) -> Sequence[str | Path]:
        options = ["-v", _MODEL_OPTIONS[question.model], "+B"]
        return ["getscu", *options, "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received C-GET Response \(Success\)")


# ---- pynetdicom ----


def _pynetdicom(
    program: str, port: int, aet: str, options: Sequence[Sequence[str]], questions: Sequence[Question], workdir: Path
) -> Asked:
    """Run one of its programs with options for each question."""
    require("pynetdicom")
    prepared = _prepare(questions, workdir)
    calls = [
        (
            str(directory),
            ["-v", *each, _MODEL_OPTIONS[question.model], "-aec", aet, "-f", _IDENTIFIER, _HOST, str(port)],
        )
        for each, (question, directory) in zip(options, prepared, strict=True)
    ]
    result = run([*RUN_PYNETDICOM, _HERE / "pynetdicom_scu.py", program], workdir, json.dumps(calls))
    ended = len(re.findall(r"SCP Result: 0x0000 \(Success\)", result.output)) == len(questions)
    return _collect(prepared, [ScuResult(0 if ended else result.code or 1, result.output)])


def _pynetdicom_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _pynetdicom("findscu", port, aet, [["-w"]] * len(questions), questions, workdir)


def _pynetdicom_move(
    port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    options = [
        ["-aem", each.ae_title, "--store", "--store-port", str(each.port), "--store-aet", each.ae_title] for each in to
    ]
    return _pynetdicom("movescu", port, aet, options, questions, workdir)


def _pynetdicom_get(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _pynetdicom("getscu", port, aet, [[]] * len(questions), questions, workdir)


# ---- odil ----


def _odil(
    operation: str, port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    require("odil")
    argv: list[str | Path] = [SYSTEM_PYTHON, _HERE / "odil_query_scu.py", operation, str(port), aet]
    return _run_script(argv, operation, to, questions, workdir)


def _odil_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _odil("find", port, aet, [], questions, workdir)


def _odil_move(port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path) -> Asked:
    """Have the objects moved to storescp: odil itself gives up when nobody comes within a few milliseconds."""
    return _odil("move", port, aet, to, questions, workdir)


def _odil_get(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _odil("get", port, aet, [], questions, workdir)


# ---- dcmjs-dimse ----


def _dcmjs(
    operation: str, port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    require("dcmjs")
    argv: list[str | Path] = ["node", DCMJS_DIRECTORY / "query_scu.mjs", operation, str(port), aet, "0"]
    return _run_script(argv, operation, to, questions, workdir)


def _dcmjs_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _dcmjs("find", port, aet, [], questions, workdir)


def _dcmjs_move(port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path) -> Asked:
    """Have the objects moved to storescp: it is no destination itself."""
    return _dcmjs("move", port, aet, to, questions, workdir)


def _dcmjs_get(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _dcmjs("get", port, aet, [], questions, workdir)


# ---- GDCM ----


def gdcm_find(port: int, aet: str, question: Question) -> list[int]:
    """Ask one question; the result is the statuses of the responses: it crashes before it shows what they say."""
    require("gdcm")
    options = [f"--{question.model.name.lower().replace(' ', '')}", f"--{question.level.lower()}"]
    keys = [part for element in question.identifier() for part in _gdcm_key(element.tag, element.value)]
    result = run(["gdcmscu", "--find", *options, "--debug", "-H", _HOST, "-p", str(port), "--call", aet, *keys])
    # Each command set is shown twice.
    return [int(status) for status in re.findall(r"\(0000,0900\) \S+ \(US\) (\d+)", result.output)[::2]]


def _gdcm_key(tag: Any, value: Any) -> Sequence[str]:
    if tag.group == 8 and tag.element == 0x52:
        return []
    return ["--key", f"{tag.group:x},{tag.element:x}={_text(value)}"]


def _text(value: Any) -> str:
    return "\\".join(value) if isinstance(value, MultiValue | list) else str(value)


def _gdcm_move(port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path) -> Asked:
    require("gdcm")

    def argv(number: int, question: Question, directory: Path) -> Sequence[str | Path]:
        options = [f"--{question.model.name.lower().replace(' ', '')}", f"--{question.level.lower()}"]
        keys = [part for element in question.identifier() for part in _gdcm_key(element.tag, element.value)]
        incoming = ["--aetitle", to[number].ae_title, "--port-scp", str(to[number].port), "-o", "."]
        return ["gdcmscu", "--move", *options, "--debug", "-H", _HOST, "-p", str(port), "--call", aet, *incoming, *keys]

    # It crashes when it has the A-RELEASE-RP.
    return _each(questions, workdir, argv, r"(?s)\(0000,0900\) \S+ \(US\) 0 .*PDU code: 6\n")


# ---- PixelMed ----


def _pixelmed(main_class: str, port: int, arguments: Sequence[str | Path]) -> list[str | Path]:
    return ["java", "-cp", PIXELMED_JAR, f"com.pixelmed.network.{main_class}", _HOST, str(port), *arguments]


def _pixelmed_keys(question: Question) -> list[str]:
    """The level, and the unique keys from the study down to it."""
    keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return [question.level, *(_text(question.keys[key]) for key in keys if key in question.keys)]


def _pixelmed_move(
    port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    """Have the objects moved to storescp: the program is no destination itself."""
    require("pixelmed")
    prepared = _prepare(questions, workdir)
    results = []
    for destination, (question, directory) in zip(to, prepared, strict=True):
        arguments = [aet, "PIXELMED", destination.ae_title, *_pixelmed_keys(question)]
        with _storescp(destination, directory, workdir):
            result = run(_pixelmed("MoveSOPClassSCU", port, arguments), workdir)
        results.append(ScuResult(0 if "final status = 0x0\n" in result.output else 1, result.output))
    return _collect(prepared, results)


# ---- Orthanc ----


def _orthanc_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    require("orthanc")
    prepared = _prepare(questions, workdir)
    with orthanc(workdir, "ORTHANC", {"peer": [aet, _HOST, port]}) as server:
        for question, directory in prepared:
            for number, match in enumerate(orthanc_ask(server, question.level, _orthanc_keys(question))):
                _write_match(match, directory / f"match{number:04d}.dcm")
    return _collect(prepared, [ScuResult(0, server.log.read_text(errors="replace"))])


def _orthanc_keys(question: Question) -> dict[str, str]:
    # It chooses the character set, and says of which level the identifier is.
    left_out = {"SpecificCharacterSet", "QueryRetrieveLevel"}
    return {
        element.keyword: _text(element.value) for element in question.identifier() if element.keyword not in left_out
    }


def _write_match(match: Mapping[str, str], path: Path) -> None:
    ds = Dataset()
    for keyword, value in {**match, "SpecificCharacterSet": "ISO_IR 192"}.items():
        # Of images it shows an element of File Meta Information, too.
        if keyword != "MediaStorageSOPInstanceUID":
            setattr(ds, keyword, value)
    ds.save_as(path, implicit_vr=False, little_endian=True)


def _orthanc_move(
    port: int, aet: str, to: Sequence[Destination], questions: Sequence[Question], workdir: Path
) -> Asked:
    require("orthanc")
    prepared = _prepare(questions, workdir)
    # All questions have one destination, as it has one port.
    with orthanc(workdir, to[0].ae_title, {"peer": [aet, _HOST, port]}, to[0].port) as server:
        results = [_orthanc_moved(server, question, directory, to[0]) for question, directory in prepared]
    return _collect(prepared, results)


def _orthanc_moved(server: Orthanc, question: Question, directory: Path, to: Destination) -> ScuResult:
    """Have one question moved, and take what came out of Orthanc's storage."""
    keys = {keyword: value for keyword, value in _orthanc_keys(question).items() if value}
    result = orthanc_move(server, question.level, keys, to.ae_title)
    server.download(directory)
    for instance_id in json.loads(server.get("/instances")):
        server.delete(f"/instances/{instance_id}")
    return result


# ---- the interface ----

find_scus: Mapping[str, FindScu] = {
    "dcmtk": _findscu,
    "pynetdicom": _pynetdicom_find,
    "odil": _odil_find,
    "dcmjs": _dcmjs_find,
    "orthanc": _orthanc_find,
}
"""By peer: asks questions of `(port, AE title)` of this host, with an empty directory for its own use."""

move_scus: Mapping[str, MoveScu] = {
    "dcmtk": _movescu,
    "pynetdicom": _pynetdicom_move,
    "odil": _odil_move,
    "dcmjs": _dcmjs_move,
    "gdcm": _gdcm_move,
    "pixelmed": _pixelmed_move,
    "orthanc": _orthanc_move,
}
"""By peer: has objects moved by `(port, AE title)` of this host to itself or to storescp, for each question to a
destination of its own."""

get_scus: Mapping[str, GetScu] = {
    "dcmtk": _getscu,
    "pynetdicom": _pynetdicom_get,
    "odil": _odil_get,
    "dcmjs": _dcmjs_get,
}
"""By peer: gets objects from `(port, AE title)` of this host. GDCM and CTN have no C-GET, Orthanc has it as SCP only,
and PixelMed's program for it proposes too many presentation contexts and gives up."""
