"""Where a model's data came from, for those who use the model."""

from __future__ import annotations

from neurona.data.catalogue import CATALOGUE

__all__ = ["homepage", "licence", "short_title"]


def licence(dataset: str) -> str:
    """Return the licence of a data set that has a name; empty where Neurona does not know it."""
    return CATALOGUE[dataset].licence if dataset in CATALOGUE else ""


def homepage(dataset: str) -> str:
    """Return the address of a data set that has a name; empty where Neurona does not know it."""
    return CATALOGUE[dataset].homepage if dataset in CATALOGUE else ""


def short_title(dataset: str) -> str:
    """Return what a data set is called in a sentence: `MNIST`; its name where Neurona knows no title of it."""
    return CATALOGUE[dataset].title.partition(":")[0] if dataset in CATALOGUE else dataset
