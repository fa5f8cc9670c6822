"""Drawings of a person's own, with what they are said to be, kept in a study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from neurona.store import tables
from neurona.store.database import Now, patient
from neurona.store.store import Store, insert_missing

__all__ = ["Drawing", "Drawings", "Strokes"]

Strokes = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawing and what its author says it is.

    label: index of the class.
    image: uint8 `(height, width)`, as the network sees it.
    strokes: how it was drawn: points (x, y) from (0, 0), top left, to (1, 1); empty for a picture.
    created: seconds since 1970; 0 before it is stored.
    """

    label: int
    image: npt.NDArray[np.uint8]
    strokes: Strokes = ()
    created: float = field(default=0.0, compare=False)

    @property
    def id(self) -> str:
        """A hash of image and label: the same drawing is kept once."""
        content = f"{self.label} {self.image.shape}".encode() + self.image.tobytes()
        return hashlib.sha256(content).hexdigest()[:32]


class Drawings:
    """The drawings in a study.

    image_shape: height and width of those of its data set; others are not given.
    """

    def __init__(self, store: Store, image_shape: tuple[int, int]) -> None:
        self._store, self._shape = store, image_shape

    @patient
    def all(self) -> tuple[Drawing, ...]:
        """Return every drawing, the oldest first."""
        table = tables.drawings.c
        query = sa.select(tables.drawings).where(table.study == self._store.number).order_by(table.created, table.id)
        with self._store.database.reading() as connection:
            rows = connection.execute(query).all()
        size = self._shape[0] * self._shape[1]
        return tuple(self._drawing(row) for row in rows if len(row.image) == size)

    @patient
    def add(self, drawings: tuple[Drawing, ...]) -> None:
        """Keep `drawings`; those that are there already stay as they are."""
        rows = [
            {
                "study": self._store.number,
                "id": drawing.id,
                "label": drawing.label,
                "image": drawing.image.tobytes(),
                "strokes": json.dumps(drawing.strokes, separators=(",", ":")),
            }
            for drawing in sorted(drawings, key=lambda drawing: drawing.id)
        ]
        if not rows:
            return
        with self._store.database.writing() as connection:
            connection.execute(insert_missing(connection, tables.drawings).values(created=Now()), rows)

    @patient
    def remove(self, drawing_id: str) -> bool:
        """Remove one; return whether it was there."""
        table = tables.drawings.c
        its = (table.study == self._store.number, table.id == drawing_id)
        with self._store.database.writing() as connection:
            return bool(connection.execute(sa.delete(tables.drawings).where(*its)).rowcount)

    def _drawing(self, row: Any) -> Drawing:
        image = np.frombuffer(row.image, np.uint8).reshape(self._shape)
        strokes = tuple(tuple((float(x), float(y)) for x, y in stroke) for stroke in json.loads(row.strokes))
        return Drawing(row.label, image, strokes, row.created)
