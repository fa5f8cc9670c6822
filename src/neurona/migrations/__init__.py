"""The schema of a study's database, as steps that Alembic takes: a database of an older Neurona is brought up to date.

`NEWEST` names the last step. A step, once released, is never edited; a change of the tables is a new one in
`versions`, and the tests hold the sum of all steps against the tables that `store` declares.
"""

from __future__ import annotations

import threading
from importlib import resources

import sqlalchemy as sa

from neurona.errors import StoreError
from neurona.files import on_disk
from neurona.i18n import _

__all__ = ["NEWEST", "VERSION_TABLE", "bring_up_to_date", "version"]

NEWEST = "0004"
VERSION_TABLE = "neurona_version"  # not Alembic's default, which another program in the same database may use
_UNVERSIONED = "0001"  # what a database is that has tables and no version: the first ones had none
_LOCK_NUMBER = 0x4E6575726F6E61  # "Neurona": PostgreSQL's advisory locks are numbers

_lock = threading.Lock()  # Alembic keeps the step under way in a global


def version(connection: sa.Connection) -> str | None:
    """Return the version of the database's schema, None when it holds no study's tables."""
    tables = sa.inspect(connection)
    if tables.has_table(VERSION_TABLE):
        return str(connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())  # noqa: S608
    return _UNVERSIONED if tables.has_table("runs") else None


def bring_up_to_date(connection: sa.Connection) -> None:
    """Make the tables, or take the steps that an older database lacks, in the transaction of `connection`.

    Several processes may do it at once: the others wait, and find it done. On SQLite the transaction must hold the
    write lock already. StoreError when the database is of a newer Neurona.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
    found = version(connection)
    if found == NEWEST:
        return
    if found is not None and found > NEWEST:
        sentence = _(
            "the database is of a newer Neurona (its tables are version {found}, this program knows {known}); "
            "update Neurona."
        )
        raise StoreError(sentence.format(found=found, known=NEWEST))
    if found is None and sa.inspect(connection).has_table("studies"):
        sentence = _("the database has a table `studies` of another program, as Optuna's; a study needs one without.")
        raise StoreError(sentence)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.attributes["connection"] = connection
    with _lock, on_disk(resources.files("neurona.migrations")) as folder:
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        if found == _UNVERSIONED and not sa.inspect(connection).has_table(VERSION_TABLE):
            command.stamp(config, _UNVERSIONED)
        command.upgrade(config, NEWEST)
