"""A model for elsewhere: Keras, ONNX, safetensors, a page to draw on; and its card.

Every format takes raw pixels, uint8 `(n, height, width)`, and gives probabilities `(n, classes)`. Members, test-time
views and temperature are in it.
"""

from neurona.exports.card import card
from neurona.exports.exporting import FORMATS, export, format_of
from neurona.exports.page import page

__all__ = ["FORMATS", "card", "export", "format_of", "page"]
