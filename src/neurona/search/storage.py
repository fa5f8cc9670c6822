"""Optuna's tables in the study's own database, so that whatever reads Optuna's studies reads a search."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import optuna
import sqlalchemy as sa

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.store import BUSY_SECONDS, PATIENCE_SECONDS, Database, Store
from neurona.study import STUDY_NAME

__all__ = ["STUDY", "identity", "load_search", "optuna_name", "optuna_storage", "patient", "searches"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

STUDY = "study"  # the attribute of Optuna's study that has the `identity` of ours
_LOCK_NUMBER = 0x4F7074756E61  # "Optuna": PostgreSQL's advisory locks are numbers
_TRIES = 20
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between two tries


def patient(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let `work`, which may be done twice, be tried again while the database is away or locked."""

    @functools.wraps(work)
    def tried(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        began, wait = time.monotonic(), _FIRST_WAIT
        while True:
            try:
                return work(*arguments, **options)
            except (sa.exc.OperationalError, sa.exc.TimeoutError, optuna.exceptions.StorageInternalError) as error:
                if time.monotonic() - began + wait > PATIENCE_SECONDS:
                    cause = getattr(error, "orig", None) or error.__cause__ or error
                    sentence = _("the search's part of the database fails: {error}.")
                    raise StoreError(sentence.format(error=" ".join(str(cause).split()).rstrip("."))) from error
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    return tried


_storages: WeakKeyDictionary[Database, optuna.storages.BaseStorage] = WeakKeyDictionary()


def optuna_storage(store: Store) -> optuna.storages.BaseStorage:
    """Return Optuna's storage in the database of `store`; its tables are made if need be."""
    if store.database not in _storages:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it has to say is in our own words
        sqlite = store.database.file is not None
        options = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {"pool_pre_ping": True}
        make = functools.partial(optuna.storages.RDBStorage, store.database.url, engine_kwargs=options)
        storage = _made_beside_others(make) if sqlite else _made_alone(make, store)
        _storages[store.database] = optuna.storages.get_storage(storage)
    return _storages[store.database]


def _made_alone(make: Callable[[], Result], store: Store) -> Result:
    """Return what `make` makes in a PostgreSQL database, while no other process does."""
    with store.database.reading() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
        return make()


def _made_beside_others(make: Callable[[], Result]) -> Result:
    """Return what `make` makes in a SQLite database; where another process came first, it is found there."""
    for _attempt in range(_TRIES):
        with suppress(sa.exc.IntegrityError):
            return make()
        time.sleep(_FIRST_WAIT)
    return make()


def optuna_name(store: Store, search: str) -> str:
    """Return what a search is called among Optuna's studies: with the study's name, or the lab's in a folder."""
    info = store.info
    study = info["lab"] if info["name"] == STUDY_NAME else info["name"]
    return f"{study}/{search}"


def identity(store: Store) -> str:
    """Return what tells a study from one of the same name that was removed before."""
    return f"{store.number} {store.info['created']}"


@patient
def load_search(store: Store, search: str) -> optuna.Study | None:
    """Return Optuna's study of a search, None when there is none, or one of a study that was removed."""
    if not store.database.has_table("studies"):
        return None
    try:
        study = optuna.load_study(study_name=optuna_name(store, search), storage=optuna_storage(store))
    except KeyError:
        return None
    return study if study.user_attrs.get(STUDY, identity(store)) == identity(store) else None


@patient
def searches(store: Store) -> tuple[str, ...]:
    """Return the names of the searches in a study, in the order in which they began."""
    if not store.database.has_table("studies"):
        return ()
    prefix, own = optuna_name(store, ""), identity(store)
    found = [study for study in optuna_storage(store).get_all_studies() if study.study_name.startswith(prefix)]
    return tuple(study.study_name.removeprefix(prefix) for study in found if study.user_attrs.get(STUDY, own) == own)
