"""`neurona study`: list, show, verify, export, merge and remove what labs have stored."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurona.cli.options import Json, RunsAtATime, StudyDatabase, folders, opened
from neurona.cli.output import confirmed, print_json, progress, result
from neurona.errors import StoreError, UsageError
from neurona.i18n import _, ngettext

if TYPE_CHECKING:
    from neurona.store import Summary, Task
    from neurona.study import Rerun, Study

__all__ = ["TensorBoard", "export", "list_", "merge", "remove", "show", "verify", "written_for_tensorboard"]

AnyStudy = Annotated[
    str | None,
    typer.Argument(help=_("The study's folder; with --db, its name. The only one in neurona-studies unless given.")),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help=_("Write the study's runs there for TensorBoard (needs the extra tensorboard).")),
]


def list_(db: StudyDatabase = None, as_json: Json = False) -> None:
    """List the studies in ./neurona-studies, or in a database."""
    from neurona.store import sqlite_url, summaries
    from neurona.study import STUDIES

    found: list[tuple[str, Summary | str]] = []
    if db is not None:
        found = [(summary.name, summary) for summary in summaries(db)]
    else:
        for folder in folders():
            try:
                found += [(str(folder), summary) for summary in summaries(sqlite_url(folder))]
            except StoreError as error:  # the others are still listed
                found.append((str(folder), str(error)))
    if as_json:
        print_json([_document(place, entry) for place, entry in found])
    elif not found:
        result().print(_("No study is in {place}.").format(place=db or STUDIES), markup=False)
    else:
        _print_list(found)


def _document(place: str, entry: Summary | str) -> dict[str, Any]:
    return {"study": place, "problem": entry} if isinstance(entry, str) else {"study": place, **asdict(entry)}


def _print_list(found: list[tuple[str, Summary | str]]) -> None:
    from rich.box import HORIZONTALS
    from rich.table import Table

    table = Table(box=HORIZONTALS, pad_edge=False, collapse_padding=True)
    table.add_column(_("study"), no_wrap=True)
    table.add_column(_("lab"))
    table.add_column(_("data set"))
    for title in (_("experiments"), _("runs done"), _("pending"), _("failed"), _("weights"), _("changed")):
        table.add_column(title, justify="right")
    for place, entry in found:
        if isinstance(entry, str):
            table.add_row(place, _("cannot be read"))
            continue
        runs = entry.runs
        table.add_row(
            place,
            entry.lab,
            entry.dataset,
            str(entry.experiments),
            str(runs["complete"] + runs["diverged"]),
            str(runs["pending"] + runs["running"]),
            str(runs["failed"]),
            f"{entry.size / 1e6:.1f} MB",
            f"{datetime.fromtimestamp(entry.changed, UTC).astimezone():%Y-%m-%d %H:%M}",
        )
    result().print(table)
    for _place, entry in found:
        if isinstance(entry, str):
            progress().print(entry, markup=False)


def show(
    study: AnyStudy = None,
    db: StudyDatabase = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=10_000, help=_("Only the seeds below it."))] = None,
    as_json: Json = False,
) -> None:
    """Print the comparison of a study's experiments; nothing is trained."""
    from neurona.cli.lab import print_comparison, print_engines

    found = opened(study, db)
    comparison, engines = found.compare(seeds=seeds), found.compare_engines(seeds=seeds)
    counted = seeds or max((sum(vars(row.runs).values()) for row in comparison.rows), default=0)
    if as_json:
        print_json(
            {
                "lab": found.lab,
                "dataset": {"name": found.dataset, "fingerprint": found.fingerprint},
                "seeds": counted,
                "openings": comparison.openings,
                "experiments": [row.to_json() for row in comparison.rows],
                "engines": [pair.to_json() for pair in engines],
            }
        )
        return
    print_comparison(comparison, found.lab, found.dataset, counted)
    print_engines(engines)


def verify(
    study: AnyStudy = None,
    db: StudyDatabase = None,
    rerun: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, metavar="K", help=_("Train K runs, drawn at random, again, and compare.")),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31, help=_("What draws them; another every time unless given."))
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="D", help=_("Where the study's data are here, if they have moved."))
    ] = None,
    workers: RunsAtATime = None,
    as_json: Json = False,
) -> None:
    """Check hashes, completeness, and the records of the test set's openings; train some runs again."""
    if rerun is None and (seed is not None or dataset is not None or workers is not None):
        raise UsageError(_("--seed, --dataset and --workers go with --rerun K."))
    found = opened(study, db)
    problems = found.verify()
    drawn = secrets.randbelow(1_000_000) if seed is None else seed
    again = () if rerun is None else _rerun(found, rerun, drawn, dataset, workers)
    document: dict[str, Any] = {"lab": found.lab, "problems": problems}
    if rerun is not None:
        document |= {"seed": drawn, "reruns": [asdict(each) for each in again]}
    if as_json:
        print_json(document)
    else:
        _print_verified(found, problems, again)
        if rerun is not None:
            sentence = _("Drawn with --seed {seed}, which draws the same runs again.").format(seed=drawn)
            result().print(sentence, style="dim", markup=False)
    if problems or any(each.reproduced is False for each in again):
        raise typer.Exit(1)


def _rerun(found: Study, count: int, seed: int, dataset: str | None, workers: int | None) -> tuple[Rerun, ...]:
    from neurona.cli.live import Progress
    from neurona.data import load

    wanted = found.drawn_to_rerun(count, seed=seed)
    data = load(dataset or found.dataset)
    experiments = {task.experiment.id: task.experiment for task in wanted}
    shown = Progress(list(experiments.values()), wanted, wanted, data)

    def on_variation(task: Task, number: int, count: int) -> None:
        sentence = _("{name}, seed {seed}, was made elsewhere: {number} of {count} variations by rounding trained")
        sentence = sentence.format(name=task.experiment.name, seed=task.seed, number=number, count=count)
        progress().print(sentence, style="dim", markup=False)

    with shown.watched(progress()):
        return found.rerun(wanted, data, workers=workers, on_event=shown.take, on_variation=on_variation)


def _print_verified(found: Study, problems: Sequence[str], again: Sequence[Rerun]) -> None:
    for problem in problems:
        result().print(f"✗ {problem}", markup=False)
    if not problems:
        result().print("✓ " + _("the study of {lab} is whole.").format(lab=found.lab), markup=False)
    for each in again:
        name = _("{experiment}, seed {seed} (run {run}):").format(
            experiment=each.experiment, seed=each.seed, run=each.run[:8]
        )
        mark, sentence = _said(each)
        result().print(f"{mark} {name} {sentence}", markup=False)
        for discrepancy in each.discrepancies:
            result().print(f"    {discrepancy}", markup=False)


def _said(each: Rerun) -> tuple[str, str]:
    """Return a mark and a sentence about what became of a run that was trained again."""
    elsewhere = ", ".join(each.elsewhere)
    if each.reproduced is None:
        sentence = _("not compared: another engine's bits are its machine's, and not the same are {names}.")
        return "?", sentence.format(names=elsewhere)
    if not each.reproduced:
        return "✗", _("not reproduced.")
    if each.compared == "bits":
        return "✓", _("reproduced bit for bit, figures and weights.")
    sentence = _("reproduced, as far as rounding lets it: not the same are {names}.")
    return "✓", sentence.format(names=elsewhere)


def export(
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help=_("The folder to make: CSV, JSON, and weights as safetensors.")),
    ] = None,
    tensorboard: TensorBoard = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URI", help=_("Log the study's runs to the MLflow there (needs the extra mlflow).")),
    ] = None,
    study: AnyStudy = None,
    db: StudyDatabase = None,
    as_json: Json = False,
) -> None:
    """Write a study as CSV, JSON and safetensors into a new folder, for TensorBoard, or to MLflow."""
    from neurona.tracking import check_mlflow, check_tensorboard, log_to_mlflow, write_tensorboard

    if output is None and tensorboard is None and mlflow is None:
        raise UsageError(_("an export needs a place to go to: --output, --tensorboard or --mlflow."))
    if tensorboard is not None:
        check_tensorboard()
    if mlflow is not None:
        check_mlflow()
    found, document = opened(study, db), dict[str, Any]()
    sentences: list[str] = []
    if output is not None:
        found.export(output)
        files = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
        document |= {"folder": str(output), "files": files}
        sentence = ngettext("{count} file is in {folder}.", "{count} files are in {folder}.", len(files))
        sentences.append(sentence.format(count=len(files), folder=output))
    if tensorboard is not None:
        count = write_tensorboard(found, tensorboard)
        document["tensorboard"] = {"folder": str(tensorboard), "runs": count}
        sentences.append(written_for_tensorboard(count, tensorboard))
    if mlflow is not None:
        logged = log_to_mlflow(found, mlflow)
        document["mlflow"] = asdict(logged)
        sentence = ngettext(
            "{count} run is new in MLflow's experiment {name}; {there} were there.",
            "{count} runs are new in MLflow's experiment {name}; {there} were there.",
            logged.added,
        )
        sentences.append(sentence.format(count=logged.added, name=logged.experiment, there=logged.there))
    if as_json:
        print_json(document)
        return
    for sentence in sentences:
        result().print(sentence, markup=False)


def written_for_tensorboard(count: int, folder: Path) -> str:
    """Return the sentence that says how many runs are in `folder`, and what opens it."""
    sentence = ngettext(
        "{count} run is in {folder}: tensorboard --logdir {folder}",
        "{count} runs are in {folder}: tensorboard --logdir {folder}",
        count,
    )
    return sentence.format(count=count, folder=folder)


def merge(
    into: Annotated[str, typer.Argument(help=_("The study that grows: its folder; with --db, its name."))],
    source: Annotated[str, typer.Argument(help=_("The study whose runs are copied; it stays as it is."))],
    db: StudyDatabase = None,
    as_json: Json = False,
) -> None:
    """Copy the runs of one study into another on the same data. Nothing is overwritten."""
    merged = opened(into, db).merge(opened(source, db))
    if as_json:
        print_json(asdict(merged))
    else:
        sentence = ngettext("{count} run was copied;", "{count} runs were copied;", merged.added)
        there = ngettext("{count} was there, bit for bit.", "{count} were there, bit for bit.", merged.same)
        result().print(f"{sentence.format(count=merged.added)} {there.format(count=merged.same)}", markup=False)
        for name in merged.other_experiments:
            sentence = _("{name} is another experiment in each study; the first one's counts.")
            result().print(sentence.format(name=name), markup=False)
        for run in merged.conflicts:
            sentence = _("✗ the run {run} has other bits in each study; the first one's is kept.")
            result().print(sentence.format(run=run), markup=False)
    if merged.conflicts:
        raise typer.Exit(1)


def remove(
    study: Annotated[str, typer.Argument(help=_("The study's folder; with --db, its name."))],
    db: StudyDatabase = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("Do not ask."))] = False,
    as_json: Json = False,
) -> None:
    """Remove a study for good."""
    found = opened(study, db)
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(_("removing a study is asked about in a terminal, and this is none; --yes does not ask."))
        kept = sum(row.runs.completed + row.runs.diverged for row in found.compare().rows)
        sentence = ngettext(
            "Remove the study {study}, with {count} run, for good?",
            "Remove the study {study}, with {count} runs, for good?",
            kept,
        )
        if not confirmed(sentence.format(study=study, count=kept)):
            progress().print(_("Nothing was removed."))
            raise typer.Exit(1)
    found.remove()
    if as_json:
        print_json({"removed": study})
    else:
        result().print(_("The study {study} is removed.").format(study=study), markup=False)
