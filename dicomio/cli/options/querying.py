"""Tools that query and retrieve."""

from typing import Final

from dicomio import sop
from dicomio.cli import values
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import CONNECTION, FIND, MOVE, OUTPUT, QUERIES, QUERY

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final = (Argument("QUERYFILE", "DICOM file with the keys of a query; each is one operation", QUERIES, "*"),)

OPTIONS: Final = (
    Option(
        ("-aem", "--move"),
        "AE title of the destination (our own)",
        MOVE,
        CONNECTION,
        "TITLE",
        values.ae_title,
        name="destination",
    ),
    Option(
        ("+P", "--port"),
        "TCP port to receive the objects on: we are the destination",
        MOVE,
        CONNECTION,
        "NUMBER",
        values.port,
        name="receiving_port",
    ),
    Option(("--cancel",), "cancel after so many answers or objects", QUERIES, CONNECTION, "NUMBER", values.count),
    Option(
        ("-k", "--key"),
        "key to match or to ask for, in place of what query files have: KEY[=VALUE], where KEY is a keyword, gggg,eeee "
        "or a path such as ScheduledProcedureStepSequence[0].Modality",
        QUERIES,
        QUERY,
        "KEY",
        values.key,
        action="append",
    ),
    Option(("-W", "--worklist"), "modality worklist", FIND, QUERY, name="model", const=sop.WORKLIST),
    Option(
        ("-P", "--patient"),
        "patient root (default at the level PATIENT)",
        QUERIES,
        QUERY,
        name="model",
        const=sop.PATIENT_ROOT,
    ),
    Option(("-S", "--study"), "study root (default)", QUERIES, QUERY, name="model", const=sop.STUDY_ROOT),
    Option(("-O", "--psonly"), "patient/study only", QUERIES, QUERY, name="model", const=sop.PATIENT_STUDY_ONLY),
    Option(
        ("-U", "--ups"),
        "unified procedure steps (UPS pull)",
        FIND,
        QUERY,
        name="model",
        const=sop.UnifiedProcedureStepPull,
    ),
    Option(("-X", "--extract"), "write each match to a file, rsp0001.dcm and so on", FIND, OUTPUT, default=False),
)
