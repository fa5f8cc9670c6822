"""The notebook's own way: tf.data slices, a shuffle over the whole split, Keras on TensorFlow."""

from __future__ import annotations

import time

import tensorflow as tf
from epoch_timer import EpochTimer
from job import load_splits, open_job

job, report = open_job()
report.begin("tensorflow", "keras")
tf.keras.utils.set_random_seed(job.seed)

train_images, train_labels, validation_images, validation_labels = load_splits(job.data)
train = tf.data.Dataset.from_tensor_slices((train_images / 255, train_labels))
train = train.shuffle(buffer_size=len(train_labels)).batch(job.batch_size)
validation = tf.data.Dataset.from_tensor_slices((validation_images / 255, validation_labels))
validation = validation.batch(job.batch_size)

model = tf.keras.Sequential(
    [
        tf.keras.layers.Flatten(input_shape=(28, 28)),
        *(tf.keras.layers.Dense(units, activation="relu") for units in job.hidden),
        tf.keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

if job.whole_epochs:
    history = model.fit(train, epochs=job.parts, validation_data=validation, verbose=2, callbacks=[EpochTimer(report)])
    report.end(history.history["val_accuracy"][-1])
else:
    steps = job.images_per_part // job.batch_size
    model.fit(train, epochs=job.parts, steps_per_epoch=steps, verbose=2, callbacks=[EpochTimer(report)])
    model.evaluate(validation.take(10), verbose=0)  # compiles
    start = time.perf_counter()
    _, val_accuracy = model.evaluate(validation, verbose=0)
    report.end(val_accuracy, time.perf_counter() - start)
