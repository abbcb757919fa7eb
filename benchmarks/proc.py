"""What Linux tells about a process in /proc: memory and processor time."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["MEASURABLE", "PROC", "children", "cpu_seconds", "peak_kib", "reset_peak", "rss_kib", "sockets"]

# What a cell needs that uses these functions.
PROC = "/proc/self/status"
MEASURABLE = Path(PROC).exists()


def rss_kib(pid: int) -> int:
    """Resident memory of a process, KiB."""
    return status_kib(pid, "VmRSS")


def peak_kib(pid: int) -> int:
    """The most resident memory that a process has had, since its start or the last `reset_peak`, KiB."""
    return status_kib(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Has the peak start anew; where that is not allowed, the peak is that since the start of the process."""
    with suppress(PermissionError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"/proc/{pid}/status has no {name}")


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, user and system, seconds."""
    # proc(5): the name in the second field may contain anything but ends with the last bracket; utime is the 14th field
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started, by their ids."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    return sum(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir())
