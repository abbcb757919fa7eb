"""What Linux tells about a process: memory and processor time."""

import os
import time
from contextlib import suppress
from pathlib import Path

__all__ = [
    "MEASURABLE",
    "PROC",
    "children",
    "cpu_seconds",
    "family_kib",
    "peak_kib",
    "reaped_seconds",
    "reset_peak",
    "rss_kib",
    "sockets",
]

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
    return kib_in(Path(f"/proc/{pid}/status"), name)


def kib_in(path: Path, name: str) -> int:
    """The number in the line of that name."""
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}")


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, user and system, seconds."""
    # clock_getcpuclockid(3), which Python does not have; /proc/PID/stat counts in hundredths of a second only
    return time.clock_gettime((~pid << 3) | 2)


def children(pid: int) -> list[int]:
    """The processes that a process has started, by their ids."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def reaped_seconds(pid: int) -> float:
    """Processor time of the processes that a process has started and seen end, seconds."""
    # proc(5): the name in the second field may contain anything, up to the last bracket; cutime is the 16th field
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def family_kib(pid: int) -> int:
    """Resident memory of a process and its proportional share of that of the processes it has started, KiB."""
    return rss_kib(pid) + sum(pss_kib(child) for child in children(pid))


def pss_kib(pid: int) -> int:
    """Memory of a process, what it has in common with others divided by their number, KiB."""
    return kib_in(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    return sum(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir())
