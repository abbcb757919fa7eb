"""Conversions between transfer syntaxes that lose nothing the source still has."""

from collections.abc import Iterable
from dataclasses import replace

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from dicomio.config import Limits
from dicomio.datasets.codec import DEFAULT_LIMITS, decode, deflate, encode, inflate
from dicomio.datasets.instance import Instance
from dicomio.datasets.syntax import EXPLICIT_LE, UNCOMPRESSED, Encoding
from dicomio.datasets.transcode import transcode
from dicomio.errors import InvalidInstance

__all__ = ["convert", "convertible"]

# Reversible compression that pydicom can encode, if need be with a plug-in; best target first.
LOSSLESS = (
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless Only
    "1.2.840.10008.1.2.5",  # RLE Lossless: always available
)


def convertible(source: str, targets: Iterable[str]) -> str | None:
    """Which of the transfer syntaxes a data set can be converted to without loss.

    Args:
        source: UID of the transfer syntax of the data set.
        targets: UIDs of those it could be sent in.

    Returns:
        The best of them, the source itself if it is among them; `None` when there is no way, and never a
        transfer syntax that would need lossy compression.
    """
    offered = frozenset(targets)
    if source in offered:
        return source
    if source not in UNCOMPRESSED and not can_decompress(source):
        return None
    for target in UNCOMPRESSED:
        if target in offered:
            return target
    if source in UNCOMPRESSED:
        for target in LOSSLESS:
            if target in offered and get_encoder(target).is_available:
                return target
    return None


def can_decompress(transfer_syntax: str) -> bool:
    """Whether pydicom has a decoder that works here and now."""
    try:
        return bool(get_decoder(transfer_syntax).is_available)
    except (NotImplementedError, ValueError):
        return False


def convert(instance: Instance, target: str, limits: Limits = DEFAULT_LIMITS) -> Instance:
    """Converts an instance to another transfer syntax, in memory.

    The SOP Instance UID stays, since no pixel changes its value. Decompressed YBR images become RGB.

    Args:
        instance: what to convert.
        target: UID of a transfer syntax that `convertible` finds.
        limits: `data_set` bounds source and result, `nesting` and `inflate_ratio` apply.

    Raises:
        InvalidInstance: when it cannot be converted, or is larger than the limits allow.
        OSError: when the file cannot be read.
    """
    source = instance.transfer_syntax
    if source == target:
        return instance
    if convertible(source, (target,)) is None:
        raise InvalidInstance(f"transfer syntax {source} cannot be converted to {target}")
    if instance.length > limits.data_set:
        raise InvalidInstance(
            f"the data set of {instance.length} bytes is longer than {limits.data_set} bytes, "
            f"which is the most that is converted to transfer syntax {target}"
        )
    data = instance.read()
    if source not in UNCOMPRESSED:
        data, source = decompress(data, source, limits), EXPLICIT_LE
    data = recode(data, source, target, limits) if target in UNCOMPRESSED else compress(data, source, target, limits)
    return replace(instance, transfer_syntax=target, path=None, offset=0, length=len(data), data=data)


def recode(data: bytes, source: str, target: str, limits: Limits) -> bytes:
    """From one uncompressed transfer syntax to another."""
    before, after = UNCOMPRESSED[source], UNCOMPRESSED[target]
    if before.deflated:
        data = inflate(data, limits)
    if before._replace(deflated=False) != after._replace(deflated=False):
        data = recoded(data, before, after, limits.nesting)
    return deflate(data) if after.deflated else data


def recoded(data: bytes, before: Encoding, after: Encoding, nesting: int) -> bytes:
    """`transcode`, for limits that allow more nesting than the interpreter does."""
    try:
        return transcode(data, before, after, nesting)
    except RecursionError:
        raise InvalidInstance("sequences are nested too deep to be converted") from None


def with_syntax(ds: Dataset, transfer_syntax: str) -> Dataset:
    """The data set with the file meta information that pydicom's codecs look at."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return ds


def decompress(data: bytes, source: str, limits: Limits) -> bytes:
    """The data set in Explicit VR Little Endian with native Pixel Data."""
    ds = with_syntax(decode(data, source, limits), source)
    if "PixelData" in ds:
        size = decompressed_size(ds)
        if size > limits.data_set:
            raise InvalidInstance(f"decompressed Pixel Data of {size} bytes are more than {limits.data_set} bytes")
        try:
            ds.decompress(generate_instance_uid=False)
        except Exception as error:  # whatever a decoder makes of hostile bytes
            raise InvalidInstance(f"the Pixel Data cannot be decompressed: {error}") from error
    return encode(ds, EXPLICIT_LE)


def decompressed_size(ds: Dataset) -> int:
    """How many bytes the Pixel Data will have (PS3.3 C.7.6.3)."""
    try:
        cells = int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel") or 1)
        return cells * int(ds.get("NumberOfFrames") or 1) * int(ds.BitsAllocated) // 8
    except Exception as error:
        raise InvalidInstance(f"the size of the image cannot be told: {error}") from error


def compress(data: bytes, source: str, target: str, limits: Limits) -> bytes:
    """The data set with losslessly compressed Pixel Data."""
    ds = with_syntax(decode(recode(data, source, EXPLICIT_LE, limits), EXPLICIT_LE, limits), EXPLICIT_LE)
    if "PixelData" not in ds:
        raise InvalidInstance(f"there are no Pixel Data to compress with transfer syntax {target}")
    try:
        ds.compress(target, generate_instance_uid=False)
    except Exception as error:  # an image that the encoder does not take
        raise InvalidInstance(f"the Pixel Data cannot be compressed with {target}: {error}") from error
    return encode(ds, target)
