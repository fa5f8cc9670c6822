"""Opening the seal: the only way to the test split. What is tested, what is found, and the record of it."""

from __future__ import annotations

import getpass
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import combinations
from typing import Any

import numpy as np

from neurona.data import Dataset, Split
from neurona.engine import evaluate, predictions
from neurona.errors import DataError, UsageError
from neurona.files import finite
from neurona.i18n import _
from neurona.opening import ModelRecord, Opening
from neurona.sealed import read_test
from neurona.stats import Estimate, Interval, holm, mcnemar_exact, mean_interval, wilson_interval
from neurona.store import Store, StoredRun
from neurona.study.cells import AFTER_OPENING, shown_interval
from neurona.study.comparison import ExperimentRuns

__all__ = ["ExperimentTest", "OpenedSeal", "PairTest", "PickedTest", "check_finalists", "open_seal"]

LONGEST_REASON = 1_000  # characters


@dataclass(frozen=True)
class PickedTest:
    """The one run of an experiment that validation picked: highest accuracy, then lowest loss.

    accuracy: on the test split, with Wilson's interval for its finite number of images.
    """

    seed: int
    run: str
    val_accuracy: float
    accuracy: Estimate
    loss: float


@dataclass(frozen=True)
class ExperimentTest:
    """One experiment on the test split.

    accuracy, loss: over the seeds, with Student's t interval; a diverged run counts as a network that guesses. `loss`
        is None when one is not a finite number.
    accuracies, losses: one value a seed, in the order of `seeds`.
    after_opening: how many of the runs ended after the test set had been opened.
    """

    experiment: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    accuracy: Interval
    loss: Interval | None
    diverged: int
    after_opening: int
    picked: PickedTest


@dataclass(frozen=True)
class PairTest:
    """The picked runs of two experiments on the same test images, by McNemar's exact test.

    only_first, only_second: how many images only one of them gets right.
    adjusted_p: after Holm's correction over all pairs of this opening.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    p: float
    adjusted_p: float


@dataclass(frozen=True)
class OpenedSeal:
    """What the test split said of the experiments named, and the record of its opening."""

    opening: Opening
    images: int
    experiments: tuple[ExperimentTest, ...]
    pairs: tuple[PairTest, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the results and the record as a JSON object."""
        record = {key: value for key, value in self.opening.to_json().items() if key != "results"}
        return {**self.opening.results, "opening": record}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on which opening this was, and on what was trained after an earlier one."""
        sentence = _("This was opening {number} of this study's test set, on {time} by {user}: {reason}")
        values = {key: getattr(self.opening, key) for key in ("number", "time", "user", "reason")}
        notes = [sentence.format(**values)]
        if any(test.after_opening for test in self.experiments):
            notes.append(_("{star} trained after the test set was opened.").format(star=AFTER_OPENING))
        return tuple(notes)

    @staticmethod
    def titles() -> list[str]:
        """Return the titles of the table's columns."""
        return [
            _("experiment"),
            _("seeds"),
            _("test accuracy %"),
            _("test loss"),
            _("picked seed"),
            _("its test accuracy %"),
            _("its test loss"),
        ]

    def cells(self) -> list[list[str]]:
        """Return the table's lines."""
        return [
            [
                test.experiment + (AFTER_OPENING if test.after_opening else ""),
                str(len(test.seeds))
                + (" " + _("({count} diverged)").format(count=test.diverged)) * bool(test.diverged),
                shown_interval(test.accuracy),
                shown_interval(test.loss, scale=1.0, digits=4),
                str(test.picked.seed),
                _shown_estimate(test.picked.accuracy),
                f"{test.picked.loss:.4f}",
            ]
            for test in self.experiments
        ]

    def sentences(self) -> list[str]:
        """Return what McNemar's test says of each pair."""
        sentence = _(
            "The picked runs of {first} and {second}: {only_first} images only the first gets right, {only_second} "
            "only the second (McNemar's exact test, p = {p:.3f} after Holm's correction)."
        )
        keys = ("first", "second", "only_first", "only_second")
        return [sentence.format(p=pair.adjusted_p, **{key: getattr(pair, key) for key in keys}) for pair in self.pairs]

    def __repr__(self) -> str:
        lines = [self.titles(), *self.cells()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*table, *self.sentences(), *self.notes])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in self.titles())
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in self.cells())
        notes = "".join(f"<p>{escape(note)}</p>" for note in (*self.sentences(), *self.notes))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def open_seal(store: Store, finalists: Sequence[ExperimentRuns], data: Dataset, reason: str) -> OpenedSeal:
    """Test the runs of `finalists` on the test split of `data`, record that, and return what was found.

    Everything that can be wrong is checked before the split is read, and the record is written before anything is
    returned: there is no look without a record.
    """
    check_finalists(finalists, reason)
    _check_data(store, data)
    weights = store.weight_hashes()
    models = [
        ModelRecord(runs.name, seed, run.id, weights.get(run.id, ""))
        for runs in finalists
        for seed, run in runs.ended.items()
    ]
    parameters = {model.run: store.weights(model.run) for model in models}
    test = read_test(data)
    experiments = tuple(_test(runs, parameters, test, data.classes) for runs in finalists)
    pairs = _pairs(finalists, experiments, parameters, test)
    results = finite(
        {
            "images": len(test),
            "experiments": [asdict(experiment) for experiment in experiments],
            "pairs": [asdict(pair) for pair in pairs],
        }
    )
    opening = store.add_opening(user=_user(), reason=reason.strip(), models=models, results=results)
    return OpenedSeal(opening, len(test), experiments, pairs)


def picked(runs: ExperimentRuns) -> StoredRun | None:
    """Return the complete run that does best on validation, by accuracy, then loss, then seed."""
    complete = [seed for seed, run in runs.ended.items() if run.state == "complete"]
    best = min(complete, key=lambda seed: (-runs.kept(seed).val_accuracy, runs.kept(seed).val_loss, seed), default=None)
    return None if best is None else runs.ended[best]


def check_finalists(finalists: Sequence[ExperimentRuns], reason: str) -> None:
    """Raise UsageError for a reason that is empty or endless, and for an experiment without a complete run."""
    if not 1 <= len(reason.strip()) <= LONGEST_REASON:
        sentence = _("the reason must have 1 to {most:,} characters, but has {count:,}. It is kept with the results.")
        raise UsageError(sentence.format(most=LONGEST_REASON, count=len(reason.strip())))
    if not finalists:
        raise UsageError(_("name at least one experiment to test."))
    for runs in finalists:
        if picked(runs) is None:
            sentence = _("an experiment must have a complete run to be tested, but {name} has none. Train it first.")
            raise UsageError(sentence.format(name=runs.name))


def _check_data(store: Store, data: Dataset) -> None:
    expected = str(store.info["fingerprint"])
    if data.fingerprint != expected:
        sentence = _(
            "the test set must be that of the data the study was made with (fingerprint {expected}), but {name} has "
            "{now}. Put the old files back; if it was split by options of your own, give it as data=."
        )
        raise DataError(sentence.format(expected=expected[:16], name=data.name, now=data.fingerprint[:16]))


def _test(runs: ExperimentRuns, parameters: dict[str, Any], test: Split, classes: int) -> ExperimentTest:
    network = runs.stored.experiment.network
    losses, accuracies = zip(
        *(
            (math.log(classes), 1.0 / classes)
            if run.state == "diverged"
            else evaluate(network, parameters[run.id], test)
            for run in runs.ended.values()
        ),
        strict=True,
    )
    best = picked(runs)
    assert best is not None  # noqa: S101 - `check_finalists` saw to it
    seeds = tuple(runs.ended)
    place = seeds.index(best.seed)
    return ExperimentTest(
        experiment=runs.name,
        seeds=seeds,
        accuracies=accuracies,
        losses=losses,
        accuracy=mean_interval(accuracies),
        loss=mean_interval(losses) if all(map(math.isfinite, losses)) else None,
        diverged=runs.counts.diverged,
        after_opening=sum(run.openings > 0 for run in runs.ended.values()),
        picked=PickedTest(
            seed=best.seed,
            run=best.id,
            val_accuracy=runs.kept(best.seed).val_accuracy,
            accuracy=wilson_interval(round(accuracies[place] * len(test)), len(test)),
            loss=losses[place],
        ),
    )


def _pairs(
    finalists: Sequence[ExperimentRuns],
    tests: Sequence[ExperimentTest],
    parameters: dict[str, Any],
    test: Split,
) -> tuple[PairTest, ...]:
    correct = {
        runs.name: predictions(runs.stored.experiment.network, parameters[found.picked.run], test) == test.labels
        for runs, found in zip(finalists, tests, strict=True)
    }
    results = [
        (first, second, mcnemar_exact(correct[first], correct[second])) for first, second in combinations(correct, 2)
    ]
    adjusted = holm([result.p_value for _first, _second, result in results]) if results else np.array([])
    return tuple(
        PairTest(first, second, result.only_a, result.only_b, result.p_value, float(p))
        for (first, second, result), p in zip(results, adjusted, strict=True)
    )


def _user() -> str:
    """Return the name of the user's account, or its number where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


def _shown_estimate(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.2f}"
    sentence = _("{value:.2f} ({low:.2f} to {high:.2f})")
    return sentence.format(value=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)
