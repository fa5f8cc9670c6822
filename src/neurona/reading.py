"""A model reads pictures: one answer for each digit, files by the thousand in the memory of a few."""

from __future__ import annotations

import os
import re
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurona.errors import DataError
from neurona.i18n import _
from neurona.model import Model
from neurona.pictures import SUFFIXES, Digit, Picture, decoded, digits_in, framed, grey, ink_box, ink_in, on_black

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SURE", "FileRead", "Reading", "natural_order", "pictures_in", "read_digits", "read_files", "splits"]

SURE = 0.9
"""An answer with less probability is not sure. docs/predict.md says how many there are and how often they are right."""

_BATCH = 64  # files whose digits the model answers at once; as many more are read meanwhile
_LARGEST_ARRAY = 64_000_000

Pixels = npt.NDArray[np.uint8]
Place = tuple[int, int, int, int]


@dataclass(frozen=True)
class Reading:
    """The answer to one digit.

    box: (left, top, right, bottom) in pixels of the upright picture, right and bottom excluded.
    digit, probability: the class with the highest probability, by its name.
    runner_up, runner_up_probability: the second.
    probabilities: of each class, by name.
    sure: whether the probability is at least `SURE` and the digit not so wide that it is probably two.
    """

    box: Place
    digit: str
    probability: float
    runner_up: str
    runner_up_probability: float
    probabilities: dict[str, float]
    sure: bool


@dataclass(frozen=True)
class FileRead:
    """What was read in one file: `readings` in reading order, none where there is no ink; or the `problem`."""

    file: Path
    readings: tuple[Reading, ...] = ()
    problem: DataError | None = None


@dataclass(frozen=True, eq=False)
class _Seen:
    """A digit as the model sees it, uint8 of the model's shape, and where it stands."""

    box: Place
    image: Pixels
    wide: bool


def read_digits(model: Model, picture: str | Path | Image | Pixels, *, whole: bool | None = None) -> list[Reading]:
    """Return what `model` reads in one picture: lines from the top, in each from the left; nothing without ink.

    picture: a file, a Pillow image, or grey levels as uint8 `(height, width)`.
    whole: whether all of the picture is one thing; unless said, what `splits` says of the model decides.

    Raises DataError for what is no picture.
    """
    whole = not splits(model) if whole is None else whole
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged metadata: the picture itself is read or is an error
        found = _seen(_as_picture(picture), model.image_shape, whole)
    return _answered(model, found)


def read_files(model: Model, files: Iterable[Path], *, whole: bool | None = None) -> Iterator[FileRead]:
    """Yield what `model` reads in each of `files`, in their order.

    Files are read ahead by a few threads while the model answers to those before, and no more than 128 files' digits
    are held at a time. What cannot be read is a `problem` and stops nothing.
    """
    whole = not splits(model) if whole is None else whole

    def look(file: Path) -> list[_Seen] | DataError:
        try:
            return _seen(decoded(file), model.image_shape, whole)
        except DataError as error:
            return error

    with warnings.catch_warnings(), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        warnings.simplefilter("ignore")
        source = iter(files)
        ahead: deque[tuple[Path, Future[list[_Seen] | DataError]]] = deque()

        def read_on(count: int) -> None:
            ahead.extend((file, threads.submit(look, file)) for file in islice(source, count))

        read_on(2 * _BATCH)
        while ahead:
            batch = [
                (file, future.result()) for file, future in (ahead.popleft() for _ in range(min(_BATCH, len(ahead))))
            ]
            read_on(_BATCH)
            yield from _batch_read(model, batch)


def splits(model: Model) -> bool:
    """Return whether pictures are searched for what `model` knows: its classes are single characters, as digits are."""
    return all(len(name) == 1 for name in model.class_names)


def pictures_in(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the files among `paths` as they are, and of folders all image files, also those further down.

    Within a folder its files come first, then its folders, in natural order. Hidden ones are left out, links to
    folders not followed. A folder that cannot be listed is yielded itself, so that whoever reads it finds the error.
    """
    for path in map(Path, paths):
        if path.is_dir():
            yield from _walked(path)
        else:
            yield path


def natural_order(name: str) -> tuple[list[tuple[int, int | str]], str]:
    """Return the key that puts `page 2` before `page 10`."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part)) if index % 2 else (1, part) for index, part in enumerate(parts)], name


def _walked(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: natural_order(e.name))
    except OSError:
        yield folder
        return
    deeper = [Path(entry.path) for entry in visible if entry.is_dir(follow_symlinks=False)]
    yield from (
        Path(entry.path) for entry in visible if entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES
    )
    for one in deeper:
        yield from _walked(one)


def _as_picture(picture: str | Path | Image | Pixels) -> Picture:
    if isinstance(picture, str | Path):
        return decoded(Path(picture))
    if not isinstance(picture, np.ndarray):
        picture = np.asarray(grey(picture))
    if picture.dtype != np.uint8 or picture.ndim != 2 or not 0 < picture.size <= _LARGEST_ARRAY:
        sentence = _("a picture must be uint8 (height, width) with 1 to {most:,} pixels, but got {dtype} {shape}.")
        raise DataError(sentence.format(most=_LARGEST_ARRAY, dtype=picture.dtype, shape=picture.shape))
    return Picture(picture, picture.shape[1], picture.shape[0])


def _seen(picture: Picture, shape: tuple[int, int], whole: bool) -> list[_Seen]:
    if whole:
        box = picture.in_own_pixels((0, 0, *picture.grey.shape))
        return [_Seen(box, framed(on_black(picture.grey), shape), wide=False)]
    ink = ink_in(picture.grey)
    digits = digits_in(ink)
    if ink.shape == shape and digits:  # an image as those of the data set: one digit, whatever its parts
        top, left, bottom, right = box_ = ink_box(ink) or (0, 0, *shape)
        digits = [Digit(box_, ink[top:bottom, left:right])]
    return [_Seen(picture.in_own_pixels(one.box), one.normalised(shape), one.wide) for one in digits]


def _batch_read(model: Model, batch: Sequence[tuple[Path, list[_Seen] | DataError]]) -> Iterator[FileRead]:
    seen = [one for _file, found in batch if not isinstance(found, DataError) for one in found]
    answers = iter(_answered(model, seen))
    for file, found in batch:
        if isinstance(found, DataError):
            yield FileRead(file, problem=found)
        else:
            yield FileRead(file, tuple(islice(answers, len(found))))


def _answered(model: Model, seen: Sequence[_Seen]) -> list[Reading]:
    if not seen:
        return []
    probabilities = model.probabilities(np.stack([one.image for one in seen]))
    return [_reading(model, one, row) for one, row in zip(seen, probabilities, strict=True)]


def _reading(model: Model, seen: _Seen, row: npt.NDArray[Any]) -> Reading:
    second, first = np.argsort(row, kind="stable")[-2:]
    names = model.class_names
    return Reading(
        seen.box,
        names[first],
        float(row[first]),
        names[second],
        float(row[second]),
        {name: float(part) for name, part in zip(names, row, strict=True)},
        bool(row[first] >= SURE) and not seen.wide,
    )
