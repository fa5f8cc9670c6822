"""The numbers of a search's figures, apart from their drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurona.search.record import Searched
from neurona.space import Value

__all__ = [
    "ContourData",
    "FrontData",
    "HistoryData",
    "ParallelData",
    "SliceData",
    "contour",
    "front",
    "history",
    "parallel",
    "slices",
]


@dataclass(frozen=True)
class HistoryData:
    """Trial by trial, in order: number, state, score (None when it has none), and the best complete value so far."""

    numbers: tuple[int, ...]
    states: tuple[str, ...]
    scores: tuple[float | None, ...]
    best: tuple[float | None, ...]


@dataclass(frozen=True)
class ParallelData:
    """An axis a setting; a line a trial with its value on each axis, None where it was not asked for, and its score."""

    axes: tuple[str, ...]
    numbers: tuple[int, ...]
    lines: tuple[tuple[Value | None, ...], ...]
    scores: tuple[float, ...]
    log: tuple[bool, ...]


@dataclass(frozen=True)
class SliceData:
    """One setting against the score: a point a trial."""

    key: str
    numbers: tuple[int, ...]
    values: tuple[Value, ...]
    scores: tuple[float, ...]
    log: bool


@dataclass(frozen=True)
class ContourData:
    """Two settings and the score: a point a trial that was asked for both."""

    keys: tuple[str, str]
    numbers: tuple[int, ...]
    first: tuple[Value, ...]
    second: tuple[Value, ...]
    scores: tuple[float, ...]
    log: tuple[bool, bool]


@dataclass(frozen=True)
class FrontData:
    """Two objectives: a point a complete trial, and whether it is on the Pareto front."""

    numbers: tuple[int, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    on_front: tuple[bool, ...]


def history(searched: Searched) -> HistoryData:
    """Return how the search went."""
    best: list[float | None] = []
    for trial in searched.trials:
        last = best[-1] if best else None
        own = trial.values[0] if trial.values else None
        better = own is not None and (last is None or searched.objective.gain(own, last) > 0)
        best.append(own if better else last)
    return HistoryData(
        tuple(trial.number for trial in searched.trials),
        tuple(trial.state for trial in searched.trials),
        tuple(trial.score for trial in searched.trials),
        tuple(best),
    )


def parallel(searched: Searched, keys: tuple[str, ...] = ()) -> ParallelData:
    """Return the trials as lines across the settings `keys`, or all of them."""
    keys = keys or searched.space.keys(searched.base)
    scored = [(trial, trial.score) for trial in searched.trials if _is_finite(trial.score)]
    return ParallelData(
        keys,
        tuple(trial.number for trial, _score in scored),
        tuple(tuple(trial.point.get(key) for key in keys) for trial, _score in scored),
        tuple(score for _trial, score in scored if score is not None),
        tuple(_is_log(searched, key) for key in keys),
    )


def slices(searched: Searched, key: str) -> SliceData:
    """Return the setting `key` against the score."""
    scored = [
        (trial.number, trial.point[key], trial.score)
        for trial in searched.trials
        if key in trial.point and trial.score is not None and _is_finite(trial.score)
    ]
    numbers, values, scores = zip(*scored, strict=True) if scored else ((), (), ())
    return SliceData(key, numbers, values, scores, _is_log(searched, key))


def contour(searched: Searched, first: str, second: str) -> ContourData:
    """Return two settings and the score."""
    scored = [
        (trial.number, trial.point[first], trial.point[second], trial.score)
        for trial in searched.trials
        if {first, second} <= set(trial.point) and trial.score is not None and _is_finite(trial.score)
    ]
    numbers, ours, theirs, scores = zip(*scored, strict=True) if scored else ((), (), (), ())
    log = (_is_log(searched, first), _is_log(searched, second))
    return ContourData((first, second), numbers, ours, theirs, scores, log)


def front(searched: Searched) -> FrontData:
    """Return the complete trials by their two objectives."""
    complete = [trial for trial in searched.trials if len(trial.values) > 1]
    best = {trial.number for trial in searched.front()}
    return FrontData(
        tuple(trial.number for trial in complete),
        tuple(trial.values[0] for trial in complete),
        tuple(trial.values[1] for trial in complete),
        tuple(trial.number in best for trial in complete),
    )


def _is_finite(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def _is_log(searched: Searched, key: str) -> bool:
    parameter = searched.space.parameter(key)
    return parameter.log or parameter.base is not None
