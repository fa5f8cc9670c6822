"""A model as a `.keras` file, which `keras.saving.load_model` opens where Neurona is not installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from neurona.model import Model

__all__ = ["written"]


def written(model: Model) -> bytes:
    """Return the content of a `.keras` file. Raises MissingExtraError without Keras (extra [keras])."""
    from neurona.keras.model import to_keras

    import keras  # isort: skip - `neurona.keras` says which backend it takes

    # What only training needs is not in the file.
    network = model.network.replace(dropout=0.0, alpha_dropout=0.0, input_dropout=0.0, input_noise=0.0)
    members = [to_keras(network, member, image_shape=model.image_shape, plain=True) for member in model.plain_members()]
    for index, member in enumerate(members):
        member.name = f"member_{index}"
    images = keras.layers.Input(model.image_shape, name="images", dtype="uint8")
    answers = [member(images) for member in members]
    probabilities = answers[0] if len(answers) == 1 else keras.layers.Average(name="probabilities")(answers)
    whole = keras.Model(images, probabilities, name="neurona")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        whole.save(file)
        return file.read_bytes()
