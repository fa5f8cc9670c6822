"""What a browser needs to draw on a board and to watch a network answer: ES modules, a style sheet, words, weights.

The page that `neurona export --format html` writes and the pages of `neurona serve` are made of these.
"""

from neurona.drawing.modules import SOURCES, source
from neurona.drawing.weights import description, weights
from neurona.drawing.words import words

__all__ = ["SOURCES", "description", "source", "weights", "words"]
