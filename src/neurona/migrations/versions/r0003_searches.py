"""Optuna's tables come into the database: `studies`, which is the name of one of theirs, gets another; who searches."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename one table, and add two."""
    op.rename_table("studies", "neurona_studies")
    if op.get_bind().dialect.name == "postgresql":  # where what belongs to a table has names of its own
        op.execute("ALTER INDEX studies_pkey RENAME TO neurona_studies_pkey")
        op.execute("ALTER INDEX studies_name_key RENAME TO neurona_studies_name_key")
        op.execute("ALTER SEQUENCE studies_id_seq RENAME TO neurona_studies_id_seq")
    op.create_table(
        "sittings",
        sa.Column("study", sa.Integer, sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("search", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(200), primary_key=True),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("heartbeat", sa.Double, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("study", sa.Integer, sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("search", sa.String(64), primary_key=True),
        sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(200), nullable=False),
    )
