"""The tables of the index, and the columns that attributes are matched in.

Three tables, one row for each study, series and instance. What belongs to the patient is in the row of the study, as
its objects say it: the same Patient ID is given to different people often enough. A patient is the studies with one
`patient_key`, and what is said of the patient is what the study says that came last.

Columns hold attributes in the form in which keys compare them (`dicomio.matching.comparable`); everything else, and the
values as they were, is in `attributes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from dicomio.archive.attributes import key_of

__all__ = ["COLUMNS", "Kind", "instance", "metadata", "series", "study"]

metadata = MetaData()

# SQLite counts rows in INTEGER PRIMARY KEY only, and gives none of these numbers twice where it is told not to.
ID: Final = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte everywhere: as PS3.4 C.2.2.2 has it, and so that an index serves beginnings of texts.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")


def text(name: str) -> Column[str]:
    """A column with a text, empty where there is none."""
    return Column(name, TEXT, nullable=False)


study = Table(
    "study",
    metadata,
    Column("id", ID, primary_key=True),
    Column("study_instance_uid", TEXT, nullable=False, unique=True),
    text("patient_key"),
    text("patient_id"),
    text("patient_name"),
    text("patient_birth_date"),
    text("patient_sex"),
    text("study_date"),
    text("study_time"),
    text("accession_number"),
    text("study_id"),
    text("study_description"),
    text("referring_physician_name"),
    text("attributes"),
    Index("study_by_patient_key", "patient_key", "id"),
    Index("study_by_patient_id", "patient_id"),
    Index("study_by_patient_name", "patient_name"),
    Index("study_by_date", "study_date"),
    Index("study_by_accession_number", "accession_number"),
    sqlite_autoincrement=True,
)
series = Table(
    "series",
    metadata,
    Column("id", ID, primary_key=True),
    Column("study", ID, ForeignKey("study.id"), nullable=False),
    text("series_instance_uid"),
    text("modality"),
    Column("series_number", BigInteger),
    text("series_description"),
    text("body_part_examined"),
    text("attributes"),
    # Whoever uses a Series Instance UID again in another study must not get at this one's objects.
    UniqueConstraint("study", "series_instance_uid", name="series_in_study"),
    Index("series_by_uid", "series_instance_uid"),
    sqlite_autoincrement=True,
)
instance = Table(
    "instance",
    metadata,
    Column("id", ID, primary_key=True),
    Column("series", ID, ForeignKey("series.id"), nullable=False),
    Column("sop_instance_uid", TEXT, nullable=False, unique=True),
    text("sop_class_uid"),
    text("transfer_syntax"),
    Column("instance_number", BigInteger),
    text("path"),
    Column("length", BigInteger, nullable=False),
    text("attributes"),
    Index("instance_by_series", "series"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A column in which an attribute is matched.

    Args:
        column: of which table and name.
        vr: of the attribute.
    """

    column: Column[Any]
    vr: str


def kinds(table: Table, **vrs: str) -> dict[str, Kind]:
    """The columns of a table by the key of their attribute; names are keywords in small letters."""
    return {key_of(keyword): Kind(table.c[snake(keyword)], vr) for keyword, vr in vrs.items()}


def snake(keyword: str) -> str:
    """`StudyInstanceUID` as `study_instance_uid`."""
    words = keyword.replace("UID", "Uid").replace("SOP", "Sop").replace("ID", "Id")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("_")


STUDY_COLUMNS: Final[Mapping[str, Kind]] = kinds(
    study,
    StudyInstanceUID="UI",
    PatientID="LO",
    PatientName="PN",
    PatientBirthDate="DA",
    PatientSex="CS",
    StudyDate="DA",
    StudyTime="TM",
    AccessionNumber="SH",
    StudyID="SH",
    StudyDescription="LO",
    ReferringPhysicianName="PN",
)
SERIES_COLUMNS: Final[Mapping[str, Kind]] = kinds(
    series, SeriesInstanceUID="UI", Modality="CS", SeriesNumber="IS", SeriesDescription="LO", BodyPartExamined="CS"
)
INSTANCE_COLUMNS: Final[Mapping[str, Kind]] = kinds(
    instance, SOPInstanceUID="UI", SOPClassUID="UI", InstanceNumber="IS"
)
COLUMNS: Final[Mapping[str, Kind]] = {**STUDY_COLUMNS, **SERIES_COLUMNS, **INSTANCE_COLUMNS}
