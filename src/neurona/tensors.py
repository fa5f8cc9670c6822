"""Weights as safetensors: how the arrays of layers are called, and equal content as equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save as save_safetensors

from neurona.run import Array, Parameters

__all__ = ["as_parameters", "as_tensors", "write"]

_LAYER = "dense_"


def as_tensors(parameters: Parameters, prefix: str = "") -> dict[str, np.ndarray[Any, Any]]:
    """Return `<prefix>dense_<i>.<name>` -> array for each array of each layer i."""
    return {
        f"{prefix}{_LAYER}{index}.{name}": np.asarray(array, order="C")  # safetensors reads memory as it lies
        for index, layer in enumerate(parameters)
        for name, array in layer.items()
    }


def as_parameters(tensors: Mapping[str, Array], prefix: str = "") -> Parameters:
    """Return the parameters that `as_tensors` named with `prefix`. Raises ValueError for a name that it gives none."""
    layers: dict[int, dict[str, Array]] = {}
    for name, array in tensors.items():
        if name.startswith(prefix):
            layer, _dot, parameter = name.removeprefix(prefix).partition(".")
            layers.setdefault(int(layer.removeprefix(_LAYER)), {})[parameter] = array
    return tuple(layers[index] for index in sorted(layers))


def write(tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file whose header's keys are in order: the library writes equal content in any order.

    The file is the header's length in 8 bytes, little endian, the header as JSON, padded with spaces, the arrays.
    """
    data = save_safetensors(dict(tensors), metadata=dict(metadata))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]
