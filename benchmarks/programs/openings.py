"""Opens and releases associations with a bare client, so many at once; prints how long that took, as JSON.

The client does as little as possible, so that the server is what is measured: it sends ready-made PDUs and looks at
the type of what comes back.
"""

import argparse
import json
import selectors
import socket
import time

from dicomio.negotiation import propose
from dicomio.services.verification import CONTEXT
from dicomio.wire.pdus import HEADER, HEADER_LENGTH, PDUType, ReleaseRQ, encode

REQUEST = encode(propose(called="BENCH", calling="BENCH", contexts=[CONTEXT], maximum_length=16_384))
RELEASE = encode(ReleaseRQ())
# How long an answer may take.
SECONDS = 30


class Opener:
    """Keeps so many associations going until there were enough.

    Args:
        port: of the server.
        count: how many are opened in all.
        at_once: how many at the same time.
    """

    def __init__(self, port: int, count: int, at_once: int) -> None:
        self.port = port
        self.left = count
        self.at_once = at_once
        self.received: dict[socket.socket, bytes] = {}

    def run(self) -> None:
        """Opens and releases all of them.

        Raises:
            SystemExit: an answer is not what it should be, or does not come.
        """
        with selectors.DefaultSelector() as selector:
            while self.left or self.received:
                while self.left and len(self.received) < self.at_once:
                    self.left -= 1
                    self.open(selector)
                ready = selector.select(SECONDS)
                if not ready:
                    raise SystemExit(f"no answer within {SECONDS} s")
                for key, _ in ready:
                    assert isinstance(key.fileobj, socket.socket)
                    self.read(key.fileobj, selector)

    def open(self, selector: selectors.BaseSelector) -> None:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(REQUEST)
        self.received[connection] = b""
        selector.register(connection, selectors.EVENT_READ)

    def read(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        """Takes what has arrived, and answers a PDU that is there as a whole (PS3.8 9.3.1)."""
        more = connection.recv(1 << 16)
        received = self.received[connection] + more
        self.received[connection] = received
        if not more:
            raise SystemExit("the server has closed a connection")
        if len(received) < HEADER_LENGTH or len(received) < HEADER_LENGTH + HEADER.unpack_from(received)[1]:
            return
        self.received[connection] = b""
        if received[0] == PDUType.ASSOCIATE_AC:
            connection.sendall(RELEASE)
        elif received[0] == PDUType.RELEASE_RP:
            del self.received[connection]
            selector.unregister(connection)
            connection.close()
        else:
            raise SystemExit(f"the answer is a PDU of type {received[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=1)
    given = parser.parse_args()
    Opener(given.port, 1, 1).run()
    started = time.perf_counter()
    Opener(given.port, given.count, given.at_once).run()
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
