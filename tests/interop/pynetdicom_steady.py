"""Runs a program of pynetdicom, having seen to it that one of its threads does not take the answers of another.

Usage: pynetdicom_steady.py FILE-OR-MODULE ARGUMENT ...

Before it asks, a thread has the one that serves the peer pause. When that one is just going on, the first does not see
it, and the second takes the answer, throws it away, and the first waits for it in vain.
"""

import runpy
import sys
import threading
from typing import Any

from pynetdicom.association import Association


def is_paused(association: Any) -> bool:
    """Whether the thread that serves the peer waits."""
    return bool(association.__dict__.get("_paused"))


def set_paused(association: Any, paused: bool) -> None:
    """Has it go on only if nobody has asked it to wait meanwhile."""
    association._paused = paused
    this: Any = threading.current_thread()
    goes_on = this is association and not paused
    while goes_on and not association._reactor_checkpoint.is_set():
        association._paused = True
        association._reactor_checkpoint.wait()
        association._paused = False


def mend() -> None:
    """Has all associations of this process do so."""
    assert "_is_paused" in Association.__init__.__code__.co_names, "pynetdicom has another way to pause by now"
    Association._is_paused = property(is_paused, set_paused)  # type: ignore[assignment, unused-ignore]


if __name__ == "__main__":
    mend()
    sys.argv = sys.argv[1:]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
