"""The space of a search: which settings of a network and its training vary, over what, and when.

A space turns drawn values into changes of an experiment; who draws them is `neurona.search`.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs import EarlyStopping, Experiment, Network, Optimizer, Schedule, Spec, Training, did_you_mean
from neurona.specs import unknown_key as _unknown_key
from neurona.specs.quantities import Flag

__all__ = ["DEPTH", "LEAF", "NONE", "WIDTH", "Parameter", "SearchSpec", "Space", "Value", "Values", "merged", "variant"]

NONE = "none"  # what stands for nothing among choices: TOML has no null
DEPTH, WIDTH = "network.depth", "network.width"  # how many hidden layers, and the units of each: `network.hidden`
LEAF = frozenset({"type", "low", "high", "log", "step", "base", "choices", "when"})
_TRIED = 100  # points drawn at random when a space is checked; it takes 0.1 s

Value = bool | int | float | str
Number = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)]
Values = Mapping[str, Value]  # key -> value, of the settings that are asked for
Draw = Callable[[str, "Parameter"], Value]


class Parameter(Spec):
    """One setting that varies: a number from `low` to `high`, or one of `choices`.

    type: `int`, `float` or `categorical`; told from the rest unless given.
    log: draw the logarithm evenly; `low` must then be above 0.
    step: distance of the values, from `low` on; not with `log`.
    base: only powers of this whole number, drawn evenly by their exponent; `low` and `high` are two of them.
    choices: texts, numbers, truth values or lists; `none` stands for nothing.
    when: key -> values; the setting is asked for only when each of these keys has one of its values.
    """

    type: Literal["int", "float", "categorical"] | None = None
    low: Number | None = None
    high: Number | None = None
    log: Flag = False
    step: Annotated[float, Field(strict=True, gt=0.0)] | None = None
    base: Annotated[int, Field(ge=2, strict=True)] | None = None
    choices: tuple[Any, ...] | None = None
    when: dict[str, tuple[Value, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if values.get("type") not in (None, "int", "float", "categorical"):
            kinds = ("int", "float", "categorical")
            sentence = _("there is no type {name!r}.").format(name=values["type"])
            raise SpecError([Problem(("type",), sentence + did_you_mean(str(values["type"]), kinds))])
        when = values.get("when", {})
        if not isinstance(when, dict):
            raise SpecError([Problem(("when",), _("must be a table of keys and the values they must have."))])
        flat = {key: value if isinstance(value, list | tuple) else [value] for key, value in _flat(when, set())}
        return values | {"when": flat}

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)
        return self

    def _problems(self) -> Iterator[Problem]:
        if self.choices is not None:
            for key in ("low", "high", "step", "base"):
                if getattr(self, key) is not None:
                    yield Problem((key,), _("choices are given: they have no {key}.").format(key=key))
            if not self.choices:
                yield Problem(("choices",), _("must have at least one."))
            if len({_text(choice) for choice in self.choices}) < len(self.choices):
                yield Problem(("choices",), _("each may be there only once."))
            return
        low, high = self.low, self.high
        if low is None or high is None:
            sentence = _("a setting needs `low` and `high`, or `choices`.")
            yield Problem((), sentence)
            return
        if self.kind == "int" and not (float(low).is_integer() and float(high).is_integer()):
            yield Problem(
                (),
                _("an int goes from a whole number to another, not from {low} to {high}.").format(low=low, high=high),
            )
        if low > high:
            sentence = _("low <= high must hold, but low is {low} and high is {high}: nothing is between them.")
            yield Problem((), sentence.format(low=low, high=high))
        if self.log and low <= 0:
            yield Problem(("low",), _("must be above 0 with log = true. It is {low}.").format(low=low))
        if self.step is not None and (self.log or self.base):
            yield Problem(("step",), _("goes with neither `log` nor `base`."))
        if self.base is not None and not all(_exponent(value, self.base) is not None for value in (low, high)):
            sentence = _("low and high must be powers of {base}, but are {low} and {high}.")
            yield Problem(("base",), sentence.format(base=self.base, low=low, high=high))

    @property
    def kind(self) -> str:
        """`int`, `float` or `categorical`."""
        if self.choices is not None:
            return "categorical"
        return self.type or ("int" if isinstance(self.low, int) and isinstance(self.high, int) else "float")

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a number."""
        return float(self.low or 0.0), float(self.high or 0.0)

    @property
    def exponents(self) -> tuple[int, int]:
        """Lowest and highest exponent of a power of `base`."""
        low, high = (_exponent(value, self.base or 2) for value in self.bounds)
        return low or 0, high or 0

    def scaled(self, value: float) -> float:
        """Return a number as it is drawn: its logarithm where that is."""
        return math.log(value) if self.log or self.base is not None else value

    @property
    def texts(self) -> tuple[Value, ...]:
        """The choices as they are drawn; a list is its JSON."""
        return tuple(_text(choice) for choice in self.choices or ())

    def extremes(self) -> tuple[Value, ...]:
        """Return every choice, or the lowest and the highest number."""
        if self.choices is not None:
            return self.texts
        return tuple(int(value) if self.kind == "int" else value for value in dict.fromkeys(self.bounds))

    def holds(self, value: Any) -> bool:
        """Whether `value` may be drawn."""
        if self.choices is not None:
            return value in self.texts
        low, high = self.bounds
        return isinstance(value, int | float) and low <= value <= high

    def random(self, generator: random.Random) -> Value:
        """Return one of its values; how they are spread matters little where it is used."""
        if self.choices is not None:
            return generator.choice(self.texts)
        if self.base is not None:
            return int(self.base ** generator.randint(*self.exponents))
        low, high = self.bounds
        return generator.randint(int(low), int(high)) if self.kind == "int" else generator.uniform(low, high)


class Space(Spec):
    """What varies in a search: key -> `Parameter`, where a key is that of a lab file, as `training.batch_size`.

    `network.depth` is the number of hidden layers, and `network.width` the units of each of them, as many settings as
    there may be layers: `network.width_1`, `network.width_2`, …; together they are `network.hidden`.
    """

    parameters: dict[str, Parameter]

    @classmethod
    def read(cls, table: Mapping[str, Any], where: tuple[str, ...] = ("search", "space")) -> Self:
        """Return the space that a table of a lab file declares, its keys nested or dotted.

        Raises SpecError with the key for what cannot be.
        """
        problems: list[Problem] = []
        parameters: dict[str, Parameter] = {}
        for key, leaf in _flat(table, LEAF):
            try:
                if key not in _KNOWN:
                    raise SpecError([Problem((), _unknown_key(key, _KNOWN))])
                parameters[key] = Parameter(**leaf) if isinstance(leaf, dict) else Parameter(choices=leaf)
            except SpecError as error:
                problems += [Problem((*where, key, *problem.where), problem.sentence) for problem in error.problems]
        if not problems and not parameters:
            problems.append(Problem(where, _("must have at least one setting.")))
        if problems:
            raise SpecError(problems)
        for key, parameter in parameters.items():
            problems += [
                Problem((*where, key, "when", *problem.where), problem.sentence)
                for problem in _conditional_on_nothing(parameter, parameters)
            ]
        if problems:
            raise SpecError(problems)
        return cls(parameters={key: parameters[key] for key in _in_order(parameters, where)})

    def draw(self, base: Experiment, draw: Draw) -> dict[str, Value]:
        """Return key -> value of the settings that are asked for, each from `draw(key, parameter)`, in order."""
        values: dict[str, Value] = {}
        for key, parameter in self.parameters.items():
            if not all(values.get(other) in allowed for other, allowed in parameter.when.items()):
                continue
            if key == WIDTH:
                for layer in range(1, self._depth(base, values) + 1):
                    values[f"{WIDTH}_{layer}"] = draw(f"{WIDTH}_{layer}", parameter)
            else:
                values[key] = draw(key, parameter)
        return values

    def changes(self, base: Experiment, values: Values) -> dict[str, Any]:
        """Return drawn values as what `variant` changes."""
        changes: dict[str, Any] = {}
        for key, value in values.items():
            if key == DEPTH or key.startswith(WIDTH):
                continue
            _put(changes, key, self.parameters[key], value)
        if DEPTH in values or f"{WIDTH}_1" in values:
            own = base.network.hidden or (1,)
            layers = range(self._depth(base, values))
            widths = [values.get(f"{WIDTH}_{layer + 1}", own[min(layer, len(own) - 1)]) for layer in layers]
            changes.setdefault("network", {})["hidden"] = widths
        return changes

    def parameter(self, key: str) -> Parameter:
        """Return the parameter of a drawn key; every layer's width has the same."""
        return self.parameters[WIDTH if key.startswith(WIDTH) else key]

    def keys(self, base: Experiment) -> tuple[str, ...]:
        """Return every key that may be drawn, in order."""
        deepest = self.parameters[DEPTH].bounds[1] if DEPTH in self.parameters else len(base.network.hidden)
        widths = tuple(f"{WIDTH}_{layer}" for layer in range(1, int(deepest) + 1))
        return tuple(key for own in self.parameters for key in (widths if own == WIDTH else (own,)))

    def check(self, base: Experiment, where: tuple[str, ...] = ("search", "space")) -> None:
        """Raise SpecError, with the key, when some values give no experiment beside `base`.

        Tried is every choice, the ends of every range, and some points at random.
        """
        problems: dict[str, Problem] = {}
        for key, parameter in self.parameters.items():
            for value in parameter.extremes():
                for problem in self._problems(base, self._point_with(base, key, value)):
                    problems.setdefault(
                        key, Problem((*where, key), _("{value!r}: {problem}").format(value=value, problem=problem))
                    )
        generator = random.Random(0)  # noqa: S311 - it must be the same again
        for _attempt in range(0 if problems else _TRIED):
            values = self.draw(base, lambda key, parameter: parameter.random(generator))
            for problem in self._problems(base, values):
                problems.setdefault("", Problem(where, _("{values}: {problem}").format(values=values, problem=problem)))
        if problems:
            raise SpecError(problems.values())

    def _point_with(self, base: Experiment, key: str, value: Value) -> dict[str, Value]:
        """Return a point that has `value` at `key`, what that depends on as it must be, and else the first of each."""
        fixed = {key: value}
        for own in (key, *self._before(key)):
            fixed |= {other: allowed[0] for other, allowed in self.parameters[own].when.items()}

        def first(name: str, parameter: Parameter) -> Value:
            return fixed.get(WIDTH if name.startswith(WIDTH) else name, parameter.extremes()[0])

        return self.draw(base, first)

    def _before(self, key: str) -> Iterator[str]:
        for other in self.parameters[key].when:
            yield other
            yield from self._before(other)

    def _problems(self, base: Experiment, values: Values) -> tuple[Problem, ...]:
        try:
            variant(base, self.changes(base, values), name="trial")
        except SpecError as error:
            return error.problems
        return ()

    def _depth(self, base: Experiment, values: Values) -> int:
        return int(values.get(DEPTH, len(base.network.hidden)))


class SearchSpec(Spec):
    """The table `[search]` of a lab.

    space: what varies.
    epochs: of every trial, and of the finalists; the baseline's unless given.
    race: experiments or groups, as patterns, each of which is searched around for itself, with the same budget.
    """

    space: Space
    epochs: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    race: tuple[str, ...] = ()


def variant(base: Experiment, changes: Mapping[str, Any], *, name: str, group: str = "search") -> Experiment:
    """Return `base` with `changes` on top, as a lab's experiments are differences from the baseline."""
    declared = {"network": base.network.declared(), "training": base.training.declared()}
    return Experiment(name=name, group=group, engine=base.engine, **merged(declared, changes))


def merged(base: Any, change: Any) -> Any:
    """Return `base` with `change` on top, table by table. An optimizer or schedule of another name is not mixed in."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    result = dict(base)
    for key, value in change.items():
        if key in ("optimizer", "schedule") and _name(value) not in (None, _name(base.get(key))):
            result[key] = value
        else:
            result[key] = merged(base.get(key), value)
    return result


def _name(value: Any) -> str | None:
    return value.get("name") if isinstance(value, dict) else value


def _known() -> Iterator[str]:
    """Yield every key that may vary."""
    yield from (DEPTH, WIDTH)
    nested: dict[str, type[Spec]] = {"optimizer": Optimizer, "schedule": Schedule, "early_stopping": EarlyStopping}

    def of(model: type[Spec], path: str) -> Iterator[str]:
        for field in model.model_fields:
            yield f"{path}.{field}"
            if field in nested:
                yield from of(nested[field], f"{path}.{field}")

    yield from of(Network, "network")
    yield from of(Training, "training")


_KNOWN = tuple(_known())


def _flat(table: Mapping[str, Any], leaves: Iterable[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value; a table with one of the keys in `leaves` is a value."""
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and not set(leaves) & set(value) and value:
            yield from _flat(value, leaves, here)
        else:
            yield here, dict(value) if isinstance(value, Mapping) else value


def _conditional_on_nothing(parameter: Parameter, parameters: Mapping[str, Parameter]) -> Iterator[Problem]:
    for other, allowed in parameter.when.items():
        if other not in parameters:
            sentence = _("depends on {key}, which does not vary in this space.").format(key=other)
            yield Problem((), sentence + did_you_mean(other, parameters))
            continue
        for value in allowed:
            if not parameters[other].holds(value):
                sentence = _("depends on {key} being {value!r}, which it never is.")
                yield Problem((), sentence.format(key=other, value=value) + _choices(parameters[other], value))


def _choices(parameter: Parameter, value: Any) -> str:
    return did_you_mean(str(value), map(str, parameter.texts)) if parameter.choices is not None else ""


def _in_order(parameters: Mapping[str, Parameter], where: tuple[str, ...]) -> list[str]:
    """Return the keys, each after those it depends on."""
    found: list[str] = []
    waiting = list(parameters)
    while waiting:
        ready = [key for key in waiting if _needs(key, parameters) <= set(found)]
        if not ready:
            problems = [Problem((*where, key, "when"), _("depends, in a ring, on itself.")) for key in waiting]
            raise SpecError(problems)
        found += ready
        waiting = [key for key in waiting if key not in found]
    return found


def _needs(key: str, parameters: Mapping[str, Parameter]) -> set[str]:
    depth = {DEPTH} & set(parameters) if key == WIDTH else set()
    return set(parameters[key].when) | depth


def _put(changes: dict[str, Any], key: str, parameter: Parameter, value: Value) -> None:
    *tables, last = key.split(".")
    table = changes
    for name in tables:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):  # `optimizer = "sgd"` came before `optimizer.momentum`
            inner = table[name] = {"name": inner}
        table = inner
    whole = dict(zip(parameter.texts, parameter.choices or (), strict=True)).get(value, value)
    whole = None if whole == NONE else whole
    if isinstance(table.get(last), dict):
        table[last]["name"] = whole
    else:
        table[last] = whole


def _exponent(value: float, base: int) -> int | None:
    """Return k with base**k == value, None when there is none."""
    exponent, power = 0, 1
    while power < value:
        exponent, power = exponent + 1, power * base
    return exponent if power == value else None


def _text(choice: Any) -> Value:
    return json.dumps(choice) if isinstance(choice, list | tuple | dict) else choice
