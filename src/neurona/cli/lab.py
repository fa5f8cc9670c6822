"""`neurona lab`: run a lab, watch it, and read the table that compares its experiments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.output import print_json, progress, result
from neurona.i18n import _, ngettext

if TYPE_CHECKING:
    from neurona.study import Comparison, Study

__all__ = ["lab"]


def lab(
    lab: Annotated[str, typer.Argument(help=_("A built-in lab, or a TOML file."))] = "mnist-dnn",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help=_("Only experiments whose name or group fits; the baseline always runs.")),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help=_("Runs of each experiment."))] = 5,
    epochs: Annotated[int | None, typer.Option(help=_("Epochs of every run, instead of the lab's."))] = None,
    study: Annotated[
        str | None,
        typer.Option(help=_("Folder for the results; with --db, the study's name. neurona-studies/LAB unless given.")),
    ] = None,
    db: Annotated[str | None, typer.Option(metavar="URL", help=_("A database, instead of a folder."))] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help=_("Runs at a time; as many as cores unless given."))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Run what the study lacks, then print the comparison."""
    started = time.perf_counter()
    from neurona.cli.live import Progress
    from neurona.data import load
    from neurona.runner import tasks
    from neurona.study import STUDIES, Lab

    declared = Lab.load(lab)
    if epochs is not None:
        declared = declared.with_epochs(epochs)
    chosen = declared.chosen(only or ())
    data = load(declared.dataset)
    opened = declared.open_study(data, study=study, url=db)
    place = db or str(study or STUDIES / declared.name)
    wanted = tasks(chosen, seeds, data.fingerprint)
    shown = Progress(chosen, wanted, opened.unfinished(wanted), data, opened.compare(seeds=seeds))
    with _stopping_cleanly(opened, place), shown.watched(progress()):
        opened.run(wanted, data, workers=workers, on_event=shown.take)
    comparison = opened.compare(seeds=seeds, only=[experiment.name for experiment in chosen])
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "lab": declared.name,
                "study": place,
                "dataset": {"name": data.name, "fingerprint": data.fingerprint},
                "seeds": seeds,
                "seconds": seconds,
                "experiments": [row.to_json() for row in comparison.rows],
            }
        )
    else:
        _print(comparison, declared.name, data.name, seeds)
        result().print(_("{seconds:.0f} s. The study is in {place}.").format(seconds=seconds, place=place), style="dim")
    failed = sum(row.runs.failed for row in comparison.rows)
    if failed:
        sentence = ngettext(
            "{count} run failed; the same command tries it again.",
            "{count} runs failed; the same command tries them again.",
            failed,
        )
        progress().print(sentence.format(count=failed), style="bold red")
        raise typer.Exit(1)


@contextmanager
def _stopping_cleanly(study: Study, place: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = sum(row.runs.completed + row.runs.diverged for row in study.compare().rows)
        sentence = ngettext(
            "Stopped. {count} run is kept in {place}; the same command goes on from there.",
            "Stopped. {count} runs are kept in {place}; the same command goes on from there.",
            kept,
        )
        progress().print(sentence.format(count=kept, place=place), style="bold")
        sys.exit(130)


def _print(comparison: Comparison, lab: str, dataset: str, seeds: int) -> None:
    from rich.table import Table

    from neurona.study import shown_accuracy, shown_difference, shown_differences

    sentence = ngettext("{lab} on {dataset}, {seeds} seed", "{lab} on {dataset}, {seeds} seeds", seeds)
    table = Table(title=sentence.format(lab=lab, dataset=dataset, seeds=seeds), title_justify="left")
    table.add_column(_("experiment"), no_wrap=True)
    table.add_column(_("differs in"))
    table.add_column(_("parameters"), justify="right")
    table.add_column(_("val. accuracy %"), justify="right", no_wrap=True)
    table.add_column(_("difference"), justify="right", no_wrap=True)
    table.add_column(_("notebook"), justify="right")
    table.add_column(_("s/run"), justify="right")
    group = None
    for row in comparison.rows:
        if group not in (None, row.experiment.group):
            table.add_section()
        group = row.experiment.group
        notebook = row.experiment.notebook_val_accuracy
        table.add_row(
            row.experiment.name,
            shown_differences(row),
            f"{row.parameters:,}",
            shown_accuracy(row),
            shown_difference(row),
            "" if notebook is None else f"{100 * notebook:.2f}",
            "" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}",
        )
    result().print(table)
    if seeds > 1:
        result().print(
            _(
                "± is half of the 95 % interval over seeds; "
                "differences are to the baseline with the same seeds, in points."
            ),
            style="dim",
        )
