"""The tables of a study's database. A change here is a new step in `neurona.migrations` too; a test compares them."""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "champions",
    "checkpoints",
    "claims",
    "drawings",
    "epochs",
    "experiments",
    "metadata",
    "norms",
    "openings",
    "runs",
    "sittings",
    "studies",
    "weights",
]

metadata = sa.MetaData()

studies = sa.Table(
    "neurona_studies",  # Optuna, whose tables are in the same database, has one called `studies`
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("lab", sa.String(64), nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("newest_opening", sa.String(64)),  # the hash of the last record in `openings`
)
experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("parameters", sa.BigInteger, nullable=False),
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("experiment", sa.String(16), nullable=False, index=True),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # pending, running, paused, complete, diverged or failed
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("finished", sa.Float),
    sa.Column("compile_seconds", sa.Float),
    sa.Column("train_seconds", sa.Float),
    sa.Column("engine", sa.Integer, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    # how often the test set had been opened when the run ended
    sa.Column("openings", sa.Integer, nullable=False, server_default="0"),
)
epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    *(sa.Column(key, sa.Double) for key in ("loss", "accuracy", "val_loss", "val_accuracy")),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)
weights = sa.Table(
    "weights",
    metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("safetensors", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("made_by", sa.Text, nullable=False),  # libraries and processor: only the same go on to the same bits
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("safetensors", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)
openings = sa.Table(
    "openings",
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(key, sa.Text, nullable=False) for key in ("time", "user", "reason", "fingerprint")),
    *(sa.Column(key, sa.Text, nullable=False) for key in ("models", "results")),
    *(sa.Column(key, sa.String(64), nullable=False) for key in ("previous", "hash")),
)
sittings = sa.Table(
    "sittings",  # the times in which processes were at work on a search
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("search", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(200), primary_key=True),
    sa.Column("began", sa.Double, nullable=False),
    sa.Column("heartbeat", sa.Double, nullable=False),
)
claims = sa.Table(
    "claims",  # whose a trial of a search is
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("search", sa.String(64), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(200), nullable=False),
)
norms = sa.Table(
    "norms",  # of a layer's weights and gradients at the end of an epoch
    metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("layer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("weights", sa.Double),
    sa.Column("gradients", sa.Double),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)
champions = sa.Table(
    "champions",  # models finally chosen: which runs they are made of, and what was measured
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)
drawings = sa.Table(
    "drawings",  # by a person, who said what they are
    metadata,
    sa.Column("study", sa.ForeignKey("neurona_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("label", sa.Integer, nullable=False),
    sa.Column("image", sa.LargeBinary, nullable=False),  # uint8, row by row
    sa.Column("strokes", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)
