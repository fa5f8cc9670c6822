"""Real Keras as the oracle of training: the same weights, optimizer, order of the images and schedule."""

from __future__ import annotations

import math

import jax
import numpy as np

from neurona import engine, network, to_keras
from neurona.data import Dataset
from neurona.specs import Network, Training


def fit_keras(
    spec: Network, training: Training, data: Dataset, seed: int
) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Train Keras from the engine's initial weights with the engine's order of the images."""
    initial = network.init(spec, pixels=784, classes=10, seed=engine.streams.sequence(seed, engine.Stream.WEIGHTS))
    steps = training.epochs * math.ceil(len(data.train) / training.batch_size)
    model = to_keras(spec, initial, image_shape=(28, 28), training=training, steps=steps)
    history: dict[str, list[float]] = {}
    for number in range(1, training.epochs + 1):
        order = engine.streams.order(seed, number, len(data.train))
        fitted = model.fit(
            data.train.images[order],
            data.train.labels[order],
            batch_size=training.batch_size,
            shuffle=False,
            verbose=0,
            validation_data=(data.validation.images, data.validation.labels),
        )
        for key, values in fitted.history.items():
            history.setdefault(key, []).extend(values)
    return [np.asarray(variable.value) for variable in model.weights], history


def check(spec: Network, training: Training, data: Dataset, *, weights: float = 1e-4) -> None:
    """Assert that the engine's history is Keras', and its weights but for `weights` of their norm.

    An accuracy may be an image off: one that stands between two classes.
    """
    with jax.numpy_rank_promotion("raise"):
        run = engine.train(spec, training, data, seed=3)
    theirs, history = fit_keras(spec, training, data, seed=3)
    ours = [layer[name] for layer in run.parameters for name in ("kernel", "bias")]
    for one, other in zip(ours, theirs, strict=True):
        assert np.linalg.norm(one - other) <= weights * np.linalg.norm(other)
    for key, split in (("loss", data.train), ("val_loss", data.validation)):
        np.testing.assert_allclose(run.history[key], history[key], rtol=1e-5)
        accuracy = key.replace("loss", "accuracy")
        np.testing.assert_allclose(run.history[accuracy], history[accuracy], atol=1.01 / len(split))
