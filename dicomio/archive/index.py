"""The index: what it takes to enter objects, and to take them out again, in one transaction."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

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
MOST_KNOWN: Final = 2_000  # rows of series that need not be looked up
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


class Row(NamedTuple):
    """A row of a study or a series, and what it says."""

    id: int
    attributes: str


@dataclass(slots=True)
class Rows:
    """Rows that need not be looked up, as they were just written.

    Args:
        studies: by UID.
        series: by the row of their study and UID.
    """

    studies: dict[str, Row] = field(default_factory=dict)
    series: dict[tuple[int, str], Row] = field(default_factory=dict)

    def learn(self, more: "Rows") -> None:
        """Adds others; forgets everything when it gets too much."""
        if len(self.series) + len(more.series) > MOST_KNOWN:
            self.forget()
        self.studies |= more.studies
        self.series |= more.series

    def forget(self) -> None:
        """Has everything looked up again."""
        self.studies.clear()
        self.series.clear()


class Index:
    """The rows of all objects.

    Args:
        engine: of the database; `migrate` has been called for it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.rows = Rows()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; what was known of rows is forgotten where it fails."""
        try:
            async with self.engine.connect() as plain:
                connection = await plain.execution_options(writes=True)
                async with connection.begin():
                    yield connection
        except BaseException:
            self.rows.forget()
            raise

    async def known(self, uids: Iterable[str]) -> dict[str, Known]:
        """What is entered under these SOP Instance UIDs."""
        columns = instance.c.sop_instance_uid, instance.c.path, instance.c.transfer_syntax, instance.c.length
        query = select(*columns).where(instance.c.sop_instance_uid.in_(list(uids)))
        async with self.engine.connect() as connection:
            return {uid: Known(*rest) for uid, *rest in await connection.execute(query)}

    async def enter_new(self, entries: Sequence[Entry]) -> None:
        """Enters different objects that are not in the index, all or none; durable on return.

        Raises:
            sqlalchemy.exc.IntegrityError: one of them is.
        """
        learned = Rows()
        async with self.writing() as connection:
            await insert_all(connection, await self.rows_of(connection, entries, learned))
        self.rows.learn(learned)

    async def enter(self, entries: Sequence[Entry]) -> list[str]:
        """Enters objects, in place of those with the same SOP Instance UIDs, all or none; durable on return.

        Where several have the same SOP Instance UID the last is it.

        Returns:
            The paths of what is not in the index any more.
        """
        last = {entry.sop_instance_uid: entry for entry in entries}
        superseded = [entry.path for entry in entries if last[entry.sop_instance_uid] is not entry]
        learned = Rows()
        async with self.writing() as connection:
            rows = await self.rows_of(connection, list(last.values()), learned)
            replaced, left = await replace_known(connection, rows)
            await insert_all(connection, rows)
            if left:
                await prune(connection, left)
        # What was pruned may be among what was known.
        self.rows.forget() if left else self.rows.learn(learned)
        return superseded + replaced

    async def rows_of(
        self, connection: AsyncConnection, entries: Sequence[Entry], learned: Rows
    ) -> dict[str, dict[str, Any]]:
        """The rows of objects by SOP Instance UID; their studies and series are entered."""
        studies = {entry.study_uid: entry for entry in entries}
        ids = {}
        known = await known_studies(connection, studies.keys() - self.rows.studies.keys())
        for uid, entry in studies.items():
            row = self.rows.studies.get(uid) or known.get(uid)
            learned.studies[uid] = row = await put_study(connection, row, entry)
            ids[uid] = row.id
        all_series = {(ids[entry.study_uid], entry.series_uid): entry for entry in entries}
        others = await known_series(connection, all_series.keys() - self.rows.series.keys())
        for key, entry in all_series.items():
            before = self.rows.series.get(key) or others.get(key)
            learned.series[key] = await put_series(connection, before, key[0], entry)
        return {
            entry.sop_instance_uid: row_of(entry, learned.series[ids[entry.study_uid], entry.series_uid].id)
            for entry in entries
        }

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
        self.rows.forget()
        async with self.writing() as connection:
            wanted = instance.c.path.in_(paths)
            rows = (await connection.execute(select(instance.c.series).where(wanted).distinct())).scalars().all()
            await connection.execute(delete(instance).where(wanted))
            await prune(connection, rows)


async def known_studies(connection: AsyncConnection, uids: Collection[str]) -> dict[str, Row]:
    """The rows of those of some studies that are in the index."""
    if not uids:
        return {}
    columns = study.c.study_instance_uid, study.c.id, study.c.attributes
    rows = await connection.execute(select(*columns).where(study.c.study_instance_uid.in_(uids)))
    return {uid: Row(*rest) for uid, *rest in rows}


async def known_series(connection: AsyncConnection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], Row]:
    """The rows of those of some series that are in the index, by the row of their study and UID."""
    if not keys:
        return {}
    columns = series.c.study, series.c.series_instance_uid, series.c.id, series.c.attributes
    wanted = series.c.study.in_({row for row, _ in keys}), series.c.series_instance_uid.in_({uid for _, uid in keys})
    rows = await connection.execute(select(*columns).where(*wanted))
    return {(study_id, uid): Row(*rest) for study_id, uid, *rest in rows}


async def put_study(connection: AsyncConnection, before: Row | None, entry: Entry) -> Row:
    """Has the row of a study say what an object of it says."""
    fields = entry.attributes.study
    attributes = packed(fields)
    if before is not None and before.attributes == attributes:
        return before
    row = values_of(STUDY_COLUMNS, fields) | {"study_instance_uid": entry.study_uid, "attributes": attributes}
    row["patient_key"] = patient_key(entry.study_uid, fields)
    return Row(await put(connection, study, before, row), attributes)


async def put_series(connection: AsyncConnection, before: Row | None, study_id: int, entry: Entry) -> Row:
    """Has the row of a series say what an object of it says."""
    fields = entry.attributes.series
    attributes = packed(fields)
    if before is not None and before.attributes == attributes:
        return before
    row = values_of(SERIES_COLUMNS, fields) | {"series_instance_uid": entry.series_uid, "attributes": attributes}
    return Row(await put(connection, series, before, row | {"study": study_id}), attributes)


async def put(connection: AsyncConnection, table: Table, before: Row | None, row: Mapping[str, Any]) -> int:
    """Writes a row, in place of one where there is one; returns which."""
    if before is None:
        inserted = await connection.execute(insert(table).values(row).returning(table.c.id))
        return int(inserted.scalar_one())
    await connection.execute(update(table).where(table.c.id == before.id).values(row))
    return before.id


async def insert_all(connection: AsyncConnection, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Inserts rows of objects."""
    if rows:
        await connection.execute(insert(instance), list(rows.values()))


async def replace_known(connection: AsyncConnection, rows: dict[str, dict[str, Any]]) -> tuple[list[str], set[int]]:
    """Writes rows of objects in place of those with the same SOP Instance UIDs; the others are left in `rows`.

    Returns:
        The paths that are replaced, and the series that objects have left.
    """
    columns = instance.c.sop_instance_uid, instance.c.id, instance.c.path, instance.c.series
    found = (await connection.execute(select(*columns).where(instance.c.sop_instance_uid.in_(list(rows))))).all()
    left = set()
    for uid, row_id, _, previous in found:
        row = rows.pop(uid)
        if previous != row["series"]:
            left.add(previous)
        await connection.execute(update(instance).where(instance.c.id == row_id).values(row))
    return [path for _, _, path, _ in found], left


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
