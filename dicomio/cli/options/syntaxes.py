"""Options that prefer a transfer syntax, for senders and receivers."""

from collections.abc import Iterable
from typing import Final

from dicomio import sop
from dicomio.cli.options.table import Option
from dicomio.cli.options.tools import SYNTAX

__all__ = ["syntax_options"]

UNCOMPRESSED: Final = (sop.ExplicitVRLittleEndian, sop.ExplicitVRBigEndian, sop.ImplicitVRLittleEndian)

# Letter, long name, what it is, and the transfer syntax that comes before the uncompressed ones.
COMPRESSED: Final = (
    ("s", "lossless", "JPEG lossless", "1.2.840.10008.1.2.4.70"),
    ("y", "jpeg8", "JPEG lossy for 8 bit data", "1.2.840.10008.1.2.4.50"),
    ("x", "jpeg12", "JPEG lossy for 12 bit data", "1.2.840.10008.1.2.4.51"),
    ("v", "j2k-lossless", "JPEG 2000 lossless", "1.2.840.10008.1.2.4.90"),
    ("w", "j2k-lossy", "JPEG 2000 lossy", "1.2.840.10008.1.2.4.91"),
    ("t", "jls-lossless", "JPEG-LS lossless", "1.2.840.10008.1.2.4.80"),
    ("u", "jls-lossy", "JPEG-LS lossy", "1.2.840.10008.1.2.4.81"),
    ("m", "mpeg2", "MPEG2 Main Profile @ Main Level", "1.2.840.10008.1.2.4.100"),
    ("h", "mpeg2-high", "MPEG2 Main Profile @ High Level", "1.2.840.10008.1.2.4.101"),
    ("n", "mpeg4", "MPEG4 AVC/H.264 High Profile / Level 4.1", "1.2.840.10008.1.2.4.102"),
    ("l", "mpeg4-bd", "MPEG4 AVC/H.264 BD-compatible", "1.2.840.10008.1.2.4.103"),
    ("2", "mpeg4-2-2d", "MPEG4 AVC/H.264 High Profile / Level 4.2, 2D", "1.2.840.10008.1.2.4.104"),
    ("3", "mpeg4-2-3d", "MPEG4 AVC/H.264 High Profile / Level 4.2, 3D", "1.2.840.10008.1.2.4.105"),
    ("o", "mpeg4-2-st", "MPEG4 AVC/H.264 Stereo / Level 4.2", "1.2.840.10008.1.2.4.106"),
    ("4", "hevc", "HEVC/H.265 Main Profile / Level 5.1", "1.2.840.10008.1.2.4.107"),
    ("5", "hevc10", "HEVC/H.265 Main 10 Profile / Level 5.1", "1.2.840.10008.1.2.4.108"),
    ("r", "rle", "RLE lossless", "1.2.840.10008.1.2.5"),
    ("d", "deflated", "deflated Explicit VR Little Endian", "1.2.840.10008.1.2.1.99"),
)


def syntax_options(sign: str, verb: str, tool: str, implicit: str) -> Iterable[Option]:
    """The options that prefer a transfer syntax: `-x…` of a sender, `+x…` of a receiver."""
    explicit, big, little = UNCOMPRESSED
    choices = [
        ("=", f"{verb}-uncompr", f"{verb} uncompressed, Explicit VR Little Endian first", UNCOMPRESSED),
        ("e", f"{verb}-little", f"{verb} Explicit VR Little Endian", UNCOMPRESSED),
        ("b", f"{verb}-big", f"{verb} Explicit VR Big Endian", (big, explicit, little)),
        ("i", implicit, f"{verb} Implicit VR Little Endian only", (little,)),
    ]
    for letter, name, meaning, uid in COMPRESSED:
        choices.append((letter, f"{verb}-{name}", f"{verb} {meaning}", (uid, *UNCOMPRESSED)))
    for letter, name, meaning, syntaxes in choices:
        spellings = (f"{sign}x{letter}", f"--{name}")
        yield Option(spellings, meaning, (tool,), SYNTAX, name="transfer_syntaxes", const=syntaxes)
