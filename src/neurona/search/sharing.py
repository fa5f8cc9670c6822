"""Few programs for many trials: a trial may take the shape of an earlier one, so that nothing is compiled for it.

Compiling a network's epoch takes as long as several epochs. Every fourth trial may have a shape that is new, and the
others, whose point is near to what the sampler proposed, take the nearest shape that is there; what is no part of the
shape, as the learning rate, stays as it was proposed. How much time
goes into compiling is in docs/search.md; what the sharing does to the choice of points is not measured.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from neurona.engine import Sizes, shape
from neurona.errors import SpecError
from neurona.space import Parameter, Space, Value, Values, variant
from neurona.specs import NEURONA, Experiment

__all__ = ["TRIALS_A_SHAPE", "Shapes"]

TRIALS_A_SHAPE = 4


class Shapes:
    """The shapes of a search's trials.

    sizes: of the data; what a shape depends on beside the experiment.
    """

    def __init__(self, space: Space, base: Experiment, sizes: Sizes) -> None:
        self._space, self._base, self._sizes = space, base, sizes
        self._known: dict[int, tuple[Values, Hashable]] = {}

    def shared(self, values: Mapping[str, Value], before: Mapping[int, Values]) -> dict[str, Value]:
        """Return the point that a trial takes where `values` were proposed.

        before: number -> point of the trials before it.
        """
        if self._base.engine != NEURONA:  # nothing is shared there
            return dict(values)
        for number, point in before.items():
            if number not in self._known:
                self._known[number] = point, self._shape(point)
        known = {self._known[number][1]: self._known[number][0] for number in sorted(before, reverse=True)}
        own = self._shape(values)
        if own is None or own in known or len(known) * TRIALS_A_SHAPE <= len(before):
            return dict(values)
        nearest = min(known, key=lambda each: (self._distance(values, known[each]), str(each)))
        return self._with_shape(values, known[nearest], nearest)

    def _with_shape(self, values: Values, other: Values, wanted: Hashable) -> dict[str, Value]:
        """Return `other` with as much of `values` as leaves it its shape."""
        found = dict(other)
        for key, value in values.items():
            if key in found and found[key] != value and self._shape(found | {key: value}) == wanted:
                found[key] = value
        return found

    def _shape(self, values: Values) -> Hashable | None:
        """Return what decides the program; None for a point that is no experiment."""
        try:
            experiment = variant(self._base, self._space.changes(self._base, values), name="trial")
        except SpecError:
            return None
        return shape(experiment.network, experiment.training, self._sizes)

    def _distance(self, values: Values, other: Values) -> float:
        """Return how far two points are from each other: 1 for a setting that is otherwise, or part of its range."""
        keys = dict.fromkeys((*values, *other))
        return sum(_distance(self._space.parameter(key), values.get(key), other.get(key)) for key in keys)


def _distance(parameter: Parameter, value: Value | None, other: Value | None) -> float:
    if value == other:
        return 0.0
    if value is None or other is None:
        return 1.0
    values: Sequence[Value] = parameter.texts
    if parameter.choices is not None:
        if not all(isinstance(choice, int | float) for choice in values):
            return 1.0
        ranked = sorted(values)
        return abs(ranked.index(value) - ranked.index(other)) / (len(ranked) - 1)
    low, high, first, second = (
        parameter.scaled(float(each)) for each in (*parameter.bounds, float(value), float(other))
    )
    return abs(first - second) / (high - low)
