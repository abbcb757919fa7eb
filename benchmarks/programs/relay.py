"""Passes connections on to a port of the loopback interface, every byte so many milliseconds later; prints its port."""

import argparse
import select
import socket
import time
from collections import deque

# As much as is read at once.
READ = 1 << 18


class End:
    """One of two connections that are passed on to each other.

    Attributes:
        other: the other one.
        coming: what is on its way to here, and when it arrives; nothing at all stands for the end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.other: End | None = None
        self.coming: deque[tuple[float, bytes]] = deque()
        self.is_open = True
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self, arrival: float) -> None:
        """Takes what has come, for the other end."""
        try:
            data = self.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.is_open = bool(data)
        assert self.other is not None
        self.other.coming.append((arrival, data))

    def deliver(self, now: float) -> bool:
        """Sends what has arrived; whether it was the end."""
        while self.coming and self.coming[0][0] <= now:
            arrival, data = self.coming.popleft()
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return True
            if not data:
                return True
            if sent < len(data):
                self.coming.appendleft((arrival, data[sent:]))
                break
        return False


class Relay:
    """All connections.

    Args:
        port: where they go.
        delay: seconds that a byte is on its way.
    """

    def __init__(self, port: int, delay: float) -> None:
        self.port = port
        self.delay = delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ends: list[End] = []

    def serve(self) -> None:
        """Serves until the process is ended."""
        while True:
            now = time.monotonic()
            due = [end for end in self.ends if end.coming and end.coming[0][0] <= now]
            waits = [end.coming[0][0] - now for end in self.ends if end.coming and end.coming[0][0] > now]
            # Others of its kind count in milliseconds, of which a byte has ten.
            sources: list[End | socket.socket] = [self.listener, *(end for end in self.ends if end.is_open)]
            readable, _, _ = select.select(sources, due, [], min(waits, default=None))
            now = time.monotonic()
            for ready in readable:
                if isinstance(ready, End):
                    ready.receive(now + self.delay)
                else:
                    self.accept()
            for end in list(self.ends):
                if end.deliver(now):
                    self.drop(end)

    def accept(self) -> None:
        """Takes one more connection, and opens the one it is passed on to."""
        near = End(self.listener.accept()[0])
        far = End(socket.create_connection(("127.0.0.1", self.port)))
        near.other, far.other = far, near
        self.ends += [near, far]

    def drop(self, end: End) -> None:
        """Closes both connections of a pair."""
        for each in (end, end.other):
            if each in self.ends:
                self.ends.remove(each)
                each.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--milliseconds", type=float, required=True)
    given = parser.parse_args()
    relay = Relay(given.port, given.milliseconds / 1000)
    print(relay.listener.getsockname()[1], flush=True)
    relay.serve()


if __name__ == "__main__":
    main()
