from __future__ import annotations

from pathlib import Path

import pytest

from neurona.errors import SpecError, UsageError
from neurona.lab import BASELINE, LabSpec, built_in_labs, differences

HEAD = '[lab]\nname = "mine"\ndataset = "mnist"\n'
ONE = HEAD + '[[experiment]]\nname = "wide"\nnetwork.hidden = [9]\n'


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "lab.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_the_course_lab_is_the_notebooks() -> None:
    lab = LabSpec.load("mnist-dnn")
    by_name = {experiment.name: experiment for experiment in lab.experiments}
    assert list(by_name) == [
        "baseline",
        *(f"width-{units}" for units in (50, 100, 200, 300, 500)),
        *(f"depth-{layers}x500" for layers in (3, 4, 5)),
        "sigmoid",
        "relu-tanh",
        "batch-10000",
        "batch-1",
        "sgd",
        "lr-0.0001",
        "lr-0.02",
    ]
    assert {experiment.group for experiment in lab.experiments[1:]} == {
        "width",
        "depth",
        "activation",
        "batch",
        "learning-rate",
    }
    assert by_name["width-50"].id == lab.baseline.id
    assert by_name["depth-5x500"].network.hidden == (500,) * 5
    assert by_name["relu-tanh"].network.activation == ("relu", "tanh")
    assert by_name["batch-1"].training.optimizer.name == "adam"
    assert differences(by_name["sgd"], lab.baseline) == {"optimizer": "sgd", "batch_size": 1, "learning_rate": 0.01}
    assert all(e.notebook_val_accuracy is not None for e in lab.experiments if e.name != "sgd")


@pytest.mark.parametrize("name", built_in_labs())
def test_every_built_in_lab_loads_under_its_name(name: str) -> None:
    assert LabSpec.load(name).name == name


def test_experiments_are_differences_from_the_baseline(write) -> None:
    lab = LabSpec.load(
        write(
            HEAD
            + "[baseline]\nnetwork = { hidden = [20], activation = 'tanh' }\n"
            + "training = { optimizer = { name = 'adam', learning_rate = 0.01, beta_1 = 0.8 }, epochs = 2 }\n"
            + "[[experiment]]\nname = 'slow'\ntraining.optimizer.learning_rate = 0.001\n"
            + "[[experiment]]\nname = 'plain'\ntraining.optimizer.name = 'sgd'\n"
        )
    )
    baseline, slow, plain = lab.experiments
    assert baseline.name == BASELINE
    assert slow.training.optimizer.settings == {
        "learning_rate": 0.001,
        "beta_1": 0.8,
        "beta_2": 0.999,
        "epsilon": 1e-7,
    }
    assert slow.network == baseline.network
    assert plain.training.optimizer.settings == {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    assert plain.training.epochs == 2


WRONG = {
    "not TOML": (HEAD + "name = ", "is not TOML"),
    "an unknown table": (ONE + "[basline]\nx = 1\n", "basline: there is no such key. Did you mean baseline?"),
    "an unknown key of the lab": ('[lab]\nnam = "x"\n', "lab.nam: there is no such key. Did you mean name?"),
    "no name": ('[lab]\ndataset = "mnist"\n', "lab.name: is required"),
    "no data set": (ONE.replace('"mnist"', '""'), "dataset: must not be empty"),
    "no experiment": (HEAD, "experiment: a lab needs at least one"),
    "an experiment that is no table": ("experiment = 3\n" + HEAD, "experiment: must be tables"),
    "an experiment without a name": (HEAD + "[[experiment]]\nnetwork.hidden = [3]\n", "experiment.1.name: is required"),
    "two of one name": (
        ONE + '[[experiment]]\nname = "wide"\n',
        "experiment.wide.name: names must be different, but 2 experiments are called 'wide'",
    ),
    "the baseline's name": (HEAD + '[[experiment]]\nname = "baseline"\n', "2 experiments are called 'baseline'"),
    "a misspelt key": (
        HEAD + '[[experiment]]\nname = "e"\nnetwork.hiden = [3]\n',
        "experiment.e.network.hiden: there is no such key. Did you mean hidden?",
    ),
    "a misspelt activation": (
        HEAD + '[[experiment]]\nname = "e"\nnetwork.activation = "rellu"\n',
        "experiment.e.network.activation: there is no activation 'rellu'. Did you mean relu?",
    ),
    "a value out of range": (
        HEAD + '[[experiment]]\nname = "e"\ntraining.batch_size = 0\n',
        "experiment.e.training.batch_size: must be at least 1. It is 0.",
    ),
    "a wrong baseline": (
        ONE + "[baseline]\ntraining.epochs = 1.5\n",
        "baseline.training.epochs: must be a whole number. It is 1.5.",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_file_and_key(text: str, sentence: str, write) -> None:
    path = write(text)
    with pytest.raises(SpecError) as caught:
        LabSpec.load(path)
    assert any(line.startswith(f"{path}: ") and sentence in line for line in str(caught.value).splitlines())


def test_no_such_lab() -> None:
    with pytest.raises(UsageError, match="Did you mean mnist-dnn"):
        LabSpec.load("mnist-dn")


def test_a_file_that_is_no_text_or_too_long(write) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        LabSpec.load(write(b"\xff\xfe\x00"))
    with pytest.raises(UsageError, match="1,000,000 bytes"):
        LabSpec.load(write("#" * 1_000_001))


@pytest.mark.parametrize("images", ["", "[:2000]"])
def test_a_data_set_beside_the_lab_is_found(write, tmp_path: Path, images: str) -> None:
    (tmp_path / "mine.npz").touch()
    lab = LabSpec.load(write(ONE.replace('"mnist"', f'"mine.npz{images}"')))
    assert lab.dataset == str(tmp_path / "mine.npz") + images


def test_only_some_experiments() -> None:
    lab = LabSpec.load("mnist-dnn")
    assert [e.name for e in lab.chosen(["width-[12]00", "sig*"])] == ["baseline", "width-100", "width-200", "sigmoid"]
    assert [e.name for e in lab.chosen(["learning-rate"])] == ["baseline", "lr-0.0001", "lr-0.02"]
    assert lab.chosen() == lab.experiments
    with pytest.raises(UsageError, match="Did you mean sigmoid"):
        lab.chosen(["sigmoide"])


def test_other_epochs() -> None:
    lab = LabSpec.load("mnist-dnn").with_epochs(1)
    assert {e.training.epochs for e in lab.experiments} == {1}
