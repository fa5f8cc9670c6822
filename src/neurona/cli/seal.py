"""`neurona test`: the only way to the test set, asked twice and recorded for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.options import Json, StudyDatabase, StudyPlace, opened
from neurona.cli.output import confirmed, print_json, progress, result
from neurona.errors import UsageError
from neurona.i18n import _, ngettext

if TYPE_CHECKING:
    from neurona.study import OpenedSeal, Study

__all__ = ["open_seal"]


def open_seal(
    experiments: Annotated[
        list[str], typer.Argument(metavar="EXPERIMENT", help=_("The experiments and champions to test."))
    ],
    reason: Annotated[str, typer.Option(help=_("Why now; it is kept with the results."))],
    study: StudyPlace = None,
    db: StudyDatabase = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("Do not ask."))] = False,
    as_json: Json = False,
) -> None:
    """Ask, open the seal, and print what the test set says."""
    found = opened(study, db)
    found.check_finalists(experiments, reason)
    if not yes and not _confirmed(found, experiments):
        progress().print(_("The test set stays sealed; nothing was read or recorded."))
        raise typer.Exit(1)
    seal = found.open_seal(experiments, reason)
    if as_json:
        print_json({"lab": found.lab, **seal.to_json()})
    else:
        _print(seal)


def _confirmed(study: Study, experiments: list[str]) -> bool:
    """Say what opening the seal means, and ask."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            _(
                "opening the test set is asked about in a terminal, and this is none. --yes opens it without asking: "
                "it is recorded for good, and whatever is trained afterwards is marked."
            )
        )
    console = progress()
    openings = len(study.openings())
    sentence = ngettext(
        "The test set of the study {lab} has been opened {count} time so far.",
        "The test set of the study {lab} has been opened {count} times so far.",
        openings,
    )
    console.print(sentence.format(lab=study.lab, count=openings), style="bold", markup=False)
    console.print(
        _(
            "It tells how good a model is on images by which nothing was chosen, and it can tell that only once: if "
            "you change anything because of what it says, its images have become a second validation set, and its "
            "figures too good. Open it when the models are final. The opening is recorded for good, with time, user "
            "name, models, reason and results; what is trained in this study afterwards is marked in every table."
        ),
        markup=False,
    )
    question = _("Open the test set for {experiments}?").format(experiments=", ".join(experiments))
    return confirmed(question)


def _print(seal: OpenedSeal) -> None:
    if seal.experiments:
        _print_table(seal)
    for sentence in (*seal.champion_sentences(), *seal.sentences(), *seal.notes):
        result().print(sentence, markup=False)


def _print_table(seal: OpenedSeal) -> None:
    from rich.box import HORIZONTALS
    from rich.table import Table

    sentence = _("{count:,} test images").format(count=seal.images)
    table = Table(title=sentence, title_justify="left", box=HORIZONTALS, pad_edge=False, collapse_padding=True)
    for index, title in enumerate(seal.titles()):
        table.add_column(title, justify="right" if index else "left")
    for line in seal.cells():
        table.add_row(*line)
    result().print(table)
    explained = _(
        "± is half of the 95 % interval over seeds. The picked run is the one that did best on validation; its "
        "interval is Wilson's, for the number of images."
    )
    result().print(explained, style="dim")
