"""Weights and checkpoints as bytes: safetensors files with what belongs to them as metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from neurona.run import Array, Epoch, Parameters
from neurona.specs import Network, Training

__all__ = ["read_checkpoint", "read_weights", "write_checkpoint", "write_weights"]


def write_weights(parameters: Parameters, network: Network, training: Training) -> bytes:
    """Return a safetensors file: `dense_<i>.<name>` for each array of layer i, specs as metadata."""
    tensors = {
        f"dense_{index}.{name}": np.asarray(array, order="C")  # safetensors reads memory as it lies
        for index, layer in enumerate(parameters)
        for name, array in layer.items()
    }
    specs = {"network": network.model_dump_json(), "training": json.dumps(training.declared())}
    return _in_order(save_safetensors(tensors, metadata=specs))


def _in_order(data: bytes) -> bytes:
    """Return a safetensors file with its header's keys in order: the library writes equal content in any order.

    The file is the header's length in 8 bytes, little endian, the header as JSON, padded with spaces, the arrays.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def read_weights(data: bytes) -> Parameters:
    """Return the parameters that `write_weights` wrote."""
    layers: dict[int, dict[str, Array]] = {}
    for name, array in load_safetensors(data).items():
        layer, _dot, parameter = name.partition(".")
        layers.setdefault(int(layer.removeprefix("dense_")), {})[parameter] = array
    return tuple(layers[index] for index in sorted(layers))


def write_checkpoint(epochs: Sequence[Epoch], arrays: Sequence[np.ndarray[Any, Any]]) -> bytes:
    """Return a safetensors file of the epochs so far and of the arrays of a run's state, bit for bit."""
    tensors = {f"state_{index}": np.asarray(array, order="C") for index, array in enumerate(arrays)}
    return bytes(save_safetensors(tensors | {"epochs": np.array([astuple(epoch) for epoch in epochs], np.float64)}))


def read_checkpoint(data: bytes) -> tuple[tuple[Epoch, ...], tuple[np.ndarray[Any, Any], ...]]:
    """Return the epochs and the arrays that `write_checkpoint` wrote."""
    tensors = load_safetensors(data)
    epochs = tuple(Epoch(*map(float, row)) for row in tensors.pop("epochs"))
    return epochs, tuple(tensors[f"state_{index}"] for index in range(len(tensors)))
