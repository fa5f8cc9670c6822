"""Ink brought to the size and place that MNIST's digits have.

The procedure is that of MNIST as QMNIST reconstructed it (Yadav and Bottou 2019, "Cold Case: The Lost MNIST Digits",
arXiv:1905.10498; `fim-mnist-prepro` of their code): the smallest square around the ink, shrunk to 20×20 by area
averaging; the brightest pixel becomes 255; then whole pixels of shift, so that the centre of mass comes to the middle.
Of MNIST's 60,000 training images 59,998 have it in (13.5, 14.5] both down and across, where the first pixel's centre is
0: that is the convention here.

All sums are of whole numbers below 2^53, so they are exact in any order. `drawing/ink.js` computes the same, and agrees
to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "framed", "ink_box", "normalised"]

LARGEST = 65_536  # pixels along a side: so far every sum is exact

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def ink_box(ink: Pixels) -> Box | None:
    """Return (top, left, bottom, right) of what is not 0 in `ink`, bottom and right excluded; None without ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def normalised(ink: Pixels, shape: tuple[int, int] = (28, 28)) -> Pixels:
    """Return `ink`, bright on 0, uint8 `(height, width)`, as MNIST's digits are: uint8 of `shape`.

    For other shapes the same in proportion: the longest side of the ink gets 20/28 of the shorter side of `shape`, the
    centre of mass comes to pixel (height // 2, width // 2). No ink is pushed out: where the shift would do that, it
    ends at the edge. Without ink all is 0.
    """
    page = np.zeros(shape, np.uint8)
    box = ink_box(ink)
    if box is None:
        return page
    side = max(1, (40 * min(shape) + 28) // 56)
    sums, _area = _averaged(ink, box, side)
    most = int(sums.max())
    small = (510 * sums + most) // (2 * most)
    return _placed(small, page)


def framed(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    """Return all of `picture`, uint8, in the middle of `shape` and as large as fits, by area averaging; 0 around it."""
    height, width = picture.shape
    side = max(1, min(shape[0] * max(height, width) // height, shape[1] * max(height, width) // width))
    sums, area = _averaged(picture, (0, 0, height, width), side)
    square = (2 * sums + area) // (2 * area)
    page = np.zeros(shape, np.uint8)
    for_page, for_square = [], []
    for room in shape:
        shift = (room - side) // 2 if room >= side else -((side - room) // 2)
        start, stop = max(0, shift), min(room, shift + side)
        for_page.append(slice(start, stop))
        for_square.append(slice(start - shift, stop - shift))
    page[tuple(for_page)] = square[tuple(for_square)]
    return page


def _averaged(ink: Pixels, box: Box, side: int) -> tuple[NDArray[np.int64], int]:
    """Return `side`×`side` sums over equal areas of the smallest square around `box`, and what area 1 weighs."""
    top, left, bottom, right = box
    square = max(bottom - top, right - left)
    if square > LARGEST:
        raise ValueError(f"a side of at most {LARGEST} pixels must hold, but got {square}")
    down = _weights(bottom - top, square, side)
    across = _weights(right - left, square, side)
    sums = down @ ink[top:bottom, left:right].astype(np.float64) @ across.T
    return sums.astype(np.int64), square * square


def _weights(length: int, square: int, side: int) -> NDArray[np.float64]:
    """Return how much of each of `length` pixels falls into each of `side`, which `square` pixels fill.

    The pixels stand in the middle of the square. Lengths are in units of 1 / (square · side) of it: whole numbers.
    """
    starts = (np.arange(length, dtype=np.int64) + (square - length) // 2) * side
    edges = np.arange(side, dtype=np.int64)[:, None] * square
    overlap = np.minimum(edges + square, starts + side) - np.maximum(edges, starts)
    parts: NDArray[np.float64] = np.maximum(overlap, 0).astype(np.float64)
    return parts


def _placed(small: NDArray[np.int64], page: Pixels) -> Pixels:
    """Put `small` on `page`, its centre of mass in the middle, and return the page."""
    total = int(small.sum())
    places = []
    for axis, room in enumerate(page.shape):
        line = small.sum(axis=1 - axis)
        inked = np.flatnonzero(line)
        first, last = int(inked[0]), int(inked[-1])
        moment = int((np.arange(len(line)) * line).sum())
        shift = ((2 * (room // 2) + 1) * total - 2 * moment) // (2 * total)
        shift = min(max(shift, -first), room - 1 - last)
        places.append((first, last + 1, shift))
    (top, bottom, down), (left, right, across) = places
    page[top + down : bottom + down, left + across : right + across] = small[top:bottom, left:right]
    return page
