"""The sections that come from the study's numbers alone: what was asked, the table, the groups, learning, cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from neurona import figures
from neurona.data import Dataset
from neurona.figures import Table
from neurona.i18n import _, ngettext
from neurona.report.document import Badge, Block, Facts, Grid, Group, Note, Section, Text, Verdicts
from neurona.report.sentences import group_sentences, highest_sentence, shown_sentence, tally
from neurona.specs import Experiment
from neurona.study import Comparison, PairComparison, Row, Study
from neurona.study.cells import (
    shown_accuracy,
    shown_difference,
    shown_differences,
    shown_name,
    shown_verdict,
)

__all__ = ["asked", "compared", "groups", "learned"]


def asked(study: Study, comparison: Comparison, data: Dataset | None, shown: str | None) -> Section:
    """Return the section that says what was asked, how much of it is done, and the answer in short.

    shown: the experiment whose network the report looks into.
    """
    best = figures.best_experiment(comparison)
    rows = comparison.rows
    baseline = rows[0]
    entries = [(_("Lab"), study.lab), (_("Data set"), _data_sentence(study, data))]
    entries.append((_("Baseline"), _baseline_sentence(baseline.experiment)))
    entries.append((_("Experiments"), _experiments_sentence(rows)))
    entries.append((_("Runs"), _runs_sentence(study)))
    entries.append((_("Test set"), _seal_sentence(comparison.openings)))
    blocks: list[Block] = [Facts(tuple(entries))]
    answers = [
        tally(rows),
        highest_sentence(comparison[best]) if best is not None else "",
        shown_sentence(shown) if shown is not None else "",
    ]
    if any(answers):
        blocks.insert(0, Text(" ".join(answer for answer in answers if answer)))
    pending = _to_do(study)
    failed = sum(row.runs.failed for row in rows)
    if pending:
        sentence = ngettext(
            "The study is not finished: {count} run is still to be done.",
            "The study is not finished: {count} runs are still to be done.",
            pending,
        )
        blocks.append(Note(sentence.format(count=pending) + " " + _("Verdicts may change.")))
    if failed:
        sentence = ngettext(
            "{count} run failed and is not counted; the lab's command tries it again.",
            "{count} runs failed and are not counted; the lab's command tries them again.",
            failed,
        )
        blocks.append(Note(sentence.format(count=failed)))
    return Section("asked", _("What was asked"), tuple(blocks))


def _data_sentence(study: Study, data: Dataset | None) -> str:
    if data is None:
        return study.dataset
    sentence = _(
        "{name}: {train} training, {validation} validation and {test} test images of {height}×{width} pixels in "
        "{classes} classes"
    )
    return sentence.format(
        name=data.name,
        train=f"{len(data.train):,}",
        validation=f"{len(data.validation):,}",
        test=f"{data.test_size:,}",
        height=data.image_shape[0],
        width=data.image_shape[1],
        classes=data.classes,
    )


def _baseline_sentence(baseline: Experiment) -> str:
    network, training = baseline.network, baseline.training
    sentence = _(
        "hidden layers {hidden}, {activation}; {optimizer}, learning rate {rate}, batch size {batch}, epochs {epochs}"
    )
    return sentence.format(
        hidden=", ".join(map(str, network.hidden)) or "–",
        activation=", ".join(dict.fromkeys(network.activations)) or "–",
        optimizer=training.optimizer.name,
        rate=training.optimizer.learning_rate,
        batch=training.batch_size,
        epochs=training.epochs,
    )


def _experiments_sentence(rows: tuple[Row, ...]) -> str:
    names = dict.fromkeys(row.experiment.group for row in rows[1:])
    sentence = ngettext(
        "{count} beside the baseline, in the groups {groups}",
        "{count} beside the baseline, in the groups {groups}",
        len(rows) - 1,
    )
    return sentence.format(count=len(rows) - 1, groups=", ".join(names)) if names else _("the baseline alone")


def _to_do(study: Study) -> int:
    """Return how many runs were asked for and have not ended."""
    return sum(run.state not in ("complete", "diverged", "failed") for run in study.standing())


def _runs_sentence(study: Study) -> str:
    """Return how many runs are in each state; experiments that are the same network share theirs."""
    distinct = {runs.stored.experiment.id: runs for runs in study.experiments()}.values()
    counts = [runs.counts for runs in distinct]
    completed = sum(one.completed for one in counts)
    parts = [ngettext("{count} complete", "{count} complete", completed).format(count=completed)]
    for number, text in (
        (sum(one.diverged for one in counts), _("{count} diverged")),
        (sum(one.failed for one in counts), _("{count} failed")),
        (_to_do(study), _("{count} to be done")),
    ):
        if number:
            parts.append(text.format(count=number))
    seeds = sorted({seed for runs in distinct for seed in runs.ended})
    if seeds:
        parts.append(_("seeds {seeds}").format(seeds=_spans(seeds)))
    return ", ".join(parts)


def _spans(numbers: list[int]) -> str:
    """Return sorted numbers as `0–4, 7`."""
    spans = []
    for _key, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        own = [number for _place, number in run]
        spans.append(str(own[0]) if len(own) == 1 else f"{own[0]}–{own[-1]}")
    return ", ".join(spans)


def _seal_sentence(openings: int) -> str:
    if not openings:
        return _("sealed; everything below is about validation images")
    sentence = ngettext("opened {count} time", "opened {count} times", openings)
    return sentence.format(count=openings)


def compared(comparison: Comparison, engines: Sequence[PairComparison]) -> Section:
    """Return the section with the table of all experiments, the figure of their differences, and two engines' pairs."""
    rows = comparison.rows
    blocks: list[Block] = [_table(comparison)]
    explained = [
        _("± is half of the 95 % interval over seeds; differences are to the baseline with the same seeds, in points."),
        _("Verdicts hold for the lab as a whole: of labs in which nothing differs, 5 % at most claim a difference."),
    ]
    if any(row.verdict and row.verdict.seeds_needed for row in rows):
        explained.append(_("(~N): about how many seeds would do."))
    if any(row.runs.diverged for row in rows):
        explained.append(_("A run that diverged counts as a network that guesses."))
    blocks.append(Text(" ".join(explained)))
    if comparison.note:
        blocks.append(Note(comparison.note))
    numbers = figures.differences.numbers(comparison)
    if numbers:
        blocks.append(figures.differences.draw(numbers))
    costs = figures.cost.numbers(comparison)
    if len(costs) > 1:
        blocks.append(figures.cost.draw(costs))
    if engines:
        blocks.append(Group("engines", _("The same experiments in two engines"), _engines(engines)))
    return Section("comparison", _("The experiments compared"), tuple(blocks))


def _engines(pairs: Sequence[PairComparison]) -> tuple[Block, ...]:
    head = ("", _("val. accuracy %"), _("against"), _("val. accuracy %"), _("difference"), _("verdict"))
    rows = tuple(
        (
            shown_name(pair.first),
            shown_accuracy(pair.first),
            shown_name(pair.second),
            shown_accuracy(pair.second),
            shown_difference(pair.difference, pair.verdict) or "–",
            shown_verdict(pair.verdict),
        )
        for pair in pairs
    )
    return Table(head, rows), Text(" ".join(pair.sentence() for pair in pairs))


def _table(comparison: Comparison) -> Verdicts:
    rows = comparison.rows
    notebook = any(row.experiment.notebook_val_accuracy is not None for row in rows)
    columns = [
        (_("experiment"), False),
        (_("differs in"), False),
        (_("parameters"), True),
        (_("val. accuracy %"), True),
        (_("difference"), True),
        (_("verdict"), False),
        *([(_("notebook"), True)] if notebook else []),
        (_("s/run"), True),
    ]
    bodies = [
        tuple(_cells(row, notebook) for row in own) for _group, own in groupby(rows, lambda row: row.experiment.group)
    ]
    return Verdicts(
        _("Every experiment against the baseline, on the validation images"),
        tuple(title for title, _number in columns),
        tuple(number for _title, number in columns),
        tuple(bodies),
    )


def _cells(row: Row, notebook: bool) -> tuple[str | Badge, ...]:
    accuracy = row.experiment.notebook_val_accuracy
    return (
        shown_name(row),
        shown_differences(row),
        f"{row.parameters:,}",
        shown_accuracy(row),
        shown_difference(row.difference, row.verdict),
        Badge(row.verdict.word, shown_verdict(row.verdict)) if row.verdict else "",
        *(["" if accuracy is None else f"{100 * accuracy:.2f}"] if notebook else []),
        "" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}",
    )


def groups(comparison: Comparison) -> Section | None:
    """Return the section with a figure and two sentences for each group; None where there is none."""
    baseline = comparison.rows[0].experiment
    blocks: list[Block] = []
    for number, group in enumerate(_group_names(comparison), 1):
        own = [row for row in comparison.rows[1:] if row.experiment.group == group]
        text = group_sentences(own, baseline)
        drawn: list[Block] = [Text(text)] if text else []
        if any(row.accuracy_interval for row in own):
            drawn.append(figures.seeds(comparison, group))
        blocks.append(Group(f"group-{number}", group, tuple(drawn)))
    return Section("groups", _("Group by group"), tuple(blocks)) if blocks else None


def _group_names(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(row.experiment.group for row in comparison.rows[1:]))


def learned(study: Study, comparison: Comparison) -> Section | None:
    """Return the section on training epoch by epoch; None while nothing has been trained."""
    drawn = []
    names: Sequence[str | None] = _group_names(comparison) or [None]
    for group in names:
        numbers = figures.learning_curves.numbers(study, group)
        if numbers.curves:
            drawn.append(figures.learning_curves.draw(numbers))
    gaps = figures.gap.numbers(study)
    if not drawn and not gaps:
        return None
    blocks: list[Block] = [
        Text(
            _(
                "Validation accuracy after each epoch: the mean over seeds, in its 95 % band; the baseline is grey. "
                "Runs that diverged are left out here, and only here."
            )
        ),
        Grid(tuple(drawn)),
    ]
    if gaps:
        largest = max(gaps, key=lambda one: one.training - one.validation)
        sentence = _(
            "Where training is far above validation, the network has begun to learn its images by heart. The gap is "
            "largest for {name}: {gap:.2f} points."
        )
        blocks.append(Text(sentence.format(name=largest.name, gap=100 * (largest.training - largest.validation))))
        blocks.append(figures.gap.draw(gaps))
    return Section("learning", _("Learning curves"), tuple(blocks))
