"""What images look like on film: the pixels of image boxes (PS3.3 C.13.5)."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicomio import dataset
from dicomio.workflows.printing.attributes import check_image
from dicomio.workflows.printing.images import Image, Window, image_box
from tests.workflows.printers import box, gradient


def gray(image: Image, *, bits: int = 8, window: Window | None = None, frame: int = 1) -> NDArray[Any]:
    """The pixels of a grayscale image box, which is one that can be printed."""
    attributes = image_box(image, color=False, bits=bits, window=window, frame=frame)
    check_image(attributes, color=False)
    (item,) = attributes.BasicGrayscaleImageSequence
    assert (item.BitsStored, item.PhotometricInterpretation) == (bits, "MONOCHROME2")
    pixels = np.frombuffer(item.PixelData, "u1" if bits == 8 else "<u2")
    return pixels[: item.Rows * item.Columns].reshape(item.Rows, item.Columns)


def rgb(image: Image) -> NDArray[Any]:
    """The pixels of a color image box, which is one that can be printed."""
    attributes = image_box(image, color=True, bits=8, window=None, frame=1)
    check_image(attributes, color=True)
    (item,) = attributes.BasicColorImageSequence
    assert item.PlanarConfiguration == 1
    planes = np.frombuffer(item.PixelData, "u1")[: 3 * item.Rows * item.Columns]
    return planes.reshape(3, item.Rows, item.Columns).transpose(1, 2, 0)


def image(pixels: NDArray[Any], **elements: Any) -> Dataset:
    """An image object of these stored values."""
    bits = pixels.dtype.itemsize * 8
    known = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    ds = dataset(**{**known, **elements})
    ds.add_new(0x7FE00010, "OW", pixels.tobytes() + b"\0" * (pixels.nbytes % 2))
    return ds


def sample(name: str) -> Dataset:
    """One of pydicom's test files."""
    return dcmread(str(get_testdata_file(name)))


def test_bytes_stay_as_they_are() -> None:
    assert gray(gradient()).tolist() == gradient().tolist()
    assert gray(image(gradient())).tolist() == gradient().tolist()


def test_twelve_bits() -> None:
    assert gray(np.array([[0, 128, 255]], "uint8"), bits=12).tolist() == [[0, 2056, 4095]]


def test_other_values_are_stretched() -> None:
    assert gray(np.array([[-1000.0, 0.0, 1000.0]])).tolist() == [[0, 128, 255]]
    assert gray(image(np.array([[100, 150, 200]], "<i2"))).tolist() == [[0, 128, 255]]


def test_values_that_are_all_the_same_are_black() -> None:
    assert gray(np.full((2, 2), 7, "uint16")).tolist() == [[0, 0], [0, 0]]


def test_padding_does_not_count() -> None:
    pixels = np.array([[-2000, 0, 100]], "<i2")
    assert gray(image(pixels, PixelPaddingValue=-2000)).tolist() == [[0, 0, 255]]
    assert gray(image(np.full((1, 2), -2000, "<i2"), PixelPaddingValue=-2000)).tolist() == [[0, 0]]


def test_a_window_that_is_given_goes_first() -> None:
    ds = image(np.array([[-100, 0, 100, 200]], "<i2"), WindowCenter=0, WindowWidth=10)
    assert gray(ds, window=(50.5, 101)).tolist() == [[0, 0, 255, 255]]
    assert gray(np.array([[0, 50, 100]], "uint8"), window=(50.5, 101)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    "function, expected",
    [
        # PS3.3 C.11.2.1.2.1: center 100, width 101; from 49.5 to 149.5
        ("LINEAR", [0, 1, 129, 255]),
        # C.11.2.1.3.2: from 49.5 to 150.5
        ("LINEAR_EXACT", [0, 1, 128, 254]),
        # C.11.2.1.3.1
        ("SIGMOID", [5, 31, 128, 224]),
    ],
)
def test_the_window_of_an_image(function: str, expected: list[int]) -> None:
    ds = image(np.array([[0, 50, 100, 150]], "<i2"), WindowCenter=[100, 1], WindowWidth=[101, 1])
    ds.VOILUTFunction = function
    (row,) = gray(ds).tolist()
    assert row == pytest.approx(expected, abs=1)


def test_a_window_is_in_values_of_the_modality() -> None:
    ds = image(np.array([[0, 1024, 2048]], "<u2"), RescaleSlope=1, RescaleIntercept=-1024)
    assert gray(ds, window=(0.5, 2049)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("width, function", [(0, "LINEAR"), (0.5, "LINEAR"), (0, "SIGMOID"), (0, "LINEAR_EXACT")])
def test_windows_that_are_none(width: float, function: str) -> None:
    ds = image(np.array([[0, 1]], "<i2"), WindowCenter=1, WindowWidth=width, VOILUTFunction=function)
    with pytest.raises(ValueError, match="cannot be"):
        gray(ds)


def test_a_voi_lut() -> None:
    ds = image(np.array([[0, 1, 2, 3]], "<u2"), WindowCenter=1, WindowWidth=1)
    lut = dataset(LUTDescriptor=[3, 1, 12])
    lut.add_new(0x00283006, "US", [0, 2048, 4095])
    ds.VOILUTSequence = [lut]
    assert gray(ds).tolist() == [[0, 0, 128, 255]]


def test_monochrome1_is_inverted() -> None:
    ds = image(gradient(), PhotometricInterpretation="MONOCHROME1")
    assert gray(ds).tolist() == (255 - gradient()).tolist()


def test_frames() -> None:
    frames = np.stack([gradient(), 255 - gradient()])
    ds = image(frames, NumberOfFrames=2)
    assert gray(ds, frame=2).tolist() == frames[1].tolist()
    for none in (0, 3):
        with pytest.raises(ValueError, match="has 2 frames"):
            gray(ds, frame=none)


@pytest.mark.parametrize(
    "elements, ratio",
    [
        ({"PixelSpacing": [0.5, 0.5]}, None),
        ({"PixelSpacing": [0.5, 0.25]}, [500, 250]),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, [100, 200]),
        ({"PixelAspectRatio": [4, 3], "PixelSpacing": [1, 1]}, [4, 3]),
        ({"PixelAspectRatio": [0, 1]}, None),
    ],
)
def test_pixels_that_are_not_square(elements: dict[str, Any], ratio: list[int] | None) -> None:
    ds = image(gradient(), **elements)
    (item,) = image_box(ds, color=False, bits=8, window=None, frame=1).BasicGrayscaleImageSequence
    assert item.get("PixelAspectRatio") == ratio


def test_color() -> None:
    pixels = np.arange(24, dtype="uint8").reshape(2, 4, 3)
    assert rgb(pixels).tolist() == pixels.tolist()


def test_gray_in_color_and_color_in_gray() -> None:
    assert rgb(gradient()).tolist() == np.stack([gradient()] * 3, axis=2).tolist()
    primary = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], "uint8")
    assert gray(primary).tolist() == [[76, 150, 29, 255]]


@pytest.mark.parametrize(
    "name", ["examples_rgb_color.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_color_images(name: str) -> None:
    expected = pixel_array(sample(name))
    assert rgb(sample(name)).tolist() == expected.tolist()
    luminance = expected @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray(sample(name)) - luminance).max() <= 0.51


def test_a_palette() -> None:
    ds = sample("examples_palette.dcm")
    found = rgb(ds)
    assert found.shape == (ds.Rows, ds.Columns, 3)
    assert len(np.unique(found)) > 10


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm"])
@pytest.mark.parametrize("bits", [8, 12])
def test_however_an_image_is_encoded(name: str, bits: int) -> None:
    expected = gray(sample("MR_small.dcm"), bits=bits)
    assert gray(sample(name), bits=bits).tolist() == expected.tolist()


@pytest.mark.parametrize("bits", [8, 12])
def test_an_image_without_a_window_uses_the_whole_range(bits: int) -> None:
    found = gray(sample("CT_small.dcm"), bits=bits)
    assert (found.min(), found.max()) == (0, 2**bits - 1)


def test_a_data_set_without_file_meta_information() -> None:
    ds = sample("MR_small.dcm")
    expected = gray(ds).tolist()
    del ds.file_meta
    assert gray(ds).tolist() == expected
    assert not hasattr(ds, "file_meta")


@pytest.mark.parametrize("little", [True, False])
def test_the_byte_order_it_was_read_in(little: bool) -> None:
    pixels = np.array([[1, 256]], "<u2" if little else ">u2")
    ds = image(pixels)
    ds.set_original_encoding(False, little, "iso8859")
    assert gray(ds).tolist() == [[0, 255]]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    assert gray(ds).tolist() == [[0, 255]]


def test_attributes_of_an_image_box_stay_as_they_are() -> None:
    given_box = box(Polarity="REVERSE")
    found = image_box(given_box, color=False, bits=8, window=None, frame=1)
    assert found == given_box
    found.update(dataset(ImageBoxPosition=2))
    assert given_box.ImageBoxPosition == 1


def test_without_numpy_what_is_ready_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert image_box(box(), color=False, bits=8, window=None, frame=1) == box()


@pytest.mark.parametrize("shape", [(4,), (2, 2, 4), (2, 2, 2, 3)])
def test_arrays_that_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not an image"):
        gray(np.zeros(shape))


def test_what_has_no_pixels() -> None:
    with pytest.raises(ValueError, match="no pixel data"):
        gray(dataset(PatientName="DOE"))


def test_ten_bits_are_none() -> None:
    with pytest.raises(ValueError, match="8 or 12 bits"):
        gray(gradient(), bits=10)


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from([8, 12]))
def test_every_size_can_be_printed(rows: int, columns: int, is_color: bool, bits: int) -> None:
    pixels = np.arange(rows * columns, dtype="uint8").reshape(rows, columns)
    attributes = image_box(pixels, color=is_color, bits=bits, window=None, frame=1)
    check_image(attributes, color=is_color)
    (item,) = attributes.BasicColorImageSequence if is_color else attributes.BasicGrayscaleImageSequence
    assert len(item.PixelData) % 2 == 0
