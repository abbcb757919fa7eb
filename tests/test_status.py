"""Status codes against PS3.7 Annex C, and against the tables of another implementation."""

import copy
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import status as other

from dicomio import status
from dicomio.status import ELSEWHERE, MEANINGS, SERVICE_MEANINGS, Status

CODES = range(0x10000)
NAMED = {name: value for name, value in vars(Status).items() if isinstance(value, Status)}
TABLES = {name: codes for name, codes in vars(other).items() if name.endswith("_STATUS") and isinstance(codes, dict)}


@pytest.mark.parametrize(
    "code, category",
    [
        (0x0000, "Success"),
        (0x0001, "Warning"),
        (0x0002, "Failure"),
        (0x0106, "Failure"),
        (0x0107, "Warning"),
        (0x0116, "Warning"),
        (0x0117, "Failure"),
        (0x0211, "Failure"),
        (0xA700, "Failure"),
        (0xAFFF, "Failure"),
        (0xB000, "Warning"),
        (0xBFFF, "Warning"),
        (0xC000, "Failure"),
        (0xCFFF, "Failure"),
        (0xFDFF, "Failure"),
        (0xFE00, "Cancel"),
        (0xFE01, "Failure"),
        (0xFF00, "Pending"),
        (0xFF01, "Pending"),
        (0xFF02, "Failure"),
        (0xFFFF, "Failure"),
    ],
)
def test_category(code: int, category: str) -> None:
    assert Status(code).category == category


def test_categories_are_those_of_another_implementation() -> None:
    theirs = {code: other.code_to_category(code) for code in CODES}
    differing = {code for code in CODES if Status(code).category != theirs[code]}
    assert {theirs[code] for code in differing} == {"Unknown"}
    assert {Status(code).category for code in differing} == {"Failure"}


@pytest.mark.parametrize("code", [0x0000, 0xB007, 0xA900, 0xFE00, 0xFF01])
def test_exactly_one_question_is_answered_with_yes(code: int) -> None:
    value = Status(code)
    answers = {
        "Success": value.is_success,
        "Pending": value.is_pending,
        "Cancel": value.is_cancel,
        "Warning": value.is_warning,
        "Failure": value.is_failure,
    }
    assert [category for category, answer in answers.items() if answer] == [value.category]


@pytest.mark.parametrize("table", TABLES)
def test_every_code_of_the_standard_has_words(table: str) -> None:
    for code, (category, _) in TABLES[table].items():
        value = Status(code)
        assert value.category == category
        assert "no standard meaning" not in value.meaning


def test_every_code_of_the_standard_has_a_name() -> None:
    # Of the ranges that an implementation may subdivide only the first code has one.
    codes = {code for table in TABLES.values() for code in table}
    ranges = {code for code in codes if code & 0xFF00 in (0xA700, 0xA900) or code & 0xF000 == 0xC000}
    assert codes - ranges <= set(NAMED.values())
    assert {0xA700, 0xA900, 0xC000} <= set(NAMED.values())


def test_every_declared_name_is_there_once() -> None:
    declared = [name for name, kind in vars(Status)["__annotations__"].items() if "Status" in str(kind)]
    assert set(declared) == set(NAMED)
    assert len(set(NAMED.values())) == len(NAMED)


def test_names_are_of_the_right_codes() -> None:
    expected = {
        "SUCCESS": 0x0000,
        "PROCESSING_FAILURE": 0x0110,
        "DUPLICATE_SOP_INSTANCE": 0x0111,
        "NO_SUCH_SOP_INSTANCE": 0x0112,
        "SOP_CLASS_NOT_SUPPORTED": 0x0122,
        "NOT_AUTHORIZED": 0x0124,
        "DUPLICATE_TRANSACTION_UID": 0x0131,
        "DUPLICATE_INVOCATION": 0x0210,
        "UNRECOGNIZED_OPERATION": 0x0211,
        "OUT_OF_RESOURCES": 0xA700,
        "MOVE_DESTINATION_UNKNOWN": 0xA801,
        "DATA_SET_DOES_NOT_MATCH_SOP_CLASS": 0xA900,
        "COERCION_OF_DATA_ELEMENTS": 0xB000,
        "DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING": 0xB007,
        "UPS_NOT_FOUND": 0xC307,
        "FILM_SESSION_WITHOUT_FILM_BOXES": 0xC600,
        "CANNOT_UNDERSTAND": 0xC000,
        "CANCEL": 0xFE00,
        "PENDING": 0xFF00,
        "PENDING_WARNING": 0xFF01,
    }
    assert expected.items() <= NAMED.items()


@pytest.mark.parametrize(
    "code, service, meaning",
    [
        (0xA700, "storage", "Out of resources"),
        (0xA7FF, "storage", "Out of resources"),
        (0xA901, "query", "Identifier does not match SOP class"),
        (0xB000, "storage", "Coercion of data elements"),
        (0xB000, "retrieve", "Sub-operations complete with one or more failures"),
        (0xC002, "storage", "Cannot understand"),
        (0xC112, "storage", "Cannot understand"),
        (0xC300, "ups", "The UPS may no longer be updated"),
        (0xC3FF, "ups", "Cannot understand, or unable to process"),
        (0x0110, "mpps", "Processing failure; a performed procedure step that has ended may no longer be updated"),
        (0x0131, "commitment", "Duplicate transaction UID"),
        (0x0124, "print", "Not authorized"),
        (0xB00F, "storage", "Warning of no standard meaning"),
        (0xA700, "no such service", "Out of resources"),
    ],
)
def test_meaning_in_a_service_class(code: int, service: str, meaning: str) -> None:
    assert Status(code).meaning_for(service) == meaning


@pytest.mark.parametrize(
    "code, text",
    [
        (0x0000, "0x0000 Success"),
        (0xA700, "0xA700 Out of resources"),
        (0xA7A5, "0xA7A5 Out of resources"),
        (0xC0DE, "0xC0DE Cannot understand, or unable to process"),
        (0xC300, "0xC300 The UPS may no longer be updated (ups)"),
        (0xB00F, "0xB00F Warning of no standard meaning"),
        (0xFF02, "0xFF02 Failure of no standard meaning"),
    ],
)
def test_text(code: int, text: str) -> None:
    assert str(Status(code)) == f"{Status(code)}" == text


def test_representation() -> None:
    assert repr(Status(0xA700)) == "<Status 0xA700 Failure: Out of resources>"


def test_what_is_said_elsewhere_is_said_by_one_service_class() -> None:
    codes = [code for meanings in SERVICE_MEANINGS.values() for code in meanings if code not in MEANINGS]
    assert len(codes) == len(set(codes))
    assert set(codes) <= set(ELSEWHERE)


def test_service_classes() -> None:
    assert {"storage", "query", "retrieve", "commitment", "mpps", "print", "ups"} <= set(SERVICE_MEANINGS)
    assert all(re.fullmatch("[a-z ]+", service) for service in SERVICE_MEANINGS)


@given(st.sampled_from(CODES))
def test_every_16_bit_value_is_a_status(code: int) -> None:
    value = Status(code)
    assert value == code
    assert hash(value) == hash(code)
    assert str(value).startswith(f"0x{code:04X} ")
    assert repr(value).startswith(f"<Status 0x{code:04X} {value.category}: ")


@pytest.mark.parametrize("code", [-1, 0x10000])
def test_other_values_are_none(code: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 0xFFFF, not {code}"):
        Status(code)


def test_is_an_immutable_number() -> None:
    value = Status.CANCEL
    assert f"{value:04X}" == "FE00"
    assert value & 0xFF == 0
    with pytest.raises(AttributeError):
        value.comment = "no"  # type: ignore[attr-defined]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_statuses(duplicate: "type[Status]") -> None:
    value = duplicate(Status.OUT_OF_RESOURCES)
    assert type(value) is Status
    assert value == Status.OUT_OF_RESOURCES


def test_exports() -> None:
    assert set(status.__all__) <= set(vars(status))
