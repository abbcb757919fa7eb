"""How a transfer syntax encodes a data set (PS3.5 Annex A)."""

from typing import NamedTuple

__all__ = [
    "DEFLATED",
    "EXPLICIT_BE",
    "EXPLICIT_LE",
    "IMPLICIT_LE",
    "UNCOMPRESSED",
    "Encoding",
    "encoding_of",
]

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"


class Encoding(NamedTuple):
    """What is needed to read or write the elements of a data set.

    Args:
        implicit: value representations are left out (PS3.5 7.1.3).
        little: little endian byte order (PS3.5 7.3).
        deflated: the whole data set is deflated (PS3.5 A.5).
        encapsulated: Pixel Data are fragments (PS3.5 A.4).
    """

    implicit: bool = False
    little: bool = True
    deflated: bool = False
    encapsulated: bool = False


# The transfer syntaxes in which every element is readable as it stands, best target of a conversion first.
UNCOMPRESSED = {
    EXPLICIT_LE: Encoding(),
    IMPLICIT_LE: Encoding(implicit=True),
    DEFLATED: Encoding(deflated=True),
    EXPLICIT_BE: Encoding(little=False),
}

OTHERS = {
    "1.2.840.10008.1.2.4.95": Encoding(deflated=True),  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.205": Encoding(deflated=True),  # JPIP HTJ2K Referenced Deflate
    "1.2.840.10008.1.2.4.94": Encoding(),  # JPIP Referenced
    "1.2.840.10008.1.2.4.204": Encoding(),  # JPIP HTJ2K Referenced
}

ENCAPSULATED = Encoding(encapsulated=True)


def encoding_of(transfer_syntax: str) -> Encoding:
    """How this transfer syntax encodes; one that is unknown is taken for encapsulated (PS3.5 A.4)."""
    return UNCOMPRESSED.get(transfer_syntax) or OTHERS.get(transfer_syntax) or ENCAPSULATED
