"""Real Keras as the oracle of training: the same weights, optimizer, order of the images and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import keras
import numpy as np

from neurona import engine, network
from neurona.data import Dataset
from neurona.run import Parameters
from neurona.specs import Network, Optimizer, Schedule, Training

LAST = "output"  # the last layer's name, by which Muon leaves it to Adam

KERAS_OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "momentum": keras.optimizers.SGD,
    "nesterov": partial(keras.optimizers.SGD, nesterov=True),
    "rmsprop": keras.optimizers.RMSprop,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "amsgrad": partial(keras.optimizers.Adam, amsgrad=True),
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "muon": partial(keras.optimizers.Muon, exclude_layers=[LAST]),
}

# Those of which Keras has no name.
OTHER_ACTIVATIONS = {"gelu_tanh": partial(keras.activations.gelu, approximate=True)}


def compile_optimizer(optimizer: Optimizer, steps: int) -> keras.optimizers.Optimizer:
    """Return Keras' optimizer, whose schedule is for a training of `steps` steps."""
    settings = optimizer.settings
    if optimizer.schedule != Schedule():
        settings["learning_rate"] = compile_schedule(optimizer.schedule, settings["learning_rate"], steps)
    return KERAS_OPTIMIZERS[optimizer.name](**settings)


def compile_schedule(schedule: Schedule, rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return Keras' schedule where it has one, with a warm-up before it."""
    warmup = max(1, round(schedule.warmup * steps)) if schedule.warmup else 0
    decay = round(schedule.decay * steps) if schedule.decay else steps - warmup
    shapes = keras.optimizers.schedules
    if schedule.name == "cosine":
        first = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
        start = rate * schedule.warmup_from if warmup else rate
        return shapes.CosineDecay(start, decay, schedule.alpha, **first)
    if schedule.name == "exponential":
        after = shapes.ExponentialDecay(rate, decay, schedule.decay_rate, schedule.staircase)
    elif schedule.name == "polynomial":
        after = shapes.PolynomialDecay(rate, decay, schedule.end_learning_rate, schedule.power)
    elif schedule.name == "step":
        boundaries = [round(boundary * steps) - warmup for boundary in schedule.boundaries]
        after = shapes.PiecewiseConstantDecay(boundaries, [rate, *(rate * factor for factor in schedule.factors)])
    elif schedule.name == "one_cycle":
        after = OneCycle(rate, schedule, round(schedule.pct_start * steps), steps - warmup)
    else:
        after = shapes.ExponentialDecay(rate, 1, 1.0)
    return WarmUp(after, warmup, schedule.warmup_from) if warmup else after


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """What CosineDecay does before its decay, before any schedule."""

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule, steps: int, start: float) -> None:
        self.after, self.steps, self.start = after, steps, start

    def __call__(self, step: object) -> object:
        step = keras.ops.cast(step, "float32")
        target = self.after(0)
        begin = target * self.start
        rising = begin + (target - begin) * step / self.steps
        return keras.ops.where(step < self.steps, rising, self.after(keras.ops.maximum(step - self.steps, 0)))


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Its values, worked out beforehand in double precision by Smith & Topin's two phases."""

    def __init__(self, rate: float, schedule: Schedule, rise: int, steps: int) -> None:
        low = rate / schedule.div_factor
        last = low / schedule.final_div_factor

        def between(start: float, end: float, part: float) -> float:
            return start + (end - start) * (1 - math.cos(math.pi * part)) / 2

        up = [between(low, rate, step / rise) for step in range(rise)]
        down = [between(rate, last, step / (steps - rise)) for step in range(steps - rise + 1)]
        self.rates = np.array(up + down, np.float32)

    def __call__(self, step: object) -> object:
        return keras.ops.take(self.rates, keras.ops.cast(step, "int32"))


def keras_model(spec: Network, parameters: Parameters, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    layers = [keras.layers.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    layers += [
        keras.layers.Dense(units, activation=OTHER_ACTIVATIONS.get(activation, activation))
        for units, activation in zip(spec.hidden, spec.activations, strict=True)
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax", name=LAST)])
    model.set_weights([layer[name] for layer in parameters for name in ("kernel", "bias")])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit_keras(
    spec: Network, training: Training, data: Dataset, seed: int
) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Train Keras from the engine's initial weights with the engine's order of the images."""
    initial = network.init(spec, pixels=784, classes=10, seed=engine._sequence(seed, engine.Stream.WEIGHTS))
    steps = training.epochs * math.ceil(len(data.train) / training.batch_size)
    model = keras_model(spec, initial, compile_optimizer(training.optimizer, steps))
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
