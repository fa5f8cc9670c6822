"""Experiments through Keras' own `model.fit`: the same recipe, store and table as Neurona's."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurona
from neurona import engine, engines
from neurona.data import Dataset
from neurona.errors import MissingExtraError, SpecError, UsageError
from neurona.lab import BASELINE, LabSpec, differences
from neurona.run import ENGINE_VERSIONS, Run, kept_epoch, run_id
from neurona.runner import Event, RunEnded, RunStarted
from neurona.specs import EarlyStopping, Experiment, Network, Optimizer, Training
from neurona.stats import paired_difference
from neurona.study import Lab, Study

NETWORK = Network(hidden=(20, 10), activation="tanh")
SGD = Optimizer(name="sgd", learning_rate=0.05)


def arrays(run: Run) -> list[np.ndarray]:
    return [np.asarray(layer[name]) for layer in run.parameters for name in sorted(layer)]


def test_the_same_seed_gives_the_same_result(small: Dataset) -> None:
    network = NETWORK.replace(dropout=0.2, input_noise=0.1, normalization="batch")
    one, two, other = (
        engines.train(network, Training(epochs=2), small, seed=seed, engine="keras") for seed in (7, 7, 8)
    )
    assert one.history["loss"] == two.history["loss"]
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(two), strict=True))
    assert one.id == two.id != other.id
    assert one.history["loss"] != other.history["loss"]
    assert one.engine == "keras"
    assert one.versions["keras_backend"].startswith("jax ")


def test_it_begins_with_neuronas_weights_and_leaves_no_trace_of_compiling(small: Dataset) -> None:
    """With hardly any learning, all that validation sees is the initial weights, and a running mean of no step."""
    training = Training(optimizer=Optimizer(name="sgd", learning_rate=1e-12), epochs=1)
    for network in (NETWORK, Network(hidden=(20, 20), normalization="layer", residual=True)):
        ours, theirs = (engines.train(network, training, small, seed=3, engine=name) for name in ("neurona", "keras"))
        assert theirs.history["val_loss"][0] == pytest.approx(ours.history["val_loss"][0], rel=1e-6)


WHOLE_SPLIT = {
    "plain": Training(optimizer=SGD),
    "penalties and bound": Training(optimizer=SGD, l1=1e-4, l2=1e-3, max_norm=0.7),
    "smoothing and confidence": Training(optimizer=SGD, label_smoothing=0.1, confidence_penalty=0.1),
    "class weights": Training(optimizer=SGD, class_weight=tuple(0.5 + 0.1 * digit for digit in range(10))),
    "balanced": Training(optimizer=SGD, class_weight="balanced"),
    "average": Training(optimizer=SGD, ema_momentum=0.6),
    "schedule and clipping": Training(optimizer=SGD.replace(schedule={"name": "one_cycle"}, clipnorm=0.1)),
    "muon": Training(optimizer=Optimizer(name="muon", learning_rate=0.01)),
    "stops, best average restored": Training(
        optimizer=Optimizer(name="sgd", learning_rate=2.0),
        ema_momentum=0.3,
        early_stopping=EarlyStopping(patience=1, restore_best_weights=True),
    ),
    "stops, last average kept": Training(
        optimizer=SGD, ema_momentum=0.3, early_stopping=EarlyStopping(patience=1, min_delta=0.5)
    ),
}


@pytest.mark.parametrize("training", WHOLE_SPLIT.values(), ids=WHOLE_SPLIT)
def test_where_order_cannot_matter_it_is_neuronas_run(training: Training, small: Dataset) -> None:
    """One batch an epoch, of the whole split: both engines must come to the same figures and weights."""
    training = training.replace(batch_size=len(small.train), epochs=5)
    ours, theirs = (engines.train(NETWORK, training, small, seed=3, engine=name) for name in ("neurona", "keras"))
    assert len(theirs.history.epochs) == len(ours.history.epochs)
    assert (len(ours.history.epochs) < 5) == (training.early_stopping is not None)
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(theirs.history[key], ours.history[key], rtol=1e-4)
    for key in ("accuracy", "val_accuracy"):
        np.testing.assert_allclose(theirs.history[key], ours.history[key], atol=0.0031)  # an image of 330
    for one, other in zip(arrays(theirs), arrays(ours), strict=True):
        assert np.linalg.norm(one - other) <= 1e-3 * np.linalg.norm(other)
    kept = kept_epoch(training, theirs.history.epochs)
    assert engine.evaluate(NETWORK, theirs.parameters, small.validation)[1] == pytest.approx(kept.val_accuracy)


def test_it_learns_as_much_as_neurona_does(small: Dataset) -> None:
    training = Training(epochs=4)
    ours, theirs = (
        [
            engines.train(NETWORK, training, small, seed=seed, engine=name).history["val_accuracy"][-1]
            for seed in range(6)
        ]
        for name in ("neurona", "keras")
    )
    difference = paired_difference(theirs, ours)
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < 0.0 < difference.high
    assert min(theirs) > 0.5


def test_a_run_that_diverges_says_so_and_stops(small: Dataset) -> None:
    wild = Training(optimizer=Optimizer(name="sgd", learning_rate=1000.0), l2=1.0, epochs=5)
    run = engines.train(NETWORK, wild, small, seed=0, engine="keras")
    assert run.state == "diverged"
    assert len(run.history.epochs) < 5
    assert not np.isfinite(run.history["loss"][-1])


def test_it_stops_when_asked_and_tells_of_each_epoch(small: Dataset) -> None:
    seen: list[int] = []
    with pytest.raises(engine.Interrupted):
        engines.train(
            NETWORK,
            Training(epochs=50),
            small,
            seed=0,
            engine="keras",
            on_epoch=lambda number, epoch: seen.append(number),
            stop=lambda: len(seen) == 3,
        )
    assert seen == [1, 2, 3]


def test_the_users_random_numbers_are_left_alone(small: Dataset) -> None:
    def drawn(between: bool) -> tuple[float, float]:
        random.seed(5)
        np.random.seed(5)
        if between:
            engines.train(NETWORK, Training(epochs=1), small, seed=0, engine="keras")
        return random.random(), float(np.random.random())

    assert drawn(True) == drawn(False)


def test_every_key_is_one_that_keras_is_told() -> None:
    """Whoever adds a key to a network or a training must have Keras do it too, or refuse it in `check_engine`."""
    assert set(Network.model_fields) == {
        *("hidden", "activation", "initializer", "dropout", "alpha_dropout", "input_dropout", "input_noise"),
        *("normalization", "residual"),
    }
    assert set(Training.model_fields) == {
        *("optimizer", "batch_size", "epochs", "l1", "l2", "max_norm", "label_smoothing", "confidence_penalty"),
        *("class_weight", "ema_momentum", "early_stopping", "precision", "augmentation"),
    }


def test_what_keras_cannot_do_is_named(small: Dataset) -> None:
    half = Training(precision="bfloat16")
    with pytest.raises(SpecError, match=r"training\.precision: must be float32 with Keras"):
        engines.train(NETWORK, half, small, seed=0, engine="keras")
    with pytest.raises(SpecError, match=r"training\.precision"):
        Experiment(name="half", training=half, engine="keras")
    with pytest.raises(SpecError, match=r"engine: there is no engine 'kerras'. Did you mean keras\?"):
        engines.train(NETWORK, Training(), small, seed=0, engine="kerras")


# Experiment and run of engine version 1, from before there were engines
OLD_IDS = [
    ("02a9a8505d01e31e", "cbef1d4cef713223e52c72ff1c2cd464"),
    ("b254b4288361340a", "b5bd6ac4c24841424480d7b91a6d3ec6"),
]


def test_ids_are_what_they_were_and_differ_by_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies that exist keep their runs."""
    monkeypatch.setitem(ENGINE_VERSIONS, "neurona", 1)
    plain = Experiment(name="e")
    full = Experiment(
        name="e",
        network=Network(hidden=(9,), normalization="batch"),
        training=Training(optimizer={"name": "muon", "schedule": "cosine"}, epochs=3, early_stopping={"patience": 2}),
    )
    assert [(e.id, run_id(e.network, e.training, "f" * 64, 7)) for e in (plain, full)] == OLD_IDS
    keras = plain.replace(engine="keras")
    assert keras.id != plain.id
    assert run_id(plain.network, plain.training, "f" * 64, 7, engine="keras") != OLD_IDS[0][1]
    assert Experiment(**json.loads(keras.model_dump_json(exclude_none=True))) == keras


EXPERIMENTS = (
    Experiment(name=BASELINE, group=BASELINE, network=Network(hidden=(10,)), training=Training(epochs=2)),
    Experiment(name="twin", network=Network(hidden=(10,)), training=Training(epochs=2)),
    Experiment(name="wide", group="width", network=Network(hidden=(30,)), training=Training(epochs=2)),
)
LAB = Lab(name="mine", dataset="mnist", experiments=EXPERIMENTS)


@pytest.fixture(scope="module")
def whole(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return LAB.with_engine("keras").run(seeds=3, data=small, study=tmp_path_factory.mktemp("keras"))


def test_a_lab_is_repeated_under_other_names() -> None:
    lab = LAB.with_engine("keras")
    names = [BASELINE, "baseline@keras", "twin", "twin@keras", "wide", "wide@keras"]
    assert [e.name for e in lab.experiments] == names
    assert lab.baseline == EXPERIMENTS[0]
    assert [e.engine for e in lab.experiments] == ["neurona", "keras"] * 3
    assert [e.name for e in lab.with_engine("keras").experiments] == names  # a second time adds nothing
    assert [e.name for e in lab.with_engine("neurona").experiments] == names
    assert [e.name for e in lab.chosen(["width"])] == [BASELINE, "wide", "wide@keras"]
    assert [e.name for e in lab.chosen(["wide"])] == [BASELINE, "wide", "wide@keras"]
    assert [e.name for e in lab.chosen(["w*@keras"])] == [BASELINE, "wide@keras"]
    for only in (["wide"], ["wide@keras"], ["width"]):
        assert [e.name for e in LAB.with_engine("keras", only).experiments] == [BASELINE, "twin", "wide", "wide@keras"]
    assert differences(lab.experiments[5], lab.baseline) == {"engine": "keras", "hidden": (30,)}
    with pytest.raises(UsageError, match=r"there is no engine 'keraz'\. Did you mean keras\?"):
        LAB.with_engine("keraz")
    half = LAB.replace(experiments=(*EXPERIMENTS, Experiment(name="half", training=Training(precision="bfloat16"))))
    with pytest.raises(SpecError, match=r"experiment\.half\.training\.precision: must be float32"):
        half.with_engine("keras")
    taken = LAB.replace(experiments=(*EXPERIMENTS, Experiment(name="wide@keras")))
    with pytest.raises(SpecError, match=r"experiment\.wide: .* another experiment is called 'wide@keras'"):
        taken.with_engine("keras")


def test_one_study_has_both(whole: Study, small: Dataset, tmp_path: Path) -> None:
    comparison = whole.compare()
    assert {row.experiment.name: row.runs.completed for row in comparison.rows} == dict.fromkeys(
        [e.name for e in LAB.with_engine("keras").experiments], 3
    )
    assert comparison["twin@keras"].val_accuracy == comparison["baseline@keras"].val_accuracy
    assert comparison["baseline@keras"].val_accuracy != comparison["baseline"].val_accuracy
    assert comparison["baseline@keras"].verdict is not None
    assert comparison["baseline@keras"].verdict.word != "same-network"
    assert "engine=keras hidden=30" in repr(comparison)
    assert "engine=keras hidden=30" in comparison._repr_html_()
    records = {record["name"]: record["engine"] for record in comparison.records()}
    assert (records["wide"], records["wide@keras"]) == ("neurona", "keras")
    assert comparison["wide@keras"].to_json()["engine"] == "keras"
    pair = whole.compare_pair("wide@keras", "wide")
    assert ("engine", "keras", "neurona", "") in pair.lines()
    assert pair.to_json()["first"]["engine"] == "keras"
    assert "engine" not in [line[0] for line in whole.compare_pair("twin", "wide").lines()]
    assert whole.verify() == []
    loss, accuracy = engine.evaluate(Network(hidden=(30,)), whole.weights("wide@keras", seed=1), small.validation)
    assert accuracy == pytest.approx(comparison["wide@keras"].val_accuracy[1])
    assert loss == pytest.approx(comparison["wide@keras"].val_loss[1], rel=1e-5)
    whole.export(tmp_path / "plain")
    declared = json.loads((tmp_path / "plain" / "study.json").read_text())["experiments"]
    assert [e["engine"] for e in declared] == ["neurona", "keras"] * 3
    versions = [line for line in (tmp_path / "plain" / "runs.csv").read_text().splitlines() if "wide@keras" in line]
    assert len(versions) == 3
    assert all("keras_backend" in line and "jax 0." in line for line in versions)


def test_engines_are_compared_pair_by_pair(whole: Study) -> None:
    pairs = whole.compare_engines()
    assert [(pair.first.experiment.name, pair.second.experiment.name) for pair in pairs] == [
        ("baseline@keras", "baseline"),
        ("wide@keras", "wide"),
    ]
    for pair in pairs:
        alone = whole.compare_pair(pair.first.experiment.name, pair.second.experiment.name)
        assert pair.difference == alone.difference
        assert pair.verdict.adjusted_p is not None
        assert alone.verdict.adjusted_p is not None
        assert pair.verdict.adjusted_p >= alone.verdict.adjusted_p
    smallest = min(pair.difference.p_value for pair in pairs if pair.difference and pair.difference.p_value is not None)
    assert min(pair.verdict.adjusted_p or 0 for pair in pairs) == pytest.approx(min(1.0, 2 * smallest))
    (twin,) = whole.compare_engines(only=["twin", "twin@keras"])
    assert (twin.first.experiment.name, twin.second.experiment.name) == ("twin@keras", BASELINE)
    (wide,) = whole.compare_engines(only=["wide", "wide@keras"])
    assert wide.verdict == pairs[1].verdict


def test_what_is_done_is_not_done_again_and_one_run_of_keras_at_a_time(small: Dataset, tmp_path: Path) -> None:
    events: list[Event] = []
    lab = LAB.with_engine("keras")
    lab.run(seeds=2, data=small, study=tmp_path, workers=4, on_event=events.append)
    under_way = 0
    for event in events:
        if event.task.experiment.engine == "keras":
            under_way += isinstance(event, RunStarted) - isinstance(event, RunEnded)
            assert under_way <= 1
    assert sum(isinstance(event, RunEnded) for event in events) == 8  # baseline and wide, two engines, two seeds
    events.clear()
    lab.run(seeds=2, data=small, study=tmp_path, on_event=events.append)
    assert events == []
    plain = LAB.run(seeds=2, data=small, study=tmp_path, on_event=events.append)  # without Keras' rows again
    assert events == []
    assert [row.experiment.name for row in plain.compare().rows] == [BASELINE, "twin", "wide"]


def test_an_interrupted_lab_goes_on_where_it_was(whole: Study, small: Dataset, tmp_path: Path) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, RunEnded) and event.task.experiment.engine == "keras":
            raise KeyboardInterrupt

    lab = LAB.with_engine("keras")
    with pytest.raises(KeyboardInterrupt):
        lab.run(seeds=3, data=small, study=tmp_path, on_event=interrupt)
    study = lab.run(seeds=3, data=small, study=tmp_path)
    assert [row.val_accuracy for row in study.compare().rows] == [row.val_accuracy for row in whole.compare().rows]
    merged = study.merge(whole)
    assert (merged.added, merged.same, merged.conflicts) == (0, 12, ())


def test_a_lab_file_may_name_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    head = '[lab]\nname = "mine"\ndataset = "mnist"\n[[experiment]]\nname = "same"\n'
    path.write_text(head + 'engine = "keras"\n[[experiment]]\nname = "wide"\nnetwork.hidden = [9]\n')
    baseline, same, wide = LabSpec.load(path).experiments
    assert (baseline.engine, same.engine, wide.engine) == ("neurona", "keras", "neurona")
    assert same.network == baseline.network
    assert [e.name for e in LabSpec.load(path).with_engine("keras").experiments] == [
        *(BASELINE, "same", "wide", "wide@keras")
    ]
    path.write_text(head + '[baseline]\nengine = "keras"\n')
    baseline, same = LabSpec.load(path).experiments
    assert (baseline.engine, same.engine) == ("keras", "keras")
    assert differences(same, baseline) == differences(baseline, baseline) == {"engine": "keras"}
    path.write_text(head + 'engine = "keas"\n')
    with pytest.raises(SpecError, match=r"experiment\.same\.engine: there is no engine 'keas'. Did you mean keras\?"):
        LabSpec.load(path)
    path.write_text(head + 'engine = "keras"\ntraining.precision = "bfloat16"\n')
    with pytest.raises(SpecError, match=r"experiment\.same\.training\.precision: must be float32"):
        LabSpec.load(path)


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were not installed."""
    for name in [name for name in sys.modules if name.split(".")[:2] == ["neurona", "keras"]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)


@pytest.mark.usefixtures("without_keras")
def test_without_the_extra_it_is_named_before_anything_is_done(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'neurona\[keras\]'"):
        engines.train(NETWORK, Training(), small, seed=0, engine="keras")
    with pytest.raises(MissingExtraError, match=r"extra \[keras\]"):
        LAB.with_engine("keras").run(data=small, study=tmp_path / "study")
    assert not (tmp_path / "study").exists()
    assert engines.train(NETWORK, Training(epochs=1), small, seed=0).state == "complete"


def backend(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KERAS_")}
    code = "from neurona.keras.engine import check_backend; print(check_backend())"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"KERAS_HOME": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_backend_that_keras_only_supposes_is_not_insisted_on(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow_of_nowhere"}')
    found = backend(tmp_path)
    assert (found.stdout, found.returncode) == ("jax\n", 0), found.stderr
    refused = backend(tmp_path, KERAS_BACKEND="nowhere")
    assert "KERAS_BACKEND must name one that is installed" in refused.stderr
    numpy_only = backend(tmp_path, KERAS_BACKEND="numpy")
    assert "must be one of jax, tensorflow, torch to train, but is numpy" in numpy_only.stderr


@pytest.fixture
def own_lab(tmp_path: Path, small: Dataset) -> Path:
    data = replace(small)
    arrays = {"x_train": data.train.images, "y_train": data.train.labels}
    arrays |= {"x_test": data.validation.images, "y_test": data.validation.labels}
    np.savez(tmp_path / "small.npz", **arrays)
    path = tmp_path / "lab.toml"
    path.write_text(
        '[lab]\nname = "mine"\ndataset = "small.npz"\n[baseline]\nnetwork.hidden = [10]\ntraining.epochs = 2\n'
        '[[experiment]]\nname = "wide"\ngroup = "width"\nnetwork.hidden = [30]\n'
    )
    return path


@pytest.mark.usefixtures("own_lab")
def test_lab_with_keras_as_a_user_runs_it(program) -> None:
    done = program("lab", "lab.toml", "--engine", "keras", "--seeds", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert "[12/12]" in done.stderr
    document = json.loads(done.stdout)
    assert [(e["name"], e["engine"]) for e in document["experiments"]][:2] == [
        (BASELINE, "neurona"),
        ("baseline@keras", "keras"),
    ]
    assert [(pair["first"]["name"], pair["second"]["name"]) for pair in document["engines"]] == [
        ("baseline@keras", BASELINE),
        ("wide@keras", "wide"),
    ]
    assert document["engines"][0]["times_seconds"] > 0
    shown = program("study", "show", lang="es")
    assert "Los mismos experimentos" in shown.stdout
    assert "engine=keras hidden=30" in shown.stdout
    wrong = program("lab", "lab.toml", "--engine", "kears")
    assert wrong.returncode == 2
    assert "there is no engine 'kears'. Did you mean keras?" in wrong.stderr


@pytest.mark.usefixtures("own_lab")
def test_train_with_keras_as_a_user_runs_it(program, tmp_path: Path) -> None:
    words = ("train", "--dataset", "small.npz", "--hidden", "10", "--epochs", "2", "--engine", "keras")
    done = program(*words, "--save", "model.safetensors")
    assert done.returncode == 0, done.stderr
    assert "Epoch 2/2 - " in done.stdout
    assert "Trained by keras " in done.stdout
    assert (tmp_path / "model.safetensors").is_file()
    document = json.loads(program(*words, "--json").stdout)
    assert document["engine"] == "keras"
    assert set(document["versions"]) == {"keras", "keras_backend"}
    assert f"loss: {document['history']['loss'][1]:.4f}" in done.stdout
    refused = program(*words, "--set", "training.precision=bfloat16")
    assert refused.returncode == 2
    assert "training.precision: must be float32 with Keras" in refused.stderr


def test_the_public_train_takes_an_engine(small: Dataset) -> None:
    run = neurona.train(NETWORK, Training(epochs=1), small, seed=0, engine="keras")
    assert "engine=keras" in repr(run)
    assert "engine" not in repr(neurona.train(NETWORK, Training(epochs=1), small, seed=0))
