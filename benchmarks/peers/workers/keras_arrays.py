"""Keras fed with arrays, on the backend that KERAS_BACKEND names. Option: steps_per_execution=N."""

from __future__ import annotations

import time

import keras
import numpy as np
from epoch_timer import EpochTimer
from job import load_splits, open_job

# Larger than the training batch: what a user who cares for speed would set, and the result is the same.
VALIDATION_BATCH_SIZE = 1000

job, report = open_job()
report.begin("keras", keras.backend.backend())
keras.utils.set_random_seed(job.seed)

train_images, train_labels, validation_images, validation_labels = load_splits(job.data)
train_images = train_images.astype(np.float32) / 255
validation_images = validation_images.astype(np.float32) / 255

model = keras.Sequential(
    [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        *(keras.layers.Dense(units, activation="relu") for units in job.hidden),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    steps_per_execution=int(job.option("steps_per_execution") or 1),
)

if job.whole_epochs:
    history = model.fit(
        train_images,
        train_labels,
        batch_size=job.batch_size,
        epochs=job.parts,
        validation_data=(validation_images, validation_labels),
        validation_batch_size=VALIDATION_BATCH_SIZE,
        verbose=0,
        callbacks=[EpochTimer(report)],
    )
    report.end(history.history["val_accuracy"][-1])
else:
    model.fit(
        train_images,
        train_labels,
        batch_size=job.batch_size,
        epochs=job.parts,
        steps_per_epoch=job.images_per_part // job.batch_size,
        verbose=0,
        callbacks=[EpochTimer(report)],
    )
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        _, val_accuracy = model.evaluate(
            validation_images, validation_labels, batch_size=VALIDATION_BATCH_SIZE, verbose=0
        )
        seconds = time.perf_counter() - start
    report.end(val_accuracy, seconds)
