"""Who is compared, and on what work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = ROOT / "src" / "neurona" / "data" / "mnist.npz"

NEURONA = "neurona"


@dataclass(frozen=True)
class Peer:
    """A way to train: a worker script, and the environment (folder and requirements file) that it runs in."""

    name: str
    environment: str
    worker: str
    options: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """A network and a batch size, trained in `parts` timed pieces of which the first is not counted.

    A piece is an epoch (50,000 images) or, where an epoch is too slow for some, a fraction of one; then the
    time of an epoch is scaled from the fraction's, plus one pass over the validation split.
    """

    name: str
    title: str
    hidden: tuple[int, ...]
    batch_size: int
    parts: int = 5
    images_per_part: int = 50_000


PEERS = {
    peer.name: peer
    for peer in (
        Peer(NEURONA, "neurona", "neurona_runs.py"),
        Peer("tensorflow", "tensorflow", "tensorflow_notebook.py"),
        Peer("keras-jax", "keras-jax", "keras_arrays.py", variables={"KERAS_BACKEND": "jax"}),
        Peer(
            "keras-jax-steps",
            "keras-jax",
            "keras_arrays.py",
            options={"steps_per_execution": "50"},
            variables={"KERAS_BACKEND": "jax"},
        ),
        Peer("keras-torch", "torch", "keras_arrays.py", variables={"KERAS_BACKEND": "torch"}),
        Peer("torch", "torch", "torch_loop.py"),
        Peer("torch-compile", "torch", "torch_loop.py", options={"compile": "1"}),
        Peer("sklearn", "scikit-learn", "sklearn_mlp.py"),
    )
}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("baseline", "2×50, batch 100", (50, 50), 100),
        Workload("wide", "2×500, batch 100", (500, 500), 100),
        # One epoch in all: five pieces of 10,000 steps, and the accuracy is the one after that epoch.
        Workload("batch-1", "2×50, batch 1", (50, 50), 1, images_per_part=10_000),
    )
}

QUICK_PARTS = 2
QUICK_BATCH_1_IMAGES = 1_000
