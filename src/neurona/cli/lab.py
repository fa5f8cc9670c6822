"""`neurona lab`: run a lab, watch it, and read the table that compares its experiments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.compare import STYLES
from neurona.cli.output import print_json, progress, result
from neurona.i18n import _, ngettext

if TYPE_CHECKING:
    from neurona.study import Comparison, Study

__all__ = ["lab", "print_comparison"]


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
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help=_("Write the table there too: .csv, or .parquet (with pandas)."))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Run what the study lacks, then print the comparison."""
    started = time.perf_counter()
    from neurona.cli.live import Progress
    from neurona.data import load
    from neurona.runner import tasks
    from neurona.study import STUDIES, Comparison, Lab

    if export is not None:
        Comparison.check_export(export)
    declared = Lab.load(lab)
    if epochs is not None:
        declared = declared.with_epochs(epochs)
    chosen = declared.chosen(only or ())
    data = load(declared.dataset)
    opened = declared.open_study(data, study=study, url=db)
    place = opened.place if db else str(study or STUDIES / declared.name)
    wanted = tasks(chosen, seeds, data.fingerprint)
    shown = Progress(chosen, wanted, opened.unfinished(wanted), data, opened.compare(seeds=seeds))
    with _stopping_cleanly(opened, place), shown.watched(progress()):
        opened.run(wanted, data, workers=workers, on_event=shown.take)
    comparison = opened.compare(seeds=seeds, only=[experiment.name for experiment in chosen])
    if export is not None:
        comparison.export(export)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "lab": declared.name,
                "study": place,
                "dataset": {"name": data.name, "fingerprint": data.fingerprint},
                "seeds": seeds,
                "seconds": seconds,
                "openings": comparison.openings,
                "experiments": [row.to_json() for row in comparison.rows],
            }
        )
    else:
        print_comparison(comparison, declared.name, data.name, seeds)
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


_NARROW = 100  # columns of a terminal under which the table leaves out what is not needed to read the verdicts


def print_comparison(comparison: Comparison, lab: str, dataset: str, seeds: int) -> None:
    """Print the experiments beside each other, and what the figures mean."""
    from rich.box import HORIZONTALS
    from rich.table import Table
    from rich.text import Text

    from neurona.study.cells import shown_accuracy, shown_difference, shown_differences, shown_name, shown_verdict

    sentence = ngettext("{lab} on {dataset}, {seeds} seed", "{lab} on {dataset}, {seeds} seeds", seeds)
    title = sentence.format(lab=lab, dataset=dataset, seeds=seeds)
    table = Table(title=title, title_justify="left", box=HORIZONTALS, pad_edge=False, collapse_padding=True)
    wide = result().width >= _NARROW
    notebook = wide and any(row.experiment.notebook_val_accuracy is not None for row in comparison.rows)
    table.add_column(_("experiment"), no_wrap=True)
    table.add_column(_("differs in"), min_width=16, overflow="fold")
    table.add_column(_("parameters"), justify="right") if wide else None
    table.add_column(_("val. accuracy %"), justify="right", no_wrap=wide)
    table.add_column(_("difference"), justify="right", no_wrap=True)
    table.add_column(_("verdict"))
    table.add_column(_("notebook"), justify="right") if notebook else None
    table.add_column(_("s/run"), justify="right") if wide else None
    group = None
    for row in comparison.rows:
        if group not in (None, row.experiment.group):
            table.add_section()
        group = row.experiment.group
        style = STYLES.get(row.verdict.word, "") if row.verdict else ""
        table.add_row(
            shown_name(row),
            shown_differences(row),
            *([f"{row.parameters:,}"] if wide else []),
            shown_accuracy(row),
            shown_difference(row.difference, row.verdict),
            Text(shown_verdict(row.verdict), style=style),
            *([_percent(row.experiment.notebook_val_accuracy)] if notebook else []),
            *(["" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}"] if wide else []),
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
    explained = [
        _("Verdicts hold for the lab as a whole: of labs in which nothing differs, 5 % at most claim a difference.")
    ]
    if any(row.verdict and row.verdict.seeds_needed for row in comparison.rows):
        explained.append(_("(~N): about how many seeds would do."))
    result().print(" ".join(explained), style="dim", markup=False)
    if comparison.note:
        result().print(comparison.note, style="bold", markup=False)


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{100 * accuracy:.2f}"
