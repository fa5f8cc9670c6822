"""The random streams of a seed: what each is for, and what is drawn from them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

__all__ = ["Stream", "order", "sequence"]


class Stream(IntEnum):
    """Separate random streams of one seed, so that experiments with one seed differ only in what they vary."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2
    AUGMENTATION = 3


def sequence(seed: int, *streams: int) -> np.random.SeedSequence:
    """Return what the stream (and its parts, as an epoch) of `seed` is drawn from."""
    return np.random.SeedSequence(seed, spawn_key=streams)


def order(seed: int, epoch: int, images: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the order in which `epoch` (from 1) sees the images: the same for every experiment with this seed."""
    generator = np.random.default_rng(sequence(seed, Stream.ORDER, epoch))
    return generator.permutation(images).astype(np.int32)
