"""Query/Retrieve levels and what an identifier has to say about those above (PS3.4 C.4.1.2, C.4.2.2)."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydicom.dataset import Dataset

from dicomio import PATIENT_ROOT, STUDY_ROOT, QueryModel, Refused, Status
from dicomio.archive.attributes import INSTANCE, PATIENT, SERIES, STUDY
from dicomio.matching import InvalidKey, Key, Single, UIDList, Universal, parse_key
from dicomio.sop import PATIENT_STUDY_ONLY

__all__ = ["FIND_MODELS", "UNIQUE_KEYS", "level_in", "unique_keys_above", "unique_keys_to_retrieve"]

ALL_LEVELS: Final = (PATIENT, STUDY, SERIES, INSTANCE)
FIND_MODELS: Final[Mapping[QueryModel, Sequence[str]]] = {
    PATIENT_ROOT: ALL_LEVELS,
    STUDY_ROOT: ALL_LEVELS[1:],
    PATIENT_STUDY_ONLY: ALL_LEVELS[:2],
}
UNIQUE_KEYS: Final[Mapping[str, str]] = {
    PATIENT: "PatientID",
    STUDY: "StudyInstanceUID",
    SERIES: "SeriesInstanceUID",
    INSTANCE: "SOPInstanceUID",
}


def level_in(identifier: Dataset, model: QueryModel) -> str:
    """The level of an identifier.

    Raises:
        Refused: the model has none of this name.
    """
    level = str(identifier.get("QueryRetrieveLevel") or "").strip()
    if level not in FIND_MODELS.get(model, ()):
        raise Refused(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, f"{model.name} has no level {level[:16]!r}")
    return level


def unique_keys_above(identifier: Dataset, model: QueryModel, level: str, *, required: bool) -> dict[str, Key]:
    """The unique keys of the levels above, each of which has one value (PS3.4 C.4.1.2.1, C.4.2.2.1).

    Args:
        identifier: of the request.
        model: whose levels count.
        level: of the request.
        required: whether all of them have to be there.

    Raises:
        Refused: one is missing, or is not a single value.
    """
    levels = FIND_MODELS[model]
    found: dict[str, Key] = {}
    for keyword in (UNIQUE_KEYS[above] for above in levels[: levels.index(level)]):
        key = key_in(identifier, keyword)
        if isinstance(key, Single):
            found[keyword] = key
        elif required or not isinstance(key, Universal):
            raise Refused(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, f"{keyword} has to be one value at level {level}")
    return found


def unique_keys_to_retrieve(identifier: Dataset, model: QueryModel, level: str) -> dict[str, Key]:
    """The unique keys that say what to retrieve (PS3.4 C.4.2.2.1, C.4.3.2.1): at the level one UID or a list of them.

    Those of the levels above may be missing, as UIDs say enough.

    Raises:
        Refused: a key is missing, or has a value that it must not have.
    """
    keyword = UNIQUE_KEYS[level]
    key = key_in(identifier, keyword)
    if not isinstance(key, Single | UIDList):
        raise Refused(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, f"{keyword} has to say what is wanted at level {level}")
    return unique_keys_above(identifier, model, level, required=False) | {keyword: key}


def key_in(identifier: Dataset, keyword: str) -> Key:
    """What the identifier says for a unique key.

    Raises:
        Refused: it makes no sense.
    """
    try:
        return parse_key(identifier[keyword]) if keyword in identifier else Universal()
    except InvalidKey as error:
        raise Refused(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, str(error)) from error
