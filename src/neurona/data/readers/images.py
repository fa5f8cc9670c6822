"""Folders of images, one a class; above them, if there are splits, `train`, `validation` or `val`, and `test`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurona.data import limits
from neurona.data.parts import Part, Parts, text_or_integers
from neurona.data.pixels import check_shape
from neurona.errors import DataError
from neurona.i18n import _

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read", "recognises"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
IGNORED = ("thumbs.db", "desktop.ini")


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with folders in it."""
    return path.is_dir() and any(entry.is_dir() for entry in _visible(path))


def _visible(folder: Path) -> list[Path]:
    return sorted(
        (entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in IGNORED),
        key=lambda entry: entry.name,
    )


def read(path: Path) -> Parts:
    """Return the parts of the folder `path`. Images are in the order of their class, then of their file name."""
    names = {entry.name.lower() for entry in _visible(path)}
    if "train" not in names and "training" not in names:
        return Parts(train=_part(path))
    parts: dict[str, Part] = {}
    for entry in _visible(path):
        part = PARTS.get(entry.name.lower())
        if part is None or part in parts or not entry.is_dir():
            raise DataError(
                _(
                    "{folder}: beside the folder train there may be one folder validation and one test, but there is "
                    "{entry}."
                ).format(folder=path, entry=entry.name)
            )
        parts[part] = _part(entry)
    return Parts(**parts)


def _part(folder: Path) -> Part:
    images: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    first: Path | None = None
    pixels = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of huge and of damaged files; both are refused
        for class_folder in _visible(folder):
            if not class_folder.is_dir():
                raise DataError(
                    _(
                        "{file}: beside the folders of the classes there may be no files. Move it into one, or away."
                    ).format(file=class_folder)
                )
            for file in _visible(class_folder):
                image = _image(file)
                if first is None:
                    first = file
                elif image.shape != images[0].shape:
                    raise _sizes_differ(first, images[0], file, image)
                pixels += image.size
                limits.check_bytes(pixels, folder)
                images.append(image)
                labels.append(class_folder.name)
    if not images:
        raise DataError(_("{where}: there must be at least 1 image, but there are none.").format(where=folder))
    return Part(np.stack(images), text_or_integers_as_named(labels), str(folder))


def text_or_integers_as_named(names: list[str]) -> NDArray[np.int64] | NDArray[np.str_]:
    """Return class folders' names as int64 if each is written as a number is, else as text (`007` is a name)."""
    if all(name.isascii() and name.lstrip("-").isdigit() and str(int(name)) == name for name in set(names)):
        return text_or_integers(names)
    return np.array(names, dtype=np.str_)


def _sizes_differ(first: Path, one: NDArray[np.uint8], second: Path, other: NDArray[np.uint8]) -> DataError:
    return DataError(
        _(
            "all images must have one size, but {first} has {size} and {second} has {other}. Scale them to one size."
        ).format(
            first=first,
            size="{}×{}".format(*one.shape),
            second=second,
            other="{}×{}".format(*other.shape),
        )
    )


def _image(file: Path) -> NDArray[np.uint8]:
    """Return the image `file` as uint8 `(height, width)`; its size is checked before it is decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=FORMATS) as image:
            check_shape((1, image.height, image.width), str(file))
            return _grey(image, file)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,  # Pillow's for damaged PNG
        ValueError,
        Warning,
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            _(
                "{file}: every file must be an intact image ({formats}), but this one is not: {error}. Repair or "
                "remove it."
            ).format(file=file, formats=", ".join(FORMATS), error=error)
        ) from error


def _grey(image: Image, file: Path) -> NDArray[np.uint8]:
    """Return the luma of `image`, uint8; 16 bits are scaled down to 8, alpha is ignored."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise DataError(
                _("{file}: a pixel must have 8 or 16 bits, but there is {value}. Save it as an 8-bit image.").format(
                    file=file, value=values.max() if values.min() >= 0 else values.min()
                )
            )
        return np.rint(values / 257).astype(np.uint8)
    if image.mode == "F":
        raise DataError(
            _("{file}: a pixel must have 8 or 16 bits, but this image has floats. Save it as an 8-bit image.").format(
                file=file
            )
        )
    if image.mode in ("P", "PA"):
        return np.array(image.convert("RGBA").convert("L"))
    return np.array(image.convert("L"))
