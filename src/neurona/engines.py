"""The engines by name: Neurona's own, and Keras (extra `[keras]`)."""

from __future__ import annotations

import math
from collections.abc import Callable

from neurona import engine as own
from neurona.data import Dataset
from neurona.engine import Checkpoint, Teacher
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.run import Epoch, Parameters, Run
from neurona.specs import NEURONA, Experiment, Network, Training, check_engine

__all__ = ["FITTED_GFLOPS", "ONE_AT_A_TIME", "check_ready", "expected_seconds", "train"]

FITTED_GFLOPS = 80.0  # in products, of the core on which the constants of `expected_seconds` were fitted
ONE_AT_A_TIME = frozenset({"keras"})  # engines that train one run of a process at a time


def check_ready(engine: str) -> None:
    """Raise MissingExtraError or UsageError when `engine` cannot train here; the first time that loads it."""
    if engine != NEURONA:
        from neurona.keras.engine import check_backend

        check_backend()


def expected_seconds(experiment: Experiment, data: Dataset) -> float:
    """Return a rough time for one run on one core: good enough to start long runs first and to guess what is left.

    The constants were fitted on a 2.3 GHz server core: `FITTED_GFLOPS` in products, 8 µs a step, 0.5 ns a parameter a
    step; 230 µs more a step of Keras' on JAX.
    """
    parameters = experiment.network.parameters(data.image_shape, len(data.class_names))
    steps = math.ceil(len(data.train) / experiment.training.batch_size)
    step = 8e-6 + parameters * 0.5e-9 + (230e-6 if experiment.engine == "keras" else 0.0)
    epoch = len(data.train) * parameters * 6 / (1e9 * FITTED_GFLOPS) + steps * step
    return experiment.training.epochs * epoch


def train(
    network: Network,
    training: Training,
    data: Dataset,
    *,
    seed: int,
    engine: str = NEURONA,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    stop: Callable[[], bool] | None = None,
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None] | None = None,
    resume: Checkpoint | None = None,
    initial: Parameters | None = None,
    teacher: Teacher | None = None,
) -> Run:
    """Train `network` on `data.train` with an engine of `ENGINES` and return the run.

    Same arguments, same bits, on the same machine; with Keras, as far as its backend keeps that promise.

    seed: 0 or more; what initial weights, order of the images and dropout are drawn from.
    on_epoch: called with the epoch's number (from 1) and figures, as each ends.
    stop: asked after each epoch; when it says True, `engine.Interrupted` is raised.
    on_checkpoint, resume: see `engine.train`; Keras makes no checkpoints.
    initial: parameters to begin with, as `Run.parameters` has them, instead of those drawn from the seed.
    teacher: what it learns to answer like; from the labels unless given.

    Raises SpecError for an engine that does not exist or cannot do `training`, UsageError for `initial` or `teacher`
    that do not fit, and MissingExtraError for Keras without the extra `[keras]`.
    """
    check_engine(engine, training)
    if engine == NEURONA:
        return own.train(
            network,
            training,
            data,
            seed=seed,
            on_epoch=on_epoch,
            stop=stop,
            on_checkpoint=on_checkpoint,
            resume=resume,
            initial=initial,
            teacher=teacher,
        )
    if initial is not None or teacher is not None:
        raise UsageError(_("only Neurona's own engine begins with given parameters, or has a teacher."))
    from neurona.keras import engine as keras_engine

    return keras_engine.train(network, training, data, seed=seed, on_epoch=on_epoch, stop=stop)
