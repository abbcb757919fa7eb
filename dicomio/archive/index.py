"""The index: what it takes to enter objects, and to take them out again, in one transaction."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, insert, select, update

from dicomio.archive.attributes import Attributes, element, key_of, packed
from dicomio.archive.database import Database
from dicomio.archive.header import Fields
from dicomio.archive.schema import INSTANCE_COLUMNS, SERIES_COLUMNS, STUDY_COLUMNS, Kind, instance, series, study
from dicomio.matching import comparable

__all__ = ["Entry", "Index", "Known"]

T = TypeVar("T")

PATIENT_ID: Final = key_of("PatientID")
INSTANCE_NUMBER: Final = key_of("InstanceNumber")
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


# UIDs in one query; databases bound the number of values they take.
ASKED_AT_ONCE: Final = 500


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
        database: of the index; `migrate` has been called for it.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rows = Rows()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Does something in one transaction; what was known of rows is forgotten where it fails."""
        try:
            return await self.database.write(work)
        except BaseException:
            self.rows.forget()
            raise

    async def known(self, uids: Iterable[str]) -> dict[str, Known]:
        """What is entered under these SOP Instance UIDs."""
        columns = instance.c.sop_instance_uid, instance.c.path, instance.c.transfer_syntax, instance.c.length
        query = select(*columns).where(instance.c.sop_instance_uid.in_(list(uids)))
        async with self.database.engine.connect() as connection:
            return {uid: Known(*rest) for uid, *rest in await connection.execute(query)}

    async def classes(self, uids: Sequence[str]) -> dict[str, str]:
        """The SOP classes of those of these SOP Instance UIDs that are entered."""
        found: dict[str, str] = {}
        async with self.database.engine.connect() as connection:
            for start in range(0, len(uids), ASKED_AT_ONCE):
                some = uids[start : start + ASKED_AT_ONCE]
                query = select(instance.c.sop_instance_uid, instance.c.sop_class_uid)
                rows = await connection.execute(query.where(instance.c.sop_instance_uid.in_(some)))
                found.update({str(uid): str(sop_class) for uid, sop_class in rows})
        return found

    async def enter_new(self, entries: Sequence[Entry]) -> None:
        """Enters different objects that are not in the index, all or none; durable on return.

        Raises:
            sqlalchemy.exc.IntegrityError: one of them is.
        """
        learned = Rows()
        await self.write(lambda connection: insert_all(connection, self.rows_of(connection, entries, learned)))
        self.rows.learn(learned)

    async def enter(self, entries: Sequence[Entry]) -> list[str]:
        """Enters objects, in place of those with the same SOP Instance UIDs, all or none; durable on return.

        Where several have the same SOP Instance UID the last is it.

        Returns:
            The paths of what is not in the index any more.
        """
        last = {entry.sop_instance_uid: entry for entry in entries}
        superseded = [entry.path for entry in entries if last[entry.sop_instance_uid] is not entry]

        def work(connection: Connection) -> list[str]:
            rows = self.rows_of(connection, list(last.values()), Rows())
            replaced, left = replace_known(connection, rows)
            insert_all(connection, rows)
            prune(connection, left)
            return replaced

        replaced = await self.write(work)
        # A row may have been changed, or removed as the last of its objects left it.
        self.rows.forget()
        return superseded + replaced

    def rows_of(self, connection: Connection, entries: Sequence[Entry], learned: Rows) -> dict[str, dict[str, Any]]:
        """The rows of objects by SOP Instance UID; those of their studies and series are written where need be."""
        studies = {entry.study_uid: entry for entry in entries}
        known = known_studies(connection, studies.keys() - self.rows.studies.keys()) | self.rows.studies
        for uid, entry in studies.items():
            learned.studies[uid] = put_study(connection, known.get(uid), entry)
        all_series = {(learned.studies[entry.study_uid].id, entry.series_uid): entry for entry in entries}
        others = known_series(connection, all_series.keys() - self.rows.series.keys()) | self.rows.series
        for key, entry in all_series.items():
            learned.series[key] = put_series(connection, others.get(key), key[0], entry)
        return {
            entry.sop_instance_uid: row_of(
                entry, learned.series[learned.studies[entry.study_uid].id, entry.series_uid].id
            )
            for entry in entries
        }

    async def studies(self) -> AsyncIterator[tuple[int, str]]:
        """Row and UID of all studies."""
        last = 0
        while True:
            columns = study.c.id, study.c.study_instance_uid
            query = select(*columns).where(study.c.id > last).order_by(study.c.id).limit(CHUNK)
            async with self.database.engine.connect() as connection:
                rows = (await connection.execute(query)).all()
            for last, uid in rows:
                yield last, uid
            if len(rows) < CHUNK:
                return

    async def paths(self, study_id: int) -> set[str]:
        """The paths of all objects of a study, by its row."""
        query = select(instance.c.path).join(series).where(series.c.study == study_id)
        async with self.database.engine.connect() as connection:
            return set((await connection.execute(query)).scalars())

    async def remove(self, paths: Sequence[str]) -> None:
        """Removes objects by path, and the series and studies that have none left."""

        def work(connection: Connection) -> None:
            wanted = instance.c.path.in_(paths)
            rows = connection.execute(select(instance.c.series).where(wanted).distinct()).scalars().all()
            connection.execute(delete(instance).where(wanted))
            prune(connection, rows)

        await self.write(work)
        self.rows.forget()


def known_studies(connection: Connection, uids: Collection[str]) -> dict[str, Row]:
    """The rows of those of some studies that are in the index."""
    if not uids:
        return {}
    columns = study.c.study_instance_uid, study.c.id, study.c.attributes
    rows = connection.execute(select(*columns).where(study.c.study_instance_uid.in_(uids)))
    return {uid: Row(*rest) for uid, *rest in rows}


def known_series(connection: Connection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], Row]:
    """The rows of those of some series that are in the index, by the row of their study and UID."""
    if not keys:
        return {}
    columns = series.c.study, series.c.series_instance_uid, series.c.id, series.c.attributes
    wanted = series.c.study.in_({row for row, _ in keys}), series.c.series_instance_uid.in_({uid for _, uid in keys})
    rows = connection.execute(select(*columns).where(*wanted))
    return {(study_id, uid): Row(*rest) for study_id, uid, *rest in rows}


def put_study(connection: Connection, before: Row | None, entry: Entry) -> Row:
    """Has the row of a study say what an object of it says."""
    fields = entry.attributes.study
    attributes = packed(fields)
    if before is not None and before.attributes == attributes:
        return before
    row = values_of(STUDY_COLUMNS, fields) | {"study_instance_uid": entry.study_uid, "attributes": attributes}
    row["patient_key"] = patient_key(entry.study_uid, fields)
    return Row(put(connection, study, before, row), attributes)


def put_series(connection: Connection, before: Row | None, study_id: int, entry: Entry) -> Row:
    """Has the row of a series say what an object of it says."""
    fields = entry.attributes.series
    attributes = packed(fields)
    if before is not None and before.attributes == attributes:
        return before
    row = values_of(SERIES_COLUMNS, fields) | {"series_instance_uid": entry.series_uid, "attributes": attributes}
    return Row(put(connection, series, before, row | {"study": study_id}), attributes)


def put(connection: Connection, table: Table, before: Row | None, row: Mapping[str, Any]) -> int:
    """Writes a row, in place of one where there is one; returns which."""
    if before is None:
        inserted = connection.execute(insert(table).values(row).returning(table.c.id))
        return int(inserted.scalar_one())
    connection.execute(update(table).where(table.c.id == before.id).values(row))
    return before.id


def insert_all(connection: Connection, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Inserts rows of objects."""
    if rows:
        connection.execute(insert(instance), list(rows.values()))


def replace_known(connection: Connection, rows: dict[str, dict[str, Any]]) -> tuple[list[str], set[int]]:
    """Writes rows of objects in place of those with the same SOP Instance UIDs; the others are left in `rows`.

    Returns:
        The paths that are replaced, and the series that objects have left.
    """
    columns = instance.c.sop_instance_uid, instance.c.id, instance.c.path, instance.c.series
    # Locked, and so read anew where another process has just replaced them; in one order, so that none waits for ever.
    wanted = select(*columns).where(instance.c.sop_instance_uid.in_(list(rows))).order_by(instance.c.id)
    found = connection.execute(wanted.with_for_update()).all()
    left = set()
    for uid, row_id, _, previous in found:
        row = rows.pop(uid)
        if previous != row["series"]:
            left.add(previous)
        connection.execute(update(instance).where(instance.c.id == row_id).values(row))
    return [path for _, _, path, _ in found], left


def row_of(entry: Entry, series_id: int) -> dict[str, Any]:
    """The row of an object."""
    return values_of({INSTANCE_NUMBER: INSTANCE_COLUMNS[INSTANCE_NUMBER]}, entry.attributes.instance) | {
        "series": series_id,
        "sop_instance_uid": entry.sop_instance_uid,
        "sop_class_uid": entry.sop_class_uid,
        "transfer_syntax": entry.transfer_syntax,
        "path": entry.path,
        "length": entry.length,
        "attributes": packed(entry.attributes.instance),
    }


def prune(connection: Connection, series_ids: Collection[int]) -> None:
    """Removes those of some series that have no objects any more, and their studies if those have no series."""
    if not series_ids:
        return
    wanted = series.c.id.in_(series_ids)
    studies = connection.execute(select(series.c.study).where(wanted).distinct()).scalars().all()
    connection.execute(delete(series).where(wanted, ~has(instance, instance.c.series, series.c.id)))
    connection.execute(delete(study).where(study.c.id.in_(studies), ~has(series, series.c.study, study.c.id)))


def has(table: Table, column: ColumnElement[Any], owner: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a table has a row that belongs to another one."""
    return exists(select(table.c.id).where(column == owner))
