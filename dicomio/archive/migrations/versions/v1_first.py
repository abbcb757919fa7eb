"""Studies, series and instances."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", ID, primary_key=True),
        sa.Column("study_instance_uid", TEXT, nullable=False, unique=True),
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
        sqlite_autoincrement=True,
    )
    op.create_index("study_by_patient_key", "study", ["patient_key", "id"])
    op.create_index("study_by_patient_id", "study", ["patient_id"])
    op.create_index("study_by_patient_name", "study", ["patient_name"])
    op.create_index("study_by_date", "study", ["study_date"])
    op.create_index("study_by_accession_number", "study", ["accession_number"])
    op.create_table(
        "series",
        sa.Column("id", ID, primary_key=True),
        sa.Column("study", ID, sa.ForeignKey("study.id"), nullable=False),
        text("series_instance_uid"),
        text("modality"),
        sa.Column("series_number", sa.BigInteger),
        text("series_description"),
        text("body_part_examined"),
        text("attributes"),
        sa.UniqueConstraint("study", "series_instance_uid", name="series_in_study"),
        sqlite_autoincrement=True,
    )
    op.create_index("series_by_uid", "series", ["series_instance_uid"])
    op.create_table(
        "instance",
        sa.Column("id", ID, primary_key=True),
        sa.Column("series", ID, sa.ForeignKey("series.id"), nullable=False),
        sa.Column("sop_instance_uid", TEXT, nullable=False, unique=True),
        text("sop_class_uid"),
        text("transfer_syntax"),
        sa.Column("instance_number", sa.BigInteger),
        text("path"),
        sa.Column("length", sa.BigInteger, nullable=False),
        text("attributes"),
        sqlite_autoincrement=True,
    )
    op.create_index("instance_by_series", "instance", ["series"])
