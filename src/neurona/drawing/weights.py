"""A model as `network.js` reads it: what it is, as JSON values, and its weights in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurona.model import Model

__all__ = ["description", "weights"]

# The order in which a layer's arrays lie; `Network.fromBuffer` takes them in this order.
_ORDER = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


def description(model: Model) -> dict[str, Any]:
    """Return what `Network.fromBuffer` must know of `model` beside its weights, as JSON values."""
    return {
        "image_shape": list(model.image_shape),
        "class_names": list(model.class_names),
        "hidden": list(model.network.hidden),
        "activations": list(model.network.activations),
        "normalization": model.network.normalization,
        "residual": model.network.residual,
        "members": len(model.members) * len(model.views),
    }


def weights(model: Model) -> bytes:
    """Return the weights of `model.plain_members()`: float32, little endian, member by member and layer by layer.

    Of a layer come first its kernel, in rows of units, then its bias, gamma, beta and the moments, as far as it has
    them.
    """
    arrays = [
        np.ascontiguousarray(layer[name], "<f4").tobytes()
        for member in model.plain_members()
        for layer in member
        for name in _ORDER
        if name in layer
    ]
    return b"".join(arrays)
