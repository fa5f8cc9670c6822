"""A data set: train and validation images with their labels, and of the test split nothing but its size."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from neurona.data.splitting import Amount
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["Dataset", "Origin", "Split", "first_images"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and the class of each.

    images: uint8 `(n, height, width)`, 0 to 255, read-only.
    labels: int32 `(n,)`, indices into the data set's `class_names`, read-only.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        self.images.setflags(write=False)
        self.labels.setflags(write=False)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:]
        return f"Split({len(self)} images of {height}×{width})"


def first_images(train: Split, count: int, source: str) -> Split:
    """Return the first `count` images of `train`, the training split of `source`.

    Raises `DataError` when there are not so many, or a class would have none.
    """
    enough = int(np.unique(train.labels, return_index=True)[1].max()) + 1
    if not enough <= count <= len(train):
        sentence = _("{source}[:{count}]: must keep from {least:,} images, so that each class has one, to {most:,}.")
        raise DataError(sentence.format(source=source, count=count, least=enough, most=len(train)))
    return Split(train.images[:count].copy(), train.labels[:count].copy())


@dataclass(frozen=True)
class Origin:
    """Where a data set came from and how it was split: enough to read it again.

    source: the name of a named set, or the absolute path of a file or folder.
    named: whether `source` is a name.
    train: how many images of the training split are kept, the first ones; None for all.
    """

    source: str
    named: bool
    validation: Amount = None
    test: Amount = None
    seed: int = 0
    labels: str | None = None
    train: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images of one size in a number of classes, split into train, validation and a test split that stays sealed.

    name: the set's name, or that of the file or folder without its extension.
    train, validation: `Split`.
    test_size: number of test images; opening a study's seal is the only way to them.
    class_names: the name of each class; a label is an index into it.
    fingerprint: SHA-256 (hex) over type, shape and bytes of the images and labels of train, validation and test.
    origin: where it came from and how it was split.
    """

    name: str
    train: Split
    validation: Split
    test_size: int
    class_names: tuple[str, ...]
    fingerprint: str
    origin: Origin = field(repr=False)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        height, width = self.train.images.shape[1:]
        return height, width

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def with_validation(self) -> Dataset:
        """Return the data set whose training split holds the validation images too; its validation split stays.

        Figures on that tell nothing of what was trained on it. Its fingerprint is a hash of this one's.
        """
        images = np.concatenate([self.train.images, self.validation.images])
        labels = np.concatenate([self.train.labels, self.validation.labels])
        fingerprint = hashlib.sha256(f"{self.fingerprint} train+validation".encode()).hexdigest()
        return replace(self, train=Split(images, labels), fingerprint=fingerprint)

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (_("train"), f"{len(self.train):,}"),
            (_("validation"), f"{len(self.validation):,}"),
            (_("test"), _("{count} (sealed)").format(count=f"{self.test_size:,}")),
            (_("image"), "{}×{}".format(*self.image_shape)),
            (_("classes"), f"{self.classes}: {_shortened(self.class_names)}"),
            (_("fingerprint"), self.fingerprint[:16]),
        ]

    def __repr__(self) -> str:
        rows = self._rows()
        width = max(len(title) for title, _value in rows)
        title = _("Dataset {name}").format(name=self.name)
        return "\n".join([title, *(f"  {title:<{width}}  {value}" for title, value in rows)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{html.escape(title)}</th>'
            f'<td style="text-align:left">{html.escape(value)}</td></tr>'
            for title, value in self._rows()
        )
        title = html.escape(_("Dataset {name}").format(name=self.name))
        return f"<table><caption>{title}</caption><tbody>{rows}</tbody></table>"


def _shortened(names: tuple[str, ...], limit: int = 60) -> str:
    """Return `names` joined by commas, cut with an ellipsis to `limit` characters."""
    joined = ", ".join(names)
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"
