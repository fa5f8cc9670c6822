"""How well `neurona predict` finds digits in pictures, how sure it is, and how fast.

    python benchmarks/pictures.py                         trains 500,300 with augmentation for 20 epochs first
    python benchmarks/pictures.py --model my.safetensors  with a model of yours
    python benchmarks/pictures.py --sheet sheet.png       also draws some of the pictures, and what the model sees

All digits are MNIST's VALIDATION images, which the model was not trained on; the test set stays sealed. Everything is
drawn from seed 0: the same table every time.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import neurona
from neurona.pictures import digits_in, ink_in, normalised
from neurona.reading import Reading, read_digits, read_files

Pixels = NDArray[np.uint8]
Draw = Callable[[Pixels, np.random.Generator], Pixels]

BICUBIC = Image.Resampling.BICUBIC
COUNT = 2_000  # single digits
PAGES = 200
HEIGHT, WIDTH = 200, 300


def resized(image: Pixels, side: int) -> Pixels:
    return np.array(Image.fromarray(image).resize((side, side), BICUBIC))


def inverted(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """Half of the pictures are dark on light."""
    return 255 - picture if generator.random() < 0.5 else picture


def shifted(image: Pixels, generator: np.random.Generator) -> Pixels:
    page = np.zeros((60, 60), np.uint8)
    down, right = generator.integers(0, 33, 2)
    page[down : down + 28, right : right + 28] = image
    return page


def on_canvas(least: int, most: int) -> Draw:
    """At a random place, `least` to `most` pixels wide with MNIST's margin, in either polarity."""

    def draw(image: Pixels, generator: np.random.Generator) -> Pixels:
        side = int(generator.integers(least, most + 1))
        page = np.zeros((HEIGHT, WIDTH), np.uint8)
        down, right = int(generator.integers(0, HEIGHT - side + 1)), int(generator.integers(0, WIDTH - side + 1))
        page[down : down + side, right : right + side] = resized(image, side)
        return inverted(page, generator)

    return draw


def as_jpeg(picture: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def written_page(
    images: Sequence[Pixels], generator: np.random.Generator, *, lines: int, side: int, apart: float
) -> Pixels:
    """Return digits as ink from 0 to 255 on a page: lines of equal numbers, a little up and down, of various sizes."""
    columns = len(images) // lines
    step = round(side * apart)
    page = np.zeros((round(1.6 * side) * lines + side, step * columns + side), np.uint8)
    for index, image in enumerate(images):
        own = round(side * generator.uniform(0.85, 1.15))
        row, column = divmod(index, columns)
        top = round(side * (0.5 + 1.6 * row + generator.uniform(-0.12, 0.12)))
        left = round(side * 0.5 + step * column)
        window = page[top : top + own, left : left + own]
        np.maximum(window, resized(image, own)[: window.shape[0], : window.shape[1]], out=window)
    return page


def photograph(ink: Pixels, generator: np.random.Generator, *, table: bool = False) -> Pixels:
    """Return `ink` as a pen's on paper, photographed: texture, uneven light and a shadow, perspective, blur, noise.

    Sharp strokes are made of MNIST's soft ones. With `table`, the paper's edge and a dark table show around it.
    """
    height, width = ink.shape
    stroke = np.clip((ink / 255.0 - 0.35) / 0.3, 0.0, 1.0)
    texture = ndimage.gaussian_filter(generator.standard_normal(ink.shape), 1.5) * 6.0
    paper = generator.uniform(170, 235) + texture
    seen = paper * (1.0 - stroke * generator.uniform(0.45, 0.8))
    if table:
        margin = round(0.12 * min(height, width))
        seen = np.pad(seen, margin, constant_values=60.0)
        height, width = seen.shape
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * (down - 0.5) + np.sin(angle) * (across - 0.5)
    light = 1.0 - generator.uniform(0.1, 0.5) * (slope + 0.6)
    centre = generator.uniform(0.0, 1.0, 2)
    shadow = np.exp(-(((down - centre[0]) / 0.4) ** 2 + ((across - centre[1]) / 0.3) ** 2))
    seen = seen * light * (1.0 - generator.uniform(0.0, 0.35) * shadow)
    picture = Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
    bent = generator.uniform(0.0, 0.04, (4, 2)) * (width, height)
    left, right, top, bottom = (0.0, float(width), 0.0, float(height))
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    inwards = corners + bent * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    picture = picture.transform(
        picture.size, Image.Transform.QUAD, tuple(inwards.ravel()), resample=Image.Resampling.BILINEAR
    )
    blurred = ndimage.gaussian_filter(np.asarray(picture, np.float64), generator.uniform(0.6, 2.0))
    noisy = blurred + generator.standard_normal(blurred.shape) * generator.uniform(2.0, 7.0)
    return as_jpeg(np.clip(noisy, 0, 255).astype(np.uint8), 80)


def single(readings: Sequence[Reading]) -> str:
    """Return the answer to the largest digit found, '' without any."""
    area = [(r.box[2] - r.box[0]) * (r.box[3] - r.box[1]) for r in readings]
    return readings[int(np.argmax(area))].digit if readings else ""


def edits(found: Sequence[str], true: Sequence[str]) -> int:
    """Return how many digits must be changed, put in or left out to come from `found` to `true`."""
    row = list(range(len(true) + 1))
    for index, one in enumerate(found, start=1):
        previous, row[0] = row[0], index
        for place, other in enumerate(true, start=1):
            previous, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, previous + (one != other))
    return row[-1]


def procedure() -> None:
    """How far MNIST agrees with the procedure; training and validation images."""
    data = neurona.load("mnist")
    images = np.concatenate([data.train.images, data.validation.images])
    places = np.arange(28)
    total = images.sum(axis=(1, 2), dtype=np.int64)
    down = (images.sum(axis=2, dtype=np.int64) * places).sum(axis=1) / total
    across = (images.sum(axis=1, dtype=np.int64) * places).sum(axis=1) / total
    inside = np.all([(down > 13.5), (down <= 14.5), (across > 13.5), (across <= 14.5)], axis=0)
    print(f"centre of mass in (13.5, 14.5] both ways: {inside.sum():,} of {len(images):,} images")
    some = images[:20_000]
    off = [int(np.abs(normalised(image).astype(int) - image).max()) for image in some]
    print(f"left as they are, within one grey level: {100 * np.mean(np.array(off) <= 1):.3f} % of {len(some):,} images")


def singles(model: neurona.Model, images: Pixels, labels: Sequence[str]) -> list[Reading]:
    plain = model.predict(images)
    base = 100 * np.mean([model.class_names[answer] == label for answer, label in zip(plain, labels, strict=True)])
    print(f"\nsingle digits, {len(images):,} validation images          right %  difference   one digit found %")
    print(f"  as they are, without the procedure               {base:6.2f}")
    drawn: dict[str, Draw] = {
        "28×28, through the procedure": lambda image, _generator: image,
        "28×28, inverted": lambda image, _generator: 255 - image,
        "shifted, on 60×60": shifted,
        "28 to 200 px on 200×300, both polarities": on_canvas(28, 200),
        "the same as JPEG of quality 75": lambda image, generator: as_jpeg(on_canvas(28, 200)(image, generator), 75),
        "14 to 28 px on 200×300, both polarities": on_canvas(14, 28),
        "one digit photographed, 56 to 160 px": lambda image, generator: photograph(
            written_page([image], generator, lines=1, side=int(generator.integers(56, 160)), apart=1.0), generator
        ),
    }
    every: list[Reading] = []
    for name, draw in drawn.items():
        right = one = 0
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            readings = read_digits(model, draw(image, np.random.default_rng((0, index))))
            right += single(readings) == label
            one += len(readings) == 1
            if name.startswith("28 to"):
                every += [readings[0]] if readings else []
        share = 100 * right / len(images)
        print(f"  {name:<48} {share:6.2f}   {share - base:+6.2f}          {100 * one / len(images):6.2f}", flush=True)
    return every


def pages(model: neurona.Model, images: Pixels, labels: Sequence[str]) -> None:
    print(f"\n{PAGES} pages of 12 digits in 3 lines                  pages with 12 %  digits right %  pages right %")
    kinds: dict[str, tuple[float, Draw]] = {
        "drawn, well apart": (1.0, inverted),
        "drawn, close (some touch)": (0.75, inverted),
        "photographed": (1.0, photograph),
        "photographed, the table around it": (1.0, lambda ink, generator: photograph(ink, generator, table=True)),
    }
    for name, (apart, finish) in kinds.items():
        counted = digits = whole = 0
        for number in range(PAGES):
            generator = np.random.default_rng((1, number))
            chosen = generator.integers(0, len(images), 12)
            side = int(generator.integers(60, 110))
            page = written_page([images[index] for index in chosen], generator, lines=3, side=side, apart=apart)
            found = [reading.digit for reading in read_digits(model, finish(page, generator))]
            true = [labels[index] for index in chosen]
            wrong = edits(found, true)
            counted += len(found) == 12
            digits += max(0, 12 - wrong)
            whole += wrong == 0
        parts = (100 * counted / PAGES, 100 * digits / (12 * PAGES), 100 * whole / PAGES)
        print(f"  {name:<48} {parts[0]:8.1f}        {parts[1]:8.2f}       {parts[2]:8.1f}", flush=True)


def sureness(readings: Sequence[Reading], labels: Sequence[str]) -> None:
    right = np.array([reading.digit == label for reading, label in zip(readings, labels, strict=True)])
    sure = np.array([reading.sure for reading in readings])
    print("\nhow sure, on the canvases of 28 to 200 px")
    print(f"  not sure                       {100 * np.mean(~sure):6.2f} % of the answers")
    print(f"  right where sure               {100 * right[sure].mean():6.2f} %")
    print(f"  right where not sure           {100 * right[~sure].mean():6.2f} %")
    print(f"  wrong answers that are not sure {100 * np.mean(~sure[~right]):5.1f} %")


def speed(model: neurona.Model, images: Pixels) -> None:
    print("\nspeed, 1,000 files                                       s      × the forward pass alone")
    model.predict(images[:1000])
    started = time.perf_counter()
    model.predict(images[:1000])
    forward = time.perf_counter() - started
    print(f"  forward pass of 1,000 images                       {forward:7.3f}")
    kinds: dict[str, Draw] = {"28×28 PNG": lambda image, _generator: image, "200×300 PNG": on_canvas(28, 200)}
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in kinds.items():
            files = [Path(folder) / f"{index}.png" for index in range(1000)]
            for index, file in enumerate(files):
                Image.fromarray(draw(images[index], np.random.default_rng(index))).save(file)
            list(read_files(model, files[:128]))  # compiles
            started = time.perf_counter()
            count = sum(len(read.readings) for read in read_files(model, files))
            seconds = time.perf_counter() - started
            print(f"  {name:<48} {seconds:9.3f}      {seconds / forward:8.0f}      ({count:,} digits)", flush=True)


def sheet(images: Pixels, file: Path) -> None:
    """Draw pages and photographs, and below each what the model sees of it."""
    blocks = []
    for number in range(6):
        generator = np.random.default_rng((1, number))
        chosen = generator.integers(0, len(images), 12)
        page = written_page([images[index] for index in chosen], generator, lines=3, side=80, apart=1.0)
        kinds: list[Draw] = [inverted, photograph, lambda ink, drawn: photograph(ink, drawn, table=True)]
        picture = kinds[number % 3](page, generator)
        ink = ink_in(picture)
        marked = np.stack([picture] * 3, axis=2)
        row = np.zeros((30, 30 * 16), np.uint8)
        for index, digit in enumerate(digits_in(ink)):
            top, left, bottom, right = digit.box
            marked[top:bottom, [left, right - 1]] = marked[[top, bottom - 1], left:right] = (255, 80, 0)
            if index < 16:
                row[1:29, 30 * index + 1 : 30 * index + 29] = digit.normalised()
        block = Image.new("RGB", (560, 720), (40, 40, 60))
        block.paste(Image.fromarray(marked))
        block.paste(Image.fromarray(ink).resize((picture.shape[1] // 3, picture.shape[0] // 3)), (0, 520))
        block.paste(Image.fromarray(row), (0, 685))
        blocks.append(block)
    page_ = Image.new("RGB", (560 * 3, 720 * 2))
    for index, block in enumerate(blocks):
        page_.paste(block, (560 * (index % 3), 720 * (index // 3)))
    page_.save(file)


def trained() -> neurona.Model:
    data = neurona.load("mnist")
    recipe = neurona.Training(epochs=20, augmentation=neurona.Augmentation(rotation=10, scale=0.1, shear=0.1))
    return neurona.Model.of(neurona.train(neurona.Network(hidden=(500, 300)), recipe, data, seed=0), data)


def main() -> None:
    parser = argparse.ArgumentParser(description="How well, how surely and how fast digits are read in pictures.")
    parser.add_argument("--model", type=Path, help="a model file; trained first unless given")
    parser.add_argument("--save", type=Path, help="keep the model that was trained")
    parser.add_argument("--sheet", type=Path, help="draw pictures and what the model sees there")
    options = parser.parse_args()
    split = neurona.load("mnist").validation
    model = neurona.load_model(options.model) if options.model else trained()
    if options.save:
        model.save(options.save)
    chosen = np.random.default_rng(0).permutation(len(split.images))[:COUNT]
    images, labels = split.images[chosen], [str(label) for label in split.labels[chosen]]
    if options.sheet:
        sheet(images, options.sheet)
    procedure()
    every = singles(model, images, labels)
    sureness(every, labels)
    pages(model, images, labels)
    speed(model, images)


if __name__ == "__main__":
    main()
