"""Several processes that serve one port: started, watched, replaced and stopped together."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Final

__all__ = ["reserve_port", "supervise"]

logger = logging.getLogger("dicomio.server")

# A worker that lives no longer than so many seconds is replaced with a pause that doubles each time.
SHORT_LIFE: Final = 5.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
# Seconds after which the workers are looked at even without a signal.
GLANCE: Final = 0.5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


class Worker:
    """One place for a process that serves."""

    def __init__(self, number: int, serve: Callable[[], None]) -> None:
        self.number = number
        self.serve = serve
        self.process: BaseProcess | None = None
        self.started = 0.0
        self.pause = FIRST_PAUSE
        self.due = 0.0

    def start(self) -> None:
        """Starts the process; it inherits everything, since handlers cannot be pickled."""
        # The parent waits for signals alone and holds no locks that a child could need.
        self.process = get_context("fork").Process(target=self.main, name=f"dicomio-{self.number}")
        self.started = time.monotonic()
        self.process.start()

    def main(self) -> None:
        """What the process does."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.serve()

    def check(self, now: float) -> None:
        """Replaces a process that has died, after a pause where it had just begun."""
        if self.process is not None and not self.process.is_alive():
            logger.error("worker %s ended with exit code %s", self.number, self.process.exitcode)
            self.process.join()
            self.process = None
            short = now - self.started < SHORT_LIFE
            self.due = now + self.pause if short else now
            self.pause = min(2 * self.pause, LONGEST_PAUSE) if short else FIRST_PAUSE
        if self.process is None and now >= self.due:
            self.start()

    def stop(self, number: int) -> None:
        """Passes a signal on."""
        if self.process is not None and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


def reserve_port(host: str | Sequence[str] | None, port: int) -> tuple[socket.socket, tuple[str, int]]:
    """Binds a port that processes are going to share, without listening on it.

    Args:
        host: address to listen on; of several, the first counts.
        port: TCP port, 0 for any that is free.

    Returns:
        The socket, to be kept open meanwhile, and its address.

    Raises:
        OSError: the port is not free, or processes cannot share one here.
    """
    name = host if isinstance(host, str) or host is None else next(iter(host), None)
    family, kind, _, _, address = socket.getaddrinfo(
        name or ("0.0.0.0" if port == 0 else None), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    holder = socket.socket(family, kind)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(address)
    except (AttributeError, OSError):
        holder.close()
        raise
    found = holder.getsockname()
    return holder, (str(found[0]), int(found[1]))


def supervise(count: int, serve: Callable[[], None], started: Callable[[], None]) -> None:
    """Keeps so many processes serving until SIGINT or SIGTERM, which they get too; a second one kills them.

    Args:
        count: how many.
        serve: what each does, until a signal.
        started: called once they have been started.
    """
    workers = [Worker(number, serve) for number in range(1, count + 1)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        for worker in workers:
            worker.start()
        started()
        replace_until_stopped(workers)
        stop_all(workers)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def replace_until_stopped(workers: Sequence[Worker]) -> None:
    """Returns when a signal says that it is time to end."""
    while True:
        # Signals are blocked and taken from here, so that none can come at a bad moment.
        received = signal.sigtimedwait(SIGNALS, GLANCE)
        if received is not None and received.si_signo != signal.SIGCHLD:
            return
        now = time.monotonic()
        for worker in workers:
            worker.check(now)


def stop_all(workers: Sequence[Worker]) -> None:
    """Has all of them drain, and waits for them."""
    for worker in workers:
        worker.stop(signal.SIGTERM)
    while any(worker.process is not None and worker.process.is_alive() for worker in workers):
        received = signal.sigtimedwait(SIGNALS, GLANCE)
        if received is not None and received.si_signo != signal.SIGCHLD:
            for worker in workers:
                worker.stop(signal.SIGKILL)
