"""Ink brought to MNIST's size and place: MNIST's own images are the oracle, then SciPy, then the twin in JavaScript."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw
from scipy import ndimage

import chromium
from neurona import drawing
from neurona.data import Dataset
from neurona.pictures import framed, ink_box, normalised

Pixels = npt.NDArray[np.uint8]

inks = arrays.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.integers(0, 255))


def strokes(generator: np.random.Generator) -> Pixels:
    """Return a drawing of 1 to 4 lines, smooth at their edges, on a canvas of any shape."""
    width, height = (int(side) for side in generator.integers(10, 420, 2))
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    for _line in range(generator.integers(1, 5)):
        points = generator.random((int(generator.integers(1, 6)), 2)) * (2 * width, 2 * height)
        thick = int(generator.integers(1, 50))
        pen.line([tuple(point) for point in points], fill=255, width=thick, joint="curve")
        x, y = points[0]
        pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=int(generator.integers(1, 256)))
    return np.array(canvas.resize((width, height), Image.Resampling.BOX))


def test_mnist_stays_as_it_is(mnist: Dataset) -> None:
    """A tenth of MNIST's images have 254 for their brightest pixel, where the procedure gives 255."""
    images = mnist.validation.images[:3000]
    found = np.array([normalised(image) for image in images])
    off = np.abs(found.astype(int) - images).max(axis=(1, 2))
    assert (off > 1).mean() < 0.001
    assert (off[images.max(axis=(1, 2)) == 255] == 0).mean() > 0.999


def test_its_centre_of_mass_is_where_mnists_is(mnist: Dataset) -> None:
    centres = np.array([ndimage.center_of_mass(image) for image in mnist.train.images[:2000]])
    ours = np.array([ndimage.center_of_mass(normalised(strokes(np.random.default_rng(n)))) for n in range(40)])
    assert ((centres > 13.49) & (centres <= 14.5)).all()
    inside = (ours > 13.5) & (ours <= 14.5)
    assert inside.mean() > 0.8  # the others would lose ink at the edge


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_area_averaging_is_the_mean_of_blocks(factor: int, mnist: Dataset) -> None:
    """Where the square around the ink has as many pixels before as after: else it is a pixel off in either."""
    for image in mnist.validation.images[:40]:
        top, left, bottom, right = ink_box(image) or (0, 0, 0, 0)
        if (bottom - top - right + left) % 2:
            continue
        larger = np.kron(image, np.ones((factor, factor), np.uint8))
        assert (normalised(larger) == normalised(image)).all()


def test_any_scale_is_averaged_over_equal_areas() -> None:
    """The oracle cuts every pixel into 20×20, so that blocks of whole parts fill each of the 20×20 cells."""
    generator = np.random.default_rng(1)
    for side in (*range(1, 40, 3), 61):
        ink = generator.integers(1, 256, (side, side)).astype(np.uint8)
        cut = np.kron(ink, np.ones((20, 20), np.uint8)).reshape(20, side, 20, side)
        expected = cut.mean(axis=(1, 3)) * 255 / cut.mean(axis=(1, 3)).max()
        found = normalised(ink)
        top, left, bottom, right = ink_box(found) or (0, 0, 0, 0)
        assert (bottom - top, right - left) == (20, 20)
        assert np.abs(found[top:bottom, left:right] - expected).max() <= 0.5 + 1e-9


@given(ink=inks, down=st.integers(0, 30), right=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_where_the_ink_stands_does_not_matter(ink: Pixels, down: int, right: int) -> None:
    moved = np.pad(ink, ((down, 3), (right, 5)))
    assert (normalised(moved) == normalised(ink)).all()


@given(ink=inks, shape=st.tuples(st.integers(1, 40), st.integers(1, 40)))
@settings(max_examples=60, deadline=None)
def test_any_ink_comes_to_any_shape_whole(ink: Pixels, shape: tuple[int, int]) -> None:
    found = normalised(ink, shape)
    assert found.shape == shape
    if not ink.any():
        assert not found.any()
        return
    top, left, bottom, right = ink_box(found) or (0, 0, 0, 0)
    assert found.max() == 255
    assert max(bottom - top, right - left) <= max(1, round(20 / 28 * min(shape)))


@given(picture=inks, shape=st.tuples(st.integers(2, 40), st.integers(2, 40)))
@settings(max_examples=60, deadline=None)
def test_a_whole_picture_fits_and_keeps_its_light(picture: Pixels, shape: tuple[int, int]) -> None:
    found = framed(picture, shape)
    assert found.shape == shape
    assert found.max() <= picture.max()
    flat = framed(np.full_like(picture, 200), shape)
    assert flat.max() <= 200
    if picture.shape == shape:
        assert (found == picture).all()


def test_the_browser_sees_the_same(browser: chromium.Chromium, tmp_path: Path, mnist: Dataset) -> None:
    """230 drawings: MNIST's digits, as they are and enlarged, strokes, single dots, nothing."""
    drawings: list[Pixels] = [*mnist.train.images[:60]]
    for index, image in enumerate(mnist.train.images[60:110]):
        drawings.append(np.array(Image.fromarray(image).resize((30 + 5 * index, 250 - 3 * index))))
    drawings += [strokes(np.random.default_rng(number)) for number in range(110)]
    for number in range(9):
        dot = np.zeros((number + 1, 12), np.uint8)
        dot[number, 11 - number] = 1 + 30 * number
        drawings.append(dot)
    drawings.append(np.zeros((30, 40), np.uint8))
    boxes = in_browser(browser, tmp_path, drawings)
    for ink, (pixels, box) in zip(drawings, boxes, strict=True):
        assert (pixels == normalised(ink)).all()
        assert box == ink_box(ink)


def in_browser(
    browser: chromium.Chromium, folder: Path, drawings: list[Pixels]
) -> list[tuple[Pixels, tuple[int, ...] | None]]:
    """Return what `ink.js` makes of each drawing, and the box that it finds."""
    calls = ",".join(
        f"see('{base64.b64encode(ink.tobytes()).decode()}',{ink.shape[0]},{ink.shape[1]})" for ink in drawings
    )
    page = folder / "page.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><title>ink</title><script type=module>"
        f"{drawing.source('ink.js')}\n"
        "const see = (text, height, width) => {"
        "  const found = asNetworkSees(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)), height, width);"
        "  return found && [Array.from(found.pixels), found.box];"
        f"}};\nwindow.seen = [{calls}];\ndocument.documentElement.dataset.drawn = 'all';</script>",
        encoding="utf-8",
    )
    browser.show(page, width=800, scheme="light")
    found = browser.ask("window.seen")
    blank = [[0] * 784, None]
    return [
        (np.array(pixels, np.uint8).reshape(28, 28), None if box is None else tuple(box))
        for pixels, box in (one or blank for one in found)
    ]


def test_only_known_modules_are_given() -> None:

    with pytest.raises(KeyError):
        drawing.source("../i18n.py")
