"""Data sets between bytes and `pydicom.Dataset`."""

import zlib
from io import BytesIO
from typing import BinaryIO, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dicomio.config import Limits
from dicomio.datasets.elements import UNDEFINED, check_structure, sniff_implicit
from dicomio.datasets.plain import encode_plain
from dicomio.datasets.raw import raw_data_set
from dicomio.datasets.syntax import UNCOMPRESSED, Encoding, encoding_of
from dicomio.datasets.transcode import transcode
from dicomio.errors import InvalidInstance

__all__ = ["decode", "deflate", "encode", "inflate", "inflate_prefix"]

DEFAULT_LIMITS = Limits()
PIXEL_DATA = 0x7FE00010
ITEM = b"\xfe\xff\x00\xe0"

# Nobody's limits apply to what is sent; pydicom's recursion ends earlier.
ENCODED_NESTING = 1_000

# A small data set may rightly shrink by more than the ratio, and does no harm at this size.
INFLATE_FLOOR = 16 * 1024 * 1024


def inflate(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Undoes the compression of a deflated transfer syntax (PS3.5 A.5).

    Args:
        data: the deflated data set.
        limits: `data_set` and `inflate_ratio` bound the result.

    Raises:
        InvalidInstance: when the stream is damaged, ends early, or grows beyond the limits.
    """
    most = min(limits.data_set, max(INFLATE_FLOOR, limits.inflate_ratio * len(data)))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise InvalidInstance(f"the deflated data set is damaged: {error}") from error
    if len(inflated) > most:
        raise InvalidInstance(f"the deflated data set of {len(data)} bytes grows beyond {most} bytes")
    if not stream.eof:
        raise InvalidInstance(f"the deflated data set of {len(data)} bytes ends early")
    return inflated


def inflate_prefix(data: bytes, most: int) -> bytes:
    """As much of the beginning of a deflated data set as can be had, at most `most` bytes."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most)
    except zlib.error as error:
        raise InvalidInstance(f"the deflated data set is damaged: {error}") from error


def deflate(data: bytes) -> bytes:
    """Compresses an encoded data set without zlib header, padded to even length (PS3.5 A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = stream.compress(data) + stream.flush()
    return deflated + b"\0" if len(deflated) % 2 else deflated


def decode(data: bytes | memoryview, transfer_syntax: str, limits: Limits = DEFAULT_LIMITS) -> Dataset:
    """Decodes a data set; values are decoded when they are looked at.

    Args:
        data: the encoded data set, without file meta information.
        transfer_syntax: UID of the transfer syntax it is encoded in.
        limits: `data_set`, `nesting` and `inflate_ratio` apply.

    Raises:
        InvalidInstance: when it is not such a data set, or goes beyond the limits.
    """
    if len(data) > limits.data_set:
        raise InvalidInstance(f"the data set of {len(data)} bytes is longer than {limits.data_set} bytes")
    encoding = encoding_of(transfer_syntax)
    plain = inflate(data, limits) if encoding.deflated else data
    found = sniff_implicit(plain, 0, len(plain))
    nesting = limits.nesting
    if found is not None:
        ds = raw_data_set(plain, found, encoding.little, checked=False, nesting=nesting)
        if ds is not None:
            return ds
    implicit = check_structure(plain, encoding, nesting)
    if (ds := raw_data_set(plain, implicit, encoding.little, checked=True, nesting=nesting)) is not None:
        return ds
    try:
        return read_dataset(cast("BinaryIO", BytesIO(plain)), implicit, encoding.little)
    except Exception as error:  # whatever pydicom makes of hostile bytes
        raise InvalidInstance(f"the data set cannot be decoded: {error}") from error


def encode(ds: Dataset, transfer_syntax: str) -> bytes:
    """Encodes a data set, without its file meta information.

    Args:
        ds: text is encoded as its Specific Character Set (0008,0005) says.
        transfer_syntax: UID of the transfer syntax to encode in; Pixel Data must be in it already.

    Raises:
        InvalidInstance: when a value cannot be encoded, or the Pixel Data are not of this transfer syntax.
    """
    encoding = encoding_of(transfer_syntax)
    data = encode_plain(ds, encoding)
    if data is None:
        data = encode_any(ds, transfer_syntax, encoding)
    return deflate(data) if encoding.deflated else data


def encode_any(ds: Dataset, transfer_syntax: str, encoding: Encoding) -> bytes:
    """Encodes whatever pydicom can encode, not yet deflated."""
    plain = ds[0x00080000:]
    if PIXEL_DATA in plain:
        check_pixel_data(plain, transfer_syntax, encoding)
    # pydicom does not swap the bytes of OW and its like, so it writes in the byte order these values are in.
    little = ds.original_encoding[1] is not False
    native = encoding if little == encoding.little else Encoding(implicit=False, little=little)
    try:
        data = write(plain, native)
        return data if native is encoding else transcode(data, native, encoding, ENCODED_NESTING)
    except Exception as error:  # pydicom raises whatever a wrong value leads to
        raise InvalidInstance(f"the data set cannot be encoded: {error}") from error


def write(ds: Dataset, encoding: Encoding) -> bytes:
    """Lets pydicom encode."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding.implicit, encoding.little
    write_dataset(buffer, ds)
    return buffer.getvalue()


def check_pixel_data(ds: Dataset, transfer_syntax: str, encoding: Encoding) -> None:
    """Pixel Data are fragments in an encapsulated transfer syntax, and only there (PS3.5 A.4)."""
    element = ds.get_item(PIXEL_DATA)
    fragments = element.length == UNDEFINED if isinstance(element, RawDataElement) else element.is_undefined_length
    if transfer_syntax in UNCOMPRESSED and fragments:
        raise InvalidInstance(f"the Pixel Data are compressed, transfer syntax {transfer_syntax} is not")
    if encoding.encapsulated and not fragments:
        value = element.value
        if not isinstance(value, bytes) or not value.startswith(ITEM):
            raise InvalidInstance(f"the Pixel Data are not encapsulated as transfer syntax {transfer_syntax} demands")
        ds[PIXEL_DATA] = DataElement(PIXEL_DATA, "OB", value, is_undefined_length=True)
