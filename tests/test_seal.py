"""Opening the seal: what is tested, what is recorded, and that no way around it leads to the test split."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import neurona
from neurona.data import Dataset
from neurona.errors import DataError, StoreError, UsageError
from neurona.opening import BEFORE_ALL
from neurona.store import Store, add_opening, openings, sqlite_url, verify_openings
from neurona.study import Lab, OpenedSeal, Study

LAB = """
[lab]
name = "mine"
dataset = "small.npz"
[baseline]
network.hidden = [10]
training = { epochs = 2, batch_size = 50 }
[[experiment]]
name = "wide"
group = "width"
network.hidden = [30]
[[experiment]]
name = "wild"
network = { hidden = [30, 30, 30], activation = "linear" }
training.optimizer = { name = "sgd", learning_rate = 1000.0 }
"""
SEEDS = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small: Dataset) -> Path:
    """A folder with a lab, its data and its study, in which nothing has been opened."""
    folder = tmp_path_factory.mktemp("trained")
    arrays = {"x_train": small.train.images, "y_train": small.train.labels}
    arrays |= {"x_test": small.validation.images, "y_test": small.validation.labels}
    np.savez(folder / "small.npz", **arrays)
    (folder / "lab.toml").write_text(LAB)
    Lab.load(folder / "lab.toml").run(seeds=SEEDS, study=folder / "study")
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` to open and to break; the data stay where the study knows them."""
    store = sqlite3.connect(trained / "study" / "study.db")
    (tmp_path / "study").mkdir()
    copy = sqlite3.connect(tmp_path / "study" / "study.db")
    with store, copy:
        store.backup(copy)
    store.close()
    copy.close()
    return tmp_path / "study"


def opened(folder: Path) -> Study:
    return Study.open(folder)


def stored(folder: Path) -> Store:
    return Store.open(sqlite_url(folder), study="study")


def change(folder: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute(statement, values)
    connection.close()


def probabilities(study: Study, name: str, seed: int, images: np.ndarray) -> np.ndarray:
    """The network's outputs by NumPy alone."""
    x = images.reshape(len(images), -1).astype(np.float64) / 255
    layers = study.weights(name, seed)
    for layer in layers[:-1]:
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    x = x @ layers[-1]["kernel"] + layers[-1]["bias"]
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def test_the_results_are_those_of_other_programs(folder: Path, small: Dataset) -> None:
    study, images, labels = opened(folder), small.validation.images, small.validation.labels
    seal = study.open_seal(["baseline", "wide"], "final")
    assert seal.images == len(images)
    right = {}
    for test in seal.experiments:
        outputs = [probabilities(study, test.experiment, seed, images) for seed in range(SEEDS)]
        accuracies = [float(np.mean(output.argmax(axis=1) == labels)) for output in outputs]
        losses = [-float(np.mean(np.log(output[np.arange(len(labels)), labels]))) for output in outputs]
        assert test.seeds == (0, 1, 2)
        assert test.accuracies == pytest.approx(accuracies)
        assert test.losses == pytest.approx(losses, rel=1e-4)
        low, high = scipy_stats.t.interval(0.95, SEEDS - 1, np.mean(accuracies), scipy_stats.sem(accuracies))
        assert (test.accuracy.mean, test.accuracy.low, test.accuracy.high) == pytest.approx(
            (np.mean(accuracies), low, high)
        )
        assert test.loss.mean == pytest.approx(np.mean(losses), rel=1e-4)
        runs = study.runs(test.experiment)
        best = max(runs, key=lambda run: (run.epochs[-1].val_accuracy, -run.epochs[-1].val_loss)).seed
        assert test.picked.seed == best
        low, high = proportion_confint(round(accuracies[best] * len(labels)), len(labels), method="wilson")
        picked = test.picked.accuracy
        assert (picked.value, picked.low, picked.high) == pytest.approx((accuracies[best], low, high))
        assert test.picked.loss == pytest.approx(losses[best], rel=1e-4)
        right[test.experiment] = outputs[best].argmax(axis=1) == labels
    (pair,) = seal.pairs
    one, two = right["baseline"], right["wide"]
    assert (pair.only_first, pair.only_second) == (np.sum(one & ~two), np.sum(two & ~one))
    table = [[np.sum(one & two), np.sum(one & ~two)], [np.sum(~one & two), np.sum(~one & ~two)]]
    assert pair.p == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_pairs_of_three_are_corrected(folder: Path) -> None:
    change(folder, "UPDATE runs SET state = 'complete' WHERE state = 'diverged' AND seed = 0")
    change(folder, "UPDATE epochs SET val_loss = 2.3, val_accuracy = 0.1 WHERE val_loss IS NULL")
    seal = opened(folder).open_seal(["baseline", "wide", "wild"], "final")
    assert [(pair.first, pair.second) for pair in seal.pairs] == [
        ("baseline", "wide"),
        ("baseline", "wild"),
        ("wide", "wild"),
    ]
    expected = multipletests([pair.p for pair in seal.pairs], method="holm")[1]
    assert [pair.adjusted_p for pair in seal.pairs] == pytest.approx(list(expected))
    wild = seal.experiments[2]
    assert wild.diverged == 2
    assert wild.accuracies[1:] == (0.1, 0.1)
    assert wild.losses[1:] == pytest.approx((math.log(10), math.log(10)))


def test_an_opening_is_recorded_for_good(folder: Path) -> None:
    seal = opened(folder).open_seal("wide", "  the width is settled ")
    (record,) = opened(folder).openings()
    assert record == seal.opening
    assert (record.number, record.reason, record.previous) == (1, "the width is settled", BEFORE_ALL)
    assert record.user
    assert abs(time.time() - time.mktime(time.strptime(record.time, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert [(model.experiment, model.seed) for model in record.models] == [("wide", seed) for seed in range(SEEDS)]
    hashes = stored(folder).weight_hashes()
    assert all(hashes[model.run] == model.sha256 for model in record.models)
    assert json.loads(json.dumps(record.results)) == record.results
    assert record.results["experiments"][0]["accuracies"] == list(seal.experiments[0].accuracies)
    assert verify_openings(stored(folder)) == []
    for shown in (repr(seal), seal._repr_html_()):
        assert "opening 1 of this study" in shown
        assert "the width is settled" in shown


def test_opening_again_works_and_is_counted(folder: Path) -> None:
    study = opened(folder)
    first = study.open_seal(["wide"], "final")
    second = study.open_seal(["baseline"], "really final")
    assert [opening.number for opening in study.openings()] == [1, 2]
    assert second.opening.previous == first.opening.hash
    assert study.compare().openings == 2
    assert "opened 2 times" in repr(study.compare())
    assert verify_openings(stored(folder)) == []


def test_what_ends_afterwards_is_marked(folder: Path, trained: Path) -> None:
    opened(folder).open_seal(["wide"], "final")
    study = Lab.load(trained / "lab.toml").run(seeds=SEEDS + 1, only=["wide"], study=folder)
    table = study.compare()
    assert {row.experiment.name: row.after_opening for row in table.rows} == {"baseline": 1, "wide": 1, "wild": 0}
    seal = study.open_seal(["wide"], "again")
    assert seal.experiments[0].after_opening == 1
    assert "wide*" in repr(seal)
    assert "trained after the test set was opened" in repr(seal)


EDITS = {
    "the reason": ("UPDATE openings SET reason = 'better' WHERE number = 1", "opening 1 of the test set was edited"),
    "the time": ("UPDATE openings SET time = '2020-01-01T00:00:00Z' WHERE number = 2", "opening 2 .* edited"),
    "the user": ("UPDATE openings SET \"user\" = 'you' WHERE number = 2", "opening 2 .* edited"),
    "a figure": ("UPDATE openings SET results = replace(results, '0.', '0.9') WHERE number = 1", "opening 1 .* edited"),
    "a model": ("UPDATE openings SET models = '[]' WHERE number = 1", "opening 1 .* edited"),
    "no JSON": ("UPDATE openings SET results = '{' WHERE number = 1", "opening 1 .* cannot be read"),
    "its hash": ("UPDATE openings SET hash = previous WHERE number = 1", "opening 1 .* edited"),
    "the first is gone": ("DELETE FROM openings WHERE number = 1", "number 2 is next"),
    "the last is gone": ("DELETE FROM openings WHERE number = 2", "newest opening is not the one that was written"),
    "all are gone": ("DELETE FROM openings", "newest opening is not the one that was written"),
    "never opened": (
        "UPDATE neurona_studies SET newest_opening = NULL",
        "newest opening is not the one that was written",
    ),
    "a marked run": ("UPDATE runs SET openings = 3", "a run ended after 3 openings .* only 2 are recorded"),
    "other weights": (
        "UPDATE weights SET sha256 = 'another'",
        "weights of wide, seed 0, are not those that opening 1 tested",
    ),
    "weights gone": ("DELETE FROM weights", "weights of wide, seed 0, are not those that opening 1 tested"),
}


@pytest.mark.parametrize(("statement", "sentence"), EDITS.values(), ids=EDITS)
def test_a_record_edited_by_hand_is_noticed(folder: Path, statement: str, sentence: str) -> None:
    study = opened(folder)
    study.open_seal(["wide"], "final")
    study.open_seal(["wide"], "again")
    assert verify_openings(stored(folder)) == []
    change(folder, statement)
    problems = verify_openings(stored(folder))
    assert any(re.search(sentence, problem) for problem in problems), problems


def test_a_record_rewritten_with_its_hash_breaks_the_chain(folder: Path) -> None:
    study = opened(folder)
    study.open_seal(["wide"], "final")
    study.open_seal(["wide"], "again")
    forged = replace(study.openings()[0], reason="forged").hashed()
    change(folder, "UPDATE openings SET reason = ?, hash = ? WHERE number = 1", forged.reason, forged.hash)
    assert verify_openings(stored(folder)) == [
        "the record of opening 2 of the test set does not follow the one before it."
    ]


def test_openings_at_one_moment_make_one_chain(database: str) -> None:
    store = Store.open(database, study="study", lab="mine", dataset="mnist", fingerprint="f" * 64)
    with ThreadPoolExecutor(8) as pool:
        records = list(
            pool.map(lambda number: add_opening(store, user="me", reason=f"{number}", models=[], results={}), range(24))
        )
    assert {record.number for record in records} == set(range(1, 25))
    assert {record.reason for record in openings(store)} == {str(number) for number in range(24)}
    assert verify_openings(store) == []


REFUSED = {
    "a misspelt name": (["wids"], "final", "the study has no experiment 'wids'"),
    "no name": ([], "final", "name at least one experiment"),
    "no reason": (["wide"], "  ", "the reason must have 1 to 1,000 characters, but has 0"),
    "an endless reason": (["wide"], "x" * 1001, "1,001"),
    "nothing but diverged runs": (["wild"], "final", "must have a complete run to be tested, but wild has none"),
}


@pytest.mark.parametrize(("names", "reason", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_before_the_split_is_read(
    folder: Path, names: list[str], reason: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurona.study.seal.read_test", lambda data: pytest.fail("the test split was read"))
    with pytest.raises(UsageError, match=sentence):
        opened(folder).open_seal(names, reason)
    assert opened(folder).openings() == ()


def test_other_data_are_refused(folder: Path, mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurona.study.seal.read_test", lambda data: pytest.fail("the test split was read"))
    with pytest.raises(DataError, match="Put the old files back"):
        opened(folder).open_seal(["wide"], "final", data=mnist)


def test_damaged_weights_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurona.study.seal.read_test", lambda data: pytest.fail("the test split was read"))
    change(folder, "UPDATE weights SET safetensors = substr(safetensors, 1, 1000)")
    with pytest.raises(StoreError, match="damaged"):
        opened(folder).open_seal(["wide"], "final")


def test_no_look_without_a_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be written means that nothing is returned."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("neurona.study.seal.add_opening", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        opened(folder).open_seal(["wide"], "final")


# The command, as a process


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "neurona", "test", *words, "--study", str(folder)]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *words), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=240
    )


def in_a_terminal(folder: Path, answer: str) -> tuple[int, str]:
    """Run `neurona test wide` in a terminal, answer its question, and return exit code and what it said."""
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(
        command(folder, "wide", "--reason", "final"), stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    said, answered, until = b"", False, time.monotonic() + 120
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                said += os.read(master, 65536)
            except OSError:  # the other side is closed
                break
        elif process.poll() is not None:
            break
        if not answered and b"[y/N]" in said:
            os.write(master, answer.encode() + b"\n")
            answered = True
    code = process.wait(timeout=60)
    os.close(master)
    return code, said.decode()


def test_without_a_terminal_it_wants_yes(folder: Path) -> None:
    done = run(folder, "wide", "--reason", "final")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert done.stdout == ""
    assert opened(folder).openings() == ()


def test_the_command_and_its_json(folder: Path) -> None:
    done = run(folder, "wide", "baseline", "--reason", "final", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (record,) = opened(folder).openings()
    assert document["opening"]["hash"] == record.hash
    assert document["opening"]["models"][0]["sha256"] == record.models[0].sha256
    assert {key: document[key] for key in ("images", "experiments", "champions", "pairs")} == record.results
    shown = run(folder, "wide", "--reason", "once more", "--yes")
    assert shown.returncode == 0
    assert "opening 2 of this study's test set" in shown.stdout
    assert "once more" in shown.stdout
    assert "330 test images" in shown.stdout


def test_the_command_that_verifies_finds_an_edit(folder: Path) -> None:
    def verify() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "neurona", "study", "verify", str(folder)]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)

    opened(folder).open_seal(["wide"], "final")
    assert verify().returncode == 0
    change(folder, "UPDATE openings SET reason = 'another'")
    done = verify()
    assert done.returncode == 1
    assert "the record of opening 1 of the test set was edited" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["wide"], "--reason is required"), (["wids", "--reason", "x", "--yes"], "no experiment 'wids'")],
)
def test_wrong_usage(folder: Path, words: list[str], sentence: str) -> None:
    done = run(folder, *words)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_in_a_terminal_it_asks(folder: Path) -> None:
    code, said = in_a_terminal(folder, "n")
    assert code == 1
    assert "has been opened 0 times so far" in said
    assert "second validation set" in said
    assert "stays sealed" in said
    assert opened(folder).openings() == ()
    code, said = in_a_terminal(folder, "y")
    assert code == 0
    assert "opening 1 of this study" in said
    assert len(opened(folder).openings()) == 1


# No way around it


class Secrets:
    """The test images and labels, and where they are found."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images = {image.tobytes() for image in images[:50]}
        self.pixels = images[0].size
        self.labels = labels.astype(np.uint8).tobytes()

    def are_in(self, value: Any) -> bool:
        """Whether `value` holds any of the first 50 test images, or 100 labels in a row."""
        if isinstance(value, list | tuple) and value and all(isinstance(part, int | np.integer) for part in value):
            value = np.array(value)
        if isinstance(value, str | bytes | bytearray):
            data = value.encode() if isinstance(value, str) else bytes(value)
            return self.labels[:100] in data or str(list(self.labels[:100]))[1:-1].encode() in data
        if isinstance(value, jax.Array):
            value = np.asarray(value)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.size < 100:
            return False
        whole = np.nan_to_num(value * 255.0 if value.dtype.kind == "f" and np.nanmax(value) <= 1 else value)
        bits = np.rint(np.clip(whole, 0, 255)).astype(np.uint8)
        if bits.size % self.pixels == 0 and any(row.tobytes() in self.images for row in bits.reshape(-1, self.pixels)):
            return True
        classes = [value.ravel()]
        if value.ndim == 2 and value.shape[1] > 1:
            classes.append(np.nan_to_num(value).argmax(axis=1))
        return any(self.labels[:100] in np.clip(row, 0, 255).astype(np.uint8).tobytes() for row in classes)


# What a walk may not call: it would end, change or take minutes.
NOT_CALLED = {"open_seal", "close", "run", "remove", "merge", "export"}


def public(value: Any, called: set[tuple[type, str]]) -> Iterator[tuple[str, Any]]:
    """Yield every public part of `value`: attributes, fields, items, and results of methods that want no argument.

    called: methods of classes, which are called once and then left.
    """
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in list(value.items())[:200])
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", part) for index, part in enumerate(list(value)[:200]))
    if isinstance(value, str | bytes | int | float | bool | np.ndarray | jax.Array | type(None)):
        return
    for name in dir(value):
        if name.startswith("_"):
            continue
        try:
            part = getattr(value, name)
        except Exception:  # noqa: S112 - whatever it raises, it shows nothing
            continue
        yield f".{name}", part
        if callable(part) and not isinstance(part, type) and name not in NOT_CALLED and not is_module(value):
            owner = getattr(part, "__self__", None)
            if isinstance(owner, type):
                if (owner, name) in called:
                    continue
                called.add((owner, name))
            try:
                yield f".{name}()", part()
            except Exception:  # noqa: S112
                continue
    if is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{item.name}", getattr(value, item.name)) for item in fields(value))


def is_module(value: Any) -> bool:
    return isinstance(value, type(sys))


def ours(value: Any) -> bool:
    """Whether a walk goes into `value`: what is Neurona's, and containers."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return True
    module = value.__name__ if is_module(value) else type(value).__module__
    return module.partition(".")[0] == "neurona" and not isinstance(value, type)


def walk(roots: Mapping[str, Any], secrets: Secrets, *, depth: int = 7) -> tuple[list[str], int]:
    """Return where the secrets are found, and how many values were looked at."""
    found, seen, keep = [], set(), []
    called: set[tuple[type, str]] = set()
    queue = [(name, value, 0) for name, value in roots.items()]
    while queue:
        path, value, level = queue.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        keep.append(value)  # so that no identity is used twice
        if secrets.are_in(value):
            found.append(path)
        if level < depth and ours(value):
            queue += [(path + name, part, level + 1) for name, part in public(value, called)]
    return found, len(seen)


def test_no_public_way_leads_to_the_test_split(folder: Path, trained: Path, small: Dataset) -> None:
    secrets = Secrets(small.validation.images, small.validation.labels)
    lab = Lab.load(trained / "lab.toml")
    data = neurona.load(trained / "small.npz")
    study = opened(folder)
    roots: dict[str, Any] = {f"neurona.{name}": getattr(neurona, name) for name in neurona.__all__}
    roots |= {"neurona": neurona, "data": data, "lab": lab, "study": study, "comparison": study.compare()}
    roots["pair"] = study.compare_pair("wide", "baseline")
    roots["runs"] = study.runs("wide")
    roots["weights"] = study.weights("wide", 0)
    roots["run"] = neurona.train(neurona.Network(hidden=(3,)), neurona.Training(epochs=1), data, seed=0)
    found, count = walk(roots, secrets)
    assert found == []
    assert count > 300
    assert study.openings() == ()
    # With a record, figures come out, and still not a label.
    seal = study.open_seal(["wide", "baseline"], "the walk")
    assert isinstance(seal, OpenedSeal)
    assert walk({"seal": seal, "study": study, "json": seal.to_json()}, secrets)[0] == []


def test_the_walk_finds_what_is_hidden(small: Dataset) -> None:
    images, labels = small.validation.images, small.validation.labels
    secrets = Secrets(images, labels)
    for hidden in (
        images,
        images.reshape(len(images), -1) / 255.0,
        np.concatenate([small.train.images, images]),
        labels,
        labels.tolist(),
        np.eye(10)[labels],
        jax.numpy.asarray(images),
        {"a": [{"b": labels}]},
        str(labels.tolist()),
    ):
        assert walk({"hidden": hidden}, secrets)[0] != []
    assert walk({"data": small}, secrets)[0] != []
    assert walk({"train": small.train}, secrets)[0] == []
