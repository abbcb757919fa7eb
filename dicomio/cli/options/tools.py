"""The tools, the sets of them that share options, and the headings of options.

The module `dicomio.cli.<name of the tool>` has its `run`.
"""

from typing import Final

from dicomio.cli.options.table import Tool

__all__ = [
    "ALL",
    "APPLICATIONS",
    "ARCHIVE",
    "CONFORMANCE",
    "CONNECTION",
    "DCMSEND",
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
    "REFUSED",
    "REPEATED",
    "RETRIEVE",
    "SCP",
    "SCPS",
    "SCUS",
    "SECURITY",
    "SENDING",
    "SERVE",
    "SERVERS",
    "SHUTDOWN",
    "STORE",
    "STORESCU",
    "SYNTAX",
    "TESTING",
    "TITLED",
    "TOOLS",
]

ABORTED: Final = "interrupted; the association was aborted"
RELEASED: Final = "interrupted; what was under way was cancelled, and the association released"
UNREADY: Final = "interrupted before it served, or a second time before all was finished"

TOOLS: Final = (
    Tool(
        "echoscu",
        "Asks a peer for a sign of life (C-ECHO) and prints the round-trip times.",
        results="each echo and how long it took; with --json its peer, number, status and seconds",
        interrupted=ABORTED,
    ),
    Tool(
        "storescu",
        "Sends DICOM files to a peer (C-STORE).",
        results="each failure; with --json each file: path, UIDs, status and error",
        failure="the peer or the network said no, or some objects were not stored",
        interrupted=ABORTED,
    ),
    Tool(
        "dcmsend",
        "Sends DICOM files to a peer (C-STORE), the simple way.",
        results="each failure; with --json each file: path, UIDs, status and error",
        failure="the peer or the network said no, or some objects were not stored",
        interrupted=ABORTED,
    ),
    Tool(
        "storescp",
        "Receives DICOM objects and writes them to files (Storage and Verification SCP).",
        serves=True,
        results="nothing; with --json each object: path, UIDs and peer",
        failure="the port cannot be listened on",
        interrupted=UNREADY,
        done="ended by SIGINT (Ctrl-C), SIGTERM or a peer (--allow-shutdown), when all was finished",
    ),
    Tool(
        "dcmrecv",
        "Receives DICOM objects and writes them to files, the simple way (Storage and Verification SCP).",
        serves=True,
        results="nothing; with --json each object: path, UIDs and peer",
        failure="the port cannot be listened on",
        interrupted=UNREADY,
        done="ended by SIGINT (Ctrl-C), SIGTERM or a peer (--allow-shutdown), when all was finished",
    ),
    Tool(
        "findscu",
        "Asks a peer for what matches a query (C-FIND) and prints the matches as they come.",
        results="each match, on a terminal as a table; with --json in the DICOM JSON model (PS3.18 Annex F)",
        interrupted=RELEASED,
    ),
    Tool(
        "movescu",
        "Has a peer send objects to a destination that it knows (C-MOVE).",
        results="UIDs of what failed; with --json each response, and each object received",
        failure="the peer or the network said no, or some objects were not moved",
        interrupted=RELEASED,
    ),
    Tool(
        "getscu",
        "Retrieves objects from a peer and writes them to files (C-GET).",
        results="UIDs of what failed; with --json each response and each object",
        failure="the peer or the network said no, or some objects were not stored",
        interrupted=RELEASED,
    ),
    Tool(
        "termscu",
        "Asks a peer to shut down (private Shutdown SOP class).",
        results="whether the peer accepts, or has shut down already; with --json the peer and its answer",
        interrupted=ABORTED,
    ),
    Tool(
        "qrscp",
        "Keeps objects in an archive, to be queried and retrieved (Query/Retrieve SCP).",
        serves=True,
        results="nothing; with --json each object that was stored: UIDs and peer",
        failure="the port cannot be listened on",
        interrupted=UNREADY,
        done="ended by SIGINT (Ctrl-C), SIGTERM or a peer (--allow-shutdown), when all was finished",
    ),
    Tool(
        "serve",
        "Serves a dicomio.Application of yours.",
        serves=True,
        failure="the port cannot be listened on",
        interrupted=UNREADY,
        done="ended by SIGINT (Ctrl-C) or SIGTERM, when all was finished",
    ),
    Tool(
        "conformance",
        "Prints the conformance statement of a dicomio.Application of yours (PS3.2), in Markdown.",
        results="the statement; with --json in one object",
        failure="the statement could not be printed",
    ),
    Tool(
        "dissect",
        "Prints the DICOM associations in a network capture: PDUs, contexts, commands, statuses and times.",
        results="what was said, association by association; with --json each PDU, message and data set",
        failure="packets cannot be captured, or an object could not be written",
        interrupted="interrupted while it read a file",
        done="all done; ended by SIGINT (Ctrl-C) with --live",
    ),
    Tool(
        "record",
        "Passes associations on to a peer, and records them in a capture (pcapng).",
        serves=True,
        failure="the port cannot be listened on, or the capture cannot be written",
        interrupted="interrupted before it listened",
        done="ended by SIGINT (Ctrl-C) or SIGTERM, or after --count connections",
    ),
    Tool(
        "replay",
        "Plays one side of the associations in a capture to a live peer, and compares what that says.",
        results="each difference from the capture, with --json in an object of its own",
        failure="there were differences, or no connection",
    ),
    Tool(
        "completion",
        "Prints a script that completes command lines of dicomio in a shell.",
        results="the script, for a start-up file of the shell to load",
        failure="the script could not be printed",
    ),
    Tool(
        "demo",
        "Stores a study in an archive of its own on this machine, finds it, gets it and compares every byte.",
        results="a table; with --json each object, and whether it came back as it was",
        failure="an object did not come back as it was",
    ),
)

ALL: Final = tuple(tool.name for tool in TOOLS)
STORESCU: Final = ("storescu",)
DCMSEND: Final = ("dcmsend",)
STORE: Final = (*STORESCU, *DCMSEND)
FIND: Final = ("findscu",)
MOVE: Final = ("movescu",)
RETRIEVE: Final = ("movescu", "getscu")
QUERIES: Final = (*FIND, *RETRIEVE)
REPEATED: Final = ("echoscu", "storescu")
SCUS: Final = (*REPEATED, *DCMSEND, *QUERIES, "termscu")
SCP: Final = ("storescp", "dcmrecv")
ARCHIVE: Final = ("qrscp",)
SERVE: Final = ("serve",)
CONFORMANCE: Final = ("conformance",)
# Those that take an application.
APPLICATIONS: Final = (*SERVE, *CONFORMANCE)
SHUTDOWN: Final = (*SCP, *ARCHIVE)
SCPS: Final = (*SCP, *ARCHIVE, *SERVE)
SERVERS: Final = (*SCPS, *CONFORMANCE)
NETWORK: Final = (*SCUS, *SERVERS)
# An application has its AE title already.
TITLED: Final = (*SCUS, *SCP, *ARCHIVE)

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
REFUSED: Final = "options of the classic tool that are refused, and why"

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
    REFUSED,
)
