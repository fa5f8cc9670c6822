"""Schedules: the learning rate at a step, inside the compiled epoch.

`t` counts the steps taken before, as Keras' `iterations` does, less those of the warm-up; `rate` is the learning rate
declared, where a schedule begins, or one-cycle's highest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from neurona.specs import Schedule

__all__ = ["SHAPES", "changes", "numbers", "rate", "structure"]

Numbers = Mapping[str, Any]
Scalar = Any  # a float, or an array while traced


def changes(schedule: Schedule) -> bool:
    """Return whether the rate ever changes."""
    return schedule.name != "constant" or schedule.warmup > 0


def numbers(schedule: Schedule, steps: int) -> dict[str, Any]:
    """Return the settings that are numbers, with every length turned from a fraction of `steps` into steps."""
    warmup = max(1, round(schedule.warmup * steps)) if schedule.warmup else 0
    own: dict[str, Any] = {"warmup": float(warmup), "warmup_from": schedule.warmup_from}
    if "decay" in schedule.settings:
        own["decay"] = float(max(1, steps - warmup if schedule.decay is None else round(schedule.decay * steps)))
    if schedule.boundaries:
        own["boundaries"] = tuple(float(round(boundary * steps) - warmup) for boundary in schedule.boundaries)
    if schedule.pct_start:
        rise = max(1, round(schedule.pct_start * steps))
        own |= {"rise": float(rise), "fall": float(max(1, steps - warmup - rise))}
    lengths = {"warmup", "decay", "boundaries", "pct_start", "staircase"}
    return own | {key: value for key, value in schedule.settings.items() if key not in lengths}


def structure(schedule: Schedule) -> tuple[Any, ...]:
    """Return what of `schedule` decides the program."""
    return schedule.name, schedule.warmup > 0, schedule.staircase, len(schedule.boundaries or ())


def rate(schedule: Schedule, numbers: Numbers, learning_rate: Scalar, step: jax.Array) -> Scalar:
    """Return the learning rate after `step` (int32) steps.

    Warm-up is linear, `first·(from + (1 - from)·step/warmup)` up to what the schedule begins with (Goyal et al. 2017,
    section 2.2); `keras.optimizers.schedules.CosineDecay` has the same, and the other schedules here as well.
    """
    shape = SHAPES[schedule.name]
    taken = step.astype(jnp.float32)
    if not schedule.warmup:
        return shape(schedule, numbers, learning_rate, taken)
    begun = taken / numbers["warmup"]
    first = shape(schedule, numbers, learning_rate, jnp.float32(0))
    return jnp.where(
        begun < 1,
        first * (numbers["warmup_from"] + (1 - numbers["warmup_from"]) * begun),
        shape(schedule, numbers, learning_rate, jnp.maximum(taken - numbers["warmup"], 0)),
    )


def _constant(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """The rate, always."""
    return rate


def _cosine(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """rate·((1 - alpha)·(1 + cos(pi·t/decay))/2 + alpha), then constant (Loshchilov & Hutter 2017, eq. 5).

    `keras.optimizers.schedules.CosineDecay`.
    """
    alpha = numbers["alpha"]
    return rate * ((1 - alpha) * _half_cosine(jnp.minimum(t / numbers["decay"], 1)) + alpha)


def _exponential(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """rate·decay_rate^(t/decay), with staircase of whole periods only: `keras.optimizers.schedules.ExponentialDecay`.

    Keras has no defaults; ours halve the rate with every tenth of the training.
    """
    periods = t / numbers["decay"]
    return rate * numbers["decay_rate"] ** (jnp.floor(periods) if schedule.staircase else periods)


def _step(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """The rate up to and with the first boundary, then rate·factor of the last boundary passed.

    `keras.optimizers.schedules.PiecewiseConstantDecay`, which has no defaults; ours divide by ten after a half and
    after three quarters of the training (He et al. 2016, section 4.2).
    """
    now = rate
    for boundary, factor in zip(numbers["boundaries"], numbers["factors"], strict=True):
        now = jnp.where(t > boundary, rate * factor, now)
    return now


def _polynomial(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """(rate - end)·(1 - t/decay)^power + end, then constant: `keras.optimizers.schedules.PolynomialDecay`."""
    end = numbers["end_learning_rate"]
    return (rate - end) * (1 - jnp.minimum(t / numbers["decay"], 1)) ** numbers["power"] + end


def _one_cycle(schedule: Schedule, numbers: Numbers, rate: Scalar, t: jax.Array) -> Scalar:
    """Half a cosine from rate/div_factor up to the rate, then half a cosine down to rate/(div_factor·final_div_factor).

    Smith & Topin 2018, with the cosines, names and defaults of PyTorch's `OneCycleLR`; Keras has none. The momentum
    stays as it is.
    """
    low = rate / numbers["div_factor"]
    rising = t < numbers["rise"]
    progress = jnp.where(rising, t / numbers["rise"], jnp.minimum((t - numbers["rise"]) / numbers["fall"], 1))
    start, end = jnp.where(rising, low, rate), jnp.where(rising, rate, low / numbers["final_div_factor"])
    return end + (start - end) * _half_cosine(progress)


def _half_cosine(progress: jax.Array) -> jax.Array:
    """Return what falls from 1 to 0 as `progress` goes from 0 to 1."""
    return (1 + jnp.cos(jnp.pi * progress)) / 2


SHAPES: dict[str, Callable[[Schedule, Numbers, Scalar, jax.Array], Scalar]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
    "polynomial": _polynomial,
    "one_cycle": _one_cycle,
}
