"""`neurona lab`: run a lab, watch it, and read the table that compares its experiments."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.compare import STYLES
from neurona.cli.lab_file import about_labs
from neurona.cli.options import GpusPerRun, Json, On, Results, RunsAtATime, StudyDatabase, computing_on
from neurona.cli.output import print_json, progress, result, stopping_cleanly
from neurona.cli.study import TensorBoard, written_for_tensorboard
from neurona.errors import NeuronaError
from neurona.i18n import _, ngettext

if TYPE_CHECKING:
    from neurona.data import Dataset
    from neurona.study import Comparison, PairComparison, Study

__all__ = ["lab", "print_comparison", "print_engines"]


def lab(
    lab: Annotated[str, typer.Argument(help=_("A built-in lab, or a TOML file."))] = "mnist-dnn",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help=_("Only experiments whose name or group fits; the baseline always runs.")),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help=_("Runs of each experiment."))] = 5,
    epochs: Annotated[int | None, typer.Option(help=_("Epochs of every run, instead of the lab's."))] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=_(
                "keras: also train every experiment with Keras, as NAME@keras, and compare (needs the extra keras)."
            ),
        ),
    ] = None,
    study: Results = None,
    db: StudyDatabase = None,
    workers: RunsAtATime = None,
    on: On = "local",
    gpus_per_run: GpusPerRun = 0.0,
    export: Annotated[
        str | None, typer.Option(metavar="FILE", help=_("Write the table there too: .csv, or .parquet (with pandas)."))
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help=_("Write the study's report too: one HTML file."))
    ] = True,
    tensorboard: TensorBoard = None,
    check: Annotated[
        bool, typer.Option("--check", help=_("Say what is wrong with the lab, and how long it takes; train nothing."))
    ] = False,
    template: Annotated[
        Path | None, typer.Option(metavar="FILE", help=_("Write a lab to begin with there, with comments."))
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help=_("Print the JSON Schema of lab files, for editors."))
    ] = False,
    as_json: Json = False,
) -> None:
    """Run what the study lacks, then print the comparison and write the report."""
    if check or template is not None or schema:
        about_labs(lab, seeds, check=check, template=template, schema=schema, as_json=as_json)
        return
    started = time.perf_counter()
    from neurona.cli.live import Progress
    from neurona.data import load
    from neurona.runner import check_engines, tasks
    from neurona.study import STUDIES, Comparison, Lab
    from neurona.tracking import check_tensorboard

    if export is not None:
        Comparison.check_export(export)
    if tensorboard is not None:
        check_tensorboard()
    declared = Lab.load(lab)
    if epochs is not None:
        declared = declared.with_epochs(epochs)
    if engine is not None:
        declared = declared.with_engine(engine, only or ())
    chosen = declared.chosen(only or ())
    data = load(declared.dataset)
    wanted = tasks(chosen, seeds, data.fingerprint)
    check_engines(wanted)
    opened = declared.open_study(data, study=study, url=db)
    place = opened.place if db else str(study or STUDIES / declared.name)
    shown = Progress(chosen, wanted, opened.unfinished(wanted), data, opened.compare(seeds=seeds))
    with (
        computing_on(on, workers, gpus_per_run) as compute,
        stopping_cleanly(place, lambda: sum(row.runs.completed + row.runs.diverged for row in opened.compare().rows)),
        shown.watched(progress()),
    ):
        opened.run(wanted, data, workers=workers, compute=compute, on_event=shown.take)
    names = [experiment.name for experiment in chosen]
    comparison = opened.compare(seeds=seeds, only=names)
    engines = opened.compare_engines(seeds=seeds, only=names)
    if export is not None:
        comparison.export(export)
    count = None if tensorboard is None else _written_tensorboard(opened, tensorboard)
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
                "engines": [pair.to_json() for pair in engines],
                "report": _written_report(opened, study or declared.name, data) if report else None,
                "tensorboard": None if count is None else {"folder": str(tensorboard), "runs": count},
            }
        )
    else:
        print_comparison(comparison, declared.name, data.name, seeds)
        print_engines(engines)
        result().print(_("{seconds:.0f} s. The study is in {place}.").format(seconds=seconds, place=place), style="dim")
        file = _written_report(opened, study or declared.name, data) if report else None
        if file is not None:
            result().print(_("The report is in {file}.").format(file=file), style="dim", markup=False)
        if tensorboard is not None and count is not None:
            result().print(written_for_tensorboard(count, tensorboard), style="dim", markup=False)
    failed = sum(row.runs.failed for row in comparison.rows)
    if failed:
        sentence = ngettext(
            "{count} run failed; the same command tries it again.",
            "{count} runs failed; the same command tries them again.",
            failed,
        )
        progress().print(sentence.format(count=failed), style="bold red")
        raise typer.Exit(1)


def _written_report(study: Study, name: str, data: Dataset) -> str | None:
    """Write the study's report and return where; None when that failed: the lab's result stands, and says so."""
    from neurona.cli.report import report_file
    from neurona.report import write_report

    try:
        return str(write_report(study, report_file(study, name), data=data))
    except Exception as error:  # whatever it is, hours of training are done and shown
        progress().print(
            _("The report could not be written: {error}").format(error=error), style="bold red", markup=False
        )
        return None


def _written_tensorboard(study: Study, folder: Path) -> int | None:
    """Write the study for TensorBoard and return how many runs; None when that failed, as with the report."""
    from neurona.tracking import write_tensorboard

    try:
        return write_tensorboard(study, folder)
    except NeuronaError as error:
        sentence = _("The runs could not be written for TensorBoard: {error}").format(error=error)
        progress().print(sentence, style="bold red", markup=False)
        return None


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


def print_engines(pairs: Sequence[PairComparison]) -> None:
    """Print what two engines made of the same experiments beside each other; nothing where there is but one engine."""
    done = [pair for pair in pairs if pair.difference is not None]
    if not done:
        return
    from rich.box import HORIZONTALS
    from rich.table import Table
    from rich.text import Text

    from neurona.lab import AT
    from neurona.study.cells import shown_accuracy, shown_difference, shown_verdict

    first, second = (side.experiment.engine for side in done[0].sides)
    title = _("The same experiments with {second} and {first}").format(second=second, first=first)
    table = Table(title=title, title_justify="left", box=HORIZONTALS, pad_edge=False, collapse_padding=True)
    table.add_column(_("experiment"), no_wrap=True)
    for engine in (second, first):
        table.add_column(f"{engine} %", justify="right", no_wrap=True)
    table.add_column(_("difference"), justify="right", no_wrap=True)
    table.add_column(_("verdict"))
    wide = result().width >= _NARROW
    for text in (second, first) if wide else ():
        table.add_column(_("s/run") + f" {text}", justify="right")
    table.add_column("×", justify="right")
    for pair in done:
        sides = (pair.second, pair.first)
        seconds = ["" if side.seconds_per_run is None else f"{side.seconds_per_run:.1f}" for side in sides]
        table.add_row(
            pair.first.experiment.name.removesuffix(AT + first),
            *map(shown_accuracy, sides),
            shown_difference(pair.difference, pair.verdict),
            Text(shown_verdict(pair.verdict), style=STYLES.get(pair.verdict.word, "")),
            *(seconds if wide else []),
            "" if pair.times_seconds is None else f"{pair.times_seconds:.1f}",
        )
    result().print(table)
    sentence = _(
        "Differences are those of {first} to {second} with the same seeds and initial weights; verdicts are corrected "
        "over all of them. Times compare when one run is done at a time: --workers 1."
    )
    result().print(sentence.format(first=first, second=second), style="dim")


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{100 * accuracy:.2f}"
