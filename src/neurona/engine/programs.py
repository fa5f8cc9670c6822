"""The compiled epoch: a scan over batches with gather, scaling, forward, backward and update, then the validation pass.

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
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from platformdirs import user_cache_path

from neurona import augment, objective, optimizers
from neurona import network as networks
from neurona.data import Dataset, Split
from neurona.engine.norms import measured
from neurona.machine import cores
from neurona.run import Parameters
from neurona.specs import Augmentation, Network, Training

__all__ = [
    "VALIDATION_CHUNK",
    "Drawn",
    "Program",
    "Sizes",
    "Sums",
    "Teacher",
    "TrainingState",
    "arguments",
    "compilations",
    "in_chunks",
    "initial_state",
    "means",
    "on_device",
    "program",
    "room",
    "score",
    "shape",
    "sizes",
    "workers_here",
]

# A run uses one core; more runs side by side use the others. Without this flag XLA splits each small product over
# all cores and is slower. It is read when JAX first touches a device.
_XLA_FLAG = "--xla_cpu_multi_thread_eigen=false"
if "xla_cpu_multi_thread_eigen" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAG}".strip()

_MEMORY_SHARE = 0.7  # of the device's memory; products need room of their own
_MOST_SIDE_BY_SIDE = 1_024  # runs; more fill no device better, and the host draws an order for each
_MOST_PROGRAMS = 512  # kept, the last used: a server that trains whatever it is asked for cannot keep all
VALIDATION_CHUNK = 1_000  # images; what one step of the validation pass holds in memory


class TrainingState(NamedTuple):
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


class Sums(NamedTuple):
    """Loss and right answers, summed over images."""

    loss: jax.Array
    right: jax.Array


class Drawn(NamedTuple):
    """What an epoch draws on.

    order: int32 `(images,)`, in which it sees them.
    noise, augmentation: uint32 `(2,)`, a key of `jax.random` for dropout and the like, and one for augmentation.
    epochs: int32, how many there were before.
    """

    order: Any
    noise: Any
    augmentation: Any
    epochs: Any


@dataclass(frozen=True, eq=False)
class Teacher:
    """Networks of one shape, with their parameters, whose mean answer a student learns to give."""

    network: Network
    members: tuple[Parameters, ...]


class Sizes(NamedTuple):
    """Images of the two splits, height and width of an image in pixels, classes."""

    train: int
    validation: int
    image_shape: tuple[int, int]
    classes: int

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return math.prod(self.image_shape)


@dataclass(frozen=True)
class Program:
    """A compiled epoch, and what compiling took.

    epoch: (state, numbers, images, labels, validation images, validation labels, drawn, teacher's transposed
        parameters) -> (state, sums of both splits, norms as `norms.measured` gives them); it may overwrite the state
        that it is given.
    """

    epoch: Any
    seconds: float


_compile_locks: dict[Any, threading.Lock] = {}
_compile_guard = threading.Lock()
_programs: dict[Any, Program] = {}  # the last used is the last
_compiled = 0


def workers_here() -> int:
    """Return how many runs, or groups of runs side by side, to train at a time: a core each, or one on a GPU."""
    return cores() if jax.devices()[0].platform == "cpu" else 1


def compilations() -> int:
    """Return how many epoch programs this process has compiled."""
    return _compiled


def means(sums: Sums, images: int) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    return float(sums.loss) / images, int(sums.right) / images


def arguments(network: Network, training: Training, sizes: Sizes, class_weights: Any) -> dict[str, Any]:
    """Return all that may change without compiling anew, as float32."""
    numbers = {
        "optimizer": optimizers.numbers(training.optimizer, _steps(training, sizes)),
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
    if training.augmentation is not None:
        steps = _steps(training, sizes)
        numbers["augmentation"] = augment.numbers(training.augmentation, sizes.image_shape, sizes.classes, steps)
    return {name: jax.tree.map(np.float32, part) for name, part in numbers.items()}


def _steps(training: Training, sizes: Sizes) -> int:
    """Return the steps of the whole training."""
    return training.epochs * math.ceil(sizes.train / min(training.batch_size, sizes.train))


@functools.lru_cache(maxsize=8)
def on_device(split: Split) -> tuple[jax.Array, jax.Array]:
    """Return images uint8 `(n, pixels)` and labels int32 `(n,)` on the device; all runs share them."""
    return jax.device_put(split.images.reshape(len(split), -1)), jax.device_put(split.labels)


def initial_state(parameters: Parameters, training: Training, numbers: dict[str, Any]) -> TrainingState:
    """Return what the first epoch begins with; `parameters` are transposed. Every optimizer's state begins as zeros."""
    trained = tuple({name: layer[name] for name in layer if name not in networks.STATISTICS} for layer in parameters)
    statistics = tuple({name: layer[name] for name in layer if name in networks.STATISTICS} for layer in parameters)
    average = () if training.ema_momentum is None else (jax.tree.map(np.zeros_like, trained), np.float32(0))
    shapes = jax.eval_shape(optimizers.make(training.optimizer, numbers["optimizer"]).init, trained)
    optimizer = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)  # which compiles nothing
    return TrainingState(trained, statistics, optimizer, average)


def sizes(data: Dataset) -> Sizes:
    """Return what of `data` a program depends on."""
    return Sizes(len(data.train), len(data.validation), data.image_shape, len(data.class_names))


def shape(network: Network, training: Training, sizes: Sizes) -> Hashable:
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
        None if training.augmentation is None else augment.structure(training.augmentation, sizes.image_shape),
        min(training.batch_size, sizes.train),
        sizes,
    )


def program(
    network: Network, training: Training, sizes: Sizes, *, runs: int = 1, teacher: Teacher | None = None
) -> Program:
    """Return the epoch for one run, or for `runs` of one shape side by side: then what is a run's has an axis more."""
    taught = None if teacher is None else (teacher.network, len(teacher.members))
    key = (shape(network, training, sizes), runs, taught)
    with _compile_guard:
        lock = _compile_locks.setdefault(key, threading.Lock())
    with lock:
        with _compile_guard:
            found = _programs.pop(key, None)
        if found is None:
            _keep_compilations()
            started = time.perf_counter()
            epoch = _compile(network, training, sizes, runs, teacher)
            found = Program(epoch, time.perf_counter() - started)
            _count_compilation()
        with _compile_guard:
            _programs[key] = found
            for oldest in list(_programs)[:-_MOST_PROGRAMS]:
                del _programs[oldest]
                _compile_locks.pop(oldest, None)
        return found


def _count_compilation() -> None:
    global _compiled  # noqa: PLW0603 - of this process
    with _compile_guard:
        _compiled += 1


def room(network: Network, training: Training, data: Dataset) -> int:
    """Return how many runs of this shape fit side by side on the device, a power of two; 1 on a processor.

    What a run takes is read off the compiled program, what there is off the device.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return 1
    one = program(network, training, sizes(data)).epoch.memory_analysis()
    images = sum(split.images.nbytes + 4 * len(split) for split in (data.train, data.validation))
    a_run = max(one.argument_size_in_bytes - images, 0) + one.output_size_in_bytes + one.temp_size_in_bytes
    free = _MEMORY_SHARE * device.memory_stats()["bytes_limit"] - images
    fit = min(max(int(free // a_run), 1), _MOST_SIDE_BY_SIDE)
    return 1 << (fit.bit_length() - 1)


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


def _compile(network: Network, training: Training, sizes: Sizes, runs: int, teacher: Teacher | None) -> Any:
    pixels, image, label = (sizes.pixels,), jnp.uint8, jnp.int32
    numbers = arguments(network, training, sizes, np.ones(sizes.classes))
    blank = networks.init(network, pixels=sizes.pixels, classes=sizes.classes, seed=np.random.SeedSequence(0))
    own = (initial_state(networks.transposed(blank), training, numbers), numbers)
    shared = (
        jax.ShapeDtypeStruct((sizes.train, *pixels), image),
        jax.ShapeDtypeStruct((sizes.train,), label),
        jax.ShapeDtypeStruct((sizes.validation, *pixels), image),
        jax.ShapeDtypeStruct((sizes.validation,), label),
    )
    drawn = Drawn(
        jax.ShapeDtypeStruct((sizes.train,), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
        jax.ShapeDtypeStruct((), jnp.int32),
    )
    teaching = None if teacher is None else teacher.network
    epoch: Callable[..., Any] = functools.partial(_epoch, network, training, sizes, teaching)
    if runs > 1:
        epoch = jax.vmap(epoch, in_axes=(0, 0, None, None, None, None, 0, None))
        own, drawn = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((runs, *leaf.shape), leaf.dtype), (own, drawn))
    taught = () if teacher is None else tuple(map(networks.transposed, teacher.members))
    return jax.jit(epoch, donate_argnums=0).lower(*own, *shared, drawn, taught).compile()


def _epoch(
    network: Network,
    training: Training,
    sizes: Sizes,
    teaching: Network | None,
    state: TrainingState,
    numbers: dict[str, Any],
    images: jax.Array,
    labels: jax.Array,
    validation_images: jax.Array,
    validation_labels: jax.Array,
    drawn: Drawn,
    taught: tuple[Parameters, ...],
) -> tuple[TrainingState, tuple[Sums, Sums], jax.Array]:
    key = jax.random.wrap_key_data(drawn.noise)
    batch_size = min(training.batch_size, sizes.train)
    steps, left_over = divmod(sizes.train, batch_size)
    update = optimizers.make(training.optimizer, numbers["optimizer"]).update

    def step(state: TrainingState, numbered: tuple[jax.Array, jax.Array]) -> tuple[TrainingState, Sums]:
        number, chosen = numbered
        noise = networks.Noise(jax.random.fold_in(key, number), **numbers["noise"])
        batch = _Batch(images[chosen], labels[chosen])
        if training.augmentation is not None:
            augmentation_key = jax.random.fold_in(jax.random.wrap_key_data(drawn.augmentation), number)
            before = drawn.epochs * (steps + (left_over > 0)) + number
            batch = _augmented(training.augmentation, numbers["augmentation"], batch, augmentation_key, before, sizes)

        answers = None if teaching is None else _taught(teaching, taught, batch.images, training.precision)

        def mean_loss(parameters: Parameters) -> tuple[jax.Array, tuple[Sums, Parameters]]:
            layers = tuple({**layer, **moments} for layer, moments in zip(parameters, state.statistics, strict=True))
            scores, statistics = networks.noisy_logits(
                network, layers, batch.images, noise, precision=training.precision
            )
            if answers is not None:
                losses = objective.soft_losses(scores, answers)
            else:
                losses = objective.losses(training, numbers["objective"], scores, batch.labels, weighted=True)
                if batch.mixed is not None:
                    others = objective.losses(training, numbers["objective"], scores, batch.mixed.labels, weighted=True)
                    losses = batch.mixed.share * losses + (1 - batch.mixed.share) * others
            penalty = objective.penalty(training, numbers["objective"], parameters)
            sums = Sums(jnp.sum(losses) + chosen.shape[0] * penalty, _right(scores, batch.labels))
            return sums.loss / chosen.shape[0], (sums, (*statistics, {}))

        gradients, (sums, statistics) = jax.grad(mean_loss, has_aux=True)(state.parameters)
        parameters, optimizer = update(gradients, state.optimizer, state.parameters)
        average = _averaged(state.average, parameters, numbers["ema_momentum"])
        if training.max_norm is not None:
            parameters = _bounded(parameters, numbers["max_norm"])
        return TrainingState(parameters, statistics, optimizer, average), sums

    order = drawn.order
    batches = order[: steps * batch_size].reshape(steps, batch_size)
    state, sums = jax.lax.scan(step, state, (jnp.arange(steps), batches))
    total = Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if left_over:
        state, last = step(state, (jnp.int32(steps), order[steps * batch_size :]))
        total = Sums(total.loss + last.loss, total.right + last.right)
    scored = functools.partial(score, network, training, numbers["objective"], state.shown)
    norms = measured(network, state.shown, images, labels, precision=training.precision)
    return state, (total, in_chunks(scored, validation_images, validation_labels)), norms


class _Mixed(NamedTuple):
    """The labels of the images that were mixed in, and the share of those they were mixed into."""

    labels: jax.Array
    share: jax.Array


class _Batch(NamedTuple):
    """Images `(n, pixels)` in [0, 255] and labels `(n,)`; with mixup, what else is in the images."""

    images: jax.Array
    labels: jax.Array
    mixed: _Mixed | None = None


def _augmented(
    augmentation: Augmentation,
    numbers: dict[str, Any],
    batch: _Batch,
    key: jax.Array,
    step: jax.Array,
    sizes: Sizes,
) -> _Batch:
    """Return `batch` as it is trained on at `step` of the whole training, from 0."""
    change_key, mix_key = jax.random.split(key)
    strength = augment.strength(numbers, step)
    images = augment.apply(
        augmentation,
        numbers,
        batch.images,
        batch.labels,
        key=change_key,
        strength=strength,
        image_shape=sizes.image_shape,
    )
    if not augmentation.mixup:
        return _Batch(images, batch.labels)
    images, share = augment.mixed(numbers, images, key=mix_key, strength=strength)
    return _Batch(images, batch.labels, _Mixed(jnp.roll(batch.labels, 1), share))


def _taught(network: Network, members: tuple[Parameters, ...], images: jax.Array, precision: str) -> jax.Array:
    """Return the mean over the teacher's members of the probabilities that they give `images`, `(classes, n)`."""
    answers = [
        jax.nn.softmax(networks.logits(network, member, images, precision=precision), axis=0) for member in members
    ]
    return jnp.mean(jnp.stack(answers), axis=0)


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


def score(
    network: Network,
    training: Training,
    numbers: dict[str, Any],
    parameters: Parameters,
    images: jax.Array,
    labels: jax.Array,
) -> Sums:
    """Return loss and right answers on images that are not trained on; the loss is the training's, as in Keras."""
    scores = networks.logits(network, parameters, images, precision=training.precision)
    losses = objective.losses(training, numbers, scores, labels, weighted=False)
    penalty = objective.penalty(training, numbers, parameters)
    return Sums(jnp.sum(losses) + labels.shape[0] * penalty, _right(scores, labels))


def in_chunks(score: Callable[[jax.Array, jax.Array], Sums], images: jax.Array, labels: jax.Array) -> Sums:
    """Return the sums over all images, taken a chunk at a time."""
    count = images.shape[0]
    chunks = count // VALIDATION_CHUNK
    whole = chunks * VALIDATION_CHUNK
    total = Sums(jnp.float32(0), jnp.int32(0))
    if chunks:
        sums = jax.lax.map(
            lambda chunk: score(*chunk),
            (
                images[:whole].reshape(chunks, VALIDATION_CHUNK, -1),
                labels[:whole].reshape(chunks, VALIDATION_CHUNK),
            ),
        )
        total = Sums(jnp.sum(sums.loss), jnp.sum(sums.right))
    if whole < count:
        rest = score(images[whole:], labels[whole:])
        total = Sums(total.loss + rest.loss, total.right + rest.right)
    return total
