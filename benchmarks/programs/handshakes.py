"""Echoes on an established TLS association while many handshakes are under way; the slowest echo, as JSON."""

import argparse
import asyncio
import json
import multiprocessing
import ssl

import dicomio
from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from dicomio import tls
from dicomio.sop import Verification


async def measure(port: int, count: int, loop: str) -> dict[str, float]:
    """The slowest echo, while another process shakes hands: half of the handshakes stall after their first message."""
    echoes: list[float] = []
    others = multiprocessing.get_context("spawn").Process(target=crowd, args=(port, count, loop))
    context = tls.client_context(verify=False)
    async with dicomio.connect(f"BENCH@127.0.0.1:{port}", contexts=[Verification], ssl=context) as association:
        await association.echo()
        others.start()
        while others.is_alive():
            echoes.append(await association.echo())
            await asyncio.sleep(0)
    others.join()
    if others.exitcode:
        raise SystemExit("not all handshakes succeeded")
    return {"slowest": max(echoes), "echoes": float(len(echoes))}


def crowd(port: int, count: int, loop: str) -> None:
    """What the other process does."""
    run(shake_all(port, count), loop)


async def shake_all(port: int, count: int) -> None:
    context = tls.client_context(verify=False)
    await asyncio.gather(*(stall(port) if number % 2 else shake(port, context) for number in range(count)))


async def stall(port: int) -> None:
    """Begins a handshake and does not go on with it."""
    hello = ssl.MemoryBIO()
    client = tls.client_context(verify=False).wrap_bio(ssl.MemoryBIO(), hello)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(hello.read())
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()


async def shake(port: int, context: ssl.SSLContext) -> None:
    """A whole handshake."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--loop", required=True)
    given = parser.parse_args()
    allow_open_files(2 * given.count)
    print(json.dumps(run(measure(given.port, given.count, given.loop), given.loop)))


if __name__ == "__main__":
    main()
