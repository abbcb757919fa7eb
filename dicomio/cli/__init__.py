"""The `dicomio` command: one subcommand per tool, with the option spellings of the classic toolkit.

Exit codes: 0 all done, 1 the peer or the network said no, 2 wrong usage or unreadable input, 130 interrupted.
"""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one tool.

    Args:
        argv: its name and arguments; those of the process by default.

    Returns:
        The exit code.
    """
    try:
        # Loading takes long enough to be interrupted, too.
        from dicomio.cli import command

        return command.main(argv)
    except KeyboardInterrupt:
        return 130
