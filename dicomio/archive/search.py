"""Finding: from the identifier of a query to statements of SQL, and from rows to answers (PS3.4 C.4.1)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from sqlalchemy import ColumnElement, FromClause, Row, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dicomio import QueryModel
from dicomio.archive.attributes import (
    INSTANCE,
    PATIENT,
    SERIES,
    STUDY,
    dataset,
    key_of,
    level_of,
    texts,
    unpacked,
)
from dicomio.archive.computed import COMPUTED
from dicomio.archive.conditions import Condition, condition
from dicomio.archive.header import LAST, Field
from dicomio.archive.levels import level_in, refused, unique_keys_above, unique_keys_to_retrieve
from dicomio.archive.schema import COLUMNS, instance, series, study
from dicomio.matching import InvalidKey, Key, MatchOptions, Single, UIDList, Wildcard, compile_query

__all__ = ["Search", "paths_of"]

CHUNK: Final = 100  # rows at a time
MOST_UIDS: Final = 10_000  # in one statement, as databases count parameters
UTF8: Final = "ISO_IR 192"
ORDER: Final = (PATIENT, STUDY, SERIES, INSTANCE)
SPECIFIC_CHARACTER_SET: Final = 0x00080005
TIMEZONE_OFFSET_FROM_UTC: Final = 0x00080201
NO_KEYS: Final = frozenset({SPECIFIC_CHARACTER_SET, 0x00080052, 0x00080053, TIMEZONE_OFFSET_FROM_UTC})
RETRIEVE_AE_TITLE: Final = key_of("RetrieveAETitle")
AVAILABILITY: Final = key_of("InstanceAvailability")

TABLES: Final[Mapping[str, FromClause]] = {
    PATIENT: study,
    STUDY: study,
    SERIES: study.join(series),
    INSTANCE: study.join(series).join(instance),
}
# The row of each level, whose id gives the order of answers, and the rows that say something about it.
ROWS: Final = {PATIENT: study, STUDY: study, SERIES: series, INSTANCE: instance}
SAID_BY: Final = {PATIENT: (study,), STUDY: (study,), SERIES: (study, series), INSTANCE: (study, series, instance)}


class Search:
    """One query.

    The database narrows it down as far as it can; where that is not exact, `dicomio.matching` decides about each row.

    Args:
        identifier: what is asked.
        model: the query model.
        ae_title: from where the objects can be retrieved.
        options: how keys are compared.
        relational: whether keys of higher levels may be anything, as negotiated (PS3.4 C.4.1.2.2).

    Attributes:
        unsupported: the keys that cannot be matched or answered at this level.

    Raises:
        Refused: the identifier is not one of this model (PS3.4 C.4.1.2.1), or has a value by which nothing can be
            matched.
    """

    def __init__(
        self,
        identifier: Dataset,
        model: QueryModel,
        *,
        ae_title: str,
        options: MatchOptions | None = None,
        relational: bool = False,
    ) -> None:
        self.level = level_in(identifier, model)
        if not relational:
            unique_keys_above(identifier, model, self.level)
        self.identifier = identifier
        self.ae_title = ae_title
        self.unsupported = {tag for tag in identifier.keys() if not self.supports(tag)}
        self.known = self.without_unsupported()
        options = options or MatchOptions()
        # The clocks of peer and objects may then differ, so that all of a date and a time are needed to compare one.
        self.zoned = options.timezone is not None or TIMEZONE_OFFSET_FROM_UTC in self.known
        try:
            self.query = compile_query(self.known, options)
        except InvalidKey as error:
            raise refused(str(error), error.tag) from error
        self.wanted = [f"{tag:08X}" for tag in self.known.keys() if tag not in NO_KEYS]
        self.computed = {key: COMPUTED[key] for key in self.wanted if key in COMPUTED}
        self.conditions, self.exact = self.compiled()

    def supports(self, tag: BaseTag) -> bool:
        """Whether the index can say something about an attribute at this level."""
        key = f"{tag:08X}"
        if tag in NO_KEYS or not tag.element or key in (RETRIEVE_AE_TITLE, AVAILABILITY):
            return True
        level = COMPUTED[key].level if key in COMPUTED else level_of(tag)
        return not tag.is_private and tag <= LAST and ORDER.index(level) <= ORDER.index(self.level)

    def without_unsupported(self) -> Dataset:
        """The identifier without keys that are not supported: nothing is matched by them (PS3.4 C.2.2.1.3)."""
        known = Dataset()
        for tag in self.identifier.keys():
            if tag not in self.unsupported:
                known[tag] = self.identifier.get_item(tag)
        return known

    # to SQL

    def compiled(self) -> tuple[list[ColumnElement[bool]], bool]:
        """The conditions for the keys, and whether every row for which they hold matches."""
        found = [self.condition(f"{tag:08X}", key) for tag, key in self.query.keys.single]
        parts = [part for part in found if part is not None]
        exact = len(parts) == len(found) and all(part.exact for part in parts)
        return [part.sql for part in parts], exact and not self.query.keys.combined

    def condition(self, key: str, wanted: Key) -> Condition | None:
        """The condition for one key."""
        if key in COLUMNS:
            shifted = self.zoned and COLUMNS[key].vr in ("DA", "TM")
            return None if shifted else condition(wanted, COLUMNS[key])
        computed = COMPUTED.get(key)
        if computed is None or computed.kind is None or not isinstance(wanted, Single | UIDList | Wildcard):
            return None
        found = condition(wanted, computed.kind)
        if found is None:
            return None
        rows = select(computed.what).select_from(computed.tables).where(computed.owner == study.c.id, found.sql)
        return Condition(exists(rows.correlate(study)), found.exact)

    def statement(self, last: int) -> Select[Any]:
        """Selects the next rows behind one, in the order in which they were entered."""
        row = ROWS[self.level]
        columns = [row.c.id, study.c.id.label(STUDY), study.c.patient_key.label(PATIENT)]
        columns += [table.c.id.label(SERIES) for table in SAID_BY[self.level] if table is series]
        columns += [table.c.attributes.label(f"attributes_{table.name}") for table in SAID_BY[self.level]]
        conditions = [*self.conditions, row.c.id > last]
        if self.level == PATIENT:
            other = study.alias()
            newest = select(func.max(other.c.id)).where(other.c.patient_key == study.c.patient_key)
            conditions.append(study.c.id == newest.scalar_subquery())
        return select(*columns).select_from(TABLES[self.level]).where(*conditions).order_by(row.c.id).limit(CHUNK)

    # to answers

    async def run(self, engine: AsyncEngine) -> AsyncGenerator[Dataset, None]:
        """The answers, a chunk of rows at a time; while nobody asks for more nothing is held but the chunk."""
        last = 0
        while True:
            async with engine.connect() as connection:
                rows = (await connection.execute(self.statement(last))).all()
                computed = await self.compute(connection, rows)
            for answer in await asyncio.to_thread(self.answers, rows, computed):
                yield answer
            if len(rows) < CHUNK:
                return
            last = rows[-1].id

    async def compute(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[dict[str, Field]]:
        """What is computed for each of some rows."""
        found: list[dict[str, Field]] = [{} for _ in rows]
        for key, computed in self.computed.items() if rows else ():
            owners = [row._mapping[computed.level] for row in rows]
            values: dict[Any, list[str]] = {}
            for owner, value in await connection.execute(computed.statement(set(owners))):
                values.setdefault(owner, []).append(str(value))
            for fields, owner in zip(found, owners, strict=True):
                fields[key] = computed.vr, "\\".join(sorted(values.get(owner, ())))
        return found

    def answers(self, rows: Sequence[Row[Any]], computed: Sequence[Mapping[str, Field]]) -> list[Dataset]:
        """The answers for those rows that match."""
        candidates = map(self.candidate, rows, computed)
        found = [self.query.project(each) for each in candidates if self.exact or self.query.matches(each)]
        for answer in found:
            # PS3.4 C.4.1.1.3.2: answers say where the objects can be retrieved from.
            answer.RetrieveAETitle = self.ae_title
        return found

    def candidate(self, row: Row[Any], computed: Mapping[str, Field]) -> Dataset:
        """What a row says about the attributes that are asked for."""
        known: dict[str, Field] = {RETRIEVE_AE_TITLE: ("AE", self.ae_title), AVAILABILITY: ("CS", "ONLINE")}
        for table in SAID_BY[self.level]:
            known |= unpacked(row._mapping[f"attributes_{table.name}"])
        known |= computed
        fields = {key: known[key] for key in self.wanted if key in known}
        if not all(text.isascii() for text in texts(fields)):
            fields[f"{SPECIFIC_CHARACTER_SET:08X}"] = "CS", UTF8
        return dataset(known | fields if self.zoned else fields)


async def paths_of(engine: AsyncEngine, identifier: Dataset, model: QueryModel) -> list[str]:
    """The keys in the object store of what is to be retrieved (PS3.4 C.4.2.2.1).

    Raises:
        Refused: the identifier does not say what in a way that is allowed.
    """
    keys = unique_keys_to_retrieve(identifier, model, level_in(identifier, model))
    wanted = {f"{tag:08X}": values_of(key) for tag, key in keys.items()}
    most = max(wanted, key=lambda key: len(wanted[key]))
    found: list[str] = []
    async with engine.connect() as connection:
        for start in range(0, len(wanted[most]), MOST_UIDS):
            part = wanted | {most: wanted[most][start : start + MOST_UIDS]}
            conditions = [COLUMNS[key].column.in_(values) for key, values in part.items()]
            query = select(instance.c.path).select_from(TABLES[INSTANCE]).where(*conditions)
            ordered = query.order_by(study.c.id, series.c.id, instance.c.instance_number, instance.c.id)
            found += (await connection.execute(ordered)).scalars()
    return found


def values_of(key: Key) -> list[str]:
    """The values of a unique key."""
    return sorted(key.uids) if isinstance(key, UIDList) else [str(key.value)] if isinstance(key, Single) else []
