"""`neurona export`: a model for use elsewhere, and its card."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.options import Json, StudyDatabase, StudyPlace, opened
from neurona.cli.output import print_json, result
from neurona.errors import UsageError
from neurona.files import check_place, is_address, size, write_whole
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.model import Model

__all__ = ["export"]


def export(
    model: Annotated[
        str,
        typer.Argument(
            help=_("A model's file, or the name of an experiment: its run that does best on validation is taken.")
        ),
    ],
    output: Annotated[str | None, typer.Option(metavar="FILE", help=_("The file to write, here or at s3://…"))] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=_("keras, onnx, safetensors or html, a page to draw on; that of the file's suffix unless given."),
        ),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(metavar="FILE", help=_("Measure the model on the validation images, and write its card there.")),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help=_("For the card: the data set that it was trained on; that which it names unless given.")),
    ] = None,
    study: StudyPlace = None,
    db: StudyDatabase = None,
    as_json: Json = False,
) -> None:
    """Write the model, its card, or both, and say where they are."""
    if output is None and card is None:
        raise UsageError(_("nothing is to be written: give --output FILE, --card FILE, or both."))
    for place in (output, card):
        if place is not None:
            check_place(place)
    from neurona import exports

    kind = None if output is None else exports.format_of(output, format_)
    started = time.perf_counter()
    found = _found(model, study, db)
    if output is not None:
        exports.export(found, output, format=kind)
    if card is not None:
        _write_card(found, card, dataset)
    written = [file for file in (output, card) if file is not None]
    if as_json:
        print_json(
            {
                "format": kind,
                "output": None if output is None else str(output),
                "bytes": None if output is None else size(output),
                "card": None if card is None else str(card),
                "seconds": time.perf_counter() - started,
            }
        )
        return
    for file in written:
        sentence = _("Written: {file} ({size:.1f} MB).")
        result().print(sentence.format(file=file, size=size(file) / 1e6), markup=False)


def _found(model: str, study: str | None, db: str | None) -> Model:
    """Return the model in the file called `model`, or of the experiment of that name where a study is named."""
    from neurona.model import load_model

    if study is None and db is None and (is_address(model) or Path(model).is_file() or Path(model).suffix):
        return load_model(model)
    from neurona.study import model_of

    return model_of(opened(study, db), model)


def _write_card(model: Model, file: str, dataset: str | None) -> None:
    from neurona.data import load
    from neurona.exports import card

    if not (dataset or model.dataset):
        raise UsageError(_("the model does not say what it was trained on: give --dataset."))
    write_whole(card(model, load(dataset or model.dataset)).encode(), file)
