"""The records of the test set's openings, and the checkpoints of runs under way."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add two tables, and what counts openings in the others."""
    op.add_column("studies", sa.Column("newest_opening", sa.String(64)))
    op.add_column("runs", sa.Column("openings", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "openings",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("results", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("study", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(32), primary_key=True),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("safetensors", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
    )
