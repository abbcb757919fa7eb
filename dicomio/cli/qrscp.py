"""`dicomio qrscp`: an archive to store into, to query and to retrieve from."""

import logging
from argparse import Namespace
from pathlib import Path
from typing import Any

from dicomio import Application, Request, StoreRequest
from dicomio.cli.archives import archive_class
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output, object_record
from dicomio.cli.serving import serve_application

__all__ = ["run"]

logger = logging.getLogger("dicomio.cli.qrscp")


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
    tell_of_objects(archive.app, output)
    return serve_application(archive.app, args, output)


def tell_of_objects(app: Application, output: Output) -> None:
    """Tells of each object that the archive has taken, where anybody wants to know."""
    if not (output.json or logger.isEnabledFor(logging.INFO)):
        return

    @app.middleware
    async def tell(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        if isinstance(request, StoreRequest) and answer is None:
            logger.info("%s: %s stored", request.peer, request.sop_instance_uid)
            output.result("", object_record(request))
        return answer
