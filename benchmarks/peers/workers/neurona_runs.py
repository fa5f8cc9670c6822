"""Neurona through its public interface: one run, or many runs at once."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job import TRAIN_IMAGES, open_job

import neurona


def train_many(network: Any, training: Any, data: Any, *, seeds: range, workers: int) -> list[Any]:
    """Train a run for each seed, `workers` of them at a time: threads of this process.

    The one place that knows how Neurona trains many runs.
    """
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda seed: neurona.train(network, training, data, seed=seed), seeds))


job, report = open_job()
report.begin("neurona", "jax", "jaxlib")
data = neurona.load("mnist")
network = neurona.Network(hidden=job.hidden)
# Whole epochs: as many as the job's images make, and two at least, since the first is not counted.
# The accuracy is the one after as many images as the peers have seen.
compared = max(1, round(job.images / TRAIN_IMAGES))
training = neurona.Training(batch_size=job.batch_size, epochs=max(2, compared))

run = neurona.train(network, training, data, seed=job.seed)
for epoch_seconds in run.history["seconds"]:
    report.part(epoch_seconds, images=TRAIN_IMAGES)
if job.runs:
    seeds = range(job.seed, job.seed + job.runs)
    start = time.perf_counter()
    runs = train_many(network, training, data, seeds=seeds, workers=int(job.option("workers") or 1))
    report.many(
        runs=job.runs,
        epochs=training.epochs,
        seconds=time.perf_counter() - start,
        val_accuracy=statistics.fmean(run.history["val_accuracy"][compared - 1] for run in runs),
    )
report.end(run.history["val_accuracy"][compared - 1])
