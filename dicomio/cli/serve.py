"""`dicomio serve MODULE:APP`: runs any application."""

import importlib
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from dicomio import Application
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.reloading import serve_reloading
from dicomio.cli.serving import serve_application
from dicomio.workers import reserve_port

__all__ = ["find_application", "run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    if not args.reload:
        return serve_application(find_application(args.application), args, output)
    split(args.application)
    output.developing = True
    with ExitStack() as stack:
        if args.port == 0:
            # Whoever was told the port finds the next process there too.
            holder, (_, args.port) = reserve_port(args.host, args.port)
            stack.enter_context(holder)
            args.shared_port = True
        return serve_reloading(lambda: serve_now(args, output), Path.cwd(), output)


def serve_now(args: Namespace, output: Output) -> int:
    """Serves what is there now; code that cannot be run is told, since it is going to change."""
    try:
        return serve_application(find_application(args.application), args, output)
    except UsageError as error:
        output.error(str(error), error)
        return 2


def split(text: str) -> tuple[str, str]:
    """The names of module and application.

    Raises:
        UsageError: it is not `MODULE:APP`.
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise UsageError(f"{text!r} is not MODULE:APP")
    return module, name


def find_application(text: str) -> Application:
    """Finds `APP` in `MODULE`, which may be in the current directory.

    Raises:
        UsageError: there is no such module, it cannot be imported, or no application of that name is in it.
    """
    module_name, name = split(text)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"there is no module {error.name}") from error
    except Exception as error:
        raise UsageError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Application):
        raise UsageError(f"{name} in {module_name} is not a dicomio.Application")
    return found
