"""The index: what it takes to enter objects, and to take them out again, in one transaction."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dicomio.archive.attributes import Attributes, element, key_of, packed
from dicomio.archive.header import Fields
from dicomio.archive.schema import INSTANCE_COLUMNS, SERIES_COLUMNS, STUDY_COLUMNS, Kind, instance, series, study
from dicomio.matching import comparable

__all__ = ["Entry", "Index", "Known"]

PATIENT_ID: Final = key_of("PatientID")
ISSUER_OF_PATIENT_ID: Final = key_of("IssuerOfPatientID")
# What fits a column for numbers.
LARGEST: Final = 1 << 62
CHUNK: Final = 500  # rows at a time


@dataclass(frozen=True, slots=True)
class Entry:
    """An object to be entered.

    Args:
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        sop_instance_uid: SOP Instance UID.
        sop_class_uid: SOP Class UID.
        transfer_syntax: UID of the transfer syntax it is stored in.
        path: its key in the object store.
        length: of its data set in bytes.
        attributes: what its header says.
    """

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    path: str
    length: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Known:
    """An object that is in the index."""

    path: str
    transfer_syntax: str
    length: int

    def is_like(self, entry: Entry) -> bool:
        """Whether it may be the same as another."""
        return (self.transfer_syntax, self.length) == (entry.transfer_syntax, entry.length)


def values_of(columns: Mapping[str, Kind], fields: Fields) -> dict[str, Any]:
    """The values of the columns of a row."""
    values: dict[str, Any] = {}
    for key, kind in columns.items():
        field = fields.get(key)
        found = None
        if field is not None:
            found = next(comparable(element(int(key, 16), field)), None)
        values[kind.column.name] = whole_number(found) if kind.vr == "IS" else str(found or "")
    return values


def whole_number(value: object) -> int | None:
    """A number for a column for numbers; `None` where it is none, or out of all proportion."""
    return int(value) if isinstance(value, int | float) and abs(value) < LARGEST and value == int(value) else None


def patient_key(study_uid: str, fields: Fields) -> str:
    """What the studies of one patient have in common; a study without Patient ID has a patient of its own."""
    patient_id, issuer = (str(fields.get(key, ("", ""))[1]).strip() for key in (PATIENT_ID, ISSUER_OF_PATIENT_ID))
    return f"{patient_id}\\{issuer}" if patient_id else f"\\\\{study_uid}"


class Index:
    """The rows of all objects.

    Args:
        engine: of the database; `migrate` has been called for it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def known(self, uids: Iterable[str]) -> dict[str, Known]:
        """What is entered under these SOP Instance UIDs."""
        async with self.engine.connect() as connection:
            return await known(connection, uids)

    async def enter(self, entries: Sequence[Entry]) -> list[str]:
        """Enters objects, all or none; durable on return.

        Where several have the same SOP Instance UID the last is it.

        Returns:
            The paths of what is not in the index any more, because an object replaced it.
        """
        last = {entry.sop_instance_uid: entry for entry in entries}
        superseded = [entry.path for entry in entries if last[entry.sop_instance_uid] is not entry]
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(writes=True)
            async with connection.begin():
                return superseded + await enter(connection, list(last.values()))

    async def studies(self) -> AsyncIterator[tuple[int, str]]:
        """Row and UID of all studies."""
        last = 0
        while True:
            columns = study.c.id, study.c.study_instance_uid
            query = select(*columns).where(study.c.id > last).order_by(study.c.id).limit(CHUNK)
            async with self.engine.connect() as connection:
                rows = (await connection.execute(query)).all()
            for last, uid in rows:
                yield last, uid
            if len(rows) < CHUNK:
                return

    async def paths(self, study_id: int) -> set[str]:
        """The paths of all objects of a study, by its row."""
        query = select(instance.c.path).join(series).where(series.c.study == study_id)
        async with self.engine.connect() as connection:
            return set((await connection.execute(query)).scalars())

    async def remove(self, paths: Sequence[str]) -> None:
        """Removes objects by path, and the series and studies that have none left."""
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(writes=True)
            async with connection.begin():
                wanted = instance.c.path.in_(paths)
                rows = (await connection.execute(select(instance.c.series).where(wanted).distinct())).scalars().all()
                await connection.execute(delete(instance).where(wanted))
                await prune(connection, rows)


async def known(connection: AsyncConnection, uids: Iterable[str]) -> dict[str, Known]:
    """What is entered under these SOP Instance UIDs."""
    columns = instance.c.sop_instance_uid, instance.c.path, instance.c.transfer_syntax, instance.c.length
    rows = await connection.execute(select(*columns).where(instance.c.sop_instance_uid.in_(list(uids))))
    return {uid: Known(path, syntax, length) for uid, path, syntax, length in rows}


async def enter(connection: AsyncConnection, entries: Sequence[Entry]) -> list[str]:
    """Enters objects with different SOP Instance UIDs; returns the paths of those they replace."""
    studies = await enter_studies(connection, {entry.study_uid: entry for entry in entries})
    wanted = {(studies[entry.study_uid], entry.series_uid): entry for entry in entries}
    all_series = await enter_series(connection, wanted)
    rows = {
        entry.sop_instance_uid: row_of(entry, all_series[studies[entry.study_uid], entry.series_uid])
        for entry in entries
    }
    columns = instance.c.sop_instance_uid, instance.c.id, instance.c.path, instance.c.series
    found = (await connection.execute(select(*columns).where(instance.c.sop_instance_uid.in_(rows)))).all()
    left = set()
    for uid, row_id, _, previous in found:
        row = rows.pop(uid)
        if previous != row["series"]:
            left.add(previous)
        await connection.execute(update(instance).where(instance.c.id == row_id).values(row))
    if rows:
        await connection.execute(insert(instance), list(rows.values()))
    if left:
        await prune(connection, left)
    return [path for _, _, path, _ in found]


async def enter_studies(connection: AsyncConnection, entries: Mapping[str, Entry]) -> dict[str, int]:
    """The rows of studies by UID; they say what the last of their objects does."""
    columns = study.c.study_instance_uid, study.c.id, study.c.attributes
    rows = await connection.execute(select(*columns).where(study.c.study_instance_uid.in_(entries)))
    known = {uid: (row_id, attributes) for uid, row_id, attributes in rows}
    ids = {}
    for uid, entry in entries.items():
        fields = entry.attributes.study
        row_id, before = known.get(uid, (None, None))
        attributes = packed(fields)
        if row_id is None or attributes != before:
            row = values_of(STUDY_COLUMNS, fields) | {"study_instance_uid": uid, "attributes": attributes}
            row_id = await put(connection, study, row_id, row | {"patient_key": patient_key(uid, fields)})
        ids[uid] = row_id
    return ids


async def enter_series(
    connection: AsyncConnection, entries: Mapping[tuple[int, str], Entry]
) -> dict[tuple[int, str], int]:
    """The rows of series by the row of their study and UID; they say what the last of their objects does."""
    columns = series.c.study, series.c.series_instance_uid, series.c.id, series.c.attributes
    wanted = series.c.series_instance_uid.in_({uid for _, uid in entries})
    rows = await connection.execute(select(*columns).where(wanted, series.c.study.in_({row for row, _ in entries})))
    known = {(study_id, uid): (row_id, attributes) for study_id, uid, row_id, attributes in rows}
    ids = {}
    for (study_id, uid), entry in entries.items():
        fields = entry.attributes.series
        row_id, before = known.get((study_id, uid), (None, None))
        attributes = packed(fields)
        if row_id is None or attributes != before:
            row = values_of(SERIES_COLUMNS, fields) | {"series_instance_uid": uid, "attributes": attributes}
            row_id = await put(connection, series, row_id, row | {"study": study_id})
        ids[study_id, uid] = row_id
    return ids


async def put(connection: AsyncConnection, table: Table, row_id: int | None, row: Mapping[str, Any]) -> int:
    """Writes a row, in place of one where there is one; returns which."""
    if row_id is None:
        inserted = await connection.execute(insert(table).values(row).returning(table.c.id))
        return int(inserted.scalar_one())
    await connection.execute(update(table).where(table.c.id == row_id).values(row))
    return row_id


def row_of(entry: Entry, series_id: int) -> dict[str, Any]:
    """The row of an object."""
    return values_of(INSTANCE_COLUMNS, entry.attributes.instance) | {
        "series": series_id,
        "sop_instance_uid": entry.sop_instance_uid,
        "sop_class_uid": entry.sop_class_uid,
        "transfer_syntax": entry.transfer_syntax,
        "path": entry.path,
        "length": entry.length,
        "attributes": packed(entry.attributes.instance),
    }


async def prune(connection: AsyncConnection, series_ids: Iterable[int]) -> None:
    """Removes those of some series that have no objects any more, and their studies if those have no series."""
    wanted = series.c.id.in_(list(series_ids))
    studies = (await connection.execute(select(series.c.study).where(wanted).distinct())).scalars().all()
    await connection.execute(delete(series).where(wanted, ~has(instance, instance.c.series, series.c.id)))
    await connection.execute(delete(study).where(study.c.id.in_(studies), ~has(series, series.c.study, study.c.id)))


def has(table: Table, column: ColumnElement[Any], owner: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a table has a row that belongs to another one."""
    return exists(select(table.c.id).where(column == owner))
