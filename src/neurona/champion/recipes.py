"""The built-in recipes: what is known to make a dense network good, with images or without knowing that they are some.

`augmented` changes every training image anew at each step, so that a network hardly sees one twice; it is for images
whose class outlasts a small turn, shift and bend, as handwriting's does. `permutation-invariant` knows nothing of
images: any fixed order of the pixels would give the same.
"""

from __future__ import annotations

from neurona.specs import Augmentation, Network, Optimizer, Schedule, Training

__all__ = ["LADDER", "PATIENCE", "network", "settled", "training"]

# Hidden layers from small to large, and for how many epochs there must be time before the next larger one is the better
# choice. What was measured is in docs/optimal-model.md.
LADDER: tuple[tuple[int, ...], ...] = ((256, 256), (512, 512), (1024, 1024), (2048, 1024))
PATIENCE: dict[tuple[int, ...], int] = {(512, 512): 30, (1024, 1024): 120, (2048, 1024): 400}

_RATE = 0.001
_WARMUP = 0.02  # of the training
_SETTLED_RATE = 0.3  # of the learning rate, at which training goes on with the validation images


def network(recipe: str, hidden: tuple[int, ...]) -> Network:
    """Return the architecture of a built-in recipe with these hidden layers."""
    if recipe == "augmented":
        return Network(hidden=hidden)
    return Network(hidden=hidden, normalization="batch", input_noise=0.3, dropout=0.3)


def training(recipe: str, image_shape: tuple[int, int], epochs: int) -> Training:
    """Return a built-in recipe for images of `image_shape` pixels.

    Lengths in pixels are for 28 by 28 and grow with the image's longer side. Elastic displacement is that of Simard et
    al. (2003), a little weaker; noise and batch normalisation are those of the baseline in Rasmus et al. (2015).
    """
    schedule = Schedule(name="cosine", warmup=_WARMUP)
    optimizer = Optimizer(name="adamw", learning_rate=_RATE, weight_decay=0.01, schedule=schedule)
    size = max(image_shape) / 28
    augmentation = Augmentation(
        rotation=10.0,
        scale=0.12,
        shear=8.0,
        translation=1.5 * size,
        elastic_alpha=30.0 * size,
        elastic_sigma=max(4.0 * size, 1.0),
    )
    recipes = {
        "augmented": Training(label_smoothing=0.02, augmentation=augmentation),
        "permutation-invariant": Training(label_smoothing=0.05),
    }
    return recipes[recipe].replace(optimizer=optimizer, batch_size=250, epochs=epochs)


def settled(training: Training, epochs: int) -> Training:
    """Return the recipe by which a trained network goes on, at a lower and falling rate, for `epochs`."""
    optimizer = training.optimizer
    rate = _SETTLED_RATE * (optimizer.learning_rate or _RATE)
    schedule = Schedule(name="cosine", warmup=_WARMUP)
    return training.replace(
        epochs=epochs, early_stopping=None, optimizer=optimizer.replace(learning_rate=rate, schedule=schedule)
    )
