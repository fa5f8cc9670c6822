"""What the browser computes against what Python does, and a board drawn on by mouse, finger, pen and keyboard."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
import pytest

import neurona
import pen
from chromium import Chromium
from neurona import drawing, i18n
from neurona.errors import UsageError
from neurona.figures import style
from neurona.insight import activations, gradient_times_input
from neurona.model import Model, View
from neurona.network import init
from neurona.run import Parameters
from neurona.specs.network import ACTIVATIONS

SHAPE, CLASSES = (7, 6), ("zero", "one", "two", "three", "four")
NETWORKS = {
    **{name: neurona.Network(hidden=(19, 12), activation=name) for name in ACTIVATIONS},
    "softmax regression": neurona.Network(hidden=()),
    "batch": neurona.Network(hidden=(9, 9), activation=("tanh", "relu"), normalization="batch"),
    "layer": neurona.Network(hidden=(13, 9), activation=("elu", "gelu"), normalization="layer"),
    "residual": neurona.Network(hidden=(11, 11, 11, 5, 5), activation="relu", residual=True),
    "all of it": neurona.Network(
        hidden=(42, 42, 8, 8), activation=("selu", "mish", "relu", "silu"), normalization="layer", residual=True
    ),
}


def parameters(network: neurona.Network, seed: int) -> Parameters:
    """Weights that are nowhere 0 or 1, as training would leave them, and large enough to reach an activation's ends."""
    generator = np.random.default_rng(seed)
    pixels = SHAPE[0] * SHAPE[1]
    blank = init(network, pixels=pixels, classes=len(CLASSES), seed=np.random.SeedSequence(seed))
    return tuple(
        {
            name: np.asarray(array * 3 if name == "kernel" else generator.uniform(0.3, 2.0, array.shape), np.float32)
            for name, array in layer.items()
        }
        for layer in blank
    )


def model(network: neurona.Network, members: int = 1, views: tuple[View, ...] = (View(),)) -> Model:
    found = tuple(parameters(network, seed) for seed in range(members))
    return Model(network, found, SHAPE, CLASSES, temperature=1.3, views=views)


def images(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images that are black in half of their pixels, the first one in all."""
    generator = np.random.default_rng(5)
    found = generator.integers(0, 256, (count, *SHAPE)) * (generator.random((count, *SHAPE)) < 0.5)
    found[0] = 0
    return found.astype(np.uint8)


def give(browser: Chromium, one: Model) -> None:
    """Put `one` on the page as `network`."""
    browser.blank()
    browser.load(drawing.source("network.js"))
    browser.run(
        "const text = atob(given.weights), bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));"
        "window.network = Network.fromBuffer(given.description, bytes.buffer);",
        {"description": drawing.description(one), "weights": base64.b64encode(drawing.weights(one)).decode()},
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_browser_computes_what_python_does(name: str, browser: Chromium) -> None:
    one, seen = model(NETWORKS[name]), images(20)
    (plain,) = one.plain_members()
    give(browser, one)
    flat = seen.reshape(len(seen), -1).tolist()
    found = np.array(browser.run("return given.map((image) => [...network.probabilities(image)])", flat))
    assert np.allclose(found, one.probabilities(seen), atol=2e-6)
    wanted = np.arange(len(seen), dtype=np.int32) % len(CLASSES)
    pairs = [[image, int(label)] for image, label in zip(flat, wanted, strict=True)]
    found = np.array(browser.run("return given.map(([image, label]) => [...network.saliency(image, label)])", pairs))
    expected = gradient_times_input(one.network, plain, seen, wanted).reshape(len(seen), -1)
    assert np.abs(expected).max() > 1e-2
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())


def test_what_its_layers_give(browser: Chromium) -> None:
    one, seen = model(NETWORKS["layer"]), images(3)
    give(browser, one)
    found = browser.run(
        "return given.map((image) => network.layers(image).map((layer) => [...layer]))",
        seen.reshape(3, -1).tolist(),
    )
    expected = activations(one.network, one.plain_members()[0], seen)
    for index in range(3):
        assert [len(layer) for layer in found[index]] == [13, 9, 5]
        for layer, given in zip(found[index], expected, strict=False):
            assert np.allclose(layer, given[index], atol=1e-5)
        assert np.allclose(found[index][-1], one.probabilities(seen)[index], atol=1e-6)


def test_members_and_looks_are_averaged(browser: Chromium) -> None:
    views = (View(), View(rotation=12.0, right=1.0))
    one, seen = model(NETWORKS["residual"], members=3, views=views), images(8)
    give(browser, one)
    flat = seen.reshape(8, -1).tolist()
    assert browser.ask("network.members.length") == 6
    found = np.array(browser.run("return given.map((image) => [...network.probabilities(image)])", flat))
    assert np.allclose(found, one.probabilities(seen), atol=2e-6)
    wanted = np.full(8, 2, np.int32)
    each = [gradient_times_input(one.network, plain, seen, wanted) for plain in one.plain_members()]
    found = np.array(browser.run("return given.map((image) => [...network.saliency(image, 2)])", flat))
    assert np.allclose(found, np.mean(each, axis=0).reshape(8, -1), atol=1e-4)


def test_weights_that_do_not_fit_are_refused(browser: Chromium) -> None:
    one = model(NETWORKS["batch"])
    give(browser, one)
    described = drawing.description(one)
    size = len(drawing.weights(one))
    for wrong, count, said in (
        ({}, size - 4, "end at"),
        ({}, size + 4, f"not {size}"),
        ({"activations": ["tanh", "constructor"]}, size, "no activation"),
    ):
        with pytest.raises(RuntimeError, match=said):
            browser.run("Network.fromBuffer(given[0], new ArrayBuffer(given[1]))", [{**described, **wrong}, count])
    with pytest.raises(RuntimeError, match="42 pixels"):
        browser.run("network.probabilities(new Uint8Array(784))")


def test_only_the_files_of_the_package_are_given() -> None:
    assert "export class Board" in drawing.source("board.js")
    for wrong in ("../model.py", "words.py", ""):
        with pytest.raises(UsageError, match="there is no file"):
            drawing.source(wrong)


def test_the_words_are_in_both_languages() -> None:
    i18n.activate(None)
    english, spanish = drawing.words("en"), drawing.words("es")
    assert drawing.words() == english
    assert english.keys() == spanish.keys()
    assert all(english[key] != spanish[key] for key in english)


def test_the_colours_are_those_of_the_figures() -> None:
    css = drawing.source("drawing.css")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    for scheme, text in (("light", light), ("dark", dark)):
        for name in ("paper", "text", "quiet"):
            assert f"--{name}: {getattr(style.SCHEMES[scheme], name)};" in text
    assert f"--for: {style.BLUE}" in light
    assert f"--against: {style.ORANGE}" in light


# The board


@pytest.fixture
def board(browser: Chromium) -> Chromium:
    """A page with a board of 300 points, called `board`, and what it fires in `fired`."""
    browser.blank(
        "<canvas class='board' style='width: 300px; height: 300px; border: 2px solid'></canvas><button>ok</button>"
    )
    browser.messages()
    browser.load(drawing.source("board.js"))
    browser.run(
        "window.board = new Board(document.querySelector('canvas'), {words: given}); window.fired = [];"
        "board.addEventListener('change', () => fired.push('change'));"
        "board.addEventListener('pen', ({detail}) => fired.push(detail.down ? 'down' : 'up'));",
        drawing.words("en"),
    )
    return browser


def ink(board: Chromium) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What is drawn, 0 to 1, `(280, 280)`."""
    found = board.run("const {data, height, width} = board.ink(); return {data: [...data], height, width}")
    return np.array(found["data"], float).reshape(found["height"], found["width"]) / 255


def overlap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


@pytest.mark.parametrize("hand", pen.HANDS)
@pytest.mark.parametrize("digit", ["4", "6"])
def test_what_a_hand_draws_is_there(hand: str, digit: str, board: Chromium) -> None:
    strokes = pen.DIGITS[digit]
    pen.HANDS[hand](board, strokes)
    drawn = ink(board)
    assert len(board.ask("board.strokes")) == len(strokes)
    assert board.ask("board.drawing") is False
    board.run("board.strokes = given", strokes)
    assert overlap(drawn, ink(board)) > (0.6 if hand == "keyboard" else 0.97)  # the keyboard goes in steps
    assert 0.03 < drawn.mean() < 0.15
    assert board.messages() == []


def test_a_tap_is_a_dot(board: Chromium) -> None:
    for draw in (pen.mouse, pen.finger):
        board.run("board.clear()")
        draw(board, [[(0.25, 0.75)]])
        drawn = ink(board)
        rows, columns = np.nonzero(drawn > 0.5)
        assert (rows.mean(), columns.mean()) == pytest.approx((209.5, 69.5), abs=1.0)
        width = 0.08 * 280
        assert drawn.sum() == pytest.approx(np.pi * width**2 / 4, rel=0.02)


def test_the_brush_and_the_pressure_of_a_pen_widen_a_stroke(board: Chromium) -> None:
    line = [[(0.2, 0.5), (0.5, 0.5), (0.8, 0.5)]]

    def thickness() -> float:
        found = float(ink(board)[:, 140].sum())
        board.run("board.clear()")
        return found

    pen.mouse(board, line)
    assert thickness() == pytest.approx(0.08 * 280, abs=1.0)
    board.run("board.brush = 0.2")
    pen.mouse(board, line)
    assert thickness() == pytest.approx(0.2 * 280, abs=1.0)
    for force, times in ((0.5, 1.0), (1.0, 1.5), (0.2, 0.7)):
        pen.mouse(board, line, kind="pen", force=force)
        assert thickness() == pytest.approx(times * 0.2 * 280, abs=1.5)


def test_undo_and_clear(board: Chromium) -> None:
    first, second = [(0.2, 0.2), (0.4, 0.4)], [(0.6, 0.6), (0.8, 0.7)]
    assert board.ask("board.canUndo") is False
    pen.mouse(board, [first])
    before = ink(board)
    pen.mouse(board, [second])
    both = ink(board)
    board.run("board.clear()")
    assert ink(board).max() == 0.0
    assert board.ask("board.strokes") == []
    board.run("board.undo()")
    assert (ink(board) == both).all()
    pen.key(board, "z", code="KeyZ", modifiers=2)
    assert (ink(board) == before).all()
    pen.key(board, "Delete")
    assert ink(board).max() == 0.0
    for _ in range(3):
        board.run("board.undo()")
    assert board.ask("board.strokes") == []
    assert board.ask("board.canUndo") is False


def test_strokes_are_given_and_taken(board: Chromium) -> None:
    strokes = [[[0.1, 0.2], [0.5, 0.6]], [[0.9, 0.9]]]
    board.run("board.strokes = given", strokes)
    assert board.ask("board.strokes") == strokes
    assert board.ask("fired") == ["change"]
    assert ink(board).max() == 1.0


def test_a_second_finger_and_another_button_draw_nothing(board: Chromium) -> None:
    touch = "Input.dispatchTouchEvent"
    one, two = {"x": 80, "y": 80, "id": 1}, {"x": 200, "y": 200, "id": 2}
    board.command(touch, type="touchStart", touchPoints=[one])
    board.command(touch, type="touchStart", touchPoints=[one, two])
    board.command(touch, type="touchMove", touchPoints=[one, two | {"x": 220}])
    board.command(touch, type="touchEnd", touchPoints=[])
    assert len(board.ask("board.strokes")) == 1
    press = {"x": 100, "y": 100, "button": "right", "clickCount": 1}
    board.command("Input.dispatchMouseEvent", type="mousePressed", **press)
    board.command("Input.dispatchMouseEvent", type="mouseReleased", **press)
    assert len(board.ask("board.strokes")) == 1


def test_space_puts_the_pen_down_and_lifts_it(board: Chromium) -> None:
    board.run("document.querySelector('canvas').focus()")
    pen.key(board, " ", code="Space")
    assert board.ask("board.drawing") is True
    pen.key(board, "ArrowRight")
    pen.key(board, " ", code="Space")
    assert board.ask("board.drawing") is False
    assert [name for name in board.ask("fired") if name != "change"] == ["down", "up"]
    ((start, end),) = board.ask("board.strokes")
    assert start == [0.5, 0.5]
    assert end == pytest.approx([0.5 + 1 / 28, 0.5])
    pen.key(board, " ", code="Space", up=False)  # held while it draws, it is lifted when let go
    pen.key(board, "ArrowDown", modifiers=8)
    pen.key(board, " ", code="Space", down=False)
    assert board.ask("board.drawing") is False
    assert board.ask("board.strokes[1][1][1] - board.strokes[1][0][1]") == pytest.approx(1 / 112)


def test_two_arrows_go_diagonally_and_stay_on_the_board(board: Chromium) -> None:
    board.run("document.querySelector('canvas').focus()")
    pen.key(board, " ", code="Space")
    pen.key(board, "ArrowRight", up=False)
    for _ in range(40):
        pen.key(board, "ArrowDown", up=False)
    (stroke,) = board.ask("board.strokes")
    assert stroke[1] == pytest.approx([0.5 + 1 / 28, 0.5])
    assert stroke[2] == pytest.approx([0.5 + 2 / 28, 0.5 + 1 / 28])
    assert stroke[-1] == pytest.approx([1.0, 1.0])
    pen.key(board, "Escape")
    assert board.ask("board.drawing") is False


def test_the_board_is_reached_named_and_left_by_keyboard(board: Chromium) -> None:
    pen.key(board, "Tab")
    assert board.ask("document.activeElement.className") == "board"
    assert board.ask("document.activeElement.getAttribute('aria-label')") == drawing.words("en")["board"]
    pen.key(board, " ", code="Space")
    pen.key(board, "Tab")
    assert board.ask("document.activeElement.tagName") == "BUTTON"
    assert board.ask("board.drawing") is False  # the pen does not stay down behind the reader's back
    board.run("board.words = given", drawing.words("es"))
    assert board.ask("document.querySelector('canvas').getAttribute('aria-roledescription')") == "tablero de dibujo"


def test_the_ink_is_the_same_on_every_screen_and_the_screen_is_sharp(board: Chromium) -> None:
    board.run("board.strokes = given", pen.DIGITS["8"])
    on_a_plain_screen = ink(board)
    board.wait("document.querySelector('canvas').width === 300")
    metrics = {"width": 640, "height": 900, "deviceScaleFactor": 3, "mobile": False}
    board.command("Emulation.setDeviceMetricsOverride", **metrics)
    board.wait("document.querySelector('canvas').width === 900")
    assert (ink(board) == on_a_plain_screen).all()


def test_a_board_that_is_let_go_draws_no_more(board: Chromium) -> None:
    board.run("board.close()")
    pen.mouse(board, pen.DIGITS["1"])
    assert board.ask("board.strokes") == []
