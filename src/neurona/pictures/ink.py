"""What is ink in a picture and what is page: dark on light or light on dark, in even light or not.

Where the page is even, as in a drawing or a scan, its level is one number. Where it is not, as in a photograph, it is
estimated for every place: the mean of what lies near and is not ink, over and over until that settles. How far a pixel
lies from the page is then judged by how much the page itself varies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["CORE", "EDGE", "ink_in", "on_black", "otsu"]

Pixels = NDArray[np.uint8]
Levels = NDArray[np.float32]

LEAST_CONTRAST = 12.0
"""Grey levels between page and ink. Less is no ink."""

CORE, EDGE = 0.35, 0.25
"""A stroke exceeds CORE of the picture's contrast somewhere, and ends one pixel beyond EDGE of its own."""

_EVEN = 0.15  # an even page varies by less than this part of its distance from the ink
_NOISE_STEPS = 5.0  # standard deviations of the page under which all is page
_SMALL = 256  # pixels of the longer side on which the light is estimated
_EIGHT = np.ones((3, 3), bool)  # pixels that touch at a corner are connected


def ink_in(grey: Pixels) -> Pixels:
    """Return the ink in `grey`, uint8 `(height, width)`: bright on 0. All is 0 where there is none.

    On a page without any noise the ink is the distance from the page's level, unchanged; else the contrast is
    stretched, and what exceeds it cut off.
    """
    depth, noise = _depth(grey)
    nothing = np.zeros_like(grey)
    marked = depth[depth > max(LEAST_CONTRAST, _NOISE_STEPS * noise)]
    if not marked.size:
        return nothing
    contrast = float(np.percentile(marked, 90.0))
    if contrast < 2.0 * _NOISE_STEPS * noise:
        return nothing
    soft = depth > _NOISE_STEPS * noise
    regions, count = ndimage.label(soft, _EIGHT)
    strongest = np.zeros(count + 1, np.float32)
    np.maximum.at(strongest, regions[soft], depth[soft])
    strongest[strongest < CORE * contrast] = np.inf
    edge = soft & (depth >= EDGE * strongest[regions])
    inked = soft & ndimage.binary_dilation(edge, _EIGHT)
    level = depth if noise == 0.0 else depth * (255.0 / contrast)
    return np.where(inked, np.clip(np.rint(level), 1, 255), 0).astype(np.uint8)


def on_black(grey: Pixels) -> Pixels:
    """Return `grey` as it is if its page is dark, else inverted."""
    split = otsu(np.bincount(grey.ravel(), minlength=256))
    return 255 - grey if _page_is_bright(grey, split) else grey


def otsu(histogram: NDArray[np.int64]) -> int:
    """Return the level that splits `histogram` into two classes of least variance; the lower one includes it.

    N. Otsu (1979), "A threshold selection method from gray-level histograms". Of equally good levels, the middle one.
    """
    levels = np.arange(len(histogram))
    below = np.cumsum(histogram).astype(np.float64)
    moment = np.cumsum(histogram * levels).astype(np.float64)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (moment[-1] * below / below[-1] - moment) ** 2 / (below * above)
    between[~np.isfinite(between)] = 0.0
    if between.max() <= 0.0:  # there is one level only
        return int(histogram.argmax())
    best = np.flatnonzero(between >= between.max() * (1.0 - 1e-12))
    return int(best[len(best) // 2])


def _depth(grey: Pixels) -> tuple[Levels, float]:
    """Return how far each pixel lies from the page towards the ink, in grey levels, and the page's own variation."""
    histogram = np.bincount(grey.ravel(), minlength=256)
    split = otsu(histogram)
    bright = _page_is_bright(grey, split)
    sheet = _sheet(grey, split, bright)
    if sheet is not None:
        return _uneven_depth(grey, sheet)
    page, ink = histogram.copy(), histogram.copy()
    page[: split + 1] = 0
    ink[split + 1 :] = 0
    if not bright:
        page, ink = ink, page
    low, middle, high = _quantiles(page, 0.1, 0.5, 0.9)
    (ink_middle,) = _quantiles(ink, 0.5)
    if high - low < _EVEN * abs(middle - ink_middle):
        level = int(page.argmax())
        sign = 1.0 if bright else -1.0
        far = np.abs(np.arange(256) - level)
        (deviation,) = _quantiles(np.bincount(far, weights=page, minlength=256), 0.5)
        return (sign * (level - grey.astype(np.float32))).astype(np.float32), 1.4826 * deviation
    return _uneven_depth(grey, np.ones_like(grey, bool))


def _page_is_bright(grey: Pixels, split: int) -> bool:
    """Return whether most of the picture's border lies above `split`; where it is undecided, most of all of it."""
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]]) > split
    share = float(border.mean())
    return share > 0.5 if share != 0.5 else float((grey > split).mean()) > 0.5


def _quantiles(histogram: NDArray[np.int64] | NDArray[np.float64], *parts: float) -> tuple[float, ...]:
    """Return the levels under which `parts` of `histogram` lie; 0 where it is empty."""
    sums = np.cumsum(histogram)
    return tuple(float(np.searchsorted(sums, part * sums[-1])) if sums[-1] else 0.0 for part in parts)


def _sheet(grey: Pixels, split: int, bright: bool) -> NDArray[np.bool_] | None:
    """Return where the sheet lies, bool `(height, width)`, in a picture that shows what is around it; else None.

    A sheet is a fifth of the picture at least, fills its box but for a slant, has little ink on it, and a sharp edge.
    """
    other = grey <= split if bright else grey > split
    if min(grey.shape) < 64 or other.mean() < 0.15:
        return None
    small, step = _reduced(grey)
    regions, count = ndimage.label(small <= split if bright else small > split)
    if not count:
        return None
    largest = regions == 1 + int(np.bincount(regions.ravel())[1:].argmax())
    filled = ndimage.binary_fill_holes(largest)
    down, across = ndimage.find_objects(filled.astype(np.int8))[0]
    box = (down.stop - down.start) * (across.stop - across.start)
    area = int(filled.sum())
    written = 1.0 - largest.sum() / area
    if area < 0.2 * filled.size or area < 0.8 * box or not 0.001 < written < 0.25:
        return None
    inside = ndimage.binary_erosion(filled, _EIGHT, 3)
    within = inside & ~ndimage.binary_erosion(filled, _EIGHT, 5)
    beyond = ndimage.binary_dilation(filled, _EIGHT, 4) & ~ndimage.binary_dilation(filled, _EIGHT, 2)
    if not within.any() or not beyond.any():
        return None
    apart = abs(float(np.median(small[largest])) - float(np.median(small[~filled])))
    if abs(float(np.median(small[within])) - float(np.median(small[beyond]))) < 0.5 * apart:
        return None
    sides = zip(grey.shape, small.shape, strict=True)
    enlarged = np.ix_(*(np.minimum(np.arange(side) // step, most - 1) for side, most in sides))
    found: NDArray[np.bool_] = inside[enlarged]
    return found


def _reduced(grey: Pixels) -> tuple[Pixels, int]:
    """Return `grey` shrunk by a whole factor to `_SMALL` pixels at most, and the factor."""
    step = max(1, -(-max(grey.shape) // _SMALL))
    return np.array(Image.fromarray(grey).reduce(step)), step


def _uneven_depth(grey: Pixels, sheet: NDArray[np.bool_]) -> tuple[Levels, float]:
    """`_depth` where the light changes over the page. Ink is what differs from what is near, on the heavier side."""
    reduced, step = _reduced(grey)
    small = reduced.astype(np.float32)
    rows, columns = small.shape
    paper = sheet[step // 2 :: step, step // 2 :: step][:rows, :columns]
    paper = np.pad(paper, ((0, rows - paper.shape[0]), (0, columns - paper.shape[1])), mode="edge")
    reach = max(2.0, max(small.shape) / 12)
    use, light = paper.astype(np.float32), small
    for _round in range(6):
        weight = ndimage.gaussian_filter(use, reach, mode="nearest")
        light = ndimage.gaussian_filter(small * use, reach, mode="nearest") / np.maximum(weight, 1e-3)
        rest = small - light
        spread = max(1.0, 1.4826 * float(np.median(np.abs(rest[use > 0]))) if use.any() else 1.0)
        use = (paper & ~ndimage.binary_dilation(np.abs(rest) > 3.0 * spread, _EIGHT)).astype(np.float32)
    places = [(np.arange(side) - (step - 1) / 2) / step for side in grey.shape]
    page = ndimage.map_coordinates(
        light, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest", output=np.float32
    )
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), max(0.7, max(grey.shape) / 1_500))
    rest = np.where(sheet, page - smooth, 0.0).astype(np.float32)
    far = _NOISE_STEPS * 1.4826 * float(np.median(np.abs(rest[sheet])))
    if float(rest[rest > far].sum()) < float(-rest[rest < -far].sum()):
        rest = -rest
    else:
        shade = np.maximum(page, 16.0)  # a shadow darkens page and ink by one factor
        rest *= float(np.median(shade)) / shade
    return rest, 1.4826 * float(np.median(np.abs(rest[sheet])))
