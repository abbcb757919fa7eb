from io import BytesIO

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from dicomio.datasets import file_header, safe_name
from dicomio.datasets.part10 import parse_file_meta
from dicomio.errors import InvalidInstance

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
uids = st.from_regex(r"[1-9](\.[1-9][0-9]{0,5}){1,8}", fullmatch=True)
ae_titles = st.from_regex(r"[A-Z]([A-Z0-9_ ]{0,14}[A-Z0-9])?", fullmatch=True)


def header(sop_instance_uid: str = "1.2.3", sending_ae: str = "SENDER", receiving_ae: str = "RECEIVER") -> bytes:
    return file_header(
        sop_class_uid=CT,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax=EXPLICIT_LE,
        sending_ae=sending_ae,
        receiving_ae=receiving_ae,
        implementation_class_uid="1.2.826.0.1",
        implementation_version_name="DICOMIO_1",
    )


@given(uids, ae_titles, ae_titles)
def test_header_is_byte_for_byte_what_pydicom_writes(uid: str, sending: str, receiving: str) -> None:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(CT)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = UID(EXPLICIT_LE)
    meta.ImplementationClassUID = UID("1.2.826.0.1")
    meta.ImplementationVersionName = "DICOMIO_1"
    meta.SendingApplicationEntityTitle = sending
    meta.ReceivingApplicationEntityTitle = receiving
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    assert header(uid, sending, receiving) == bytes(128) + b"DICM" + buffer.getvalue()


def test_header_leaves_out_what_is_empty() -> None:
    data = file_header(
        sop_class_uid=CT,
        sop_instance_uid="1.2",
        transfer_syntax=EXPLICIT_LE,
        implementation_class_uid="1.2.3",
        implementation_version_name="",
    )
    meta = pydicom.dcmread(BytesIO(data)).file_meta
    assert [each.keyword for each in meta][-1] == "ImplementationClassUID"
    assert len(data) == 144 + meta.FileMetaInformationGroupLength


def test_header_cuts_what_is_too_long_and_replaces_what_is_not_ascii() -> None:
    data = header(sending_ae="Ä" + "A" * 30)
    assert pydicom.dcmread(BytesIO(data)).file_meta.SendingApplicationEntityTitle == "?" + "A" * 15


def test_header_refuses_a_uid_that_fits_into_no_element() -> None:
    with pytest.raises(InvalidInstance, match="too long"):
        header("1" * 70_000)


def test_meta_information_is_read_back() -> None:
    data = header("1.2.3") + b"\x08\0\x05\0CS\0\0"
    assert parse_file_meta(data, 132) == (CT, "1.2.3", EXPLICIT_LE, len(data) - 8)


def test_meta_information_cut_off_anywhere_is_known_to_be_incomplete_unless_cut_between_elements() -> None:
    data = header()
    whole = parse_file_meta(data, 132)
    assert whole is not None
    for size in range(132, len(data)):
        part = parse_file_meta(data[:size], 132)
        assert part is None or part.end == size, size


def test_uids_may_be_padded_with_anything_but_must_be_ascii() -> None:
    element = b"\x02\0\x02\0UI\x06\0"
    meta = parse_file_meta(element + b"1.2 \0\0", 0)
    assert meta is not None
    assert meta.sop_class_uid == "1.2"
    with pytest.raises(InvalidInstance, match="not a UID"):
        parse_file_meta(element + b"1.2\xff\0\0", 0)


def test_group_length_decides_where_a_deflated_data_set_begins() -> None:
    syntax = b"\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99"
    group_length = b"\x02\0\0\0UL\x04\0" + len(syntax).to_bytes(4, "little")
    deflated = b"\x02\0\x03\0UI\x02\x009\0"
    meta = parse_file_meta(group_length + syntax + deflated, 0)
    assert meta == ("", "", "1.2.840.10008.1.2.1.99", len(group_length + syntax))


def test_a_wrong_group_length_misleads_nobody() -> None:
    syntax = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    for wrong in (0, 3, len(syntax) + 8, 0xFFFFFFFF):
        data = b"\x02\0\0\0UL\x04\0" + wrong.to_bytes(4, "little") + syntax + b"\x08\0\x05\0CS\0\0"
        meta = parse_file_meta(data, 0)
        assert meta == ("", "", EXPLICIT_LE, len(data) - 8)


@given(st.binary(max_size=300))
def test_meta_information_of_anything_is_read_or_refused(data: bytes) -> None:
    try:
        meta = parse_file_meta(data, 0)
    except InvalidInstance:
        return
    assert meta is None or 0 <= meta.end <= len(data)


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008.1.1", "2.25.329800735698586629295641978511506172918", "9" * 64])
def test_uids_are_their_own_names(uid: str) -> None:
    assert safe_name(uid) == uid
    assert safe_name(uid + "\0 ") == uid


@pytest.mark.parametrize(
    "uid",
    [
        *("", ".", "..", "../1", "/etc/passwd", "1.2/3", "1\\2", "C:1", "CON", "nul", "-rf", ".1", "1.", "1.2\0/x"),
        *("1" * 65, "1.2\n", "x" * 10_000, "\u0661.\u0662", "1.2.a", "\ud800", "~", "%2e%2e"),
    ],
)
def test_anything_else_becomes_a_digest(uid: str) -> None:
    name = safe_name(uid)
    assert name.startswith("uid-")
    assert len(name) == 36
    assert name == safe_name(uid)


def test_different_uids_get_different_names() -> None:
    assert len({safe_name(uid) for uid in ("..", "../", "", "1.2/", "1.2\\", "1.2")}) == 6


@given(st.one_of(st.text(), st.text(alphabet="0123456789./\\\0 -~:.")))
@example("..")
@example("1" * 10_000)
def test_a_name_never_leaves_its_directory(uid: str) -> None:
    name = safe_name(uid)
    assert 0 < len(name) <= 64
    assert not set(name) & set('/\\\0:*?"<>| ')
    assert name.isascii()
    assert not name.startswith((".", "-"))
    assert not name.endswith(".")
