"""The error of the command itself."""

__all__ = ["UsageError"]


class UsageError(Exception):
    """Wrong usage, or input that cannot be read: one line on stderr, and exit code 2."""
