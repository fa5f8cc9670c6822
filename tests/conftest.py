"""Shared by all tests: English, a compilation cache of the tests' own, small data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

os.environ["KERAS_BACKEND"] = "jax"
os.environ["NEURONA_LANG"] = "en"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "neurona-tests-compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import neurona
from neurona.data import Dataset, Split


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
