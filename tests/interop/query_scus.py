"""Independent implementations of DICOM as SCU of query and retrieve, behind one small interface.

Each asks several questions one after the other, on an association of its own for each, and writes what comes into a
directory for each. Everything here blocks, as in `peers`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicomio.sop import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, WORKLIST
from tests.interop.orthanc import Orthanc, orthanc, orthanc_ask, orthanc_move
from tests.interop.processes import DCMJS_DIRECTORY, PIXELMED_JAR, SYSTEM_PYTHON, ScuResult, require, run, running
from tests.interop.questions import Question, write_identifier

__all__ = ["DESTINATION", "Asked", "FindScu", "RetrieveScu", "find_scus", "gdcm_find", "get_scus", "move_scus"]

DESTINATION = "DESTINATION"
"""AE title that the peers ask objects to be moved to."""

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


FindScu = Callable[[int, str, Sequence[Question], Path], Asked]
RetrieveScu = Callable[[int, str, int, Sequence[Question], Path], Asked]


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
    questions: Sequence[Question], workdir: Path, argv: Callable[[Question, Path], Sequence[str | Path]], succeeded: str
) -> Asked:
    """Run a program for each question, and look for a pattern in its output."""
    prepared = _prepare(questions, workdir)
    results = []
    for question, directory in prepared:
        result = run(argv(question, directory), directory)
        ended = re.search(succeeded, result.output) is not None
        results.append(ScuResult(0 if ended else result.code or 1, result.output))
    return _collect(prepared, results)


def _tasks(prepared: Iterable[tuple[Question, Path]], operation: str) -> str:
    """What the scripts of ours that run peers are to do."""
    return json.dumps(
        [
            {
                "directory": str(directory),
                "identifier": str(directory / _IDENTIFIER),
                "sop_class": getattr(question.model, operation),
            }
            for question, directory in prepared
        ]
    )


# ---- DCMTK ----


def _findscu(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(question: Question, directory: Path) -> Sequence[str | Path]:
        model = _MODEL_OPTIONS[question.model]
        return ["findscu", "-v", model, "-X", "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received Final Find Response \(Success\)")


def _movescu(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(question: Question, directory: Path) -> Sequence[str | Path]:
        options = ["-v", _MODEL_OPTIONS[question.model], "+P", str(incoming), "+B", "+xa", "-aem", DESTINATION]
        return ["movescu", *options, "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received Final Move Response \(Success\)")


def _getscu(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("dcmtk")

    def argv(question: Question, directory: Path) -> Sequence[str | Path]:
        options = ["-v", _MODEL_OPTIONS[question.model], "+B"]
        return ["getscu", *options, "-aec", aet, _HOST, str(port), directory / _IDENTIFIER]

    return _each(questions, workdir, argv, r"Received C-GET Response \(Success\)")


# ---- pynetdicom ----


def _pynetdicom(
    program: str,
    port: int,
    aet: str,
    options: Sequence[str],
    questions: Sequence[Question],
    workdir: Path,
) -> Asked:
    require("pynetdicom")
    prepared = _prepare(questions, workdir)
    calls = [
        (
            str(directory),
            ["-v", *options, _MODEL_OPTIONS[question.model], "-aec", aet, "-f", _IDENTIFIER, _HOST, str(port)],
        )
        for question, directory in prepared
    ]
    result = run([sys.executable, _HERE / "pynetdicom_scu.py", program], workdir, json.dumps(calls))
    ended = len(re.findall(r"SCP Result: 0x0000 \(Success\)", result.output)) == len(questions)
    return _collect(prepared, [ScuResult(0 if ended else result.code or 1, result.output)])


def _pynetdicom_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _pynetdicom("findscu", port, aet, ["-w"], questions, workdir)


def _pynetdicom_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    options = ["-aem", DESTINATION, "--store", "--store-port", str(incoming), "--store-aet", DESTINATION]
    return _pynetdicom("movescu", port, aet, options, questions, workdir)


def _pynetdicom_get(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    return _pynetdicom("getscu", port, aet, [], questions, workdir)


# ---- odil ----


def _odil(operation: str, port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("odil")
    prepared = _prepare(questions, workdir)
    argv: list[str | Path] = [
        SYSTEM_PYTHON,
        _HERE / "odil_query_scu.py",
        operation,
        str(port),
        aet,
        DESTINATION,
        str(incoming),
    ]
    return _collect(prepared, [run(argv, workdir, _tasks(prepared, operation))])


def _odil_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    return _odil("find", port, aet, 0, questions, workdir)


def _odil_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    return _odil("move", port, aet, incoming, questions, workdir)


def _odil_get(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    return _odil("get", port, aet, incoming, questions, workdir)


# ---- dcmjs-dimse ----


def _dcmjs(operation: str, port: int, aet: str, prepared: Sequence[tuple[Question, Path]], workdir: Path) -> ScuResult:
    require("dcmjs")
    argv: list[str | Path] = ["node", DCMJS_DIRECTORY / "query_scu.mjs", operation, str(port), aet, DESTINATION, "0"]
    return run(argv, workdir, _tasks(prepared, operation))


def _dcmjs_find(port: int, aet: str, questions: Sequence[Question], workdir: Path) -> Asked:
    prepared = _prepare(questions, workdir)
    return _collect(prepared, [_dcmjs("find", port, aet, prepared, workdir)])


def _dcmjs_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    """Ask for each question with storescp as the destination."""
    prepared = _prepare(questions, workdir)
    results = []
    for pair in prepared:
        with _storescp(incoming, pair[1], workdir):
            results.append(_dcmjs("move", port, aet, [pair], workdir))
    return _collect(prepared, results)


def _dcmjs_get(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    prepared = _prepare(questions, workdir)
    return _collect(prepared, [_dcmjs("get", port, aet, prepared, workdir)])


def _storescp(port: int, inbox: Path, workdir: Path) -> AbstractContextManager[object]:
    """Run a destination for peers that have none of their own; it writes bytes as they come."""
    require("dcmtk")
    argv: list[str | Path] = ["storescp", "-v", "-aet", DESTINATION, "+xa", "+B", "-pm", "-od", inbox, str(port)]
    return running(argv, [port], workdir / "destination.log", workdir)


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


def _gdcm_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("gdcm")

    def argv(question: Question, directory: Path) -> Sequence[str | Path]:
        options = [f"--{question.model.name.lower().replace(' ', '')}", f"--{question.level.lower()}"]
        keys = [part for element in question.identifier() for part in _gdcm_key(element.tag, element.value)]
        network = ["-H", _HOST, "-p", str(port), "--call", aet, "--aetitle", DESTINATION, "--port-scp", str(incoming)]
        return ["gdcmscu", "--move", *options, "--debug", *network, "-o", directory, *keys]

    # It crashes when it has the A-RELEASE-RP.
    return _each(questions, workdir, argv, r"(?s)\(0000,0900\) \S+ \(US\) 0 .*PDU code: 6\n")


# ---- PixelMed ----


def _pixelmed(main_class: str, port: int, arguments: Sequence[str | Path]) -> list[str | Path]:
    return ["java", "-cp", PIXELMED_JAR, f"com.pixelmed.network.{main_class}", _HOST, str(port), *arguments]


def _pixelmed_keys(question: Question) -> list[str]:
    """The level, and the unique keys from the study down to it."""
    keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return [question.level, *(_text(question.keys[key]) for key in keys if key in question.keys)]


def _pixelmed_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("pixelmed")
    prepared = _prepare(questions, workdir)
    results = []
    for question, directory in prepared:
        with _storescp(incoming, directory, workdir):
            result = run(
                _pixelmed("MoveSOPClassSCU", port, [aet, "PIXELMED", DESTINATION, *_pixelmed_keys(question)]), workdir
            )
        results.append(ScuResult(0 if "final status = 0x0\n" in result.output else 1, result.output))
    return _collect(prepared, results)


def _pixelmed_get(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("pixelmed")

    def argv(question: Question, directory: Path) -> Sequence[str | Path]:
        return _pixelmed("GetSOPClassSCU", port, [aet, "PIXELMED", directory, *_pixelmed_keys(question)])

    return _each(questions, workdir, argv, r"status = 0x0\n")


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


def _orthanc_move(port: int, aet: str, incoming: int, questions: Sequence[Question], workdir: Path) -> Asked:
    require("orthanc")
    prepared = _prepare(questions, workdir)
    with orthanc(workdir, DESTINATION, {"peer": [aet, _HOST, port]}, incoming) as server:
        results = [_orthanc_moved(server, question, directory) for question, directory in prepared]
    return _collect(prepared, results)


def _orthanc_moved(server: Orthanc, question: Question, directory: Path) -> ScuResult:
    """Have one question moved, and take what came out of Orthanc's storage."""
    keys = {keyword: value for keyword, value in _orthanc_keys(question).items() if value}
    result = orthanc_move(server, question.level, keys, DESTINATION)
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

move_scus: Mapping[str, RetrieveScu] = {
    "dcmtk": _movescu,
    "pynetdicom": _pynetdicom_move,
    "odil": _odil_move,
    "dcmjs": _dcmjs_move,
    "gdcm": _gdcm_move,
    "pixelmed": _pixelmed_move,
    "orthanc": _orthanc_move,
}
"""By peer: has objects moved by `(port, AE title)` to `DESTINATION` on the port that follows."""

get_scus: Mapping[str, RetrieveScu] = {
    "dcmtk": _getscu,
    "pynetdicom": _pynetdicom_get,
    "odil": _odil_get,
    "dcmjs": _dcmjs_get,
    "pixelmed": _pixelmed_get,
}
"""By peer: gets objects from `(port, AE title)`; the port that follows is not used. GDCM and CTN have no C-GET, Orthanc
has it as SCP only."""
