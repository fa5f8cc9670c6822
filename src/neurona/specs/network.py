"""The architecture."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs.quantities import Flag, Rate
from neurona.specs.spec import Spec, did_you_mean, known_name

__all__ = ["ACTIVATIONS", "INITIALIZERS", "NORMALIZATIONS", "Network"]

# The names; `neurona.activations` and `neurona.initializers` have the functions.
ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "linear",
)
INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "zeros",
)
NORMALIZATIONS = ("batch", "layer")

Value = TypeVar("Value")

Units = Annotated[int, Field(ge=1, le=65_536, strict=True)]


class Network(Spec):
    """The architecture: a stack of dense layers on the flattened image, then softmax over the classes.

    hidden: units of each hidden layer, 1 to 65,536; empty for a softmax regression.
    activation: a name of `ACTIVATIONS` for all hidden layers, or a name for each.
    initializer: a name of `INITIALIZERS`, for every kernel.
    dropout: rate in [0, 1) after each hidden layer, or a rate for each (Srivastava et al. 2014).
    alpha_dropout: likewise, dropout that suits selu (Klambauer et al. 2017); a layer has one of the two.
    input_dropout: rate in [0, 1) on the scaled pixels.
    input_noise: standard deviation of normal noise on the scaled pixels, while training.
    normalization: `batch` (Ioffe & Szegedy 2015) or `layer` (Ba et al. 2016), before each hidden activation.
    residual: add a hidden layer's input to its output where both have equal units (He et al. 2016).
    """

    hidden: tuple[Units, ...] = Field(default=(50, 50), max_length=64)
    activation: str | tuple[str, ...] = "relu"
    initializer: str = "glorot_uniform"
    dropout: Rate | tuple[Rate, ...] = 0.0
    alpha_dropout: Rate | tuple[Rate, ...] = 0.0
    input_dropout: Rate = 0.0
    input_noise: Annotated[float, Field(strict=True, ge=0.0, le=100.0)] = 0.0
    normalization: str | None = None
    residual: Flag = False

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if name not in ACTIVATIONS:
                raise ValueError(
                    _("there is no activation {name!r}.").format(name=name) + did_you_mean(name, ACTIVATIONS)
                )
        return value

    @field_validator("initializer")
    @classmethod
    def _known_initializer(cls, value: str) -> str:
        return known_name(value, INITIALIZERS)

    @field_validator("normalization")
    @classmethod
    def _known_normalization(cls, value: str | None) -> str | None:
        return None if value is None else known_name(value, NORMALIZATIONS)

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> Self:
        for field in ("activation", "dropout", "alpha_dropout"):
            value = getattr(self, field)
            if isinstance(value, tuple) and len(value) != len(self.hidden):
                raise SpecError(
                    [
                        Problem(
                            (field,),
                            _(
                                "must be one value, or one for each of the {layers} hidden layers, but has {count}."
                            ).format(layers=len(self.hidden), count=len(value)),
                        )
                    ]
                )
        if any(one > 0 and other > 0 for one, other in zip(self.dropouts, self.alpha_dropouts, strict=True)):
            raise SpecError([Problem(("alpha_dropout",), _("a layer has dropout or alpha dropout, not both."))])
        return self

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return _for_each_layer(self.activation, len(self.hidden))

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The dropout rate after each hidden layer."""
        return _for_each_layer(self.dropout, len(self.hidden))

    @property
    def alpha_dropouts(self) -> tuple[float, ...]:
        """The alpha dropout rate after each hidden layer."""
        return _for_each_layer(self.alpha_dropout, len(self.hidden))

    def parameters(self, image_shape: tuple[int, int], classes: int) -> int:
        """Return the number of weights for images of `image_shape` (height, width) pixels, as Keras counts them.

        That is weights, biases and what normalisation has, its running moments included.
        """
        sizes = (math.prod(image_shape), *self.hidden, classes)
        dense = sum((inputs + 1) * units for inputs, units in pairwise(sizes))
        return dense + {"batch": 4, "layer": 2, None: 0}[self.normalization] * sum(self.hidden)


def _for_each_layer(value: Value | tuple[Value, ...], layers: int) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,) * layers
