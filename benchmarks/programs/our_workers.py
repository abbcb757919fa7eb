"""Several processes of a dicomio server on one port, as `Application.run(workers=…)` has them; prints the port."""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.programs.our_scp import application
from dicomio import Limits
from dicomio.places import Place
from dicomio.server import run, serve
from dicomio.workers import reserve_port, supervise

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inbox", type=Path, required=True)
    parser.add_argument("--max-pdu", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    app, limits = application(arguments.inbox), Limits(max_pdu=arguments.max_pdu)
    if arguments.workers == 1:
        run(serve(app, HOST, 0, limits=limits), lambda server: print(server.port, flush=True))
        return
    holder, (_, port) = reserve_port(HOST, 0)

    def work(ready: Callable[[], None], place: Place) -> None:
        run(serve(app, HOST, port, reuse_port=True, limits=limits), lambda server: ready(), place=place)

    with holder:
        supervise(arguments.workers, work, lambda: print(port, flush=True))


if __name__ == "__main__":
    main()
