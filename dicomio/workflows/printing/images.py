"""Images as image boxes take them: 8 or 12 bits of gray, or RGB (PS3.3 C.13.5)."""

import copy
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicomio.identifiers import dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLOR", "GRAYSCALE", "Image", "Window", "image_box"]

Image: TypeAlias = "Dataset | NDArray[Any]"
Window: TypeAlias = tuple[float, float]

# Keywords of the sequence that holds the image of a box (PS3.4 Tables H.4-10 and H.4-11).
GRAYSCALE: Final = "BasicGrayscaleImageSequence"
COLOR: Final = "BasicColorImageSequence"

PIXEL_DATA: Final = 0x7FE00010
PADDING: Final = "PixelPaddingValue"

# ITU-R BT.601: what red, green and blue contribute to gray.
LUMINANCE: Final = (0.299, 0.587, 0.114)
# Aspect ratios are pairs of integers, pixel spacings are not.
MICROMETRES: Final = 1000


def image_box(image: Image, *, color: bool, bits: int, window: Window | None, frame: int) -> Dataset:
    """The attributes of an image box that say what is in it.

    Args:
        image: an image object, an array of gray values or RGB, or attributes of an image box, which stay as they are.
        color: whether the box is one for color.
        bits: per pixel and sample.
        window: center and width of what is to be seen, in the values of the modality.
        frame: number of the frame, from 1.

    Raises:
        ValueError: the image is not one, or has no such frame.
        ImportError: it needs to be converted, and numpy or a decoder for its compression is not installed.
    """
    keyword = COLOR if color else GRAYSCALE
    if isinstance(image, Dataset) and keyword in image:
        ready = Dataset()
        ready.update(image)
        return ready
    if isinstance(image, Dataset):
        levels = levels_of(image, frame, window)
        aspect = aspect_ratio(image)
    else:
        levels = array_levels(image, window)
        aspect = None
    item = color_item(levels) if color else gray_item(levels, bits)
    if aspect is not None:
        item.PixelAspectRatio = aspect
    return dataset(**{keyword: [item]})


# from images to light: 0 is black, 1 is white


def levels_of(ds: Dataset, frame: int, window: Window | None) -> "NDArray[Any]":
    """The picture that an image object shows: rows and columns, and a third dimension where it has color."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    if PIXEL_DATA not in ds:
        raise ValueError("there are no pixel data to print")
    frames = int(ds.get("NumberOfFrames") or 1)
    if not 1 <= frame <= frames:
        raise ValueError(f"the image has {frames} frame{'s' * (frames > 1)}, there is none of number {frame}")
    photometric = ds.PhotometricInterpretation
    values = pixel_array(with_transfer_syntax(ds), index=frame - 1)
    if photometric == "PALETTE COLOR":
        return fraction(apply_color_lut(values, ds), ds.RedPaletteColorLookupTableDescriptor[2])
    if values.ndim == 3:
        return fraction(values, ds.BitsStored)
    levels = gray_levels(values, ds, window)
    return 1 - levels if photometric == "MONOCHROME1" else levels


def array_levels(values: "NDArray[Any]", window: Window | None) -> "NDArray[Any]":
    """The picture in an array: bytes are taken as they are, other values from the lowest to the highest."""
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise ValueError(f"an array of shape {values.shape} is not an image: rows and columns, and 3 samples of RGB")
    if window is not None:
        return windowed(values, window, "LINEAR")
    if values.dtype == "uint8":
        return fraction(values, 8)
    return stretched(values, values.min(), values.max())


def gray_levels(stored: "NDArray[Any]", ds: Dataset, window: Window | None) -> "NDArray[Any]":
    """What stored values of a grayscale image look like (PS3.3 C.11.1, C.11.2)."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    values = apply_modality_lut(stored, ds)
    if window is not None:
        return windowed(values, window, "LINEAR")
    if ds.get("VOILUTSequence"):
        return fraction(apply_voi_lut(values.astype("int32"), ds), ds.VOILUTSequence[0].LUTDescriptor[2])
    if ds.get("WindowCenter") is not None and ds.get("WindowWidth") is not None:
        return windowed(values, (first(ds.WindowCenter), first(ds.WindowWidth)), ds.get("VOILUTFunction") or "LINEAR")
    if values is stored and ds.BitsStored == 8 and not ds.PixelRepresentation:
        return fraction(stored, 8)
    seen = values[stored != ds[PADDING].value] if PADDING in ds else values
    return stretched(values, seen.min(), seen.max()) if seen.size else fraction(stored * 0, 8)


def windowed(values: "NDArray[Any]", window: Window, function: str) -> "NDArray[Any]":
    """Applies a window (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    import numpy as np

    center, width = window
    least = 1 if function == "LINEAR" else 0
    if width < least or (width == 0 and function != "LINEAR"):
        raise ValueError(f"a window cannot be {width:g} wide")
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (values.astype("float32") - center) / width)))
    if function == "LINEAR":
        return stretched(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)
    return stretched(values, center - width / 2, center + width / 2)


def stretched(values: "NDArray[Any]", low: float, high: float) -> "NDArray[Any]":
    """Values from `low` to `high` on a scale from 0 to 1."""
    if high <= low:
        return (values > low).astype("float32")
    return ((values.astype("float32") - float(low)) / (float(high) - float(low))).clip(0, 1)


def fraction(values: "NDArray[Any]", bits: int) -> "NDArray[Any]":
    """Values of so many bits on a scale from 0 to 1."""
    return stretched(values, 0, 2**bits - 1)


def first(value: Any) -> float:
    """The first of several values, or the only one."""
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def with_transfer_syntax(ds: Dataset) -> Dataset:
    """The same data set, naming a transfer syntax as pixel data need it."""
    named: Any = getattr(ds, "file_meta", None)
    if named is not None and named.get("TransferSyntaxUID"):
        return ds
    ds = copy.copy(ds)
    ds.file_meta = FileMetaDataset()
    big = ds.original_encoding[1] is False
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRBigEndian if big else ExplicitVRLittleEndian)
    return ds


def aspect_ratio(ds: Dataset) -> list[int] | None:
    """Pixel Aspect Ratio (0028,0034), vertical and horizontal, where pixels are not square."""
    ratio = ds.get("PixelAspectRatio")
    if not ratio:
        spacing = ds.get("PixelSpacing") or ds.get("ImagerPixelSpacing") or (1, 1)
        ratio = [round(float(each) * MICROMETRES) for each in spacing]
    vertical, horizontal = (int(each) for each in ratio)
    return [vertical, horizontal] if vertical != horizontal and min(vertical, horizontal) > 0 else None


# from light to the pixels of an image box


def gray_item(levels: "NDArray[Any]", bits: int) -> Dataset:
    """A picture in gray (PS3.4 Table H.4-10): white is the highest value."""
    import numpy as np

    if bits not in (8, 12):
        raise ValueError(f"image boxes take 8 or 12 bits, not {bits}")
    if levels.ndim == 3:
        levels = levels @ np.asarray(LUMINANCE, "float32")
    pixels = np.rint(levels * (2**bits - 1)).astype("u1" if bits == 8 else "<u2")
    return pixel_item(pixels, 1, bits, PhotometricInterpretation="MONOCHROME2")


def color_item(levels: "NDArray[Any]") -> Dataset:
    """A picture in color, plane by plane (PS3.4 Table H.4-11)."""
    import numpy as np

    if levels.ndim == 2:
        levels = np.stack([levels] * 3, axis=2)
    planes = np.rint(levels.transpose(2, 0, 1) * 255).astype("u1")
    return pixel_item(planes, 3, 8, PhotometricInterpretation="RGB", PlanarConfiguration=1)


def pixel_item(pixels: "NDArray[Any]", samples: int, bits: int, **elements: object) -> Dataset:
    """The item of the sequence that holds the image of a box."""
    rows, columns = pixels.shape[-2:]
    item = dataset(
        SamplesPerPixel=samples,
        Rows=rows,
        Columns=columns,
        BitsAllocated=pixels.dtype.itemsize * 8,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
        **elements,
    )
    data = pixels.tobytes()
    item.add_new(PIXEL_DATA, "OW", data + b"\0" * (len(data) % 2))
    return item
