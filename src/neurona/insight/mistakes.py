"""The images that a network finds hardest, and those that networks of several seeds get wrong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurona.insight.answers import Answers

__all__ = ["Missed", "Mistake", "hardest", "missed"]


@dataclass(frozen=True)
class Mistake:
    """One image and the answer to it.

    index: in the split. loss: in nats. probability, answer_probability: of the true class and of the answer.
    """

    index: int
    label: int
    answer: int
    loss: float
    probability: float
    answer_probability: float


@dataclass(frozen=True)
class Missed:
    """Which images how many of the seeds get wrong.

    seeds: how many networks were asked.
    counts: `seeds` + 1 numbers; the number at k is that of images that exactly k networks get wrong.
    by_all: the images that every network gets wrong, highest mean loss first; the answer is the one given most often,
        and loss and probabilities are means over the networks. Wrong labels are among these (Northcutt et al. 2021).
    """

    seeds: int
    counts: tuple[int, ...]
    by_all: tuple[Mistake, ...]


def hardest(answers: Answers, most: int) -> tuple[Mistake, ...]:
    """Return the `most` images with the highest loss, highest first; the answer to them may even be right."""
    order = np.argsort(-answers.losses, kind="stable")[:most]
    return tuple(_mistake(int(index), int(answers.predicted[index]), [answers]) for index in order)


def missed(answers: Sequence[Answers]) -> Missed:
    """Return what the networks of several seeds get wrong, each of `answers` being to the same images."""
    wrong = np.stack([~one.right for one in answers])
    times = wrong.sum(axis=0)
    counts = np.bincount(times, minlength=len(answers) + 1)
    losses = np.mean([one.losses for one in answers], axis=0)
    by_all = np.flatnonzero(times == len(answers))
    by_all = by_all[np.argsort(-losses[by_all], kind="stable")]
    found = []
    for index in by_all:
        given = np.bincount([int(one.predicted[index]) for one in answers])
        found.append(_mistake(int(index), int(given.argmax()), answers))
    return Missed(len(answers), tuple(map(int, counts)), tuple(found))


def _mistake(index: int, answer: int, answers: Sequence[Answers]) -> Mistake:
    label = int(answers[0].labels[index])
    return Mistake(
        index=index,
        label=label,
        answer=answer,
        loss=float(np.mean([one.losses[index] for one in answers])),
        probability=float(np.mean([one.probabilities[index, label] for one in answers])),
        answer_probability=float(np.mean([one.probabilities[index, answer] for one in answers])),
    )
