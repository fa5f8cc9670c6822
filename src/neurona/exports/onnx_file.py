"""A model as ONNX: `images`, uint8 `(n, height, width)`, to `probabilities`, float32 `(n, classes)`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from neurona.errors import MissingExtraError, UsageError
from neurona.exports.origin import licence
from neurona.i18n import _
from neurona.model import Model
from neurona.run import Array, Parameters
from neurona.specs import Network

__all__ = ["written"]

_OPSET, _IR = 17, 8  # of 2022, so that runtimes of the last years open it; 17 is the first with LayerNormalization
_EPSILON = 1e-3  # Keras' of both normalisations
_LARGEST = 2_000_000_000  # bytes: a protocol buffer ends at 2 GiB


def written(model: Model) -> bytes:
    """Return the file's content: equal models, equal bytes.

    Raises MissingExtraError without the package onnx (extra [onnx]), and UsageError for a model of more than 2 GB.
    """
    try:
        import onnx
    except ImportError:
        sentence = _("onnx is not installed; it comes with the extra [onnx]: pip install 'neurona[onnx]'.")
        raise MissingExtraError(sentence) from None
    members = model.plain_members()
    size = sum(np.asarray(array).nbytes for member in members for layer in member for array in layer.values())
    if size > _LARGEST:
        sentence = _("a model in ONNX may have {most:,} bytes of weights at most, but has {size:,}.")
        raise UsageError(sentence.format(most=_LARGEST, size=size))
    graph = _Graph()
    scaled = graph.add("Div", graph.add("Cast", "images", to=onnx.TensorProto.FLOAT), graph.constant("white", 255.0))
    pixels = graph.add("Flatten", scaled, axis=1)
    answers = [graph.member(model.network, member, pixels, f"member_{index}") for index, member in enumerate(members)]
    graph.add("Mean", *answers, output="probabilities")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "neurona",
            [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", *model.image_shape])],
            [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["n", model.classes])],
            graph.weights,
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="neurona",
        producer_version=version("neurona"),
    )
    onnx.helper.set_model_props(made, _properties(model))
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def _properties(model: Model) -> dict[str, str]:
    named = {
        "classes": json.dumps(list(model.class_names), ensure_ascii=False),
        "dataset": model.dataset,
        "fingerprint": model.fingerprint,
        "licence": licence(model.dataset),
    }
    return {name: value for name, value in named.items() if value}


class _Graph:
    """Nodes and weights under way; what a node gives is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._constants: dict[str, float] = {}

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node of the operator `kind` and return the name of what it gives."""
        from onnx import helper

        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, array: Array) -> str:
        """Add an array of float32 and return its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.asarray(array, "<f4", order="C"), name))
        return name

    def constant(self, name: str, value: float) -> str:
        """Return the name of a number, which is added once."""
        if name not in self._constants:
            self._constants[name] = value
            self.weight(name, np.array(value, np.float32))
        return name

    def member(self, network: Network, parameters: Parameters, pixels: str, name: str) -> str:
        """Add a network on scaled pixels `(n, pixels)` and return its probabilities."""
        x, units = pixels, 0
        for index, (layer, activation) in enumerate(zip(parameters[:-1], network.activations, strict=True)):
            held = {key: self.weight(f"{name}.dense_{index}.{key}", array) for key, array in layer.items()}
            z = self.add("Gemm", x, held["kernel"], held["bias"])
            y = _ACTIVATIONS[activation](self, self._normalized(network.normalization, held, z))
            x = self.add("Add", x, y) if network.residual and index > 0 and units == network.hidden[index] else y
            units = network.hidden[index]
        last = {key: self.weight(f"{name}.dense_{len(network.hidden)}.{key}", a) for key, a in parameters[-1].items()}
        return self.add("Softmax", self.add("Gemm", x, last["kernel"], last["bias"]), axis=1)

    def _normalized(self, kind: str | None, held: Mapping[str, str], z: str) -> str:
        if kind == "layer":
            return self.add("LayerNormalization", z, held["gamma"], held["beta"], axis=-1, epsilon=_EPSILON)
        if kind == "batch":
            moments = (held[key] for key in ("gamma", "beta", "moving_mean", "moving_variance"))
            return self.add("BatchNormalization", z, *moments, epsilon=_EPSILON)
        return z


def _gelu(graph: _Graph, x: str) -> str:
    """x·(1 + erf(x/√2)) / 2: the operator Gelu is of opset 20."""
    erf = graph.add("Erf", graph.add("Mul", x, graph.constant("root_half", math.sqrt(0.5))))
    return _half(graph, x, erf)


def _gelu_tanh(graph: _Graph, x: str) -> str:
    """x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2."""
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", cube, graph.constant("gelu_cubic", 0.044715)))
    tanh = graph.add("Tanh", graph.add("Mul", inner, graph.constant("gelu_linear", math.sqrt(2 / math.pi))))
    return _half(graph, x, tanh)


def _half(graph: _Graph, x: str, share: str) -> str:
    """x·(1 + share) / 2."""
    weighted = graph.add("Mul", x, graph.add("Add", share, graph.constant("one", 1.0)))
    return graph.add("Mul", weighted, graph.constant("half", 0.5))


_ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "relu": lambda graph, x: graph.add("Relu", x),
    "leaky_relu": lambda graph, x: graph.add("LeakyRelu", x, alpha=0.2),
    "elu": lambda graph, x: graph.add("Elu", x, alpha=1.0),
    "selu": lambda graph, x: graph.add("Selu", x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "mish": lambda graph, x: graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x))),
    "softplus": lambda graph, x: graph.add("Softplus", x),
    "tanh": lambda graph, x: graph.add("Tanh", x),
    "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
    "hard_sigmoid": lambda graph, x: graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    "linear": lambda _graph, x: x,
}
