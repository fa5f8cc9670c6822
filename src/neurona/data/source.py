"""Reads a whole data set, the test split included.

Only `neurona.data` and `neurona.sealed` use this module: what it returns holds the test split, which must not get any
further.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurona.data import classes, pixels
from neurona.data.catalogue import ARRAYS, CATALOGUE, NamedSet
from neurona.data.dataset import Origin, Split, first_images
from neurona.data.download import fetch
from neurona.data.parts import Parts
from neurona.data.readers import reader_of
from neurona.data.readers.idx import read_array
from neurona.data.readers.npz import read_arrays
from neurona.data.splitting import count_of, stratified
from neurona.errors import DataError, UsageError
from neurona.i18n import _

__all__ = ["Everything", "read_everything"]


@dataclass(frozen=True, eq=False)
class Everything:
    """All three splits of a data set and the names of its classes."""

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) over type, shape and bytes of images and labels of train, validation and test."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for array in (split.images, split.labels.astype("<i4", copy=False)):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def read_everything(origin: Origin) -> Everything:
    """Return all splits of the data set that `origin` describes.

    Raises `DataError` for files that break a rule, `UsageError` for amounts that do, `DownloadError` if a file is not
    to be had.
    """
    if isinstance(origin.seed, bool) or not isinstance(origin.seed, (int, np.integer)) or origin.seed < 0:
        raise UsageError(_("seed must be a whole number from 0, but is {value!r}.").format(value=origin.seed))
    everything = _named(CATALOGUE[origin.source], origin) if origin.named else _own(Path(origin.source), origin)
    return everything if origin.train is None else _with_first(everything, origin.train, origin.source)


def _with_first(everything: Everything, count: int, source: str) -> Everything:
    return replace(everything, train=first_images(everything.train, count, source))


def _named(entry: NamedSet, origin: Origin) -> Everything:
    """Return a named set: validation is the last part of train, test the published one."""
    for option, value in (("test", origin.test), ("labels", origin.labels)):
        if value is not None:
            raise UsageError(
                _("{name} has a published test split and labels, so {option}= cannot be given. Leave it out.").format(
                    name=entry.name, option=option
                )
            )
    x_train, y_train, x_test, y_test = _embedded(entry) if entry.embedded else _fetched(entry)
    count = count_of(origin.validation, len(x_train), "validation") or entry.sizes[1]
    if count >= len(x_train):
        raise UsageError(
            _("validation must leave images for train, but {count} of {total} leave none. Ask for fewer.").format(
                count=f"{count:,}", total=f"{len(x_train):,}"
            )
        )
    return Everything(
        train=Split(x_train[:-count], y_train[:-count]),
        validation=Split(x_train[-count:], y_train[-count:]),
        test=Split(x_test, y_test),
        class_names=entry.classes,
    )


def _embedded(entry: NamedSet) -> tuple[NDArray[Any], ...]:
    with as_file(files("neurona.data") / f"{entry.name}.npz") as path:
        arrays = read_arrays(path, ARRAYS)
        for name, expected in zip(ARRAYS, entry.array_hashes, strict=True):
            if hashlib.sha256(arrays[name].data).hexdigest() != expected:
                raise DataError(
                    _("{file}: {array} is not the published one of {name}. Install Neurona again.").format(
                        file=path, array=name, name=entry.name
                    )
                )
    return tuple(array if array.ndim == 3 else array.astype(np.int32) for array in arrays.values())


def _fetched(entry: NamedSet) -> tuple[NDArray[Any], ...]:
    arrays = [read_array(path) for path in fetch(entry)]
    images = [np.ascontiguousarray(array.transpose(0, 2, 1)) if entry.transposed else array for array in arrays[::2]]
    labels = [array.astype(np.int32) - entry.first_label for array in arrays[1::2]]
    return images[0], labels[0], images[1], labels[1]


def _own(path: Path, origin: Origin) -> Everything:
    """Return a data set of the user's: splits that it has are kept, the others drawn from train."""
    reader = reader_of(path)
    if origin.labels is None:
        parts = reader.read(path)
    elif reader.read_labelled:
        parts = reader.read_labelled(path, origin.labels)
    else:
        raise UsageError(
            _("labels= names the label column of a CSV file, but {path} is none. Leave it out.").format(path=path)
        )
    images = _images(parts)
    raw_labels = [classes.plain(part) for part in parts.present()]
    values, names = classes.class_names(raw_labels, str(path))
    labels = [classes.indices(array, values) for array in raw_labels]
    splits = dict(zip(_present_names(parts), map(Split, images, labels), strict=True))
    for name, split in splits.items():
        unknown = np.setdiff1d(split.labels, splits["train"].labels)
        if unknown.size:
            raise DataError(
                _(
                    "{path}: every class must have images in train, but {name} has some only in {split}. Add some to "
                    "train."
                ).format(path=path, name=names[unknown[0]], split=name)
            )
    return Everything(**_completed(splits, origin, names), class_names=names)


def _present_names(parts: Parts) -> list[str]:
    return [name for name in ("train", "validation", "test") if getattr(parts, name) is not None]


def _images(parts: Parts) -> list[NDArray[np.uint8]]:
    """Return the images of every part, all of one size and scale."""
    present = parts.present()
    sizes = [pixels.check_shape(part.pixels.shape, part.where) for part in present]
    for part, size in zip(present, sizes, strict=True):
        if size != sizes[0]:
            raise DataError(
                _(
                    "all images must have one size, but {first} has {size} and {second} has {other}. Scale them to "
                    "one size."
                ).format(
                    first=present[0].where,
                    size="{}×{}".format(*sizes[0]),
                    second=part.where,
                    other="{}×{}".format(*size),
                )
            )
    # Where no value of any part exceeds 1, the scale is 0 to 1, whatever the type.
    scale = 255 if max(pixels.greatest(part.pixels, part.where) for part in present) <= 1 else 1
    return [pixels.to_images(part.pixels, part.where, scale=scale) for part in present]


def _completed(splits: dict[str, Split], origin: Origin, names: tuple[str, ...]) -> dict[str, Split]:
    """Return train, validation and test, drawing those that are not in `splits` from train.

    The defaults keep MNIST's proportions of 5:1:1, but a split has room for an image of every class.
    """
    pool = splits["train"]
    counts: dict[str, int] = {}
    if "test" not in splits:
        default = max(round(sum(map(len, splits.values())) / 7), len(names))
        counts["test"] = count_of(origin.test, len(pool), "test") or default
    if "validation" not in splits:
        default = counts.get("test", max(round(len(pool) / 6), len(names)))
        counts["validation"] = count_of(origin.validation, len(pool), "validation") or default
    for split in ("test", "validation"):
        if split in splits and getattr(origin, split) is not None:
            raise UsageError(
                _("{path} has a {split} split of its own, so {split}= cannot be given. Leave it out.").format(
                    path=origin.source, split=split
                )
            )
    if not counts:
        return splits
    drawn = stratified(pool.labels, counts, seed=origin.seed, names=names, where=origin.source)
    return splits | {
        name: Split(pool.images[indices], pool.labels[indices])
        for name, indices in zip((*counts, "train"), drawn, strict=True)
    }
