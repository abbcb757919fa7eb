"""What values look like: patterns with `*` and `?`, component groups, words of names."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

from dicomio.matching.names import GROUPS, name_words

__all__ = ["Test", "beginnings", "is_pattern", "pattern_test", "same_groups", "some_group"]

Test = Callable[[str], bool]


def is_pattern(text: str) -> bool:
    """Whether there is a wild card in a text (PS3.4 C.2.2.2.4)."""
    return "*" in text or "?" in text


def glob(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern; that of `translate` tries each `*` once, so hostile ones cost no more."""
    return re.compile(translate(pattern.replace("[", "[[]")))


def pattern_test(pattern: str, vr: str) -> Test:
    """A test whether a value, or a component group of a name, looks like a pattern."""
    match = glob(pattern).match
    carets = pattern.count("^")

    def value_matches(text: str) -> bool:
        return match(text) is not None

    def group_matches(group: str) -> bool:
        # Components at the end of a name that are empty may have been left out.
        return match(group) is not None or match(group + "^" * (carets - group.count("^"))) is not None

    return group_matches if vr == "PN" and carets else value_matches


def beginnings(group: str) -> Test:
    """A test whether there are words of a name that begin as those of a component group do."""
    words = [glob(word if is_pattern(word) else f"{word}*").match for word in name_words(group)]

    def group_matches(candidate: str) -> bool:
        known = name_words(candidate)
        return all(any(map(match, known)) for match in words)

    return group_matches


def some_group(tests: Sequence[Test], name: str) -> bool:
    """Whether component groups pass their tests: several are meant one by one, a single one for each of them."""
    groups = name.split("=", GROUPS)[:GROUPS]
    if len(tests) == 1:
        return any(map(tests[0], filter(None, groups)))
    groups += [""] * (GROUPS - len(groups))
    return all(test(group) for test, group in zip(tests, groups, strict=False))


def same_groups(wanted: str, name: str) -> bool:
    """Whether a name has these component groups: an empty one is not compared, a single one may be any of them."""
    if "=" not in wanted:
        return wanted in name.split("=")
    groups = name.split("=")
    groups += [""] * (GROUPS - len(groups))
    return all(want in ("", group) for want, group in zip(wanted.split("="), groups, strict=False))
