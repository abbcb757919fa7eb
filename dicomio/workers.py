"""Several processes that serve one port: started, watched, replaced and stopped together."""

import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Final, TypeAlias

from dicomio.places import Board, Place

__all__ = ["naming_port", "reserve_port", "supervise"]

logger = logging.getLogger("dicomio.server")

# A worker that lives no longer than so many seconds is replaced with a pause that doubles each time.
SHORT_LIFE: Final = 5.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
# Seconds after which the workers are looked at even without a signal.
GLANCE: Final = 0.5
# The same, until they listen.
FIRST_GLANCE: Final = 0.02
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

# What a process does until a signal, given what it calls when it listens, and its place among the others.
Serve: TypeAlias = Callable[[Callable[[], None], Place], None]


class Worker:
    """A process that serves, and those that take its place when it dies.

    Args:
        place: of the process among the others.
        serve: what the process does, until a signal.
        supervisor: the supervisor's end of a pair of sockets.
        lifeline: the other end, which all processes have.
    """

    def __init__(self, place: Place, serve: Serve, supervisor: socket.socket, lifeline: socket.socket) -> None:
        self.place = place
        self.number = place.number + 1
        self.serve = serve
        self.supervisor = supervisor
        self.lifeline = lifeline
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
        self.supervisor.close()
        Thread(target=self.follow, name="dicomio-lifeline", daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.serve(self.ready, self.place)

    def ready(self) -> None:
        """Tells the supervisor that the process listens."""
        self.lifeline.send(b"!")

    def follow(self) -> None:
        """Ends in good order when the supervisor is gone, and with it whoever would end or replace this process."""
        # It is reset where the supervisor has not read everything.
        with suppress(ConnectionResetError):
            self.lifeline.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    def check(self, now: float) -> None:
        """Replaces a process that has died, after a pause where it had just begun."""
        if self.process is not None and not self.process.is_alive():
            logger.error("worker %s ended with exit code %s", self.number, self.process.exitcode)
            self.process.join()
            self.process = None
            short = now - self.started < SHORT_LIFE
            self.due = now + self.pause if short else now
            self.pause = min(2 * self.pause, LONGEST_PAUSE) if short else FIRST_PAUSE
            self.place.clear()
            if short:
                # Nobody comes soon to take what was passed to it.
                self.place.sweep()
        if self.process is None and now >= self.due:
            self.start()

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.is_alive()

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
        with naming_port(host, port):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(address)
    except (AttributeError, OSError):
        holder.close()
        raise
    found = holder.getsockname()
    return holder, (str(found[0]), int(found[1]))


@contextmanager
def naming_port(host: str | Sequence[str] | None, port: int) -> Iterator[None]:
    """Has an error say where nobody can listen and why, which those of event loops do in ways of their own."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            error.strerror = "in use by another program"
        elif error.errno is not None and error.errno in errno.errorcode:
            error.strerror = os.strerror(error.errno)
        hosts = [host] if isinstance(host, str) else host
        error.filename = f"port {port} of {' and '.join(hosts) if hosts else 'every address'}"
        raise


def supervise(count: int, serve: Serve, started: Callable[[], None]) -> None:
    """Keeps so many processes serving until SIGINT or SIGTERM, which they get too; a second one kills them.

    Args:
        count: how many.
        serve: what each does, until a signal; called with what it calls when it listens, and its place.
        started: called once all of them listen.
    """
    supervisor, lifeline = socket.socketpair()
    supervisor.setblocking(False)
    board = Board(count)
    workers = [Worker(place, serve, supervisor, lifeline) for place in board.places]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with supervisor, lifeline, closing(board):
            for worker in workers:
                worker.start()
            if watch(workers, FIRST_GLANCE, lambda: all_ready(supervisor, count)):
                started()
                watch(workers, GLANCE, lambda: False)
            stop_all(workers)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch(workers: Sequence[Worker], glance: float, done: Callable[[], bool]) -> bool:
    """Replaces processes that die; whether it is done, else a signal says that it is time to end."""
    while not done():
        # Signals are blocked and taken from here, so that none can come at a bad moment.
        received = signal.sigtimedwait(SIGNALS, glance)
        if received is not None and received.si_signo != signal.SIGCHLD:
            return False
        now = time.monotonic()
        for worker in workers:
            worker.check(now)
    return True


def all_ready(supervisor: socket.socket, count: int) -> bool:
    """Whether so many processes have said that they listen."""
    with suppress(BlockingIOError):
        return len(supervisor.recv(count, socket.MSG_PEEK)) == count
    return False


def stop_all(workers: Sequence[Worker]) -> None:
    """Has all of them drain, and waits for them."""
    for worker in workers:
        worker.stop(signal.SIGTERM)
    while any(worker.is_alive for worker in workers):
        received = signal.sigtimedwait(SIGNALS, GLANCE)
        if received is not None and received.si_signo != signal.SIGCHLD:
            for worker in workers:
                worker.stop(signal.SIGKILL)
        for worker in workers:
            if not worker.is_alive:
                # What others passed to it last.
                worker.place.sweep()
