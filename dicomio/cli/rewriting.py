"""What receivers do to data sets that are not to be written as they came."""

import zlib
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from dicomio import Instance, InvalidInstance, Limits
from dicomio.cli.errors import UsageError
from dicomio.datasets import convert, decode, encode
from dicomio.sop import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

__all__ = ["Rewriting"]

UNCOMPRESSED: Final = frozenset(
    {DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian}
)
DATA_SET_TRAILING_PADDING: Final = 0xFFFCFFFC
USUAL_LEVEL: Final = 6

# Options that mean nothing where data sets are written as they came.
OPTIONS: Final = {
    "write_transfer_syntax": "+t",
    "undefined_lengths": "+e and -e",
    "group_length_remove": "-g",
    "padding": "+p and -p",
    "convert_un": "+uc and -uc",
    "compression_level": "+cl",
}


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How data sets are encoded anew.

    Args:
        transfer_syntax: UID for what comes uncompressed; `None` for the one it comes in.
        undefined: sequences and items get undefined lengths, not explicit ones.
        padding: the file, and each item, has a multiple of so many bytes; `None` for no padding.
        known: elements of VR UN get the VR that the dictionary has.
        level: of deflation, 0 to 9.
    """

    transfer_syntax: str | None = None
    undefined: bool = False
    padding: tuple[int, int] | None = None
    known: bool = False
    level: int = USUAL_LEVEL

    @classmethod
    def wanted(cls, args: Namespace) -> Self | None:
        """What the command line asks for; `None` where data sets are written as they came.

        Raises:
            UsageError: options contradict each other.
        """
        given = [spelling for name, spelling in OPTIONS.items() if getattr(args, name, None) is not None]
        if args.bit_preserving and given:
            raise UsageError(f"option +B leaves nothing for {', '.join(given)}")
        if not given:
            return cls() if args.bit_preserving is False else None
        transfer_syntax = args.write_transfer_syntax or None
        deflates = transfer_syntax in (None, DeflatedExplicitVRLittleEndian)
        if args.compression_level is not None and not deflates:
            raise UsageError("option +cl needs +td or +t=")
        padding = args.padding or None
        if padding is not None and (not args.header or transfer_syntax == DeflatedExplicitVRLittleEndian):
            raise UsageError("option +p is not for -F and +td")
        level = USUAL_LEVEL if args.compression_level is None else args.compression_level
        return cls(transfer_syntax, bool(args.undefined_lengths), padding, bool(args.convert_un), level)

    def target(self, transfer_syntax: str) -> str:
        """The transfer syntax that an object is written in: compressed ones stay in theirs.

        Args:
            transfer_syntax: the one it comes in.
        """
        wanted = self.transfer_syntax or transfer_syntax
        return wanted if transfer_syntax in UNCOMPRESSED else transfer_syntax

    def rewrite(self, instance: Instance, before: int, limits: Limits) -> tuple[Instance, Dataset]:
        """Encodes a data set anew.

        Args:
            instance: as it came.
            before: bytes that stand before the data set in its file.
            limits: bound what it may grow to.

        Returns:
            The result, and what was encoded.

        Raises:
            InvalidInstance: it cannot be decoded or encoded, or grows too long.
        """
        target = self.target(instance.transfer_syntax)
        deflated = target == DeflatedExplicitVRLittleEndian
        plain = ExplicitVRLittleEndian if deflated else target
        source = convert(instance, plain, limits)
        ds = decode(source.read(), plain, limits)
        work = Work(self, plain, limits.data_set - source.length)
        work.shape(ds)
        if self.padding is not None and not deflated:
            work.pad(ds, before, self.padding[0])
        data = encode(ds, plain)
        if deflated:
            data = deflate(data, self.level)
        return Instance.from_bytes(instance.sop_class_uid, instance.sop_instance_uid, target, data), ds


class Work:
    """One data set that is being changed.

    Args:
        rewriting: how.
        transfer_syntax: UID of the one it is encoded in, not a deflated one.
        room: bytes that may be added.
    """

    def __init__(self, rewriting: Rewriting, transfer_syntax: str, room: int) -> None:
        self.rewriting = rewriting
        self.transfer_syntax = transfer_syntax
        self.room = room

    def shape(self, ds: Dataset) -> None:
        """Applies what is wanted to a data set, and to everything in it."""
        ds.pop(DATA_SET_TRAILING_PADDING, None)
        if self.rewriting.known:
            for tag in [element.tag for element in raw_elements(ds) if element.VR == "UN"]:
                # pydicom gives it its VR when it is looked at
                ds[tag]
        for tag in [element.tag for element in raw_elements(ds) if is_sequence(element)]:
            element = ds[tag]
            if element.VR != "SQ":
                continue
            element.is_undefined_length = self.rewriting.undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = self.rewriting.undefined
                self.shape(item)
                if self.rewriting.padding is not None:
                    self.pad(item, 0, self.rewriting.padding[1])

    def pad(self, ds: Dataset, before: int, multiple: int) -> None:
        """Adds Data Set Trailing Padding (PS3.10 7.2) up to a multiple of so many bytes.

        Raises:
            InvalidInstance: there is no room for it.
        """
        if not multiple:
            return
        header = 8 if self.transfer_syntax == ImplicitVRLittleEndian else 12
        missing = -(before + len(encode(ds, self.transfer_syntax)) + header) % multiple
        self.room -= header + missing
        if self.room < 0:
            raise InvalidInstance("the data set grows too long by padding")
        ds.add_new(DATA_SET_TRAILING_PADDING, "OB", bytes(missing))


def raw_elements(ds: Dataset) -> Iterator[DataElement | RawDataElement]:
    """The elements, their values not looked at: what stays encoded stays as it is."""
    for tag in list(ds.keys()):
        yield ds.get_item(tag)


def is_sequence(element: DataElement | RawDataElement) -> bool:
    """Whether it is a sequence, by its VR or, where that is not encoded, by the dictionary."""
    if element.VR is None:
        return dictionary_has_tag(element.tag) and dictionary_VR(element.tag) == "SQ"
    return element.VR == "SQ"


def deflate(data: bytes, level: int) -> bytes:
    """Compresses an encoded data set without zlib header, padded to even length (PS3.5 A.5)."""
    stream = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    deflated = stream.compress(data) + stream.flush()
    return deflated + b"\0" if len(deflated) % 2 else deflated
