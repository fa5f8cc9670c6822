"""Augmentation, inside the compiled epoch: images moved, bent, thickened, erased and mixed at random.

Coordinates are (row, column) in pixels. A pixel of the new image looks up where it comes from in the old one, between
pixels by bilinear interpolation; what lies outside is black.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs import Augmentation

__all__ = ["apply", "displacement_basis", "mixed", "numbers", "sampled", "strength", "structure"]

_LOST = 1e-4  # of the variance of a random field, at most, for want of its finest waves
_MODES = 4  # their number is rounded up to a multiple of this, so that near sigmas share a program


@functools.lru_cache(maxsize=64)
def displacement_basis(size: int, sigma: float) -> NDArray[np.float32]:
    """Return B, `(size, modes)`, such that B·z, for standard normal z, is normal noise smoothed by a Gaussian.

    The smoothing is SciPy's `gaussian_filter1d` with black borders, a matrix G; B holds the modes of G that matter
    (singular vectors times singular values), so that few numbers need to be drawn: 8 instead of 28 for sigma 4.
    """
    reach = int(4 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = dict(zip(offsets.tolist(), (kernel / kernel.sum()).tolist(), strict=True))
    smoothing = np.array([[weights.get(column - row, 0.0) for column in range(size)] for row in range(size)])
    vectors, values, _rows = np.linalg.svd(smoothing)
    kept = np.cumsum(values**2) / np.sum(values**2)
    modes = int(np.searchsorted(kept, 1 - _LOST)) + 1
    modes = min(-(-modes // _MODES) * _MODES, size)
    basis: NDArray[np.float32] = (vectors[:, :modes] * values[:modes]).astype(np.float32)
    basis.flags.writeable = False  # it is shared
    return basis


def numbers(augmentation: Augmentation, image_shape: tuple[int, int], classes: int, steps: int) -> dict[str, Any]:
    """Return all that may change without compiling anew; `steps` are those of the whole training.

    Raises SpecError for a class that there is not.
    """
    found: dict[str, Any] = {
        key: getattr(augmentation, key)
        for key in ("rotation", "scale", "shear", "translation", "thickness", "erasing", "mixup", "warmup", "cooldown")
    }
    found["a_step"] = 1.0 / steps
    if augmentation.elastic_alpha > 0:
        found["elastic_alpha"] = augmentation.elastic_alpha
        found["bases"] = tuple(displacement_basis(size, augmentation.elastic_sigma) for size in image_shape)
    if augmentation.classes is not None:
        if max(augmentation.classes) >= classes:
            sentence = _("must be below {classes}, the number of classes, but there is {value}.")
            sentence = sentence.format(classes=classes, value=max(augmentation.classes))
            raise SpecError([Problem(("training", "augmentation", "classes"), sentence)])
        found["chosen"] = np.isin(np.arange(classes), augmentation.classes).astype(np.float32)
    return found


def structure(augmentation: Augmentation, image_shape: tuple[int, int]) -> tuple[Any, ...]:
    """Return what decides the program: which changes there are, and in how many modes a random field is drawn."""
    elastic = augmentation.elastic_alpha > 0
    modes = (
        tuple(displacement_basis(size, augmentation.elastic_sigma).shape[1] for size in image_shape) if elastic else ()
    )
    there = (augmentation.moves, augmentation.thickness > 0, augmentation.erasing > 0, augmentation.mixup > 0)
    return (*there, modes, augmentation.classes is None, image_shape)


def strength(numbers: dict[str, Any], step: jax.Array) -> jax.Array:
    """Return in [0, 1] how strong the changes are at `step` (from 0): up over the warm-up, down over the cool-down."""
    done = (step + 0.5) * numbers["a_step"]
    rise = jnp.where(numbers["warmup"] > 0, done / jnp.maximum(numbers["warmup"], 1e-9), 1.0)
    fall = jnp.where(numbers["cooldown"] > 0, (1.0 - done) / jnp.maximum(numbers["cooldown"], 1e-9), 1.0)
    return jnp.clip(jnp.minimum(rise, fall), 0.0, 1.0)


def apply(
    augmentation: Augmentation,
    numbers: dict[str, Any],
    images: jax.Array,
    labels: jax.Array,
    *,
    key: jax.Array,
    strength: jax.Array,
    image_shape: tuple[int, int],
) -> jax.Array:
    """Return `images`, uint8 `(n, pixels)`, each changed at random, as float32 in [0, 255]; nothing is mixed here.

    labels: int32 `(n,)`; they tell which images to leave as they are when `classes` are given.
    """
    count = images.shape[0]
    strengths = jnp.full(count, strength)
    if augmentation.classes is not None:
        strengths = strengths * numbers["chosen"][labels]
    affine, field, stroke, erased = jax.random.split(key, 4)
    found = images.astype(jnp.float32)
    if augmentation.moves:
        rows, columns = _sources(numbers, affine, strengths, image_shape)
        if augmentation.elastic_alpha > 0:
            waves = _displacements(numbers["bases"], field, count)
            waves = waves * (numbers["elastic_alpha"] * math.sqrt(1 / 3) * strengths)[None, :, None, None]
            rows, columns = rows + waves[0], columns + waves[1]
        found = sampled(images, rows, columns, image_shape)
    if augmentation.thickness > 0:
        amount = strengths * numbers["thickness"] * jax.random.uniform(stroke, (count,), minval=-1.0)
        found = _thickened(found.reshape(count, *image_shape), amount).reshape(count, -1)
    if augmentation.erasing > 0:
        found = found * _uncovered(erased, strengths * numbers["erasing"], image_shape)
    return found


def mixed(
    numbers: dict[str, Any], images: jax.Array, *, key: jax.Array, strength: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return images each mixed with the one before it, and the share of itself, at least a half (Zhang et al. 2018).

    A step has one share, drawn from Beta(mixup, mixup); without strength it is 1.
    """
    drawn = jax.random.beta(key, numbers["mixup"], numbers["mixup"])
    share = 1.0 - strength * jnp.minimum(drawn, 1.0 - drawn)
    return share * images + (1.0 - share) * jnp.roll(images, 1, axis=0), share


def sampled(images: jax.Array, rows: jax.Array, columns: jax.Array, image_shape: tuple[int, int]) -> jax.Array:
    """Return `images`, uint8 `(n, pixels)`, at `rows` and `columns`, both `(n, height, width)`; float32 `(n, pixels)`.

    The four neighbours of a place are packed into one integer first: one look-up instead of four.
    """
    height, width = image_shape
    count = images.shape[0]
    framed = jnp.pad(images.reshape(count, height, width), ((0, 0), (1, 2), (1, 2))).astype(jnp.uint32)
    corners = framed[:, :-1, :-1] | framed[:, :-1, 1:] << 8 | framed[:, 1:, :-1] << 16 | framed[:, 1:, 1:] << 24
    rows, columns = jnp.clip(rows, -1.0, height) + 1.0, jnp.clip(columns, -1.0, width) + 1.0
    top, left = jnp.floor(rows), jnp.floor(columns)
    places = top.astype(jnp.int32) * (width + 2) + left.astype(jnp.int32)
    found = jnp.take_along_axis(corners.reshape(count, -1), places.reshape(count, -1), axis=1, mode="clip")
    down, right = (rows - top).reshape(count, -1), (columns - left).reshape(count, -1)

    def corner(shift: int) -> jax.Array:
        return ((found >> shift) & 255).astype(jnp.int32).astype(jnp.float32)

    above = corner(0) + right * (corner(8) - corner(0))
    below = corner(16) + right * (corner(24) - corner(16))
    return above + down * (below - above)


def _sources(
    numbers: dict[str, Any], key: jax.Array, strengths: jax.Array, image_shape: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """Return rows and columns, `(n, height, width)`, that random rotations, shears, scales and shifts look up.

    An image is scaled, sheared, rotated about its centre and shifted, in this order; a look-up undoes that backwards.
    """
    draws = strengths * jax.random.uniform(key, (6, strengths.shape[0]), minval=-1.0)
    angle, lean = jnp.deg2rad(numbers["rotation"]) * draws[0], jnp.tan(jnp.deg2rad(numbers["shear"]) * draws[1])
    tall, wide = 1.0 + numbers["scale"] * draws[2], 1.0 + numbers["scale"] * draws[3]
    down, right = numbers["translation"] * draws[4], numbers["translation"] * draws[5]
    height, width = image_shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    sine, cosine, lean, tall, wide, down, right = (
        value[:, None, None] for value in (jnp.sin(angle), jnp.cos(angle), lean, tall, wide, down, right)
    )
    row = jnp.arange(height, dtype=jnp.float32)[None, :, None] - middle_row - down
    column = jnp.arange(width, dtype=jnp.float32)[None, None, :] - middle_column - right
    row, column = cosine * row + sine * column, cosine * column - sine * row
    column = column - lean * row
    return row / tall + middle_row, column / wide + middle_column


def _displacements(bases: tuple[jax.Array, jax.Array], key: jax.Array, count: int) -> jax.Array:
    """Return two smooth random fields an image, `(2, n, height, width)`."""
    along_rows, along_columns = bases
    drawn = jax.random.normal(key, (2, count, along_rows.shape[1], along_columns.shape[1]))
    waves: jax.Array = jnp.einsum("hi,anij,wj->anhw", along_rows, drawn, along_columns)
    return waves


def _thickened(images: jax.Array, amount: jax.Array) -> jax.Array:
    """Return images `(n, height, width)` moved by |amount| towards the brightest or darkest of each 3 by 3 pixels."""
    brightest, darkest = _around(images, jnp.maximum, -jnp.inf), _around(images, jnp.minimum, jnp.inf)
    amount = amount[:, None, None]
    return images + jnp.maximum(amount, 0.0) * (brightest - images) + jnp.maximum(-amount, 0.0) * (darkest - images)


def _around(images: jax.Array, better: Callable[[jax.Array, jax.Array], jax.Array], beyond: float) -> jax.Array:
    """Return the better of each pixel and its eight neighbours, by rows, then by columns; `beyond` loses to all."""
    framed = jnp.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=beyond)
    rows = better(better(framed[:, :-2], framed[:, 1:-1]), framed[:, 2:])
    return better(better(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])


def _uncovered(key: jax.Array, probability: jax.Array, image_shape: tuple[int, int]) -> jax.Array:
    """Return `(n, pixels)`: 0 inside a random rectangle, of images that have one, else 1."""
    count = probability.shape[0]
    happens, sides, places = jax.random.split(key, 3)
    drawn = jax.random.uniform(sides, (2, count)) / 2
    corners = jax.random.uniform(places, (2, count)) * (1.0 - drawn)

    def covered(axis: int) -> jax.Array:
        at = (jnp.arange(image_shape[axis]) + 0.5) / image_shape[axis]
        inside: jax.Array = (at >= corners[axis][:, None]) & (at < (corners[axis] + drawn[axis])[:, None])
        return inside

    there = jax.random.uniform(happens, (count,)) < probability
    black = there[:, None, None] & covered(0)[:, :, None] & covered(1)[:, None, :]
    uncovered: jax.Array = jnp.where(black, 0.0, 1.0)
    return uncovered.reshape(count, -1)
