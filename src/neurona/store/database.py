"""A database and how it is spoken to: connections, transactions, patience while it is away, errors in words."""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from neurona import migrations
from neurona.errors import MissingExtraError, StoreError
from neurona.i18n import _

__all__ = ["BUSY_SECONDS", "PATIENCE_SECONDS", "Database", "Now", "patient", "sqlite_url"]

PATIENCE_SECONDS = 60.0  # how long what may pass is tried again: a server that restarts, a disk without room
OPENING_SECONDS = 10.0  # and when it is opened: a server that is starting, but it may also be a wrong address
BUSY_SECONDS = 60.0  # how long SQLite waits for another process's transaction
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between two tries

# SQLite's result codes, https://www.sqlite.org/rescode.html
_BUSY, _LOCKED, _READ_ONLY, _IO_ERROR, _CORRUPT, _FULL, _CANNOT_OPEN, _NOT_A_DATABASE = 5, 6, 8, 10, 11, 13, 14, 26
_MAY_PASS = (_BUSY, _LOCKED, _IO_ERROR, _FULL)

_log = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Now(FunctionElement[float]):
    """The time by the database's clock, in seconds since 1970: the clocks of other machines do not matter."""

    type = sa.Double()
    inherit_cache = True


@compiles(Now, "postgresql")
def _now_postgresql(element: Now, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(Now, "sqlite")
def _now_sqlite(element: Now, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class _PassingError(StoreError):
    """The database is away or has no room: a moment later it may not be."""


def patient(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let `method`, one transaction that may be done twice, be tried again while the database is away."""

    @functools.wraps(method)
    def tried(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        return _tried(lambda: method(*arguments, **options), PATIENCE_SECONDS)

    return tried


def _tried(work: Callable[[], Result], seconds: float) -> Result:
    """Return what `work` returns, trying again for `seconds` while the database is away."""
    began = time.monotonic()
    wait = _FIRST_WAIT
    while True:
        try:
            return work()
        except _PassingError as error:
            passed = time.monotonic() - began
            if passed + wait > seconds:
                sentence = _("{error} It was tried for {seconds:.0f} s.")
                raise StoreError(sentence.format(error=error, seconds=passed)) from error
            if wait == _FIRST_WAIT:
                sentence = _("{error} It is tried again for {seconds:.0f} s.")
                _log.warning(sentence.format(error=error, seconds=seconds))
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)


class Database:
    """A database of studies. Its tables are made, or brought up to date, when it is opened."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._identity: tuple[int, int] | None = None
        _tried(self._bring_up_to_date, OPENING_SECONDS)
        self._identity = self._file_identity()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def shown(self) -> str:
        """The URL, without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def url(self) -> str:
        """The URL, with its password."""
        return self._engine.url.render_as_string(hide_password=False)

    def has_table(self, name: str) -> bool:
        """Whether there is a table called `name`."""
        with self.reading() as connection:
            return sa.inspect(connection).has_table(name)

    @property
    def file(self) -> Path | None:
        """The file, if it is SQLite's."""
        if self._engine.dialect.name != "sqlite" or not self._engine.url.database:
            return None
        return Path(self._engine.url.database)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that only reads."""
        self._check_file()
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that is done when the block ends, or not at all."""
        self._check_file()
        with self._translated(), self._for_writing().begin() as connection:
            yield connection
        self._check_file()

    def _for_writing(self) -> sa.Engine:
        return self._engine.execution_options(neurona_write=True)

    def _file_identity(self) -> tuple[int, int] | None:
        if self.file is None:
            return None
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_file(self) -> None:
        """Raise StoreError when the file is no longer there: SQLite would write on into what nobody can open."""
        if self._identity is not None and self._file_identity() != self._identity:
            sentence = _(
                "the file {file} was deleted or replaced while it was in use: put back a copy, or run the lab anew."
            )
            raise StoreError(sentence.format(file=self.file))

    def _bring_up_to_date(self) -> None:
        with self._translated():
            with self._engine.begin() as connection:
                found = migrations.version(connection)
            if found != migrations.NEWEST:
                with self._for_writing().begin() as connection:
                    migrations.bring_up_to_date(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the lowest byte is the error's family
            message = _("the database {url} fails: {error}.").format(
                url=self.shown, error=" ".join(str(cause).split()).rstrip(".?!")
            )
            raise (_PassingError if _may_pass(error, code) else StoreError)(message + _advice(code)) from error


def _may_pass(error: sa.exc.DBAPIError | sa.exc.TimeoutError, code: int) -> bool:
    if isinstance(error, sa.exc.TimeoutError):  # every connection was busy for long
        return True
    if isinstance(error.orig, sqlite3.Error):
        return code in _MAY_PASS
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)


def _advice(code: int) -> str:
    if code == _FULL:
        return " " + _("Make room on the disk; what is stored stays, and the same command goes on from there.")
    if code == _READ_ONLY:
        return " " + _("Make the file and its folder writable, or name another folder with --study.")
    if code == _CANNOT_OPEN:
        return " " + _("Is its folder there, and may you write in it? Another is named with --study.")
    if code in (_CORRUPT, _NOT_A_DATABASE):
        return " " + _("Put back a copy of the file, or start a new study with --study.")
    return ""


def sqlite_url(folder: Path) -> str:
    """Return the URL of the SQLite database in a study's folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = _("the folder {folder} cannot be made: {error}.")
        raise StoreError(sentence.format(folder=folder, error=error.strerror)) from None
    return str(sa.URL.create("sqlite", database=str(folder / "study.db")))


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        sentence = _("{url!r} is not a database that can be used: {error}.")
        raise StoreError(sentence.format(url=url, error=str(error).rstrip("."))) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend in ("postgresql", "postgres"):
        return _postgresql(parsed)
    sentence = _("{url!r} is not a database that can be used: only sqlite:///FILE and postgresql://… are.")
    raise StoreError(sentence.format(url=parsed.render_as_string(hide_password=True)))


def _postgresql(url: sa.URL) -> sa.Engine:
    # A server that is gone without a word is noticed within a minute, not after the system's two hours.
    noticed = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    url = url.set(drivername="postgresql+psycopg")
    try:
        return sa.create_engine(url, pool_pre_ping=True, pool_timeout=PATIENCE_SECONDS, connect_args=noticed)
    except ModuleNotFoundError:
        sentence = _(
            "PostgreSQL's driver is not installed; it comes with the extra [postgresql]: "
            "pip install 'neurona[postgresql]'."
        )
        raise MissingExtraError(sentence) from None


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise StoreError(_("SQLite in memory keeps nothing: give its URL a file, as in sqlite:///study.db."))
    engine = sa.create_engine(url, pool_timeout=PATIENCE_SECONDS, connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says, not where the driver guesses
        _write_ahead(connection)
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that will write takes the lock at once: one that read first could not wait for it.
        write = connection.get_execution_options().get("neurona_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have readers and a writer side by side. SQLite does not wait for others here, so this does."""
    began = time.monotonic()
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != _BUSY or time.monotonic() - began > BUSY_SECONDS:
                raise
            time.sleep(0.01)
