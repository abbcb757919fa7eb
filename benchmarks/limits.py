"""How many files and sockets a process may have open."""

import resource

__all__ = ["allow_open_files"]

# What a process needs beside the sockets in question.
BESIDE = 100


def allow_open_files(sockets: int) -> None:
    """Raises the soft limit of open files so that there is room for so many sockets.

    Raises:
        SystemExit: the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sockets + BESIDE
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise SystemExit(f"{needed} open files are needed, the limit is {hard} (ulimit -Hn)")
    if needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
