"""The reader's own drawings: kept in the study, or in memory where there is none."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurona.data import Dataset
from neurona.i18n import _
from neurona.store import Drawing, Drawings
from neurona.web.endpoint import Refusal

if TYPE_CHECKING:
    from neurona.study import Study

__all__ = ["FILE_BYTES", "MOST", "Album"]

MOST = 2_000  # drawings
FILE_BYTES = 16_000_000  # of a file of them: MOST with room for their strokes
MOST_POINTS = 20_000  # of one drawing
_FORMAT = "neurona-drawings-1"


class Album:
    """Drawings with what their author says they are.

    Their images have the size of the data set's; a label is an index into its classes.
    """

    def __init__(self, study: Study | None, data: Callable[[], Dataset]) -> None:
        self._study, self._data = study, data
        self._in_memory: dict[str, Drawing] = {}

    @property
    def lasts(self) -> bool:
        """Whether they outlive the server."""
        return self._study is not None

    def all(self) -> tuple[Drawing, ...]:
        """Return every drawing, the oldest first."""
        if self._study is None:
            return tuple(self._in_memory.values())
        return self._stored().all()

    def add(self, *drawings: Drawing) -> None:
        """Keep `drawings`. Raises Refusal when one is not of this data set, or there are too many."""
        data = self._data()
        for drawing in drawings:
            if drawing.image.shape != data.image_shape or not 0 <= drawing.label < data.classes:
                height, width = data.image_shape
                sentence = _("a drawing here has {height}×{width} pixels and is one of {classes} classes.")
                raise Refusal(400, sentence.format(height=height, width=width, classes=data.classes))
            if sum(map(len, drawing.strokes)) > MOST_POINTS:
                raise Refusal(400, _("a drawing may have {most:,} points at most.").format(most=MOST_POINTS))
        if len(self.all()) + len(drawings) > MOST:
            raise Refusal(429, _("{most:,} drawings are kept at most; remove some.").format(most=MOST))
        if self._study is None:
            for drawing in drawings:
                self._in_memory.setdefault(drawing.id, replace(drawing, created=time.time()))
        else:
            self._stored().add(drawings)

    def remove(self, drawing_id: str) -> None:
        """Remove one; Refusal (404) when it is not there."""
        if self._study is None:
            there = self._in_memory.pop(drawing_id, None) is not None
        else:
            there = self._stored().remove(drawing_id)
        if not there:
            raise Refusal(404, _("there is no such drawing."))

    def to_file(self) -> bytes:
        """Return all of them as a JSON file, which `from_file` takes."""
        data = self._data()
        rows = [
            {
                "label": drawing.label,
                "name": data.class_names[drawing.label],
                "image": base64.b64encode(drawing.image.tobytes()).decode(),
                "strokes": drawing.strokes,
            }
            for drawing in self.all()
        ]
        document = {"format": _FORMAT, "image_shape": data.image_shape, "drawings": rows}
        return json.dumps(document, separators=(",", ":")).encode()

    def from_file(self, content: bytes) -> int:
        """Add the drawings of a file and return how many it holds; Refusal (400) when it is no such file."""
        try:
            document = json.loads(content)
            if document["format"] != _FORMAT:
                raise ValueError
            height, width = document["image_shape"]
            found = tuple(_drawing(row, int(height), int(width)) for row in document["drawings"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError):
            raise Refusal(400, _("this is no file of drawings that this page wrote.")) from None
        self.add(*found)
        return len(found)

    def _stored(self) -> Drawings:
        assert self._study is not None  # noqa: S101 - asked by its callers
        return Drawings(self._study.store, self._data().image_shape)


def _drawing(row: dict[str, Any], height: int, width: int) -> Drawing:
    image = np.frombuffer(base64.b64decode(row["image"], validate=True), np.uint8).reshape(height, width)
    strokes = tuple(tuple((_share(x), _share(y)) for x, y in stroke) for stroke in row["strokes"])
    label = row["label"]
    if type(label) is not int:
        raise ValueError
    return Drawing(label, image, strokes)


def _share(value: Any) -> float:
    """Return a coordinate: a finite number on the board, or not far beside it."""
    if not -1.0 <= float(value) <= 2.0:
        raise ValueError
    return float(value)
