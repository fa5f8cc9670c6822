"""Databases of other versions, and a database that many processes make at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from neurona import migrations
from neurona.errors import StoreError
from neurona.store import Store, openings, sqlite_url, tables
from neurona.store.database import Database

OLD = Path(__file__).parent / "data" / "unversioned.sql"


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The URL of a database from before there were versions."""
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.executescript(OLD.read_text())
    connection.close()
    return sqlite_url(tmp_path)


def differences(database: Database) -> list[object]:
    """What Alembic sees between the tables in `database` and those that the store declares."""
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})
        return list(compare_metadata(context, tables.metadata))


def test_the_newest_version_is_the_last_step() -> None:
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads() == [migrations.NEWEST]


def test_the_steps_make_the_tables_that_the_store_declares(database: str) -> None:
    assert differences(Database(database)) == []


def test_a_database_without_a_version_is_brought_up_to_date(old: str) -> None:
    store = Store.open(old, study="study")
    assert differences(store.database) == []
    with store.database.reading() as connection:
        assert migrations.version(connection) == migrations.NEWEST
    assert [stored.experiment.name for stored in store.experiments()] == ["baseline", "wide"]
    under_way, complete = store.runs()
    assert (under_way.state, complete.state, complete.openings) == ("running", "complete", 0)
    assert complete.epochs[0].loss == 1.0
    assert store.weights(complete.id)[0]["kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert openings(store) == ()
    again = Store.open(old, study="study")
    assert again.runs() == store.runs()


def test_what_was_brought_up_to_date_halfway_is_as_it_was(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies on the way leaves the old tables."""
    from alembic import command

    upgrade = command.upgrade

    def upgrade_and_die(*arguments: object) -> None:
        upgrade(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", upgrade_and_die)
    with pytest.raises(KeyboardInterrupt):
        Store.open(old, study="study")
    monkeypatch.undo()
    with sqlite3.connect(sa.make_url(old).database or "") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names == {"studies", "experiments", "runs", "epochs", "weights"}
    assert len(Store.open(old, study="study").runs()) == 2


def test_a_database_of_a_newer_neurona_is_refused(database: str) -> None:
    with Database(database).writing() as connection:
        connection.execute(sa.text("UPDATE neurona_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer Neurona .*version 9999.*update Neurona"):
        Store.open(database, study="study", lab="mine", dataset="mnist", fingerprint="f" * 64)


OPEN_AT_ONCE = """
import multiprocessing, sys
from neurona.store import Store

processes = multiprocessing.get_context("fork")  # they share what was imported
barrier = processes.Barrier(8)

def open_it():
    barrier.wait()
    store = Store.open(sys.argv[1], study="study", lab="mine", dataset="mnist", fingerprint="f" * 64)
    sys.stdout.write(f"{store.number} {len(store.runs())}\\n")
    sys.stdout.flush()

children = [processes.Process(target=open_it) for _ in range(8)]
[child.start() for child in children]
[child.join() for child in children]
"""


def test_eight_processes_make_a_study_at_once(database: str) -> None:
    command = [sys.executable, "-c", OPEN_AT_ONCE, database]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "1 0\n" * 8, done.stderr
