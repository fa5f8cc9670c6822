"""`neurona study verify --rerun`: runs of a study are trained again, and what is not reproduced is named."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurona import network as networks
from neurona.cli import main
from neurona.data import Dataset, load
from neurona.engine import Stream
from neurona.engine.streams import sequence
from neurona.engines import train
from neurona.errors import DataError, UsageError
from neurona.runner import tasks
from neurona.specs import Experiment, Network, Training
from neurona.store import Owner
from neurona.study import Lab, Study

DATA = "mnist[:1000]"
PLAIN = Experiment(name="baseline", network=Network(hidden=(8,)), training=Training(epochs=3))
WIDE = Experiment(name="wide", network=Network(hidden=(16,), dropout=0.2), training=Training(epochs=3))
BLOWN = Experiment(
    name="blown",
    network=Network(hidden=(8,), activation="linear"),
    training=Training(epochs=3, optimizer={"name": "sgd", "learning_rate": 1000.0}),
)

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load(DATA)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an honest study: three experiments with two seeds each."""
    folder = tmp_path_factory.mktemp("ready")
    study = Lab(name="mine", dataset=DATA, experiments=(PLAIN, WIDE, BLOWN)).run(seeds=2, study=folder)
    study.store.close()
    return (folder / "study.db").read_bytes()


@pytest.fixture
def folder(ready: bytes, tmp_path: Path) -> Path:
    (tmp_path / "study.db").write_bytes(ready)
    return tmp_path


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["study", "verify", *words])
        shown = capfd.readouterr()
        return int(str(stopped.value.code)), shown.out, shown.err

    return run


def change(folder: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(folder / "study.db") as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def run_of(folder: Path, experiment: str, seed: int) -> str:
    return Study.open(folder).runs(experiment)[seed].id


def test_an_honest_study_is_reproduced_bit_for_bit(folder: Path, said: Said) -> None:
    code, out, err = said(str(folder), "--rerun", "50", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["problems"] == []
    assert sorted((each["experiment"], each["seed"]) for each in document["reruns"]) == [
        (name, seed) for name in ("baseline", "blown", "wide") for seed in (0, 1)
    ]
    assert {(each["compared"], each["reproduced"]) for each in document["reruns"]} == {("bits", True)}
    assert "[6/6]" in err
    assert "(diverged)" in err


def test_the_seed_draws_the_runs(folder: Path, said: Said) -> None:
    def drawn(*words: str) -> tuple[int, list[str]]:
        document = json.loads(said(str(folder), "--rerun", "2", "--json", *words)[1])
        return document["seed"], [each["run"] for each in document["reruns"]]

    seed, runs = drawn()
    assert drawn("--seed", str(seed)) == (seed, runs)
    study = Study.open(folder)
    assert len({tuple(task.id for task in study.drawn_to_rerun(2, seed=seed)) for seed in range(9)}) > 4


FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@pytest.mark.parametrize("figure", FIGURES)
def test_one_edited_number_is_found_and_named(folder: Path, said: Said, figure: str) -> None:
    """By `--rerun` only: hashes are of weights and openings."""
    epoch = 1 + FIGURES.index(figure) % 3
    run = run_of(folder, "wide", 1)
    change(folder, f"UPDATE epochs SET {figure} = {figure} + 0.0001 WHERE run = ? AND epoch = ?", run, epoch)  # noqa: S608
    assert said(str(folder))[0] == 0
    code, out, _err = said(str(folder), "--rerun", "6")
    assert code == 1
    assert f"✗ wide, seed 1 (run {run[:8]}): not reproduced." in out
    assert f"\n    {figure} of epoch {epoch} is " in out
    assert out.count("✗") == 1
    assert out.count("reproduced bit for bit") == 5


def test_weights_of_another_run_are_found(folder: Path, said: Said) -> None:
    ours, theirs = run_of(folder, "baseline", 0), run_of(folder, "baseline", 1)
    with sqlite3.connect(folder / "study.db") as connection:
        (weights,) = connection.execute("SELECT safetensors FROM weights WHERE run = ?", (theirs,)).fetchone()
    connection.close()
    change(
        folder,
        "UPDATE weights SET safetensors = ?, sha256 = ? WHERE run = ?",
        weights,
        hashlib.sha256(weights).hexdigest(),
        ours,
    )
    change(folder, "DELETE FROM norms WHERE run = ?", ours)  # with which `verify` would find it
    assert said(str(folder))[0] == 0
    code, out, _err = said(str(folder), "--rerun", "6")
    assert code == 1
    assert f"✗ baseline, seed 0 (run {ours[:8]}): not reproduced.\n    its weights are not those" in out


def test_edited_norms_are_found(folder: Path, data: Dataset) -> None:
    run = run_of(folder, "wide", 0)
    change(folder, "UPDATE norms SET gradients = gradients * 1.001 WHERE run = ? AND epoch = 1 AND layer = 0", run)
    study = Study.open(folder)
    assert study.verify() == []
    found = {each.run: each for each in study.rerun(study.drawn_to_rerun(6, seed=0), data)}
    assert [each.figure for each in found.pop(run).discrepancies] == ["norms"]
    assert all(each.reproduced for each in found.values())


def test_nothing_is_stored(folder: Path, data: Dataset) -> None:
    study = Study.open(folder)
    before = study.store.runs()
    study.rerun(study.drawn_to_rerun(1, seed=0), data)
    assert study.store.runs() == before


@pytest.fixture
def elsewhere(tmp_path: Path, data: Dataset) -> Path:
    """A study as another processor makes it: its runs began with weights that differ in their last bits."""
    folder = tmp_path / "elsewhere"
    lab = Lab(name="theirs", dataset=DATA, experiments=(PLAIN, WIDE))
    study = lab.open_study(data, study=folder)
    owner = Owner.this_process()
    generator = np.random.default_rng(7)
    for task in tasks(lab.experiments, 1, data.fingerprint):
        network = task.experiment.network
        drawn = networks.init(network, pixels=784, classes=10, seed=sequence(task.seed, Stream.WEIGHTS))
        initial = tuple(
            {**layer, "kernel": layer["kernel"] * np.float32(1 + 2.0**-21 * generator.choice((-1, 1)))}
            for layer in drawn
        )
        assert study.store.claim(task, owner)
        study.store.finish(train(network, task.experiment.training, data, seed=0, initial=initial))
    study.store.close()
    change(folder, "UPDATE runs SET machine = json_set(machine, '$.processor', 'Another')")
    return folder


def test_a_run_made_elsewhere_is_compared_as_far_as_rounding_lets_it(elsewhere: Path, said: Said) -> None:
    code, out, err = said(str(elsewhere), "--rerun", "2")
    assert code == 0
    assert out.count("reproduced, as far as rounding lets it: not the same are processor.") == 2
    assert "wide, seed 0, was made elsewhere: 3 of 3 variations by rounding trained" in err


@pytest.mark.parametrize("figure", FIGURES)
def test_an_edited_number_is_found_elsewhere_too(elsewhere: Path, said: Said, figure: str) -> None:
    run = run_of(elsewhere, "wide", 0)
    change(elsewhere, f"UPDATE epochs SET {figure} = {figure} + 0.01 WHERE run = ? AND epoch = 2", run)  # noqa: S608
    code, out, _err = said(str(elsewhere), "--rerun", "2")
    assert code == 1
    assert f"✗ wide, seed 0 (run {run[:8]}): not reproduced.\n    {figure} of epoch 2 is " in out
    assert "apart would do)" in out
    assert out.count("✗") == 1


def test_what_the_weights_answer_is_exact_anywhere(elsewhere: Path, said: Said) -> None:
    """Three images of 10,000 more: rounding might do that, but the stored weights do not."""
    run = run_of(elsewhere, "wide", 0)
    change(elsewhere, "UPDATE epochs SET val_accuracy = val_accuracy + 0.0003 WHERE run = ? AND epoch = 3", run)
    code, out, _err = said(str(elsewhere), "--rerun", "2")
    assert code == 1
    assert "    val_accuracy of epoch 3 is 0." in out


def test_other_bits_on_the_same_machine_are_not_reproduced(elsewhere: Path, data: Dataset) -> None:
    """Nobody calls rounding what is none: where nothing differs, the bits must be the same."""
    study = Study.open(elsewhere)
    here = json.loads(
        json.dumps(
            Lab(name="x", dataset=DATA, experiments=(PLAIN,))
            .run(seeds=1, data=data, study=elsewhere.with_name("here"))
            .provenance()[0]
            .machine
        )
    )
    change(elsewhere, "UPDATE runs SET machine = ?", json.dumps(here))
    for each in study.rerun(study.drawn_to_rerun(2, seed=0), data):
        assert (each.compared, each.reproduced, each.elsewhere) == ("bits", False, ())


def test_of_another_engine_elsewhere_nothing_is_said(tmp_path: Path, data: Dataset, said: Said) -> None:
    experiment = Experiment(name="baseline", network=Network(hidden=(4,)), training=Training(epochs=1), engine="keras")
    Lab(name="theirs", dataset=DATA, experiments=(experiment,)).run(seeds=1, data=data, study=tmp_path).store.close()
    change(tmp_path, "UPDATE runs SET versions = json_set(versions, '$.jax', '0.0.1')")
    change(tmp_path, "UPDATE epochs SET accuracy = accuracy + 0.001")
    code, out, _err = said(str(tmp_path), "--rerun", "1")
    assert code == 0
    assert "? baseline, seed 0" in out
    assert "not compared: another engine's bits are its machine's, and not the same are jax." in out
    change(tmp_path, "UPDATE epochs SET val_accuracy = val_accuracy + 0.001")  # but its weights answer as they do
    code, out, _err = said(str(tmp_path), "--rerun", "1")
    assert code == 1
    assert "val_accuracy of epoch 1" in out


def test_what_cannot_be_done_is_said(folder: Path, said: Said) -> None:
    for words, sentence in (
        (["--seed", "1"], "go with --rerun K"),
        (["--rerun", "0"], "--rerun must be at least 1"),
        (["--rerun", "1", "--dataset", "mnist[:1001]"], "--dataset says where they are"),
    ):
        code, _out, err = said(str(folder), *words)
        assert code == 2
        assert sentence in err
    change(folder, "UPDATE runs SET state = 'pending'")
    change(folder, "DELETE FROM epochs")
    code, _out, err = said(str(folder), "--rerun", "1")
    assert code == 2
    assert "no run that has ended" in err


def test_other_data_are_refused(folder: Path, small: Dataset) -> None:
    study = Study.open(folder)
    drawn = study.drawn_to_rerun(1, seed=0)
    with pytest.raises(DataError, match="made with"):
        study.rerun(drawn, small)
    with pytest.raises(UsageError):
        study.drawn_to_rerun(0, seed=0)


def test_in_spanish(folder: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURONA_LANG", "es")
    change(folder, "UPDATE epochs SET loss = loss + 1 WHERE run = ? AND epoch = 2", run_of(folder, "wide", 1))
    code, out, _err = said(str(folder), "--rerun", "6")
    assert code == 1
    assert "no se reproduce" in out
    assert "loss de la época 2 es " in out
