"""Ten digits as a pen writes them, and the hands that write them: mouse, finger, pen and keyboard.

Points are shares of the board, (0, 0) top left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from chromium import Chromium

Point = tuple[float, float]
Stroke = list[Point]


def _arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """Points of an ellipse about (x, y), from `start` to `end` degrees; 0 is to the right, 90 below."""
    steps = max(int(abs(end - start) / 24), 2)
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


DIGITS: dict[str, list[Stroke]] = {
    "0": [_arc(0.5, 0.5, 0.2, 0.3, -90, -450)],
    "1": [[(0.54, 0.2), (0.52, 0.4), (0.5, 0.6), (0.48, 0.8)]],
    "2": [[*_arc(0.48, 0.36, 0.17, 0.16, -170, 35), (0.45, 0.62), (0.3, 0.8), (0.45, 0.78), (0.7, 0.79)]],
    "3": [[*_arc(0.47, 0.35, 0.17, 0.15, -150, 90), *_arc(0.47, 0.65, 0.19, 0.15, -90, 150)]],
    "4": [
        [(0.36, 0.2), (0.33, 0.35), (0.31, 0.52), (0.45, 0.53), (0.68, 0.5)],
        [(0.64, 0.22), (0.62, 0.5), (0.6, 0.82)],
    ],
    "5": [[(0.68, 0.21), (0.4, 0.21), (0.37, 0.46), *_arc(0.48, 0.62, 0.18, 0.18, -110, 140)]],
    "6": [[(0.62, 0.18), (0.48, 0.3), (0.38, 0.48), *_arc(0.5, 0.65, 0.15, 0.15, -180, -540), (0.36, 0.6)]],
    "7": [[(0.3, 0.24), (0.5, 0.22), (0.7, 0.22), (0.6, 0.42), (0.5, 0.6), (0.43, 0.82)]],
    "8": [
        [
            *_arc(0.5, 0.35, 0.15, 0.15, -45, -270),
            *_arc(0.5, 0.66, 0.17, 0.16, -90, 270),
            *_arc(0.5, 0.35, 0.15, 0.15, 90, -45),
        ]
    ],
    "9": [[*_arc(0.48, 0.36, 0.16, 0.16, -20, -360), (0.64, 0.36), (0.63, 0.55), (0.58, 0.82)]],
}

Hand = Callable[[Chromium, Sequence[Stroke]], None]


def _box(browser: Chromium) -> tuple[float, float, float]:
    """Return left, top and side of the board inside its border, in points of the page."""
    left, top, side = browser.ask(
        "(() => { const board = document.querySelector('canvas.board'), box = board.getBoundingClientRect();"
        " return [box.left + board.clientLeft, box.top + board.clientTop, board.clientWidth]; })()"
    )
    return left, top, side


def mouse(browser: Chromium, strokes: Sequence[Stroke], *, kind: str = "mouse", force: float = 0.5) -> None:
    """Draw with the mouse, or with a pen that is pressed by `force`, from 0 to 1."""
    left, top, side = _box(browser)
    for stroke in strokes:
        places = [(left + x * side, top + y * side) for x, y in stroke]

        def act(what: str, place: Point, down: bool) -> None:
            browser.command(
                "Input.dispatchMouseEvent",
                type=what,
                x=place[0],
                y=place[1],
                button="left" if what != "mouseMoved" or down else "none",
                buttons=int(down),
                clickCount=1,
                pointerType=kind,
                force=force,
            )

        act("mouseMoved", places[0], False)
        act("mousePressed", places[0], True)
        for place in places[1:]:
            act("mouseMoved", place, True)
        act("mouseReleased", places[-1], False)


def pen(browser: Chromium, strokes: Sequence[Stroke]) -> None:
    """Draw with a pen, pressed as hard as a mouse."""
    mouse(browser, strokes, kind="pen")


def finger(browser: Chromium, strokes: Sequence[Stroke]) -> None:
    """Draw with a finger on a touch screen."""
    left, top, side = _box(browser)
    for stroke in strokes:
        places = [{"x": left + x * side, "y": top + y * side} for x, y in stroke]
        browser.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[places[0]])
        for place in places[1:]:
            browser.command("Input.dispatchTouchEvent", type="touchMove", touchPoints=[place])
        browser.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


_STEPS = 28  # of the keyboard's pen, each way


def key(
    browser: Chromium, name: str, *, code: str = "", down: bool = True, up: bool = True, modifiers: int = 0
) -> None:
    """Press a key, let it go, or both."""
    for wanted, what in ((down, "rawKeyDown"), (up, "keyUp")):
        if wanted:
            browser.command("Input.dispatchKeyEvent", type=what, key=name, code=code or name, modifiers=modifiers)


def keyboard(browser: Chromium, strokes: Sequence[Stroke]) -> None:
    """Draw with the arrow keys and space, from the middle of the board, where its pen is at first."""
    browser.run("document.querySelector('canvas.board').focus()")
    at = (_STEPS // 2, _STEPS // 2)
    for stroke in strokes:
        places = [(round(x * _STEPS), round(y * _STEPS)) for x, y in stroke]
        at = _walk(browser, at, places[0])
        key(browser, " ", code="Space")
        for _start, end in pairwise(places):
            at = _walk(browser, at, end)
        key(browser, " ", code="Space")


def _walk(browser: Chromium, start: tuple[int, int], end: tuple[int, int]) -> tuple[int, int]:
    """Move the pen from place to place in steps, diagonally by two keys at once, along the straight line."""
    (x, y), (goal_x, goal_y) = start, end
    count = max(abs(goal_x - x), abs(goal_y - y))
    for step in range(1, count + 1):
        next_x, next_y = (round(a + (b - a) * step / count) for a, b in ((start[0], goal_x), (start[1], goal_y)))
        across = {1: "ArrowRight", -1: "ArrowLeft"}.get(next_x - x)
        along = {1: "ArrowDown", -1: "ArrowUp"}.get(next_y - y)
        for name in filter(None, (across, along)):
            key(browser, name)
        x, y = next_x, next_y
    return end


HANDS: dict[str, Hand] = {"mouse": mouse, "pen": pen, "finger": finger, "keyboard": keyboard}
