"""Where a hidden layer puts images: its principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurona.insight.answers import Floats

__all__ = ["Projection", "principal_components"]


@dataclass(frozen=True, eq=False)
class Projection:
    """places: `(n, components)`. shares: of the variance that each component has; they add up to 1 at most."""

    places: Floats
    shares: tuple[float, ...]


def principal_components(given: Floats, components: int = 2) -> Projection:
    """Return `given`, `(n, units)`, on its first principal components (Pearson 1901), by singular values.

    A component's sign is free; the largest loading of each is made positive. Fewer units or images than `components`
    leave the rest 0, and so does a layer that gives the same for all images.
    """
    centred = given - given.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    kept = min(components, len(singular))
    signs = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])
    places = np.zeros((len(given), components))
    places[:, :kept] = left[:, :kept] * singular[:kept] * np.where(signs == 0, 1.0, signs)
    total = float(np.square(singular).sum())
    shares = np.zeros(components)
    if total > 0:
        shares[:kept] = np.square(singular[:kept]) / total
    return Projection(places, tuple(map(float, shares)))
