"""Why an experiment came out as it did: what was changed, and what the study's own numbers show of it.

What was changed is described so that it is true however the experiment came out. What follows is read off the numbers,
and nothing is read off them that the verdict does not bear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from neurona.i18n import _, ngettext
from neurona.specs import Experiment
from neurona.stats import MINIMUM_SEEDS
from neurona.study import Comparison, ExperimentRuns, Row, Study

__all__ = ["Case"]

_STILL_GAINING = 0.001  # in the last epoch, and twice the baseline's: it had not finished
_APART = 0.001  # of two training accuracies that are told apart in a sentence
_WIDER_GAP = 0.003  # between training and validation, beyond the baseline's
_MOST = 3  # sentences


@dataclass(frozen=True)
class Evidence:
    """What an experiment's complete runs show, as means over seeds, accuracies as fractions; None where there is none.

    training: accuracy on the training images in the last epoch. gap: that minus validation accuracy.
    last_gain: of validation accuracy in the last epoch. rising: whether it rose there with every seed.
    spread: the standard deviation of validation accuracy.
    """

    training: float | None
    gap: float | None
    last_gain: float | None
    rising: bool
    spread: float | None
    diverged: int
    seeds: int

    @classmethod
    def of(cls, runs: ExperimentRuns) -> Self:
        """Return what `runs` show."""
        ended = runs.ended.values()
        histories = [run.epochs for run in ended if run.state == "complete"]
        diverged = sum(run.state == "diverged" for run in ended)
        if not histories:
            return cls(None, None, None, False, None, diverged, len(runs.ended))
        validation = [history[-1].val_accuracy for history in histories]
        training = float(np.mean([history[-1].accuracy for history in histories]))
        gains = [history[-1].val_accuracy - history[-2].val_accuracy for history in histories if len(history) > 1]
        return cls(
            training=training,
            gap=training - float(np.mean(validation)),
            last_gain=float(np.mean(gains)) if gains else None,
            rising=all(gain > 0 for gain in gains),
            spread=float(np.std(validation, ddof=1)) if len(validation) >= MINIMUM_SEEDS else None,
            diverged=diverged,
            seeds=len(runs.ended),
        )


@dataclass(frozen=True)
class Case:
    """A study whose experiments are explained.

    training_images: how many it trains on; None where that is not known.
    """

    study: Study
    comparison: Comparison
    evidence: Mapping[str, Evidence]
    training_images: int | None

    @classmethod
    def of(cls, study: Study, comparison: Comparison, training_images: int | None) -> Self:
        """Return the case of `study`, whose comparison this is."""
        evidence = {runs.name: Evidence.of(runs) for runs in study.experiments()}
        return cls(study, comparison, evidence, training_images)

    def reasons(self, name: str) -> list[str]:
        """Return a few sentences on the experiment called `name`."""
        row, baseline = self.comparison[name], self.comparison.rows[0]
        assert row.verdict is not None  # noqa: S101 - only the baseline has none
        changed = _changed(row, baseline, self.training_images)
        if row.verdict.word == "too-few-seeds":
            sentence = ngettext(
                "With {count} seed this may be chance; a single run of each, as in a notebook, says even less.",
                "With {count} seeds this may be chance; a single run of each, as in a notebook, says even less.",
                len(row.seeds),
            )
            return [*changed, sentence.format(count=len(row.seeds))]
        shown = [*self._as_wide(row), *_shown(row, self.evidence[name], self.evidence[baseline.experiment.name])]
        if row.verdict.word == "no-difference-seen":
            shown.append(_("No difference seen does not mean that there is none: a smaller one would not show."))
        return [*changed, *shown][:_MOST]

    def _as_wide(self, row: Row) -> list[str]:
        """Return how a deeper network does against one of the baseline's depth that is as wide, if the study has it."""
        baseline, experiment = self.comparison.rows[0].experiment, row.experiment
        depth, widths = len(baseline.network.hidden), set(experiment.network.hidden)
        if set(row.differences) != {"hidden"} or len(experiment.network.hidden) <= depth or len(widths) != 1:
            return []
        if widths == set(baseline.network.hidden):
            return []
        same_width = baseline.network.replace(hidden=tuple(widths) * depth)
        for other in self.comparison.rows:
            twin = other.experiment
            alike = (twin.network, twin.training, twin.engine) == (same_width, experiment.training, experiment.engine)
            if alike and len(set(other.seeds) & set(row.seeds)) >= MINIMUM_SEEDS:
                pair = self.study.compare_pair(experiment.name, twin.name)
                return [_("The baseline is also narrower. For depth alone:") + " " + pair.sentence()]
        sentence = _("The baseline is also narrower: this says what depth and width do together, not what depth does.")
        return [sentence]


def _changed(row: Row, base: Row, training_images: int | None) -> list[str]:
    """Return what was changed against the baseline, and what that does to training, however it came out."""
    ours, theirs, keys = row.experiment, base.experiment, set(row.differences)
    said = []
    if "hidden" in keys:
        said.append(_layers(row, base))
    if "activation" in keys:
        said += _activation(ours)
    if "optimizer" in keys and ours.training.optimizer.name == "sgd":
        said.append(
            _("Plain SGD takes one learning rate for all weights, where Adam finds each weight a step of its own.")
        )
    if "batch_size" in keys and training_images is not None:
        said.append(_batch(ours, theirs, training_images))
    rate, other = ours.training.optimizer.learning_rate, theirs.training.optimizer.learning_rate
    if keys & {"learning_rate", "optimizer"} == {"learning_rate"} and rate is not None and other is not None:
        said.append(_rate(rate, other))
    if "dropout" in keys:
        said.append(_("Dropout silences units at random while the network trains, so that none can rely on another."))
    return said


def _layers(row: Row, base: Row) -> str:
    ours, theirs = row.experiment.network.hidden, base.experiment.network.hidden
    times = row.parameters / base.parameters
    share = f"{times:.1f}" if times < 10 else f"{times:.0f}"
    if len(ours) > len(theirs):
        sentence = _(
            "It has {share} times as many weights as the baseline, and {count} layers for the gradient to pass through "
            "where the baseline has {fewer}."
        )
    elif times >= 1:
        sentence = _("It has {share} times as many weights as the baseline: it can represent more, and costs more.")
    else:
        sentence = _("It has {share} times as many weights as the baseline: it can represent less, and costs less.")
    return sentence.format(share=share, count=len(ours), fewer=len(theirs))


def _activation(experiment: Experiment) -> list[str]:
    names = set(experiment.network.activations)
    if "sigmoid" in names:
        return [
            _(
                "The slope of the sigmoid is 1/4 at most, and almost 0 where its input is large: little gradient "
                "is left for the first layer."
            )
        ]
    if "tanh" in names:
        return [
            _("The slope of tanh is up to 1, four times the sigmoid's: in a network of few layers the gradient passes.")
        ]
    return []


def _batch(ours: Experiment, theirs: Experiment, images: int) -> str:
    def steps(experiment: Experiment) -> int:
        return experiment.training.epochs * math.ceil(images / experiment.training.batch_size)

    if ours.training.batch_size > theirs.training.batch_size:
        sentence = _(
            "The weights are corrected {steps} times in all, where the baseline corrects them {others} times, and each "
            "step is of the same kind."
        )
    else:
        sentence = _(
            "The weights are corrected {steps} times in all, where the baseline corrects them {others} times; but each "
            "step follows fewer images, and so more of their chance."
        )
    return sentence.format(steps=f"{steps(ours):,}", others=f"{steps(theirs):,}")


def _rate(rate: float, other: float) -> str:
    if rate < other:
        sentence = _("Every step is {times} times smaller than the baseline's, and there are no more of them.")
        return sentence.format(times=f"{other / rate:.3g}")
    sentence = _(
        "The learning rate is {times} times the baseline's: it gets somewhere sooner, but jumps to and fro where "
        "smaller steps would settle."
    )
    return sentence.format(times=f"{rate / other:.3g}")


def _shown(row: Row, ours: Evidence, base: Evidence) -> list[str]:
    """Return what the study's numbers show of it, the most telling first."""
    assert row.verdict is not None  # noqa: S101
    said = []
    if ours.diverged:
        sentence = ngettext(
            "{diverged} of its {seeds} runs diverged, and counts as a network that guesses.",
            "{diverged} of its {seeds} runs diverged, and count as networks that guess.",
            ours.diverged,
        )
        said.append(sentence.format(diverged=ours.diverged, seeds=ours.seeds))
    behind = row.verdict.word != "better"
    gain, other = ours.last_gain, base.last_gain
    if behind and ours.rising and gain is not None and other is not None and gain > max(_STILL_GAINING, 2 * other):
        sentence = _("In its last epoch it still gained {gain} points, the baseline {other}: it had not finished.")
        said.append(sentence.format(gain=_points(gain), other=_points(other)))
    if "dropout" not in row.differences and ours.training is not None and base.training is not None:
        said += _fitted(row, ours, base)
    if behind and ours.spread is not None and base.spread is not None and ours.spread > 2 * base.spread > 0:
        sentence = _("Its seeds lie further apart: their standard deviation is {ours} points, the baseline's {base}.")
        said.append(sentence.format(ours=_points(ours.spread), base=_points(base.spread)))
    return said


def _fitted(row: Row, ours: Evidence, base: Evidence) -> list[str]:
    """Return what training images, beside validation images, show."""
    assert row.verdict is not None  # noqa: S101
    assert ours.training is not None  # noqa: S101
    assert base.training is not None  # noqa: S101
    given = {"ours": f"{100 * ours.training:.1f} %", "base": f"{100 * base.training:.1f} %"}
    more, word = ours.training - base.training, row.verdict.word
    said = []
    if word == "better" and more > _APART:
        sentence = _("It fits the training images better too: {ours} of them, where the baseline gets {base}.")
        said.append(sentence.format(**given))
    elif word == "worse" and more < -_APART:
        sentence = _("It fits the training images less well too: {ours} of them, where the baseline gets {base}.")
        said.append(sentence.format(**given))
    elif word == "worse" and more > _APART:
        sentence = _("Yet it gets more of the training images: {ours}, where the baseline gets {base}.")
        said.append(sentence.format(**given))
    if ours.gap is not None and base.gap is not None and ours.gap - base.gap > _WIDER_GAP:
        sentence = _(
            "On the training images it is {ours} points better than on the validation images, the baseline {base}: "
            "some of it is learned by heart."
        )
        said.append(sentence.format(ours=_points(ours.gap), base=_points(base.gap)))
    return said


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
