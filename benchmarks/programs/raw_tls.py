"""How fast Python's ssl alone is: a megabyte at a time from one process to another over one socket, as JSON."""

import argparse
import json
import multiprocessing
import socket
import ssl
import time
from pathlib import Path

PIECE = 1 << 20


def receive(listener: socket.socket, context: ssl.SSLContext, size: int) -> None:
    """Takes everything and says so."""
    connection, _ = listener.accept()
    buffer = bytearray(PIECE)
    with context.wrap_socket(connection, server_side=True) as secure:
        left = size
        while left:
            left -= secure.recv_into(buffer)
        secure.sendall(b"!")


def send(port: int, context: ssl.SSLContext, size: int) -> float:
    """Seconds for all of it."""
    piece = bytes(PIECE)
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        started = time.perf_counter()
        for _ in range(size // PIECE):
            secure.sendall(piece)
        secure.recv(1)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    given = parser.parse_args()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(given.certificate)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=receive, args=(listener, server, given.size))
        process.start()
        seconds = send(listener.getsockname()[1], client, given.size)
        process.join()
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
