"""The files that the command line names."""

import logging
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dicomio import Instance, InvalidInstance
from dicomio.cli.directories import is_dicomdir, referenced_files
from dicomio.cli.errors import UsageError

__all__ = ["Found", "Unreadable", "named_files", "read_heads"]

logger = logging.getLogger("dicomio.cli.inputs")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to look at.

    Args:
        path: where it is.
        named: the command line names it, rather than a directory it is in.
    """

    path: Path
    named: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be sent.

    Args:
        path: where it is.
        error: why not.
    """

    path: Path
    error: Exception


def named_files(args: Namespace) -> Iterator[Found | Unreadable]:
    """The files among the paths, with `+sd` those in directories, with `+rd` those that DICOMDIRs name.

    Raises:
        UsageError: a path is missing and that is not to be passed over, or a directory is named without `+sd`; or one
            cannot be read.
    """
    for text in args.path:
        path = Path(text)
        if path.is_dir():
            if not args.scan_directories:
                raise UsageError(f"{path} is a directory; +sd sends the files in it")
            yield from files_in(path, args)
        elif args.read_from_dicomdir and is_dicomdir(path):
            yield from files_by(path)
        elif path.exists() or args.no_halt:
            yield Found(path, named=True)
        else:
            raise UsageError(f"{path}: no such file")


def files_in(directory: Path, args: Namespace) -> Iterator[Found]:
    """The files of a directory, and with `+r` of those below it."""
    for parent, directories, names in os.walk(directory, onerror=refuse):
        directories.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and (args.scan_pattern is None or fnmatchcase(name, args.scan_pattern)):
                yield Found(path, named=False)
        if not args.recurse:
            return


def files_by(dicomdir: Path) -> Iterator[Found | Unreadable]:
    """The files that a DICOMDIR names."""
    try:
        for path in referenced_files(dicomdir):
            yield Found(path, named=True)
    except InvalidInstance as error:
        yield Unreadable(dicomdir, error)


def refuse(error: OSError) -> None:
    """A directory that cannot be listed."""
    raise UsageError(f"{error.filename}: {error.strerror}")


def read_heads(
    files: Iterator[Found | Unreadable], most: int, check: Callable[[Instance], None]
) -> list[Instance | Unreadable]:
    """Looks at the next few files; of those found in directories, the ones that are not DICOM are passed over.

    Args:
        files: files to look at.
        most: how many.
        check: raises `InvalidInstance` for an object that is not to be sent.

    Returns:
        What was found; nothing when there are no more.
    """
    heads: list[Instance | Unreadable] = []
    for found in files:
        if isinstance(found, Unreadable):
            heads.append(found)
            continue
        try:
            instance = Instance.open(found.path)
            check(instance)
            heads.append(instance)
        except InvalidInstance as error:
            if found.named:
                heads.append(Unreadable(found.path, error))
            else:
                logger.warning("passed over: %s", error)
        except OSError as error:
            heads.append(Unreadable(found.path, error))
        if len(heads) >= most:
            break
    return heads
