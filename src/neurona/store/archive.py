"""A study as plain files, for other programs and other years: CSV, JSON and safetensors."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from neurona.errors import StoreError, UsageError
from neurona.i18n import _
from neurona.store import tables
from neurona.store.openings import openings
from neurona.store.store import Store

__all__ = ["write_archive"]

_RUNS = ("id", "experiment", "seed", "state", "finished", "compile_seconds", "train_seconds", "engine", "openings")


def write_archive(store: Store, folder: Path) -> None:
    """Write the study into `folder`, which must not be there yet; it appears when it is whole.

    study.json: what the study is, its experiments, and the records of the test set's openings. runs.csv,
    epochs.csv and norms.csv: a line each; an empty cell is a figure that was not a finite number.
    weights/<name>-<seed>-<id>.safetensors: those of each run that has ended.
    """
    if folder.exists():
        raise UsageError(_("{folder} is there already; an export makes its folder itself.").format(folder=folder))
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        (beside / "weights").mkdir(parents=True)
        _write(store, beside)
        beside.rename(folder)
    except OSError as error:
        sentence = _("the study cannot be written to {folder}: {error}.")
        raise UsageError(sentence.format(folder=folder, error=error.strerror)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(store: Store, folder: Path) -> None:
    experiments = [stored.experiment for stored in store.experiments()]
    names = {experiment.id: experiment.name for experiment in reversed(experiments)}
    info = {key: value for key, value in store.info.items() if key != "id"}
    document = {
        **info,
        "experiments": [experiment.model_dump(mode="json", exclude_none=True) for experiment in experiments],
        "openings": [opening.to_json() for opening in openings(store)],
    }
    (folder / "study.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    runs, weights = tables.runs.c, tables.weights
    with store.database.reading() as connection:
        query = sa.select(tables.runs).where(runs.study == store.number).order_by(runs.seed, runs.id)
        found = [dict(row._mapping) for row in connection.execute(query)]
        for run in found:
            run["experiment"] = names.get(run["experiment"], run["experiment"])
        _write_table(folder / "runs.csv", (*_RUNS, "versions", "machine", "error"), found)
        for table in (tables.epochs, tables.norms):
            place = sa.select(table).where(table.c.study == store.number).order_by(*table.primary_key)
            rows = [dict(row._mapping) for row in connection.execute(place)]
            _write_table(
                folder / f"{table.name}.csv", [column.name for column in table.c if column.name != "study"], rows
            )
        for run in found:
            one = sa.select(weights).where(weights.c.study == store.number, weights.c.run == run["id"])
            row = connection.execute(one).one_or_none()
            if row is None:
                continue
            if hashlib.sha256(row.safetensors).hexdigest() != row.sha256:
                raise StoreError(_("the weights of the run {run} are damaged.").format(run=run["id"]))
            name = f"{run['experiment']}-{run['seed']}-{run['id'][:8]}.safetensors"
            (folder / "weights" / name).write_bytes(row.safetensors)


def _write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(dict(row) for row in rows)
