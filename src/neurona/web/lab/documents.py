"""What the page shows of a study, as documents: how it stands, its table, its learning curves, its mistakes."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from neurona import figures
from neurona.figures.images import png_address
from neurona.i18n import _, ngettext
from neurona.insight import Mistake, missed
from neurona.report.sentences import group_sentences, tally
from neurona.stats import Interval
from neurona.study import FindingWord, Row, Study
from neurona.study.cells import shown_accuracy, shown_difference, shown_differences, shown_name, shown_verdict
from neurona.web.endpoint import Refusal
from neurona.web.lab.runs import UnderWay
from neurona.web.lab.studies import Studies

__all__ = [
    "Curves",
    "Key",
    "Mistakes",
    "Points",
    "Progress",
    "Table",
    "Verdict",
    "curves",
    "dataset_name",
    "mistakes",
    "points",
    "progress",
    "table",
]

MOST_MISTAKES = 24
_ENDED = ("complete", "diverged")
Key = Literal["val_accuracy", "accuracy", "val_loss", "loss"]


class Line(BaseModel):
    """Where an experiment stands: so many runs done of those planned; those that have failed are tried again."""

    name: str
    group: str
    done: int
    planned: int
    failed: int


class Running(BaseModel):
    """A run under way. epoch, val_accuracy: of the last that ended; None where another process has it."""

    experiment: str
    seed: int
    epoch: int | None
    epochs: int
    val_accuracy: float | None


class Progress(BaseModel):
    """Where a study stands.

    state: it runs `here`, or `elsewhere`, in another process; it is `unfinished`, `complete`, or `empty`.
    pausing: it was asked to pause, and some runs have not come to the end of their epoch.
    version: another one whenever its table may be.
    seconds_left: None where it cannot be told.
    """

    study: str
    state: Literal["here", "elsewhere", "unfinished", "complete", "empty"]
    pausing: bool
    version: str
    done: int
    planned: int
    failed: int
    running: list[Running]
    lines: list[Line]
    seconds_left: float | None


def progress(name: str, study: Study, here: UnderWay | None) -> Progress:
    """Return where `study` stands; `here` is what this server runs in it, if it does."""
    experiments = [stored.experiment for stored in study.store.experiments()]
    states: dict[str, Counter[str]] = defaultdict(Counter)
    seeds: dict[str, list[int]] = defaultdict(list)
    for run in study.standing():
        states[run.experiment][run.state] += 1
        if run.state == "running":
            seeds[run.experiment].append(run.seed)
    lines = []
    for experiment in experiments:
        own = states[experiment.id]
        done = sum(own[state] for state in _ENDED)
        planned = sum(own.values())
        lines.append(
            Line(name=experiment.name, group=experiment.group, done=done, planned=planned, failed=own["failed"])
        )
    distinct = {experiment.id: experiment for experiment in reversed(experiments)}
    counts = sum((states[identity] for identity in distinct), Counter[str]())
    running = []
    at_work = {} if here is None else dict(here.running)
    for identity, experiment in reversed(distinct.items()):
        for seed in seeds[identity]:
            epoch, accuracy = at_work.get((identity, seed), (None, None))
            running.append(
                Running(
                    experiment=experiment.name,
                    seed=seed,
                    epoch=epoch,
                    epochs=experiment.training.epochs,
                    val_accuracy=accuracy,
                )
            )
    done, planned = sum(counts[state] for state in _ENDED), sum(counts.values())
    return Progress(
        study=name,
        state=_state(here, counts),
        pausing=here is not None and here.job.asked_to_stop(),
        version=f"{counts['complete']}.{counts['diverged']}.{counts['failed']}.{len(experiments)}",
        done=done,
        planned=planned,
        failed=counts["failed"],
        running=running,
        lines=lines,
        seconds_left=None if here is None else here.seconds_left(),
    )


def _state(
    here: UnderWay | None, counts: Counter[str]
) -> Literal["here", "elsewhere", "unfinished", "complete", "empty"]:
    if here is not None:
        return "here"
    if counts["running"]:
        return "elsewhere"
    if not sum(counts.values()):
        return "empty"
    return "complete" if sum(counts[state] for state in _ENDED) == sum(counts.values()) else "unfinished"


class Verdict(BaseModel):
    """A verdict: its word for the page, and as it is shown."""

    word: FindingWord
    shown: str


class Points(BaseModel):
    """A difference to the baseline in points of per cent, with its 95 % interval where it has one."""

    mean: float
    low: float | None
    high: float | None


class TableRow(BaseModel):
    """A row of the table: the cells that `neurona lab` prints, and the difference in points for drawing."""

    name: str
    differs: str
    parameters: str
    accuracy: str
    difference: str
    verdict: Verdict | None
    notebook: str
    seconds: str
    points: Points | None


class TableGroup(BaseModel):
    """The rows of a group, and what they say in sentences that claim what the verdicts do."""

    name: str
    sentence: str
    rows: list[TableRow]


class Table(BaseModel):
    """The experiments beside each other. dataset: its name; never a path."""

    title: str
    lab: str
    dataset: str
    head: list[str]
    groups: list[TableGroup]
    summary: str
    explained: list[str]
    note: str


def table(study: Study) -> Table:
    """Return the comparison of a study's experiments, in the words and figures of `neurona lab`."""
    comparison = study.compare()
    rows = comparison.rows
    seeds = max((sum(vars(row.runs).values()) for row in rows), default=0)
    dataset = dataset_name(study.dataset)
    title = ngettext("{lab} on {dataset}, {seeds} seed", "{lab} on {dataset}, {seeds} seeds", seeds)
    groups = []
    for name, own in groupby(rows, lambda row: row.experiment.group):
        members = list(own)
        sentence = group_sentences(members, rows[0].experiment) if members[0] is not rows[0] else ""
        groups.append(TableGroup(name=name, sentence=sentence, rows=[table_row(row) for row in members]))
    return Table(
        title=title.format(lab=study.lab, dataset=dataset, seeds=seeds),
        lab=study.lab,
        dataset=dataset,
        head=[
            _("experiment"),
            _("differs in"),
            _("parameters"),
            _("val. accuracy %"),
            _("difference"),
            _("verdict"),
            _("notebook"),
            _("s/run"),
        ],
        groups=groups,
        summary=tally(rows),
        explained=_explained(rows),
        note=comparison.note,
    )


def table_row(row: Row) -> TableRow:
    """Return a row's cells."""
    notebook = row.experiment.notebook_val_accuracy
    return TableRow(
        name=shown_name(row),
        differs=shown_differences(row),
        parameters=f"{row.parameters:,}",
        accuracy=shown_accuracy(row),
        difference=shown_difference(row.difference, row.verdict),
        verdict=None if row.verdict is None else Verdict(word=row.verdict.word, shown=shown_verdict(row.verdict)),
        notebook="" if notebook is None else f"{100 * notebook:.2f}",
        seconds="" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}",
        points=points(row),
    )


def points(row: Row) -> Points | None:
    """Return a row's difference in points; None for the baseline and for the same network."""
    difference = row.difference
    if difference is None or (row.verdict is not None and row.verdict.word == "same-network"):
        return None
    low, high = difference.low, difference.high
    return Points(
        mean=100 * difference.mean,
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
    )


def dataset_name(dataset: str) -> str:
    """Return what a data set is called: of a path, the last part alone."""
    return Path(dataset).name


def _explained(rows: tuple[Row, ...]) -> list[str]:
    said = [
        _("± is half of the 95 % interval over seeds; differences are to the baseline with the same seeds, in points."),
        _("Verdicts hold for the lab as a whole: of labs in which nothing differs, 5 % at most claim a difference."),
    ]
    if any(row.verdict and row.verdict.seeds_needed for row in rows):
        said.append(_("(~N): about how many seeds would do."))
    if any(row.runs.diverged for row in rows):
        said.append(_("A run that diverged counts as a network that guesses."))
    return said


class Point(BaseModel):
    """A mean over seeds, with its 95 % interval where there is more than one."""

    mean: float
    low: float | None
    high: float | None


class Curve(BaseModel):
    """An experiment's figure after each epoch; seeds: how many complete runs are counted."""

    name: str
    group: str
    seeds: int
    points: list[Point]


class Curves(BaseModel):
    """The learning curves of a study, the baseline's first."""

    key: Key
    curves: list[Curve]


def curves(study: Study, key: Key) -> Curves:
    """Return the curves of one key of the history: accuracies as fractions, losses in nats."""
    declared = [stored.experiment for stored in study.store.experiments()]
    baseline = declared[0]
    # The same network as the baseline has the same curve, which would only hide it.
    groups = {e.name: e.group for e in declared if e is baseline or e.id != baseline.id}
    found = figures.learning_curves.numbers(study, key=key).curves
    return Curves(
        key=key,
        curves=[
            Curve(name=one.name, group=groups[one.name], seeds=one.seeds, points=[_point(each) for each in one.points])
            for one in found
            if one.name in groups
        ],
    )


def _point(interval: Interval) -> Point:
    return Point(mean=interval.mean, low=interval.low, high=interval.high)


class Answer(BaseModel):
    """A class that was thought of, and its mean probability over the seeds."""

    name: str
    probability: float


class Missed(BaseModel):
    """An image that every seed's network gets wrong. image: a PNG as a `data:` address; answers: likeliest first."""

    index: int
    image: str
    label: str
    answer: str
    answers: list[Answer]


class Mistakes(BaseModel):
    """What an experiment's networks get wrong on the validation images.

    counts: how many images exactly 0, 1, … seeds get wrong.
    experiments: those that can be asked about, the best mean first.
    """

    experiment: str
    experiments: list[str]
    sentence: str
    counts: list[int]
    images: list[Missed]


def mistakes(studies: Studies, name: str, experiment: str | None) -> Mistakes:
    """Return the validation images that all seeds of `experiment`, or of the best one, get wrong, the worst first.

    Raises Refusal (404) for an experiment that is not there or has no complete run.
    """
    study = studies.get(name)
    rows = [row for row in study.compare().rows if row.runs.completed]
    rows.sort(key=lambda row: (-row.accuracy_interval.mean if row.accuracy_interval else 0.0, row.parameters))
    names = [row.experiment.name for row in rows]
    if not names or (experiment is not None and experiment not in names):
        raise Refusal(404, _("the study {name} has no complete run to look at yet.").format(name=name))
    chosen = experiment or names[0]
    subject = studies.inspected(name, chosen)
    answers = list(subject.answers.values())
    found = missed(answers)
    mean = np.mean([one.probabilities for one in answers], axis=0)
    classes = subject.data.class_names

    def shown(mistake: Mistake) -> Missed:
        likeliest = np.argsort(-mean[mistake.index], kind="stable")[:3]
        return Missed(
            index=mistake.index,
            image=png_address(subject.data.validation.images[mistake.index]),
            label=classes[mistake.label],
            answer=classes[mistake.answer],
            answers=[Answer(name=classes[k], probability=float(mean[mistake.index, k])) for k in likeliest],
        )

    return Mistakes(
        experiment=chosen,
        experiments=names,
        sentence=_missed_sentence(chosen, found.counts, len(found.by_all)),
        counts=list(found.counts),
        images=[shown(mistake) for mistake in found.by_all[:MOST_MISTAKES]],
    )


def _missed_sentence(name: str, counts: tuple[int, ...], by_all: int) -> str:
    images, seeds = sum(counts), len(counts) - 1
    if seeds == 1:
        sentence = ngettext(
            "Of {images} validation images the only network of {name} gets {count} wrong.",
            "Of {images} validation images the only network of {name} gets {count} wrong.",
            by_all,
        )
    else:
        sentence = ngettext(
            "Of {images} validation images the networks of {name} with all {seeds} seeds get {count} wrong.",
            "Of {images} validation images the networks of {name} with all {seeds} seeds get {count} wrong.",
            by_all,
        )
    return sentence.format(images=f"{images:,}", name=name, seeds=seeds, count=f"{by_all:,}")
