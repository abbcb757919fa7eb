"""What the command line asks for: query files, the keys that go into them, and the query model."""

import logging
import warnings
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicomio import PATIENT_ROOT, STUDY_ROOT, InvalidInstance, QueryModel
from dicomio.cli.errors import UsageError
from dicomio.cli.keys import Key, assign
from dicomio.cli.output import printable
from dicomio.datasets import encode
from dicomio.sop import ExplicitVRLittleEndian

__all__ = ["Query", "queries_of"]

logger = logging.getLogger("dicomio.cli.queries")

# PS3.3 C.12.1.1.2: UTF-8. Only said where the values need it.
UTF8: Final = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class Query:
    """One operation.

    Args:
        identifier: the keys.
        model: what they are keys of, or the UID of a SOP class.
    """

    identifier: Dataset
    model: QueryModel | str


def queries_of(args: Namespace) -> list[Query]:
    """One query for each query file, or a single one from keys alone.

    Raises:
        UsageError: there are neither files nor keys, a file cannot be read, or a key does not fit.
    """
    keys: Sequence[Key] = args.key or ()
    if not keys and not args.queryfile:
        raise UsageError("there is nothing to ask for: give keys with -k, or query files")
    identifiers = [read_file(Path(name)) for name in args.queryfile] or [Dataset()]
    return [complete(identifier, keys, args.model) for identifier in identifiers]


def read_file(path: Path) -> Dataset:
    """The data set of a query file.

    Raises:
        UsageError: it is not there, or none that can be decoded.
    """
    try:
        ds = pydicom.dcmread(path)
        # Its texts are to mean the same where a key changes the character set.
        ds.decode()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except InvalidDicomError as error:
        raise UsageError(f"{path}: it is not a DICOM file") from error
    except Exception as error:  # whatever pydicom makes of a damaged file
        raise UsageError(f"{path}: it cannot be decoded: {error}") from error
    return Dataset({**dict(ds.items())})


def complete(identifier: Dataset, keys: Sequence[Key], model: QueryModel | str | None) -> Query:
    """A query with the keys of the command line.

    Raises:
        UsageError: a key does not fit, or the query cannot be encoded.
    """
    for key in keys:
        try:
            assign(identifier, key)
        except ValueError as error:
            raise UsageError(f"option -k: {error}") from error
    settle_character_set(identifier, keys)
    try:
        encode(identifier, ExplicitVRLittleEndian)
    except InvalidInstance as error:
        raise UsageError(f"the query cannot be sent: {error}") from error
    level = str(identifier.get("QueryRetrieveLevel") or "")
    model = model or (PATIENT_ROOT if level == "PATIENT" else STUDY_ROOT)
    if isinstance(model, QueryModel) and model.levels and level not in model.levels:
        said = f"Query/Retrieve Level {printable(level)!r}" if level else "no Query/Retrieve Level"
        logger.warning("the query has %s; %s knows %s", said, model.name, ", ".join(model.levels))
    return Query(identifier, model)


def settle_character_set(identifier: Dataset, keys: Sequence[Key]) -> None:
    """Sees to it that the character set of a query has the characters of the keys (PS3.5 6.1.2.3).

    Raises:
        UsageError: it has not.
    """
    foreign = [key for key in keys if not key.value.isascii()]
    if foreign and not identifier.get("SpecificCharacterSet"):
        identifier.SpecificCharacterSet = UTF8
    for key in foreign:
        try:
            with warnings.catch_warnings():
                # Of what a character set does not have pydicom only warns, and sends question marks.
                warnings.simplefilter("error")
                encode_string(key.value, convert_encodings(identifier.SpecificCharacterSet))
        except (UserWarning, ValueError, LookupError) as error:
            value, declared = printable(key.value), identifier.SpecificCharacterSet
            raise UsageError(f"option -k: {key}: {value!r} cannot be written in {declared}") from error
