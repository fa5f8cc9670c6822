"""Which settings mattered, and how: importance, border notes, and a sentence for each of the three that did most."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from neurona.i18n import _
from neurona.search.objective import Objective
from neurona.search.record import Searched, TrialRecord
from neurona.search.samplers import distribution, inside, shown_name
from neurona.space import Parameter, Value

__all__ = ["Border", "Effect", "Explanation", "Level", "explain", "importances"]

_FEWEST = 10  # trials that can be said anything about
_TOP = 5  # trials that the best quantile should have: `PedAnovaImportanceEvaluator`'s documentation
_BINS, _FEWEST_IN_BIN = 6, 3  # levels of a number with many values; trials that a level of any has at least
_MOST_LEVELS = 8  # a number with more values than that is put in bins
_SAID = 3  # settings about which something is said
_AT_BORDER = 0.02  # part of the range from its end


@dataclass(frozen=True)
class Level:
    """One choice of a setting, or a part of its range, and what trials there reach: the mean of their best quarter."""

    low: Value
    high: Value
    score: float
    trials: int


@dataclass(frozen=True)
class Effect:
    """A setting and its levels: in rising order where they are numbers, else the best first.

    importance: part of what the settings do together, 0 to 1.
    sentence: what its levels say, in the language in force.
    """

    key: str
    importance: float
    levels: tuple[Level, ...]
    sentence: str


@dataclass(frozen=True)
class Border:
    """The best trial has its value at an end of the setting's range, beyond which better ones may be."""

    key: str
    value: Value
    end: str
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """What a search says of its settings.

    importances: key -> part of what the settings do together, the greatest first; empty with too few trials.
    effects: of the three that did most.
    """

    importances: Mapping[str, float]
    effects: tuple[Effect, ...]
    borders: tuple[Border, ...]
    trials: int

    def sentences(self) -> list[str]:
        """Return all that is said, a sentence each, in the language in force when it was explained."""
        if not self.importances:
            sentence = _("Too few trials to say which settings mattered: {count}, of {least} or more.")
            return [sentence.format(count=self.trials, least=_FEWEST), *(border.sentence for border in self.borders)]
        return [*(effect.sentence for effect in self.effects), *(border.sentence for border in self.borders)]


def explain(searched: Searched) -> Explanation:
    """Return what the trials of a search say of its settings."""
    found = importances(searched)
    effects = tuple(_effect(searched, key, found[key]) for key in list(found)[:_SAID])
    return Explanation(found, effects, _borders(searched), len(_scored(searched)))


def importances(searched: Searched) -> dict[str, float]:
    """Return key -> part of what the settings do together to be among the best tenth; empty with too few trials.

    Pruned trials are among the others: it was their settings that held them back.
    Source: Watanabe, Bansal and Hutter (2023), "PED-ANOVA", IJCAI; Optuna's.
    """
    scored = _scored(searched)
    if len(scored) < _FEWEST:
        return {}
    study = optuna.create_study(direction=searched.objective.directions[0])
    study.add_trials([_as_optunas(searched, trial) for trial in scored])
    evaluator = PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(0.1, _TOP / len(scored))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # when all trials are alike it warns, and gives equal parts
        found = get_param_importances(study, evaluator=evaluator)
    keys = {shown_name(key, searched.space.parameter(key)): key for key in searched.space.keys(searched.base)}
    return {keys[name]: share for name, share in sorted(found.items(), key=lambda item: -item[1])}


def _scored(searched: Searched) -> list[TrialRecord]:
    return [trial for trial in searched.trials if trial.score is not None and math.isfinite(trial.score)]


def _as_optunas(searched: Searched, trial: TrialRecord) -> optuna.trial.FrozenTrial:
    drawn: dict[str, object] = {}
    spread: dict[str, BaseDistribution] = {}
    for key, value in trial.point.items():
        parameter = searched.space.parameter(key)
        name = shown_name(key, parameter)
        drawn[name], spread[name] = inside(parameter, value), distribution(parameter)
    return optuna.trial.create_trial(params=drawn, distributions=spread, value=trial.score)


def _effect(searched: Searched, key: str, importance: float) -> Effect:
    parameter, objective = searched.space.parameter(key), searched.objective
    found = [(trial.point[key], trial.score or 0.0) for trial in _scored(searched) if key in trial.point]
    levels = _numbers(found, objective) if _is_number(parameter) else _choices(found, objective)
    say = _said_of_numbers if _is_number(parameter) else _said_of_choices
    return Effect(key, importance, tuple(levels), say(key, levels, objective))


def _is_number(parameter: Parameter) -> bool:
    choices = parameter.choices or ()
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)


def _numbers(found: Sequence[tuple[Value, float]], objective: Objective) -> list[Level]:
    """Return a level for each value, or for each part of the range; all with some trials."""
    ordered = sorted(found)
    distinct = list(dict.fromkeys(value for value, _score in ordered))
    least = _FEWEST_IN_BIN
    if len(distinct) > _MOST_LEVELS:
        least = max(least, math.ceil(len(ordered) / _BINS))
    groups: list[list[tuple[Value, float]]] = [[]]
    for value in distinct:
        if len(groups[-1]) >= least:
            groups.append([])
        groups[-1] += [pair for pair in ordered if pair[0] == value]
    if len(groups) > 1 and len(groups[-1]) < least:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [Level(group[0][0], group[-1][0], _reached(group, objective), len(group)) for group in groups]


def _choices(found: Sequence[tuple[Value, float]], objective: Objective) -> list[Level]:
    names = dict.fromkeys(value for value, _score in found)
    groups = [group for name in names if len(group := [pair for pair in found if pair[0] == name]) >= _FEWEST_IN_BIN]
    levels = [Level(group[0][0], group[0][0], _reached(group, objective), len(group)) for group in groups]
    return sorted(levels, key=lambda level: objective.gain(0.0, level.score))


def _reached(group: Sequence[tuple[Value, float]], objective: Objective) -> float:
    """Return the mean of the best quarter: what is reached there when the other settings are right."""
    scores = sorted((score for _value, score in group), key=lambda score: objective.gain(0.0, score))
    best = scores[: math.ceil(len(scores) / 4)]
    return sum(best) / len(best)


def _said_of_numbers(key: str, levels: Sequence[Level], objective: Objective) -> str:
    if len(levels) < 2:
        return _("{key}: too few trials of each to say.").format(key=key)
    top = min(range(len(levels)), key=lambda index: objective.gain(0.0, levels[index].score))

    def is_same(index: int) -> bool:
        return objective.gain(levels[top].score, levels[index].score) <= objective.same

    first = last = top
    while first > 0 and is_same(first - 1):
        first -= 1
    while last < len(levels) - 1 and is_same(last + 1):
        last += 1
    names = {"key": key, "low": shown(levels[first].low), "high": shown(levels[last].high)}
    if names["low"] == names["high"]:
        parts = [_("{key}: {low} does best").format(**names)]
    else:
        parts = [_("{key}: between {low} and {high} all the same").format(**names)]
    for index, text in ((first - 1, _("below {value}")), (last + 1, _("above {value}"))):
        if 0 <= index < len(levels):
            beyond = range(index + 1) if index < first else range(index, len(levels))
            worst = max(objective.gain(levels[top].score, levels[each].score) for each in beyond)
            edge = shown(levels[first].low if index < first else levels[last].high)
            where = text.format(value=edge)
            if worst >= objective.broken:
                parts.append(_("{where} it breaks").format(where=where))
            else:
                parts.append(
                    _("{where} it is worse by up to {worst}").format(where=where, worst=objective.shown_gain(worst))
                )
    return "; ".join(parts) + "."


def _said_of_choices(key: str, levels: Sequence[Level], objective: Objective) -> str:
    if len(levels) < 2:
        return _("{key}: too few trials of each to say.").format(key=key)
    best = [level for level in levels if objective.gain(levels[0].score, level.score) <= objective.same]
    names = ", ".join(shown(level.low) for level in best)
    if len(best) == len(levels):
        return _("{key}: {names} all the same.").format(key=key, names=names)
    worst = objective.gain(levels[0].score, levels[-1].score)
    sentence = _("{key}: {names} does best; {other} is worse by {worst}.")
    if len(best) > 1:
        sentence = _("{key}: {names} do best, and alike; {other} is worse by {worst}.")
    return sentence.format(key=key, names=names, other=shown(levels[-1].low), worst=objective.shown_gain(worst))


def _borders(searched: Searched) -> tuple[Border, ...]:
    """Return where the best trial's number is at an end of its range."""
    best = searched.best
    found = []
    for key, value in (best.point if best is not None else {}).items():
        parameter = searched.space.parameter(key)
        numbers = parameter.choices if parameter.choices is not None else parameter.bounds
        if not _is_number(parameter) or isinstance(value, str) or len(numbers) < 2:
            continue
        scaled = [parameter.scaled(float(number)) if parameter.choices is None else float(number) for number in numbers]
        place = parameter.scaled(float(value)) if parameter.choices is None else float(value)
        share = (place - min(scaled)) / (max(scaled) - min(scaled))
        if share >= 1 - _AT_BORDER:
            sentence = _(
                "{key}: the best value, {value}, is at the upper end of its range; better ones may lie beyond."
            )
            found.append(Border(key, value, "upper", sentence.format(key=key, value=shown(value))))
        elif share <= _AT_BORDER and min(numbers) > (
            1 if parameter.kind == "int" else 0
        ):  # else there is nothing below
            sentence = _(
                "{key}: the best value, {value}, is at the lower end of its range; better ones may lie beyond."
            )
            found.append(Border(key, value, "lower", sentence.format(key=key, value=shown(value))))
    return tuple(found)


def shown(value: Value) -> str:
    """Return a value as a sentence has it."""
    if isinstance(value, float):
        return f"{value:.2g}"
    return str(value)
