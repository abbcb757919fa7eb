"""Runs programs of pynetdicom one after the other, without starting an interpreter for each.

Usage: pynetdicom_scu.py NAME < LIST, where NAME is findscu, movescu or getscu, and LIST is JSON: pairs of the directory
to run in and the arguments.
"""

import importlib
import json
import os
import sys


def main() -> int:
    """Run them all; the result is that of the first that failed."""
    name = sys.argv[1]
    program = importlib.import_module(f"pynetdicom.apps.{name}.{name}")
    codes = []
    for directory, arguments in json.load(sys.stdin):
        os.chdir(directory)
        try:
            program.main(arguments)
            codes.append(0)
        except SystemExit as end:
            codes.append(int(end.code or 0))
        # What ends the output of one and begins that of the next.
        print(f"\n== ended {directory}", file=sys.stderr, flush=True)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
