"""`neurona search`: find good settings, train the best again with fresh seeds, and say which settings mattered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from neurona.cli.compare import STYLES
from neurona.cli.options import GpusPerRun, Json, On, Results, RunsAtATime, StudyDatabase, computing_on
from neurona.cli.output import print_json, progress, result, stopping_cleanly
from neurona.errors import UsageError
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.search import SearchResult

__all__ = ["print_result", "search"]


def search(
    lab: Annotated[str, typer.Argument(help=_("A built-in lab, or a TOML file."))] = "mnist-dnn",
    trials: Annotated[int | None, typer.Option(min=1, help=_("Trials in all, over all sittings."))] = None,
    minutes: Annotated[
        float | None, typer.Option(help=_("Minutes of trials in all, over all sittings; the finals come after."))
    ] = None,
    sampler: Annotated[
        str, typer.Option(help=_("What proposes a trial: tpe, random, qmc, grid, gp, cmaes or nsga2."))
    ] = "tpe",
    pruner: Annotated[str, typer.Option(help=_("What stops a trial early: hyperband, median or none."))] = "hyperband",
    objective: Annotated[
        str,
        typer.Option(help=_("What is sought: val_accuracy, val_loss, seconds (to --target), pareto (and parameters).")),
    ] = "val_accuracy",
    target: Annotated[
        float | None, typer.Option(help=_("The accuracy, as 0.97, that --objective seconds is to reach."))
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=_("Epochs of every run, instead of the lab's."))] = None,
    finalists: Annotated[
        int, typer.Option(min=0, max=100, help=_("How many of the best are trained again with fresh seeds."))
    ] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help=_("Fresh seeds for each finalist."))] = 10,
    seed: Annotated[int, typer.Option(min=0, help=_("What the trials are drawn from."))] = 0,
    name: Annotated[str, typer.Option(help=_("Tells it from other searches in the same study."))] = "search",
    study: Results = None,
    db: StudyDatabase = None,
    workers: RunsAtATime = None,
    explain: Annotated[
        bool, typer.Option("--explain", help=_("Train nothing: print what the study has of this search."))
    ] = False,
    on: On = "local",
    gpus_per_run: GpusPerRun = 0.0,
    as_json: Json = False,
) -> None:
    """Do what is left of the search, then print its finals and what it explains."""
    if not explain and trials is None and minutes is None:
        raise UsageError(_("a search needs a budget: --trials, --minutes, or both."))
    started = time.perf_counter()
    from neurona.search import Search
    from neurona.study import STUDIES, Study

    wanted = Search(
        lab,
        epochs=epochs,
        objective=objective,
        target=target,
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        name=name,
    )
    place = str(study or STUDIES / wanted.lab.name)
    if explain:
        opened = Study.open(place) if db is None else Study.open(url=db, name=study or wanted.lab.name)
        found = wanted.read(opened, finalists=finalists, seeds=seeds)
    else:
        from neurona.cli.search_live import SearchProgress

        shown = SearchProgress(wanted, trials=trials, minutes=minutes, finalists=finalists, seeds=seeds)
        with (
            computing_on(on, workers, gpus_per_run) as compute,
            stopping_cleanly(place if db is None else wanted.lab.name),
            shown.watched(progress()),
        ):
            found = wanted.run(
                trials=trials,
                minutes=minutes,
                finalists=finalists,
                seeds=seeds,
                study=study,
                url=db,
                workers=workers,
                on=compute,
                on_event=shown.take,
                on_search=shown.begin,
            )
    if as_json:
        print_json(found.to_json() | {"study": place, "seconds": time.perf_counter() - started})
    else:
        print_result(found)
        if not explain:
            seconds = time.perf_counter() - started
            result().print(
                _("{seconds:.0f} s. The study is in {place}.").format(seconds=seconds, place=place), style="dim"
            )
    if not any(searched.count("complete") for searched in found.searched):
        progress().print(_("No trial is complete."), style="bold red")
        raise typer.Exit(1)


_NARROW = 130  # columns of a terminal under which the table leaves out what is not needed to choose


def print_result(found: SearchResult) -> None:
    """Print what came of a search."""
    from rich.box import HORIZONTALS
    from rich.table import Table
    from rich.text import Text

    for line in found.summary():
        result().print(line, markup=False)
    if found.finals is not None:
        table = Table(box=HORIZONTALS, pad_edge=False, collapse_padding=True)
        wide = result().width >= _NARROW
        titles = found.titles()
        kept = [index for index, _title in enumerate(titles) if wide or index in _NEEDED]
        for index in kept:
            justify: Literal["left", "right"] = "left" if index in _TEXTS else "right"
            table.add_column(titles[index], justify=justify, overflow="fold")
        words = {row.experiment.name: row.verdict.word for row in found.finals.comparison.rows if row.verdict}
        for cells, named in zip(found.cells(), found.names(), strict=True):
            style = STYLES.get(words.get(named, ""), "")
            table.add_row(*(Text(cells[index], style=style if index == _VERDICT else "") for index in kept))
        result().print(table)
        for note in found.notes():
            result().print(note, style="dim", markup=False)
    for name, explanation in found.explanations.items():
        if found.finals is not None or len(found.explanations) > 1:
            result().print()
        if len(found.explanations) > 1:
            result().print(name, style="bold", markup=False)
        if explanation.importances:
            shares = ", ".join(f"{key} {100 * share:.0f} %" for key, share in explanation.importances.items())
            result().print(_("What mattered: {shares}.").format(shares=shares), markup=False)
        for sentence in explanation.sentences():
            result().print(f"· {sentence}", markup=False)


_TEXTS = (0, 1, 6)
_VERDICT = 6
_NEEDED = (0, 1, 3, 4, 5, 6)
