"""Digits found in pictures: page and ink, parts and lines; the program on files, good and broken."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import neurona
from neurona.data import Dataset
from neurona.errors import DataError
from neurona.pictures import decoded, digits_in, ink_in
from neurona.reading import pictures_in, read_files

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def model(mnist: Dataset) -> neurona.Model:
    run = neurona.train(neurona.Network(hidden=(50,)), neurona.Training(epochs=2), mnist, seed=0)
    return neurona.Model.of(run, mnist)


@pytest.fixture(scope="module")
def images(mnist: Dataset, model: neurona.Model) -> tuple[Pixels, list[str]]:
    """Validation images that the model answers rightly, with nine tenths at least, and their labels."""
    split = mnist.validation
    probabilities = model.probabilities(split.images[:300])
    good = (probabilities.argmax(axis=1) == split.labels[:300]) & (probabilities.max(axis=1) > 0.99)
    return split.images[:300][good], [str(label) for label in split.labels[:300][good]]


def page_of(images: Pixels, *, columns: int, side: int = 60, step: int = 80) -> Pixels:
    rows = -(-len(images) // columns)
    page = np.zeros((rows * step + 20, columns * step + 20), np.uint8)
    for index, image in enumerate(images):
        top, left = 20 + step * (index // columns), 20 + step * (index % columns)
        page[top : top + side, left : left + side] = np.array(Image.fromarray(image).resize((side, side)))
    return page


def shaded(page: Pixels, seed: int) -> Pixels:
    """Return ink on paper whose light falls to half, with noise."""
    height, width = page.shape
    light = np.linspace(230, 110, width)[None] * np.linspace(1.0, 0.8, height)[:, None]
    noise = np.random.default_rng(seed).normal(0, 3, page.shape)
    return np.clip(light * (1 - 0.7 * page / 255) + noise, 0, 255).astype(np.uint8)


def test_a_clean_page_keeps_its_ink(images: tuple[Pixels, list[str]]) -> None:
    for image in images[0][:50]:
        for picture in (image, 255 - image):
            ink = ink_in(picture)
            assert (ink[ink > 0] == image[ink > 0]).all()
            assert image[ink == 0].max() <= 64  # faint ends beyond a pixel from the stroke


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_polarity_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    page = np.zeros((90, 120), np.uint8)
    for _stroke in range(3):
        top, left = generator.integers(5, 50, 2)
        page[top : top + 30, left : left + 6] = generator.integers(120, 256)
    assert (ink_in(page) == ink_in(255 - page)).all()


@pytest.mark.parametrize(
    "finish", [lambda p: p, lambda p: 255 - p, lambda p: shaded(p, 1)], ids=["dark", "light", "photo"]
)
def test_digits_come_in_reading_order(finish, images: tuple[Pixels, list[str]], model: neurona.Model) -> None:
    chosen, labels = images[0][:15], images[1][:15]
    picture = finish(page_of(chosen, columns=5))
    found = neurona.read_digits(model, picture)
    assert len(found) == 15
    assert sum(one.digit == label for one, label in zip(found, labels, strict=True)) >= 14
    for index, one in enumerate(found):
        left, top, right, bottom = one.box
        row, column = divmod(index, 5)
        assert 20 + 80 * column <= left < right <= 80 + 80 * column
        assert 20 + 80 * row <= top < bottom <= 80 + 80 * row


def test_a_sheet_on_a_table(images: tuple[Pixels, list[str]], model: neurona.Model) -> None:
    sheet = shaded(page_of(images[0][:6], columns=3, side=60), 2)
    picture = np.pad(sheet, 60, constant_values=35)
    found = neurona.read_digits(model, picture)
    assert [one.digit for one in found] == images[1][:6]


def test_noise_alone_is_no_ink() -> None:
    for level in (0, 128, 255):
        assert not ink_in(np.full((50, 70), level, np.uint8)).any()
    paper = np.full((300, 400), 200.0) * np.linspace(1.0, 0.6, 400)
    noisy = np.clip(paper + np.random.default_rng(0).normal(0, 4, paper.shape), 0, 255).astype(np.uint8)
    assert not ink_in(noisy).any()


def bars(*boxes: tuple[int, int, int, int]) -> Pixels:
    ink = np.zeros((200, 300), np.uint8)
    for top, left, bottom, right in boxes:
        ink[top:bottom, left:right] = 255
    return ink


def test_parts_of_one_digit_are_one() -> None:
    broken_five = bars((20, 20, 25, 50), (32, 20, 80, 45))
    assert [one.box for one in digits_in(broken_five)] == [(20, 20, 80, 50)]
    detached = bars((20, 44, 26, 60), (22, 20, 80, 40))
    assert [one.box for one in digits_in(detached)] == [(20, 20, 80, 60)]
    two_lines = bars((10, 20, 60, 50), (70, 20, 120, 50))
    assert len(digits_in(two_lines)) == 2
    side_by_side = bars((10, 20, 60, 30), (10, 34, 60, 44))
    assert len(digits_in(side_by_side)) == 2
    with_specks = bars((10, 20, 60, 50), (150, 200, 154, 204), (100, 100, 101, 101))
    assert len(digits_in(with_specks)) == 1
    touching = bars((10, 20, 60, 50), (30, 50, 34, 60), (10, 60, 60, 110))
    assert [one.wide for one in digits_in(touching)] == [True]


def test_a_line_may_fall() -> None:
    steps = [(10 + 6 * n, 10 + 35 * n, 50 + 6 * n, 30 + 35 * n) for n in range(8)]
    second = [(top + 60, left, bottom + 60, right) for top, left, bottom, right in steps[:7]]
    assert [one.box for one in digits_in(bars(*second, *steps))] == [*steps, *second]


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_every_format_is_read(suffix: str, tmp_path: Path) -> None:
    page = 255 - page_of(np.full((1, 28, 28), 255, np.uint8), columns=1)
    Image.fromarray(page).save(tmp_path / f"page.{suffix}")
    found = decoded(tmp_path / f"page.{suffix}")
    assert np.abs(found.grey.astype(int) - page).max() <= 20  # JPEG's
    assert (found.height, found.width) == page.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_photograph_is_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    page = np.zeros((40, 64), np.uint8)
    page[8:16, 8:40] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"turned.{suffix}"
    Image.fromarray(page).save(file, exif=exif)
    with Image.open(file) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    found = decoded(file)
    assert np.abs(found.grey.astype(int) - expected).max() <= 2
    assert (found.height, found.width) == expected.shape


def test_pixels_of_every_kind_are_the_same_ink(tmp_path: Path) -> None:
    drawn = bars((20, 20, 80, 50))
    black, alpha = Image.new("L", (300, 200), 0), Image.fromarray(drawn)
    white = Image.new("L", (300, 200), 255)
    kinds = {
        "black-on-clear.png": Image.merge("LA", (black, alpha)),
        "white-on-clear.png": Image.merge("RGBA", (white, white, white, alpha)),
        "palette.png": Image.fromarray(255 - drawn).convert("P"),
        "bits.png": Image.fromarray(drawn).convert("1"),
        "sixteen.png": Image.fromarray(drawn.astype(np.uint16) * 257),
        "floats.tif": Image.fromarray(drawn.astype(np.float32) / 255),
        "cmyk.tif": Image.fromarray(255 - drawn).convert("CMYK"),
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
        assert [one.box for one in digits_in(ink_in(decoded(tmp_path / name).grey))] == [(20, 20, 80, 50)], name


def test_a_large_picture_is_shrunk_and_its_boxes_are_not(tmp_path: Path) -> None:
    page = np.full((5000, 700), 255, np.uint8)
    page[4000:4400, 100:300] = 0
    Image.fromarray(page).save(tmp_path / "large.png")
    picture = decoded(tmp_path / "large.png")
    (digit,) = digits_in(ink_in(picture.grey))
    assert picture.grey.shape == (2500, 350)
    assert np.abs(np.array(picture.in_own_pixels(digit.box)) - (100, 4000, 300, 4400)).max() <= 4


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def broken_files(folder: Path) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000))
    (folder / "wide.png").write_bytes(png_header(9_000, 9_000))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50)).astype(np.uint8)).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:900])


def test_the_program_reads_folders_and_names_what_it_cannot(
    program, tmp_path: Path, model: neurona.Model, images: tuple[Pixels, list[str]]
) -> None:
    model.save(tmp_path / "model.safetensors")
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    broken_files(folder)
    for number in (10, 2, 1):
        Image.fromarray(images[0][number]).save(folder / f"page {number}.png")
    Image.new("L", (300, 200), 240).save(folder / "blank.png")
    Image.fromarray(255 - page_of(images[0][3:6], columns=3)).save(folder / "deeper" / "three.jpg")
    (folder / "notes.txt").write_text("not a picture, and not looked at")

    done = program("predict", "model.safetensors", "pictures", "nowhere.png", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    names = [Path(one["image"]).name for one in found]
    assert names == ["page 1.png", "page 2.png", "page 10.png", "three.jpg", "three.jpg", "three.jpg"]
    assert [one["digit"] for one in found] == [images[1][number] for number in (1, 2, 10, 3, 4, 5)]
    for one in found:
        assert set(one) == {"image", "box", "digit", "probability", "probabilities", "runner_up", "sure"}
        assert one["probability"] == max(one["probabilities"].values()) == one["probabilities"][one["digit"]]
        assert sum(one["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    for name in ("empty.png", "text.png", "bomb.png", "wide.png", "cut.png", "nowhere.png"):
        assert done.stderr.count(name) == 1
    assert "blank.png: there is no ink in it." in done.stderr
    assert "Traceback" not in done.stderr

    spanish = program("predict", "model.safetensors", "pictures/deeper", "pictures/blank.png", lang="es")
    assert spanish.returncode == 0
    assert "probabilidad" in spanish.stdout
    assert len(spanish.stdout.splitlines()) == 4
    assert "no hay tinta" in spanish.stderr


def test_nothing_to_read(program, tmp_path: Path, model: neurona.Model) -> None:
    model.save(tmp_path / "model.safetensors")
    (tmp_path / "none").mkdir()
    done = program("predict", "model.safetensors", "none", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert "there is no picture in none" in done.stderr
    missing = program("predict", "no-model", "none")
    assert missing.returncode == 2


def test_damaged_files_are_errors_and_nothing_else(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    page = page_of(np.full((1, 28, 28), 255, np.uint8), columns=1)
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        file = tmp_path / f"page.{suffix}"
        Image.fromarray(page).save(file)
        whole = bytearray(file.read_bytes())
        for _once in range(40):
            changed = bytearray(whole)
            for place in generator.integers(0, len(changed), 6):
                changed[place] = generator.integers(256)
            file.write_bytes(changed[: generator.integers(1, len(changed) + 1)])
            try:
                assert decoded(file).grey.dtype == np.uint8
            except DataError as error:
                assert "page." in str(error)  # noqa: PT017


def test_many_files_are_read_ahead_in_order(
    tmp_path: Path, model: neurona.Model, images: tuple[Pixels, list[str]]
) -> None:
    for number in range(150):
        Image.fromarray(images[0][number % 100]).save(tmp_path / f"{number}.png")
    files = list(pictures_in([tmp_path]))
    assert [file.stem for file in files] == [str(number) for number in range(150)]
    asked = 0

    def counted():
        nonlocal asked
        for file in files:
            asked += 1
            yield file

    reads = read_files(model, counted())
    first = next(reads)
    assert asked <= 192
    assert first.file == files[0]
    answers = [read.readings[0].digit for read in [first, *reads]]
    assert answers == [images[1][number % 100] for number in range(150)]


def test_other_shapes_and_names(small: Dataset) -> None:
    """A model of 8×8 images whose classes are words takes pictures whole."""
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    data = neurona.load("mnist")
    tiny = [np.array(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX)) for image in small.train.images]
    split = type(data.train)(np.array(tiny), small.train.labels)
    tiny_data = type(data)(**{**vars(small), "train": split, "validation": split, "class_names": words})
    model = neurona.Model.of(
        neurona.train(neurona.Network(hidden=(30,)), neurona.Training(epochs=10, batch_size=20), tiny_data, seed=0),
        tiny_data,
    )
    picture = 255 - np.kron(np.array(tiny[5]), np.ones((20, 20), np.uint8))
    (whole,) = neurona.read_digits(model, picture)
    assert whole.box == (0, 0, 160, 160)
    assert whole.digit == words[model.predict(split.images[5:6])[0]]
    (found,) = neurona.read_digits(model, picture, whole=False)
    assert found.digit in words
    assert found.box != whole.box


def test_what_is_no_picture_is_refused(model: neurona.Model) -> None:
    with pytest.raises(DataError, match="uint8"):
        neurona.read_digits(model, np.zeros((3, 4, 5), np.uint8))
    assert neurona.read_digits(model, Image.new("RGB", (50, 50), "white")) == []
