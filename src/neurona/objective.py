"""What training minimises: softmax cross-entropy and its variants, and the penalties on the kernels."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.run import Parameters
from neurona.specs import Training

__all__ = ["class_weights", "losses", "numbers", "penalty", "soft_losses", "structure"]


def class_weights(training: Training, labels: npt.NDArray[np.int32], classes: int) -> npt.NDArray[np.float64]:
    """Return the weight of each class in the training loss, `(classes,)`; ones unless `class_weight` is given.

    `balanced` is scikit-learn's: images / (classes · images of the class). Raises SpecError for a wrong number of them.
    """
    declared = training.class_weight
    if declared is None:
        return np.ones(classes)
    if isinstance(declared, str):
        return len(labels) / (classes * np.maximum(np.bincount(labels, minlength=classes), 1))
    if len(declared) != classes:
        sentence = _("must be one for each of the {classes} classes, but there are {count}.")
        where = ("training", "class_weight")
        raise SpecError([Problem(where, sentence.format(classes=classes, count=len(declared)))])
    return np.array(declared)


def numbers(training: Training, class_weights: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the numbers that may change without compiling anew."""
    return {
        "l1": training.l1,
        "l2": training.l2,
        "label_smoothing": training.label_smoothing,
        "confidence_penalty": training.confidence_penalty,
        "class_weights": np.asarray(class_weights, np.float32),
    }


def structure(training: Training) -> tuple[bool, ...]:
    """Return what decides the program: which of the terms there are."""
    rates = (training.l1, training.l2, training.label_smoothing, training.confidence_penalty)
    return (*(rate > 0 for rate in rates), training.class_weight is not None)


def losses(
    training: Training, numbers: dict[str, Any], scores: jax.Array, labels: jax.Array, *, weighted: bool
) -> jax.Array:
    """Return the loss of each image `(n,)`, from scores before softmax `(classes, n)` and labels `(n,)`.

    Cross-entropy with softmax; with smoothing ε the target is (1 - ε)·one_hot + ε / classes (Szegedy et al. 2016,
    section 7); with a confidence penalty β the loss is less by β times the entropy of the answer (Pereyra et al. 2017,
    eq. 2). `weighted` multiplies by the class's weight, and as in Keras the mean is still over the images.
    """
    log_probabilities = jax.nn.log_softmax(scores, axis=0)
    target = jax.nn.one_hot(labels, scores.shape[0], axis=0)
    if training.label_smoothing > 0:
        smoothing = numbers["label_smoothing"]
        target = target * (1 - smoothing) + smoothing / scores.shape[0]
    found = -jnp.sum(log_probabilities * target, axis=0)
    if training.confidence_penalty > 0:
        negative_entropy = jnp.sum(jnp.exp(log_probabilities) * log_probabilities, axis=0)
        found = found + numbers["confidence_penalty"] * negative_entropy
    if weighted and training.class_weight is not None:
        found = found * numbers["class_weights"][labels]
    return found


def soft_losses(scores: jax.Array, answers: jax.Array) -> jax.Array:
    """Return the cross-entropy `(n,)` of scores before softmax and a teacher's probabilities, both `(classes, n)`.

    A student that sees what its teacher sees learns its answers and nothing else: function matching, Beyer et al.
    (2022), section 3, with a temperature of 1 (Hinton et al. 2015 have others).
    """
    return -jnp.sum(answers * jax.nn.log_softmax(scores, axis=0), axis=0)


def penalty(training: Training, numbers: dict[str, Any], parameters: Parameters) -> jax.Array:
    """Return l1·Σ|w| + l2·Σw² over the kernels, a scalar: Keras' `L1L2` on every `Dense`."""
    total = jnp.zeros(())
    for layer in parameters:
        if training.l1 > 0:
            total = total + numbers["l1"] * jnp.sum(jnp.abs(layer["kernel"]))
        if training.l2 > 0:
            total = total + numbers["l2"] * jnp.sum(jnp.square(layer["kernel"]))
    return total
