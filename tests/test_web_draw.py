"""The tab to draw in, in a real browser: each digit by each hand, corrections, both languages, no error, no barrier."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import neurona
import pen
from chromium import Chromium
from neurona.data import Dataset
from neurona.model import Model
from web_server import Server


@pytest.fixture(scope="module")
def served(
    mnist: Dataset, small_study: neurona.Study, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Model]]:
    """A server of a study, and of a network that reads well."""
    folder = tmp_path_factory.mktemp("draw")
    augmentation = neurona.Augmentation(rotation=10.0, scale=0.1, shear=10.0, translation=1.0, thickness=0.5)
    training = neurona.Training(epochs=3, augmentation=augmentation)
    model = Model.of(neurona.train(neurona.Network(hidden=(96,)), training, mnist, seed=0), mnist)
    model.save(folder / "reader.safetensors")
    residual = neurona.train(neurona.Network(hidden=(16, 16), residual=True), neurona.Training(epochs=1), mnist, seed=0)
    Model.of(residual, mnist).save(folder / "residual.safetensors")
    models = ("--model", "reader.safetensors", "--model", "residual.safetensors")
    server = Server(*models, "--study", str(small_study.folder), folder=folder)
    yield server, model
    server.stop()


@pytest.fixture
def page(served: tuple[Server, Model], browser: Chromium) -> Iterator[Chromium]:
    browser.messages()
    browser.open(served[0].address + "?lang=en")
    yield browser
    assert browser.messages() == []  # the console is silent


def heard(page: Chromium) -> str:
    return str(page.ask("document.getElementById('said').textContent"))


def test_the_inside_of_a_network_is_said_in_words(page: Chromium, served: tuple[Server, Model]) -> None:
    pen.mouse(page, pen.DIGITS["7"])
    page.wait("document.getElementById('inside-said').textContent.startsWith('The strongest ways into 7.')")
    assert "Dotted" not in page.ask("document.getElementById('inside-said').textContent")
    page.open(served[0].address + "?lang=en#draw?model=file-2")
    pen.mouse(page, pen.DIGITS["7"])
    page.wait("document.getElementById('inside-said').textContent.includes('Layer 2: ')")
    assert "Dotted: what a layer is given" in page.ask("document.getElementById('inside-said').textContent")


@pytest.mark.parametrize("hand", ["mouse", "finger", "keyboard"])
def test_each_digit_is_read_from_each_hand(hand: str, page: Chromium, served: tuple[Server, Model]) -> None:
    read = {}
    for digit, strokes in pen.DIGITS.items():
        if hand == "keyboard":  # its pen begins in the middle of a new page
            page.open(served[0].address + "?lang=en")
        pen.HANDS[hand](page, strokes)
        page.wait("document.getElementById('said').textContent.startsWith('It is')")
        read[digit] = heard(page).split()[3].rstrip(",")
        page.run("document.getElementById('clear').click()")
        page.wait("document.getElementById('said').textContent === 'Nothing is drawn yet.'")
    assert read == {digit: digit for digit in pen.DIGITS}


def test_a_drawing_is_sent_by_its_address_and_the_language_is_switched(page: Chromium) -> None:
    pen.mouse(page, pen.DIGITS["7"])
    page.wait("location.hash.includes('d=')")
    page.run("document.querySelector('.bars li:nth-child(10) button').click()")  # why not a 9?
    address = page.ask("location.href")
    page.open(address)
    page.wait("document.getElementById('said').textContent.startsWith('It is a 7')")
    assert page.ask("document.querySelector('[aria-pressed=true] .name').textContent") == "9"
    page.run("const l = document.getElementById('language'); l.value = 'es'; l.dispatchEvent(new Event('change'));")
    page.wait("document.documentElement.lang === 'es' && document.querySelector('.tab')?.dataset.ready")
    page.wait("document.getElementById('said').textContent.startsWith('Es un 7')")
    assert page.ask("document.querySelector('.draw h1').textContent") == "Dibuje un dígito"


@pytest.mark.parametrize(("width", "scheme", "language"), [(1280, "light", "en"), (390, "dark", "es")])
def test_no_barrier_and_nothing_beside_the_screen(
    width: int, scheme: str, language: str, page: Chromium, served: tuple[Server, Model]
) -> None:
    page.open(served[0].address + f"?lang={language}", width=width, scheme=scheme)
    pen.mouse(page, pen.DIGITS["3"])
    page.wait("document.querySelectorAll('.near li').length === 10")
    assert page.violations() == []
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_it_learns_from_corrections(page: Chromium, served: tuple[Server, Model]) -> None:
    server, _model = served
    pen.mouse(page, pen.DIGITS["7"])
    page.wait("document.getElementById('said').textContent.startsWith('It is a 7')")
    page.run("document.querySelector('[data-label=\"1\"]').click()")  # my ones look like this
    page.wait("document.querySelector('.album .verdict')?.textContent === 'taken for 7'")
    _status, kept = server.ask("/api/drawings")
    assert [(one["name"], bool(one["strokes"])) for one in kept["drawings"]] == [("1", True)]
    page.run("document.getElementById('tune').click()")
    page.wait("document.querySelector('.outcome table') !== null")
    row, validation = page.ask("[...document.querySelectorAll('.outcome tbody tr')].map((row) => row.textContent)")
    assert "0 of 1" in row
    assert "+1" in row  # before and after
    assert "10,000" in validation
    page.wait("document.querySelector('.album .verdict').textContent === 'right'")
    page.run("document.querySelector('.album .remove').click()")
    page.wait("document.querySelectorAll('.album li').length === 0")
    assert server.ask("/api/drawings")[1]["drawings"] == []


def test_pictures_at_any_place_and_size_are_read_as_the_images_are(
    page: Chromium, served: tuple[Server, Model], mnist: Dataset
) -> None:
    """The same on hundreds, and with its figure: benchmarks/page.py."""
    random = np.random.default_rng(0)
    count = 40
    answers = page.run(PAINTED, [placed(image, random) for image in mnist.validation.images[:count]])
    plain = [mnist.class_names[index] for index in served[1].predict(mnist.validation.images[:count])]
    assert np.mean([one == other for one, other in zip(answers, plain, strict=True)]) >= 0.9


def placed(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], random: np.random.Generator) -> str:
    """Return a picture of 400 × 400 pixels as PNG in base64: the image anywhere on it, 100 to 360 pixels large."""
    side = int(random.integers(100, 361))
    left, top = (int(place) for place in random.integers(0, 401 - side, 2))
    board = Image.new("L", (400, 400))
    board.paste(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC), (left, top))
    buffer = io.BytesIO()
    board.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


# Opens pictures as a reader does, by the page's own field for files, and returns the answers that it shows.
PAINTED = """
const field = document.getElementById('picture-file'), answers = [];
for (const picture of given) {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], 'digit.png', {type: 'image/png'}));
  const before = performance.getEntriesByName('answer').length;
  field.files = files.files;
  field.dispatchEvent(new Event('change'));
  while (performance.getEntriesByName('answer').length === before) await new Promise(requestAnimationFrame);
  answers.push(document.querySelector('.answer .digit').textContent);
}
return answers;
"""
