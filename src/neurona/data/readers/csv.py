"""CSV: an image a row, its label in the first column or in one that a header names, the pixels in all the others.

The file is read in blocks of rows. A comma, a semicolon or a tab separates the columns; with a semicolon or a tab,
decimals may be written with a comma. Pixels are 0 to 255, or 0 to 1 throughout.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from neurona.data import limits
from neurona.data.parts import Part, Parts, text_or_integers
from neurona.data.pixels import check_shape
from neurona.errors import DataError, nearest
from neurona.i18n import _

__all__ = ["read", "recognises"]

LABEL_NAMES = ("label", "class", "y", "target", "digit")

ROWS = 2_048
"""Rows parsed at once."""

LINE = 4 * 2**20
"""Characters in a line, at most: an image of `limits.SIDE` squared with 60 characters a pixel."""

PARTS = {
    "train": re.compile(r"(^|[^a-z])train(ing)?([^a-z]|$)", re.IGNORECASE),
    "validation": re.compile(r"(^|[^a-z])(val|valid|validation)([^a-z]|$)", re.IGNORECASE),
    "test": re.compile(r"(^|[^a-z])test(ing)?([^a-z]|$)", re.IGNORECASE),
}


def recognises(path: Path) -> bool:
    """Return whether `path` is a `.csv` or `.tsv` file, or a folder with one."""
    if path.is_dir():
        return any(_is_csv(file) for file in path.iterdir())
    return _is_csv(path)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and not path.name.startswith(".")


def read(path: Path, labels: str | None = None) -> Parts:
    """Return the part of the file `path`, or the parts of the folder `path`, whose files' names say train, test or val.

    labels: the name of the label column; None for the first of `LABEL_NAMES` that the header has, else the first
        column.
    """
    if path.is_file():
        return Parts(train=_part(path, labels))
    files = sorted(file for file in path.iterdir() if _is_csv(file))
    if len(files) == 1:
        return Parts(train=_part(files[0], labels))
    found: dict[str, Path] = {}
    for file in files:
        for part, pattern in PARTS.items():
            if pattern.search(file.stem):
                if part in found:
                    raise DataError(
                        _(
                            "{folder}: a folder must hold one CSV file for each split, but {first} and {second} are "
                            "both {part}."
                        ).format(folder=path, first=found[part].name, second=file.name, part=part)
                    )
                found[part] = file
    if "train" not in found:
        raise DataError(
            _("{folder}: one of the CSV files must have train in its name, but they are {names}. Rename it.").format(
                folder=path, names=", ".join(file.name for file in files)
            )
        )
    return Parts(**{part: _part(file, labels) for part, file in found.items()})


@dataclass(frozen=True)
class _Form:
    """How the rows of a file are laid out: the separator, the number of columns, and which of them is the label's."""

    separator: str
    columns: int
    label: int
    header: bool

    def divide(self, line: str) -> tuple[str, str]:
        """Return the label of a row and its pixels, still joined."""
        if self.label == 0:
            label, _separator, rest = line.partition(self.separator)
        else:
            fields = line.split(self.separator)
            label = fields.pop(self.label) if self.label < len(fields) else ""
            rest = self.separator.join(fields)
        if self.separator != ",":
            rest = rest.replace(",", ".")
        return label.strip().strip('"'), rest


def _part(path: Path, labels: str | None) -> Part:
    try:
        with path.open(encoding="utf-8-sig", newline=None) as stream:
            lines = _lines(stream, path)
            number, first = next(lines, (1, ""))
            form = _form(first, labels, path)
            if not form.header:
                lines = itertools.chain([(number, first)], lines)
            words, blocks = _blocks(lines, form, path)
    except UnicodeDecodeError as error:
        raise DataError(
            _("{file}: a CSV file must be text in UTF-8, but it is not ({error}). Save it again as CSV UTF-8.").format(
                file=path, error=error
            )
        ) from error
    except OSError as error:
        raise DataError(_("{file}: it cannot be read: {error}.").format(file=path, error=error)) from error
    if not blocks:
        raise DataError(_("{where}: there must be at least 1 image, but there are none.").format(where=path))
    dtype = np.result_type(*blocks)
    pixels = np.empty((sum(map(len, blocks)), form.columns - 1), dtype=dtype)
    np.concatenate(blocks, out=pixels)
    return Part(pixels, text_or_integers(words), str(path))


def _lines(stream: TextIO, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not blank."""
    for number in itertools.count(1):
        line = stream.readline(LINE + 1)
        if not line:
            return
        if len(line) > LINE:
            raise DataError(
                _("{file}, line {line}: a line may have at most {limit} characters. Is this a CSV file?").format(
                    file=path, line=number, limit=f"{LINE:,}"
                )
            )
        if line.strip():
            yield number, line.rstrip("\n")


def _is_number(field: str) -> bool:
    try:
        float(field.strip().strip('"').replace(",", "."))
    except ValueError:
        return False
    return True


def _form(first: str, labels: str | None, path: Path) -> _Form:
    """Return the form of the file whose first line is `first`."""
    separator = next((mark for mark in ";\t" if mark in first), ",")
    fields = [field.strip().strip('"') for field in first.split(separator)]
    names = [field.lower() for field in fields]
    known = next((name for name in LABEL_NAMES if name in names), None)
    header = known is not None or labels in fields or 2 * sum(map(_is_number, fields)) <= len(fields)
    label = names.index(known) if known else 0
    if labels is not None:
        if labels not in fields or not header:
            raise DataError(
                _("{file}: there must be a column {name!r}, but {what}.").format(
                    file=path,
                    name=labels,
                    what=_missing_column(labels, fields) if header else _("the first line is no header"),
                )
            )
        label = fields.index(labels)
    form = _Form(separator, len(fields), label, header)
    if len(fields) < 2:
        raise DataError(
            _("{file}: a row must have a label and pixels, but the first line has {count} column.").format(
                file=path, count=len(fields)
            )
        )
    side = round((len(fields) - 1) ** 0.5)
    if side * side != len(fields) - 1:
        raise DataError(
            _(
                "{file}: the pixels of a row must make a square image, but of {columns} columns {pixels} are left "
                "beside the label "
                "column {label!r}: {names}. Remove the columns that are no pixels, or name the label's with labels=."
            ).format(
                file=path,
                columns=len(fields),
                pixels=len(fields) - 1,
                label=fields[label] if header else 1,
                names=_some(fields if header else [str(number) for number in range(1, len(fields) + 1)]),
            )
        )
    check_shape((1, side, side), str(path))
    return form


def _missing_column(name: str, fields: list[str]) -> str:
    close = nearest(name, fields)
    if close:
        return _("there is none; did you mean {name!r}?").format(name=close)
    return _("there are {names}").format(names=_some(fields))


def _some(names: list[str]) -> str:
    """Return the first and last of `names`."""
    return ", ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-3:]])


def _blocks(
    lines: Iterator[tuple[int, str]], form: _Form, path: Path
) -> tuple[list[str], list[NDArray[np.uint8] | NDArray[np.float32]]]:
    """Return the labels of all rows, and their pixels in blocks: uint8 where they are whole numbers, else float32."""
    words: list[str] = []
    blocks: list[NDArray[np.uint8] | NDArray[np.float32]] = []
    while rows := list(itertools.islice(lines, ROWS)):
        divided = [form.divide(line) for _number, line in rows]
        words += [word for word, _rest in divided]
        limits.check_bytes(len(words) * (form.columns - 1), path)
        try:
            values = np.loadtxt(
                [rest for _word, rest in divided],
                delimiter=form.separator,
                dtype=np.float32,
                ndmin=2,
                comments=None,
                quotechar='"',
            )
        except ValueError as error:
            raise _wrong_row(rows, form, path, error) from error
        inside = (values >= 0) & (values <= 255)
        if values.shape != (len(rows), form.columns - 1) or not inside.all() or not all(words[-len(rows) :]):
            raise _wrong_row(rows, form, path, None)
        whole = values.astype(np.uint8)
        blocks.append(whole if np.array_equal(whole, values) else values)
    return words, blocks


def _wrong_row(rows: list[tuple[int, str]], form: _Form, path: Path, error: Exception | None) -> DataError:
    """Return the error about the first row that is wrong."""
    for number, line in rows:
        label, rest = form.divide(line)
        fields = rest.split(form.separator)
        if len(fields) != form.columns - 1:
            return DataError(
                _(
                    "{file}, line {line}: every row must have {columns} columns like the first, but this one has "
                    "{count}. Complete or remove it."
                ).format(file=path, line=number, columns=form.columns, count=len(fields) + 1)
            )
        if not label:
            return DataError(
                _(
                    "{file}, line {line}: every row must have a label, but this one has none. Add one, or remove it."
                ).format(file=path, line=number)
            )
        for field in fields:
            if not _is_number(field) or not 0 <= float(field.strip().strip('"')) <= 255:
                return DataError(
                    _(
                        "{file}, line {line}: pixels must be 0 to 255, or 0 to 1 throughout, not {value!r}. "
                        "Correct it; if it is the label, name its column with labels=."
                    ).format(file=path, line=number, value=field)
                )
    return DataError(_("{file}: it cannot be read: {error}.").format(file=path, error=error))
