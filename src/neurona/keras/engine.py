"""The engine that is Keras: an experiment through `model.fit`, on whatever backend the user has.

It begins with Neurona's initial weights, and Keras does the rest: its layers, optimizer, schedule, loss, callbacks, and
its own order of the images. Keras' random numbers are the whole process's, so that one run at a time trains here,
whoever calls; those of Python and NumPy are put back as they were.
"""

from __future__ import annotations

import math
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from neurona import network as networks
from neurona import objective
from neurona.data import Dataset
from neurona.engine import Interrupted
from neurona.engine.streams import Stream, sequence
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.keras.model import parameters_of, to_keras
from neurona.run import Epoch, History, Run, Seconds, State
from neurona.specs import EarlyStopping, Network, Training

__all__ = ["check_backend", "train"]

_BACKENDS = ("jax", "tensorflow", "torch")  # those that train
_VALIDATION_BATCH = 1_000  # images; Keras would take the training's batches, and many a step

_one_at_a_time = threading.Lock()


def check_backend() -> str:
    """Return the name of Keras' backend; UsageError when it cannot train."""
    backend = str(keras.config.backend())
    if backend not in _BACKENDS:
        sentence = _("Keras' backend must be one of {names} to train, but is {backend}; KERAS_BACKEND sets it.")
        raise UsageError(sentence.format(names=", ".join(_BACKENDS), backend=backend))
    return backend


def train(
    network: Network,
    training: Training,
    data: Dataset,
    *,
    seed: int,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Train `network` on `data.train` with Keras and return the run, as `neurona.engine.train` does.

    Same arguments, same backend, same machine: same result, as far as the backend keeps that promise. There are no
    checkpoints: a run that is stopped begins anew. `seconds.compile` is what a first `fit` of a batch of each size
    takes, of which nothing is kept.

    Raises SpecError with the key of what Keras cannot do, and UsageError on a backend that cannot train.
    """
    versions = _versions()
    with _one_at_a_time, _seeded(seed):
        started = time.perf_counter()
        images, labels = data.train.images, data.train.labels
        batch_size = min(training.batch_size, len(images))
        steps = training.epochs * math.ceil(len(images) / batch_size)
        weights = objective.class_weights(training, labels, len(data.class_names))
        initial = networks.init(
            network,
            pixels=math.prod(data.image_shape),
            classes=len(data.class_names),
            seed=sequence(seed, Stream.WEIGHTS),
        )
        model = to_keras(network, initial, image_shape=data.image_shape, training=training, steps=steps)
        fit: dict[str, Any] = {"batch_size": batch_size, "verbose": 0}
        if training.class_weight is not None:
            fit["class_weight"] = dict(enumerate(weights.tolist()))
        loaded = time.perf_counter()
        _compile(model, data, fit)
        compiled = time.perf_counter()
        keras.utils.set_random_seed(_keras_seed(seed))
        watcher = _Watcher(on_epoch, stop)
        model.fit(
            images,
            labels,
            epochs=training.epochs,
            validation_data=(data.validation.images, data.validation.labels),
            validation_batch_size=_VALIDATION_BATCH,
            callbacks=[*_callbacks(training), watcher],
            **fit,
        )
        return Run(
            network=network,
            training=training,
            seed=seed,
            fingerprint=data.fingerprint,
            state=watcher.state,
            history=History(tuple(watcher.epochs)),
            parameters=parameters_of(model),
            seconds=Seconds(loaded - started, compiled - loaded, time.perf_counter() - compiled),
            engine="keras",
            versions=versions,
        )


def _versions() -> dict[str, str]:
    backend = check_backend()
    return {"keras": keras.__version__, "keras_backend": f"{backend} {sys.modules[backend].__version__}"}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Keras, by the only way there is, through the process's generators; put those of Python and NumPy back."""
    before, numpy_before = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(_keras_seed(seed))
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


def _keras_seed(seed: int) -> int:
    """Return 32 bits, which is what Keras takes, of the stream for the order of the images."""
    return int(sequence(seed, Stream.ORDER).generate_state(1)[0])


def _callbacks(training: Training) -> list[Any]:
    """Return Keras' callbacks for averaged weights and early stopping.

    The average is swapped in for validation; where the best epoch's weights are restored, it also stays in at the end
    of an epoch, so that it is what is remembered.
    """
    rule, found = training.early_stopping, []
    if training.ema_momentum is not None:
        remembered = rule is not None and rule.restore_best_weights
        found.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=remembered))
    if rule is not None:
        found.append(_early_stopping(rule))
    return found


def _early_stopping(rule: EarlyStopping) -> Any:
    mode = "min" if rule.monitor.endswith("loss") else "max"
    return keras.callbacks.EarlyStopping(**rule.model_dump(), mode=mode)


def _compile(model: Any, data: Dataset, fit: dict[str, Any]) -> None:
    """Have Keras compile what it needs for every size of batch there is, and put back whatever that changed."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]
    train, validation = data.train, data.validation
    some = fit["batch_size"] + len(train) % fit["batch_size"]
    few = min(len(validation), _VALIDATION_BATCH + len(validation) % _VALIDATION_BATCH)
    model.fit(
        train.images[:some],
        train.labels[:some],
        validation_data=(validation.images[:few], validation.labels[:few]),
        validation_batch_size=_VALIDATION_BATCH,
        **fit,
    )
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


class _Watcher(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the epochs, tells of them, and stops a run that has diverged or is to stop. It comes last."""

    def __init__(self, on_epoch: Callable[[int, Epoch], None] | None, stop: Callable[[], bool] | None) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self.state: State = "complete"
        self._on_epoch, self._stop = on_epoch, stop
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the figures of the epoch that ended."""
        figures = {key: float((logs or {})[key]) for key in History.KEYS if key != "seconds"}
        self.epochs.append(Epoch(**figures, seconds=time.perf_counter() - self._began))
        if self._on_epoch is not None:
            self._on_epoch(len(self.epochs), self.epochs[-1])
        if not (math.isfinite(self.epochs[-1].loss) and math.isfinite(self.epochs[-1].val_loss)):
            self.state = "diverged"
            self.model.stop_training = True
        goes_on = len(self.epochs) < self.params["epochs"] and not self.model.stop_training
        if goes_on and self._stop is not None and self._stop():
            raise Interrupted
