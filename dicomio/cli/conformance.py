"""`dicomio conformance MODULE:APP`: the conformance statement of an application."""

from argparse import Namespace

from dicomio import sop
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.serve import find_application
from dicomio.cli.serving import server_maker
from dicomio.config import checked_uid

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool; nothing is served."""
    app = find_application(args.application)
    server = server_maker(app, args)(args.port, shared=False)
    proposes = [sop_class(text) for text in args.propose or ()]
    statement = app.conformance_statement(server, workers=args.workers, proposes=proposes)
    if output.json:
        output.result("", {"ae_title": app.ae_title, "statement": statement})
    else:
        output.paragraph(statement.splitlines())
    return 0


def sop_class(text: str) -> str:
    """A SOP class by its name in `dicomio.sop`, or by its UID.

    Raises:
        UsageError: it is neither.
    """
    found = getattr(sop, text, text)
    try:
        return checked_uid(found)
    except (TypeError, ValueError) as error:
        raise UsageError(f"option --propose: {text!r} is neither the name nor the UID of a SOP class") from error
