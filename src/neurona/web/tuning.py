"""A model trained further on the reader's drawings, and what that has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurona.data import Dataset, Split
from neurona.engine import train
from neurona.model import Model
from neurona.specs import Augmentation, Optimizer, Training
from neurona.store import Drawing

__all__ = ["EPOCHS", "Score", "Tuned", "tuned"]

EPOCHS = 4
_REPLAYED = 4_000  # training images that a step also sees, so that nothing else is forgotten
_DRAWN = 1_000  # drawings among them, each as often as it takes
_RECIPE = Training(
    optimizer=Optimizer(name="adam", learning_rate=0.0005),
    batch_size=100,
    epochs=EPOCHS,
    augmentation=Augmentation(rotation=6.0, scale=0.06, translation=1.0),
)


@dataclass(frozen=True)
class Score:
    """Right answers before and after, of so many."""

    before: int
    after: int
    of: int


@dataclass(frozen=True)
class Tuned:
    """A model trained further, and its scores on the drawings and on the validation images."""

    model: Model
    drawings: Score
    validation: Score


def tuned(
    model: Model,
    drawings: Sequence[Drawing],
    data: Dataset,
    *,
    on_epoch: Callable[[int], None],
    stop: Callable[[], bool],
) -> Tuned:
    """Train every member of `model` on `drawings` among training images of `data`; same arguments, same model.

    on_epoch: called with the number of epochs done, of `EPOCHS` times the members.
    stop: asked after each epoch; when it says True, `engine.Interrupted` is raised.
    """
    images = np.stack([drawing.image for drawing in drawings])
    labels = np.array([drawing.label for drawing in drawings], np.int32)
    mixed = _mixed(images, labels, data)
    members = []
    for number, member in enumerate(model.members):
        run = train(
            model.network,
            _RECIPE,
            mixed,
            seed=number,
            initial=member,
            on_epoch=lambda epoch, _figures, done=number * EPOCHS: on_epoch(done + epoch),  # type: ignore[misc]
            stop=stop,
        )
        members.append(run.parameters)
    after = replace(model, members=tuple(members), training=_RECIPE, metrics={})
    validation = data.validation
    on_drawings, on_validation = (
        Score(int((model.predict(pictures) == truth).sum()), int((after.predict(pictures) == truth).sum()), len(truth))
        for pictures, truth in ((images, labels), (validation.images, validation.labels))
    )
    accuracy = on_validation.after / max(1, on_validation.of)
    return Tuned(replace(after, metrics={"val_accuracy": accuracy}), on_drawings, on_validation)


def _mixed(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32], data: Dataset) -> Dataset:
    """Return data of a fixed size, so that one program serves every album: drawings among training images."""
    random = np.random.default_rng(0)
    again = np.resize(random.permutation(len(images)), _DRAWN)
    replayed = random.choice(len(data.train), _REPLAYED, replace=len(data.train) < _REPLAYED)
    return replace(
        data,
        train=Split(
            np.concatenate([images[again], data.train.images[replayed]]),
            np.concatenate([labels[again], data.train.labels[replayed]]),
        ),
        validation=Split(data.validation.images[:500].copy(), data.validation.labels[:500].copy()),
    )
