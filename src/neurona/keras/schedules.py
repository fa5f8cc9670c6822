"""Schedules of the learning rate: Keras' own where it has one, behind a warm-up where there is one; and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.specs import Schedule

__all__ = ["OneCycle", "WarmUp", "make", "read"]

_KERAS = keras.optimizers.schedules


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Before any schedule, what `CosineDecay` has before its own: a linear rise to where that begins.

    after: the schedule.
    warmup_steps: how long the rise is.
    start: where it begins, as a part of where it ends.
    """

    def __init__(self, after: Any, warmup_steps: int, start: float) -> None:
        self.after = keras.saving.deserialize_keras_object(after) if isinstance(after, dict) else after
        self.warmup_steps, self.start = warmup_steps, start

    def __call__(self, step: Any) -> Any:
        """Return the learning rate after `step` steps."""
        taken = keras.ops.cast(step, "float32")
        target = keras.ops.cast(self.after(0), "float32")
        rising = target * (self.start + (1.0 - self.start) * taken / self.warmup_steps)
        later = keras.ops.cast(self.after(keras.ops.maximum(taken - self.warmup_steps, 0.0)), "float32")
        return keras.ops.where(taken < self.warmup_steps, rising, later)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        after = keras.saving.serialize_keras_object(self.after)
        return {"after": after, "warmup_steps": self.warmup_steps, "start": self.start}


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Half a cosine up and half a cosine down (Smith & Topin 2018); its rates are worked out beforehand.

    learning_rate: the highest.
    rise, fall: how many steps up, and down.
    """

    def __init__(self, learning_rate: float, rise: int, fall: int, div_factor: float, final_div_factor: float) -> None:
        self.learning_rate, self.rise, self.fall = learning_rate, rise, fall
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        low = learning_rate / div_factor
        up = [_between(low, learning_rate, step / rise) for step in range(rise)]
        down = [_between(learning_rate, low / final_div_factor, step / fall) for step in range(fall + 1)]
        self._rates = np.array(up + down, np.float32)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate after `step` steps."""
        last = len(self._rates) - 1
        return keras.ops.take(keras.ops.convert_to_tensor(self._rates), keras.ops.minimum(_whole(step), last))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        names = ("learning_rate", "rise", "fall", "div_factor", "final_div_factor")
        return {name: getattr(self, name) for name in names}


for _kind in (WarmUp, OneCycle):
    keras.saving.register_keras_serializable("neurona")(_kind)


def _between(start: float, end: float, part: float) -> float:
    return start + (end - start) * (1 - math.cos(math.pi * part)) / 2


def _whole(step: Any) -> Any:
    return keras.ops.cast(step, "int32")


def make(schedule: Schedule, learning_rate: float, steps: int) -> Any:
    """Return Keras' schedule for a training of `steps` steps, or the learning rate itself where it never changes."""
    warmup = max(1, round(schedule.warmup * steps)) if schedule.warmup else 0
    if schedule.name == "cosine" and warmup:
        start = learning_rate * schedule.warmup_from
        decay = _decay(schedule, steps, warmup)
        return _KERAS.CosineDecay(start, decay, schedule.alpha, warmup_target=learning_rate, warmup_steps=warmup)
    if not warmup:
        return (
            learning_rate if schedule.name == "constant" else _MAKERS[schedule.name](schedule, learning_rate, steps, 0)
        )
    return WarmUp(_MAKERS[schedule.name](schedule, learning_rate, steps, warmup), warmup, schedule.warmup_from)


def _decay(schedule: Schedule, steps: int, warmup: int) -> int:
    return max(1, steps - warmup if schedule.decay is None else round(schedule.decay * steps))


def _constant(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    return _KERAS.PiecewiseConstantDecay([steps], [rate, rate])


def _cosine(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    return _KERAS.CosineDecay(rate, _decay(schedule, steps, warmup), schedule.alpha)


def _exponential(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    decay = _decay(schedule, steps, warmup)
    return _KERAS.ExponentialDecay(rate, decay, schedule.decay_rate, bool(schedule.staircase))


def _step(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    boundaries = [round(boundary * steps) - warmup for boundary in schedule.boundaries or ()]
    return _KERAS.PiecewiseConstantDecay(boundaries, [rate, *(rate * factor for factor in schedule.factors or ())])


def _polynomial(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    decay = _decay(schedule, steps, warmup)
    return _KERAS.PolynomialDecay(rate, decay, schedule.end_learning_rate, schedule.power)


def _one_cycle(schedule: Schedule, rate: float, steps: int, warmup: int) -> Any:
    settings = schedule.settings
    rise = max(1, round(settings["pct_start"] * steps))
    fall = max(1, steps - warmup - rise)
    return OneCycle(rate, rise, fall, settings["div_factor"], settings["final_div_factor"])


_MAKERS: dict[str, Callable[[Schedule, float, int, int], Any]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
    "polynomial": _polynomial,
    "one_cycle": _one_cycle,
}


def read(serialized: Mapping[str, Any], steps: int | None) -> tuple[float, dict[str, Any]]:
    """Return the learning rate and the schedule, as `Optimizer` takes them, that Keras' config of a schedule says.

    steps: of the whole training, of which Neurona's lengths are shares.

    Raises UsageError for a schedule that Neurona does not have, or that is longer than the training.
    """
    kind, config = str(serialized["class_name"]), serialized["config"]
    if kind not in _READERS:
        sentence = _("the learning rate follows a {kind}, which is none of Neurona's schedules: {names}.")
        raise UsageError(sentence.format(kind=kind, names=", ".join(_READERS)))
    if steps is None:
        sentence = _(
            "the learning rate follows a {kind}, whose lengths Neurona takes as shares of the training: give steps=, "
            "epochs times the batches of an epoch."
        )
        raise UsageError(sentence.format(kind=kind))
    return _READERS[kind](config, steps)


def _share(length: float, steps: int, name: str) -> float:
    """Return a length as a share of the training."""
    if not 0 < length <= steps:
        sentence = _("{name} must be 1 to {steps}, the steps of the whole training, but is {length}.")
        raise UsageError(sentence.format(name=name, steps=steps, length=length))
    return length / steps


def _read_cosine(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    warmup = config["warmup_steps"] if config["warmup_target"] is not None else 0
    rate = config["warmup_target"] if warmup else config["initial_learning_rate"]
    found = {"name": "cosine", "alpha": config["alpha"]}
    if config["decay_steps"] != steps - warmup:
        found["decay"] = _share(config["decay_steps"], steps, "decay_steps")
    if warmup:
        found |= {"warmup": warmup / steps, "warmup_from": config["initial_learning_rate"] / rate}
    return rate, found


def _read_exponential(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    length, decay_rate = config["decay_steps"], config["decay_rate"]
    if length > steps and not config["staircase"]:  # the same curve, told by a shorter period
        length, decay_rate = steps, decay_rate ** (steps / length)
    found = {"decay": _share(length, steps, "decay_steps"), "decay_rate": decay_rate, "staircase": config["staircase"]}
    return config["initial_learning_rate"], {"name": "exponential", **found}


def _read_piecewise(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    rate = config["values"][0]
    pairs = zip(config["boundaries"], config["values"][1:], strict=True)
    reached = [(boundary / steps, value / rate) for boundary, value in pairs if boundary < steps]
    if not reached:
        return rate, {"name": "constant"}
    boundaries, factors = zip(*reached, strict=True)
    return rate, {"name": "step", "boundaries": boundaries, "factors": factors}


def _read_polynomial(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    if config["cycle"]:
        raise UsageError(_("Neurona's polynomial schedule does not begin again: cycle must be False."))
    found: dict[str, Any] = {"end_learning_rate": config["end_learning_rate"], "power": config["power"]}
    if config["decay_steps"] != steps:
        found["decay"] = _share(config["decay_steps"], steps, "decay_steps")
    return config["initial_learning_rate"], {"name": "polynomial", **found}


def _read_one_cycle(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    shape = {"div_factor": config["div_factor"], "final_div_factor": config["final_div_factor"]}
    return config["learning_rate"], {"name": "one_cycle", "pct_start": config["rise"] / steps, **shape}


def _read_warm_up(config: Mapping[str, Any], steps: int) -> tuple[float, dict[str, Any]]:
    warmup = config["warmup_steps"]
    rate, found = read(config["after"], steps)
    if found["name"] == "step":
        found["boundaries"] = tuple(boundary + warmup / steps for boundary in found["boundaries"])
    if found["name"] == "polynomial" and found.get("decay") == (steps - warmup) / steps:
        del found["decay"]  # all that warm-up leaves
    return rate, {**found, "warmup": warmup / steps, "warmup_from": config["start"]}


_READERS: dict[str, Callable[[Mapping[str, Any], int], tuple[float, dict[str, Any]]]] = {
    "CosineDecay": _read_cosine,
    "ExponentialDecay": _read_exponential,
    "PiecewiseConstantDecay": _read_piecewise,
    "PolynomialDecay": _read_polynomial,
    "OneCycle": _read_one_cycle,
    "WarmUp": _read_warm_up,
}
