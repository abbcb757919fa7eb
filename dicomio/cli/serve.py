"""`dicomio serve MODULE:APP`: runs any application."""

import importlib
import sys
from argparse import Namespace

from dicomio import Application
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.serving import serve_application

__all__ = ["find_application", "run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    return serve_application(find_application(args.application), args, output)


def find_application(text: str) -> Application:
    """Finds `APP` in `MODULE`, which may be in the current directory.

    Raises:
        UsageError: there is no such module, or no application of that name in it.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not module_name or not name:
        raise UsageError(f"{text!r} is not MODULE:APP")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"there is no module {error.name}") from error
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Application):
        raise UsageError(f"{name} in {module_name} is not a dicomio.Application")
    return found
