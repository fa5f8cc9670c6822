"""Splits by seed, stratified by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurona.errors import DataError, UsageError
from neurona.i18n import _

__all__ = ["Amount", "count_of", "shares", "stratified"]

Amount = int | float | None
"""How much to split off: a number of images (1 or more), a fraction (between 0 and 1), or None for the default."""


def count_of(amount: Amount, images: int, option: str) -> int | None:
    """Return `amount` as a number of images out of `images`, or None for None.

    Raises `UsageError` if it is neither a fraction between 0 and 1 nor a whole number from 1.
    """
    if amount is None:
        return None
    if isinstance(amount, (int, np.integer)) and not isinstance(amount, bool) and amount >= 1:
        return int(amount)
    if isinstance(amount, float) and 0 < amount < 1:
        return max(round(amount * images), 1)
    raise UsageError(
        _("{option} must be a fraction between 0 and 1 or a number of images from 1, but is {value!r}.").format(
            option=option, value=amount
        )
    )


def shares(class_sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many of `count` images fall to each class, in proportion to `class_sizes`, by largest remainder.

    Each share is less than 1 away from `count * class_sizes / class_sizes.sum()`, and they add up to `count`.
    """
    whole, remainder = np.divmod(class_sizes * count, class_sizes.sum())
    left = count - whole.sum()
    whole[np.argsort(-remainder, kind="stable")[:left]] += 1
    return whole


def stratified(
    labels: NDArray[np.int32], counts: dict[str, int], *, seed: int, names: Sequence[str], where: str
) -> list[NDArray[np.int64]]:
    """Return the indices of each split of `counts` (name -> number of images), then of the rest, which is train.

    labels: `(n,)` class indices.
    seed: the same labels, counts and seed give the same split. Within a split the images keep their order.

    Raises `DataError` if a split or the rest would be without a class.
    """
    sizes = np.bincount(labels, minlength=len(names)).astype(np.int64)
    taken = [shares(sizes, min(count, len(labels))) for count in counts.values()]
    rest = sizes - sum(taken)
    for name, share in zip((*counts, "train"), (*taken, rest), strict=True):
        if share.min() < 1:
            lacking = int(share.argmin())
            raise DataError(
                _(
                    "{where}: every class needs an image in train, validation and test, but of the {size} of class "
                    "{name} "
                    "none is left for {split} ({amounts} of {total} images). Add images of this class, leave it out, "
                    "or choose other amounts with validation= and test=."
                ).format(
                    where=where,
                    size=sizes[lacking],
                    name=names[lacking],
                    split=name,
                    amounts=", ".join(f"{option}={count}" for option, count in counts.items()),
                    total=len(labels),
                )
            )
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    chosen: list[list[NDArray[np.int64]]] = [[] for _share in (*taken, rest)]
    for index in range(len(names)):
        shuffled = generator.permutation(np.flatnonzero(labels == index))
        ends = np.cumsum([share[index] for share in taken])
        for split, piece in zip(chosen, np.split(shuffled, ends), strict=True):
            split.append(piece)
    return [np.sort(np.concatenate(pieces)) for pieces in chosen]
