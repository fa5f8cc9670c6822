"""Optimizers: a specification as Keras' optimizer, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.keras import schedules
from neurona.specs import OPTIMIZERS, Optimizer

__all__ = ["OUTPUT", "make", "read"]

OUTPUT = "output"  # the last layer's name, by which Muon leaves it to Adam

_MAKERS: dict[str, Callable[..., Any]] = {
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
    "muon": partial(keras.optimizers.Muon, exclude_layers=[OUTPUT]),
}
# Keras' class -> our name; SGD's and Adam's variants are told apart by their settings.
_NAMES = {
    "Adam": "adam",
    "SGD": "sgd",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "AdamW": "adamw",
    "Nadam": "nadam",
    "Adamax": "adamax",
    "Lion": "lion",
    "Muon": "muon",
}
# What Keras' optimizers can be told and ours cannot, and the value that does nothing
_NOT_OURS = {"loss_scale_factor": None, "gradient_accumulation_steps": None}
_MUON = {"muon_a": 3.4445, "muon_b": -4.7750, "muon_c": 2.0315}


def make(optimizer: Optimizer, steps: int, ema_momentum: float | None) -> Any:
    """Return Keras' optimizer for a training of `steps` steps."""
    settings = optimizer.settings
    settings["learning_rate"] = schedules.make(optimizer.schedule, settings["learning_rate"], steps)
    average = {} if ema_momentum is None else {"use_ema": True, "ema_momentum": ema_momentum}
    return _MAKERS[optimizer.name](**settings, **average)


def read(model: Any, steps: int | None) -> tuple[Optimizer, float | None]:
    """Return the optimizer of a compiled model, and the momentum of its running mean of the weights, if it has one.

    Raises UsageError for what Neurona cannot take.
    """
    kind = type(model.optimizer).__name__
    if kind not in _NAMES:
        raise UsageError(_("the optimizer {kind} is none of Neurona's.").format(kind=kind))
    config = model.optimizer.get_config()
    name = "amsgrad" if config.get("amsgrad") else _NAMES[kind]
    refused = {key: config[key] for key, nothing in _NOT_OURS.items() if config.get(key) not in (nothing, False)}
    if name == "muon":
        refused |= {key: config[key] for key, value in _MUON.items() if config[key] != value}
        _check_muon(model)
    if config.get("use_ema") and config.get("ema_overwrite_frequency"):
        refused["ema_overwrite_frequency"] = config["ema_overwrite_frequency"]
    for key, value in refused.items():
        sentence = _("the optimizer's {key} must be as Keras has it, but is {value}.")
        raise UsageError(sentence.format(key=key, value=value))
    wanted = (*OPTIMIZERS[name], "weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
    settings = {key: _shortest(config[key]) for key in wanted if config.get(key) is not None}
    if name == "muon":
        settings |= {key: float(settings.get(key, 0.0)) for key in ("weight_decay", "adam_weight_decay")}
        settings["adam_lr_ratio"] = float(settings["adam_lr_ratio"])
    if isinstance(config["learning_rate"], dict):
        settings["learning_rate"], settings["schedule"] = schedules.read(config["learning_rate"], steps)
    return Optimizer(name=name, **settings), config["ema_momentum"] if config.get("use_ema") else None


def _check_muon(model: Any) -> None:
    """Raise UsageError unless Muon has all kernels but the last, and Adam that one: Neurona's Muon does no other."""
    optimizer = model.optimizer
    if optimizer.rms_rate is None:
        raise UsageError(_("Muon's rms_rate must be a number."))
    kernels = [layer.kernel for layer in model.layers if type(layer).__name__ == "Dense"]
    to_adam = [bool(optimizer._should_use_adamw(kernel)) for kernel in kernels]
    if to_adam != [False] * (len(kernels) - 1) + [True]:
        sentence = _("Muon must leave the last Dense, {name}, and no other to Adam: exclude_layers=[{name!r}].")
        raise UsageError(sentence.format(name=model.layers[-1].name))


def _shortest(value: Any) -> Any:
    """Return the shortest decimal that is this float32: Keras gives back 0.10000000149 for a rate of 0.1."""
    return float(str(np.float32(value))) if isinstance(value, float | np.floating) else value
