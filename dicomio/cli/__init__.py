"""The `dicomio` command: one subcommand per tool, with the option spellings of the classic toolkit.

Exit codes: 0 all done, 1 the peer or the network said no, 2 wrong usage or unreadable input, 130 interrupted.
"""

from dicomio.cli.command import main

__all__ = ["main"]
