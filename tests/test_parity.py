"""Real Keras is the oracle: same weights, same order of the images, same result."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from neurona import engine, network
from neurona.data import Dataset
from neurona.run import Parameters
from neurona.specs import ACTIVATIONS, Network, Optimizer, Training

OPTIMIZERS = {
    "adam": Optimizer(name="adam", learning_rate=0.002),
    "adam with other moments": Optimizer(name="adam", beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "sgd": Optimizer(name="sgd", learning_rate=0.1),
    "momentum": Optimizer(name="sgd", learning_rate=0.05, momentum=0.9),
    "nesterov": Optimizer(name="sgd", learning_rate=0.05, momentum=0.9, nesterov=True),
}


def keras_model(spec: Network, parameters: Parameters, optimizer: Optimizer) -> keras.Model:
    layers = [keras.layers.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    layers += [
        keras.layers.Dense(units, activation=activation)
        for units, activation in zip(spec.hidden, spec.activations, strict=True)
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.set_weights([layer[name] for layer in parameters for name in ("kernel", "bias")])
    model.compile(
        optimizer={"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer.name](**optimizer.settings),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def fit_keras(
    spec: Network, training: Training, data: Dataset, seed: int
) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Train Keras from the engine's initial weights with the engine's order of the images."""
    initial = network.init(spec, pixels=784, classes=10, seed=engine._sequence(seed, engine.Stream.WEIGHTS))
    model = keras_model(spec, initial, training.optimizer)
    history: dict[str, list[float]] = {}
    for number in range(1, training.epochs + 1):
        order = engine._order(seed, number, len(data.train))
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


def check(spec: Network, training: Training, data: Dataset) -> None:
    with jax.numpy_rank_promotion("raise"):
        run = engine.train(spec, training, data, seed=3)
    weights, history = fit_keras(spec, training, data, seed=3)
    for ours, theirs in zip(jax.tree.leaves([[p["kernel"], p["bias"]] for p in run.parameters]), weights, strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(run.history[key], history[key], rtol=1e-5)
    for key in ("accuracy", "val_accuracy"):
        np.testing.assert_allclose(run.history[key], history[key], atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_epoch_of_each_optimizer_with_a_partial_last_batch(optimizer: Optimizer, small: Dataset) -> None:
    assert len(small.train) % 100
    check(Network(), Training(optimizer=optimizer, batch_size=100, epochs=1), small)


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
