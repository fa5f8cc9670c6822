"""`neurona predict`: what a model reads in pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurona.cli.options import Json
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.model import Model
    from neurona.reading import FileRead, Reading

__all__ = ["predict"]

_LOOK = 64  # files by whose names the first column is made wide enough


def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=_("A model that `neurona best` or `train --save` wrote, or s3://…"))
    ],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help=_("Pictures, or folders of them, with all that is in them."))
    ],
    whole: Annotated[
        bool | None,
        typer.Option(
            "--whole/--split",
            help=_("Take each picture whole, or look for digits in it; looks for them unless class names are words."),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read pictures with a model: a line for each digit."""
    from neurona.model import load_model
    from neurona.reading import pictures_in, read_files

    loaded = load_model(model)
    files = pictures_in(images)
    failed = 0
    show = _print_json if as_json else _print_lines

    def readable(found: Iterable[FileRead]) -> Iterator[FileRead]:
        nonlocal failed
        count = 0
        for count, one in enumerate(found, start=1):  # noqa: B007
            if one.problem is not None:
                failed += 1
                typer.echo(f"neurona: {one.problem}", err=True)
                continue
            if not one.readings:
                typer.echo("neurona: " + _("{file}: there is no ink in it.").format(file=one.file), err=True)
            yield one
        if not count:
            failed += 1
            typer.echo("neurona: " + _("there is no picture in {folders}.").format(folders=_named(images)), err=True)

    first = list(islice(files, _LOOK))
    width = max((len(str(file)) for file in first), default=0)
    show(readable(read_files(loaded, chain(first, files), whole=whole)), loaded, width)
    if failed:
        raise typer.Exit(1)


def _print_json(found: Iterable[FileRead], _model: Model, _width: int) -> None:
    """Write one JSON array, an element for each digit as soon as it is read: nothing is kept."""
    separator = "[\n  "
    for one in found:
        for reading in one.readings:
            sys.stdout.write(separator + json.dumps(_element(one.file, reading), ensure_ascii=False, allow_nan=False))
            separator = ",\n  "
    sys.stdout.write("[]\n" if separator.startswith("[") else "\n]\n")


def _element(file: Path, reading: Reading) -> dict[str, Any]:
    return {
        "image": str(file),
        "box": list(reading.box),
        "digit": reading.digit,
        "probability": reading.probability,
        "probabilities": reading.probabilities,
        "runner_up": reading.runner_up,
        "sure": reading.sure,
    }


def _print_lines(found: Iterable[FileRead], model: Model, width: int) -> None:
    """Write a line for each digit as soon as it is read, the file's name before the first of it."""
    titles = (_("picture"), _("box"), _("class"), _("probability"), _("runner-up"))
    names = max(len(titles[2]), *map(len, model.class_names))
    widths = (max(width, len(titles[0])), 22, names, max(11, len(titles[3])))

    def line(*cells: str) -> str:
        parts = (
            cell.rjust(w) if index == 3 else cell.ljust(w)
            for index, (cell, w) in enumerate(zip(cells, widths, strict=False))
        )
        return "  ".join((*parts, *cells[len(widths) :])).rstrip()

    started = False
    for one in found:
        if one.readings and not started:
            typer.echo(typer.style(line(*titles), bold=True))
            started = True
        for index, reading in enumerate(one.readings):
            left, top, right, bottom = reading.box
            second = f"{reading.runner_up} ({100 * reading.runner_up_probability:.1f} %)"
            cells = (
                "" if index else str(one.file),
                f"{left},{top} – {right},{bottom}",
                reading.digit,
                f"{100 * reading.probability:.1f} %",
                second if reading.sure else f"{second:<{names + 10}}" + _("not sure"),
            )
            typer.echo(line(*cells))


def _named(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
