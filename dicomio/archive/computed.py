"""Attributes of an answer that no object says: they are counted or collected (PS3.4 C.3.4, C.6.1.1, C.6.2.1)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, FromClause, Select, func, select

from dicomio.archive.attributes import PATIENT, SERIES, STUDY, key_of
from dicomio.archive.schema import Kind, instance, series, study

__all__ = ["COMPUTED", "Computed"]


@dataclass(frozen=True, slots=True)
class Computed:
    """An attribute that is computed.

    Args:
        vr: of the attribute.
        level: to which it belongs.
        tables: where it is computed from.
        owner: the column that says whose it is.
        what: the column whose rows are counted, or whose different values are collected.
        collected: whether they are collected.
    """

    vr: str
    level: str
    tables: FromClause
    owner: Column[Any]
    what: Column[Any]
    collected: bool = False

    def statement(self, owners: Collection[Any]) -> Select[Any]:
        """Selects owners and what is theirs: one row with a number, or rows with a value each."""
        wanted = self.owner.in_(owners)
        if self.collected:
            return select(self.owner, self.what).select_from(self.tables).where(wanted, self.what != "").distinct()
        return select(self.owner, func.count(self.what)).select_from(self.tables).where(wanted).group_by(self.owner)

    @property
    def kind(self) -> Kind | None:
        """What a key is compared with; numbers are only answered."""
        return Kind(self.what, self.vr) if self.collected else None


STUDIES: Final[FromClause] = study.join(series)
OBJECTS: Final[FromClause] = series.join(instance)
COMPUTED: Final[Mapping[str, Computed]] = {
    key_of(keyword): computed
    for keyword, computed in {
        "NumberOfPatientRelatedStudies": Computed("IS", PATIENT, study, study.c.patient_key, study.c.id),
        "NumberOfPatientRelatedSeries": Computed("IS", PATIENT, STUDIES, study.c.patient_key, series.c.id),
        "NumberOfPatientRelatedInstances": Computed(
            "IS", PATIENT, STUDIES.join(instance), study.c.patient_key, instance.c.id
        ),
        "NumberOfStudyRelatedSeries": Computed("IS", STUDY, series, series.c.study, series.c.id),
        "NumberOfStudyRelatedInstances": Computed("IS", STUDY, OBJECTS, series.c.study, instance.c.id),
        "NumberOfSeriesRelatedInstances": Computed("IS", SERIES, instance, instance.c.series, instance.c.id),
        "ModalitiesInStudy": Computed("CS", STUDY, series, series.c.study, series.c.modality, collected=True),
        "SOPClassesInStudy": Computed("UI", STUDY, OBJECTS, series.c.study, instance.c.sop_class_uid, collected=True),
    }.items()
}
