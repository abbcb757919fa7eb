"""Cells of query and retrieve: matches per second, memory of a C-GET, C-MOVE beside plain sending, many at once."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.cells import OURS, AtLeast, Below, Cell, Options, Values, Way
from benchmarks.images import FIRST, IMAGES, QUERY, start_dcmqrscp
from benchmarks.objects import verify
from benchmarks.peers import OurReceiver, OurSender, dcmtk_environment, seconds_beyond
from benchmarks.proc import PROC, peak_kib, reset_peak, rss_kib
from benchmarks.processes import Server, report_of, start_announcing, timed
from benchmarks.programs.rows import KEYS
from benchmarks.stage import Stage

__all__ = ["cells"]

OUR_SCP: Final = "benchmarks.programs.our_query_scp"
OUR_SCU: Final = "benchmarks.programs.our_query_scu"
PYNETDICOM: Final = "benchmarks.programs.pynetdicom_query"
DCMQRSCP: Final = ("dcmqrscp", "dcmqridx", "echoscu")

MATCHES: Final = 10_000
# Queries for the images of dcmqrscp in one measurement.
TIMES_IMAGES: Final = 5
# For those with some hundred matches per second.
FEWER: Final = 2_000
TIMES_PYNETDICOM: Final = 15
GIB: Final = 1 << 30
KIB: Final = 1024
LIMIT_MIB: Final = 32
SMALL_OBJECTS: Final = 2_000
SMALL_SIZE: Final = 4_096
TIMES_STORE_MANY: Final = 0.9
CROWD: Final = 200
CROWD_MATCHES: Final = 100
CROWD_OBJECTS: Final = 5
CROWD_SIZE: Final = 40_000
# Seconds for which the slowest of many may wait.
PATIENCE: Final = 30


def cells(options: Options) -> Sequence[Cell]:
    """C-FIND on either side, C-GET of a large object, C-MOVE of many small ones, and a crowd."""
    return [
        find_scp(options),
        find_scu(options),
        find_scu_dcmtk(options),
        get_memory(options),
        move(options),
        crowd(options),
    ]


def start_ours(loop: str, most: int, folder: Path, inbox: Path, log: Path) -> Server:
    """Our server, which finds so many studies and sends what is in a folder."""
    return start_announcing(OUR_SCP, ["--loop", loop, "--most", str(most), "--folder", str(folder)], log)


def start_pynetdicom(most: int, inbox: Path, log: Path) -> Server:
    """pynetdicom's server, which finds so many studies."""
    return start_announcing(PYNETDICOM, ["scp", "--most", str(most)], log)


def findscu(port: int, count: int) -> float:
    """Seconds that DCMTK's client takes for so many matches, beyond what it takes for one."""
    environment = dcmtk_environment(no_delay=True)
    keys = [part for key in KEYS if key not in ("QueryRetrieveLevel", "StudyID") for part in ("-k", key)]

    def command(number: int) -> list[str]:
        asked = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyID={number}", *keys]
        return ["findscu", "-q", "-S", "-aec", "BENCH", "127.0.0.1", str(port), *asked]

    return seconds_beyond(timed(command(count), environment), timed(command(1), environment))


def find_images(server: Server, inbox: Path) -> float:
    """Matches per second that DCMTK's client takes from `dcmqrscp`, but for what it takes with one each time."""
    environment = dcmtk_environment(no_delay=True)
    queries = [str(inbox / QUERY)] * TIMES_IMAGES

    def command(title: str) -> list[str]:
        return ["findscu", "-q", "-S", "-aec", title, "127.0.0.1", str(server.port), *queries]

    seconds = seconds_beyond(timed(command("BENCH"), environment), timed(command(FIRST), environment))
    return TIMES_IMAGES * (IMAGES - 1) / seconds


def find_scp(options: Options) -> Cell:
    """Our server, DCMTK's and pynetdicom's under DCMTK's client."""

    def ours(stage: Stage) -> Values:
        server, _ = stage.server(OURS, partial(start_ours, options.loop, MATCHES, Path()))
        return {OURS: (MATCHES - 1) / findscu(server.port, MATCHES)}

    def pynetdicom(stage: Stage) -> Values:
        server, _ = stage.server("pynetdicom", partial(start_pynetdicom, FEWER))
        return {"pynetdicom": (FEWER - 1) / findscu(server.port, FEWER)}

    def dcmqrscp(stage: Stage) -> Values:
        return {"dcmqrscp": find_images(*stage.server("dcmqrscp", start_dcmqrscp))}

    ways = [
        Way([OURS], ours, ("findscu",)),
        Way(["dcmqrscp"], dcmqrscp, ("findscu", *DCMQRSCP)),
        Way(["pynetdicom"], pynetdicom, ("findscu", "pynetdicom")),
    ]
    targets = [AtLeast(OURS, 1, "dcmqrscp"), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    return Cell("query", "find, SCP under DCMTK findscu", "matches/s", ways, targets)


def find_scu(options: Options) -> Cell:
    """Our client and pynetdicom's over our server."""

    def ours(stage: Stage) -> Values:
        server, _ = stage.server(OURS, partial(start_ours, options.loop, MATCHES, Path()))
        report = report_of(
            OUR_SCU, ["--port", str(server.port), "--loop", options.loop, "find", "--count", str(MATCHES)]
        )
        return {OURS: MATCHES / report["seconds"]}

    def pynetdicom(stage: Stage) -> Values:
        server, _ = stage.server(OURS, partial(start_ours, options.loop, MATCHES, Path()))
        report = report_of(PYNETDICOM, ["scu", "--port", str(server.port), "--count", str(FEWER)])
        return {"pynetdicom": FEWER / report["seconds"]}

    ways = [Way([OURS], ours), Way(["pynetdicom"], pynetdicom, ("pynetdicom",))]
    targets = [AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    return Cell("query", "find, SCU over our SCP", "matches/s", ways, targets)


def find_scu_dcmtk(options: Options) -> Cell:
    """Our client and DCMTK's over DCMTK's server."""

    def ours(stage: Stage) -> Values:
        server, _ = stage.server("dcmqrscp", start_dcmqrscp)
        arguments = ["--port", str(server.port), "--loop", options.loop, "images", "--count", str(IMAGES)]
        report = report_of(OUR_SCU, [*arguments, "--times", str(TIMES_IMAGES)])
        return {OURS: TIMES_IMAGES * IMAGES / report["seconds"]}

    def dcmtk(stage: Stage) -> Values:
        return {"findscu": find_images(*stage.server("dcmqrscp", start_dcmqrscp))}

    ways = [Way([OURS], ours, DCMQRSCP), Way(["findscu"], dcmtk, ("findscu", *DCMQRSCP))]
    return Cell("query", "find, SCU over DCMTK dcmqrscp", "matches/s", ways, [AtLeast(OURS, 1, "findscu")])


def get_memory(options: Options) -> Cell:
    """One large object by C-GET, from file to file."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(GIB, 1)
        server, inbox = stage.server(OURS, partial(start_ours, options.loop, 0, corpus.folder))
        reset_peak(server.pid)
        before = rss_kib(server.pid)
        arguments = ["--port", str(server.port), "--loop", options.loop, "get", "--inbox", str(inbox)]
        report = report_of(OUR_SCU, arguments)
        growth_kib = peak_kib(server.pid) - before
        verify(corpus, inbox)
        return {"sending": growth_kib / KIB, "receiving": report["growth_kib"] / KIB}

    series = ["sending", "receiving"]
    targets = [Below(name, LIMIT_MIB) for name in series]
    return Cell("query", "C-GET of 1 GiB, growth", "MiB", [Way(series, run, (PROC,))], targets, rounds=1)


def move(options: Options) -> Cell:
    """Small objects by a C-MOVE, and by `store_many` to the same destination."""

    def by_move(stage: Stage) -> Values:
        corpus = stage.corpus(SMALL_SIZE, SMALL_OBJECTS)
        server, _ = stage.server(OURS, partial(start_ours, options.loop, 0, corpus.folder))
        target, inbox = stage.server("destination", OurReceiver(options.loop, 16_384).start)
        arguments = ["--port", str(server.port), "--loop", options.loop, "move", "--to", str(target.port)]
        seconds = report_of(OUR_SCU, arguments)["seconds"]
        verify(corpus, inbox)
        return {"C-MOVE": SMALL_OBJECTS / seconds}

    def by_store(stage: Stage) -> Values:
        corpus = stage.corpus(SMALL_SIZE, SMALL_OBJECTS)
        target, inbox = stage.server("destination", OurReceiver(options.loop, 16_384).start)
        seconds = OurSender(options.loop).store(target.port, corpus)
        verify(corpus, inbox)
        return {"store_many": SMALL_OBJECTS / seconds}

    ways = [Way(["C-MOVE"], by_move), Way(["store_many"], by_store)]
    targets = [AtLeast("C-MOVE", TIMES_STORE_MANY, "store_many")]
    return Cell("query", "C-MOVE of 2,000 objects of 4 KiB", "objects/s", ways, targets)


def crowd(options: Options) -> Cell:
    """Finds and gets on many associations at once, with one server process."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(CROWD_SIZE, CROWD_OBJECTS)
        server, _ = stage.server(OURS, partial(start_ours, options.loop, CROWD_MATCHES, corpus.folder))
        arguments = ["--port", str(server.port), "--loop", options.loop, "crowd"]
        report = report_of(OUR_SCU, [*arguments, "--associations", str(CROWD), "--count", str(CROWD_MATCHES)])
        return {"slowest": report["slowest"], "median": report["median"]}

    targets = [Below("slowest", PATIENCE)]
    return Cell("query", f"{CROWD} associations at once", "s", [Way(["slowest", "median"], run)], targets)
