"""Prints images, six on a film: `python examples/print_images.py PRINTER@localhost:11112 study/*.dcm`."""

import asyncio
import sys
from collections.abc import Sequence

from pydicom import dcmread

import dicomio
from dicomio import FilmBox, print_session


async def main(address: str, paths: Sequence[str]) -> None:
    try:
        async with (
            dicomio.Client(address, ae_title="EXAMPLE") as printer,
            print_session(printer, copies=1, presentation_lut="IDENTITY") as session,
        ):
            print("printer:", (await session.printer()).PrinterStatus)
            for start in range(0, len(paths), 6):
                async with session.film_box(r"STANDARD\2,3", orientation="PORTRAIT") as film:
                    await fill(film, paths[start : start + 6])
            for warning in session.warnings:
                print(warning)
    except dicomio.DicomError as error:
        sys.exit(str(error))


async def fill(film: FilmBox, paths: Sequence[str]) -> None:
    """Puts images on a film, and prints it."""
    for position, path in enumerate(paths, 1):
        await film.image(position, await asyncio.to_thread(dcmread, path), bits=12)
    job = await film.print()
    # Not every printer keeps account of its jobs; of those that do not all report on them, so that they are asked.
    print(len(paths), "images:", await job.finished(poll=5) if job else "accepted")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
