"""Norms of layers by epoch, the champions of a study, and the drawings of its users."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add three tables."""
    op.create_table(
        "norms",
        sa.Column("study", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(32), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("layer", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("weights", sa.Double),
        sa.Column("gradients", sa.Double),
        sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "champions",
        sa.Column("study", sa.Integer, sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "drawings",
        sa.Column("study", sa.Integer, sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("label", sa.Integer, nullable=False),
        sa.Column("image", sa.LargeBinary, nullable=False),
        sa.Column("strokes", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
