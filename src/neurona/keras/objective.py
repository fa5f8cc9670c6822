"""The loss: Keras' own, and with label smoothing or a confidence penalty one written in Keras' own parts."""

from __future__ import annotations

from typing import Any

import keras

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.specs import Training

__all__ = ["Crossentropy", "make", "read"]

_PLAIN = ("sparsecategoricalcrossentropy", "categoricalcrossentropy")


class Crossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of whole-number labels with label smoothing and a confidence penalty.

    The target is (1 - ε)·one_hot + ε / classes (Szegedy et al. 2016, section 7); β times the entropy of the answer is
    taken off (Pereyra et al. 2017, eq. 2).
    """

    def __init__(self, label_smoothing: float = 0.0, confidence_penalty: float = 0.0, **keywords: Any) -> None:
        super().__init__(**{"name": "crossentropy"} | keywords)
        self.label_smoothing, self.confidence_penalty = label_smoothing, confidence_penalty

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image `(n,)`; y_true: classes `(n,)`; y_pred: probabilities `(n, classes)`."""
        classes = y_pred.shape[-1]
        target = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32"), classes)
        found = keras.losses.categorical_crossentropy(target, y_pred, label_smoothing=self.label_smoothing)
        logarithms = keras.ops.log(keras.ops.maximum(y_pred, keras.config.epsilon()))  # 0·log 0 is 0
        return found + self.confidence_penalty * keras.ops.sum(y_pred * logarithms, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"label_smoothing": self.label_smoothing, "confidence_penalty": self.confidence_penalty}
        return {**super().get_config(), **own}


keras.saving.register_keras_serializable("neurona")(Crossentropy)


def make(training: Training) -> Any:
    """Return the loss of `training`."""
    if training.label_smoothing or training.confidence_penalty:
        return Crossentropy(training.label_smoothing, training.confidence_penalty)
    return "sparse_categorical_crossentropy"


def read(loss: Any) -> dict[str, float]:
    """Return what `Training` is told of a compiled model's loss; UsageError for one that is no cross-entropy."""
    if isinstance(loss, Crossentropy):
        return {"label_smoothing": loss.label_smoothing, "confidence_penalty": loss.confidence_penalty}
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    if name.replace("_", "").lower() not in _PLAIN:
        raise UsageError(_("the loss must be categorical cross-entropy, but is {loss}.").format(loss=name))
    if getattr(loss, "from_logits", False):
        raise UsageError(_("the loss must take probabilities: from_logits must be False."))
    return {"label_smoothing": float(getattr(loss, "label_smoothing", 0.0))}
