"""What proposes the next point: Optuna's samplers by name, each new for every trial and seeded by its number.

So a trial's point is a function of the search's seed, the trial's number and what the trials before it found: a search
that goes on after it was killed proposes what it would have proposed, and nothing twice.
"""

from __future__ import annotations

import itertools
import math
import random
import warnings
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from neurona.errors import MissingExtraError, UsageError
from neurona.i18n import _
from neurona.space import DEPTH, WIDTH, Parameter, Space, Value
from neurona.specs import Experiment, did_you_mean

__all__ = ["SAMPLERS", "check_sampler", "distribution", "grid", "inside", "outside", "shown_name", "trial_sampler"]

SAMPLERS = ("tpe", "random", "qmc", "grid", "gp", "cmaes", "nsga2")
_STARTUP = 10  # trials at random before TPE and GP have anything to go by
_MOST_POINTS = 100_000  # of a grid


def check_sampler(name: str, *, objectives: int) -> None:
    """Raise UsageError or MissingExtraError when the sampler called `name` cannot search here."""
    if name not in SAMPLERS:
        raise UsageError(_("there is no sampler {name!r}.").format(name=name) + did_you_mean(name, SAMPLERS))
    if name == "cmaes" and find_spec("cmaes") is None:
        raise MissingExtraError(_("CMA-ES is not installed; it comes with the extra: pip install 'neurona[search]'."))
    if name == "gp" and find_spec("torch") is None:
        raise MissingExtraError(_("the Gaussian process needs PyTorch: pip install torch."))
    if name == "cmaes" and objectives > 1:
        raise UsageError(_("CMA-ES has one objective only; tpe and nsga2 have several."))


def trial_sampler(name: str, seed: int, number: int, key: str = "") -> optuna.samplers.BaseSampler:
    """Return the sampler called `name` for the setting `key` of a trial; `key` is empty for what is drawn together."""
    seeded = zlib.crc32(f"{seed} {number} {key}".encode())
    samplers = optuna.samplers
    makers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(seed=seeded, n_startup_trials=_STARTUP),
        "random": lambda: samplers.RandomSampler(seed=seeded),
        "grid": lambda: samplers.RandomSampler(seed=seeded),
        "qmc": lambda: _Sequence(seed, number, samplers.RandomSampler(seed=seeded)),
        "gp": lambda: samplers.GPSampler(seed=seeded, n_startup_trials=_STARTUP),
        "cmaes": lambda: samplers.CmaEsSampler(
            seed=seeded,
            warn_independent_sampling=False,
            independent_sampler=samplers.RandomSampler(seed=seeded),
        ),
        "nsga2": lambda: samplers.NSGAIISampler(seed=seeded),
    }
    return makers[name]()


class _Sequence(optuna.samplers.QMCSampler):
    """Sobol's sequence, of which a trial takes the point with its own number.

    Optuna's counts the points taken in the study; a trial that was killed between counting and drawing would lose one.
    """

    def __init__(self, seed: int, number: int, independent: optuna.samplers.BaseSampler) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # its interface may change
            super().__init__(seed=seed, scramble=True, independent_sampler=independent, warn_independent_sampling=False)
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return what Optuna draws for a parameter; of a power, the exponent."""
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.texts)
    low, high = parameter.bounds
    if parameter.base is not None:
        return IntDistribution(*parameter.exponents)
    if parameter.kind == "int":
        step = 1 if parameter.step is None else int(parameter.step)
        return IntDistribution(int(low), int(high), log=parameter.log, step=step)
    return FloatDistribution(low, _last(parameter), log=parameter.log, step=parameter.step)


def shown_name(key: str, parameter: Parameter) -> str:
    """Return what a setting is called in Optuna's study."""
    return key if parameter.base is None else f"log{parameter.base}({key})"


def outside(parameter: Parameter, drawn: Any) -> Value:
    """Return the value that Optuna's `drawn` stands for."""
    value: Value = drawn if parameter.base is None else parameter.base ** int(drawn)
    return round(value, 12) if isinstance(value, float) and parameter.step is not None else value  # 0.3, not 0.1 + 0.2


def inside(parameter: Parameter, value: Value) -> Any:
    """Return what Optuna draws for `value`."""
    if parameter.base is None or isinstance(value, str):
        return value
    return round(math.log(float(value), parameter.base))


def grid(space: Space, base: Experiment, seed: int) -> list[dict[str, Value]]:
    """Return every point of the space, in an order that `seed` shuffles.

    Raises UsageError when a range has no steps, or there are too many points.
    """
    stepless = [key for key, parameter in space.parameters.items() if _grid_of(parameter) is None]
    if stepless:
        sentence = _("a grid needs `choices`, `step` or `base` for every setting, but {keys} has none.")
        raise UsageError(sentence.format(keys=", ".join(stepless)))
    points = list(itertools.islice(_points(space, base), _MOST_POINTS + 1))
    if len(points) > _MOST_POINTS:
        raise UsageError(_("a grid may have {most:,} points at most; this space has more.").format(most=_MOST_POINTS))
    random.Random(seed).shuffle(points)  # noqa: S311 - it must be the same again
    return points


def _points(space: Space, base: Experiment) -> Iterator[dict[str, Value]]:
    def grown(values: dict[str, Value], left: list[str]) -> Iterator[dict[str, Value]]:
        if not left:
            yield values
            return
        key, *rest = left
        parameter = space.parameters[key]
        if not all(values.get(other) in allowed for other, allowed in parameter.when.items()):
            yield from grown(values, rest)
            return
        keys = [key]
        if key == WIDTH:
            layers = int(values.get(DEPTH, len(base.network.hidden)))
            keys = [f"{WIDTH}_{layer}" for layer in range(1, layers + 1)]
        for point in itertools.product(_grid_of(parameter) or (), repeat=len(keys)):
            yield from grown(values | dict(zip(keys, point, strict=True)), rest)

    yield from grown({}, list(space.parameters))


def _grid_of(parameter: Parameter) -> tuple[Value, ...] | None:
    """Return the values of a parameter, None when they are without number."""
    if parameter.choices is not None:
        return parameter.texts
    if parameter.base is not None:
        low, high = parameter.exponents
        return tuple(parameter.base**exponent for exponent in range(low, high + 1))
    first, last = parameter.bounds
    if parameter.kind == "int" and not parameter.log:
        return tuple(range(int(first), int(last) + 1, int(parameter.step or 1)))
    if parameter.step is None:
        return None
    steps = round((_last(parameter) - first) / parameter.step)
    return tuple(round(first + parameter.step * index, 12) for index in range(steps + 1))


def _last(parameter: Parameter) -> float:
    """Return the highest value that the steps of a float reach."""
    low, high = parameter.bounds
    if parameter.step is None:
        return high
    return low + parameter.step * math.floor((high - low) / parameter.step + 1e-9)
