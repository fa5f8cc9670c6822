"""`neurona study`: what is done to studies that are there."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurona.cli import main
from neurona.data import Dataset
from neurona.runner import tasks
from neurona.specs import Experiment, Network, Training
from neurona.store import Owner, read_weights
from neurona.study import Lab, Study

ONE = Experiment(name="baseline", network=Network(hidden=(8,)), training=Training(epochs=2))
TWO = Experiment(name="wide", network=Network(hidden=(16,)), training=Training(epochs=2))
THREE = Experiment(name="wider", network=Network(hidden=(24,)), training=Training(epochs=2))

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def ready(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a study of two experiments with two seeds each."""
    folder = tmp_path_factory.mktemp("ready")
    study = Lab(name="mine", dataset="mnist", experiments=(ONE, TWO)).run(seeds=2, data=small, study=folder)
    study._store.close()
    return (folder / "study.db").read_bytes()


@pytest.fixture
def folder(ready: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That study, where the program looks for it."""
    monkeypatch.chdir(tmp_path)
    folder = Path("neurona-studies") / "mine"
    folder.mkdir(parents=True)
    (folder / "study.db").write_bytes(ready)
    return folder


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """Run `neurona study …` and return the exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["study", *words])
        shown = capfd.readouterr()
        return int(str(stopped.value.code)), shown.out, shown.err

    return run


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute(statement)
    connection.close()


def parsed(answer: tuple[int, str, str], code: int = 0) -> Any:
    assert answer[0] == code, answer
    return json.loads(answer[1])


def test_list(folder: Path, said: Said) -> None:
    other = folder.with_name("broken")
    other.mkdir()
    (other / "study.db").write_bytes(b"this is no database" * 1000)
    broken, mine = parsed(said("list", "--json"))
    assert "not a database" in broken["problem"]
    assert (mine["study"], mine["lab"], mine["dataset"], mine["experiments"]) == (str(folder), "mine", "mnist", 2)
    assert mine["runs"] == {"complete": 4, "diverged": 0, "failed": 0, "running": 0, "paused": 0, "pending": 0}
    assert mine["size"] > 2 * 4 * (784 * 8 + 784 * 16)
    code, out, err = said("list")
    assert code == 0
    assert str(folder) in out
    assert "cannot be read" in out
    assert "not a database" in err


def test_list_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    monkeypatch.chdir(tmp_path)
    assert said("list") == (0, "No study is in neurona-studies.\n", "")
    assert parsed(said("list", "--json")) == []


def test_list_counts_a_dead_process_runs_as_pending(folder: Path, small: Dataset, said: Said) -> None:
    study = Study.open(folder)
    owner = Owner.this_process()
    dead = Owner(owner.host, 2**22 + 1, 0.0, "x")
    first, second = tasks([THREE], 2, small.fingerprint)
    study._store.claim(first, owner)
    study._store.claim(second, dead)
    (mine,) = parsed(said("list", "--json"))
    assert (mine["runs"]["running"], mine["runs"]["pending"]) == (1, 1)


def test_show(folder: Path, said: Said) -> None:
    document = parsed(said("show", "--json"))
    assert document["seeds"] == 2
    assert [row["name"] for row in document["experiments"]] == ["baseline", "wide"]
    assert document["experiments"][1]["runs"]["completed"] == 2
    code, out, _err = said("show", str(folder))
    assert code == 0
    assert "mine on mnist, 2 seeds" in out
    assert "hidden=16" in out


@pytest.mark.usefixtures("folder")
def test_verify_finds_nothing_wrong(said: Said) -> None:
    assert parsed(said("verify", "--json")) == {"lab": "mine", "problems": []}
    assert said("verify")[:2] == (0, "✓ the study of mine is whole.\n")


DAMAGE = {
    "weights that were changed": (
        "UPDATE weights SET safetensors = zeroblob(900) WHERE run = (SELECT min(run) FROM weights)",
        "are damaged",
    ),
    "weights that are not there": ("DELETE FROM weights", "has no weights"),
    "an epoch that is not there": ("DELETE FROM epochs WHERE epoch = 2", "has 1 epochs and should have 2"),
    "no epochs": ("DELETE FROM epochs", "it has no epochs"),
    "another seed": ("UPDATE runs SET seed = seed + 7", "its id is not that of"),
    "rows that belong to nothing": ("DELETE FROM neurona_studies WHERE id > 1", ""),
    "an opening that was not recorded": ("UPDATE runs SET openings = 1", "but only 0 are recorded"),
}


@pytest.mark.parametrize(("statement", "sentence"), DAMAGE.values(), ids=DAMAGE)
def test_verify_finds_damage(folder: Path, said: Said, statement: str, sentence: str) -> None:
    change(folder, statement)
    code, out, _err = said("verify")
    assert code == (1 if sentence else 0)
    assert sentence in out


def test_export(folder: Path, said: Said) -> None:
    document = parsed(said("export", "--output", "out", "--json"))
    assert len(document["files"]) == 4 + 4
    study = Study.open(folder)
    with Path("out/epochs.csv").open(newline="") as file:
        epochs = {(row["run"], int(row["epoch"])): row for row in csv.DictReader(file)}
    with Path("out/runs.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))
    assert [(run["experiment"], run["seed"]) for run in runs if run["seed"] == "1"] == [
        (run["experiment"], "1") for run in runs[2:]
    ]
    for run in study.runs("wide"):
        for number, epoch in enumerate(run.epochs, 1):
            assert float(epochs[run.id, number]["val_loss"]) == epoch.val_loss
        (file,) = Path("out/weights").glob(f"wide-{run.seed}-{run.id[:8]}.safetensors")
        theirs = read_weights(file.read_bytes())[0]["kernel"]
        np.testing.assert_array_equal(study.weights("wide", run.seed)[0]["kernel"], theirs)
    assert json.loads(Path("out/study.json").read_text())["fingerprint"] == study.fingerprint
    code, _out, err = said("export", "--output", "out")
    assert code == 2
    assert "out is there already" in err


def test_an_export_that_fails_leaves_nothing(folder: Path, said: Said) -> None:
    change(folder, "UPDATE weights SET safetensors = zeroblob(900)")
    code, _out, err = said("export", "--output", "out")
    assert code == 1
    assert "damaged" in err
    assert {path.name for path in Path().iterdir()} == {"neurona-studies"}


def test_merge(folder: Path, small: Dataset, said: Said) -> None:
    Lab(name="theirs", dataset="mnist", experiments=(ONE, THREE)).run(seeds=3, data=small, study="theirs")
    merged = parsed(said("merge", str(folder), "theirs", "--json"))
    assert (merged["added"], merged["same"], merged["conflicts"]) == (4, 2, [])
    assert merged["experiments"] == ["wider"]
    mine, theirs = Study.open(folder), Study.open("theirs")
    assert {row.experiment.name for row in mine.compare().rows} == {"baseline", "wide", "wider"}
    for ours, other in zip(mine.runs("wider"), theirs.runs("wider"), strict=True):
        assert ours == other
        np.testing.assert_array_equal(
            mine.weights("wider", ours.seed)[1]["kernel"], theirs.weights("wider", ours.seed)[1]["kernel"]
        )
    assert parsed(said("verify", str(folder), "--json"))["problems"] == []
    again = parsed(said("merge", str(folder), "theirs", "--json"))
    assert (again["added"], again["same"]) == (0, 6)


def test_merge_of_other_bits_keeps_the_first(folder: Path, ready: bytes, said: Said) -> None:
    other = Path("other")
    other.mkdir()
    (other / "study.db").write_bytes(ready)
    change(other, "UPDATE epochs SET loss = loss + 1e-9 WHERE run = (SELECT min(id) FROM runs)")
    before = Study.open(folder)._store.runs()
    merged = parsed(said("merge", str(folder), "other", "--json"), code=1)
    assert merged["conflicts"] == [min(run.id for run in before)]
    assert Study.open(folder)._store.runs() == before
    code, out, _err = said("merge", str(folder), "other")
    assert code == 1
    assert "other bits" in out


def test_merge_of_other_data_is_refused(folder: Path, ready: bytes, said: Said) -> None:
    other = Path("other")
    other.mkdir()
    (other / "study.db").write_bytes(ready)
    change(other, "UPDATE neurona_studies SET fingerprint = 'another'")
    code, _out, err = said("merge", str(folder), "other")
    assert code == 2
    assert "different data" in err


def test_rm(folder: Path, small: Dataset, said: Said) -> None:
    code, _out, err = said("rm", str(folder))
    assert code == 2
    assert "--yes" in err
    study = Study.open(folder)
    owner = Owner.this_process()
    (task,) = tasks([THREE], 1, small.fingerprint)
    study._store.claim(task, owner)
    code, _out, err = said("rm", str(folder), "--yes")
    assert code == 1
    assert "1 run of the study is under way" in err
    study._store.release(owner)
    study._store.close()
    assert parsed(said("rm", str(folder), "--yes", "--json")) == {"removed": str(folder)}
    assert not folder.exists()


def test_rm_leaves_what_else_is_in_the_folder(folder: Path, said: Said) -> None:
    (folder / "report.html").write_text("mine")
    assert said("rm", str(folder), "--yes")[0] == 0
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_studies_in_a_database(database: str, small: Dataset, said: Said) -> None:
    for name, experiments in (("a", (ONE,)), ("b", (ONE, TWO))):
        lab = Lab(name="mine", dataset="mnist", experiments=experiments)
        lab.run(seeds=2, data=small, study=name, url=database)
    assert [
        (entry["study"], entry["runs"]["complete"]) for entry in parsed(said("list", "--db", database, "--json"))
    ] == [
        ("a", 2),
        ("b", 4),
    ]
    merged = parsed(said("merge", "a", "b", "--db", database, "--json"))
    assert (merged["added"], merged["same"]) == (2, 2)
    for command in (["show", "a"], ["verify", "a"], ["rm", "b", "--yes"]):
        assert said(*command, "--db", database)[0] == 0
    assert [entry["study"] for entry in parsed(said("list", "--db", database, "--json"))] == ["a"]
    assert parsed(said("show", "a", "--db", database, "--json"))["experiments"][1]["runs"]["completed"] == 2
