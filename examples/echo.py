"""Asks an application entity for a sign of life: `python examples/echo.py ARCHIVE@localhost:11112`."""

import asyncio
import sys

import dicomio


async def main(address: str) -> None:
    try:
        seconds = await dicomio.echo(address, ae_title="EXAMPLE", timeout=5)
    except dicomio.DicomError as error:
        sys.exit(str(error))
    print(f"{address} answered in {seconds * 1000:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
