"""The DICOM file format: preamble and file meta information (PS3.10 7.1), and names for files."""

import hashlib
import re
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from dicomio.datasets.syntax import encoding_of
from dicomio.errors import InvalidInstance

__all__ = ["FileMeta", "file_header", "parse_file_meta", "safe_name"]

HEADER = Struct("<HH2sH")
UL = Struct("<L")
PREAMBLE = bytes(128) + b"DICM"

# PS3.5 7.1.2: these carry two reserved bytes and a length of 32 bits
LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})

# A dot or dash at either end, and all letters, may mean something to a file system or a shell.
PLAIN_UID = re.compile(r"[0-9](?:[0-9.]{0,62}[0-9])?")


class FileMeta(NamedTuple):
    """What the file meta information says; an empty text where it says nothing.

    Args:
        sop_class_uid: Media Storage SOP Class UID (0002,0002).
        sop_instance_uid: Media Storage SOP Instance UID (0002,0003).
        transfer_syntax: Transfer Syntax UID (0002,0010).
        end: where the data set begins, bytes from the start.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    end: int


def parse_file_meta(head: bytes, start: int) -> FileMeta | None:
    """Reads the elements of group 0002, always Explicit VR Little Endian (PS3.10 7.1).

    Args:
        head: the beginning of a file.
        start: where the first element is, 132 behind a preamble.

    Returns:
        What was found, or `None` when `head` ends before group 0002 does.

    Raises:
        InvalidInstance: when a UID is not made of ASCII characters.
    """
    position, size, declared_end = start, len(head), -1
    uids = {0x02: "", 0x03: "", 0x10: ""}
    while position + 8 <= size:
        group, element, vr, length = HEADER.unpack_from(head, position)
        # A deflated data set may begin with any bytes, so there the group length has to be believed.
        if group != 2 or (position == declared_end and encoding_of(uids[0x10]).deflated):
            break
        position += 8
        if vr in LONG_VRS:
            if position + 4 > size:
                return None
            (length,) = UL.unpack_from(head, position)
            position += 4
        value, position = position, position + length
        if position > size:
            return None
        if element in uids:
            uids[element] = text_of_uid(head[value:position])
        elif element == 0 and length == 4:
            declared_end = position + UL.unpack_from(head, value)[0]
    else:
        if position != size:
            return None
    return FileMeta(uids[0x02], uids[0x03], uids[0x10], position)


def text_of_uid(value: bytes) -> str:
    """A UID without the padding that PS3.5 6.2 (NUL) or real peers (spaces) put behind it."""
    try:
        return value.strip(b"\0 ").decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInstance(f"{value[:64]!r} is not a UID") from None


def short_element(element: int, vr: bytes, value: bytes) -> bytes:
    """One element of group 0002 with a length of 16 bits, padded to even length (PS3.5 6.2, 7.1.2)."""
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    if len(value) > 0xFFFE:
        raise InvalidInstance(f"a value of {len(value)} bytes is too long for (0002,{element:04X})")
    return HEADER.pack(2, element, vr, len(value)) + value


def uid_element(element: int, uid: str) -> bytes:
    """A UID of group 0002."""
    return short_element(element, b"UI", uid.encode("ascii", "replace"))


@lru_cache(maxsize=256)
def class_element(sop_class_uid: str) -> bytes:
    """File Meta Information Version (0002,0001) and Media Storage SOP Class UID (0002,0002)."""
    version = HEADER.pack(2, 1, b"OB", 0) + UL.pack(2) + b"\0\1"
    return version + uid_element(0x02, sop_class_uid)


@lru_cache(maxsize=256)
def trailing_elements(
    transfer_syntax: str, sending_ae: str, receiving_ae: str, implementation_class_uid: str, version_name: str
) -> bytes:
    """What follows Media Storage SOP Instance UID; the same for every object of an association."""
    parts = [uid_element(0x10, transfer_syntax), uid_element(0x12, implementation_class_uid)]
    if version_name:
        parts.append(short_element(0x13, b"SH", version_name.encode("ascii", "replace")[:16]))
    for element, ae_title in ((0x17, sending_ae), (0x18, receiving_ae)):
        if ae_title:
            parts.append(short_element(element, b"AE", ae_title.encode("ascii", "replace")[:16]))
    return b"".join(parts)


def file_header(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax: str,
    implementation_class_uid: str,
    implementation_version_name: str,
    sending_ae: str = "",
    receiving_ae: str = "",
) -> bytes:
    """Everything in front of the data set in a DICOM file (PS3.10 7.1): zeros, `DICM` and group 0002.

    Args:
        sop_class_uid: Media Storage SOP Class UID (0002,0002).
        sop_instance_uid: Media Storage SOP Instance UID (0002,0003).
        transfer_syntax: Transfer Syntax UID (0002,0010), the one the data set is encoded in.
        implementation_class_uid: of the implementation that writes the file (0002,0012).
        implementation_version_name: of the same (0002,0013); left out when empty.
        sending_ae: Sending Application Entity Title (0002,0017); left out when empty.
        receiving_ae: Receiving Application Entity Title (0002,0018); left out when empty.

    Raises:
        InvalidInstance: when a UID does not fit into its element.
    """
    body = (
        class_element(sop_class_uid)
        + uid_element(0x03, sop_instance_uid)
        + trailing_elements(
            transfer_syntax, sending_ae, receiving_ae, implementation_class_uid, implementation_version_name
        )
    )
    return PREAMBLE + HEADER.pack(2, 0, b"UL", 4) + UL.pack(len(body)) + body


def safe_name(uid: str) -> str:
    """A file name for a UID that may come from anywhere.

    Args:
        uid: a UID as received.

    Returns:
        The UID itself, without padding, when it has the characters and the length of one (PS3.5 9.1);
        otherwise `uid-` and 32 hexadecimal digits that depend on all of it.
    """
    uid = uid.rstrip("\0 ")
    if PLAIN_UID.fullmatch(uid):
        return uid
    return f"uid-{hashlib.sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
