"""`dicomio qrscp`: an archive to store into, to query and to retrieve from."""

from argparse import Namespace
from pathlib import Path

from dicomio.cli.archives import archive_class
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.serving import serve_application

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool.

    Raises:
        UsageError: the archive cannot be made there, or what it needs is not installed.
    """
    make = archive_class()
    root = Path(args.output_directory or "archive").absolute()
    if args.worklist is not None and not Path(args.worklist).is_dir():
        raise UsageError(f"{args.worklist} is not a directory")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{root}: {error.strerror}") from error
    archive = make(
        root,
        index=args.index,
        ae_title=args.aetitle or "QRSCP",
        destinations={address.ae_title: address for address in args.peer or ()},
        worklist=args.worklist,
    )
    return serve_application(archive.app, args, output)
