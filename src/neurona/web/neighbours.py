"""The training images nearest to a drawing, exactly, in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurona.data import Split

__all__ = ["Neighbours"]

_DIRECTIONS = 48  # of the space that images are first compared in
_SAMPLE = 4_000  # images from which the directions are found

Floats = npt.NDArray[np.float32]


class Neighbours:
    """Finds the images of a split that are nearest by the Euclidean distance of their pixels, 0 to 1.

    Projected onto orthogonal directions, a distance can only become shorter: an image whose projection is farther than
    the k-th nearest found is not looked at. The directions are the sample's principal components, along which images
    differ most; so few remain.
    """

    def __init__(self, split: Split) -> None:
        self._split = split
        flat = split.images.reshape(len(split), -1)
        sample = flat[:: max(1, len(flat) // _SAMPLE)].astype(np.float32) / 255
        self._mean = sample.mean(axis=0)
        centred = sample - self._mean
        _values, vectors = np.linalg.eigh(centred.T @ centred)
        self._directions = np.ascontiguousarray(vectors[:, -_DIRECTIONS:])
        self._projected = np.concatenate(
            [self._project(flat[start : start + 5_000]) for start in range(0, len(flat), 5_000)]
        )

    def nearest(self, image: npt.NDArray[np.uint8], count: int) -> list[tuple[int, float]]:
        """Return (index, distance) of the `count` images nearest to uint8 `image`, the nearest first."""
        count = min(count, len(self._split))
        pixels: Floats = np.divide(image.reshape(-1), 255, dtype=np.float32)
        bounds = np.linalg.norm(self._projected - self._project(image.reshape(1, -1)), axis=1)
        first = np.argpartition(bounds, count - 1)[:count]
        farthest = self._distances(pixels, first).max()
        near = np.flatnonzero(bounds <= farthest + 1e-4)  # with room for rounding
        distances = self._distances(pixels, near)
        order = np.argsort(distances, kind="stable")[:count]
        return [(int(near[place]), float(distances[place])) for place in order]

    def _project(self, flat: npt.NDArray[np.uint8]) -> Floats:
        projected: Floats = (flat.astype(np.float32) / 255 - self._mean) @ self._directions
        return projected

    def _distances(self, pixels: Floats, indices: npt.NDArray[Any]) -> Floats:
        found = self._split.images[indices].reshape(len(indices), -1).astype(np.float32) / 255
        distances: Floats = np.linalg.norm(found - pixels, axis=1)
        return distances
