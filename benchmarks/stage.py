"""Where cells play: directories, objects to send, and the servers that a cell keeps from round to round."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.objects import Corpus
from benchmarks.processes import Failure, Server

__all__ = ["Stage"]

# Objects are there twice, as they are sent and as they are stored; and others need some room.
TIMES_SIZE = 2.2


class Stage:
    """Temporary directories and servers; all of it is gone when the block is left.

    Args:
        parent: the directory in which to work.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.stack = ExitStack()
        self.root = parent
        self.inboxes = 0
        self.servers: dict[str, tuple[Server, Path]] = {}
        self.corpora: dict[tuple[int, int], Corpus] = {}
        self.scene = ""
        self.done: set[str] = set()

    def __enter__(self) -> Self:
        self.root = Path(tempfile.mkdtemp(prefix="dicomio-bench-", dir=self.parent))
        self.stack.callback(shutil.rmtree, self.root)
        self.stack.callback(self.stop_servers)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stack.close()

    def corpus(self, size: int, count: int) -> Corpus:
        """Objects to send, made when they are asked for first.

        Args:
            size: of the pixel data of each, bytes.
            count: how many.

        Raises:
            Failure: there is no room for them.
        """
        if (size, count) not in self.corpora:
            free = shutil.disk_usage(self.root).free
            if free < TIMES_SIZE * size * count:
                raise Failure(f"{self.parent} has {free >> 20:,} MiB, too little for {count} of {size >> 20:,} MiB")
            self.corpora[size, count] = Corpus.make(self.root / f"objects-{size}-{count}", size, count)
        return self.corpora[size, count]

    def server(self, name: str, start: Callable[[Path, Path], Server]) -> tuple[Server, Path]:
        """A server that is kept until the end of the cell, and its inbox.

        Args:
            name: of the server within the cell.
            start: starts it, given the inbox and a file to log to.

        Raises:
            Failure: it cannot be started, or has ended since.
        """
        name = f"{name} {self.scene}"
        if name not in self.servers:
            self.inboxes += 1
            inbox = self.root / f"inbox-{self.inboxes}"
            inbox.mkdir()
            self.servers[name] = start(inbox, self.root / f"log-{self.inboxes}"), inbox
        server, inbox = self.servers[name]
        server.check()
        return server, inbox

    @contextmanager
    def apart(self, scene: str) -> Iterator[None]:
        """Meanwhile servers are others than those of the same name elsewhere in the cell."""
        before, self.scene = self.scene, scene
        try:
            yield
        finally:
            self.scene = before

    def is_first(self, what: str) -> bool:
        """Whether this is asked for the first time in this cell."""
        what = f"{what} {self.scene}"
        known = what in self.done
        self.done.add(what)
        return not known

    def stop_server(self, name: str) -> None:
        """Ends a server before the cell ends."""
        server, _ = self.servers.pop(f"{name} {self.scene}")
        server.stop()

    def stop_servers(self) -> None:
        """Ends what a cell has started."""
        self.done.clear()
        while self.servers:
            _, (server, _) = self.servers.popitem()
            server.stop()
