"""What an augmentation makes of the images: to see whether they are still what their labels say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurona.data import Dataset
from neurona.errors import UsageError
from neurona.figures.figure import Kind, Picture, Pictures
from neurona.figures.images import png_address
from neurona.i18n import _
from neurona.specs import Augmentation

__all__ = ["AugmentedOf", "augmented_images"]

_GAP = 2  # pixels between an image and what is made of it
_SCALE = 1.6  # of an image's pixels on screen


@dataclass(frozen=True)
class AugmentedOf:
    """The first training image of each class, and what an augmentation makes of it at full strength.

    images: uint8 `(classes, 1 + variants, height, width)`, the unchanged image first.
    """

    augmentation: Augmentation
    classes: tuple[str, ...]
    images: npt.NDArray[np.uint8]


def augmented_numbers(augmentation: Augmentation, data: Dataset, *, variants: int = 7, seed: int = 0) -> AugmentedOf:
    """Return `variants` changed images of the first training image of each class of `data`, drawn from `seed`.

    They are what the compiled epoch trains on. Images are mixed with others, and labels with them, only there.
    """
    import jax

    from neurona import augment

    if not 1 <= variants <= 100:
        raise UsageError(_("variants must be from 1 to 100. It is {value}.").format(value=variants))
    train = data.train
    firsts = [int(np.flatnonzero(train.labels == number)[0]) for number in np.unique(train.labels)]
    chosen, labels = train.images[firsts], train.labels[firsts]
    shape = (chosen.shape[1], chosen.shape[2])
    changed = augment.apply(
        augmentation,
        augment.numbers(augmentation, shape, len(data.class_names), steps=1),
        jax.numpy.asarray(np.repeat(chosen.reshape(len(chosen), -1), variants, axis=0)),
        jax.numpy.asarray(np.repeat(labels.astype(np.int32), variants)),
        key=jax.random.key(seed),
        strength=jax.numpy.float32(1.0),
        image_shape=shape,
    )
    pixels = np.rint(np.clip(np.asarray(changed), 0, 255)).astype(np.uint8).reshape(len(chosen), variants, *shape)
    names = tuple(data.class_names[label] for label in labels)
    return AugmentedOf(augmentation, names, np.concatenate([chosen[:, np.newaxis], pixels], axis=1))


def draw_augmented(numbers: AugmentedOf) -> Pictures:
    """Draw a row for each class: the image as it is, then what is made of it."""
    gap = np.full((numbers.images.shape[2], _GAP), 255, np.uint8)
    rows = [np.hstack([row[0], gap, *row[1:]]) for row in numbers.images]
    told = str(numbers.augmentation) or _("nothing")
    return Pictures(
        _("What augmentation makes of the images"),
        tuple(
            Picture(png_address(row), _("A training image of class {name}, and it changed").format(name=name), (name,))
            for name, row in zip(numbers.classes, rows, strict=True)
        ),
        _("On the left the image as it is. Each is changed at random: {changes}.").format(changes=told),
        width=round(_SCALE * rows[0].shape[1]),
    )


augmented_images = Kind(augmented_numbers, draw_augmented)
