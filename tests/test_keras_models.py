"""Keras models there and back: what `to_keras` compiles, `from_keras` reads, and what neither can take is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from neurona import from_keras, network, to_keras
from neurona.errors import UsageError
from neurona.run import Parameters
from neurona.specs import INITIALIZERS, OPTIMIZERS, Network, Optimizer, Schedule, Training

NETWORK = Network(hidden=(20, 10), activation="tanh", initializer="he_normal")
STEPS = 60
SCHEDULES = {
    "constant after warm-up": Schedule(warmup=0.25, warmup_from=0.5),
    "cosine": Schedule(name="cosine", alpha=0.1),
    "cosine after warm-up": Schedule(name="cosine", warmup=0.2, warmup_from=0.5, decay=0.5),
    "exponential": Schedule(name="exponential", decay=0.2, decay_rate=0.25, staircase=True),
    "exponential after warm-up": Schedule(name="exponential", warmup=0.1, decay=0.2, decay_rate=0.25),
    "step": Schedule(name="step", boundaries=(0.25, 0.75), factors=(0.5, 0.25)),
    "step after warm-up": Schedule(name="step", warmup=0.1, boundaries=(0.2, 0.5), factors=(0.5, 2.0)),
    "polynomial": Schedule(name="polynomial", end_learning_rate=0.01, power=2.0),
    "polynomial after warm-up": Schedule(name="polynomial", warmup=0.25, end_learning_rate=0.01),
    "one-cycle": Schedule(name="one_cycle", pct_start=0.25, div_factor=10.0),
    "one-cycle after warm-up": Schedule(name="one_cycle", warmup=0.1, pct_start=0.5),
}
TRAININGS = {
    **{name: Training(optimizer=Optimizer(name=name)) for name in OPTIMIZERS},
    **{
        name: Training(optimizer=Optimizer(name="adamw", learning_rate=0.5, schedule=schedule))
        for name, schedule in SCHEDULES.items()
    },
    "muon, changed": Training(
        optimizer=Optimizer(
            name="muon", learning_rate=0.02, momentum=0.9, ns_steps=3, adam_lr_ratio=0.5, schedule="cosine"
        )
    ),
    "muon without decay": Training(optimizer=Optimizer(name="muon", weight_decay=0.0, adam_weight_decay=0.0)),
    "clipped": Training(optimizer=Optimizer(name="nadam", clipnorm=0.5)),
    "penalties": Training(l1=0.001, l2=0.01),
    "bound": Training(max_norm=2.0),
    "smoothed": Training(label_smoothing=0.1, confidence_penalty=0.2),
    "averaged": Training(ema_momentum=0.9),
}


def initial(spec: Network) -> Parameters:
    return network.init(spec, pixels=16, classes=3, seed=np.random.SeedSequence(0))


def twin(training: Training, spec: Network = NETWORK) -> Any:
    return to_keras(spec, initial(spec), image_shape=(4, 4), training=training, steps=STEPS)


def close(ours: Training, theirs: Training) -> bool:
    """Whether two trainings are one, but for the rounding of lengths and of momentum told as plain SGD's."""
    assert ours.optimizer.schedule.name == theirs.optimizer.schedule.name
    for name, value in ours.optimizer.schedule.settings.items():
        other = theirs.optimizer.schedule.settings[name]
        if name == "decay":  # all that is left, or as many steps
            left = 1 - ours.optimizer.schedule.warmup
            assert (other or left) == pytest.approx(value or left)
        else:
            assert other == (value if value is None or isinstance(value, bool) else pytest.approx(value)), name
    assert theirs.optimizer.settings == pytest.approx(ours.optimizer.settings)
    return ours.replace(optimizer=theirs.optimizer) == theirs


SGDS = {"momentum": {}, "nesterov": {"nesterov": True}}  # Keras knows them as SGD


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_a_training_comes_back(training: Training) -> None:
    found = from_keras(twin(training), steps=STEPS)
    assert found.network == NETWORK
    name = training.optimizer.name
    if name in SGDS:
        settings = training.optimizer.settings | SGDS[name]
        training = training.replace(optimizer=Optimizer(name="sgd", **settings))
    assert found.training.optimizer.name == training.optimizer.name
    assert close(training, found.training)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_comes_back(name: str) -> None:
    spec = Network(hidden=(5,), initializer=name)
    assert from_keras(twin(Training(), spec)).network == spec


def test_a_compiled_model_can_be_saved(tmp_path: Path) -> None:
    """Our own schedule, loss and activation are known to Keras once Neurona is."""
    spec = Network(hidden=(5,), activation="gelu_tanh")
    training = Training(
        optimizer=Optimizer(schedule={"name": "one_cycle", "warmup": 0.1}), label_smoothing=0.1, confidence_penalty=0.1
    )
    model = twin(training, spec)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = from_keras(again, steps=STEPS)
    assert found.network == spec
    assert close(training, found.training)
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4), np.uint8)
    np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


def users(optimizer: Any = "adam", loss: Any = "sparse_categorical_crossentropy", **kernel: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((4, 4)),
            layers.Flatten(),
            layers.Dense(5, activation="relu", name="first", **kernel),
            layers.Dense(3, activation="softmax", name="last", **kernel),
        ]
    )
    model.compile(optimizer=optimizer, loss=loss)
    return model


RATES = keras.optimizers.schedules
TAKEN = {
    "a longer exponential": (
        lambda: users(keras.optimizers.SGD(RATES.ExponentialDecay(0.1, 4 * STEPS, 0.0625))),
        {"learning_rate": 0.1, "schedule": {"name": "exponential", "decay": 1.0, "decay_rate": 0.5}},
    ),
    "a boundary that is never reached": (
        lambda: users(keras.optimizers.SGD(RATES.PiecewiseConstantDecay([30, 900], [0.1, 0.05, 0.01]))),
        {"learning_rate": 0.1, "schedule": {"name": "step", "boundaries": (0.5,), "factors": (0.5,)}},
    ),
    "no boundary that is reached": (
        lambda: users(keras.optimizers.SGD(RATES.PiecewiseConstantDecay([900], [0.1, 0.05]))),
        {"learning_rate": 0.1},
    ),
    "a shorter polynomial": (
        lambda: users(keras.optimizers.SGD(RATES.PolynomialDecay(0.1, STEPS // 2, 0.01))),
        {"learning_rate": 0.1, "schedule": {"name": "polynomial", "decay": 0.5, "end_learning_rate": 0.01}},
    ),
}


@pytest.mark.parametrize(("model", "settings"), TAKEN.values(), ids=TAKEN)
def test_schedules_of_users_are_taken(model: Callable[[], Any], settings: dict[str, Any]) -> None:
    found = from_keras(model(), steps=STEPS)
    assert found.training.optimizer == Optimizer(name="sgd", **settings)


def test_what_a_user_says_in_layers_and_loss_is_taken() -> None:
    found = from_keras(
        users(
            keras.optimizers.Adam(use_ema=True, ema_momentum=0.5),
            keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
            kernel_regularizer=keras.regularizers.L2(0.01),
            kernel_constraint=keras.constraints.MaxNorm(3.0),
            kernel_initializer="he_uniform",
        ),
        epochs=7,
    )
    assert found.network == Network(hidden=(5,), initializer="he_uniform")
    assert found.training == Training(epochs=7, l2=0.01, max_norm=3.0, label_smoothing=0.2, ema_momentum=0.5)


def test_muon_of_a_user_is_taken_when_it_leaves_the_last_layer_to_adam() -> None:
    found = from_keras(users(keras.optimizers.Muon(0.02, exclude_layers=["last"])))
    assert found.training.optimizer == Optimizer(name="muon", learning_rate=0.02)


REFUSED = {
    "a schedule without steps": (
        lambda: from_keras(users(keras.optimizers.SGD(RATES.CosineDecay(0.1, 10)))),
        r"follows a CosineDecay, .* give steps=",
    ),
    "a schedule that is none": (
        lambda: from_keras(users(keras.optimizers.SGD(RATES.InverseTimeDecay(0.1, 10, 0.5))), steps=STEPS),
        "follows a InverseTimeDecay, which is none of Neurona's",
    ),
    "a schedule that is longer": (
        lambda: from_keras(users(keras.optimizers.SGD(RATES.CosineDecay(0.1, 61))), steps=STEPS),
        "decay_steps must be 1 to 60, the steps of the whole training, but is 61",
    ),
    "a polynomial that begins again": (
        lambda: from_keras(users(keras.optimizers.SGD(RATES.PolynomialDecay(0.1, 10, cycle=True))), steps=STEPS),
        "cycle must be False",
    ),
    "muon for the last layer": (lambda: from_keras(users(keras.optimizers.Muon())), r"leave the last Dense, last,"),
    "muon for the last layer only": (
        lambda: from_keras(users(keras.optimizers.Muon(exclude_layers=["first"]))),
        r"exclude_layers=\['last'\]",
    ),
    "muon's other coefficients": (
        lambda: from_keras(users(keras.optimizers.Muon(exclude_layers=["last"], muon_a=3.0))),
        "muon_a must be as Keras has it, but is 3.0",
    ),
    "gathered gradients": (
        lambda: from_keras(users(keras.optimizers.SGD(gradient_accumulation_steps=4))),
        "gradient_accumulation_steps must be",
    ),
    "logits": (
        lambda: from_keras(users(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))),
        "from_logits must be False",
    ),
    "an orthogonal penalty": (
        lambda: from_keras(users(kernel_regularizer=keras.regularizers.OrthogonalRegularizer())),
        "kernel_regularizer of the layer first must be one of L1, L2, L1L2, but is OrthogonalRegularizer",
    ),
    "a penalty on biases": (lambda: from_keras(users(bias_regularizer="l2")), "first has a bias_regularizer"),
    "a bound on other weights": (
        lambda: from_keras(users(kernel_constraint=keras.constraints.MaxNorm(axis=1))),
        "bound the weights into each unit: axis=0",
    ),
    "another initializer": (
        lambda: from_keras(users(kernel_initializer="random_normal")),
        "first has the kernel initializer RandomNormal, which is none of Neurona's",
    ),
    "no compilation": (
        lambda: from_keras(to_keras(NETWORK, initial(NETWORK), image_shape=(4, 4))),
        "must be compiled",
    ),
    "a schedule without length": (
        lambda: to_keras(
            NETWORK,
            initial(NETWORK),
            image_shape=(4, 4),
            training=Training(optimizer=Optimizer(schedule="cosine")),
        ),
        "has a schedule: give steps=",
    ),
    "half precision": (lambda: twin(Training(precision="bfloat16")), r"training\.precision: must be float32"),
}


@pytest.mark.parametrize(("do", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_taken_is_named(do: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        do()


def test_penalties_must_be_the_same_for_all() -> None:
    model = users()
    model.layers[-1].kernel_regularizer = keras.regularizers.L2(0.1)
    with pytest.raises(UsageError, match="every Dense must have the same"):
        from_keras(model)
