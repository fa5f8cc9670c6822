"""`neurona compare`: two experiments of a study against each other, effect beside cost."""

from __future__ import annotations

from typing import Annotated

import typer

from neurona.cli.options import Json, StudyDatabase, StudyPlace, opened
from neurona.cli.output import print_json, result
from neurona.i18n import _

__all__ = ["STYLES", "compare"]

STYLES = {"better": "green", "worse": "red", "too-few-seeds": "yellow", "same-network": "dim"}  # verdict -> colour


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_("An experiment."))],
    second: Annotated[str, typer.Argument(metavar="B", help=_("Another; A is measured against it."))],
    seeds: Annotated[int | None, typer.Option(min=1, max=10_000, help=_("Only the seeds below it."))] = None,
    study: StudyPlace = None,
    db: StudyDatabase = None,
    as_json: Json = False,
) -> None:
    """Print the comparison of two experiments."""
    found = opened(study, db)
    comparison = found.compare_pair(first, second, seeds=seeds)
    if as_json:
        print_json({"lab": found.lab, **comparison.to_json()})
        return
    from rich.box import HORIZONTALS
    from rich.table import Table

    from neurona.study.cells import shown_name, shown_opened

    table = Table(box=HORIZONTALS, pad_edge=False, collapse_padding=True)
    for index, title in enumerate(("", *map(shown_name, comparison.sides), _("difference"))):
        table.add_column(title, justify="right" if index else "left")
    for line in comparison.lines():
        table.add_row(*line)
    result().print(table)
    result().print(comparison.sentence(), style=STYLES.get(comparison.verdict.word, ""), markup=False)
    if comparison.chance():
        result().print(comparison.chance(), markup=False)
    note = shown_opened(len(found.openings()), any(row.after_opening for row in comparison.sides))
    if note:
        result().print(note, style="bold", markup=False)
