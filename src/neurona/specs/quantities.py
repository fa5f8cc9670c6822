"""The kinds of numbers that more than one specification has, with their bounds."""

from typing import Annotated

from pydantic import Field

__all__ = ["Bound", "Decay", "Fraction", "Penalty", "Rate"]

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Penalty = Annotated[float, Field(ge=0.0, le=1000.0)]
Bound = Annotated[float, Field(gt=0.0, le=1e6)]
