"""From pixels as files hold them to images: uint8, one channel, all of one size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurona.data import limits
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["check_shape", "greatest", "grey", "to_images"]

CHUNK = 4_096
"""Images converted at once, so that a conversion needs little more memory than its result."""


def check_shape(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """Return the height and width of images that are stored with `shape`.

    shape: `(n, height, width)`, `(n, height, width, 1|3|4)` or `(n, height * width)` with height equal to width.

    Raises `DataError` for any other shape, for no images, and for a side of 0 or over `limits.SIDE`.
    """
    if len(shape) == 2 and math.isqrt(shape[1]) ** 2 == shape[1]:
        height = width = math.isqrt(shape[1])
    elif len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4)):
        height, width = shape[1], shape[2]
    else:
        raise DataError(
            _(
                "{where}: images must have the shape (n, height, width), (n, height, width, 1, 3 or 4), or (n, "
                "pixels) with "
                "a square number of pixels, but have {shape}. Reshape them."
            ).format(where=where, shape=shape)
        )
    if shape[0] < 1:
        raise DataError(_("{where}: there must be at least 1 image, but there are none.").format(where=where))
    if not (1 <= height <= limits.SIDE and 1 <= width <= limits.SIDE):
        raise DataError(
            _(
                "{where}: a side of an image must have 1 to {limit} pixels, but the images are {height}×{width}. "
                "Scale them down first."
            ).format(where=where, limit=limits.SIDE, height=height, width=width)
        )
    return height, width


def greatest(pixels: NDArray[Any], where: str) -> float:
    """Return the greatest value of `pixels`.

    Raises `DataError` if they are not numbers, or one is not a number, negative or over 255.
    """
    if pixels.dtype.kind not in "buif":
        raise DataError(
            _("{where}: pixels must be integers from 0 to 255 or numbers from 0 to 1, but are of type {dtype}.").format(
                where=where, dtype=pixels.dtype
            )
        )
    low, high = float(pixels.min()), float(pixels.max())  # a NaN anywhere makes both NaN
    if not (low >= 0 and high <= 255):
        for index, image in enumerate(pixels):
            wrong = image[~((image >= 0) & (image <= 255))]
            if wrong.size:
                raise DataError(
                    _(
                        "{where}: pixels must be integers from 0 to 255 or numbers from 0 to 1, but image {index} "
                        "(counted from 0) has {value}. Scale the images, or remove this one."
                    ).format(where=where, index=index, value=wrong.flat[0])
                )
    return high


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of RGB(A) `pixels` `(..., 3|4)`, rounded as Pillow's `convert("L")` does; alpha is ignored.

    ITU-R BT.601-7, section 2.5.1: 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point.
    """
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16).astype(np.uint8)


def to_images(pixels: NDArray[Any], where: str, *, scale: int) -> NDArray[np.uint8]:
    """Return `pixels`, times `scale` (1 or 255) and rounded, as uint8 `(n, height, width)`, contiguous."""
    height, width = check_shape(pixels.shape, where)
    if pixels.dtype == np.uint8 and scale == 1 and pixels.ndim < 4:
        return np.ascontiguousarray(pixels).reshape(-1, height, width)
    images = np.empty((len(pixels), height, width), dtype=np.uint8)
    for start in range(0, len(pixels), CHUNK):
        chunk = pixels[start : start + CHUNK]
        if chunk.dtype != np.uint8 or scale != 1:
            chunk = np.rint(np.multiply(chunk, scale, dtype=np.float64)).astype(np.uint8)
        if chunk.ndim == 4 and chunk.shape[3] > 1:
            chunk = grey(chunk)
        images[start : start + CHUNK] = chunk.reshape(-1, height, width)
    return images
