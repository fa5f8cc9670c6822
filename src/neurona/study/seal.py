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
import numpy.typing as npt

from neurona.data import Dataset, Split
from neurona.engine import evaluate, predictions
from neurona.errors import DataError, UsageError
from neurona.files import finite
from neurona.i18n import _
from neurona.model import Model
from neurona.opening import ModelRecord, Opening
from neurona.sealed import read_test
from neurona.stats import Estimate, Interval, holm, mcnemar_exact, mean_interval, wilson_interval
from neurona.store import Store, StoredRun, add_opening
from neurona.study.cells import AFTER_OPENING, shown_estimate, shown_interval
from neurona.study.champions import ChampionRecord, assembled
from neurona.study.comparison import ExperimentRuns

__all__ = ["ChampionTest", "ExperimentTest", "OpenedSeal", "PairTest", "PickedTest", "check_finalists", "open_seal"]

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
class ChampionTest:
    """A champion on the test split: its members answering together, and each alone.

    accuracy: with Wilson's interval for the number of images. loss: mean cross-entropy in nats, at its temperature.
    member_accuracies: one a member, without views.
    after_opening: how many of its runs ended after the test set had been opened.
    """

    champion: str
    seeds: tuple[int, ...]
    accuracy: Estimate
    loss: float
    member_accuracies: tuple[float, ...]
    after_opening: int


@dataclass(frozen=True)
class PairTest:
    """Two models on the same test images, by McNemar's exact test; of an experiment, its picked run.

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
    champions: tuple[ChampionTest, ...] = ()

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
        late = sum(test.after_opening for test in self.experiments) + sum(test.after_opening for test in self.champions)
        if late:
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
                shown_estimate(test.picked.accuracy),
                f"{test.picked.loss:.4f}",
            ]
            for test in self.experiments
        ]

    def champion_sentences(self) -> list[str]:
        """Return what each champion reached."""
        sentence = _(
            "{champion}: {errors} of {images:,} test images wrong; error {error} %, accuracy {accuracy} %, loss "
            "{loss:.4f}."
        )
        alone = _("Its {count} members alone: {least:.2f} to {most:.2f} % accuracy.")
        lines = []
        for test in self.champions:
            error = wilson_interval(round((1 - test.accuracy.value) * self.images), self.images)
            line = sentence.format(
                champion=test.champion + (AFTER_OPENING if test.after_opening else ""),
                errors=round(error.value * self.images),
                images=self.images,
                error=shown_estimate(error),
                accuracy=shown_estimate(test.accuracy),
                loss=test.loss,
            )
            if len(test.member_accuracies) > 1:
                least, most = 100 * min(test.member_accuracies), 100 * max(test.member_accuracies)
                line += " " + alone.format(count=len(test.seeds), least=least, most=most)
            lines.append(line)
        return lines

    def sentences(self) -> list[str]:
        """Return what McNemar's test says of each pair."""
        sentence = _(
            "{first} against {second}: {only_first} images only the first gets right, {only_second} only the second "
            "(McNemar's exact test, p = {p:.3f} after Holm's correction)."
        )
        keys = ("first", "second", "only_first", "only_second")
        return [sentence.format(p=pair.adjusted_p, **{key: getattr(pair, key) for key in keys}) for pair in self.pairs]

    def __repr__(self) -> str:
        lines = [self.titles(), *self.cells()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        shown = table if self.experiments else []
        return "\n".join([*shown, *self.champion_sentences(), *self.sentences(), *self.notes])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in self.titles())
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in self.cells())
        said = (*self.champion_sentences(), *self.sentences(), *self.notes)
        notes = "".join(f"<p>{escape(note)}</p>" for note in said)
        if not self.experiments:
            return notes
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def open_seal(
    store: Store,
    finalists: Sequence[ExperimentRuns],
    data: Dataset,
    reason: str,
    champions: Sequence[ChampionRecord] = (),
) -> OpenedSeal:
    """Test the runs of `finalists` and the `champions` on the test split of `data`, record that, and return all of it.

    Everything that can be wrong is checked before the split is read, and the record is written before anything is
    returned: there is no look without a record.
    """
    check_finalists(finalists, reason, champions)
    _check_data(store, data)
    weights = store.weight_hashes()
    models = [
        ModelRecord(runs.name, seed, run.id, weights.get(run.id, ""))
        for runs in finalists
        for seed, run in runs.ended.items()
    ]
    parameters = {model.run: store.weights(model.run) for model in models}
    whole = {champion.name: assembled(store, champion) for champion in champions}
    models += [
        ModelRecord(champion.name, member.seed, member.runs[-1], weights.get(member.runs[-1], ""))
        for champion in champions
        for member in champion.members
    ]
    openings = {run.id: run.openings for run in store.runs()}
    test = read_test(data)
    experiments = tuple(_test(runs, parameters, test, data.classes) for runs in finalists)
    correct = {
        runs.name: predictions(runs.stored.experiment.network, parameters[found.picked.run], test) == test.labels
        for runs, found in zip(finalists, experiments, strict=True)
    }
    tested = []
    for champion in champions:
        answers = whole[champion.name].probabilities(test.images)
        correct[champion.name] = answers.argmax(axis=1) == test.labels
        tested.append(_test_champion(champion, whole[champion.name], answers, test, openings))
    pairs = _pairs(correct)
    results = finite(
        {
            "images": len(test),
            "experiments": [asdict(experiment) for experiment in experiments],
            "champions": [asdict(champion) for champion in tested],
            "pairs": [asdict(pair) for pair in pairs],
        }
    )
    opening = add_opening(store, user=_user(), reason=reason.strip(), models=models, results=results)
    return OpenedSeal(opening, len(test), experiments, pairs, tuple(tested))


def picked(runs: ExperimentRuns) -> StoredRun | None:
    """Return the complete run that does best on validation, by accuracy, then loss, then seed."""
    complete = [seed for seed, run in runs.ended.items() if run.state == "complete"]
    best = min(complete, key=lambda seed: (-runs.kept(seed).val_accuracy, runs.kept(seed).val_loss, seed), default=None)
    return None if best is None else runs.ended[best]


def check_finalists(finalists: Sequence[ExperimentRuns], reason: str, champions: Sequence[ChampionRecord] = ()) -> None:
    """Raise UsageError for a reason that is empty or endless, and for a model that is not trained."""
    if not 1 <= len(reason.strip()) <= LONGEST_REASON:
        sentence = _("the reason must have 1 to {most:,} characters, but has {count:,}. It is kept with the results.")
        raise UsageError(sentence.format(most=LONGEST_REASON, count=len(reason.strip())))
    if not finalists and not champions:
        raise UsageError(_("name at least one experiment to test."))
    for runs in finalists:
        if picked(runs) is None:
            sentence = _("an experiment must have a complete run to be tested, but {name} has none. Train it first.")
            raise UsageError(sentence.format(name=runs.name))
    for champion in champions:
        if not champion.is_ready:
            sentence = _("the champion {name} is not trained to its end; `neurona best` goes on with it.")
            raise UsageError(sentence.format(name=champion.name))


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


def _test_champion(
    champion: ChampionRecord,
    model: Model,
    answers: npt.NDArray[np.float32],
    test: Split,
    openings: dict[str, int],
) -> ChampionTest:
    right = int((answers.argmax(axis=1) == test.labels).sum())
    given = answers[np.arange(len(test)), test.labels].astype(np.float64)
    return ChampionTest(
        champion=champion.name,
        seeds=tuple(member.seed for member in champion.members),
        accuracy=wilson_interval(right, len(test)),
        loss=float(-np.log(np.maximum(given, np.finfo(np.float32).tiny)).mean()),
        member_accuracies=tuple(evaluate(model.network, member, test)[1] for member in model.members),
        after_opening=sum(openings[run] > 0 for member in champion.members for run in member.runs),
    )


def _pairs(correct: dict[str, npt.NDArray[np.bool_]]) -> tuple[PairTest, ...]:
    """Compare each two of the models, name -> whether it is right on each test image."""
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
