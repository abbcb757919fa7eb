"""Cells of C-FIND: matches per second that a server finds, and that a client takes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.cells import OURS, AtLeast, Cell, Options, Values, Way
from benchmarks.images import FIRST, IMAGES, MANY, QUERY, start_dcmqrscp
from benchmarks.peers import dcmtk_environment, seconds_beyond
from benchmarks.processes import Failure, Server, log_of, report_of, start_announcing, timed
from benchmarks.programs.rows import KEYS, STEP_KEYS, WORKLIST_KEYS, study_uid
from benchmarks.stage import Stage
from benchmarks.studies import OrthancFinder
from benchmarks.worklists import start_wlmscpfs

__all__ = ["OUR_SCU", "Query", "cells", "find_scp", "find_worklist", "rate", "start_ours"]

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
# What DCMTK's client logs with each match.
PENDING: Final = "(Pending)"
STEP: Final = "ScheduledProcedureStepSequence[0]"

Start = Callable[[Path, Path], Server]


@dataclass(frozen=True, slots=True)
class Query:
    """What DCMTK's client asks.

    Args:
        model: its option for the query model.
        arguments: keys as options, and files.
        title: AE title of the server.
        count: how many matches there are.
    """

    model: str
    arguments: Sequence[str]
    title: str = MANY
    count: int = 1

    def command(self, port: int, *options: str) -> list[str]:
        """The client with some options of its own."""
        return ["findscu", *options, self.model, "-aec", self.title, "127.0.0.1", str(port), *self.arguments]


def cells(options: Options) -> Sequence[Cell]:
    """C-FIND on either side, each program in the place of ours."""
    return [find_scp(options), find_worklist(options), find_scu(options), find_scu_dcmtk(options)]


def start_ours(loop: str, most: int, folder: Path, inbox: Path, log: Path) -> Server:
    """Our server, which finds so many studies or entries of a worklist and sends what is in a folder."""
    return start_announcing(OUR_SCP, ["--loop", loop, "--most", str(most), "--folder", str(folder)], log)


def start_pynetdicom(most: int, inbox: Path, log: Path) -> Server:
    """pynetdicom's server, which finds as many."""
    return start_announcing(PYNETDICOM, ["scp", "--most", str(most)], log)


def studies(count: int, **values: str) -> Query:
    """Asks for studies."""
    return Query("-S", as_options(dict.fromkeys(KEYS, "") | {"QueryRetrieveLevel": "STUDY"} | values), count=count)


def worklist(count: int, title: str = MANY, **values: str) -> Query:
    """Asks for entries of a worklist."""
    keys = dict.fromkeys((*WORKLIST_KEYS, *(f"{STEP}.{key}" for key in STEP_KEYS)), "")
    return Query("-W", as_options(keys | values), title, count)


def images(title: str, count: int, inbox: Path) -> Query:
    """Asks for the images of `dcmqrscp`, so often."""
    return Query("-S", [str(inbox / QUERY)] * TIMES_IMAGES, title, TIMES_IMAGES * count)


def as_options(keys: Mapping[str, str]) -> list[str]:
    """Keys as arguments of `findscu`."""
    return [part for key, value in keys.items() for part in ("-k", f"{key}={value}" if value else key)]


def rate(port: int, everything: Query, first: Query) -> float:
    """Matches per second that DCMTK's client takes, but for what it takes with the first.

    They are counted by another run of it, since what it logs takes time.

    Raises:
        Failure: there are more or fewer.
    """
    environment = dcmtk_environment(no_delay=True)
    for query in (everything, first):
        found = log_of(query.command(port, "--verbose", "--hide-responses"), environment).count(PENDING)
        if found != query.count:
            raise Failure(f"{found} matches in place of {query.count}")
    long, short = (timed(query.command(port, "--quiet"), environment) for query in (everything, first))
    return (everything.count - first.count) / seconds_beyond(long, short)


def under_findscu(name: str, start: Start, everything: Query, first: Query, needs: Iterable[str] = ()) -> Way:
    """A server under DCMTK's client."""

    def run(stage: Stage) -> Values:
        server, _ = stage.server(name, start)
        return {name: rate(server.port, everything, first)}

    return Way([name], run, ("findscu", *needs))


def find_scp(options: Options) -> Cell:
    """Our server and those of others under DCMTK's client."""

    def dcmqrscp(stage: Stage) -> Values:
        server, inbox = stage.server("dcmqrscp", start_dcmqrscp)
        return {"dcmqrscp": rate(server.port, images(MANY, IMAGES, inbox), images(FIRST, 1, inbox))}

    def asked(count: int) -> tuple[Query, Query]:
        return studies(count, StudyID=str(count)), studies(1, StudyID="1")

    ours, orthanc = partial(start_ours, options.loop, MATCHES, Path()), OrthancFinder(studies=MATCHES)
    # Found by an index of its database, as the first of all others is.
    one_study = studies(1, StudyInstanceUID=study_uid(0))
    ways = [
        under_findscu(OURS, ours, *asked(MATCHES)),
        Way(["dcmqrscp"], dcmqrscp, ("findscu", *DCMQRSCP)),
        under_findscu("Orthanc", orthanc.start, studies(MATCHES), one_study, [*orthanc.needs, "storescu"]),
        under_findscu("pynetdicom", partial(start_pynetdicom, FEWER), *asked(FEWER), ["pynetdicom"]),
    ]
    return Cell("query", "find, SCP under DCMTK findscu", "matches/s", ways, targets("dcmqrscp", "Orthanc"))


def find_worklist(options: Options) -> Cell:
    """The same with entries of a worklist, which DCMTK has another server for."""

    def asked(count: int) -> tuple[Query, Query]:
        return worklist(count, AccessionNumber=str(count)), worklist(1, AccessionNumber="1")

    ours, wlmscpfs = partial(start_ours, options.loop, MATCHES, Path()), partial(start_wlmscpfs, MATCHES)
    ways = [
        under_findscu(OURS, ours, *asked(MATCHES)),
        under_findscu("wlmscpfs", wlmscpfs, worklist(MATCHES), worklist(1, FIRST), ["wlmscpfs", "echoscu"]),
        under_findscu("pynetdicom", partial(start_pynetdicom, FEWER), *asked(FEWER), ["pynetdicom"]),
    ]
    return Cell("query", "find in a worklist, SCP under DCMTK findscu", "matches/s", ways, targets("wlmscpfs"))


def targets(*servers: str) -> list[AtLeast]:
    """Not slower than servers in C++, and far faster than the one in Python."""
    return [*(AtLeast(OURS, 1, server) for server in servers), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]


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
    return Cell("query", "find, SCU over our SCP", "matches/s", ways, targets())


def find_scu_dcmtk(options: Options) -> Cell:
    """Our client, DCMTK's and pynetdicom's over DCMTK's server."""

    def ours(stage: Stage) -> Values:
        server, _ = stage.server("dcmqrscp", start_dcmqrscp)
        arguments = ["--port", str(server.port), "--loop", options.loop, "images", "--count", str(IMAGES)]
        report = report_of(OUR_SCU, [*arguments, "--times", str(TIMES_IMAGES)])
        return {OURS: TIMES_IMAGES * IMAGES / report["seconds"]}

    def dcmtk(stage: Stage) -> Values:
        server, inbox = stage.server("dcmqrscp", start_dcmqrscp)
        return {"findscu": rate(server.port, images(MANY, IMAGES, inbox), images(FIRST, 1, inbox))}

    def pynetdicom(stage: Stage) -> Values:
        server, _ = stage.server("dcmqrscp", start_dcmqrscp)
        report = report_of(PYNETDICOM, ["scu", "--port", str(server.port), "--count", str(IMAGES), "--images"])
        return {"pynetdicom": IMAGES / report["seconds"]}

    ways = [
        Way([OURS], ours, DCMQRSCP),
        Way(["findscu"], dcmtk, ("findscu", *DCMQRSCP)),
        Way(["pynetdicom"], pynetdicom, ("pynetdicom", *DCMQRSCP)),
    ]
    return Cell("query", "find, SCU over DCMTK dcmqrscp", "matches/s", ways, targets("findscu"))
