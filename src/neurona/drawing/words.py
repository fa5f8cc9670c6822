"""What a page with a board says, in a reader's language."""

from __future__ import annotations

from neurona.i18n import language, marked, translated

__all__ = ["words"]

_WORDS = {
    "board": marked("Drawing board: draw with pointer or finger, or with the arrow keys and space"),
    "board_kind": marked("drawing board"),
    "keys": marked(
        "Keyboard: the arrows move the pen, two at once go diagonally, Shift makes small steps; space puts the pen "
        "down and lifts it; Ctrl+Z undoes, Delete clears."
    ),
    "pen_down": marked("Pen down"),
    "pen_up": marked("Pen lifted"),
    "undo": marked("Undo"),
    "clear": marked("Clear"),
    "brush": marked("Brush width"),
}


def words(name: str | None = None) -> dict[str, str]:
    """Return the words of the board and its buttons, in the language `name`, that in force unless given."""
    return {key: translated(word, name or language()) for key, word in _WORDS.items()}
