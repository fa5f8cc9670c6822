"""Networks to and from other programs. Keras (extra `[keras]`): `to_keras` and `from_keras`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neurona.errors import MissingExtraError, UsageError
from neurona.i18n import _
from neurona.run import Parameters
from neurona.specs import ACTIVATIONS, OPTIMIZERS, Network, Optimizer, Training

__all__ = ["FromKeras", "from_keras", "to_keras"]

_NORMALIZATIONS = {"batch": "BatchNormalization", "layer": "LayerNormalization"}
# Layers that a dense stack has before its first `Dense`, and between two
_SHAPES = ("InputLayer", "Flatten")
_OPTIMIZERS = {
    "Adam": "adam",
    "SGD": "sgd",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "AdamW": "adamw",
    "Nadam": "nadam",
    "Adamax": "adamax",
    "Lion": "lion",
}


def _keras() -> Any:
    try:
        import keras
    except ImportError:
        sentence = _("Keras is not installed; it comes with the extra [keras]: pip install 'neurona[keras]'.")
        raise MissingExtraError(sentence) from None
    return keras


def to_keras(network: Network, parameters: Parameters, *, image_shape: tuple[int, int]) -> Any:
    """Return a `keras.Model` that computes what the network does, from raw pixels to probabilities, not compiled.

    parameters: as `Run.parameters` has them.
    image_shape: height and width in pixels.

    Raises MissingExtraError without Keras.
    """
    keras = _keras()
    layers = keras.layers
    inputs = x = layers.Input(image_shape)
    x = layers.Flatten()(layers.Rescaling(1 / 255)(x))
    if network.input_noise > 0:
        x = layers.GaussianNoise(network.input_noise)(x)
    if network.input_dropout > 0:
        x = layers.Dropout(network.input_dropout)(x)
    weighted = []
    for index, units in enumerate(network.hidden):
        activation = _keras_activation(keras, network.activations[index])
        dense = layers.Dense(units, activation=None if network.normalization else activation)
        y = dense(x)
        weighted.append([dense])
        if network.normalization:
            normalization = getattr(layers, _NORMALIZATIONS[network.normalization])(epsilon=1e-3)
            weighted[-1].append(normalization)
            y = layers.Activation(activation)(normalization(y))
        if network.dropouts[index] > 0:
            y = layers.Dropout(network.dropouts[index])(y)
        if network.alpha_dropouts[index] > 0:
            y = layers.AlphaDropout(network.alpha_dropouts[index])(y)
        x = layers.Add()([x, y]) if network.residual and index > 0 and x.shape == y.shape else y
    weighted.append([layers.Dense(parameters[-1]["bias"].shape[0], activation="softmax")])
    model = keras.Model(inputs, weighted[-1][0](x))
    for layer, (dense, *normalizations) in zip(parameters, weighted, strict=True):
        dense.set_weights([np.asarray(layer[name]) for name in ("kernel", "bias")])
        for normalization in normalizations:
            names = [variable.name for variable in normalization.weights]
            normalization.set_weights([np.asarray(layer[name]) for name in names])
    return model


def _keras_activation(keras: Any, name: str) -> Any:
    if name != "gelu_tanh":
        return name

    def gelu_tanh(x: Any) -> Any:
        return keras.activations.gelu(x, approximate=True)

    return keras.saving.register_keras_serializable("neurona")(gelu_tanh)


class FromKeras(NamedTuple):
    """What a Keras model says: its architecture, its recipe, and its weights as `Run.parameters` has them."""

    network: Network
    training: Training
    parameters: Parameters


def from_keras(model: Any, *, batch_size: int = 100, epochs: int = 5, **training: Any) -> FromKeras:
    """Return the network, training and weights of a compiled Keras `Sequential` of dense layers.

    model: `Flatten`, `Rescaling(1/255)`, `Dense`, `Activation`, `Dropout`, `AlphaDropout`, `GaussianNoise`,
        `BatchNormalization` and `LayerNormalization` in the order that a `Network` has; ends in `Dense` with softmax.
        Without `Rescaling` it is taken to expect pixels from 0 to 1, as the course's does: Neurona divides by 255.
    batch_size, epochs, training: what Keras is told in `fit` and not in the model.

    Raises UsageError with the name of the layer, optimizer or loss that Neurona cannot take.
    """
    parts = _Parts()
    for layer in model.layers:
        kind = type(layer).__name__
        if kind not in _TAKERS:
            sentence = _("the layer {name} is a {kind}, which a dense network of Neurona's cannot have.")
            raise UsageError(sentence.format(name=layer.name, kind=kind))
        _TAKERS[kind](parts, layer)
    recipe = Training(optimizer=_optimizer(model), batch_size=batch_size, epochs=epochs, **training)
    return FromKeras(parts.network(), recipe, tuple(parts.weights))


class _Parts:
    """What has been read of a model so far."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Any]] = []
        self.activations: list[str] = []
        self.rates: dict[str, dict[int, float]] = {"dropout": {}, "alpha_dropout": {}}
        self.normalizations: dict[int, str] = {}
        self.input: dict[str, float] = {}

    def network(self) -> Network:
        """Return the network, when the model is whole."""
        if not self.activations or self.activations[-1] != "softmax":
            raise UsageError(_("the model's last layer must be a Dense with the activation softmax."))
        hidden = range(len(self.weights) - 1)
        kinds = set(self.normalizations.values())
        if kinds and (len(kinds) > 1 or set(self.normalizations) != set(hidden)):
            raise UsageError(_("either every hidden layer must have the same normalization, or none."))
        for name in self.activations[:-1]:
            if name not in ACTIVATIONS:
                raise UsageError(_("the activation {name!r} is none of Neurona's.").format(name=name))
        return Network(
            hidden=tuple(self.weights[index]["bias"].shape[0] for index in hidden),
            activation=_one_or_each(self.activations[:-1], "relu"),
            normalization=next(iter(kinds), None),
            **{kind: _one_or_each([rates.get(i, 0.0) for i in hidden], 0.0) for kind, rates in self.rates.items()},
            **self.input,
        )

    def shape(self, layer: Any) -> None:
        """Take an input layer or a flattening."""

    def rescaling(self, layer: Any) -> None:
        """Take the division by 255; no other scale can be."""
        if self.weights or abs(float(layer.scale) * 255 - 1) > 1e-6 or float(layer.offset) != 0.0:
            sentence = _("the layer {name} must be Rescaling(1/255) before the first Dense.")
            raise UsageError(sentence.format(name=layer.name))

    def dense(self, layer: Any) -> None:
        """Take a dense layer."""
        if not layer.use_bias:
            raise UsageError(_("the layer {name} must have biases.").format(name=layer.name))
        self.weights.append(_arrays(layer))
        self.activations.append(_activation_name(layer))

    def activation(self, layer: Any) -> None:
        """Take an activation on its own, after a dense layer without one."""
        if not self.activations or self.activations[-1] != "linear":
            sentence = _("the layer {name} must come after a Dense without activation.")
            raise UsageError(sentence.format(name=layer.name))
        self.activations[-1] = _activation_name(layer)

    def normalization(self, layer: Any) -> None:
        """Take a normalisation, which must come before the activation."""
        index = len(self.weights) - 1
        if index < 0 or self.activations[-1] != "linear" or abs(layer.epsilon - 1e-3) > 1e-9:
            sentence = _("the layer {name} must come between a Dense and its activation, with epsilon 0.001.")
            raise UsageError(sentence.format(name=layer.name))
        self.normalizations[index] = "batch" if type(layer).__name__ == "BatchNormalization" else "layer"
        self.weights[index] |= _arrays(layer)

    def dropout(self, layer: Any) -> None:
        """Take dropout of either kind, on the input or after a hidden layer."""
        kind = "dropout" if type(layer).__name__ == "Dropout" else "alpha_dropout"
        if self.weights:
            self.rates[kind][len(self.weights) - 1] = float(layer.rate)
        elif kind == "dropout":
            self.input["input_dropout"] = float(layer.rate)
        else:
            raise UsageError(_("the layer {name} must come after a Dense.").format(name=layer.name))

    def noise(self, layer: Any) -> None:
        """Take noise on the input."""
        if self.weights:
            raise UsageError(_("the layer {name} must come before the first Dense.").format(name=layer.name))
        self.input["input_noise"] = float(layer.stddev)


_TAKERS: dict[str, Callable[[_Parts, Any], None]] = {
    **dict.fromkeys(_SHAPES, _Parts.shape),
    "Rescaling": _Parts.rescaling,
    "Dense": _Parts.dense,
    "Activation": _Parts.activation,
    "BatchNormalization": _Parts.normalization,
    "LayerNormalization": _Parts.normalization,
    "Dropout": _Parts.dropout,
    "AlphaDropout": _Parts.dropout,
    "GaussianNoise": _Parts.noise,
}


def _one_or_each(values: list[Any], default: Any) -> Any:
    """Return the one value that all layers have, or a value for each."""
    return tuple(values) if len(set(values)) > 1 else next(iter(values), default)


def _arrays(layer: Any) -> dict[str, Any]:
    """Return a layer's weights, Keras' name -> array."""
    return {variable.name: np.asarray(variable.value) for variable in layer.weights}


def _activation_name(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", layer.activation))


def _optimizer(model: Any) -> Optimizer:
    if getattr(model, "optimizer", None) is None:
        raise UsageError(_("the model must be compiled, so that its optimizer and loss are known."))
    loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    if loss.replace("_", "").lower() not in ("sparsecategoricalcrossentropy", "categoricalcrossentropy"):
        raise UsageError(_("the loss must be categorical cross-entropy, but is {loss}.").format(loss=loss))
    kind = type(model.optimizer).__name__
    if kind not in _OPTIMIZERS:
        raise UsageError(_("the optimizer {kind} is none of Neurona's.").format(kind=kind))
    config = model.optimizer.get_config()
    if isinstance(config["learning_rate"], dict):
        raise UsageError(_("the optimizer's learning rate must be a number; say the schedule in Neurona's words."))
    name = "amsgrad" if config.get("amsgrad") else _OPTIMIZERS[kind]
    wanted = (*OPTIMIZERS[name], "weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
    settings = {key: _shortest(config[key]) for key in wanted if config.get(key) is not None}
    return Optimizer(name=name, **settings)


def _shortest(value: Any) -> Any:
    """Return the shortest decimal that is this float32: Keras gives back 0.10000000149 for a rate of 0.1."""
    return float(str(np.float32(value))) if isinstance(value, float | np.floating) else value
