"""The engine: one compiled call an epoch, and `train`, which makes a run of a network, a training, data and a seed.

Inside the call: a scan over batches with gather, scaling, forward, backward and update, then the validation pass.
The shape of things decides the program; learning rates and the like enter as arrays. A program is compiled once a
process for all runs that share it, and kept on disk for the next process.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from platformdirs import user_cache_path

from neurona import network as networks
from neurona import objective, optimizers
from neurona.data import Dataset, Split
from neurona.run import Epoch, History, Parameters, Run, Seconds, State, best_epoch
from neurona.specs import EarlyStopping, Network, Training

__all__ = ["Checkpoint", "Interrupted", "compilations", "cores", "evaluate", "predictions", "train"]

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
    """What an epoch changes. Kernels are transposed.

    parameters: what gradients change.
    statistics: batch normalisation's running moments, a dict for each layer.
    optimizer: the optimizer's own.
    average: the running mean of the parameters and the count of steps in it; () without `ema_momentum`.
    """

    parameters: Parameters
    statistics: Parameters
    optimizer: Any
    average: Any

    @property
    def shown(self) -> Parameters:
        """The parameters that are validated and kept: the average where there is one."""
        kept = self.average[0] if self.average else self.parameters
        return tuple({**layer, **moments} for layer, moments in zip(kept, self.statistics, strict=True))


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


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    numbers = _numbers(network, training, sizes, objective.class_weights(training, data.train.labels, sizes.classes))
    initial = networks.init(network, pixels=sizes.pixels, classes=sizes.classes, seed=_sequence(seed, Stream.WEIGHTS))
    state = _initial_state(networks.transposed(initial), training, numbers)
    loaded = time.perf_counter()
    program = _program(network, training, sizes)
    compiled = time.perf_counter()

    splits = (data.train, data.validation)
    epochs: list[Epoch] = []
    best = _Best.of(training.early_stopping, state)
    if resume is not None:
        epochs = list(resume.epochs)
        state, best_parameters = jax.tree.unflatten(jax.tree.structure((state, best.parameters)), resume.arrays)
        best = _Best(best.rule, best_parameters)
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
        best = best.after(epochs, state.shown)
        if best.is_time_to_stop(epochs):
            break
        if number < training.epochs:
            if on_checkpoint is not None:
                on_checkpoint(functools.partial(_checkpoint, epochs, state, best))
            if stop is not None and stop():
                raise Interrupted
    return Run(
        network=network,
        training=training,
        seed=seed,
        fingerprint=data.fingerprint,
        state=outcome,
        history=History(tuple(epochs)),
        parameters=jax.tree.map(np.ascontiguousarray, networks.transposed(best.parameters or state.shown)),
        seconds=Seconds(loaded - started, compiled - loaded, time.perf_counter() - compiled),
    )


def _checkpoint(epochs: list[Epoch], state: _TrainingState, best: _Best) -> Checkpoint:
    return Checkpoint(tuple(epochs), tuple(np.array(leaf) for leaf in jax.tree.leaves((state, best.parameters))))


@dataclass(frozen=True)
class _Best:
    """Early stopping as it stands: the weights of the best epoch, where those are to be restored, else ()."""

    rule: EarlyStopping | None
    parameters: Parameters

    @classmethod
    def of(cls, rule: EarlyStopping | None, state: _TrainingState) -> Self:
        return cls(rule, state.shown if rule is not None and rule.restore_best_weights else ())

    def after(self, epochs: list[Epoch], parameters: Parameters) -> _Best:
        """Return what stands after the last of `epochs`, which ended with `parameters`."""
        if not self.parameters or self.rule is None or best_epoch(self.rule, epochs) != len(epochs):
            return self
        return _Best(self.rule, jax.tree.map(np.array, parameters))

    def is_time_to_stop(self, epochs: list[Epoch]) -> bool:
        """Whether the last `patience` epochs brought no improvement; never after the first, as in Keras."""
        if self.rule is None or len(epochs) == 1:
            return False
        waited = len(epochs) - best_epoch(self.rule, epochs)
        return waited >= max(self.rule.patience, 1)


def evaluate(network: Network, parameters: Parameters, split: Split) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy of `parameters` on `split`, whatever loss they were trained with."""
    images, labels = _on_device(split)
    return _means(_evaluator(network)(networks.transposed(parameters), images, labels), len(split))


def predictions(network: Network, parameters: Parameters, split: Split) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the class that `parameters` give each image of `split`, int32 `(n,)`."""
    images, _labels = _on_device(split)
    classify = _classifier(network)
    chunks = [
        classify(networks.transposed(parameters), images[first : first + _VALIDATION_CHUNK])
        for first in range(0, len(split), _VALIDATION_CHUNK)
    ]
    return np.concatenate(chunks)


@functools.lru_cache(maxsize=32)
def _evaluator(network: Network) -> Callable[..., _Sums]:
    def run(parameters: Parameters, images: jax.Array, labels: jax.Array) -> _Sums:
        return _in_chunks(functools.partial(_score, network, Training(), {}, parameters), images, labels)

    return jax.jit(run)


@functools.lru_cache(maxsize=32)
def _classifier(network: Network) -> Callable[..., jax.Array]:
    def classify(parameters: Parameters, images: jax.Array) -> jax.Array:
        return jnp.argmax(networks.logits(network, parameters, images), axis=0).astype(jnp.int32)

    return jax.jit(classify)


def _means(sums: _Sums, images: int) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    return float(sums.loss) / images, int(sums.right) / images


def _sequence(seed: int, *streams: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=streams)


def _order(seed: int, epoch: int, images: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the order in which `epoch` sees the images: the same for every experiment with this seed."""
    generator = np.random.default_rng(_sequence(seed, Stream.ORDER, epoch))
    return generator.permutation(images).astype(np.int32)


def _numbers(network: Network, training: Training, sizes: _Sizes, class_weights: Any) -> dict[str, Any]:
    """Return all that may change without compiling anew, as float32."""
    numbers = {
        "optimizer": _optimizer_numbers(training, sizes),
        "noise": {
            "input_noise": network.input_noise,
            "input_dropout": network.input_dropout,
            "dropout": network.dropouts,
            "alpha_dropout": network.alpha_dropouts,
        },
        "objective": objective.numbers(training, class_weights),
        "max_norm": training.max_norm or 0.0,
        "ema_momentum": training.ema_momentum or 0.0,
    }
    return {name: jax.tree.map(np.float32, part) for name, part in numbers.items()}


def _optimizer_numbers(training: Training, sizes: _Sizes) -> dict[str, Any]:
    steps = training.epochs * math.ceil(sizes.train / min(training.batch_size, sizes.train))
    return optimizers.numbers(training.optimizer, steps)


@functools.lru_cache(maxsize=8)
def _on_device(split: Split) -> tuple[jax.Array, jax.Array]:
    """Return images uint8 `(n, pixels)` and labels int32 `(n,)` on the device; all runs share them."""
    return jax.device_put(split.images.reshape(len(split), -1)), jax.device_put(split.labels)


def _initial_state(parameters: Parameters, training: Training, numbers: dict[str, Any]) -> _TrainingState:
    trained = tuple({name: layer[name] for name in layer if name not in networks.STATISTICS} for layer in parameters)
    statistics = tuple({name: layer[name] for name in layer if name in networks.STATISTICS} for layer in parameters)
    average = () if training.ema_momentum is None else (jax.tree.map(np.zeros_like, trained), np.float32(0))
    shapes = jax.eval_shape(optimizers.make(training.optimizer, numbers["optimizer"]).init, trained)
    optimizer = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes
    )  # all begin at zero; compiles nothing
    return _TrainingState(trained, statistics, optimizer, average)


def _structure(network: Network, training: Training, sizes: _Sizes) -> tuple[Any, ...]:
    """Return what decides the program: everything but the numbers, and of a rate only whether it is zero."""
    return (
        network.hidden,
        network.activations,
        tuple(rate > 0 for rate in (*network.dropouts, *network.alpha_dropouts)),
        (network.input_dropout > 0, network.input_noise > 0),
        (network.normalization, network.residual),
        optimizers.structure(training.optimizer),
        objective.structure(training),
        (training.max_norm is None, training.ema_momentum is None, training.precision),
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
    """Keep compiled programs in the user's cache folder, unless JAX was told where to keep them.

    XLA divides products over the cores it finds, so a program compiled for other cores may give other bits.
    """
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        place = f"{platform.node()}-{cores()}-cores-jax-{jax.__version__}"
        folder = user_cache_path("neurona") / "compiled" / place
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _compile(network: Network, training: Training, sizes: _Sizes) -> Callable[..., Any]:
    batch_size = min(training.batch_size, sizes.train)
    pixels, image, label = (sizes.pixels,), jnp.uint8, jnp.int32
    numbers = _numbers(network, training, sizes, np.ones(sizes.classes))
    blank = networks.init(network, pixels=sizes.pixels, classes=sizes.classes, seed=np.random.SeedSequence(0))
    shapes = (
        _initial_state(networks.transposed(blank), training, numbers),
        numbers,
        jax.ShapeDtypeStruct((sizes.train, *pixels), image),
        jax.ShapeDtypeStruct((sizes.train,), label),
        jax.ShapeDtypeStruct((sizes.validation, *pixels), image),
        jax.ShapeDtypeStruct((sizes.validation,), label),
        jax.ShapeDtypeStruct((sizes.train,), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
    )
    epoch = functools.partial(_epoch, network, training, batch_size)
    return jax.jit(epoch, donate_argnums=0).lower(*shapes).compile()


def _epoch(
    network: Network,
    training: Training,
    batch_size: int,
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
        noise = networks.Noise(jax.random.fold_in(key, number), **numbers["noise"])

        def mean_loss(parameters: Parameters) -> tuple[jax.Array, tuple[_Sums, Parameters]]:
            layers = tuple({**layer, **moments} for layer, moments in zip(parameters, state.statistics, strict=True))
            scores, statistics = networks.noisy_logits(
                network, layers, images[chosen], noise, precision=training.precision
            )
            losses = objective.losses(training, numbers["objective"], scores, labels[chosen], weighted=True)
            penalty = objective.penalty(training, numbers["objective"], parameters)
            sums = _Sums(jnp.sum(losses) + chosen.shape[0] * penalty, _right(scores, labels[chosen]))
            return sums.loss / chosen.shape[0], (sums, (*statistics, {}))

        gradients, (sums, statistics) = jax.grad(mean_loss, has_aux=True)(state.parameters)
        parameters, optimizer = update(gradients, state.optimizer, state.parameters)
        average = _averaged(state.average, parameters, numbers["ema_momentum"])
        if training.max_norm is not None:
            parameters = _bounded(parameters, numbers["max_norm"])
        return _TrainingState(parameters, statistics, optimizer, average), sums

    steps, left_over = divmod(order.shape[0], batch_size)
    batches = order[: steps * batch_size].reshape(steps, batch_size)
    state, sums = jax.lax.scan(step, state, (jnp.arange(steps), batches))
    total = _Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if left_over:
        state, last = step(state, (jnp.int32(steps), order[steps * batch_size :]))
        total = _Sums(total.loss + last.loss, total.right + last.right)
    score = functools.partial(_score, network, training, numbers["objective"], state.shown)
    return state, (total, _in_chunks(score, validation_images, validation_labels))


def _averaged(average: Any, parameters: Parameters, momentum: jax.Array) -> Any:
    """Return the running mean after a step, which begins as the parameters after the first: Keras' `use_ema`."""
    if not average:
        return ()
    means, steps = average
    momentum = jnp.where(steps > 0, momentum, 0.0)
    return jax.tree.map(lambda mean, new: momentum * mean + (1 - momentum) * new, means, parameters), steps + 1


def _bounded(parameters: Parameters, bound: jax.Array) -> Parameters:
    """Return the parameters with the norm of each unit's incoming weights at most `bound`: Keras' `MaxNorm`."""

    def scaled(kernel: Any) -> jax.Array:
        norms = jnp.sqrt(jnp.sum(kernel**2, axis=1, keepdims=True))
        return jnp.asarray(kernel) * (jnp.minimum(norms, bound) / (1e-7 + norms))

    return tuple({**layer, "kernel": scaled(layer["kernel"])} for layer in parameters)


def _right(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the count of images whose class has the highest score, int32."""
    return jnp.sum(jnp.argmax(scores, axis=0) == labels, dtype=jnp.int32)


def _score(
    network: Network,
    training: Training,
    numbers: dict[str, Any],
    parameters: Parameters,
    images: jax.Array,
    labels: jax.Array,
) -> _Sums:
    """Return loss and right answers on images that are not trained on; the loss is the training's, as in Keras."""
    scores = networks.logits(network, parameters, images, precision=training.precision)
    losses = objective.losses(training, numbers, scores, labels, weighted=False)
    penalty = objective.penalty(training, numbers, parameters)
    return _Sums(jnp.sum(losses) + labels.shape[0] * penalty, _right(scores, labels))


def _in_chunks(score: Callable[[jax.Array, jax.Array], _Sums], images: jax.Array, labels: jax.Array) -> _Sums:
    """Return the sums over all images, taken a chunk at a time."""
    count = images.shape[0]
    chunks = count // _VALIDATION_CHUNK
    whole = chunks * _VALIDATION_CHUNK
    total = _Sums(jnp.float32(0), jnp.int32(0))
    if chunks:
        sums = jax.lax.map(
            lambda chunk: score(*chunk),
            (
                images[:whole].reshape(chunks, _VALIDATION_CHUNK, -1),
                labels[:whole].reshape(chunks, _VALIDATION_CHUNK),
            ),
        )
        total = _Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if whole < count:
        rest = score(images[whole:], labels[whole:])
        total = _Sums(total.loss + rest.loss, total.right + rest.right)
    return total
