"""The experiments of a study beside each other: figures, intervals, and a verdict for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from neurona.lab import differences
from neurona.run import Epoch, kept_epoch, run_id
from neurona.specs import Experiment
from neurona.stats import (
    BaselineComparison,
    Estimate,
    Interval,
    PairedDifference,
    VerdictWord,
    compare_to_baseline,
    mean_interval,
    probability_better,
)
from neurona.store import StoredExperiment, StoredRun

__all__ = [
    "Counts",
    "ExperimentRuns",
    "Finding",
    "FindingWord",
    "Row",
    "better_than",
    "compared",
    "counted_accuracy",
    "difference_json",
    "estimate_json",
    "rows",
]

FindingWord = Literal[VerdictWord, "same-network"]


@dataclass(frozen=True)
class Counts:
    """How many of an experiment's runs are in each state."""

    completed: int
    diverged: int
    failed: int
    pending: int


@dataclass(frozen=True)
class Finding:
    """What may be said of one experiment against another: a verdict of `stats`, or `same-network`.

    `same-network` means that both are declared alike: their runs are the same runs, and there is nothing to find.

    adjusted_p: after Holm's correction over the family; None where there is no p value.
    seeds_needed: how many seeds in all would do; only with `too-few-seeds`, and None when seeds have diverged.
    power: the chance that a difference of 0.2 points would have been seen; None where it cannot be told.
    """

    word: FindingWord
    adjusted_p: float | None
    seeds_needed: int | None
    power: float | None

    @classmethod
    def of(cls, comparison: BaselineComparison) -> Self:
        """Return what `stats.compare_to_baseline` found."""
        said = comparison.verdict
        return cls(said.word, comparison.adjusted_p, said.seeds_needed, said.power)


_SAME = Finding("same-network", None, None, None)


@dataclass(frozen=True)
class Row:
    """One experiment in a comparison; figures are of the epoch whose weights are kept, on the validation split.

    val_accuracy, val_loss: one value a seed that has ended, in the order of `seeds`. A diverged run counts as a network
        that guesses: 1 / classes, and the logarithm of the number of classes.
    difference: validation accuracy minus the baseline's over the seeds that both have; None for the baseline.
    verdict: what may be said of the difference, over all experiments of the lab; None for the baseline.
    probability_better: how often a run of it beats a run of the baseline; None without a seed in common.
    seconds_per_run: mean wall time of training, None while there is no run.
    after_opening: how many of its runs ended after the test set had been opened.
    """

    experiment: Experiment
    differences: dict[str, Any]
    parameters: int
    runs: Counts
    seeds: tuple[int, ...]
    val_accuracy: tuple[float, ...]
    val_loss: tuple[float, ...]
    accuracy_interval: Interval | None
    loss_interval: Interval | None
    difference: PairedDifference | None
    verdict: Finding | None
    probability_better: Estimate | None
    seconds_per_run: float | None
    after_opening: int

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {
            "name": self.experiment.name,
            "group": self.experiment.group,
            "engine": self.experiment.engine,
            "differences": self.differences,
            "parameters": self.parameters,
            "runs": vars(self.runs),
            "val_accuracy": _summary(self.accuracy_interval, self.val_accuracy),
            "val_loss": _summary(self.loss_interval, self.val_loss),
            "difference": difference_json(self.difference),
            "verdict": None if self.verdict is None else vars(self.verdict),
            "probability_better": estimate_json(self.probability_better),
            "seconds_per_run": self.seconds_per_run,
            "after_opening": self.after_opening,
            "notebook_val_accuracy": self.experiment.notebook_val_accuracy,
        }


def difference_json(difference: PairedDifference | None) -> dict[str, Any] | None:
    """Return a difference as a JSON object."""
    if difference is None:
        return None
    return {
        "mean": difference.mean,
        "ci95": [difference.low, difference.high],
        "p": difference.p_value,
        "seeds": difference.n,
    }


def estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return a proportion as a JSON object."""
    return None if estimate is None else {"value": estimate.value, "ci95": [estimate.low, estimate.high]}


def _summary(interval: Interval | None, values: tuple[float, ...]) -> dict[str, Any]:
    if interval is None:
        return {"mean": None, "sd": None, "ci95": [None, None], "values": list(values)}
    return {
        "mean": interval.mean,
        "sd": interval.sd,
        "ci95": [interval.low, interval.high],
        "values": list(values),
    }


@dataclass(frozen=True)
class ExperimentRuns:
    """An experiment, the runs of it that have ended, by seed, and how many there are in each state."""

    stored: StoredExperiment
    ended: Mapping[int, StoredRun]
    counts: Counts

    @classmethod
    def find(
        cls, stored: StoredExperiment, runs: Mapping[str, StoredRun], seeds: Sequence[int], fingerprint: str
    ) -> Self:
        """Return those of `runs`, id -> run, that are of the experiment and one of `seeds`, on the data named."""
        spec = stored.experiment
        ids = {seed: run_id(spec.network, spec.training, fingerprint, seed, engine=spec.engine) for seed in seeds}
        found = {seed: runs.get(identity) for seed, identity in ids.items()}
        ended = {seed: run for seed, run in found.items() if run is not None and run.epochs}
        diverged = sum(run.state == "diverged" for run in ended.values())
        failed = sum(run is not None and run.state == "failed" for run in found.values())
        return cls(stored, ended, Counts(len(ended) - diverged, diverged, failed, len(seeds) - len(ended) - failed))

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.stored.experiment.name

    def kept(self, seed: int) -> Epoch:
        """Return the epoch whose weights the run with `seed` has kept."""
        return kept_epoch(self.stored.experiment.training, self.ended[seed].epochs)

    def scores(self) -> dict[int, float]:
        """Return seed -> validation accuracy, NaN where the run diverged, as `stats.compare_to_baseline` takes it."""
        return {
            seed: math.nan if run.state == "diverged" else self.kept(seed).val_accuracy
            for seed, run in self.ended.items()
        }

    def accuracies(self, classes: int) -> dict[int, float]:
        """Return seed -> validation accuracy; a run that diverged counts as a network that guesses."""
        return {seed: counted_accuracy(run.state, self.kept(seed), classes) for seed, run in self.ended.items()}

    def losses(self, classes: int) -> dict[int, float]:
        """Return seed -> validation loss; a run that diverged counts as a network that guesses."""
        return {
            seed: math.log(classes) if run.state == "diverged" else self.kept(seed).val_loss
            for seed, run in self.ended.items()
        }


def counted_accuracy(state: str, epoch: Epoch, classes: int) -> float:
    """Return the validation accuracy with which a run counts: its own, or that of guessing when it diverged."""
    return 1.0 / classes if state == "diverged" else epoch.val_accuracy


def compared(
    family: Sequence[ExperimentRuns], against: ExperimentRuns, classes: int
) -> dict[str, tuple[BaselineComparison, Finding]]:
    """Return name -> what the seeds say of each of `family` against one of them, corrected over all of `family`."""
    scores = {runs.name: runs.scores() for runs in family}
    found = compare_to_baseline(scores, against.name, diverged_score=1.0 / classes)
    same = {runs.name for runs in family if runs.stored.experiment.id == against.stored.experiment.id}
    return {name: (result, _SAME if name in same else Finding.of(result)) for name, result in found.items()}


def better_than(runs: ExperimentRuns, other: ExperimentRuns, classes: int) -> Estimate | None:
    """Return how often a run of one experiment has a higher validation accuracy than one of another."""
    ours, theirs = runs.accuracies(classes), other.accuracies(classes)
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    return probability_better([ours[seed] for seed in both], [theirs[seed] for seed in both], seed=0)


def rows(family: Sequence[ExperimentRuns], names: Iterable[str] | None, classes: int) -> tuple[Row, ...]:
    """Return a row for each of `family`, or of those of it in `names`; the first is the baseline, and is always there.

    Groups stay in the order in which the lab declares them; within a group the best mean comes first.
    """
    baseline = family[0]
    found = compared(family, baseline, classes)
    others = [
        _row(runs, baseline, classes, *found[runs.name]) for runs in family[1:] if names is None or runs.name in names
    ]
    groups = list(dict.fromkeys(row.experiment.group for row in others))
    others.sort(
        key=lambda row: (
            groups.index(row.experiment.group),
            -row.accuracy_interval.mean if row.accuracy_interval else math.inf,
        )
    )
    return (_row(baseline, baseline, classes), *others)


def _row(
    runs: ExperimentRuns,
    baseline: ExperimentRuns,
    classes: int,
    result: BaselineComparison | None = None,
    finding: Finding | None = None,
) -> Row:
    ended = runs.ended.values()
    accuracy = tuple(runs.accuracies(classes).values())
    loss = tuple(runs.losses(classes).values())
    seconds = [run.train_seconds for run in ended if run.train_seconds is not None]
    return Row(
        experiment=runs.stored.experiment,
        differences=differences(runs.stored.experiment, baseline.stored.experiment),
        parameters=runs.stored.parameters,
        runs=runs.counts,
        seeds=tuple(runs.ended),
        val_accuracy=accuracy,
        val_loss=loss,
        accuracy_interval=mean_interval(accuracy) if accuracy else None,
        loss_interval=mean_interval(loss) if loss else None,
        difference=None if result is None else result.difference,
        verdict=finding,
        probability_better=None if runs is baseline else better_than(runs, baseline, classes),
        seconds_per_run=sum(seconds) / len(seconds) if seconds else None,
        after_opening=sum(run.openings > 0 for run in ended),
    )
