"""How the learning rate changes."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs.quantities import Flag, Fraction, Penalty
from neurona.specs.spec import Spec, with_defaults

__all__ = ["SCHEDULES", "Schedule"]

# Schedule -> its settings and their defaults. Keras' names and defaults where Keras has them; lengths are fractions.
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {},
    "cosine": {"decay": None, "alpha": 0.0},
    "exponential": {"decay": 0.1, "decay_rate": 0.5, "staircase": False},
    "step": {"boundaries": (0.5, 0.75), "factors": (0.1, 0.01)},
    "polynomial": {"decay": None, "end_learning_rate": 0.0001, "power": 1.0},
    "one_cycle": {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 10_000.0},
}
_WARMUP: dict[str, Any] = {"warmup": 0.0, "warmup_from": 0.0}


class Schedule(Spec):
    """How the learning rate changes from step to step: a schedule of `SCHEDULES` and its settings.

    Lengths are fractions of the whole training, rounded to whole steps.

    warmup: in [0, 1); the rate first rises, step by step, linearly to where the schedule begins; then that runs.
    warmup_from: in [0, 1]; where the rise begins, as a part of where it ends.
    decay: length of cosine's and polynomial's decay (unless given, all that warm-up leaves), or of a period of
        exponential's.
    alpha: cosine's last rate, as a part of the learning rate.
    decay_rate, staircase: what the rate is multiplied by in each period; whether in one step at its end.
    boundaries, factors: where the rate steps, rising, later than warm-up; what part of the learning rate it steps to.
    end_learning_rate, power: polynomial's last rate, and its exponent.
    pct_start, div_factor, final_div_factor: one-cycle's rise, which ends at the learning rate and begins at that over
        div_factor; it falls to that over div_factor·final_div_factor.
    """

    name: str = "constant"
    warmup: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = 0.0
    warmup_from: Annotated[float, Field(strict=True, ge=0.0, le=1.0)] = 0.0
    decay: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    alpha: Annotated[float, Field(strict=True, ge=0.0, le=1.0)] | None = None
    decay_rate: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    staircase: Flag | None = None
    boundaries: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=64)] | None = None
    factors: Annotated[tuple[Penalty, ...], Field(min_length=1, max_length=64)] | None = None
    end_learning_rate: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)] | None = None
    power: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    pct_start: Fraction | None = None
    div_factor: Annotated[float, Field(strict=True, ge=1.0, le=1e9)] | None = None
    final_div_factor: Annotated[float, Field(strict=True, ge=1.0, le=1e9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        return with_defaults(
            values,
            table=SCHEDULES,
            common=_WARMUP,
            default="constant",
            unknown=_("there is no schedule {name!r}."),
            foreign=_("the schedule {name} has no such setting."),
        )

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.boundaries and self.factors:
            if len(self.factors) != len(self.boundaries):
                sentence = _("must be one for each of the {boundaries} boundaries, but there are {count}.")
                sentence = sentence.format(boundaries=len(self.boundaries), count=len(self.factors))
                raise SpecError([Problem(("factors",), sentence)])
            if not all(one < other for one, other in pairwise((self.warmup, *self.boundaries))):
                sentence = _("must rise, and begin after the warm-up, {warmup}. It is {value!r}.")
                sentence = sentence.format(warmup=self.warmup, value=self.boundaries)
                raise SpecError([Problem(("boundaries",), sentence)])
        if self.pct_start and self.warmup + self.pct_start >= 1:
            sentence = _("must be less than 1 together with the warm-up, {warmup}. It is {value!r}.")
            raise SpecError([Problem(("pct_start",), sentence.format(warmup=self.warmup, value=self.pct_start))])
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """This schedule's settings, name -> value, none missing; a `decay` that is not given is None."""
        return {key: getattr(self, key) for key in (*SCHEDULES[self.name], *_WARMUP)}

    def declared(self) -> dict[str, Any]:
        """Return the name and the settings that differ from the defaults."""
        own = SCHEDULES[self.name] | _WARMUP
        return {"name": self.name} | {key: value for key, value in self.settings.items() if value != own[key]}
