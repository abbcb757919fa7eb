"""Log records where a file says: `--log-config`."""

import json
import logging.config
import tomllib
from pathlib import Path

from dicomio.cli.errors import UsageError

__all__ = ["configure"]


def configure(name: str) -> None:
    """Configures the loggers of this process.

    Args:
        name: a file. In JSON or TOML (`.json`, `.toml`) it is what `logging.config.dictConfig` takes, where `version`
            may be left out; else it has the form of `logging.config.fileConfig`.

    Raises:
        UsageError: it cannot be read, or does not configure loggers.
    """
    path = Path(name)
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".json":
            configure_by(json.loads(text))
        elif path.suffix.lower() == ".toml":
            configure_by(tomllib.loads(text))
        else:
            logging.config.fileConfig(path, disable_existing_loggers=False, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}") from error
    except Exception as error:  # whatever the classes and functions raise that the file names
        reason = f"{error}: {error.__cause__}" if error.__cause__ is not None else str(error)
        raise UsageError(f"{path} does not configure logging: {type(error).__name__}: {reason}") from error


def configure_by(settings: object) -> None:
    """Configures the loggers as a dictionary says (PEP 391)."""
    if not isinstance(settings, dict):
        raise TypeError("there is no table of settings in it")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False} | settings)
