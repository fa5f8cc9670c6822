"""Shared by all tests: English, a compilation cache of the tests' own, small data, databases."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

import chromium
import postgresql

os.environ["KERAS_BACKEND"] = "jax"
os.environ["NEURONA_LANG"] = "en"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "neurona-tests-compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import neurona
from neurona.data import Dataset, Split

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is deaf to Ctrl-C, and its children

# CPython 3.11 fails at times to parse a large module deep in the stack ("AST constructor recursion depth mismatch"), as
# pytest does with schemathesis when it rewrites its asserts: in a thread of its own the stack is empty.
_parsing = threading.Thread(target=importlib.import_module, args=("schemathesis.specs.openapi.schemas",))
_parsing.start()
_parsing.join()


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    return neurona.load("mnist")


@pytest.fixture(scope="session")
def small(mnist: Dataset) -> Dataset:
    """The first 1,050 training and 330 validation images of MNIST: no round numbers of batches."""

    def first(split: Split, count: int) -> Split:
        return Split(split.images[:count].copy(), split.labels[:count].copy())

    return replace(mnist, train=first(mnist.train, 1050), validation=first(mnist.validation, 330))


Neurona = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Neurona:
    """Run the program as a user does: a process, in an empty folder."""

    def run(*words: str, lang: str = "en", timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "neurona", *words],
            cwd=tmp_path,
            env=os.environ | {"NEURONA_LANG": lang, "COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of these tests' own."""
    binaries = postgresql.binaries()
    if binaries is None:
        pytest.skip(postgresql.ABSENT)
    server = postgresql.Server(binaries)
    yield server
    server.remove()


@pytest.fixture
def server(postgresql_server: postgresql.Server) -> Iterator[postgresql.Server]:
    """The PostgreSQL server, running; what a test leaves connected is cut off."""
    connections: list[object] = []

    def remember(connection: object, _record: object) -> None:
        connections.append(connection)

    postgresql_server.start()
    sa.event.listen(sa.Pool, "connect", remember)
    yield postgresql_server
    sa.event.remove(sa.Pool, "connect", remember)
    for connection in connections:
        connection.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of an empty bucket; boto's variables say where its server is, to this process and those it starts."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "ours")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", "/nowhere")  # nothing of whoever runs the tests
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("labs")
        yield "s3://labs"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Chromium]:
    """A Chromium without a window."""
    found = chromium.binaries()
    if found is None:
        pytest.skip(chromium.ABSENT)
    opened = chromium.Chromium(*found)
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def small_lab() -> neurona.Lab:
    """A lab of three experiments in two groups, trained in seconds."""

    def experiment(name: str, group: str, hidden: tuple[int, ...], **training: object) -> neurona.Experiment:
        recipe = neurona.Training(epochs=3, **training)
        return neurona.Experiment(name=name, group=group, network=neurona.Network(hidden=hidden), training=recipe)

    experiments = (
        experiment("baseline", "baseline", (16, 12)),
        experiment("wide", "width", (40, 40)),
        experiment("slow", "learning-rate", (16, 12), optimizer={"name": "sgd", "learning_rate": 0.0001}),
    )
    return neurona.Lab(name="small", dataset="mnist", experiments=experiments)


@pytest.fixture(scope="session")
def small_study(small_lab: neurona.Lab, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> neurona.Study:
    """The study of `small_lab` on `small` with three seeds."""
    return small_lab.run(seeds=3, data=small, study=tmp_path_factory.mktemp("study") / "small")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("server").new_database())
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where NEURONA_REFUSE_SKIPS is set, as in CI, a test that is skipped has failed."""
    report = yield
    if os.environ.get("NEURONA_REFUSE_SKIPS") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"NEURONA_REFUSE_SKIPS forbids to skip: {report.longrepr[-1]}"
    return report
