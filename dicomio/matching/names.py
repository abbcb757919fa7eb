"""Person names in the forms in which they are compared (PS3.5 6.2.1, PS3.4 C.2.2.2.1)."""

import re
import unicodedata

__all__ = ["GROUPS", "canonical_name", "name_words"]

# alphabetic, ideographic, phonetic (PS3.5 6.2.1.2)
GROUPS = 3

ACCENTS = re.compile("[\u0300-\u036f]")
APOSTROPHES = re.compile("['`\u00b4\u2018\u2019]")
WORD = re.compile(r"[^\s^,.\-]+")

# Letters that are written with another one, or two, where there is no key for them, and that do not decompose.
PLAIN_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "\u0131": "i", "þ": "th", "æ": "ae", "œ": "oe"})


def canonical_name(name: str, ignore_case: bool) -> str:
    """A name without what has no meaning: spaces around components, components and groups at the end that are empty."""
    groups = [canonical_group(group) for group in name.split("=", GROUPS)[:GROUPS]]
    text = "=".join(groups).rstrip("=")
    return folded(text) if ignore_case else text


def canonical_group(group: str) -> str:
    """One component group: `DOE ^JOHN^^^ ` is `DOE^JOHN`."""
    group = group.strip(" \0")
    if " " in group:
        group = "^".join(component.strip() for component in group.split("^"))
    return group.rstrip("^")


def folded(text: str) -> str:
    """A text that is the same in upper and in lower case, however its accents were encoded."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def name_words(group: str) -> list[str]:
    """The words of a component group, without case, accents and apostrophes."""
    plain = ACCENTS.sub("", unicodedata.normalize("NFKD", group)).casefold()
    return WORD.findall(APOSTROPHES.sub("", plain).translate(PLAIN_LETTERS))
