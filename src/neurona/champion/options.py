"""What is asked of a champion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neurona.errors import UsageError
from neurona.i18n import _

__all__ = ["RECIPES", "Options"]

RECIPES = ("augmented", "permutation-invariant", "search")
_MOST_MEMBERS = 100
_MOST_MINUTES = 10_080.0  # a week
_MOST_UNITS = 65_536


@dataclass(frozen=True)
class Options:
    """What is asked of a champion.

    minutes: of training in all; what epochs and widths are chosen by. Not with `epochs`.
    epochs: of each member's first run; then nothing depends on the speed of the machine.
    hidden: units of each hidden layer; chosen unless given.
    members: networks that answer together.
    recipe: a name of `RECIPES`; None for the better of the built-in one and a search's best finalist, on validation.
    with_validation: whether the members go on, at the end, on training and validation images.
    views: whether the model looks at each image in several ways (test-time augmentation).
    distill: units of each hidden layer of one small network that learns the members' answers; none unless given.
    seed: of the first member; the others have the next ones.

    Raises UsageError for what cannot be.
    """

    minutes: float | None = 10.0
    epochs: int | None = None
    hidden: tuple[int, ...] | None = None
    members: int = 1
    recipe: str | None = None
    with_validation: bool = True
    views: bool = False
    distill: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise UsageError(_("a champion needs minutes or epochs, one of the two."))
        if self.minutes is not None and not 0 < self.minutes <= _MOST_MINUTES:
            sentence = _("minutes must be above 0 and at most {most:g}, but are {value:g}.")
            raise UsageError(sentence.format(most=_MOST_MINUTES, value=self.minutes))
        if self.epochs is not None and not 1 <= self.epochs <= 100_000:
            raise UsageError(_("epochs must be 1 to 100,000, but are {value}.").format(value=self.epochs))
        if not 1 <= self.members <= _MOST_MEMBERS:
            sentence = _("members must be 1 to {most}, but are {value}.")
            raise UsageError(sentence.format(most=_MOST_MEMBERS, value=self.members))
        if self.recipe is not None and self.recipe not in RECIPES:
            sentence = _("there is no recipe {name!r}; there are {names}.")
            raise UsageError(sentence.format(name=self.recipe, names=", ".join(RECIPES)))
        for layers in (self.hidden, self.distill):
            if layers is not None and not all(1 <= units <= _MOST_UNITS for units in layers):
                sentence = _("a layer must have 1 to {most:,} units, but {layers} were asked for.")
                raise UsageError(sentence.format(most=_MOST_UNITS, layers=layers))
        if self.seed < 0:
            raise UsageError(_("a seed must be 0 or more, but is {seed}.").format(seed=self.seed))

    def to_json(self) -> dict[str, Any]:
        """Return the options as a JSON object."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Return the names of the options that are not as in `other`, the JSON object of options."""
        return [key for key, value in self.to_json().items() if other.get(key) != value]


def check_name(name: str) -> None:
    """Raise UsageError unless a champion can be called `name`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}", name):
        sentence = _("a champion's name may hold letters, digits and . _ + @ - (64 at most), but is {name!r}.")
        raise UsageError(sentence.format(name=name))
