"""A run: one experiment trained with one seed, and the history of its epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import jax
import numpy.typing as npt

from neurona.specs import NEURONA, EarlyStopping, Network, Training, fingerprint

__all__ = [
    "ENGINE_VERSION",
    "ENGINE_VERSIONS",
    "Epoch",
    "History",
    "LayerNorms",
    "Norms",
    "Parameters",
    "Run",
    "Seconds",
    "best_epoch",
    "kept_epoch",
    "run_id",
]

# Raise one whenever the same experiment, data and seed would give other bits than before.
ENGINE_VERSION = 1
ENGINE_VERSIONS = {NEURONA: ENGINE_VERSION, "keras": 1}

Array = jax.Array | npt.NDArray[Any]
# One dict a dense layer, the last being the output: `kernel` (inputs, units) and `bias` (units,), float32.
Parameters = tuple[dict[str, Array], ...]

State = Literal["complete", "diverged"]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Training figures are means over the epoch as it went, validation's are taken at its end."""

    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class LayerNorms:
    """The size of a layer: Euclidean norms, the root of the sum of squares over all of it.

    weights: of its kernel.
    gradients: of the gradient of the mean cross-entropy with respect to its kernel; see `engine.norms`.
    """

    weights: float
    gradients: float


Norms = tuple[LayerNorms, ...]  # of each layer, the output last


class History(Mapping[str, tuple[float, ...]]):
    """The epochs of a run under Keras' keys: `loss`, `accuracy`, `val_loss`, `val_accuracy`; and `seconds`.

    norms: of the layers at the end of each epoch; () for an epoch of which none are known, as all that Keras trains.
    """

    KEYS = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")

    def __init__(self, epochs: tuple[Epoch, ...], norms: tuple[Norms, ...] = ()) -> None:
        self.epochs = epochs
        self.norms = norms or ((),) * len(epochs)

    def __getitem__(self, key: str) -> tuple[float, ...]:
        if key not in self.KEYS:
            raise KeyError(key)
        return tuple(getattr(epoch, key) for epoch in self.epochs)

    def __iter__(self) -> Iterator[str]:
        return iter(self.KEYS)

    def __len__(self) -> int:
        return len(self.KEYS)

    def __repr__(self) -> str:
        rows = [f"{'epoch':>5}" + "".join(f"{key:>14}" for key in self.KEYS)]
        rows += [
            f"{number:>5}" + "".join(f"{getattr(epoch, key):>14.4f}" for key in self.KEYS)
            for number, epoch in enumerate(self.epochs, 1)
        ]
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{key}</th>" for key in ("epoch", *self.KEYS))
        rows = "".join(
            f"<tr><td>{number}</td>" + "".join(f"<td>{getattr(epoch, key):.4f}</td>" for key in self.KEYS) + "</tr>"
            for number, epoch in enumerate(self.epochs, 1)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


@dataclass(frozen=True)
class Seconds:
    """Wall time of a run's parts: reading the data, compiling the program, training."""

    load: float = 0.0
    compile: float = 0.0
    train: float = 0.0


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run. `state` is `diverged` when a loss was not a finite number; its last epoch shows it.

    parameters: the final weights as NumPy arrays, one dict a layer.
    fingerprint: of the data set.
    engine: what trained it.
    versions: of the engine's libraries, where it has others than Neurona; of all, where it was trained elsewhere.
    machine: the one it was trained on, as `machine.trained_on` tells it, where that is not the one that stores it.
    """

    network: Network
    training: Training
    seed: int
    fingerprint: str
    state: State
    history: History
    parameters: Parameters = field(repr=False)
    seconds: Seconds = Seconds()
    engine: str = NEURONA
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The run's identity: see `run_id`."""
        return run_id(self.network, self.training, self.fingerprint, self.seed, engine=self.engine)

    def __repr__(self) -> str:
        last = self.history.epochs[-1]
        engine = "" if self.engine == NEURONA else f"engine={self.engine}, "
        return (
            f"Run({self.state}, {engine}seed={self.seed}, epochs={len(self.history.epochs)}, "
            f"val_accuracy={last.val_accuracy:.4f}, val_loss={last.val_loss:.4f}, "
            f"train={self.seconds.train:.2f} s)"
        )

    def _repr_html_(self) -> str:
        return f"<p><code>{escape(repr(self))}</code></p>{self.history._repr_html_()}"


def best_epoch(rule: EarlyStopping, epochs: Sequence[Epoch]) -> int:
    """Return the number, from 1, of the epoch that early stopping holds to be the best so far."""
    best, number = None, 1
    for position, epoch in enumerate(epochs, 1):
        value = getattr(epoch, rule.monitor) * (-1 if rule.monitor.endswith("loss") else 1)
        if best is None or value - rule.min_delta > best:
            best, number = value, position
    return number


def kept_epoch(training: Training, epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose weights a run keeps: the last, or the best where those are restored."""
    rule = training.early_stopping
    if rule is not None and rule.restore_best_weights:
        return epochs[best_epoch(rule, epochs) - 1]
    return epochs[-1]


def run_id(network: Network, training: Training, data_fingerprint: str, seed: int, *, engine: str = NEURONA) -> str:
    """Return 32 hex digits that name a run: SHA-256 over network, training, data, seed, engine and its version.

    Equal ids mean equal bits on the same machine with the same libraries; Keras' backend is one of these.
    """
    version = ENGINE_VERSIONS[engine]
    return fingerprint(
        {
            "network": network.declared(),
            "training": training.declared(),
            "data": data_fingerprint,
            "seed": seed,
            "engine": version if engine == NEURONA else f"{engine} {version}",
        }
    )[:32]
