"""A printer that writes its films as PGM images: `python examples/print_scp.py 11112 films`."""

import sys
from pathlib import Path

from pydicom.dataset import Dataset

from dicomio import Application, PrintProvider, PrintRequest


def print_scp(folder: Path) -> Application:
    """An application that prints into a folder, a folder for each film."""
    app = Application("PRINTER")

    def write(request: PrintRequest) -> None:  # a plain function runs in a thread, and may write files
        for number, film in enumerate(request.films, 1):
            path = folder / request.uid / f"film{number}"
            path.mkdir(parents=True)
            for position, box in enumerate(film.images, 1):
                for image in box.get("BasicGrayscaleImageSequence") or ():
                    (path / f"{position}.pgm").write_bytes(pgm(image))

    PrintProvider(app, write, printer={"PrinterName": "FILES"})
    return app


def pgm(image: Dataset) -> bytes:
    """An image as a Portable Graymap, of 8 or 12 bits."""
    pixels = bytearray(image.PixelData[: image.Rows * image.Columns * image.BitsAllocated // 8])
    if image.BitsAllocated == 16:
        pixels[::2], pixels[1::2] = pixels[1::2], pixels[::2]  # the high byte comes first
    return b"P5 %d %d %d\n" % (image.Columns, image.Rows, 2**image.BitsStored - 1) + pixels


if __name__ == "__main__":
    print_scp(Path(sys.argv[2])).run(port=int(sys.argv[1]))
