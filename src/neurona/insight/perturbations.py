"""What becomes of the accuracy when images are moved, turned, resized, blurred, made noisy, thinner or bolder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurona.i18n import marked
from neurona.insight.answers import Images, Labels, answered
from neurona.run import Parameters
from neurona.specs import Network

__all__ = ["PERTURBATIONS", "Perturbation", "Robustness", "robustness"]


@dataclass(frozen=True)
class Perturbation:
    """A way to change images.

    title, unit: as shown, to be translated.
    levels: what is tried, in `unit`; `unchanged` among them leaves images as they are.
    change: (images, level, seed) -> images, both uint8 `(n, height, width)`; black is what comes in from outside.
    """

    title: str
    unit: str
    levels: tuple[float, ...]
    unchanged: float
    change: Callable[[Images, float, int], Images]


@dataclass(frozen=True)
class Robustness:
    """Accuracy at each of a perturbation's levels."""

    levels: tuple[float, ...]
    accuracy: tuple[float, ...]


def robustness(
    network: Network, parameters: Parameters, images: Images, labels: Labels, perturbation: Perturbation, *, seed: int
) -> Robustness:
    """Return the accuracy on `images` changed to each level of `perturbation`; noise is drawn by `seed`."""
    accuracy = [
        answered(network, parameters, perturbation.change(images, level, seed), labels).accuracy
        for level in perturbation.levels
    ]
    return Robustness(perturbation.levels, tuple(accuracy))


def shifted(images: Images, pixels: float, _seed: int = 0) -> Images:
    """Return the images moved by so many whole pixels: a quarter each to the left, right, up and down."""
    distance = round(pixels)
    result = np.zeros_like(images)
    height, width = images.shape[1:]
    if distance >= min(height, width):
        return result
    near, far = slice(None, -distance or None), slice(distance, None)
    result[0::4, :, near] = images[0::4, :, far]
    result[1::4, :, far] = images[1::4, :, near]
    result[2::4, near, :] = images[2::4, far, :]
    result[3::4, far, :] = images[3::4, near, :]
    return result


def turned(images: Images, degrees: float, _seed: int = 0) -> Images:
    """Return the images turned about their centre, anticlockwise, with bilinear interpolation."""
    angle = np.deg2rad(degrees)
    return _mapped(images, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


def scaled(images: Images, factor: float, _seed: int = 0) -> Images:
    """Return the images magnified about their centre by `factor`, with bilinear interpolation."""
    return _mapped(images, np.eye(2) / factor)


def noisy(images: Images, deviation: float, seed: int) -> Images:
    """Return the images with normal noise of so many per cent of full brightness added, cut off at black and white."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, images.shape)
    return _pixels(images + noise * (deviation / 100.0 * 255.0))


def blurred(images: Images, deviation: float, _seed: int = 0) -> Images:
    """Return the images under a Gaussian blur of so many pixels' standard deviation."""
    from scipy import ndimage

    return _pixels(ndimage.gaussian_filter(images.astype(np.float64), (0.0, deviation, deviation), mode="constant"))


def thickened(images: Images, pixels: float, _seed: int = 0) -> Images:
    """Return the images with strokes bolder by so many pixels on either side, or thinner when it is negative.

    Grey-scale dilation and erosion with a disk (Serra 1982), on images of three times the size: a third of a pixel is
    the smallest step. Strokes are taken to be bright on dark.
    """
    from scipy import ndimage

    fine, radius = 3, round(3 * abs(pixels))
    if radius == 0:
        return images.copy()
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (row**2 + column**2 <= radius**2)[np.newaxis]
    large = images.repeat(fine, axis=1).repeat(fine, axis=2)
    operation = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    changed = operation(large, footprint=disk, mode="constant")
    count, height, width = images.shape
    return _pixels(changed.reshape(count, height, fine, width, fine).mean(axis=(2, 4)))


def _mapped(images: Images, matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Images:
    """Return the images looked up at `matrix` times the place relative to their centre."""
    from scipy import ndimage

    centre = (np.array(images.shape[1:]) - 1) / 2
    full = np.eye(3)
    full[1:, 1:] = matrix
    offset = np.concatenate([[0.0], centre - matrix @ centre])
    return _pixels(ndimage.affine_transform(images.astype(np.float64), full, offset, order=1, mode="constant"))


def _pixels(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Images:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)


PERTURBATIONS: dict[str, Perturbation] = {
    "shift": Perturbation(marked("Shift"), marked("pixels"), (0, 1, 2, 3, 4, 5, 6), 0, shifted),
    "rotation": Perturbation(marked("Rotation"), marked("degrees"), (-45, -30, -20, -10, 0, 10, 20, 30, 45), 0, turned),
    "scale": Perturbation(marked("Scale"), marked("times the size"), (0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3), 1, scaled),
    "noise": Perturbation(marked("Noise"), marked("per cent of full brightness"), (0, 10, 20, 30, 40, 50), 0, noisy),
    "blur": Perturbation(marked("Blur"), marked("pixels"), (0, 0.5, 1, 1.5, 2, 2.5), 0, blurred),
    "thickness": Perturbation(
        marked("Stroke thickness"),
        marked("pixels on either side"),
        (-1, -2 / 3, -1 / 3, 0, 1 / 3, 2 / 3, 1),
        0,
        thickened,
    ),
}
