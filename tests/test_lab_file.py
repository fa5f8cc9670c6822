"""`neurona lab --check` and `--template`: a lab's file is looked at, or begun; nothing is trained."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from neurona.cli import main
from neurona.data import Dataset
from neurona.i18n import LANGUAGES
from neurona.lab import LabSpec, built_in_labs
from neurona.review import review

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def steady(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known, which takes no time; but the built-in labs are reviewed on this one."""
    if request.function is not test_the_built_in_labs_are_in_order:
        monkeypatch.setattr("neurona.review.product_gflops", lambda threads, repeats: 80.0)


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Run `neurona lab …` in an empty folder and return the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["lab", *words])
        shown = capfd.readouterr()
        return int(str(stopped.value.code)), shown.out, shown.err

    return run


@pytest.fixture
def images(tmp_path: Path, small: Dataset) -> Path:
    """Somebody's own images, beside their lab."""
    path = tmp_path / "images.npz"
    arrays = {"x_train": small.train.images, "y_train": small.train.labels}
    np.savez(path, **arrays, x_test=small.validation.images, y_test=small.validation.labels)
    return path


def lab(text: str, dataset: str = "mnist[:1000]") -> Path:
    path = Path("lab.toml")
    path.write_text(f'lab = {{ name = "mine", dataset = "{dataset}" }}\n{text}', encoding="utf-8")
    return path


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_template_is_a_lab_as_it_stands(said: Said, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURONA_LANG", language)
    assert said("--template", "mine.toml")[0] == 0
    text = Path("mine.toml").read_text(encoding="utf-8")
    assert ("Un laboratorio" if language == "es" else "A lab") in text
    assert said("mine.toml", "--check")[0] == 0
    code, _out, err = said("--template", "mine.toml")  # somebody has written in it by now
    assert code == 2
    assert "mine.toml" in err
    assert Path("mine.toml").read_text(encoding="utf-8") == text


def test_the_templates_are_one_lab() -> None:
    folder = resources.files("neurona") / "templates"
    documents = [tomllib.loads((folder / f"lab.{language}.toml").read_text("utf-8")) for language in LANGUAGES]
    assert all(document == documents[0] for document in documents)
    found = LabSpec._parse(documents[0], None)
    assert len({experiment.id for experiment in found.experiments}) == len(found.experiments)
    assert found.search is not None


@pytest.mark.parametrize("name", built_in_labs())
def test_the_built_in_labs_are_in_order(name: str, said: Said) -> None:
    code, out, _err = said(name, "--check", "--seeds", "3", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["problems"] == []
    assert document["runs"] == 3 * len({experiment.id for experiment in LabSpec.load(name).experiments})
    assert document["seconds"] > 0
    assert list(Path().iterdir()) == []  # nothing was made


BROKEN = """
serch = 1
[baseline]
network.hiden = [50]
training.epochs = 0
[[experiment]]
name = "a"
network.activation = "rellu"
[[experiment]]
name = "a"
training.optimizer = { name = "sgd", beta_1 = 0.5 }
[search]
epochs = "many"
[search.space]
network.depht = { low = 1, high = 2 }
"""


def test_every_problem_is_said_with_its_key_and_a_hint(said: Said) -> None:
    code, out, _err = said(str(lab(BROKEN)), "--check")
    assert code == 2
    for sentence in (
        "lab.toml: serch: there is no such key. Did you mean search?",
        "lab.toml: baseline.network.hiden: there is no such key. Did you mean hidden?",
        "lab.toml: baseline.training.epochs: must be at least 1. It is 0.",
        "lab.toml: experiment.a.network.activation: there is no activation 'rellu'. Did you mean relu?",
        "lab.toml: experiment.a.training.optimizer.beta_1: the optimizer sgd has no such setting.",
        "lab.toml: experiment.a.name: names must be different, but 2 experiments are called 'a'.",
        "lab.toml: search.space.network.depht: there is no such key. Did you mean network.depth?",
        "7 problems: lab.toml cannot run.",
    ):
        assert sentence in out
    assert out.count("✗") == 7  # the baseline's are not every experiment's again
    document = json.loads(said("lab.toml", "--check", "--json")[1])
    assert {"key": "serch", "sentence": "there is no such key. Did you mean search?"} in document["problems"]
    assert (document["lab"], document["seconds"]) == (None, None)


def test_an_empty_file_lacks_three_things(said: Said) -> None:
    Path("lab.toml").touch()
    code, out, _err = said("lab.toml", "--check")
    assert code == 2
    found = [line.split(": ")[1] for line in out.splitlines() if line.startswith("✗")]
    assert found == ["lab.name", "lab.dataset", "experiment"]


def test_what_only_the_data_tell(said: Said, images: Path) -> None:
    lab(
        '[[experiment]]\nname = "a"\ntraining.class_weight = [1.0, 2.0]\n'
        '[[experiment]]\nname = "b"\ntraining.augmentation = { rotation = 5, classes = [10] }\n'
        '[[experiment]]\nname = "c"\ntraining.batch_size = 2000',
        images.name,
    )
    code, out, _err = said("lab.toml", "--check")
    assert code == 2
    assert "✗ lab.toml: experiment.a.training.class_weight: must be one for each of the 10 classes" in out
    assert "✗ lab.toml: experiment.b.training.augmentation.classes: " in out
    assert "· lab.toml: experiment.c.training.batch_size: is more than the" in out
    assert out.count("✗") == 2


def test_data_that_are_not_there(said: Said) -> None:
    code, out, _err = said(str(lab('[[experiment]]\nname = "a"', "imges.npz")), "--check")
    assert code == 2
    assert "✗ lab.toml: lab.dataset: " in out
    assert "imges.npz" in out


IDLE = {
    "network = { hidden = [], dropout = 0.1 }": "network.dropout: has no effect: there is no hidden layer.",
    "network = { hidden = [50, 40], residual = true }": "network.residual: has no effect: no two hidden layers",
    "training.early_stopping = { patience = 9 }": "training.early_stopping: has no effect: its patience, 9,",
    "training.augmentation = { rotation = 1, elastic_sigma = 5 }": "elastic_sigma: has no effect without elastic_alpha",
    "training.augmentation = { warmup = 0.1 }": "training.augmentation: has no effect: nothing in it changes an image.",
    "training.optimizer.schedule = { warmup_from = 0.1 }": "schedule.warmup_from: has no effect without a warm-up.",
    "network.hidden = [50, 50]": "is the same network, trained the same way, as baseline",
}


@pytest.mark.parametrize(("line", "sentence"), IDLE.items(), ids=IDLE)
def test_what_is_perhaps_not_meant_is_noted(line: str, sentence: str, said: Said) -> None:
    lab(f'[[experiment]]\nname = "a"\n{line}')
    code, out, _err = said("lab.toml", "--check")
    assert code == 0
    assert "· lab.toml: experiment.a" in out
    assert sentence in out


def test_what_the_baseline_has_idle_is_noted_once(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        'lab = { name = "mine", dataset = "mnist[:100]" }\n[baseline]\ntraining.early_stopping = { patience = 9 }\n'
        '[[experiment]]\nname = "a"\nnetwork.hidden = [9]\n'
        '[[experiment]]\nname = "b"\ntraining.early_stopping.restore_best_weights = true\n'
    )
    found = review(path)
    assert [note.where for note in found.notes] == [("baseline", "training", "early_stopping")]
    assert found.problems == ()
    assert found.runs == 15


def test_a_missing_engine_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(engine: str) -> None:
        from neurona.errors import MissingExtraError

        raise MissingExtraError(f"{engine} is not there")

    monkeypatch.setattr("neurona.review.check_ready", missing)
    path = tmp_path / "lab.toml"
    path.write_text('lab = { name = "m", dataset = "mnist" }\n[[experiment]]\nname = "a"\nengine = "keras"\n')
    (problem,) = review(path).problems
    assert (problem.where, problem.sentence) == (("experiment", "a", "engine"), "keras is not there")


def test_one_thing_at_a_time(said: Said) -> None:
    code, _out, err = said("--check", "--schema")
    assert code == 2
    assert "one at a time" in err
    code, _out, err = said("nowhere.toml", "--check")
    assert code == 2
    assert "nowhere.toml" in err


def test_in_spanish(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURONA_LANG", "es")
    code, out, _err = said(str(lab(BROKEN)), "--check")
    assert code == 2
    assert "7 problemas: lab.toml no puede ejecutarse." in out
    code, out, _err = said("--check")
    assert code == 0
    assert "16 experimentos, 15 de ellos distintos, × 5 semillas = 75 ejecuciones" in out
