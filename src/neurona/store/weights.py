"""Weights and checkpoints as bytes: safetensors files with what belongs to them as metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from neurona import tensors
from neurona.run import Epoch, LayerNorms, Norms, Parameters
from neurona.specs import Network, Training

__all__ = ["read_checkpoint", "read_weights", "write_checkpoint", "write_weights"]


def write_weights(parameters: Parameters, network: Network, training: Training) -> bytes:
    """Return a safetensors file: `dense_<i>.<name>` for each array of layer i, specs as metadata."""
    specs = {"network": network.model_dump_json(), "training": json.dumps(training.declared())}
    return tensors.write(tensors.as_tensors(parameters), specs)


def read_weights(data: bytes) -> Parameters:
    """Return the parameters that `write_weights` wrote."""
    return tensors.as_parameters(load_safetensors(data))


def write_checkpoint(
    epochs: Sequence[Epoch], arrays: Sequence[np.ndarray[Any, Any]], norms: Sequence[Norms] = ()
) -> bytes:
    """Return a safetensors file of the epochs so far, their norms and the arrays of a run's state, bit for bit."""
    found = {f"state_{index}": np.asarray(array, order="C") for index, array in enumerate(arrays)}
    found["epochs"] = np.array([astuple(epoch) for epoch in epochs], np.float64)
    known = [[astuple(layer) for layer in layers] for layers in norms if layers]  # those of the last epochs
    if known:
        found["norms"] = np.array(known, np.float64)
    return bytes(save_safetensors(found))


def read_checkpoint(data: bytes) -> tuple[tuple[Epoch, ...], tuple[np.ndarray[Any, Any], ...], tuple[Norms, ...]]:
    """Return the epochs, the arrays and the norms that `write_checkpoint` wrote; () for epochs without norms."""
    found = load_safetensors(data)
    epochs = tuple(Epoch(*map(float, row)) for row in found.pop("epochs"))
    known = [tuple(LayerNorms(*map(float, layer)) for layer in layers) for layers in found.pop("norms", ())]
    norms = (*((),) * (len(epochs) - len(known)), *known)
    return epochs, tuple(found[f"state_{index}"] for index in range(len(found))), norms
