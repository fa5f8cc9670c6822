"""The kinds of values that more than one specification has, with their bounds.

All are strict: neither a text nor true is taken for a number, nor a number for true.
"""

from typing import Annotated

from pydantic import Field

__all__ = ["Bound", "Decay", "Flag", "Fraction", "Penalty", "Rate"]

Rate = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Decay = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Fraction = Annotated[float, Field(strict=True, gt=0.0, lt=1.0)]
Penalty = Annotated[float, Field(strict=True, ge=0.0, le=1000.0)]
Bound = Annotated[float, Field(strict=True, gt=0.0, le=1e6)]
Flag = Annotated[bool, Field(strict=True)]
