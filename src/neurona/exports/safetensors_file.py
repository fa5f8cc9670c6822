"""A model as safetensors, simple enough to be computed with NumPy alone: docs/export.md shows how.

`member_<m>.dense_<i>.kernel` `(inputs, units)` and `.bias`, and of normalised layers `.gamma`, `.beta`, `.moving_mean`
and `.moving_variance`; the answer is the mean of the members' softmax. It is one of Neurona's own model files too.
"""

from __future__ import annotations

from dataclasses import replace

from neurona.model import Model, View

__all__ = ["written"]


def written(model: Model) -> bytes:
    """Return the file's content: views have become members, and the temperature is in the last layers."""
    return replace(model, members=model.plain_members(), views=(View(),), temperature=1.0).to_bytes()
