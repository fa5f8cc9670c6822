"""The program as a user runs it: a process."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurona.cli import main
from neurona.data import Dataset
from neurona.model import load_model

LAB = """
[lab]
name = "mine"
dataset = "small.npz"
[baseline]
network.hidden = [10]
training = { epochs = 4, batch_size = 20 }
[[experiment]]
name = "wide"
group = "width"
network.hidden = [30]
[[experiment]]
name = "slow"
group = "learning-rate"
training.optimizer.learning_rate = 0.0001
"""


@pytest.fixture
def own_lab(tmp_path: Path, small: Dataset) -> Path:
    """A user's own lab on a user's own data, in the folder where the program runs."""
    arrays = {"x_train": small.train.images, "y_train": small.train.labels}
    arrays |= {"x_test": small.validation.images, "y_test": small.validation.labels}
    np.savez(tmp_path / "small.npz", **arrays)
    path = tmp_path / "lab.toml"
    path.write_text(LAB)
    return path


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    experiments = [{k: v for k, v in e.items() if k != "seconds_per_run"} for e in document["experiments"]]
    return {**{k: v for k, v in document.items() if k not in ("seconds", "study")}, "experiments": experiments}


def test_train_prints_keras_summary_and_lines(program) -> None:
    done = program("train", "--epochs", "1")
    assert done.returncode == 0
    assert "dense (Dense)" in done.stdout
    assert "39,250" in done.stdout
    assert "Epoch 1/1 - 500/500 - " in done.stdout
    assert "val_accuracy: 0.9" in done.stdout


def test_train_json_and_save(program, tmp_path: Path) -> None:
    options = ["--hidden", "20", "--activation", "tanh", "--set", "network.dropout=0.1", "--save", "model.safetensors"]
    done = program("train", "--epochs", "2", "--json", "--seed", "3", "--optimizer", "sgd", *options)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(document["history"]["loss"]) == 2
    assert document["parameters"] == 784 * 20 + 20 + 210
    assert document["seed"] == 3
    assert set(document["seconds"]) == {"load", "compile", "train"}
    assert len(document["fingerprint"]) == 64
    assert "Epoch 2/2" in done.stderr
    model = load_model(tmp_path / "model.safetensors")
    assert model.members[0][0]["kernel"].shape == (784, 20)
    assert model.metrics["val_accuracy"] == document["history"]["val_accuracy"][-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors"]


def test_lab_table_and_json(program, own_lab: Path, tmp_path: Path) -> None:
    done = program("lab", "lab.toml", "--seeds", "3")
    assert done.returncode == 0, done.stderr
    assert "[9/9]" in done.stderr
    assert "hidden=30" in done.stdout
    assert "±" in done.stdout
    assert (tmp_path / "neurona-studies" / "mine" / "study.db").is_file()
    again = program("lab", "lab.toml", "--no-report", "--seeds", "3", "--json")
    assert again.returncode == 0
    assert again.stderr == ""  # nothing was left to do
    document = json.loads(again.stdout)
    assert document["lab"] == "mine"
    assert document["seeds"] == 3
    assert [e["name"] for e in document["experiments"]] == ["baseline", "wide", "slow"]
    wide = document["experiments"][1]
    assert wide["runs"] == {"completed": 3, "diverged": 0, "failed": 0, "pending": 0}
    assert len(wide["val_accuracy"]["values"]) == 3
    assert wide["val_accuracy"]["mean"] == pytest.approx(np.mean(wide["val_accuracy"]["values"]))
    assert wide["val_accuracy"]["sd"] == pytest.approx(np.std(wide["val_accuracy"]["values"], ddof=1))
    low, high = wide["val_accuracy"]["ci95"]
    assert low < wide["val_accuracy"]["mean"] < high
    assert wide["notebook_val_accuracy"] is None
    assert wide["seconds_per_run"] > 0
    assert document["experiments"][0]["verdict"] is None
    slow = document["experiments"][2]
    assert slow["verdict"]["word"] == "worse"
    assert 0 < slow["verdict"]["adjusted_p"] < 0.05
    assert slow["verdict"]["seeds_needed"] is None
    assert slow["probability_better"]["value"] == 0.0
    assert document["openings"] == slow["after_opening"] == 0


def test_lab_verdicts_and_exports(program, own_lab: Path, tmp_path: Path) -> None:
    refused = program("lab", "lab.toml", "--export", "table.xlsx")
    assert refused.returncode == 2
    assert "table.xlsx" in refused.stderr
    assert not (tmp_path / "neurona-studies").exists()
    done = program("lab", "lab.toml", "--no-report", "--seeds", "3", "--export", "table.csv")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("slow"))
    assert "worse" in line
    assert "notebook" not in done.stdout  # this lab has no such figures
    assert (tmp_path / "table.csv").read_text().splitlines()[0].startswith("name,group,")
    compared = program("compare", "slow", "wide")
    assert compared.returncode == 0, compared.stderr
    assert "slow is worse than wide." in compared.stdout
    assert "parameters" in compared.stdout
    pair = json.loads(program("compare", "wide", "slow", "--json", "--study", "neurona-studies/mine").stdout)
    assert pair["verdict"]["word"] == "better"
    assert pair["difference"]["ci95"][0] > 0
    assert pair["times_parameters"] > 2
    assert program("compare", "wide", "slo").returncode == 2


def test_which_study_is_meant(program, tmp_path: Path) -> None:
    none = program("compare", "a", "b")
    assert none.returncode == 2
    assert "there is no study in neurona-studies" in none.stderr
    for name in ("one", "two"):
        (tmp_path / "neurona-studies" / name).mkdir(parents=True)
        (tmp_path / "neurona-studies" / name / "study.db").touch()
    several = program("compare", "a", "b")
    assert several.returncode == 2
    assert "neurona-studies/one, neurona-studies/two" in several.stderr
    assert "--db needs --study" in program("compare", "a", "b", "--db", "sqlite:///x.db").stderr


@pytest.mark.usefixtures("own_lab")
def test_killed_at_random_moments_the_table_is_the_same(program, database: str, tmp_path: Path) -> None:
    whole = json.loads(program("lab", "lab.toml", "--no-report", "--seeds", "4", "--json", "--study", "whole").stdout)
    moments = random.Random(1)
    command = [
        sys.executable,
        "-m",
        "neurona",
        "lab",
        "lab.toml",
        "--no-report",
        "--seeds",
        "4",
        "--json",
        "--study",
        "killed",
    ]
    command += ["--db", database]
    for _attempt in range(4):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(timeout=moments.uniform(0.8, 3.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    killed = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert without_times(killed) == without_times(whole)


def test_two_processes_share_a_study(own_lab: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neurona", "lab", "lab.toml", "--no-report", "--seeds", "6", "--json"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _process in range(2)
    ]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    tables = [without_times(json.loads(stdout)) for stdout, _stderr in outputs]
    assert tables[0] == tables[1]
    ended = [line for _stdout, stderr in outputs for line in stderr.splitlines() if "val_accuracy" in line]
    assert len(ended) == 18  # no run twice


def test_ctrl_c_says_what_is_kept(own_lab: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neurona", "lab", "lab.toml", "--no-report", "--seeds", "200"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "[1/600]" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "kept in neurona-studies/mine; the same command goes on from there" in stderr
    assert "Traceback" not in stderr


def test_ctrl_c_that_python_loses_stops_the_training(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(number: int, *_about: object) -> str:
        with suppress(KeyboardInterrupt):  # as in a callback of the garbage collector's
            signal.raise_signal(signal.SIGINT)
        return f"epoch {number}"

    monkeypatch.setattr("neurona.cli.train._epoch_line", line)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--epochs", "3"])
    assert stopped.value.code == 130
    said = capfd.readouterr().out
    assert "epoch 1" in said
    assert "epoch 2" not in said


WRONG = {
    "a misspelt command": (["lba"], "Did you mean lab?"),
    "a misspelt option": (["train", "--hiden", "3"], "Did you mean --hidden?"),
    "a word for a number": (["train", "--epochs", "x"], "--epochs must be a whole number."),
    "units that are none": (["train", "--hidden", "5,a"], "--hidden must be whole numbers"),
    "no such data": (["train", "--dataset", "mnits"], "Did you mean mnist?"),
    "no such activation": (["train", "--activation", "relo"], "Did you mean relu?"),
    "no such key": (["train", "--set", "network.dropot=1"], "Did you mean dropout?"),
    "a value out of range": (["train", "--set", "network.dropout=1"], "network.dropout: must be less than 1.0"),
    "a folder that is not there": (["train", "--save", "no/such/model"], "there is no folder"),
    "no such lab": (["lab", "mnist-dn"], "Did you mean mnist-dnn?"),
    "no such experiment": (["lab", "--only", "sigmoide"], "Did you mean sigmoid?"),
    "a database that is none": (["lab", "--db", "nonsense"], "is not a database"),
    "a language that we lack": (["--lang", "fr", "train"], "--lang must be one of en, es"),
    "an option without its value": (["train", "--epochs"], "--epochs needs a value"),
    "a word too many": (["data", "list", "all"], "nothing more was expected, but got all"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_explained(words: list[str], sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    shown = capfd.readouterr()
    assert stopped.value.code in (1, 2)
    assert sentence in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_debug_shows_where_an_error_comes_from(program) -> None:
    done = program("--debug", "train", "--activation", "relo")
    assert "Traceback" in done.stderr


def test_data_commands(program) -> None:
    listed = json.loads(program("data", "list", "--json").stdout)
    assert {"mnist", "fashion-mnist", "kmnist"} <= {entry["name"] for entry in listed}
    info = json.loads(program("data", "info", "mnist", "--json").stdout)
    assert (info["train"], info["validation"], info["test"]) == (50_000, 10_000, 10_000)
    assert sum(info["images_per_class"]["train"]) == 50_000
    verified = program("data", "verify", "mnist")
    assert verified.returncode == 0
    assert "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757" in verified.stdout


def test_help_and_import_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import neurona, neurona.cli\n"
        "try: neurona.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'jax', 'optax', 'scipy', 'sqlalchemy', 'pydantic', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names() -> None:
    import neurona

    assert set(neurona.__all__) == {*neurona._EXPORTS, "__version__"}
    for name in neurona.__all__:
        assert getattr(neurona, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = neurona.nope


def test_output_that_is_cut_off_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neurona", "data", "list"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_ctrl_c_at_once(own_lab: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "neurona", "train", "--epochs", "1000"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
