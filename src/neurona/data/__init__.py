"""Data sets: `load` gives train and validation; the test split stays sealed.

A data set is named (`mnist` comes with Neurona, the others of `catalogue()` are fetched once), or it is a file or
folder: a `.npz`, IDX files, CSV files, or images in a folder for each class.
"""

from __future__ import annotations

from neurona.data.dataset import Dataset, Split
from neurona.data.loading import CatalogueEntry, Verification, catalogue, load, verify

__all__ = ["CatalogueEntry", "Dataset", "Split", "Verification", "catalogue", "load", "verify"]
