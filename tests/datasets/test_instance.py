import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from dicomio.config import Limits
from dicomio.datasets import Instance, decode, encode, file_header
from dicomio.errors import InvalidInstance

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
NO_INSTANCES = {
    "no_meta.dcm",  # its first element has an impossible tag
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "empty_charset_LEI.dcm",
}
INSTANCES = sorted(path for path in TEST_FILES.glob("*.dcm") if path.name not in NO_INSTANCES)

Sample = Callable[[str], Path]


def write(path: Path, data: bytes, *, transfer_syntax: str = EXPLICIT_LE, uid: str = "1.2.3", sop: str = "1.2") -> Path:
    header = file_header(
        sop_class_uid=sop,
        sop_instance_uid=uid,
        transfer_syntax=transfer_syntax,
        implementation_class_uid="1.2.3",
        implementation_version_name="",
    )
    path.write_bytes(header + data)
    return path


@pytest.mark.filterwarnings("ignore:Expected explicit VR")  # pydicom says so of SC_rgb_jpeg.dcm
@pytest.mark.parametrize("path", INSTANCES, ids=lambda path: str(path.name))
def test_open_agrees_with_pydicom(path: Path) -> None:
    instance = Instance.open(path)
    ds = pydicom.dcmread(path, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
    assert instance.sop_class_uid == (ds.file_meta.get("MediaStorageSOPClassUID") or ds.SOPClassUID)
    assert instance.sop_instance_uid == (ds.file_meta.get("MediaStorageSOPInstanceUID") or ds.SOPInstanceUID)
    if named := ds.file_meta.get("TransferSyntaxUID"):
        assert instance.transfer_syntax == named
    assert instance.path == path
    assert instance.offset + instance.length == path.stat().st_size
    assert instance.read() == path.read_bytes()[instance.offset :]


@pytest.mark.parametrize(
    "name, transfer_syntax",
    [("ExplVR_LitEndNoMeta.dcm", EXPLICIT_LE), ("ExplVR_BigEndNoMeta.dcm", EXPLICIT_BE)],
)
def test_without_file_meta_information_the_encoding_is_found_out(
    sample: Sample, name: str, transfer_syntax: str
) -> None:
    instance = Instance.open(sample(name))
    assert (instance.transfer_syntax, instance.offset) == (transfer_syntax, 0)
    assert instance.dataset().SOPInstanceUID == instance.sop_instance_uid


def test_a_data_set_in_implicit_vr_needs_no_file_meta_information(tmp_path: Path, small: Dataset) -> None:
    path = tmp_path / "x"
    path.write_bytes(encode(small, IMPLICIT_LE))
    instance = Instance.open(path)
    assert (instance.transfer_syntax, instance.sop_instance_uid) == (IMPLICIT_LE, "1.2.3.4")
    assert instance.dataset() == small


def test_file_meta_information_without_preamble_is_read(tmp_path: Path, small: Dataset) -> None:
    path = write(tmp_path / "x", encode(small, EXPLICIT_LE))
    path.write_bytes(path.read_bytes()[132:])
    assert Instance.open(path).dataset() == small


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED])
def test_uids_missing_in_the_meta_information_come_from_the_data_set(
    tmp_path: Path, small: Dataset, transfer_syntax: str
) -> None:
    path = write(tmp_path / "x", encode(small, transfer_syntax), transfer_syntax=transfer_syntax, uid="", sop="")
    instance = Instance.open(path)
    assert instance.sop_class_uid == small.SOPClassUID
    assert instance.sop_instance_uid == small.SOPInstanceUID
    assert instance.dataset() == small


def test_a_large_data_set_is_not_read_for_its_uids(tmp_path: Path, small: Dataset) -> None:
    small.PixelData = bytes(1 << 20)
    small["PixelData"].VR = "OB"
    path = write(tmp_path / "x", encode(small, DEFLATED), transfer_syntax=DEFLATED, uid="")
    assert Instance.open(path).sop_instance_uid == small.SOPInstanceUID


def test_meta_information_may_be_longer_than_the_first_read(tmp_path: Path, small: Dataset) -> None:
    data = encode(small, EXPLICIT_LE)
    path = write(tmp_path / "x", data)
    private = (
        b"\x02\0\x00\x01UI\x02\x001\0" + b"\x02\0\x02\x01OB\0\0" + (100_000).to_bytes(4, "little") + bytes(100_000)
    )
    head = path.read_bytes()[: -len(data)]
    path.write_bytes(head + private + data)
    instance = Instance.open(path)
    assert (instance.offset, instance.length) == (len(head + private), len(data))


def test_transfer_syntax_missing_in_the_meta_information_is_found_out(tmp_path: Path, small: Dataset) -> None:
    path = write(tmp_path / "x", encode(small, EXPLICIT_LE), transfer_syntax="")
    assert Instance.open(path).transfer_syntax == EXPLICIT_LE


def test_a_path_may_be_a_text(sample: Sample) -> None:
    path = sample("CT_small.dcm")
    assert Instance.open(str(path)) == Instance.open(path)


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "not a DICOM file"),
        (b"hello world, this is a text", "not a DICOM file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a DICOM file"),
        (bytes(1000), "not a DICOM file"),
        (bytes(128) + b"DICM", "not a DICOM file, or lacks"),
        (bytes(128) + b"DICM\x02\0\x02\0UI\xff\xff", "cut off"),
        (bytes(128) + b"DICM\x02\0\x02\x01OB\0\0\xff\xff\xff\x7f", "cut off"),
        (bytes(128) + b"DICM\x02\0\x02\0UI\x02\0\xff\xff", "not a UID"),
    ],
)
def test_what_is_no_instance_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(InvalidInstance, match=why) as caught:
        Instance.open(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", sorted(NO_INSTANCES))
def test_files_without_uids_are_refused(sample: Sample, name: str) -> None:
    with pytest.raises(InvalidInstance):
        Instance.open(sample(name))


def test_a_dicomdir_is_refused(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="DICOMDIR"):
        Instance.open(sample("DICOMDIR"))


def test_a_file_that_ends_with_its_meta_information_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInstance, match="no data set"):
        Instance.open(write(tmp_path / "x", b""))


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInstance, match="not a regular file"):
        Instance.open(tmp_path)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInstance, match="not a regular file"):
        Instance.open(tmp_path / "pipe")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Instance.open(tmp_path / "missing")


def test_a_deflated_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"\xff" * 50, transfer_syntax=DEFLATED, uid="")
    with pytest.raises(InvalidInstance, match="damaged"):
        Instance.open(path)


def test_a_file_that_shrinks_is_noticed(tmp_path: Path, small: Dataset) -> None:
    path = write(tmp_path / "x", encode(small, EXPLICIT_LE))
    instance = Instance.open(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InvalidInstance, match="left of a data set"):
        instance.read()


def test_dataset_knows_its_transfer_syntax_so_that_pixels_can_be_had(sample: Sample) -> None:
    path = sample("MR_small_RLE.dcm")
    ours, theirs = Instance.open(path).dataset(), pydicom.dcmread(path)
    assert ours == theirs
    assert (ours.pixel_array == theirs.pixel_array).all()


def test_dataset_keeps_to_the_limits(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="longer than 1000 bytes"):
        Instance.open(sample("CT_small.dcm")).dataset(Limits(data_set=1000))


def test_from_dataset_takes_the_transfer_syntax_of_the_file_meta_information(sample: Sample) -> None:
    path = sample("MR_small_bigendian.dcm")
    instance = Instance.from_dataset(pydicom.dcmread(path))
    assert instance.transfer_syntax == EXPLICIT_BE
    assert instance.read() == Instance.open(path).read()


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE])
def test_from_dataset_keeps_the_encoding_a_data_set_came_in(small: Dataset, transfer_syntax: str) -> None:
    data = encode(small, transfer_syntax)
    instance = Instance.from_dataset(decode(data, transfer_syntax))
    assert (instance.transfer_syntax, instance.read(), instance.length) == (transfer_syntax, data, len(data))


def test_from_dataset_of_a_new_data_set_is_explicit_little_endian(small: Dataset) -> None:
    instance = Instance.from_dataset(small)
    assert (instance.sop_instance_uid, instance.transfer_syntax) == ("1.2.3.4", EXPLICIT_LE)
    assert instance.dataset() == small


def test_from_dataset_encodes_as_told(small: Dataset) -> None:
    instance = Instance.from_dataset(small, DEFLATED)
    assert zlib.decompress(instance.read(), -15) == encode(small, EXPLICIT_LE)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_from_dataset_needs_both_uids(small: Dataset, keyword: str) -> None:
    del small[keyword]
    with pytest.raises(InvalidInstance, match=r"\(0008,001[68]\)"):
        Instance.from_dataset(small)


def test_compressed_pixel_data_are_not_taken_for_uncompressed_ones(sample: Sample) -> None:
    ds = Instance.open(sample("MR_small_RLE.dcm")).dataset()
    del ds.file_meta
    with pytest.raises(InvalidInstance, match="Pixel Data are compressed"):
        Instance.from_dataset(ds)


def test_uncompressed_pixel_data_are_not_taken_for_compressed_ones(sample: Sample) -> None:
    ds = pydicom.dcmread(sample("CT_small.dcm"))
    with pytest.raises(InvalidInstance, match="not encapsulated"):
        Instance.from_dataset(ds, JPEG)


def test_encapsulated_pixel_data_set_by_hand_are_sent_with_undefined_length(small: Dataset) -> None:
    small.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    small["PixelData"].VR = "OB"
    instance = Instance.from_dataset(small, JPEG)
    assert small["PixelData"].is_undefined_length is False
    assert instance.dataset()["PixelData"].is_undefined_length
    assert instance.dataset().PixelData == small.PixelData


def test_from_bytes_takes_them_as_they_are() -> None:
    instance = Instance.from_bytes("1.2", "1.2.3", EXPLICIT_LE, b"anything")
    assert (instance.path, instance.offset, instance.length, instance.read()) == (None, 0, 8, b"anything")
    assert "anything" not in repr(instance)


def test_an_instance_without_data_reads_as_nothing() -> None:
    assert Instance("1.2", "1.2.3", UID(EXPLICIT_LE)).read() == b""
