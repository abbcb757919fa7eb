"""Where files are made: in memory, on a disk, and how to tell one from the other."""

import tempfile
from pathlib import Path
from shutil import disk_usage
from typing import Final

__all__ = ["default_directory", "default_disk", "file_system"]

MEMORY_FILES: Final = Path("/dev/shm")
MOUNTS: Final = Path("/proc/self/mounts")
IN_MEMORY: Final = ("tmpfs", "ramfs")
# What objects take, as they are sent and as they are stored, and some room.
TIMES_SIZE: Final = 3


def default_directory(size: int) -> Path:
    """Memory where Linux has a file system there and it is large enough, else the directory for temporary files.

    Args:
        size: of all objects that are there at the same time, bytes.
    """
    if MEMORY_FILES.is_dir() and disk_usage(MEMORY_FILES).free > TIMES_SIZE * size:
        return MEMORY_FILES
    return Path(tempfile.gettempdir())


def default_disk() -> Path:
    """The directory for temporary files, or the current one, whichever is not in memory."""
    candidates = [Path(tempfile.gettempdir()), Path.cwd()]
    return next((path for path in candidates if file_system(path) not in IN_MEMORY), candidates[-1])


def file_system(path: Path) -> str:
    """The type of the file system that a directory is on, where Linux tells."""
    if not MOUNTS.exists():
        return "unknown"
    mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    above = [(place, kind) for _, place, kind, *_ in mounts if path.resolve().is_relative_to(place)]
    return max(above, key=lambda mount: len(mount[0]))[1] if above else "unknown"
