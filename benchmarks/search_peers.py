"""A tuner that is not Neurona's on MNIST: `search_peers.py keras-tuner|optuna-keras MINUTES`; see `search.py`.

The same space, as many epochs, Keras on the backend that KERAS_BACKEND names. The last line it prints is JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

EPOCHS = 5
MNIST = Path(__file__).parents[1] / "src" / "neurona" / "data" / "mnist.npz"


def main() -> None:
    peer, minutes = sys.argv[1], float(sys.argv[2])
    arrays = np.load(MNIST)
    images, labels = arrays["x_train"], arrays["y_train"]
    data = (images[:50_000], labels[:50_000], images[50_000:], labels[50_000:])
    began = time.perf_counter()
    trials = {"keras-tuner": keras_tuner, "optuna-keras": optuna_keras}[peer](data, began + 60 * minutes)
    print(json.dumps({"trials": trials, "seconds": time.perf_counter() - began}))


def model(depth: int, width: int, activation: str, dropout: float, learning_rate: float) -> Any:
    layers = [keras.layers.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    for _layer in range(depth):
        layers += [keras.layers.Dense(width, activation=activation), keras.layers.Dropout(dropout)]
    found = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    optimizer = keras.optimizers.Adam(learning_rate)
    found.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return found


def fitted(network: Any, data: Any, batch_size: int) -> float:
    images, labels, *validation = data
    history = network.fit(
        images, labels, batch_size=batch_size, epochs=EPOCHS, validation_data=tuple(validation), verbose=0
    )
    return float(history.history["val_accuracy"][-1])


def optuna_keras(data: Any, end: float) -> int:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        network = model(
            trial.suggest_int("depth", 1, 3),
            trial.suggest_categorical("width", [32, 64, 128, 256]),
            trial.suggest_categorical("activation", ["relu", "tanh"]),
            trial.suggest_float("dropout", 0.0, 0.4, step=0.1),
            trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        )
        return fitted(network, data, trial.suggest_categorical("batch_size", [100, 200, 500]))

    study = optuna.create_study(direction="maximize")
    while time.perf_counter() < end:
        study.optimize(objective, n_trials=1)
        keras.backend.clear_session()
    return len(study.trials)


def keras_tuner(data: Any, end: float) -> int:
    import keras_tuner

    class Timed(keras_tuner.HyperModel):
        trials = 0

        def build(self, hp: Any) -> Any:
            return model(
                hp.Int("depth", 1, 3),
                hp.Choice("width", [32, 64, 128, 256]),
                hp.Choice("activation", ["relu", "tanh"]),
                hp.Float("dropout", 0.0, 0.4, step=0.1),
                hp.Float("learning_rate", 1e-4, 0.1, sampling="log"),
            )

        def fit(self, hp: Any, network: Any, *arguments: Any, **options: Any) -> dict[str, float]:
            if time.perf_counter() >= end:
                raise keras_tuner.errors.FatalError("the time is over")
            score = fitted(network, data, hp.Choice("batch_size", [100, 200, 500]))
            self.trials += 1
            return {"val_accuracy": score}

    timed = Timed()
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            timed, objective=keras_tuner.Objective("val_accuracy", "max"), max_trials=10_000, directory=folder
        )
        with contextlib.suppress(keras_tuner.errors.FatalError):
            tuner.search(verbose=0)
    return timed.trials


if __name__ == "__main__":
    main()
