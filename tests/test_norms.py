"""Norms of weights and gradients by epoch: what they are, what they cost no bit of, and what they survive."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import sqlalchemy as sa

import neurona
from neurona import engine, figures, insight
from neurona.data import Dataset
from neurona.engine import programs
from neurona.figures import Inspected
from neurona.report.network import inside
from neurona.run import Epoch, LayerNorms, Run
from neurona.specs import Augmentation, EarlyStopping, Network, Optimizer, Training
from neurona.store import Owner, Store, sqlite_url, tables
from neurona.study import Study

NETWORK = Network(hidden=(20, 10), dropout=0.1)
TRAINING = Training(batch_size=64, epochs=3)
KINDS = {
    "plain": (NETWORK, TRAINING),
    "batch": (Network(hidden=(12, 12), normalization="batch", residual=True), TRAINING),
    "layer": (Network(hidden=(12,), normalization="layer"), TRAINING.replace(max_norm=2.0, label_smoothing=0.1)),
    "averaged": (Network(hidden=(12,)), TRAINING.replace(ema_momentum=0.9)),
    "augmented": (Network(hidden=(12,)), TRAINING.replace(augmentation=Augmentation(rotation=10, mixup=0.2))),
    "no hidden layer": (Network(hidden=()), TRAINING.replace(batch_size=1050)),
    "restored": (NETWORK, TRAINING.replace(early_stopping=EarlyStopping(patience=2, restore_best_weights=True))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_norms_are_those_of_the_weights_that_are_kept(kind: str, small: Dataset) -> None:
    network, training = KINDS[kind]
    run = engine.train(network, training, small, seed=3)
    assert [len(layers) for layers in run.history.norms] == [len(network.hidden) + 1] * 3
    chosen = engine.measured_images(len(small.train))
    theirs = insight.norms(network, run.parameters, small.train.images[chosen], small.train.labels[chosen])
    best = max(run.history["val_accuracy"]) if kind == "restored" else run.history["val_accuracy"][-1]
    for ours, its in zip(run.history.norms[run.history["val_accuracy"].index(best)], theirs, strict=True):
        assert ours.weights == pytest.approx(its.weights, rel=1e-5)
        assert ours.gradients == pytest.approx(its.gradients, rel=1e-3)


def test_the_images_of_the_gradient_are_a_hundredth_evenly_spread() -> None:
    assert engine.measured_images(50_000).tolist() == list(range(0, 50_000, 100))
    assert engine.measured_images(1_050).tolist() == [1_050 * n // 32 for n in range(32)]
    assert engine.measured_images(7).tolist() == list(range(7))


@pytest.mark.parametrize("kind", ["plain", "batch", "averaged", "augmented"])
def test_measuring_changes_no_bit_of_a_run(kind: str, small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network, training = KINDS[kind]
    measured = engine.train(network, training, small, seed=5)
    monkeypatch.setattr(programs, "_programs", {})
    monkeypatch.setattr(programs, "measured", lambda *_given, **_more: jax.numpy.zeros((0, 2)))
    bare = engine.train(network, training, small, seed=5)
    assert not any(bare.history.norms)
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert measured.history[key] == bare.history[key]
    for one, other in zip(measured.parameters, bare.parameters, strict=True):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])


def test_runs_side_by_side_have_the_norms_of_runs_alone(small: Dataset) -> None:
    together = engine.train_together([engine.Job(NETWORK, TRAINING, seed) for seed in range(3)], small)
    for seed, run in enumerate(together):
        alone = engine.train(NETWORK, TRAINING, small, seed=seed)
        for ours, theirs in zip(_flat(run), _flat(alone), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3)


def _flat(run: Run) -> list[float]:
    return [figure for layers in run.history.norms for one in layers for figure in (one.weights, one.gradients)]


def test_a_run_that_resumes_has_all_its_norms(small: Dataset) -> None:
    checkpoints: list[engine.Checkpoint] = []
    whole = engine.train(NETWORK, TRAINING, small, seed=2, on_checkpoint=lambda make: checkpoints.append(make()))
    for checkpoint in checkpoints:
        assert engine.train(NETWORK, TRAINING, small, seed=2, resume=checkpoint).history.norms == whole.history.norms
    old = replace(checkpoints[0], norms=())  # of a Neurona that kept none
    assert engine.train(NETWORK, TRAINING, small, seed=2, resume=old).history.norms == ((), *whole.history.norms[1:])


@pytest.fixture
def study(small_lab: neurona.Lab, small: Dataset, tmp_path: Path) -> Study:
    return small_lab.run(seeds=2, only=["wide"], data=small, study=tmp_path / "study")


def test_the_store_keeps_them_and_a_checkpoint_too(study: Study, small: Dataset) -> None:
    for run in study.runs("wide"):
        spec = study.experiments()[1].stored.experiment
        again = engine.train(spec.network, spec.training, small, seed=run.seed)
        assert study.run_norms(run.id) == again.history.norms
        assert len(again.history.norms) == 3
    assert study.verify() == []


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_checkpoint_gives_back_the_norms_there_were(known: int, database: str, small_lab: neurona.Lab) -> None:
    store = Store.open(database, study="study", lab="small", dataset="mnist", fingerprint="f" * 64)
    task = neurona.runner.tasks(small_lab.experiments, 1, "f" * 64)[0]
    owner, epoch = Owner.this_process(), Epoch(1.0, 0.5, 1.1, 0.4, 0.1)
    assert store.claim(task, owner)
    layers = (LayerNorms(0.1 + 0.2, math.inf), LayerNorms(3.0, 1e-300))
    norms = ((),) * (2 - known) + (layers,) * known
    store.keep_checkpoint(task, owner, (epoch, epoch), (np.zeros(3, np.float32),), norms)
    kept = store.checkpoint(task)
    assert kept is not None
    assert kept[2] == norms


def test_a_run_that_diverged_keeps_what_is_no_number_as_null(
    small_lab: neurona.Lab, small: Dataset, tmp_path: Path
) -> None:
    wild = small_lab.experiments[0].replace(
        network=Network(activation="linear", hidden=(50,) * 5),
        training=Training(optimizer=Optimizer(name="sgd", learning_rate=1000.0), epochs=3),
    )
    lab = neurona.Lab(name="wild", dataset="mnist", experiments=(wild,))
    study = lab.run(seeds=1, data=small, study=tmp_path / "wild")
    (run,) = study.runs("baseline")
    assert run.state == "diverged"
    with study.store.database.reading() as connection:
        rows = connection.execute(sa.select(tables.norms)).all()
    assert len(rows) == 6 * len(run.epochs)
    assert any(row.gradients is None for row in rows)
    assert all(math.isnan(layer.gradients) or layer.gradients >= 0 for layer in study.run_norms(run.id)[-1])
    assert study.verify() == []


def test_merge_and_export_take_them_along(study: Study, small_lab: neurona.Lab, small: Dataset, tmp_path: Path) -> None:
    other = small_lab.run(seeds=1, only=["slow"], data=small, study=tmp_path / "other")
    other.merge(study)
    for run in study.runs("wide"):
        assert other.run_norms(run.id) == study.run_norms(run.id) != ()
    assert other.verify() == []
    study.export(tmp_path / "archive")
    with (tmp_path / "archive" / "norms.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3 * 3  # experiments, seeds, epochs, layers
    (run, *_others) = study.runs("wide")
    layers = study.run_norms(run.id)[2]
    found = {int(row["layer"]): row for row in rows if (row["run"], row["epoch"]) == (run.id, "3")}
    assert {layer: float(row["weights"]) for layer, row in found.items()} == {
        layer: norms.weights for layer, norms in enumerate(layers)
    }


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE norms SET weights = weights * 2",
        "DELETE FROM norms WHERE layer = 1",
        "DELETE FROM norms WHERE epoch = 3",
    ],
)
def test_verify_names_runs_whose_norms_are_not_theirs(study: Study, damage: str) -> None:
    with study.store.database.writing() as connection:
        connection.execute(sa.text(damage))
    problems = study.verify()
    assert len(problems) == 4
    assert "norms" in problems[0]


def test_the_figure_has_the_stores_numbers(study: Study, small: Dataset) -> None:
    numbers = figures.norm_curves.numbers(study, experiment="wide", data=small)
    assert numbers.seeds == (0, 1)
    kept = [study.run_norms(run.id) for run in study.runs("wide")]
    assert len(numbers.weights) == len(numbers.gradients) == 3
    for layer, points in enumerate(numbers.gradients):
        for epoch, point in enumerate(points):
            values = [norms[epoch][layer].gradients for norms in kept]
            assert (point.low, point.high) == (min(values), max(values))
            assert point.middle == pytest.approx(math.sqrt(math.prod(values)))
    drawn = figures.norm_curves.draw(numbers)
    lines = [trace for trace in drawn.plot.data if trace.hoverinfo != "skip"]
    assert [trace.name for trace in lines] == ["layer 1", "layer 2", "output"] * 2
    assert lines[0].y == tuple(point.middle for point in numbers.weights[0])


def test_runs_without_norms_say_so(study: Study, small: Dataset) -> None:
    """Those of an old study, and of Keras."""
    with study.store.database.writing() as connection:
        connection.execute(sa.delete(tables.norms))
    assert study.verify() == []
    one = figures.inspected(study, experiment="wide", data=small)
    drawn = figures.norm_curves(one)
    assert "No norms were kept" in drawn.summary
    assert drawn.plot.layout.annotations[0].text == drawn.summary
    titles = [getattr(block, "title", "") for block in inside(one).blocks]
    assert "Norms of weights and gradients of wide, layer by layer" in titles
    assert not any("epoch by epoch" in title for title in titles)


def test_norms_of_which_one_seed_began_later_are_those_that_all_have(small: Dataset, study: Study) -> None:
    one = figures.inspected(study, experiment="wide", data=small)
    late: dict[int, Any] = dict(one.norms)
    late[1] = ((), *late[1][1:])
    later = Inspected(one.name, one.network, one.data, one.parameters, late)
    numbers = figures.norm_curves.numbers(later)
    assert (numbers.first, len(numbers.weights[0])) == (2, 2)
    assert figures.norm_curves.draw(numbers).table.head[1:] == ("epoch 2", "epoch 3")


def test_old_databases_have_room_for_them(tmp_path: Path, small_lab: neurona.Lab, small: Dataset) -> None:
    """What was stored before goes on to be read, and to be trained on."""
    study = small_lab.run(seeds=1, only=["wide"], data=small, study=tmp_path / "old")
    with study.store.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE norms"))
        for name in ("champions", "drawings"):
            connection.execute(sa.text(f"DROP TABLE {name}"))
        connection.execute(sa.text("UPDATE neurona_version SET version_num = '0003'"))
    study.store.close()
    again = Study(Store.open(sqlite_url(tmp_path / "old"), study="study"))
    assert all(again.run_norms(run.id) == () for run in again.runs("wide"))
    small_lab.run(seeds=2, only=["wide"], data=small, study=tmp_path / "old")
    assert [bool(again.run_norms(run.id)) for run in again.runs("wide")] == [False, True]
