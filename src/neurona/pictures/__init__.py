"""Digits found in pictures of any kind, and brought to the size and place that MNIST's have.

picture = decoded(Path("page.jpg"))
for digit in digits_in(ink_in(picture.grey)):
    image = normalised(digit.ink)
"""

from __future__ import annotations

from neurona.pictures.decoding import FORMATS, SUFFIXES, Picture, decoded, grey
from neurona.pictures.digits import Digit, digits_in
from neurona.pictures.ink import ink_in, on_black
from neurona.pictures.normalising import framed, ink_box, normalised

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Digit",
    "Picture",
    "decoded",
    "digits_in",
    "framed",
    "grey",
    "ink_box",
    "ink_in",
    "normalised",
    "on_black",
]
