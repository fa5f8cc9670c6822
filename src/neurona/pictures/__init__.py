"""Digits found in pictures of any kind, and brought to the size and place that MNIST's have."""

from __future__ import annotations

from neurona.pictures.normalising import framed, ink_box, normalised

__all__ = ["framed", "ink_box", "normalised"]
