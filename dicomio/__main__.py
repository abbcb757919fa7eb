"""`python -m dicomio` is the `dicomio` command."""

import sys

from dicomio.cli import main

if __name__ == "__main__":
    sys.exit(main())
