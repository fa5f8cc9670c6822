"""The tab to play in: a small network that is set up and trained live."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.requests import Request

from neurona.i18n import _
from neurona.specs import ACTIVATIONS, Spec
from neurona.web.attempts import SEEDS, Attempts
from neurona.web.desk import desk
from neurona.web.endpoint import Endpoint
from neurona.web.jobs import client_of
from neurona.web.setup import AUGMENTATIONS, LIMITS, Limits, Setup, Writings, learning_rates, written

__all__ = ["ENDPOINTS", "title", "words"]

_IMAGES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_PATIENCE = 20.0  # seconds without a page that follows; a page that lost its connection comes back sooner


class ShownProbe(BaseModel):
    """A validation image whose answer is followed: its class, and its pixels row by row in base 64."""

    name: str
    label: int
    pixels: str


class Playground(BaseModel):
    """What may be set up, and what is looked at meanwhile."""

    dataset: str
    start: Setup
    limits: Limits
    activations: list[str]
    optimizers: dict[str, float]
    augmentations: list[str]
    images: list[int]
    batches: int
    image_shape: tuple[int, int]
    class_names: list[str]
    probes: list[ShownProbe]
    seeds: int


class Described(BaseModel):
    """What a setup amounts to: weights, steps an epoch, about how many seconds; and the same run for elsewhere."""

    parameters: int
    steps: int
    seconds: float
    written: Writings


class Asked(Spec):
    """A training from the end of epoch `start` to that of `until`, `pace` epochs a second at most; 0 for full speed."""

    setup: Setup
    start: Annotated[int, Field(ge=0, le=LIMITS.epochs, strict=True)] = 0
    until: Annotated[int, Field(ge=1, le=LIMITS.epochs, strict=True)] = LIMITS.epochs
    pace: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0


class Pair(Spec):
    """Two setups to compare."""

    first: Setup
    second: Setup


class Started(BaseModel):
    """The id of what was started."""

    job: str


def _attempts(request: Request) -> Attempts:
    return desk(request).attempts


def _playground(request: Request) -> Playground:
    data, attempts = desk(request).data(), _attempts(request)
    most = len(data.train)
    images = [count for count in _IMAGES if count < most] + [most]
    probes = [
        ShownProbe(
            name=data.class_names[probe.label],
            label=probe.label,
            pixels=base64.b64encode(data.validation.images[probe.index].tobytes()).decode("ascii"),
        )
        for probe in attempts.probes()
    ]
    start = Setup()
    return Playground(
        dataset=data.name,
        start=start if start.images in images else start.replace(images=most),
        limits=LIMITS,
        activations=list(ACTIVATIONS),
        optimizers=learning_rates(),
        augmentations=list(AUGMENTATIONS),
        images=images,
        batches=10_000,
        image_shape=data.image_shape,
        class_names=list(data.class_names),
        probes=probes,
        seeds=SEEDS,
    )


def _describe(request: Request, setup: Setup) -> Described:
    data = _attempts(request).data(setup.images)
    whole = desk(request).data()
    network = setup.experiment.network
    setup.check(data)
    return Described(
        parameters=network.parameters(data.image_shape, data.classes),
        steps=-(-len(data.train) // setup.batch_size),
        seconds=setup.seconds(data),
        written=written(setup, whole),
    )


def _train(request: Request, asked: Asked) -> Started:
    attempts = _attempts(request)
    asked.setup.check(attempts.data(asked.setup.images))
    job = desk(request).jobs.start(
        "play",
        client_of(request),
        lambda job: attempts.train(job, asked.setup, start=asked.start, until=asked.until, pace=asked.pace),
        patience=_PATIENCE,
        seconds=2 * LIMITS.seconds,
    )
    return Started(job=job.id)


def _compare(request: Request, pair: Pair) -> Started:
    attempts = _attempts(request)
    for setup in (pair.first, pair.second):
        setup.check(attempts.data(setup.images), runs=SEEDS)
    job = desk(request).jobs.start(
        "compare",
        client_of(request),
        lambda job: attempts.compare(job, pair.first, pair.second),
        patience=_PATIENCE,
        seconds=3 * LIMITS.seconds,
    )
    return Started(job=job.id)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/play", _playground, "What may be set up and trained in the page.", gives=Playground),
    Endpoint(
        "POST",
        "/api/play/describe",
        _describe,
        "A setup: its size, and the same run as a command, as Python and as a lab.",
        takes=Setup,
        gives=Described,
    ),
    Endpoint(
        "POST",
        "/api/play/train",
        _train,
        "Train a setup, or let it go on; `/api/jobs/{job}/events` tells `epoch` and `weights`.",
        takes=Asked,
        gives=Started,
        statuses=(409, 503),
    ),
    Endpoint(
        "POST",
        "/api/play/compare",
        _compare,
        "Train two setups with five seeds each; the job's result says what may be said.",
        takes=Pair,
        gives=Started,
        statuses=(409, 503),
    ),
)


def title() -> str:
    """Return what the tab is called."""
    return _("Play")


def words() -> dict[str, str]:
    """Return the sentences of `play.js`."""
    return {
        "heading": _("Train a network and watch it learn"),
        "lead": _("Set up a small network, press Train, and see what changes from epoch to epoch."),
        "given": _("This page was set up for you. What has a padlock is fixed."),
        # The setup
        "setup": _("Set up"),
        "network": _("Network"),
        "training": _("Training"),
        "images_group": _("Images"),
        "hidden": _("Hidden layers"),
        "hidden_layer": _("Units of hidden layer {number}"),
        "add_layer": _("Add a layer"),
        "remove_layer": _("Remove hidden layer {number}"),
        "no_hidden": _("No hidden layer: each class has one image of weights."),
        "activation": _("Activation"),
        "dropout": _("Dropout"),
        "optimizer": _("Optimizer"),
        "learning_rate": _("Learning rate"),
        "batch_size": _("Batch size"),
        "epochs": _("Epochs"),
        "seed": _("Seed"),
        "next_seed": _("Next seed"),
        "images": _("Training images"),
        "augmentation": _("Random changes"),
        "augmentation_none": _("none"),
        "augmentation_shift": _("shifted"),
        "augmentation_turn": _("turned"),
        "augmentation_all": _("shifted, turned, scaled, slanted"),
        "size": _("{parameters} weights, {steps} steps an epoch, about {seconds} s of computing"),
        "size_short": _("{parameters} weights, {steps} steps an epoch, less than 1 s of computing"),
        "diagram": _("The network: {layers} units from the image to the answer"),
        "pause_to_change": _("Pause to change something."),
        # Running it
        "train": _("Train"),
        "go_on": _("Go on"),
        "pause": _("Pause"),
        "step": _("One epoch"),
        "reset": _("Reset"),
        "speed": _("Speed"),
        "speed_slow": _("slow"),
        "speed_watch": _("to watch"),
        "speed_fast": _("full"),
        "ready": _("Ready: nothing is learnt yet."),
        "starting": _("One moment: the network is being made."),
        "waiting": _("Others are training; yours comes next."),
        "waiting_ahead": _("Others are training; {ahead} come before you."),
        "running": _("Epoch {number} of {epochs}: {accuracy} of the validation images right."),
        "paused": _("Paused after epoch {number} of {epochs}: {accuracy} right."),
        "ended": _("Trained for {epochs} epochs: {accuracy} of the validation images right."),
        "diverged": _(
            "Diverged in epoch {number}: the loss is no longer a finite number. Try a smaller learning rate."
        ),
        "failed": _("It could not be trained: {sentence}"),
        # What is seen
        "loss": _("Loss"),
        "accuracy": _("Accuracy"),
        "validation": _("validation"),
        "training_images": _("training"),
        "previous_validation": _("validation, previous attempt"),
        "previous_training": _("training, previous attempt"),
        "epoch": _("epoch"),
        "chart": _("{name} by epoch. Last: validation {validation}, training {training}."),
        "chart_empty": _("{name} by epoch; nothing is trained yet."),
        "train_accuracy": _("training accuracy"),
        "train_loss": _("training loss"),
        "figures": _("The figures, epoch by epoch"),
        "val_loss": _("validation loss"),
        "val_accuracy": _("validation accuracy"),
        "weights": _("What the first layer looks for"),
        "weights_lead": _(
            "Each picture is one unit: ink where it is orange speaks for it, ink where it is blue against it."
        ),
        "weights_some": _("{shown} of {units} units are shown."),
        "weights_label": _("Weights of {units} units of the first layer after epoch {number}"),
        "weights_empty": _("They appear when you press Train."),
        "confidence": _("How sure it is"),
        "confidence_lead": _(
            "Validation images, the first of each class; it never trains on them. Each bar is the probability of a "
            "class, the green one that of the right class."
        ),
        "confidence_says": _("A {name}: the network says {answer}, {share} sure."),
        "confidence_nothing": _("A {name}: not asked yet."),
        # Comparing
        "compare": _("Against the previous attempt"),
        "compare_empty": _("Train, change something, and train again: both attempts will stand here side by side."),
        "previous": _("previous"),
        "current": _("this one"),
        "weights_count": _("weights"),
        "one_seed": _(
            "One seed is no verdict: with other initial weights and another order of the images it might be the other "
            "way round."
        ),
        "same_setup": _("Both are set up alike, so they are the same run."),
        "compare_seeds": _("Train both with {seeds} seeds"),
        "comparing": _("{done} of {all} trained"),
        "stop": _("Stop"),
        "compared": _(
            "Validation accuracy over {seeds} seeds: {first} before, {second} now, a difference of {difference}."
        ),
        "compared_points": _("{value} points"),
        "compared_label": _("Validation accuracy of each seed: a dot is a run"),
        # Sharing
        "share": _("Take it with you"),
        "share_lead": _("The same run, to the last digit, elsewhere."),
        "as_link": _("Link"),
        "as_command": _("Command"),
        "as_python": _("Python"),
        "as_toml": _("Lab (TOML)"),
        "toml_note": _("Save it as attempt.toml and run: {command}"),
        "copy": _("Copy"),
        "copied": _("Copied."),
        "not_copied": _("The browser does not allow it: select the text and copy it."),
        "locks": _("Fix settings for whoever opens the link"),
        "lock": _("Fix: {name}"),
        "locked": _("fixed"),
    }
