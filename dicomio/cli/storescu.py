"""`dicomio storescu`: C-STORE of files."""

from argparse import Namespace

from dicomio.cli.output import Output
from dicomio.cli.plan import Rules
from dicomio.cli.scu import complete
from dicomio.cli.sender import Sender

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    sender = Sender(args, output, Rules(args.transfer_syntaxes), "any")
    return complete(sender.run(repeat=args.repeat, jobs=args.jobs, abort=args.abort))
