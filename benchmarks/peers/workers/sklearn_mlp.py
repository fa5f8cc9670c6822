"""scikit-learn's MLPClassifier, an epoch for each call of `partial_fit`."""

from __future__ import annotations

import numpy as np
from job import load_splits, open_job, train_in_parts
from sklearn.neural_network import MLPClassifier

job, report = open_job()
report.begin("scikit-learn", "numpy")
random = np.random.default_rng(job.seed)

train_images, train_labels, validation_images, validation_labels = load_splits(job.data)
train_x = train_images.reshape(-1, 784).astype(np.float32) / 255
validation_x = validation_images.reshape(-1, 784).astype(np.float32) / 255

model = MLPClassifier(
    hidden_layer_sizes=job.hidden,
    activation="relu",
    solver="adam",
    alpha=0.0,
    shuffle=False,  # the order is ours: a part is a piece of an epoch
    batch_size=job.batch_size,
    learning_rate_init=0.001,
    epsilon=1e-7,
    random_state=job.seed,
)
order = np.arange(len(train_labels))


def train_part(first_image: int) -> None:
    if first_image == 0:
        random.shuffle(order)
    rows = order[first_image : first_image + job.images_per_part]
    model.partial_fit(train_x[rows], train_labels[rows], classes=np.arange(10))


def validate() -> float:
    return float(model.score(validation_x, validation_labels))


train_in_parts(job, report, train_part, validate)
