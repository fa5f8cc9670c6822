"""A user's compiled Keras model as a network, its training and its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.keras import objective, optimizers
from neurona.keras.model import arrays
from neurona.run import Parameters
from neurona.specs import ACTIVATIONS, INITIALIZERS, Network, Training

__all__ = ["FromKeras", "from_keras"]

# Layers that a dense stack has before its first `Dense`, and between two
_SHAPES = ("InputLayer", "Flatten")


class FromKeras(NamedTuple):
    """What a Keras model says: its architecture, its recipe, and its weights as `Run.parameters` has them."""

    network: Network
    training: Training
    parameters: Parameters


def from_keras(
    model: Any, *, batch_size: int = 100, epochs: int = 5, steps: int | None = None, **training: Any
) -> FromKeras:
    """Return the network, training and weights of a compiled Keras `Sequential` of dense layers.

    model: `Flatten`, `Rescaling(1/255)`, `Dense`, `Activation`, `Dropout`, `AlphaDropout`, `GaussianNoise`,
        `BatchNormalization` and `LayerNormalization` in the order that a `Network` has; ends in `Dense` with softmax.
        Without `Rescaling` it is taken to expect pixels from 0 to 1, as the course's does: Neurona divides by 255.
    batch_size, epochs, training: what Keras is told in `fit` and not in the model.
    steps: of the whole training, epochs times the batches of an epoch; needed where the learning rate follows a
        schedule, `CosineDecay`, `ExponentialDecay`, `PiecewiseConstantDecay` or `PolynomialDecay`.

    Raises UsageError with the name of the layer, optimizer, schedule or loss that Neurona cannot take.
    """
    parts = _Parts()
    for layer in model.layers:
        kind = type(layer).__name__
        if kind not in _TAKERS:
            sentence = _("the layer {name} is a {kind}, which a dense network of Neurona's cannot have.")
            raise UsageError(sentence.format(name=layer.name, kind=kind))
        _TAKERS[kind](parts, layer)
    if getattr(model, "optimizer", None) is None:
        raise UsageError(_("the model must be compiled, so that its optimizer and loss are known."))
    network = parts.network()
    optimizer, ema_momentum = optimizers.read(model, steps)
    declared = {"optimizer": optimizer, "ema_momentum": ema_momentum, **objective.read(model.loss), **parts.training()}
    recipe = Training(**{**declared, "batch_size": batch_size, "epochs": epochs, **training})
    return FromKeras(network, recipe, tuple(parts.weights))


class _Kernel(NamedTuple):
    """What a `Dense` is told of its kernel."""

    initializer: str
    l1: float
    l2: float
    max_norm: float | None


class _Parts:
    """What has been read of a model so far."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Any]] = []
        self.activations: list[str] = []
        self.rates: dict[str, dict[int, float]] = {"dropout": {}, "alpha_dropout": {}}
        self.normalizations: dict[int, str] = {}
        self.input: dict[str, float] = {}
        self.kernels: list[_Kernel] = []

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
            initializer=self.kernels[0].initializer,
            normalization=next(iter(kinds), None),
            **{kind: _one_or_each([rates.get(i, 0.0) for i in hidden], 0.0) for kind, rates in self.rates.items()},
            **self.input,
        )

    def training(self) -> dict[str, Any]:
        """Return what `Training` is told of the kernels, which must all have the same."""
        if len(set(self.kernels)) > 1:
            raise UsageError(_("every Dense must have the same kernel initializer, regularizer and constraint."))
        return {"l1": self.kernels[0].l1, "l2": self.kernels[0].l2, "max_norm": self.kernels[0].max_norm}

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
        self.kernels.append(_kernel(layer))
        self.weights.append(arrays(layer))
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
        self.weights[index] |= arrays(layer)

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


def _activation_name(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", layer.activation))


def _kernel(layer: Any) -> _Kernel:
    """Return what a `Dense` is told of its kernel; UsageError for what Neurona cannot take."""
    config = layer.get_config()
    for key in ("bias_regularizer", "activity_regularizer", "bias_constraint", "lora_rank"):
        if config.get(key) is not None:
            sentence = _("the layer {name} has a {key}, which Neurona's layers do not have.")
            raise UsageError(sentence.format(name=layer.name, key=key))
    penalty, bound = layer.kernel_regularizer, layer.kernel_constraint
    kinds = {"kernel_regularizer": (penalty, ("L1", "L2", "L1L2")), "kernel_constraint": (bound, ("MaxNorm",))}
    for key, (value, known) in kinds.items():
        if value is not None and type(value).__name__ not in known:
            sentence = _("the {key} of the layer {name} must be one of {known}, but is {kind}.")
            kind = type(value).__name__
            raise UsageError(sentence.format(key=key, name=layer.name, known=", ".join(known), kind=kind))
    if bound is not None and bound.axis != 0:
        sentence = _("the MaxNorm of the layer {name} must bound the weights into each unit: axis=0.")
        raise UsageError(sentence.format(name=layer.name))
    return _Kernel(
        initializer=_initializer_name(layer),
        l1=float(getattr(penalty, "l1", 0.0)),
        l2=float(getattr(penalty, "l2", 0.0)),
        max_norm=None if bound is None else float(bound.max_value),
    )


def _initializer_name(layer: Any) -> str:
    kind = type(layer.kernel_initializer).__name__
    found = {name.replace("_", ""): name for name in INITIALIZERS}.get(kind.lower())
    if found is None or layer.kernel_initializer.get_config().get("gain", 1.0) != 1.0:
        sentence = _("the layer {name} has the kernel initializer {kind}, which is none of Neurona's: {names}.")
        raise UsageError(sentence.format(name=layer.name, kind=kind, names=", ".join(INITIALIZERS)))
    return found
