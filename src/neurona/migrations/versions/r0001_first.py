"""Studies, experiments, runs, epochs and weights: the tables of the first databases, which had no version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("lab", sa.String(64), nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "experiments",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("parameters", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("experiment", sa.String(16), nullable=False, index=True),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("compile_seconds", sa.Float),
        sa.Column("train_seconds", sa.Float),
        sa.Column("engine", sa.Integer, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "epochs",
        sa.Column("study", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(32), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("loss", sa.Double),
        sa.Column("accuracy", sa.Double),
        sa.Column("val_loss", sa.Double),
        sa.Column("val_accuracy", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "weights",
        sa.Column("study", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(32), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("safetensors", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
    )
