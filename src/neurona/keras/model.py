"""The model: a network as Keras', and the weights of Keras' layers as ours."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.keras import objective, optimizers
from neurona.run import Parameters
from neurona.specs import Network, Schedule, Training, check_engine

__all__ = ["NORMALIZATIONS", "arrays", "parameters_of", "to_keras"]

NORMALIZATIONS = {"batch": keras.layers.BatchNormalization, "layer": keras.layers.LayerNormalization}


def gelu_tanh(x: Any) -> Any:
    """Gelu by its tanh formula, of which Keras has no name."""
    return keras.activations.gelu(x, approximate=True)


keras.saving.register_keras_serializable("neurona")(gelu_tanh)
_ACTIVATIONS = {"gelu_tanh": gelu_tanh}


def to_keras(
    network: Network,
    parameters: Parameters,
    *,
    image_shape: tuple[int, int],
    training: Training | None = None,
    steps: int | None = None,
    plain: bool = False,
) -> Any:
    """Return a `keras.Model` that computes what the network does, from raw pixels to probabilities.

    parameters: as `Run.parameters` has them.
    image_shape: height and width in pixels.
    training: compile the model for it: optimizer, schedule, loss, penalties, bound, averaged weights. Its batch
        size, class weights and early stopping are things that Keras is told in `fit`. Not compiled unless given.
    steps: of the whole training, epochs times the batches of an epoch; a schedule needs it.
    plain: only of what Keras has itself, so that a file of it opens where Neurona is not: `gelu_tanh`, for which Keras
        has no name, becomes several layers.

    Raises MissingExtraError without Keras, and UsageError for what Keras cannot do.
    """
    check_engine("keras", training or Training())
    if training is not None and steps is None and training.optimizer.schedule != Schedule():
        raise UsageError(_("the training has a schedule: give steps=, epochs times the batches of an epoch."))
    layers = keras.layers
    kernel = _kernel(network, training or Training())
    inputs = x = layers.Input(image_shape)
    x = layers.Flatten()(layers.Rescaling(1 / 255)(x))
    if network.input_noise > 0:
        x = layers.GaussianNoise(network.input_noise)(x)
    if network.input_dropout > 0:
        x = layers.Dropout(network.input_dropout)(x)
    weighted = []
    for index, units in enumerate(network.hidden):
        name = network.activations[index]
        spelt_out = plain and name == "gelu_tanh"
        activation = _ACTIVATIONS.get(name, name)
        dense = layers.Dense(units, activation=None if network.normalization or spelt_out else activation, **kernel)
        y = dense(x)
        weighted.append([dense])
        if network.normalization:
            normalization = NORMALIZATIONS[network.normalization](epsilon=1e-3)
            weighted[-1].append(normalization)
            y = normalization(y) if spelt_out else layers.Activation(activation)(normalization(y))
        y = _gelu_tanh_by_layers(y) if spelt_out else y
        if network.dropouts[index] > 0:
            y = layers.Dropout(network.dropouts[index])(y)
        if network.alpha_dropouts[index] > 0:
            y = layers.AlphaDropout(network.alpha_dropouts[index])(y)
        x = layers.Add()([x, y]) if network.residual and index > 0 and x.shape == y.shape else y
    classes = parameters[-1]["bias"].shape[0]
    weighted.append([layers.Dense(classes, activation="softmax", name=optimizers.OUTPUT, **kernel)])
    model = keras.Model(inputs, weighted[-1][0](x))
    for layer, (dense, *normalizations) in zip(parameters, weighted, strict=True):
        dense.set_weights([np.asarray(layer[name]) for name in ("kernel", "bias")])
        for normalization in normalizations:
            names = [variable.name for variable in normalization.weights]
            normalization.set_weights([np.asarray(layer[name]) for name in names])
    if training is not None:
        optimizer = optimizers.make(training.optimizer, steps or 1, training.ema_momentum)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, objective.make(training), metrics=["accuracy"])
    return model


def _gelu_tanh_by_layers(x: Any) -> Any:
    """Return `gelu_tanh` of x, a layer's output: x·sigmoid(2u) = x·(1 + tanh(u)) / 2, u = √(2/π)·(x + 0.044715·x³)."""
    layers, twice = keras.layers, 2 * math.sqrt(2 / math.pi)
    factor = layers.Rescaling(0.044715 * twice, offset=twice)(layers.Multiply()([x, x]))
    return layers.Multiply()([x, layers.Activation("sigmoid")(layers.Multiply()([x, factor]))])


def _kernel(network: Network, training: Training) -> dict[str, Any]:
    """Return what every `Dense` is told of its kernel."""
    penalized, bounded = training.l1 > 0 or training.l2 > 0, training.max_norm is not None
    return {
        "kernel_initializer": network.initializer,
        "kernel_regularizer": keras.regularizers.L1L2(training.l1, training.l2) if penalized else None,
        "kernel_constraint": keras.constraints.MaxNorm(training.max_norm) if bounded else None,
    }


def arrays(layer: Any) -> dict[str, Any]:
    """Return a layer's weights, Keras' name -> array."""
    return {variable.name: np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in layer.weights}


def parameters_of(model: Any) -> Parameters:
    """Return the weights of a model that `to_keras` made, as `Run.parameters` has them."""
    found: list[dict[str, Any]] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            found.append(arrays(layer))
        elif isinstance(layer, tuple(NORMALIZATIONS.values())):
            found[-1] |= arrays(layer)
    return tuple(found)
