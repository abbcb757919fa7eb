"""`dicomio storescu`: C-STORE of files."""

from argparse import Namespace

from dicomio.cli.configs import configured
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.plan import Rules
from dicomio.cli.scu import complete
from dicomio.cli.sender import Sender

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    profile = configured(args)
    if profile is not None and args.transfer_syntaxes is not None:
        raise UsageError("a configuration says what is proposed; options -x… cannot be given beside it")
    sender = Sender(args, output, Rules(args.transfer_syntaxes), "any", profile)
    return complete(sender.run(repeat=args.repeat, jobs=args.jobs, abort=args.abort))
