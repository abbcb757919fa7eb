"""Tools that receive objects into files."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.options.syntaxes import syntax_options
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import CONNECTION, EVENTS, OUTPUT, SCP, SYNTAX, TESTING

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final[tuple[Argument, ...]] = ()

OPTIONS: Final = (
    Option(("-pm", "--promiscuous"), "accept any SOP class, private ones too", SCP, CONNECTION, default=False),
    Option(
        ("+xa", "--accept-all"),
        "accept every transfer syntax, the peer's choice first (default)",
        SCP,
        SYNTAX,
        name="transfer_syntaxes",
        const=None,
    ),
    *syntax_options("+", "prefer", "storescp", "implicit"),
    Option(("-B", "--normal"), "decode and encode data sets anew", SCP, OUTPUT, name="bit_preserving", const=False),
    Option(
        ("-uf", "--default-filenames"),
        "name files by their SOP Instance UID (default)",
        SCP,
        OUTPUT,
        name="unique_filenames",
        const=False,
        default=False,
    ),
    Option(
        ("+uf", "--unique-filenames"),
        "give every file a name of its own",
        SCP,
        OUTPUT,
        name="unique_filenames",
    ),
    Option(
        ("-fe", "--filename-extension"),
        "what file names end in (.dcm)",
        SCP,
        OUTPUT,
        "EXTENSION",
        values.name_part,
        default=".dcm",
    ),
    Option(
        ("-ss", "--sort-conc-studies"),
        "a directory for each study: PREFIX and the time",
        SCP,
        OUTPUT,
        "PREFIX",
        values.name_part,
    ),
    Option(
        ("-su", "--sort-on-study-uid"),
        "a directory for each study: PREFIX and its UID",
        SCP,
        OUTPUT,
        "PREFIX",
        values.name_part,
    ),
    Option(
        ("-sp", "--sort-on-patientname"),
        "a directory for each study: the patient's name and the time",
        SCP,
        OUTPUT,
        default=False,
    ),
    Option(("--refuse",), "reject every association", SCP, TESTING, default=False),
    Option(("--reject",), "reject associations without an implementation class UID", SCP, TESTING, default=False),
    Option(("--ignore",), "receive, but write nothing", SCP, TESTING, default=False),
    Option(("--abort-after",), "abort after a data set, in place of the response", SCP, TESTING, default=False),
    Option(("--abort-during",), "abort while a data set arrives", SCP, TESTING, default=False),
    Option(
        ("--sleep-after",),
        "wait before each response",
        SCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    Option(
        ("--sleep-during",),
        "wait before taking each data set",
        SCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    Option(
        ("-xcr", "--exec-on-reception"),
        "command to run for each object; #p directory, #f file, #a calling and #c called AE title, #r address",
        SCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-xcs", "--exec-on-eostudy"),
        "command to run when a study is complete: an object of another one came, or -tos passed; as -xcr, without #f",
        SCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-tos", "--eostudy-timeout"),
        "seconds without an object after which a study is complete",
        SCP,
        EVENTS,
        "SECONDS",
        values.seconds,
    ),
)
