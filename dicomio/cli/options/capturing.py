"""Tools that look at captures, record conversations and play them back."""

from typing import Final

from dicomio.cli.options.table import Argument, Option

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final[tuple[Argument, ...]] = ()

OPTIONS: Final[tuple[Option, ...]] = ()
