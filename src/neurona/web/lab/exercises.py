"""Predict, then reveal: what a lab's groups ask, and what is told of a guess once it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from neurona.errors import Problem, SpecError
from neurona.i18n import _, ngettext
from neurona.lab import differences
from neurona.report.sentences import row_sentence
from neurona.specs import Experiment, Spec
from neurona.stats import MINIMUM_SEEDS
from neurona.study import SEARCH_GROUP, Lab, Row, Study
from neurona.study.cells import shown_accuracy, shown_differences, shown_fields, shown_verdict
from neurona.web.lab.documents import Points, Verdict, dataset_name, points
from neurona.web.lab.reasons import Case

__all__ = ["Exercise", "Exercises", "Guesses", "Reveal", "exercises", "reveal"]

MOST_ASKED = 3  # experiments of a group
COURSE = "mnist-dnn"
_NUMBERS = {"width": "1", "depth": "2–3", "activation": "4–5", "batch": "6–7", "learning-rate": "8–9"}  # the course's
# A guess of how much is near when it is half off at most, or by less than what a lab is meant to see at all.
_NEAR_SHARE, _NEAR_POINTS = 0.5, 0.2

Direction = Literal["better", "worse", "none"]
Right = Literal["right", "wrong", "open"]


class Asked(BaseModel):
    """An experiment that is asked about. differs: from the baseline, as the lab's table has it."""

    name: str
    differs: str


class Exercise(BaseModel):
    """A group of a lab: what it asks, and nothing of its answer. number: of the course's exercises, else empty.

    ready: whether the study has what the answer needs; missing: how many runs it lacks with so many `seeds`.
    """

    group: str
    number: str
    title: str
    question: str
    experiments: list[Asked]
    ready: bool
    missing: int
    seeds: int


class Exercises(BaseModel):
    """The exercises of a lab, in its order.

    study: its name, or the lab's where there is no study yet. choices: what else may be asked for.
    baseline: what the others are compared with, in words.
    """

    study: str
    exists: bool
    lab: str
    choices: list[str]
    dataset: str
    baseline: str
    exercises: list[Exercise]


class Guess(Spec):
    """What someone expects of an experiment: which way, and by about how many points. points: 0 for `none`."""

    experiment: Annotated[str, Field(min_length=1, max_length=64)]
    direction: Direction
    points: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0


class Guesses(Spec):
    """The guesses on a group: one for each experiment that it asks about."""

    group: Annotated[str, Field(min_length=1, max_length=64)]
    guesses: Annotated[tuple[Guess, ...], Field(min_length=1, max_length=MOST_ASKED)]


class Revealed(BaseModel):
    """What became of a guess.

    right: `open` where the study cannot say: too few seeds. near: whether the points were about right; None where
        none were guessed or none were seen.
    why: a few sentences that claim no more than the verdict.
    """

    experiment: str
    differs: str
    guess: Direction
    guessed_points: float
    verdict: Verdict
    right: Right
    near: bool | None
    accuracy: str
    points: Points | None
    sentence: str
    why: list[str]


class Reveal(BaseModel):
    """The answer to an exercise. baseline: its accuracy, as the table has it."""

    group: str
    baseline: str
    seeds: int
    revealed: list[Revealed]


def exercises(name: str, lab: Lab | None, study: Study | None, *, seeds: int, choices: list[str]) -> Exercises:
    """Return what the groups of a lab ask.

    name: of the study. study: None while there is none; its lab is then `lab`.
    seeds: of each run that would be made for an answer. choices: the names that others have.
    """
    if study is not None:
        declared = [stored.experiment for stored in study.store.experiments()]
        named, dataset = study.lab, dataset_name(study.dataset)
    else:
        assert lab is not None  # noqa: S101 - one of the two is there
        declared = list(lab.experiments)
        named, dataset = lab.name, dataset_name(lab.dataset)
    baseline = declared[0]
    ended: dict[str, set[int]] = {}
    for run in study.standing() if study is not None else ():
        if run.state in ("complete", "diverged"):
            ended.setdefault(run.experiment, set()).add(run.seed)
    found = []
    for group in dict.fromkeys(experiment.group for experiment in declared[1:]):
        asked = _asked(group, declared)
        if group == SEARCH_GROUP or not asked:
            continue
        # A claim of the whole lab is asked of the whole group: what the group runs is all of it.
        there = ended.get(baseline.id, set())
        ready = all(len(there & ended.get(each.id, set())) >= MINIMUM_SEEDS for each in asked)
        wanted = {e.id for e in declared if e.group == group} | {baseline.id}
        missing = sum(len(set(range(seeds)) - ended.get(identity, set())) for identity in wanted)
        title, question = _text(group)
        found.append(
            Exercise(
                group=group,
                number=_NUMBERS.get(group, "") if named == COURSE else "",
                title=title,
                question=question,
                experiments=[_question(each, baseline) for each in asked],
                ready=ready,
                missing=missing,
                seeds=seeds,
            )
        )
    return Exercises(
        study=name,
        exists=study is not None,
        lab=named,
        choices=choices,
        dataset=dataset,
        baseline=_described(baseline),
        exercises=found,
    )


def reveal(study: Study, guesses: Guesses, training_images: int | None) -> Reveal | None:
    """Return what the study says of the guesses; None while it lacks the runs.

    training_images: how many the study trains on; None where its data set is not here.

    Raises SpecError when the guesses are not one for each experiment that the group asks about.
    """
    declared = [stored.experiment for stored in study.store.experiments()]
    asked = _asked(guesses.group, declared)
    names = [experiment.name for experiment in asked]
    if sorted(guess.experiment for guess in guesses.guesses) != sorted(names):
        sentence = _("there must be one guess for each experiment that the group asks about: {names}.")
        raise SpecError([Problem(("guesses",), sentence.format(names=", ".join(names) or "–"))])
    comparison = study.compare()
    baseline = comparison.rows[0]
    if any(_both(comparison[name], baseline) < MINIMUM_SEEDS for name in names):
        return None
    case = Case.of(study, comparison, training_images)
    given = {guess.experiment: guess for guess in guesses.guesses}
    return Reveal(
        group=guesses.group,
        baseline=shown_accuracy(baseline),
        seeds=min(_both(comparison[name], baseline) for name in names),
        revealed=[
            _revealed(
                given[name],
                comparison[name],
                baseline.experiment,
                case.reasons(name),
            )
            for name in names
        ],
    )


def _revealed(guess: Guess, row: Row, baseline: Experiment, why: list[str]) -> Revealed:
    assert row.verdict is not None  # noqa: S101 - only the baseline has none
    seen = points(row)
    right: Right = "open"
    if row.verdict.word in ("better", "worse", "no-difference-seen"):
        expected = {"better": "better", "worse": "worse", "none": "no-difference-seen"}[guess.direction]
        right = "right" if row.verdict.word == expected else "wrong"
    near = None
    if right == "right" and guess.direction != "none" and seen is not None:
        off = abs(guess.points - abs(seen.mean))
        near = off <= max(_NEAR_SHARE * abs(seen.mean), _NEAR_POINTS)
    return Revealed(
        experiment=row.experiment.name,
        differs=shown_differences(row),
        guess=guess.direction,
        guessed_points=guess.points if guess.direction != "none" else 0.0,
        verdict=Verdict(word=row.verdict.word, shown=shown_verdict(row.verdict)),
        right=right,
        near=near,
        accuracy=shown_accuracy(row),
        points=seen,
        sentence=row_sentence(row, baseline),
        why=why,
    )


def _both(row: Row, baseline: Row) -> int:
    """Return how many seeds have ended of both."""
    return len(set(row.seeds) & set(baseline.seeds))


def _asked(group: str, declared: Sequence[Experiment]) -> list[Experiment]:
    """Return the experiments of a group that are asked about: the first, the last and the middle one of many.

    What is the same network as the baseline is no question.
    """
    baseline = declared[0]
    own = [e for e in declared[1:] if e.group == group and e.id != baseline.id]
    if len(own) <= MOST_ASKED:
        return own
    return [own[0], own[len(own) // 2], own[-1]]


def _question(experiment: Experiment, baseline: Experiment) -> Asked:
    return Asked(name=experiment.name, differs=shown_fields(differences(experiment, baseline)))


def _described(baseline: Experiment) -> str:
    """Return the baseline in a sentence."""
    network, training = baseline.network, baseline.training
    sentence = ngettext(
        "{layers} hidden layer ({hidden} units, {activation}), {optimizer} with a learning rate of {rate}, "
        "batches of {batch}, {epochs} epochs",
        "{layers} hidden layers ({hidden} units, {activation}), {optimizer} with a learning rate of {rate}, "
        "batches of {batch}, {epochs} epochs",
        len(network.hidden),
    )
    return sentence.format(
        layers=len(network.hidden),
        hidden=", ".join(map(str, network.hidden)),
        activation=", ".join(dict.fromkeys(network.activations)) or "–",
        optimizer=training.optimizer.name,
        rate=training.optimizer.learning_rate,
        batch=training.batch_size,
        epochs=training.epochs,
    )


def _text(group: str) -> tuple[str, str]:
    """Return the title of a group, and its question."""
    known = {
        "width": (
            _("How wide?"),
            _("The hidden layers get more units, and nothing else changes. What becomes of the validation accuracy?"),
        ),
        "depth": (
            _("How deep?"),
            _("The network gets more hidden layers, one after the other. Does depth help here?"),
        ),
        "activation": (
            _("Which activation?"),
            _("The units answer with another function. Does the network learn as well in the same number of epochs?"),
        ),
        "batch": (
            _("How many images a step?"),
            _(
                "The weights are corrected after every single image, or only after thousands. Images and epochs stay "
                "the same. Which does better?"
            ),
        ),
        "learning-rate": (
            _("How large a step?"),
            _("The learning rate is made much smaller, or much larger, for the same number of epochs. What happens?"),
        ),
    }
    return known.get(
        group, (group, _("One thing is changed, and nothing else. What does it do to the validation accuracy?"))
    )
