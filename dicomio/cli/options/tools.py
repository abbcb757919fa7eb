"""The tools, the sets of them that share options, and the headings of options.

The module `dicomio.cli.<name of the tool>` has its `run`.
"""

from typing import Final

from dicomio.cli.options.table import Tool

__all__ = [
    "ALL",
    "ARCHIVE",
    "CONNECTION",
    "EVENTS",
    "FIND",
    "GENERAL",
    "GROUPS",
    "IDENTITY",
    "INPUT",
    "MOVE",
    "NETWORK",
    "OUTPUT",
    "QUERIES",
    "QUERY",
    "REPEATED",
    "RETRIEVE",
    "SCP",
    "SCPS",
    "SCUS",
    "SECURITY",
    "SENDING",
    "SERVE",
    "STORE",
    "SYNTAX",
    "TESTING",
    "TOOLS",
]

TOOLS: Final = (
    Tool("echoscu", "Asks a peer for a sign of life (C-ECHO) and prints the round-trip times."),
    Tool("storescu", "Sends DICOM files to a peer (C-STORE)."),
    Tool("storescp", "Receives DICOM objects and writes them to files (Storage and Verification SCP).", serves=True),
    Tool("findscu", "Asks a peer for what matches a query (C-FIND) and prints the matches as they come."),
    Tool("movescu", "Has a peer send objects to a destination that it knows (C-MOVE)."),
    Tool("getscu", "Retrieves objects from a peer and writes them to files (C-GET)."),
    Tool("qrscp", "Keeps objects in an archive, to be queried and retrieved (Query/Retrieve SCP).", serves=True),
    Tool("serve", "Serves a dicomio.Application of yours.", serves=True),
    Tool("demo", "Stores a study in an archive of its own on this machine, finds it, gets it and compares every byte."),
)

ALL: Final = tuple(tool.name for tool in TOOLS)
STORE: Final = ("storescu",)
FIND: Final = ("findscu",)
MOVE: Final = ("movescu",)
RETRIEVE: Final = ("movescu", "getscu")
QUERIES: Final = (*FIND, *RETRIEVE)
REPEATED: Final = ("echoscu", "storescu")
SCUS: Final = (*REPEATED, *QUERIES)
SCP: Final = ("storescp",)
ARCHIVE: Final = ("qrscp",)
SERVE: Final = ("serve",)
SCPS: Final = (*SCP, *ARCHIVE, *SERVE)
NETWORK: Final = (*SCUS, *SCPS)

GENERAL: Final = "general options"
CONNECTION: Final = "network options"
INPUT: Final = "input options"
QUERY: Final = "query options"
SENDING: Final = "sending options"
SYNTAX: Final = "transfer syntax options"
OUTPUT: Final = "output options"
TESTING: Final = "options for testing peers"
EVENTS: Final = "event options"
IDENTITY: Final = "user identity options"
SECURITY: Final = "TLS options"

# In the order in which the help has them.
GROUPS: Final = (
    GENERAL,
    CONNECTION,
    IDENTITY,
    SECURITY,
    INPUT,
    QUERY,
    SENDING,
    SYNTAX,
    OUTPUT,
    EVENTS,
    TESTING,
)
