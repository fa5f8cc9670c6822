"""Real Keras is the oracle: same weights, same order of the images, same result."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_oracle import check, fit_keras
from neurona import engine, network
from neurona.data import Dataset
from neurona.specs import ACTIVATIONS, Network, Training


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation(activation: str, small: Dataset) -> None:
    check(Network(hidden=(20, 30), activation=activation), Training(batch_size=50, epochs=1), small)


@pytest.mark.parametrize(
    ("hidden", "batch_size"),
    [((), 100), ((30,), 64), ((20, 30, 10), 100), ((20,), 1), ((20,), 1050), ((20,), 5000)],
)
def test_depths_and_batch_sizes(hidden: tuple[int, ...], batch_size: int, small: Dataset) -> None:
    check(Network(hidden=hidden), Training(batch_size=batch_size, epochs=1), small)


def test_two_epochs_with_an_activation_a_layer(small: Dataset) -> None:
    check(Network(hidden=(20, 20), activation=("relu", "tanh")), Training(batch_size=100, epochs=2), small)


def test_a_whole_epoch_of_the_course(mnist: Dataset) -> None:
    run = engine.train(Network(), Training(epochs=1), mnist, seed=0)
    _weights, history = fit_keras(Network(), Training(epochs=1), mnist, seed=0)
    assert run.history["loss"][0] == pytest.approx(history["loss"][0], rel=1e-3)
    assert run.history["val_accuracy"][0] == pytest.approx(history["val_accuracy"][0], abs=0.002)


def test_initial_weights_are_glorot_uniform() -> None:
    parameters = network.init(Network(hidden=(400,)), pixels=784, classes=10, seed=np.random.SeedSequence(0))
    kernel = np.asarray(parameters[0]["kernel"])
    theirs = np.asarray(keras.initializers.GlorotUniform(seed=0)((784, 400)))
    limit = np.sqrt(6 / (784 + 400))
    assert np.abs(kernel).max() <= limit
    assert np.abs(kernel).max() == pytest.approx(np.abs(theirs).max(), rel=1e-3)
    assert kernel.std() == pytest.approx(theirs.std(), rel=0.01)
    assert not np.asarray(parameters[0]["bias"]).any()


def test_scaling_is_exactly_the_notebooks() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    notebook = (pixels / 255).astype(np.float32)
    identity = ({"kernel": np.eye(256, dtype=np.float32), "bias": np.zeros(256, np.float32)},)
    ours = network.logits(Network(hidden=()), identity, pixels[None])[:, 0]
    np.testing.assert_array_equal(ours, notebook)
