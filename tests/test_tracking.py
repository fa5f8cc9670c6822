"""Studies in TensorBoard and MLflow, read by the real tools."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from neurona.cli import main
from neurona.data import Dataset
from neurona.errors import MissingExtraError, StoreError, UsageError
from neurona.specs import Experiment, Network, Optimizer, Training
from neurona.study import Lab, Study
from neurona.tracking import log_to_mlflow, write_tensorboard

ONE = Experiment(name="baseline", network=Network(hidden=(8, 6)), training=Training(epochs=3))
WILD = Experiment(
    name="wild",
    group="rates",
    network=Network(hidden=(8, 8), activation="linear"),
    training=Training(epochs=2, optimizer=Optimizer(name="sgd", learning_rate=1000.0, momentum=0.5)),
)
KEYS = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")


@pytest.fixture(scope="module")
def study(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two seeds of an experiment, and of one that diverges."""
    lab = Lab(name="mine", dataset="mnist", experiments=(ONE, WILD))
    made = lab.run(seeds=2, data=small, study=tmp_path_factory.mktemp("study"))
    assert {run.state for run in made.runs("wild")} == {"diverged"}
    return made


@pytest.fixture(scope="module")
def written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that TensorBoard opens."""
    folder = tmp_path_factory.mktemp("board")
    assert write_tensorboard(study, folder) == 4
    return folder


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0}).Reload()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_scalars_are_the_study_s(study: Study, written: Path) -> None:
    for run in study.runs("baseline"):
        board = read(written / "baseline" / f"seed-{run.seed}")
        norms = {f"{kind}_norm/dense_{layer}" for kind in ("weights", "gradients") for layer in range(3)}
        assert set(board.Tags()["scalars"]) == norms | set(KEYS)
        for key in KEYS:
            events = board.Scalars(key)
            assert [event.step for event in events] == [1, 2, 3]
            np.testing.assert_array_equal(
                np.float32([event.value for event in events]), np.float32([getattr(epoch, key) for epoch in run.epochs])
            )
        for epoch, layers in enumerate(study.run_norms(run.id)):
            for index, layer in enumerate(layers):
                assert board.Scalars(f"weights_norm/dense_{index}")[epoch].value == np.float32(layer.weights)
                assert board.Scalars(f"gradients_norm/dense_{index}")[epoch].value == np.float32(layer.gradients)
        times = [event.wall_time for event in board.Scalars("loss")]
        np.testing.assert_allclose(np.diff(times), [epoch.seconds for epoch in run.epochs[1:]], atol=1e-5)
        assert times[-1] == pytest.approx(run.finished)


def test_histograms_are_of_the_final_weights(study: Study, written: Path) -> None:
    board = read(written / "baseline" / "seed-1")
    parameters = study.weights("baseline", 1)
    wanted = {f"weights/dense_{i}/{name}": array for i, layer in enumerate(parameters) for name, array in layer.items()}
    assert set(board.Tags()["histograms"]) == set(wanted)
    for tag, array in wanted.items():
        values = np.asarray(array, np.float64)
        (event,) = board.Histograms(tag)
        found = event.histogram_value
        assert (event.step, found.num) == (3, values.size)
        np.testing.assert_allclose([found.min, found.max, found.sum], [values.min(), values.max(), values.sum()])
        below = [(values <= limit).sum() for limit in found.bucket_limit]
        np.testing.assert_allclose(np.cumsum(found.bucket), below, atol=1)  # a value on an edge may fall either way


def test_hyperparameters(study: Study, written: Path) -> None:
    content = read(written / "wild" / "seed-0").summary_metadata
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG].plugin_data.content)
    assert (start.group_name, start.model_uri) == ("wild", study.runs("wild")[0].id)
    assert start.hparams["network.hidden"].string_value == "8,8"
    assert start.hparams["training.optimizer.name"].string_value == "sgd"
    assert start.hparams["training.optimizer.learning_rate"].number_value == 1000
    assert start.hparams["training.epochs"].number_value == 2
    assert start.hparams["network.residual"].bool_value is False


def test_a_second_export_gives_the_same_bytes(study: Study, written: Path) -> None:
    before = files(written)
    assert set(before) == {
        f"{name}/seed-{seed}/events.out.tfevents.neurona" for name in ("baseline", "wild") for seed in (0, 1)
    }
    write_tensorboard(study, written)
    assert files(written) == before


Asked = Callable[..., Any]


@pytest.fixture
def board(written: Path) -> Iterator[Asked]:
    """A TensorBoard on loopback that has read the folder; ask it for what its page asks for."""
    words = ["--logdir", written, "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    once = ["--reload_interval", "0", "--reload_task", "blocking"]  # all is read before it says where it is
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words, *once], stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)", said)):
            line = server.stderr.readline()
            assert line, said
            said += line

        def ask(route: str, body: Any = None, **query: str) -> Any:
            url = f"{found[1]}/data/{route}?{urlencode(query)}"
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
            with direct.open(request, timeout=60) as answer:
                return json.load(answer)

        yield ask
    finally:
        server.kill()
        server.communicate()


def test_tensorboard_shows_it(study: Study, board: Asked) -> None:
    assert set(board("runs")) == {"baseline/seed-0", "baseline/seed-1", "wild/seed-0", "wild/seed-1"}
    shown = board("plugin/scalars/scalars", run="baseline/seed-1", tag="val_accuracy")
    epochs = study.runs("baseline")[1].epochs
    assert [(step, np.float32(value)) for _time, step, value in shown] == [
        (number, np.float32(epoch.val_accuracy)) for number, epoch in enumerate(epochs, 1)
    ]
    ((_time, step, buckets),) = board(
        "plugin/histograms/histograms", run="baseline/seed-0", tag="weights/dense_0/kernel"
    )
    assert (step, sum(count for _left, _right, count in buckets)) == (3, 784 * 8)
    found = board(
        "plugin/hparams/session_groups",
        {
            "experimentName": "",
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
            "colParams": [],
            "startIndex": 0,
            "sliceSize": 10,
        },
    )
    groups = {group["name"]: group for group in found["sessionGroups"]}
    assert {name: len(group["sessions"]) for name, group in groups.items()} == {"baseline": 2, "wild": 2}
    assert {session["status"] for session in groups["wild"]["sessions"]} == {"STATUS_FAILURE"}
    assert groups["baseline"]["hparams"]["network.hidden"] == "8,6"


def said(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    shown = capfd.readouterr()
    return int(str(stopped.value.code)), shown.out, shown.err


def test_study_export(study: Study, written: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place, out = str(study.folder), tmp_path / "board"
    code, shown, _err = said(capfd, "study", "export", place, "--tensorboard", str(out), "--json")
    assert (code, json.loads(shown)) == (0, {"tensorboard": {"folder": str(out), "runs": 4}})
    assert files(out) == files(written)
    both = ["--tensorboard", str(out), "--output", str(tmp_path / "files")]
    code, shown, _err = said(capfd, "study", "export", place, *both)
    assert code == 0
    assert "files are in" in shown
    assert "4 runs are in" in shown
    code, _out, err = said(capfd, "study", "export", place)
    assert code == 2
    assert "--tensorboard" in err


def test_a_lab_writes_for_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.toml").write_text(
        '[lab]\nname = "mine"\ndataset = "mnist[:1000]"\n'
        "[baseline]\nnetwork = { hidden = [4] }\ntraining = { epochs = 1 }\n"
        '[[experiment]]\nname = "wide"\nnetwork.hidden = [5]\n'
    )
    words = ["lab", "lab.toml", "--seeds", "1", "--workers", "1", "--no-report", "--tensorboard"]
    code, out, _err = said(capfd, *words, "board", "--json")
    assert code == 0
    assert json.loads(out)["tensorboard"] == {"folder": "board", "runs": 2}
    assert len(read(Path("board/wide/seed-0")).Scalars("val_loss")) == 1
    code, out, err = said(capfd, *words, "lab.toml")  # a file: what was trained stands, and is shown
    assert code == 0
    assert "mine on mnist[:1000]" in out
    assert "cannot be made" in err


def test_without_the_extra(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "neurona.tracking.tensorboard.find_spec", lambda name: None if name == "tensorboard" else find_spec(name)
    )
    monkeypatch.setattr("neurona.tracking.mlflow.find_spec", lambda name: None if name == "mlflow" else find_spec(name))
    with pytest.raises(MissingExtraError, match=r"neurona\[tensorboard\]"):
        write_tensorboard(study, tmp_path / "board")
    with pytest.raises(MissingExtraError, match=r"neurona\[mlflow\]"):
        log_to_mlflow(study, f"sqlite:///{tmp_path}/mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(study: Study, tmp_path: Path) -> None:
    (tmp_path / "board").write_text("mine")
    with pytest.raises(UsageError, match="cannot be made"):
        write_tensorboard(study, tmp_path / "board")


# MLflow's tables are declared with a way of loading that SQLAlchemy 2.1 gives up.
SQLALCHEMY = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

LOG = """
import sys
from neurona.study import Study
from neurona.tracking import log_to_mlflow
print(log_to_mlflow(Study.open(sys.argv[1]), sys.argv[2]).added)
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


@pytest.fixture(scope="module")
def tracked(study: Study, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of an MLflow to which the study was logged, by a process that nothing tells to be silent."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    silent = ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY")
    loud = {key: value for key, value in os.environ.items() if key not in silent}
    done = subprocess.run(
        [sys.executable, "-c", LOG, str(study.folder), uri],
        cwd=folder,
        env=loud,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["4", "None"], done.stderr
    return uri


def client(uri: str) -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def logged_runs(uri: str) -> dict[str, Any]:
    asked = client(uri)
    (place,) = [found for found in asked.search_experiments() if found.name != "Default"]
    assert place.name.startswith("mine-")
    found = asked.search_runs([place.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


@SQLALCHEMY
def test_runs_in_mlflow_are_the_study_s(study: Study, tracked: str) -> None:
    runs = logged_runs(tracked)
    nested = {f"{name}/seed-{seed}" for name in ("baseline", "wild") for seed in (0, 1)}
    assert set(runs) == nested | {"baseline", "wild"}
    for name in nested:
        experiment, _, seed = name.partition("/seed-")
        run, stored = runs[name], study.runs(experiment)[int(seed)]
        assert run.data.tags["mlflow.parentRunId"] == runs[experiment].info.run_id
        assert run.data.tags["neurona.run"] == stored.id
        assert run.data.tags["neurona.fingerprint"] == study.fingerprint
        assert run.data.tags["neurona.state"] == stored.state
        assert run.data.tags["neurona.engine"] == "neurona 1"
        assert run.data.tags["neurona.version.numpy"] == np.__version__
        assert run.info.status == {"complete": "FINISHED", "diverged": "FAILED"}[stored.state]
        assert run.info.end_time == pytest.approx(1000 * stored.finished, abs=1)
        assert run.data.params["seed"] == seed
        assert set(run.data.params) - {"seed"} == set(runs[experiment].data.params)
    assert runs["wild/seed-0"].data.params["training.optimizer.learning_rate"] == "1000.0"
    assert runs["baseline"].data.params["network.hidden"] == "8,6"
    stored = study.runs("baseline")[1]
    asked, run_id = client(tracked), runs["baseline/seed-1"].info.run_id
    for key in KEYS:
        history = asked.get_metric_history(run_id, key)
        assert [(figure.step, figure.value) for figure in history] == [
            (number, getattr(epoch, key)) for number, epoch in enumerate(stored.epochs, 1)
        ]
    norms = asked.get_metric_history(run_id, "gradients_norm/dense_2")
    assert [figure.value for figure in norms] == [layers[2].gradients for layers in study.run_norms(stored.id)]
    diverged = asked.get_metric_history(runs["wild/seed-0"].info.run_id, "val_loss")
    assert not math.isfinite(diverged[-1].value) or diverged[-1].value > 1e300  # MLflow keeps infinity as the largest


@SQLALCHEMY
def test_a_second_export_to_mlflow_adds_what_is_new(
    study: Study, tracked: str, small: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copy(tracked.removeprefix("sqlite:///"), tmp_path)  # the other tests' stays as it is
    tracked = f"sqlite:///{own}"
    before = {name: run.to_dictionary() for name, run in logged_runs(tracked).items()}
    shown = json.dumps(before, sort_keys=True)  # which, unlike a dict, holds two NaN to be equal
    words = ["study", "export", "--mlflow", tracked, "--json"]
    code, out, _err = said(capfd, *words, str(study.folder))
    assert code == 0
    assert json.loads(out)["mlflow"] == {"experiment": f"mine-{study.fingerprint[:8]}", "added": 0, "there": 4}
    after = {name: run.to_dictionary() for name, run in logged_runs(tracked).items()}
    assert json.dumps(after, sort_keys=True) == shown

    asked, broken = client(tracked), before["baseline/seed-0"]["info"]["run_id"]
    asked.update_run(broken, status="RUNNING")  # as if the first export had been killed there
    asked.delete_run(before["wild/seed-1"]["info"]["run_id"])
    lab = Lab(name="mine", dataset="mnist", experiments=(ONE, WILD))
    lab.run(seeds=3, only=("baseline",), data=small, study=tmp_path / "more")
    more = Study.open(tmp_path / "more")
    more.merge(study)
    code, out, _err = said(capfd, *words, str(more.folder))
    assert code == 0
    assert json.loads(out)["mlflow"]["added"] == 3
    found = logged_runs(tracked)
    assert set(found) == set(before) | {"baseline/seed-2"}
    again = found["baseline/seed-0"].info
    assert (again.status, again.run_id != broken) == ("FINISHED", True)
    assert len(asked.get_metric_history(again.run_id, "loss")) == 3
    assert found["baseline/seed-1"].to_dictionary() == before["baseline/seed-1"]


def test_an_mlflow_that_cannot_be(study: Study) -> None:
    with pytest.raises(StoreError, match="cannot be logged to MLflow"):
        log_to_mlflow(study, "gopher://nowhere")
