"""Which entities match the identifier of a C-FIND request, and what to answer for them (PS3.4 C.2.2.2).

Pure functions on data sets: `matches` and `project`, `compile_query` for many candidates. The kinds of matching are
values, which `parse_key` makes of the elements of an identifier: an archive may translate them for its database instead
of calling them. `comparable` gives the values of candidates in the form in which keys compare them.
"""

from dicomio.matching.keys import (
    CombinedRange,
    Empty,
    FuzzyName,
    Key,
    Keys,
    Range,
    SequenceKey,
    Single,
    UIDList,
    Universal,
    Values,
    Wildcard,
)
from dicomio.matching.options import InvalidKey, MatchOptions
from dicomio.matching.parse import parse_key
from dicomio.matching.query import Query, compile_query, matches, project
from dicomio.matching.values import comparable

__all__ = [
    "CombinedRange",
    "Empty",
    "FuzzyName",
    "InvalidKey",
    "Key",
    "Keys",
    "MatchOptions",
    "Query",
    "Range",
    "SequenceKey",
    "Single",
    "UIDList",
    "Universal",
    "Values",
    "Wildcard",
    "comparable",
    "compile_query",
    "matches",
    "parse_key",
    "project",
]
