"""Micro-benchmarks: what one step of a hot function costs, in nanoseconds, beside what others take for the same.

To add one, add a line to `MEASURED`: what it is, the unit that its cost is for and how many of these one call does,
ours, and the others by name. All are called without arguments and have to do the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from timeit import Timer
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

import dicomio
from benchmarks.cells import OURS, AtMost, Cell, Options, Values, Way
from benchmarks.programs.rows import row
from benchmarks.stage import Stage
from dicomio.datasets import decode, encode

__all__ = ["MEASURED", "Micro", "cells"]

IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = "1.2.840.10008.1.2.1"
REPEATS: Final = 5
SECONDS: Final = 0.05

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Micro:
    """One function.

    Args:
        name: what it does.
        unit: what the cost is for.
        count: how many of these one call does.
        ours: calls our function.
        others: call those of others, by name.
        times: ours takes at most so many times what each other takes.
    """

    name: str
    unit: str
    count: int
    ours: Call
    others: Mapping[str, Call] = field(default_factory=dict)
    times: float = 1.0


def cells(options: Options) -> Sequence[Cell]:
    """A cell for each function."""
    return [cell_of(each) for each in MEASURED]


def cell_of(micro: Micro) -> Cell:
    """Ours and the others in turns."""
    calls = {OURS: micro.ours, **micro.others}
    ways = [Way([name], partial(cost, name, call, micro.count)) for name, call in calls.items()]
    targets = [AtMost(OURS, micro.times, name) for name in micro.others]
    return Cell("micro", micro.name, f"ns/{micro.unit}", ways, targets)


def cost(name: str, call: Call, count: int, stage: Stage) -> Values:
    """Nanoseconds for each of `count` things that a call does; the least of several measurements."""
    timer = Timer(call)
    calls, seconds = timer.autorange()
    calls = max(1, int(calls * SECONDS / seconds))
    return {name: min(timer.repeat(REPEATS, calls)) / calls / count * 1e9}


# What is measured


def worklist_item() -> Dataset:
    """A modality worklist item: 29 elements and items, nested two deep."""
    code = {"CodeValue": "CTCHEST", "CodingSchemeDesignator": "99BENCH", "CodeMeaning": "CT of the chest"}
    step = {
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20240131",
        "ScheduledProcedureStepStartTime": "101112",
        "Modality": "CT",
        "ScheduledPerformingPhysicianName": "PERFORMING^PHYSICIAN",
        "ScheduledProcedureStepDescription": "CT of the chest",
        "ScheduledProtocolCodeSequence": [code],
        "ScheduledProcedureStepID": "STEP1",
    }
    return dicomio.dataset(
        AccessionNumber="A1",
        ReferringPhysicianName="REFERRING^PHYSICIAN",
        PatientName="M\u00fcller^J\u00f6rg",
        PatientID="P1",
        PatientBirthDate="19700101",
        PatientSex="O",
        PatientWeight="70.5",
        StudyInstanceUID="1.2.826.0.1.3680043.9.7.1",
        RequestingPhysician="REQUESTING^PHYSICIAN",
        RequestedProcedureDescription="CT of the chest",
        RequestedProcedureCodeSequence=[code],
        ScheduledProcedureStepSequence=[step],
        RequestedProcedureID="R1",
        RequestedProcedurePriority="ROUTINE",
    )


def pydicom_writes(ds: Dataset, transfer_syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = transfer_syntax == IMPLICIT_LE, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def pydicom_reads(data: bytes, transfer_syntax: str) -> Dataset:
    return read_dataset(BytesIO(data), transfer_syntax == IMPLICIT_LE, True)


def all_values(ds: Dataset) -> int:
    """Looks at every value, so that it is decoded."""
    return sum(1 for _ in ds.iterall())


def encoding(name: str, ds: Dataset, transfer_syntax: str) -> Micro:
    """Encoding a data set.

    Raises:
        ValueError: ours is not what pydicom writes.
    """
    if encode(ds, transfer_syntax) != pydicom_writes(ds, transfer_syntax):
        raise ValueError(f"{name} comes out in two ways")
    others = {"pydicom": partial(pydicom_writes, ds, transfer_syntax)}
    return Micro(name, "element", all_values(ds), partial(encode, ds, transfer_syntax), others, times=0.1)


def decoding(name: str, ds: Dataset, transfer_syntax: str) -> Micro:
    """Decoding a data set, up to its values.

    Raises:
        ValueError: ours is not what pydicom reads.
    """
    data = encode(ds, transfer_syntax)
    if decode(data, transfer_syntax) != pydicom_reads(data, transfer_syntax):
        raise ValueError(f"{name} comes out in two ways")
    others: dict[str, Callable[[], Any]] = {"pydicom": partial(pydicom_reads, data, transfer_syntax)}
    return Micro(name, "element", len(ds), partial(decode, data, transfer_syntax), others)


def passing_on(name: str, ds: Dataset, transfer_syntax: str) -> Micro:
    """Encoding a data set that was decoded and not looked at."""
    read = decode(encode(ds, transfer_syntax), transfer_syntax)
    others = {"pydicom": partial(pydicom_writes, read, transfer_syntax)}
    return Micro(name, "element", len(ds), partial(encode, read, transfer_syntax), others, times=0.2)


MEASURED: Final[Sequence[Micro]] = [
    encoding("encode a study, Implicit VR", row(1), IMPLICIT_LE),
    encoding("encode a study, Explicit VR", row(1), EXPLICIT_LE),
    encoding("encode a worklist item in UTF-8", worklist_item(), EXPLICIT_LE),
    decoding("decode a study, Implicit VR", row(1), IMPLICIT_LE),
    decoding("decode a study, Explicit VR", row(1), EXPLICIT_LE),
    decoding("decode a worklist item in UTF-8", worklist_item(), EXPLICIT_LE),
    passing_on("pass a study on, Explicit VR", row(1), EXPLICIT_LE),
]
