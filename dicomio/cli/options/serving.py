"""Tools that serve an archive or an application."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import (
    APPLICATIONS,
    ARCHIVE,
    CONFORMANCE,
    CONNECTION,
    INPUT,
    OUTPUT,
    SERVE,
    SERVERS,
    SHUTDOWN,
)

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final = (Argument("APPLICATION", "MODULE:APP, where APP is a dicomio.Application", APPLICATIONS),)

OPTIONS: Final = (
    Option(
        ("--port",),
        "TCP port (11112), 0 for any that is free",
        APPLICATIONS,
        CONNECTION,
        "NUMBER",
        values.server_port,
        default=11112,
    ),
    Option(
        ("--reload",),
        "begin anew when a .py file below the current directory changes; for development",
        SERVE,
        CONNECTION,
        default=False,
    ),
    Option(("--host",), "address to listen on (all)", APPLICATIONS, CONNECTION, "ADDRESS", values.host),
    Option(("--workers",), "processes that share the port (1)", SERVERS, CONNECTION, "NUMBER", values.count, default=1),
    Option(
        ("--max-associations",),
        "associations at once; more are rejected (1000)",
        SERVERS,
        CONNECTION,
        "NUMBER",
        values.count,
    ),
    Option(
        ("--allow-shutdown",),
        "end when a peer asks for it (private Shutdown SOP class); any peer that is let in can",
        SHUTDOWN,
        CONNECTION,
        default=False,
    ),
    Option(
        ("--propose",),
        "SOP class, by name or UID, that the application proposes on associations it opens; as often as needed",
        CONFORMANCE,
        OUTPUT,
        "SOPCLASS",
        action="append",
    ),
    Option(("--index",), "URL of the index (SQLite in the archive)", ARCHIVE, OUTPUT, "URL"),
    Option(
        ("--peer",),
        "where objects can be moved to and reports of storage commitment go: AET=HOST:PORT",
        ARCHIVE,
        CONNECTION,
        "PEER",
        values.destination,
        action="append",
    ),
    Option(
        ("--worklist",),
        "a folder of DICOM files, one for each scheduled procedure step",
        ARCHIVE,
        INPUT,
        "DIRECTORY",
    ),
)
