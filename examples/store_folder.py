"""Sends every DICOM file below a directory: `python examples/store_folder.py ARCHIVE@localhost:11112 study`."""

import asyncio
import sys

import dicomio


async def main(address: str, folder: str) -> int:
    limits = dicomio.Limits(associations=4)
    try:
        async with dicomio.Client(address, ae_title="EXAMPLE", limits=limits) as archive:
            async with archive.store_many(folder) as outcomes:
                async for outcome in outcomes:
                    print(f"{outcomes.done}/{outcomes.total or '?'} {outcome}")
    except dicomio.DicomError as error:
        sys.exit(str(error))
    return 1 if outcomes.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
