"""The engine: one compiled call an epoch, and `train`, which makes a run of a network, a training, data and a seed.

Inside the call: a scan over batches with gather, scaling, forward, backward and update, then the validation pass.
The shape of things decides the program; learning rates and the like enter as arrays. A program is compiled once a
process for all runs that share it, and kept on disk for the next process.
"""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from platformdirs import user_cache_path

from neurona import network as networks
from neurona import optimizers
from neurona.data import Dataset, Split
from neurona.run import Epoch, History, Parameters, Run, Seconds, State
from neurona.specs import Network, Training

__all__ = ["Checkpoint", "Interrupted", "compilations", "evaluate", "train"]

# A run uses one core; more runs side by side use the others. Without these flags XLA splits each small product over
# all cores and is slower. They are read when JAX first touches a device.
_XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if "xla_cpu_multi_thread_eigen" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()

_VALIDATION_CHUNK = 1_000  # images; what one step of the validation pass holds in memory


class Stream(IntEnum):
    """Separate random streams of one seed, so that experiments with one seed differ only in what they vary."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2


class Interrupted(Exception):  # noqa: N818 - it is an event, not an error
    """Training was asked to stop before its last epoch."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a run needs to go on from the end of an epoch: the epochs so far, and every array of its state.

    The random streams are functions of seed and epoch: they need no state.
    """

    epochs: tuple[Epoch, ...]
    arrays: tuple[np.ndarray[Any, Any], ...]


class _TrainingState(NamedTuple):
    parameters: Parameters
    optimizer: Any


class _Sums(NamedTuple):
    """Loss and right answers, summed over images."""

    loss: jax.Array
    right: jax.Array


class _Sizes(NamedTuple):
    train: int
    validation: int
    pixels: int
    classes: int


@dataclass(frozen=True)
class _Program:
    epoch: Callable[..., tuple[_TrainingState, tuple[_Sums, _Sums]]]
    seconds: float


_compile_locks: dict[Any, threading.Lock] = {}
_compile_guard = threading.Lock()
_programs: dict[Any, _Program] = {}


def compilations() -> int:
    """Return how many epoch programs this process has compiled."""
    return len(_programs)


def train(
    network: Network,
    training: Training,
    data: Dataset,
    *,
    seed: int,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    stop: Callable[[], bool] | None = None,
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None] | None = None,
    resume: Checkpoint | None = None,
) -> Run:
    """Train `network` on `data.train` and return the run. Same arguments, same bits, on the same machine.

    seed: 0 or more; initial weights, order of the images and dropout each have a stream of it.
    on_epoch: called with the epoch's number (from 1) and figures, as each ends.
    stop: asked after each epoch; when it says True, `Interrupted` is raised.
    on_checkpoint: called after each epoch but the last with a function that makes a `Checkpoint`, which copies every
        array; it may not be kept.
    resume: a checkpoint of the same run: training goes on after its last epoch, to the same bits.
    """
    started = time.perf_counter()
    sizes = _Sizes(len(data.train), len(data.validation), math.prod(data.image_shape), len(data.class_names))
    arrays = (*_on_device(data.train), *_on_device(data.validation))
    numbers = _numbers(network, training)
    initial = networks.init(network, pixels=sizes.pixels, classes=sizes.classes, seed=_sequence(seed, Stream.WEIGHTS))
    state = _TrainingState(networks.transposed(initial), _initial_optimizer_state(network, training, sizes))
    loaded = time.perf_counter()
    program = _program(network, training, sizes)
    compiled = time.perf_counter()

    splits = (data.train, data.validation)
    epochs: list[Epoch] = []
    if resume is not None:
        epochs = list(resume.epochs)
        state = jax.tree.unflatten(jax.tree.structure(state), resume.arrays)
    outcome: State = "complete"
    for number in range(len(epochs) + 1, training.epochs + 1):
        began = time.perf_counter()
        order = _order(seed, number, sizes.train)
        key = _sequence(seed, Stream.DROPOUT, number).generate_state(2, np.uint32)
        state, sums = program.epoch(state, numbers, *arrays, order, key)
        trained, validated = (_means(sums, len(split)) for sums, split in zip(sums, splits, strict=True))
        epochs.append(Epoch(*trained, *validated, time.perf_counter() - began))
        if on_epoch is not None:
            on_epoch(number, epochs[-1])
        if not (math.isfinite(epochs[-1].loss) and math.isfinite(epochs[-1].val_loss)):
            outcome = "diverged"
            break
        if number < training.epochs:
            if on_checkpoint is not None:
                on_checkpoint(functools.partial(_checkpoint, epochs, state))
            if stop is not None and stop():
                raise Interrupted
    return Run(
        network=network,
        training=training,
        seed=seed,
        fingerprint=data.fingerprint,
        state=outcome,
        history=History(tuple(epochs)),
        parameters=jax.tree.map(np.ascontiguousarray, networks.transposed(state.parameters)),
        seconds=Seconds(loaded - started, compiled - loaded, time.perf_counter() - compiled),
    )


def _checkpoint(epochs: list[Epoch], state: _TrainingState) -> Checkpoint:
    return Checkpoint(tuple(epochs), tuple(np.array(leaf) for leaf in jax.tree.leaves(state)))


def evaluate(network: Network, parameters: Parameters, split: Split, *, classes: int) -> tuple[float, float]:
    """Return mean loss and accuracy of `parameters` on `split`."""
    images, labels = _on_device(split)
    run = jax.jit(functools.partial(_evaluate, network), static_argnames=("classes",))
    return _means(run(networks.transposed(parameters), images, labels, classes=classes), len(split))


def _means(sums: _Sums, images: int) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    return float(sums.loss) / images, int(sums.right) / images


def _sequence(seed: int, *streams: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=streams)


def _order(seed: int, epoch: int, images: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the order in which `epoch` sees the images: the same for every experiment with this seed."""
    generator = np.random.default_rng(_sequence(seed, Stream.ORDER, epoch))
    return generator.permutation(images).astype(np.int32)


def _numbers(network: Network, training: Training) -> dict[str, Any]:
    """Return all that may change without compiling anew, as float32 scalars."""
    return {
        "optimizer": {name: np.float32(value) for name, value in optimizers.numbers(training.optimizer).items()},
        "dropout": tuple(np.float32(rate) for rate in network.dropouts),
    }


@functools.lru_cache(maxsize=8)
def _on_device(split: Split) -> tuple[jax.Array, jax.Array]:
    """Return images uint8 `(n, pixels)` and labels int32 `(n,)` on the device; all runs share them."""
    return jax.device_put(split.images.reshape(len(split), -1)), jax.device_put(split.labels)


def _initial_optimizer_state(network: Network, training: Training, sizes: _Sizes) -> Any:
    shapes = jax.eval_shape(
        optimizers.make(training.optimizer, optimizers.numbers(training.optimizer)).init,
        _parameter_shapes(network, sizes),
    )
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _parameter_shapes(network: Network, sizes: _Sizes) -> Any:
    """Return the shapes of transposed parameters."""
    widths = (sizes.pixels, *network.hidden, sizes.classes)
    return tuple(
        {
            "kernel": jax.ShapeDtypeStruct((units, inputs), jnp.float32),
            "bias": jax.ShapeDtypeStruct((units,), jnp.float32),
        }
        for inputs, units in pairwise(widths)
    )


def _structure(network: Network, training: Training, sizes: _Sizes) -> tuple[Any, ...]:
    """Return what decides the program: everything but the numbers, and of a rate only whether it is zero."""
    optimizer = training.optimizer
    return (
        network.hidden,
        network.activations,
        tuple(rate > 0 for rate in network.dropouts),
        optimizer.name,
        bool(optimizer.momentum),
        optimizer.nesterov,
        min(training.batch_size, sizes.train),
        sizes,
    )


def _program(network: Network, training: Training, sizes: _Sizes) -> _Program:
    key = _structure(network, training, sizes)
    with _compile_guard:
        lock = _compile_locks.setdefault(key, threading.Lock())
    with lock:
        if key not in _programs:
            _keep_compilations()
            started = time.perf_counter()
            epoch = _compile(network, training, sizes)
            _programs[key] = _Program(epoch, time.perf_counter() - started)
        return _programs[key]


@functools.cache
def _keep_compilations() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX was told where to keep them."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        folder = user_cache_path("neurona") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _compile(network: Network, training: Training, sizes: _Sizes) -> Callable[..., Any]:
    batch_size = min(training.batch_size, sizes.train)
    pixels, image, label = (sizes.pixels,), jnp.uint8, jnp.int32
    shapes = (
        _TrainingState(_parameter_shapes(network, sizes), _initial_optimizer_state(network, training, sizes)),
        _numbers(network, training),
        jax.ShapeDtypeStruct((sizes.train, *pixels), image),
        jax.ShapeDtypeStruct((sizes.train,), label),
        jax.ShapeDtypeStruct((sizes.validation, *pixels), image),
        jax.ShapeDtypeStruct((sizes.validation,), label),
        jax.ShapeDtypeStruct((sizes.train,), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
    )
    epoch = functools.partial(_epoch, network, training, batch_size, sizes.classes)
    return jax.jit(epoch, donate_argnums=0).lower(*shapes).compile()


def _epoch(
    network: Network,
    training: Training,
    batch_size: int,
    classes: int,
    state: _TrainingState,
    numbers: dict[str, Any],
    images: jax.Array,
    labels: jax.Array,
    validation_images: jax.Array,
    validation_labels: jax.Array,
    order: jax.Array,
    key_data: jax.Array,
) -> tuple[_TrainingState, tuple[_Sums, _Sums]]:
    key = jax.random.wrap_key_data(key_data)
    update = optimizers.make(training.optimizer, numbers["optimizer"]).update

    def step(state: _TrainingState, batch: tuple[jax.Array, jax.Array]) -> tuple[_TrainingState, _Sums]:
        number, chosen = batch

        def mean_loss(parameters: Parameters) -> tuple[jax.Array, _Sums]:
            scores = networks.logits(
                network,
                parameters,
                images[chosen],
                dropout=numbers["dropout"],
                key=jax.random.fold_in(key, number) if any(network.dropouts) else None,
            )
            sums = _sums(scores, labels[chosen], classes)
            return sums.loss / chosen.shape[0], sums

        gradients, sums = jax.grad(mean_loss, has_aux=True)(state.parameters)
        return _TrainingState(*update(gradients, state.optimizer, state.parameters)), sums

    steps, left_over = divmod(order.shape[0], batch_size)
    batches = order[: steps * batch_size].reshape(steps, batch_size)
    state, sums = jax.lax.scan(step, state, (jnp.arange(steps), batches))
    total = _Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if left_over:
        state, last = step(state, (jnp.int32(steps), order[steps * batch_size :]))
        total = _Sums(total.loss + last.loss, total.right + last.right)
    validation = _evaluate(network, state.parameters, validation_images, validation_labels, classes=classes)
    return state, (total, validation)


def _sums(scores: jax.Array, labels: jax.Array, classes: int) -> _Sums:
    """Return the summed cross-entropy of softmax(scores) `(classes, n)` and the count of right answers."""
    target = jax.nn.one_hot(labels, classes, axis=0)
    return _Sums(
        -jnp.sum(jax.nn.log_softmax(scores, axis=0) * target),
        jnp.sum(jnp.argmax(scores, axis=0) == labels, dtype=jnp.int32),
    )


def _evaluate(network: Network, parameters: Parameters, images: jax.Array, labels: jax.Array, *, classes: int) -> _Sums:
    """Return the sums over all images, taken a chunk at a time."""

    def chunk_sums(images: jax.Array, labels: jax.Array) -> _Sums:
        return _sums(networks.logits(network, parameters, images), labels, classes)

    count = images.shape[0]
    chunks = count // _VALIDATION_CHUNK
    whole = chunks * _VALIDATION_CHUNK
    total = _Sums(jnp.float32(0), jnp.int32(0))
    if chunks:
        sums = jax.lax.map(
            lambda chunk: chunk_sums(*chunk),
            (
                images[:whole].reshape(chunks, _VALIDATION_CHUNK, -1),
                labels[:whole].reshape(chunks, _VALIDATION_CHUNK),
            ),
        )
        total = _Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if whole < count:
        rest = chunk_sums(images[whole:], labels[whole:])
        total = _Sums(total.loss + rest.loss, total.right + rest.right)
    return total
