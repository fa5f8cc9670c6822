"""Where a study keeps its experiments, runs, epochs and weights: SQLite in its folder, or PostgreSQL by URL."""

from neurona.store.archive import write_archive
from neurona.store.champions import StoredChampion, champions, put_champion
from neurona.store.database import BUSY_SECONDS, PATIENCE_SECONDS, Database, sqlite_url
from neurona.store.drawings import Drawing, Drawings, Strokes
from neurona.store.openings import add_opening, openings, verify_openings
from neurona.store.owner import Owner
from neurona.store.sittings import Sittings
from neurona.store.store import LEASE_SECONDS, Provenance, Store, StoredExperiment, StoredRun, Task
from neurona.store.upkeep import Merged, Standing, Summary, merge, remove, standing, summaries, verify
from neurona.store.weights import read_weights, write_weights

__all__ = [
    "BUSY_SECONDS",
    "LEASE_SECONDS",
    "PATIENCE_SECONDS",
    "Database",
    "Drawing",
    "Drawings",
    "Merged",
    "Owner",
    "Provenance",
    "Sittings",
    "Standing",
    "Store",
    "StoredChampion",
    "StoredExperiment",
    "StoredRun",
    "Strokes",
    "Summary",
    "Task",
    "add_opening",
    "champions",
    "merge",
    "openings",
    "put_champion",
    "read_weights",
    "remove",
    "sqlite_url",
    "standing",
    "summaries",
    "verify",
    "verify_openings",
    "write_archive",
    "write_weights",
]
