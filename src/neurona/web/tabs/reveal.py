"""The tab to predict in: what will happen in each exercise, then what did, with intervals and verdicts."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from neurona.errors import DataError, DownloadError
from neurona.i18n import _
from neurona.specs import Spec
from neurona.web.desk import Desk, desk
from neurona.web.endpoint import Endpoint, Refusal
from neurona.web.lab.exercises import COURSE, Exercises, Guesses, Reveal, exercises, reveal
from neurona.web.lab.runs import DEFAULT_SEEDS

__all__ = ["ENDPOINTS", "title", "words"]


class Which(Spec):
    """Whose exercises: a study's, or those of a lab that has none yet; the course's unless said."""

    study: Annotated[str, Field(min_length=1, max_length=64)] | None = None


def _exercises(request: Request, which: Which) -> Exercises:
    its = desk(request)
    names = its.studies.names()
    labs = {lab.name: lab for lab in its.labs.labs()}
    choices = list(dict.fromkeys([*names, *labs]))
    name = which.study or _usual(its)
    if name in names:
        return its.studies.read(name, lambda study: exercises(name, None, study, seeds=DEFAULT_SEEDS, choices=choices))
    return exercises(name, its.labs.lab(name), None, seeds=DEFAULT_SEEDS, choices=choices)


def _usual(its: Desk) -> str:
    """Return whose exercises are shown unless said: of the study that the server was started with, or the course's."""
    return its.studies.given or COURSE


def _reveal(request: Request, guesses: Guesses) -> Reveal:
    its, name = desk(request), str(request.path_params["study"])
    study = its.studies.get(name)
    images = None
    with suppress(DataError, DownloadError):
        images = len(its.studies.data(study).train)
    found = its.studies.read(name, lambda study: reveal(study, guesses, images))
    if found is None:
        raise Refusal(409, _("the study {name} lacks runs for this: at least 3 seeds of each.").format(name=name))
    return found


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/exercises",
        _exercises,
        "What the groups of a lab ask, without what the answers are.",
        takes=Which,
        gives=Exercises,
        statuses=(404,),
    ),
    Endpoint(
        "POST",
        "/api/exercises/{study}/reveal",
        _reveal,
        "What became of the guesses on a group.",
        takes=Guesses,
        gives=Reveal,
        statuses=(404, 409),
    ),
)


def title() -> str:
    """Return what the tab is called."""
    return _("Predict")


def words() -> dict[str, str]:
    """Return the sentences of `reveal.js`."""
    return {
        "heading": _("Predict, then reveal"),
        "lead": _("First say what will happen. Then see what did, with intervals, and why."),
        "study": _("Study"),
        "exercise": _("Exercise {number}"),
        "exercises": _("Exercises"),
        "baseline": _("The baseline"),
        "against": _("Everything is compared with it: the share of validation images that are right."),
        "better": _("better"),
        "none": _("no difference seen"),
        "worse": _("worse"),
        "points": _("by about how many points?"),
        "choose": _("First say of each what will happen."),
        "reveal": _("Reveal"),
        "missing": _("The study lacks {count} runs for this answer. They are trained here; guess meanwhile."),
        "run": _("Run them"),
        "running": _("Training: {done} of {planned} runs of the study are done"),
        "left": _("about {time} left"),
        "minutes": _("{minutes} min"),
        "under_a_minute": _("less than a minute"),
        "ready": _("The answer is there: say what you expect, then reveal it."),
        "your_guess": _("You said: {guess}"),
        "your_guess_points": _("You said: {guess} by {points} points"),
        "right": _("Right"),
        "right_near": _("Right, and about as much as you said"),
        "right_far": _("Right, but by another amount"),
        "wrong": _("Not so"),
        "open": _("Nobody can say yet: too few seeds"),
        "guess_mark": _("your guess"),
        "seen_mark": _("seen, with its interval (95 %)"),
        "axis": _("points against the baseline"),
        "picture": _("{name}: seen {seen} points; guessed {guess}"),
        "again": _("Guess again"),
        "score": _("{right} of {counted} right so far"),
        "score_none": _("Nothing guessed yet"),
        "score_open": _("{count} that nobody can say yet"),
        "finished": _("All exercises are done."),
        "reset": _("Begin anew"),
        "next": _("Next exercise"),
        "near_rule": _("“About as much” is at most half off, or less than 0.2 points."),
        "no_exercises": _("This lab has no groups to ask about."),
        "seeds_used": _("From {count} seeds of each; ± is half of the interval (95 %)."),
        "baseline_has": _("baseline: {accuracy} %"),
        "done": _("answered"),
    }
