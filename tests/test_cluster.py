"""On a Ray cluster of three nodes, all on this machine: the same bits as here, whatever part of it dies."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import neurona
import postgresql
from neurona.compute import HERE, LOCAL, Work, cluster, computing
from neurona.compute.cluster import Cluster, RunError
from neurona.data import Dataset
from neurona.engine import Checkpoint, Interrupted, train
from neurona.errors import ClusterError, MissingExtraError, UsageError
from neurona.machine import made_by
from neurona.run import Epoch, Run
from neurona.runner import Event, RunEnded, RunFailed
from neurona.search import Search
from neurona.specs import Network, Training
from neurona.store import Owner
from neurona.study import Study
from test_runner import LAB, table

pytestmark = [  # Ray leaves the files that its processes log to open, and forks a process that has JAX's threads
    pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file .*/ray/session:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*/ray/session:pytest.PytestUnraisableExceptionWarning"),
]

WORDS = ("lab", "--only", "sigmoid", "--only", "lr-0.02", "--only", "width-100", "--seeds", "2", "--epochs", "1")


class Nodes:
    """The nodes of a cluster; each can be killed, and another be put in its place."""

    def __init__(self) -> None:
        cluster._ray(on_loopback=True)
        from ray.cluster_utils import Cluster as Started

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": port}
        self._cluster = Started(initialize_head=True, head_node_args=head)
        self._workers = [self._cluster.add_node(num_cpus=1) for _ in range(2)]
        self.address: str = self._cluster.address
        self.for_clients = f"ray://127.0.0.1:{port}"

    def kill_one(self) -> None:
        self._cluster.remove_node(self._workers.pop(), allow_graceful=False)

    def remove(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    started = Nodes()
    yield started
    started.remove()


@pytest.fixture(scope="module")
def three(nodes: Nodes) -> Iterator[Cluster]:
    """A cluster of three nodes, with a core each."""
    with computing(nodes.address) as compute:
        assert isinstance(compute, Cluster)
        assert compute.workers() == 3
        yield compute


class Heard:
    """What a run tells: its epochs, checkpoints and end."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.checkpoints: list[Checkpoint] = []
        self.runs: list[Run] = []

    def work(self, training: Training, **rest: Any) -> Work:
        return Work(
            Network(hidden=(10,)),
            training,
            0,
            on_epoch=lambda number, _epoch: self.epochs.append(number),
            keep=self.checkpoints.append,
            on_end=self.runs.append,
            **rest,
        )


def same_bits(run: Run, other: Run) -> bool:
    pairs = zip(run.parameters, other.parameters, strict=True)
    return all(np.array_equal(ours[name], theirs[name]) for ours, theirs in pairs for name in ("kernel", "bias"))


def test_nothing_listens_outside_this_machine(three: Cluster) -> None:
    mine = {process.pid for process in psutil.Process().children(recursive=True)} | {os.getpid()}
    listening = [each for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    addresses = {each.laddr.ip for each in listening if each.pid in mine}
    assert addresses
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_lab_comes_to_the_same_bits_and_tells_the_same(three: Cluster, small: Dataset, database: str) -> None:
    events: list[Event] = []
    study = LAB.run(seeds=2, data=small, study="there", url=database, on=three, on_event=events.append)
    told: list[Event] = []
    here = LAB.run(seeds=2, data=small, study="here", url=database, on_event=told.append)
    assert table(study) == table(here)
    assert sorted(_named(event) for event in events) == sorted(_named(event) for event in told)
    assert {run.id: run.state for run in study.store.runs()} == {run.id: run.state for run in here.store.runs()}
    assert study.store.weight_hashes() == here.store.weight_hashes()
    assert study.verify() == []
    assert [made.machine["host"] for made in study.provenance()] == [socket.gethostname()]


def _named(event: Event) -> tuple[str, ...]:
    return type(event).__name__, event.task.id, str(getattr(event, "number", ""))


def test_a_lab_goes_on_when_its_driver_and_a_node_are_killed(
    nodes: Nodes, three: Cluster, server: postgresql.Server, tmp_path: Path
) -> None:
    """The driver is another process, a client of the cluster's; killed, it is followed by one that loses a node."""
    url = server.new_database()
    words = [sys.executable, "-m", "neurona", *WORDS, "--no-report", "--db", url]
    client = [*words, "--on", nodes.for_clients]
    with subprocess.Popen(client, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as driver:
        assert driver.stderr is not None
        said = []
        while not (said and said[-1].startswith("[1/8]")):
            said.append(driver.stderr.readline())
            assert said[-1], said  # it has ended
        driver.kill()
    lab = neurona.Lab.load("mnist-dnn").with_epochs(1)
    ended: list[RunEnded] = []

    def kill_a_node(event: Event) -> None:
        if isinstance(event, RunEnded):
            ended.append(event)
            if len(ended) == 1:
                nodes.kill_one()

    only = ("sigmoid", "lr-0.02", "width-100")
    study = lab.run(seeds=2, only=only, study="mnist-dnn", url=url, on=three, on_event=kill_a_node)
    assert 0 < len(ended) < 8
    here = lab.run(seeds=2, only=only, study=tmp_path / "here")
    assert table(study) == table(here)
    assert study.store.weight_hashes() == here.store.weight_hashes()
    again = subprocess.run([*client, "--json"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert again.returncode == 0, again.stderr
    rows = json.loads(again.stdout)["experiments"]
    assert {row["name"] for row in rows} == {"baseline", *only}
    assert all(row["runs"]["completed"] == 2 for row in rows)


def test_a_run_that_is_stopped_gives_its_checkpoint_and_goes_on_from_it(three: Cluster, small: Dataset) -> None:
    heard, training = Heard(), Training(epochs=10_000)  # more than there is time for before it hears that it is to stop
    with pytest.raises(Interrupted):
        three.train([heard.work(training)], small, stop=lambda: bool(heard.epochs))
    assert heard.epochs == [1]
    (kept,) = heard.checkpoints
    assert kept.made_by == made_by()
    assert 0 < len(kept.epochs) < training.epochs
    short = training.replace(epochs=len(kept.epochs) + 2)
    three.train([heard.work(short, resume=kept)], small, stop=lambda: False)
    assert heard.epochs == [1, short.epochs - 1, short.epochs]
    assert same_bits(heard.runs[0], train(Network(hidden=(10,)), short, small, seed=0))
    elsewhere = Checkpoint(kept.epochs[:1], kept.arrays, made_by="another machine")
    three.train([heard.work(short, resume=elsewhere)], small, stop=lambda: False)
    assert same_bits(*heard.runs)


def test_what_waits_for_a_worker_is_taken_back(three: Cluster, small: Dataset) -> None:
    heard = Heard()
    with pytest.raises(Interrupted):
        three.train([heard.work(Training(epochs=1))], small, stop=lambda: True)
    assert heard.runs == []


class KillsWhoReadsIt:
    """What ends the process that is sent it."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return os._exit, (1,)


def test_a_run_that_kills_its_worker_is_given_up(
    three: Cluster, small: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    initial: Any = KillsWhoReadsIt()
    with pytest.raises(RunError, match="3 workers of the Ray cluster that trained it were lost"):
        three.train([heard.work(Training(epochs=1), initial=initial)], small, stop=lambda: False)
    assert caplog.messages == ["A worker of the Ray cluster was lost; what it had not done is given to another."] * 2


def test_a_run_that_raises_is_recorded_with_what_it_raised(
    three: Cluster, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Work

    def broken_when_wide(network: Network, *rest: Any, **options: Any) -> Work:
        wrong = ({"kernel": np.zeros((1, 1))},) if network.hidden == (30,) else None
        return real(network, *rest, **{**options, "initial": wrong})

    monkeypatch.setattr("neurona.runner.Work", broken_when_wide)
    events: list[Event] = []
    study = LAB.run(seeds=2, only=["wide"], data=small, study=tmp_path, on=three, on_event=events.append)
    failed = [event.error for event in events if isinstance(event, RunFailed)]
    host = socket.gethostname()
    sentence = "the initial parameters must be those of the network to be trained, but have other shapes."
    assert failed == [f"RunError: UsageError: {sentence} (on {host})"] * 2
    assert study.compare()["wide"].runs.failed == 2
    assert study.compare()["baseline"].runs.completed == 2
    assert "in _checked" in (study.runs("wide")[0].error or "")  # the traceback is the worker's


def test_a_node_with_other_libraries_is_refused(
    three: Cluster, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_wanted", lambda: {"jax": "0.0.1"})
    with pytest.raises(ClusterError, match=r"has jax [\d.]+, but must have what is here: jax 0\.0\.1"):
        three.train([Heard().work(Training(epochs=1))], small, stop=lambda: False)


def test_gpus_without_a_cluster_are_no_use() -> None:
    with pytest.raises(UsageError, match="--gpus-per-run goes with --on"), computing(LOCAL, gpus_per_run=0.5):
        pass


def test_gpus_are_asked_of_a_cluster_that_has_some(three: Cluster) -> None:
    with pytest.raises(ClusterError, match="--gpus-per-run needs a GPU, but no node of the cluster has one"):
        Cluster(cluster._ray(on_loopback=True), gpus_per_run=0.25)


def test_a_search_comes_to_the_same(three: Cluster, small: Dataset, tmp_path: Path) -> None:
    def searched(on: Any) -> list[tuple[Any, ...]]:
        space = {"training.optimizer.learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}
        found = Search(LAB, space=space).run(
            trials=7, finalists=2, seeds=2, workers=1, data=small, study=tmp_path / str(on), on=on
        )
        (one,) = found.searched
        trials = [(trial.number, trial.state, trial.values) for trial in one.trials]
        assert found.finals is not None
        return [*trials, *((each.trial, each.first, each.fresh) for each in found.finals.finalists)]

    there = searched(three)
    assert there == searched(LOCAL)
    assert len(there) == 9


def test_a_champion_comes_to_the_same_bits(three: Cluster, small: Dataset, tmp_path: Path) -> None:
    def best(on: Any) -> Study:
        study = LAB.open_study(small, study=tmp_path / str(on))
        neurona.best(study, data=small, members=2, distill=(12,), minutes=None, epochs=2, hidden=(24, 16), on=on)
        return study

    there, here = best(three), best(LOCAL)
    assert there.store.weight_hashes() == here.store.weight_hashes()
    assert len(there.store.weight_hashes()) == 5  # two members, each settled, and a student


def test_a_checkpoint_of_another_machine_is_kept_for_a_cluster_only(small: Dataset, tmp_path: Path) -> None:
    store = LAB.open_study(small, study=tmp_path).store
    (task, *_rest) = neurona.runner.tasks(LAB.experiments, 1, small.fingerprint)
    owner = Owner.this_process()
    store.claim(task, owner)
    store.keep_checkpoint(task, owner, (Epoch(1.0, 0.5, 1.1, 0.4, 0.1),), (np.zeros(3, np.float32),), by="theirs")
    assert neurona.runner.kept_checkpoint(task, store, HERE) is None
    kept = store.checkpoint(task, anybodys=True)
    assert kept is not None
    assert kept[3] == "theirs"


@pytest.mark.parametrize("on", ["rays", "ray:/host:1", "host", ":80", "host:99999", "host:port", ""])
def test_where_there_is_no_such_place(on: str) -> None:
    with pytest.raises(UsageError, match=r"--on must be local, ray, auto, ray://HOST:PORT or HOST:PORT, but is"):
        Cluster.open(on)


class OnceServed:
    """A Ray that serves a client at the attempt `served`."""

    def __init__(self, served: int) -> None:
        self.served, self.attempts, self.shutdown = served, 0, lambda: None

    def init(self, *, address: str) -> None:
        assert address == "ray://head:10001"
        self.attempts += 1
        if self.attempts < self.served:
            raise ConnectionAbortedError(f"Not served:\nTraceback\n  in a file\nattempt {self.attempts}\n")


def test_a_client_that_the_head_fails_to_serve_asks_again() -> None:
    ray = OnceServed(3)
    cluster._be_client(ray, "ray://head:10001")
    assert ray.attempts == 3
    ray = OnceServed(4)
    with pytest.raises(ConnectionAbortedError) as raised:
        cluster._be_client(ray, "ray://head:10001")
    assert ray.attempts == 3
    assert cluster._in_a_line(raised.value) == "Not served: attempt 3"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurona\[ray\]'"), computing("ray"):
        pass
