"""Figures made of images: what is hardest, what every seed misses, what units look for, what an answer rests on."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurona.data import Dataset
from neurona.figures.figure import Kind, Picture, Pictures
from neurona.figures.subject import Inspected, inspected
from neurona.i18n import _, ngettext
from neurona.insight import Missed, Mistake, activations, hardest, integrated_gradients, missed, most_exciting

__all__ = [
    "Attributions",
    "Excitement",
    "FirstWeights",
    "MissedOf",
    "MistakesOf",
    "Sprite",
    "exciting_images",
    "first_layer",
    "hardest_images",
    "missed_by_all",
    "png_address",
    "saliency",
    "sprite",
]

# From blue over white to vermilion: the palette's own, and told apart by all.
_NEGATIVE, _POSITIVE = np.array([34.0, 116.0, 181.0]), np.array([207.0, 100.0, 18.0])


@dataclass(frozen=True)
class Sprite:
    """Many images in one PNG: `address`, `columns` to a row, each `width` × `height` pixels."""

    address: str
    columns: int
    width: int
    height: int


def png_address(pixels: npt.NDArray[np.uint8]) -> str:
    """Return uint8 `pixels`, `(height, width)` or `(height, width, 3)`, as a PNG in a `data:` address."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def sprite(images: npt.NDArray[np.uint8]) -> Sprite:
    """Return uint8 `images`, `(n, height, width)`, as one PNG, row by row."""
    count, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * columns, height, width), np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    return Sprite(png_address(sheet), columns, width, height)


@dataclass(frozen=True)
class MistakesOf:
    """The hardest validation images of one seed's network."""

    subject: str
    data: Dataset
    found: tuple[Mistake, ...]


def hardest_numbers(source: Any, *, most: int = 24, **which: Any) -> MistakesOf:
    """Return the `most` validation images with the highest loss; see `inspected`."""
    subject = inspected(source, **which)
    return MistakesOf(subject.shown_seed, subject.data, hardest(subject.answers[subject.seed], most))


def draw_hardest(numbers: MistakesOf) -> Pictures:
    """Draw the images with true class, answer and both probabilities."""
    return Pictures(
        _("The hardest images for {subject}").format(subject=numbers.subject),
        tuple(_mistake(numbers.data, mistake) for mistake in numbers.found),
        _("Below each: true class → answer, the probability of each, and the index of the image."),
    )


@dataclass(frozen=True)
class MissedOf:
    """The validation images that the networks of every seed get wrong; `shown` of them at most are drawn."""

    name: str
    data: Dataset
    found: Missed
    shown: int


def missed_numbers(source: Any, *, most: int = 24, **which: Any) -> MissedOf:
    """Return which validation images how many seeds get wrong; see `inspected`."""
    subject = inspected(source, **which)
    return MissedOf(subject.name, subject.data, missed(list(subject.answers.values())), most)


def draw_missed(numbers: MissedOf) -> Pictures:
    """Draw the images that every seed gets wrong, highest mean loss first."""
    count = numbers.found.seeds
    title = ngettext(
        "What the only seed of {name} gets wrong", "What all {count} seeds of {name} get wrong", count
    ).format(count=count, name=numbers.name)
    return Pictures(
        title,
        tuple(_mistake(numbers.data, mistake) for mistake in numbers.found.by_all[: numbers.shown]),
        _("Probabilities are means over the seeds. Look for labels that are themselves wrong: they are among these."),
    )


def _mistake(data: Dataset, mistake: Mistake) -> Picture:
    names = data.class_names
    summary = _("Image {index}: a {true}, taken for {answer}").format(
        index=mistake.index, true=names[mistake.label], answer=names[mistake.answer]
    )
    return Picture(
        png_address(data.validation.images[mistake.index]),
        summary,
        (
            f"{names[mistake.label]} → {names[mistake.answer]}",
            f"{100 * mistake.probability:.0f} % → {100 * mistake.answer_probability:.0f} %",
            f"#{mistake.index}",
        ),
    )


@dataclass(frozen=True, eq=False)
class FirstWeights:
    """The kernels of some first-layer units as images: `(units, height, width)`, and which units they are."""

    subject: str
    units: tuple[int, ...]
    kernels: npt.NDArray[np.float64]


def first_layer_numbers(source: Any, *, most: int = 24, **which: Any) -> FirstWeights:
    """Return the kernels of the `most` first-layer units with the largest weights; see `inspected`."""
    subject = inspected(source, **which)
    kernel = np.asarray(subject.parameters[subject.seed][0]["kernel"], np.float64)
    units = np.argsort(-np.square(kernel).sum(axis=0), kind="stable")[:most]
    kernels = kernel[:, units].T.reshape(len(units), *subject.data.image_shape)
    return FirstWeights(subject.shown_seed, tuple(map(int, units)), kernels)


def draw_first_layer(numbers: FirstWeights) -> Pictures:
    """Draw each kernel from blue (negative) over white to orange (positive), each on a scale of its own."""
    return Pictures(
        _("What first-layer units of {subject} look for").format(subject=numbers.subject),
        tuple(
            Picture(
                png_address(_diverging(kernel)),
                _("Weights of unit {number}").format(number=unit),
                (_("unit {number}").format(number=unit),),
            )
            for unit, kernel in zip(numbers.units, numbers.kernels, strict=True)
        ),
        _("A pixel's weight: orange speaks for the unit, blue against it. Each unit has a scale of its own."),
    )


def _diverging(
    values: npt.NDArray[np.float64], background: npt.NDArray[np.uint8] | None = None
) -> npt.NDArray[np.uint8]:
    """Return `values` in colours, 0 being white; over a grey-scale `background`, where it is given."""
    largest = float(np.abs(values).max()) or 1.0
    strength = (np.abs(values) / largest)[..., np.newaxis]
    base = np.full((*values.shape, 3), 255.0)
    if background is not None:
        base -= 0.35 * background.astype(np.float64)[..., np.newaxis]
    colour = np.where(values[..., np.newaxis] < 0, _NEGATIVE, _POSITIVE)
    return np.rint(base * (1 - strength) + colour * strength).astype(np.uint8)


@dataclass(frozen=True)
class Excitement:
    """Units of one hidden layer, each with the validation image that excites it most. layer: from 1."""

    subject: str
    layer: int
    data: Dataset
    found: tuple[tuple[int, int], ...]


def exciting_numbers(
    source: Any, *, layer: int | None = None, most: int = 24, images: int = 2_000, **which: Any
) -> Excitement:
    """Return (unit, image) of a hidden layer, the last unless given, over the first `images` validation images."""
    subject = inspected(source, **which)
    wanted = len(subject.network.hidden) if layer is None else layer
    chosen = subject.data.validation.images[:images]
    given = activations(subject.network, subject.parameters[subject.seed], chosen)[wanted - 1]
    return Excitement(subject.shown_seed, wanted, subject.data, most_exciting(given, most))


def draw_exciting(numbers: Excitement) -> Pictures:
    """Draw each unit's image."""
    split, names = numbers.data.validation, numbers.data.class_names
    title = _("What excites units of layer {layer} of {subject} most")
    return Pictures(
        title.format(layer=numbers.layer, subject=numbers.subject),
        tuple(
            Picture(
                png_address(split.images[image]),
                _("Image {index}, a {true}").format(index=image, true=names[int(split.labels[image])]),
                (_("unit {number}").format(number=unit), f"{names[int(split.labels[image])]} · #{image}"),
            )
            for unit, image in numbers.found
        ),
        _("The units whose output varies most, each with the image for which it is highest."),
    )


@dataclass(frozen=True, eq=False)
class Attributions:
    """Some validation images with what each pixel adds to the score of the answer: `(n, height, width)`."""

    subject: str
    data: Dataset
    images: tuple[int, ...]
    answers: tuple[int, ...]
    found: npt.NDArray[np.float64]


def saliency_numbers(
    source: Any,
    *,
    images: tuple[int, ...] | None = None,
    method: Callable[..., npt.NDArray[np.float64]] = integrated_gradients,
    **which: Any,
) -> Attributions:
    """Return the attribution of `images` (indices) to the answer given by one seed's network; see `inspected`.

    images: unless given, the surest right answer of each class, 12 at most, then as many of the hardest images.
    method: `insight.integrated_gradients` or `insight.gradient_times_input`.
    """
    subject = inspected(source, **which)
    answers = subject.answers[subject.seed]
    chosen = images if images is not None else _telling(subject)
    split = subject.data.validation
    found = method(
        subject.network, subject.parameters[subject.seed], split.images[list(chosen)], answers.predicted[list(chosen)]
    )
    return Attributions(
        subject.shown_seed, subject.data, tuple(chosen), tuple(int(answers.predicted[i]) for i in chosen), found
    )


def _telling(subject: Inspected) -> tuple[int, ...]:
    answers = subject.answers[subject.seed]
    chosen: list[int] = []
    for label in range(min(len(subject.data.class_names), 12)):
        own = np.flatnonzero(answers.right & (answers.labels == label))
        if len(own):
            chosen.append(int(own[answers.losses[own].argmin()]))
    wrong = [mistake.index for mistake in hardest(answers, 12) if mistake.answer != mistake.label]
    return (*chosen, *wrong[: max(len(chosen), 6)])


def draw_saliency(numbers: Attributions) -> Pictures:
    """Draw each attribution over its image, from blue (against the answer) to orange (for it)."""
    split, names = numbers.data.validation, numbers.data.class_names
    pictures = []
    for index, answer, values in zip(numbers.images, numbers.answers, numbers.found, strict=True):
        true = names[int(split.labels[index])]
        summary = _("Image {index}: a {true}, taken for {answer}")
        if answer == int(split.labels[index]):
            summary = _("Image {index}: a {true}, recognised")
        pictures.append(
            Picture(
                png_address(_diverging(values, split.images[index])),
                summary.format(index=index, true=true, answer=names[answer]),
                (f"{true} → {names[answer]}", f"#{index}"),
            )
        )
    return Pictures(
        _("Which pixels the answers of {subject} rest on").format(subject=numbers.subject),
        tuple(pictures),
        _(
            "Integrated gradients: orange pixels speak for the answer, blue ones against it. All of them add up to "
            "what the image adds to its score over a black one."
        ),
    )


hardest_images = Kind(hardest_numbers, draw_hardest)
missed_by_all = Kind(missed_numbers, draw_missed)
first_layer = Kind(first_layer_numbers, draw_first_layer)
exciting_images = Kind(exciting_numbers, draw_exciting)
saliency = Kind(saliency_numbers, draw_saliency)
