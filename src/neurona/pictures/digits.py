"""Ink cut into digits, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from neurona.pictures.ink import EDGE
from neurona.pictures.normalising import normalised

__all__ = ["Digit", "digits_in"]

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

SPECK = 0.3
"""Of the height of a digit: what is smaller than this both ways, and stands alone, is none."""

TALLEST = 1.6
"""Heights of a digit: parts that together are taller are none of one digit, but stand in two lines."""

GAP = 0.25
"""Of the height of a digit: parts one above the other that are further apart are none of one digit."""

NEAR = 0.08
"""Of the height of a digit: a small part beside a digit that is no further from it belongs to it."""

WHOLE = 0.7
"""Of the height of a digit: of two parts that are taller, each is a digit, unless one stands in the other's width."""

DUST = 0.05
"""Of the height of a digit: what is smaller than this both ways is no part of anything."""

MOST_PARTS = 2_000
"""Of one picture: those with the most ink."""

WIDEST = 1.5
"""Of its height: what is wider is probably two digits that touch. Of MNIST's training images 0.1 % are so wide."""

_ENLARGED = 4  # times, where a digit has fewer pixels than the model's


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit of a picture.

    box: (top, left, bottom, right), bottom and right excluded.
    ink: uint8, what is in the box and of this digit.
    """

    box: Box
    ink: Pixels

    @property
    def wide(self) -> bool:
        """Whether it is probably two digits that touch."""
        top, left, bottom, right = self.box
        return right - left > WIDEST * (bottom - top)

    def normalised(self, shape: tuple[int, int] = (28, 28)) -> Pixels:
        """Return the digit as MNIST's are, uint8 of `shape`: `normalised`, smoothly enlarged first if it is small."""
        if max(self.ink.shape) >= min(shape) * 20 // 28:
            return normalised(self.ink, shape)
        from PIL import Image

        height, width = self.ink.shape
        enlarged = Image.fromarray(np.pad(self.ink, 1)).resize(
            (_ENLARGED * (width + 2), _ENLARGED * (height + 2)), Image.Resampling.BICUBIC
        )
        smooth = np.array(enlarged)
        return normalised(np.where(smooth > EDGE * smooth.max(), smooth, 0).astype(np.uint8), shape)


def digits_in(ink: Pixels) -> list[Digit]:
    """Return the digits in `ink`, bright on 0: lines from the top, in each from the left.

    A digit is what is connected; what stands close above or below, or within, is a part of it. Specks are left out.
    """
    regions, count = ndimage.label(ink > 0, np.ones((3, 3), bool))
    if not count:
        return []
    boxes = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(regions)]
    weights = np.bincount(regions.ravel(), weights=ink.ravel())[1:].astype(np.float64)
    height = _typical_height(boxes, weights)
    groups = _grouped(boxes, weights, height)
    found = []
    for parts in groups:
        box = _around([boxes[part] for part in parts])
        if max(box[2] - box[0], box[3] - box[1]) >= SPECK * height:
            found.append((box, parts))
    return [Digit(box, _cut(ink, regions, box, parts)) for line in _lines(found) for box, parts in line]


def _typical_height(boxes: Sequence[Box], weights: NDArray[np.float64]) -> float:
    """Return the height at which half of the ink is in lower parts and half in taller ones."""
    heights = np.array([bottom - top for top, _left, bottom, _right in boxes], np.float64)
    order = np.argsort(heights)
    sums = np.cumsum(weights[order])
    return float(heights[order][np.searchsorted(sums, sums[-1] / 2)])


def _grouped(boxes: Sequence[Box], weights: NDArray[np.float64], height: float) -> list[list[int]]:
    """Return the parts of each digit, as indices into `boxes`. Dust, and what is beyond `MOST_PARTS`, is left out."""
    sizes = np.array([max(bottom - top, right - left) for top, left, bottom, right in boxes])
    by_weight = np.argsort(-weights, kind="stable")
    parts = np.sort(by_weight[sizes[by_weight] >= DUST * height][:MOST_PARTS])
    groups: list[list[int]] = [[int(part)] for part in parts]
    around = np.array([boxes[part] for part in parts], np.float64).reshape(-1, 4)
    while len(groups) > 1:
        close = _of_one_digit(around, height)
        pairs = np.argwhere(np.triu(close, 1))
        if not len(pairs):
            break
        taken: set[int] = set()
        for one, other in pairs:
            if one in taken or other in taken:
                continue
            taken |= {int(one), int(other)}
            groups[one] += groups[other]
            groups[other] = []
            around[one, :2] = np.minimum(around[one, :2], around[other, :2])
            around[one, 2:] = np.maximum(around[one, 2:], around[other, 2:])
        rest = [index for index, group in enumerate(groups) if group]
        groups, around = [groups[index] for index in rest], around[rest]
    return groups


def _of_one_digit(boxes: NDArray[np.float64], height: float) -> NDArray[np.bool_]:
    """Return for each two boxes whether they are parts of one digit, bool `(n, n)`."""
    top, left, bottom, right = (boxes[:, side] for side in range(4))
    tall, wide = bottom - top, right - left
    together = np.maximum(bottom[:, None], bottom) - np.minimum(top[:, None], top)
    down = np.maximum(top[:, None], top) - np.minimum(bottom[:, None], bottom)
    across = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    shared = -across / np.minimum(wide[:, None], wide)
    lower = np.minimum(tall[:, None], tall)
    stacked = (down <= GAP * height) & (shared >= np.where(lower < WHOLE * height, 0.4, 0.8))
    beside = (lower < 0.5 * height) & (np.maximum(down, across) <= NEAR * height)
    found: NDArray[np.bool_] = (together <= TALLEST * height) & (stacked | beside)
    return found


def _around(boxes: Sequence[Box]) -> Box:
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _cut(ink: Pixels, regions: NDArray[np.int32], box: Box, parts: Sequence[int]) -> Pixels:
    top, left, bottom, right = box
    window = (slice(top, bottom), slice(left, right))
    return np.where(np.isin(regions[window], np.array(parts) + 1), ink[window], 0).astype(np.uint8)


def _lines(found: Sequence[tuple[Box, list[int]]]) -> list[list[tuple[Box, list[int]]]]:
    """Return the digits line by line. A digit goes on the line that it stands most beside, at least by half.

    Beside means beside the last three of a line: so it may rise or fall over its length.
    """
    lines: list[list[tuple[Box, list[int]]]] = []
    for digit in sorted(found, key=lambda digit: (digit[0][1], digit[0][0])):
        beside = [_beside(line[-3:], digit[0]) for line in lines]
        if beside and max(beside) >= 0.5:
            lines[int(np.argmax(beside))].append(digit)
        else:
            lines.append([digit])
    return sorted(lines, key=lambda line: np.mean([box[0] + box[2] for box, _parts in line]))


def _beside(last: Sequence[tuple[Box, list[int]]], box: Box) -> float:
    """Return which part of the lower one's height the mean of `last` and `box` share."""
    top = float(np.mean([other[0] for other, _parts in last]))
    bottom = float(np.mean([other[2] for other, _parts in last]))
    return (min(bottom, box[2]) - max(top, box[0])) / min(bottom - top, box[2] - box[0])
