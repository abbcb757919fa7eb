"""What an identifier has to say at its level and about those above (PS3.4 C.4.1.2, C.4.2.2)."""

from pydicom.dataset import Dataset

from dicomio import QueryModel, Refused, Status
from dicomio.matching import InvalidKey, Key, Single, UIDList, Universal, parse_key
from dicomio.sop import UNIQUE_KEYS

__all__ = ["level_in", "refused", "unique_keys_above", "unique_keys_to_retrieve"]


def refused(comment: str, tag: int) -> Refused:
    """The error for an identifier that is not one of its SOP class (PS3.4 C.4.1.1.4, C.4.2.1.5, C.4.3.1.4)."""
    return Refused(Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, comment, offending=[tag])


def level_in(identifier: Dataset, model: QueryModel) -> str:
    """The Query/Retrieve Level (0008,0052) of an identifier.

    Raises:
        Refused: the model has none of this name.
    """
    level = str(identifier.get("QueryRetrieveLevel") or "").strip()
    if level not in model.levels:
        raise refused(f"{model.name} has no level {level[:16]!r}", 0x00080052)
    return level


def unique_keys_above(identifier: Dataset, model: QueryModel, level: str, *, required: bool = True) -> dict[int, Key]:
    """The unique keys of the levels above by tag, each of which has one value (PS3.4 C.4.1.2.1, C.4.2.2.1).

    Args:
        identifier: of the request.
        model: whose levels count.
        level: of the request.
        required: whether all of them have to be there.

    Raises:
        Refused: one is missing, or is not a single value.
    """
    found: dict[int, Key] = {}
    for above in model.levels[: model.levels.index(level)]:
        tag = UNIQUE_KEYS[above]
        key = key_in(identifier, tag)
        if isinstance(key, Single):
            found[tag] = key
        elif required or not isinstance(key, Universal):
            raise refused(f"the unique key of level {above} has to be one value", tag)
    return found


def unique_keys_to_retrieve(identifier: Dataset, model: QueryModel, level: str) -> dict[int, Key]:
    """The unique keys by tag that say what to retrieve (PS3.4 C.4.2.2.1, C.4.3.2.1): at the level one or several.

    Those of the levels above may be missing, as UIDs say enough.

    Raises:
        Refused: a key is missing, or has a value that it must not have.
    """
    tag = UNIQUE_KEYS[level]
    key = key_in(identifier, tag)
    if not isinstance(key, Single | UIDList):
        raise refused(f"the unique key of level {level} has to say what is wanted", tag)
    return unique_keys_above(identifier, model, level, required=False) | {tag: key}


def key_in(identifier: Dataset, tag: int) -> Key:
    """What the identifier says for a unique key.

    Raises:
        Refused: it makes no sense.
    """
    try:
        return parse_key(identifier[tag]) if tag in identifier else Universal()
    except InvalidKey as error:
        raise refused(str(error), tag) from error
