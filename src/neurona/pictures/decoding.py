"""Image files as grey levels: bounded before they are decoded, upright, without transparency."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurona.errors import DataError
from neurona.i18n import _

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "PIXELS", "SUFFIXES", "WORKING_SIDE", "Picture", "decoded", "grey"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff"})

PIXELS = 64_000_000
"""Of the largest picture that is decoded; a telephone's large photographs have 50 million."""

WORKING_SIDE = 2_048
"""Larger pictures are shrunk by a whole factor, so that their longer side has at most twice as many pixels as this."""

_ORIENTATION = 0x0112  # the tag in EXIF
_ROTATED = range(5, 9)  # its values by which width and height change places


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    grey: uint8 `(height, width)`, upright, shrunk if the picture is large.
    width, height: of the picture as it is seen, in its own pixels.
    """

    grey: NDArray[np.uint8]
    width: int
    height: int

    def in_own_pixels(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Return (left, top, right, bottom) in the picture's pixels for (top, left, bottom, right) in `grey`'s."""
        rows, columns = self.grey.shape
        down, across = self.height / rows, self.width / columns
        top, left, bottom, right = box
        return round(left * across), round(top * down), round(right * across), round(bottom * down)


def decoded(file: Path) -> Picture:
    """Return the picture in `file`; of an animation or a document of many pages, the first.

    Raises DataError for what is no intact image of `FORMATS`, no plain file, or larger than `PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    if not file.is_file():
        sentence = _("{file}: there is no such file.") if not file.exists() else _("{file}: this is no plain file.")
        raise DataError(sentence.format(file=file))
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise DataError(
                    _("{file}: a picture may have at most {most:,} pixels, but this one has {width}×{height}.").format(
                        file=file, most=PIXELS, width=image.width, height=image.height
                    )
                )
            return _picture(image)
    except UnidentifiedImageError:
        error = _("it is none of these formats")
    except (
        Image.DecompressionBombError,
        Warning,
        OSError,
        EOFError,
        SyntaxError,  # Pillow's for damaged PNG
        ValueError,
        IndexError,
        struct.error,
        zlib.error,
    ) as found:
        if isinstance(found, DataError):
            raise
        error = str(found).rstrip(".") or type(found).__name__
    sentence = _(
        "{file}: every file must be an intact image ({formats}), but this one is not: {error}. Repair or remove it."
    )
    raise DataError(sentence.format(file=file, formats=", ".join(FORMATS), error=error))


def _picture(image: Image) -> Picture:
    from PIL import ImageOps

    width, height = image.size
    orientation = image.getexif().get(_ORIENTATION, 1)
    image.draft("L", (WORKING_SIDE, WORKING_SIDE))  # a JPEG is decoded at a fraction of its size
    flat = grey(image)
    factor = max(flat.size) // WORKING_SIDE
    if factor > 1:
        flat = flat.reduce(factor)
    if orientation != 1:
        flat.getexif()[_ORIENTATION] = orientation
        flat = ImageOps.exif_transpose(flat)
    if orientation in _ROTATED:
        width, height = height, width
    return Picture(np.array(flat), width, height)


def grey(image: Image) -> Image:
    """Return a Pillow image of 8-bit luma (ITU-R BT.601).

    What is transparent becomes white where the visible is dark on the whole, else black. 16 bits are scaled to 8;
    other numbers (32 bits, floats) are stretched from their least to their greatest.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        least, most = values.min(), values.max()
        return Image.fromarray(np.rint((values - least) * (255.0 / max(most - least, 1e-300))).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        luma, alpha = np.asarray(seen.convert("L")), np.asarray(seen.getchannel("A"))
        weight = max(1.0, float(alpha.sum(dtype=np.float64)))
        dark = float((luma.astype(np.float64) * alpha).sum()) / weight < 128.0
        page = Image.new("L", seen.size, 255 if dark else 0)
        page.paste(Image.fromarray(luma), mask=Image.fromarray(alpha))
        return page
    if image.mode == "LAB":
        return image.getchannel("L")
    return image.convert("L")
