"""The archive, where what it needs is installed."""

from typing import TYPE_CHECKING

from dicomio.cli.errors import UsageError

if TYPE_CHECKING:
    from dicomio.archive import Archive

__all__ = ["archive_class"]


def archive_class() -> "type[Archive]":
    """`dicomio.archive.Archive`.

    Raises:
        UsageError: a package that it needs is not there.
    """
    try:
        from dicomio.archive import Archive
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install dicomio[archive]") from error
    return Archive
