"""The registry of readers: what kinds of files and folders can be read, and by which module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neurona.data.parts import Parts
from neurona.data.readers import csv, idx, images, npz
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["READERS", "Reader", "reader_of"]


@dataclass(frozen=True)
class Reader:
    """A kind of source.

    kind: its name.
    recognises: whether a path, by its name and those in it, is of this kind.
    read: its parts.
    read_labelled: its parts, with the name of the label column, if it has columns.
    """

    kind: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Parts]
    read_labelled: Callable[[Path, str], Parts] | None = None


READERS = (
    Reader("npz", npz.recognises, npz.read),
    Reader("idx", idx.recognises, idx.read),
    Reader("csv", csv.recognises, csv.read, csv.read),
    Reader("images", images.recognises, images.read),
)
"""In the order in which they are asked; the first that recognises a path reads it."""


def reader_of(path: Path) -> Reader:
    """Return the reader for `path`. Raises `DataError` if there is none."""
    try:
        for reader in READERS:
            if reader.recognises(path):
                return reader
    except OSError as error:
        raise DataError(_("{file}: it cannot be read: {error}.").format(file=path, error=error)) from error
    raise DataError(
        _(
            "{path}: a data set must be a .npz file, an IDX file or a folder of them, a .csv file or a folder of "
            "them, or a folder "
            "with a folder of images for each class, but this is none of these."
        ).format(path=path)
    )
