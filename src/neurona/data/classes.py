"""From labels as files hold them to class indices and class names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurona.data import limits
from neurona.data.parts import Part
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["class_names", "indices", "plain"]


def plain(part: Part) -> NDArray[Any]:
    """Return the labels of `part` as `(n,)` int64 or text.

    Raises `DataError` if they are one-hot, not whole numbers nor text, or not as many as the images.
    """
    labels = part.labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            _(
                "{where}: labels must be one class number or name for each image, but have the shape {shape}. "
                "If they are one-hot, give labels.argmax(axis=1)."
            ).format(where=part.where, shape=labels.shape)
        )
    if len(labels) != len(part.pixels):
        raise DataError(
            _(
                "{where}: there must be one label for each image, but there are {images} images and {labels} labels."
            ).format(where=part.where, images=f"{len(part.pixels):,}", labels=f"{len(labels):,}")
        )
    if labels.dtype.kind in "bui":
        if labels.dtype == np.uint64 and labels.size and labels.max() > np.iinfo(np.int64).max:
            raise _unusable(part, labels.max())
        return labels.astype(np.int64)
    if labels.dtype.kind == "f":
        wrong = labels[~(np.isfinite(labels) & (labels == np.rint(labels)) & (np.abs(labels) < 2**53))]
        if wrong.size:
            raise _unusable(part, wrong[0])
        return labels.astype(np.int64)
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "U":
        return labels
    raise _unusable(part, labels.dtype)


def _unusable(part: Part, value: object) -> DataError:
    return DataError(
        _("{where}: labels must be whole numbers or text, but there is {value}.").format(where=part.where, value=value)
    )


def class_names(labels: list[NDArray[Any]], where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the distinct values of all `labels`, sorted, and the name of each.

    Raises `DataError` for fewer than 2 classes or more than `limits.CLASSES`, and for numbers mixed with text.
    """
    if len({array.dtype.kind for array in labels}) > 1:
        raise DataError(
            _(
                "{where}: labels must be all numbers or all text, but some parts have the one and some the other."
            ).format(where=where)
        )
    values = np.unique(np.concatenate(labels))
    if len(values) < 2:
        raise DataError(
            _("{where}: there must be at least 2 classes, but every image has the label {label}.").format(
                where=where, label=values[0]
            )
        )
    if len(values) > limits.CLASSES:
        raise DataError(
            _(
                "{where}: there may be at most {limit} classes, but there are {count}. Are these values to predict, "
                "rather than classes?"
            ).format(where=where, limit=f"{limits.CLASSES:,}", count=f"{len(values):,}")
        )
    return values, tuple(str(value) for value in values)


def indices(labels: NDArray[Any], values: NDArray[Any]) -> NDArray[np.int32]:
    """Return the place of each label in the sorted `values`, int32."""
    return np.searchsorted(values, labels).astype(np.int32)
