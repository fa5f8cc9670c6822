"""A model: one trained network or several of one shape, and all that is needed to use them. A file holds it whole."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from neurona import network as networks
from neurona import tensors
from neurona.data import Dataset
from neurona.errors import DataError
from neurona.files import finite, read_whole, write_whole
from neurona.i18n import _
from neurona.run import Array, Parameters, Run, kept_epoch
from neurona.specs import Network, Training

__all__ = ["LARGEST_FILE", "Model", "View", "load_model"]

LARGEST_FILE = 2_000_000_000  # bytes; a larger file is not read
_FORMAT = "neurona-model-1"
_CHUNK = 2_000  # images; what a pass holds in memory

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How an image is also looked at: turned by `rotation` degrees, enlarged by `scale`, moved by pixels.

    Nothing outside the image is seen but black; between pixels the interpolation is bilinear.
    """

    rotation: float = 0.0
    scale: float = 1.0
    down: float = 0.0
    right: float = 0.0


@dataclass(frozen=True, eq=False)
class Model:
    """Networks of one shape that answer together, by the mean of their probabilities.

    network: the architecture of every member.
    members: the parameters of each, as `Run.parameters` has them.
    image_shape: height and width in pixels.
    class_names: the name of each class.
    temperature: scores before softmax are divided by it (Guo et al. 2017).
    views: each member answers to each of these looks at an image (test-time augmentation).
    training: the recipe; what is not known is None.
    dataset, fingerprint: name and fingerprint of the data that it was trained on.
    metrics: what was measured, as `val_accuracy`.
    saw_validation: whether it was trained on validation images too, after `metrics` were measured.
    versions: of the libraries that trained it.
    """

    network: Network
    members: tuple[Parameters, ...]
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]
    temperature: float = 1.0
    views: tuple[View, ...] = (View(),)
    training: Training | None = None
    dataset: str = ""
    fingerprint: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    saw_validation: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, data: Dataset) -> Self:
        """Return the network that `run` trained on `data`, with the figures of the epoch whose weights it keeps."""
        kept = kept_epoch(run.training, run.history.epochs)
        return cls(
            run.network,
            (run.parameters,),
            data.image_shape,
            data.class_names,
            training=run.training,
            dataset=data.name,
            fingerprint=run.fingerprint,
            metrics={"val_accuracy": kept.val_accuracy, "val_loss": kept.val_loss},
            versions={"neurona": version("neurona"), **run.versions},
        )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def parameters(self) -> int:
        """Number of weights of all members together."""
        return len(self.members) * self.network.parameters(self.image_shape, self.classes)

    def plain_members(self) -> tuple[Parameters, ...]:
        """Return parameters whose mean softmax is this model's answer, without a temperature and without views.

        A look at an image is a linear map of its pixels, which goes into the first kernel; the temperature goes into
        the last layer. So whoever computes the network computes the model: there are members times views of them.
        """
        looked = [_looking(member, view, self.image_shape) for member in self.members for view in self.views]
        return tuple(_tempered(member, self.temperature) for member in looked)

    def probabilities(self, images: npt.NDArray[np.uint8]) -> Probabilities:
        """Return the probability of each class, float32 `(n, classes)`, for uint8 images `(n, height, width)`.

        Raises DataError for images of another size or type.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            sentence = _("the model takes images uint8 (n, {height}, {width}), but got {dtype} {shape}.")
            height, width = self.image_shape
            values = {"height": height, "width": width, "dtype": images.dtype, "shape": images.shape}
            raise DataError(sentence.format(**values))
        flat = np.ascontiguousarray(images).reshape(len(images), math.prod(self.image_shape))
        total = np.zeros((len(images), self.classes), np.float64)
        answer, members = _answerer(self.network), self._transposed
        for member in members:
            for start in range(0, len(flat), _CHUNK):
                chunk = flat[start : start + _CHUNK]
                padded = np.zeros((_power_of_two(len(chunk)), flat.shape[1]), np.uint8)  # few programs are compiled
                padded[: len(chunk)] = chunk
                total[start : start + len(chunk)] += np.asarray(answer(member, padded))[: len(chunk)]
        return (total / len(members)).astype(np.float32)

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return the class with the highest probability, int32 `(n,)`, for uint8 images `(n, height, width)`."""
        found: npt.NDArray[np.int32] = self.probabilities(images).argmax(axis=1).astype(np.int32)
        return found

    def to_bytes(self) -> bytes:
        """Return the model as a safetensors file: equal models, equal bytes."""
        named: dict[str, Any] = {}
        for index, member in enumerate(self.members):
            named |= tensors.as_tensors(member, f"member_{index}.")
        about = {
            "network": self.network.declared(),
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
            "temperature": self.temperature,
            "views": [vars(view) for view in self.views],
            "training": None if self.training is None else self.training.declared(),
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "metrics": finite(dict(self.metrics)),
            "saw_validation": self.saw_validation,
            "versions": dict(self.versions),
        }
        text = json.dumps(about, sort_keys=True, ensure_ascii=False)
        return tensors.write(named, {"format": _FORMAT, "model": text})

    def save(self, path: str | Path) -> None:
        """Write the model to `path`, whole or not at all; `load_model` reads it. Raises UsageError when it cannot.

        path: of the file; or an address as fsspec has them, `s3://bucket/model.safetensors`.
        """
        write_whole(self.to_bytes(), path)

    @functools.cached_property
    def _transposed(self) -> tuple[Any, ...]:
        """The plain members on the device, as `network.logits` takes them."""
        return tuple(jax.device_put(networks.transposed(member)) for member in self.plain_members())

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            (_("network"), "-".join(map(str, (*self.image_shape, *self.network.hidden, self.classes)))),
            (_("members"), str(len(self.members))),
            (_("weights"), f"{self.parameters:,}"),
            (_("data set"), self.dataset),
            (_("classes"), ", ".join(self.class_names)),
        ]
        rows += [(name, f"{value:.4f}") for name, value in self.metrics.items() if isinstance(value, float)]
        return rows

    def __repr__(self) -> str:
        return "\n".join(["Model", *(f"  {title:<14} {value}" for title, value in self._rows())])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(title)}</th><td>{escape(value)}</td></tr>" for title, value in self._rows())
        return f"<table><tbody>{rows}</tbody></table>"


def load_model(path: str | Path) -> Model:
    """Return the model in the file at `path`, or at such an address as `Model.save` takes, which wrote it.

    Raises DataError for a file that is not there, is none of Neurona's models, or whose arrays do not fit together.
    """
    content = read_whole(path, most=LARGEST_FILE)
    try:
        return _read(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        sentence = _(
            "{file}: this is no model that Neurona wrote ({error}). `neurona best` and `train --save` write them."
        )
        raise DataError(sentence.format(file=path, error=str(error).rstrip(".") or type(error).__name__)) from None


def _read(data: bytes) -> Model:
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data):
        raise ValueError(_("the file is too short"))
    metadata = json.loads(data[8:end]).get("__metadata__", {})
    if metadata.get("format") != _FORMAT:
        raise ValueError(_("it does not say {format}").format(format=_FORMAT))
    about, arrays = json.loads(metadata["model"]), load_safetensors(data)
    network, training = Network(**about.pop("network")), about.pop("training")
    height, width = about.pop("image_shape")
    names = tuple(map(str, about.pop("class_names")))
    count = 1 + max(int(name.partition(".")[0].removeprefix("member_")) for name in arrays)
    members = tuple(tensors.as_parameters(arrays, f"member_{index}.") for index in range(count))
    blank = jax.eval_shape(
        lambda: networks.init(network, pixels=height * width, classes=len(names), seed=np.random.SeedSequence(0))
    )
    expected = [{name: leaf.shape for name, leaf in layer.items()} for layer in blank]
    for member in members:
        found = [{name: array.shape for name, array in layer.items()} for layer in member]
        if found != expected or not all(np.isfinite(array).all() for layer in member for array in layer.values()):
            raise ValueError(_("its arrays are not those of its network"))
    views = tuple(View(**view) for view in about.pop("views"))
    known = {each.name for each in fields(Model)}
    return Model(
        network,
        members,
        (height, width),
        names,
        views=views,
        training=None if training is None else Training(**training),
        **{name: value for name, value in about.items() if name in known},
    )


def _looking(member: Parameters, view: View, image_shape: tuple[int, int]) -> Parameters:
    """Return the parameters that answer to an image as `member` does to the image so looked at."""
    if view == View():
        return member
    kernel = np.asarray(member[0]["kernel"])
    return ({**member[0], "kernel": (_view_matrix(view, image_shape) @ kernel).astype(np.float32)}, *member[1:])


@functools.lru_cache(maxsize=64)
def _view_matrix(view: View, image_shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return M, `(pixels, pixels)`: a row of pixels times M is the row of the image so looked at."""
    from scipy import ndimage

    angle = np.deg2rad(view.rotation)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / view.scale
    centre = (np.array(image_shape) - 1) / 2
    full = np.eye(3)
    full[1:, 1:] = back
    offset = centre - back @ (centre + np.array([view.down, view.right]))
    pixels = image_shape[0] * image_shape[1]
    single = np.eye(pixels).reshape(pixels, *image_shape)
    turned = ndimage.affine_transform(single, full, np.concatenate([[0.0], offset]), order=1, mode="constant")
    return np.asarray(turned.reshape(pixels, pixels))


def _tempered(member: Parameters, temperature: float) -> Parameters:
    """Return the parameters whose scores are those of `member` divided by `temperature`."""
    if temperature == 1.0:
        return member
    last: dict[str, Array] = {
        name: (np.asarray(array) / temperature).astype(np.float32) for name, array in member[-1].items()
    }
    return (*member[:-1], last)


@functools.lru_cache(maxsize=64)
def _answerer(network: Network) -> Callable[..., jax.Array]:
    def answer(parameters: Parameters, images: jax.Array) -> jax.Array:
        return jax.nn.softmax(networks.logits(network, parameters, images), axis=0).T

    compiled: Callable[..., jax.Array] = jax.jit(answer)
    return compiled


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length() if count else 0
