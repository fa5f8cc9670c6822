"""A network to train in the page: what may be set up, within which bounds, and how it is written down elsewhere."""

from __future__ import annotations

import json
import re
import shlex
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator, model_validator

from neurona.data import Dataset
from neurona.engines import expected_seconds
from neurona.i18n import _
from neurona.specs import ACTIVATIONS, OPTIMIZERS, Augmentation, Experiment, Network, Optimizer, Spec, Training
from neurona.specs.spec import known_name
from neurona.web.endpoint import Refusal

__all__ = ["AUGMENTATIONS", "LIMITS", "Limits", "Setup", "Writings", "data_name", "learning_rates", "written"]

# What one may choose in the page -> what it is. Degrees, pixels and factors that leave a digit what it is.
AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "shift": Augmentation(translation=2.0),
    "turn": Augmentation(rotation=15.0),
    "all": Augmentation(rotation=10.0, scale=0.1, shear=5.0, translation=2.0),
}


class Limits(BaseModel):
    """The bounds of what is trained in the page, for all who share the server."""

    units: int = 512
    layers: int = 6
    epochs: int = 100
    learning_rate: float = 10.0
    dropout: float = 0.9
    seed: int = 99
    images: int = 100  # at least
    seconds: float = 120.0  # that a training may be expected to take


LIMITS = Limits()

Units = Annotated[int, Field(ge=1, le=LIMITS.units, strict=True)]


class Setup(Spec):
    """A network and its training, as they are set up in the page.

    hidden: units of each hidden layer.
    augmentation: a name of `AUGMENTATIONS`.
    images: training images, the first ones.
    """

    hidden: Annotated[tuple[Units, ...], Field(max_length=LIMITS.layers)] = (32,)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: Annotated[float, Field(gt=0.0, le=LIMITS.learning_rate)] = 0.001
    batch_size: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 50
    dropout: Annotated[float, Field(ge=0.0, le=LIMITS.dropout)] = 0.0
    augmentation: str = "none"
    images: Annotated[int, Field(ge=LIMITS.images, le=10_000_000, strict=True)] = 2_000
    epochs: Annotated[int, Field(ge=1, le=LIMITS.epochs, strict=True)] = 20
    seed: Annotated[int, Field(ge=0, le=LIMITS.seed, strict=True)] = 0

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str) -> str:
        return known_name(value, ACTIVATIONS)

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        return known_name(value, tuple(OPTIMIZERS))

    @field_validator("augmentation")
    @classmethod
    def _known_augmentation(cls, value: str) -> str:
        return known_name(value, tuple(AUGMENTATIONS))

    @model_validator(mode="after")
    def _can_be(self) -> Setup:
        self.experiment  # what it is made of has rules of its own  # noqa: B018
        return self

    @property
    def experiment(self) -> Experiment:
        """The network and the training."""
        return Experiment(
            name="attempt",
            network=Network(hidden=self.hidden, activation=self.activation, dropout=self.dropout),
            training=Training(
                optimizer=Optimizer(name=self.optimizer, learning_rate=self.learning_rate),
                batch_size=self.batch_size,
                epochs=self.epochs,
                augmentation=AUGMENTATIONS[self.augmentation],
            ),
        )

    def seconds(self, data: Dataset) -> float:
        """Return about how long its training takes with `data`, which has its images."""
        return expected_seconds(self.experiment, data)

    def check(self, data: Dataset, *, runs: int = 1) -> None:
        """Raise Refusal when `runs` trainings with `data`, which has its images, would take too long."""
        seconds = runs * self.seconds(data)
        if seconds > LIMITS.seconds:
            sentence = _(
                "this would take about {seconds:,.0f} seconds, and in the page a training may take {most:.0f}: "
                "use fewer epochs, fewer images, fewer units or a larger batch."
            )
            raise Refusal(400, sentence.format(seconds=seconds, most=LIMITS.seconds))


class Writings(BaseModel):
    """The same run, written down for elsewhere. `lab` is the command that runs `toml`."""

    command: str
    python: str
    toml: str
    lab: str


def learning_rates() -> dict[str, float]:
    """Return optimizer -> the learning rate that it has in Keras."""
    return {name: settings["learning_rate"] for name, settings in OPTIMIZERS.items()}


def data_name(data: Dataset, images: int) -> str:
    """Return how the first `images` of `data` are named; of a path the last part, which is all a reader may know."""
    source = data.origin.source if data.origin.named else re.split(r"[\\/]", data.origin.source)[-1]
    return source if data.origin.train is None and images == len(data.train) else f"{source}[:{images}]"


def written(setup: Setup, data: Dataset) -> Writings:
    """Return `setup` as a command, as Python and as a lab."""
    name = data_name(data, setup.images)
    return Writings(
        command=_command(setup, name),
        python=_python(setup, name),
        toml=_toml(setup, name),
        lab=f"neurona lab attempt.toml --seeds {setup.seed + 1}",
    )


def _augmentation(setup: Setup) -> dict[str, Any]:
    augmentation = AUGMENTATIONS[setup.augmentation]
    return {} if augmentation is None else augmentation.declared()


def _command(setup: Setup, name: str) -> str:
    words = ["neurona", "train", "--dataset", _quoted(name)]
    words += ["--hidden", ",".join(map(str, setup.hidden)) or '""']
    words += ["--activation", setup.activation, "--optimizer", setup.optimizer]
    words += ["--learning-rate", repr(setup.learning_rate), "--batch-size", str(setup.batch_size)]
    words += ["--epochs", str(setup.epochs), "--seed", str(setup.seed)]
    if setup.dropout:
        words += ["--set", f"network.dropout={setup.dropout}"]
    for key, value in _augmentation(setup).items():
        words += ["--set", f"training.augmentation.{key}={value}"]
    return " ".join(words)


def _quoted(name: str) -> str:
    """Return `name` for a command line: in double quotes, which every shell knows, where those do."""
    if re.fullmatch(r"[\w.-]+", name):
        return name
    return f'"{name}"' if re.fullmatch(r"[\w. \[\]:+-]+", name) else shlex.quote(name)


def _python(setup: Setup, name: str) -> str:
    dropout = f", dropout={setup.dropout}" if setup.dropout else ""
    settings = ", ".join(f"{key}={value}" for key, value in _augmentation(setup).items())
    augmentation = f"    augmentation=neurona.Augmentation({settings}),\n" if settings else ""
    return (
        "import neurona\n\n"
        f"data = neurona.load({json.dumps(name, ensure_ascii=False)})\n"
        f'network = neurona.Network(hidden={setup.hidden!r}, activation="{setup.activation}"{dropout})\n'
        "training = neurona.Training(\n"
        f'    optimizer=neurona.Optimizer(name="{setup.optimizer}", learning_rate={setup.learning_rate!r}),\n'
        f"    batch_size={setup.batch_size},\n"
        f"    epochs={setup.epochs},\n"
        f"{augmentation}"
        ")\n"
        f"run = neurona.train(network, training, data, seed={setup.seed})\n"
        "print(run.history)\n"
    )


def _toml(setup: Setup, name: str) -> str:
    """Return a lab: the page's own network to begin with as its baseline, and this one."""
    sentence = _("The experiment called attempt, with seed {seed}, is the page's run.")
    return (
        f"# {sentence.format(seed=setup.seed)}\n"
        f'[lab]\nname = "attempt"\ndataset = {json.dumps(name, ensure_ascii=False)}\n\n'
        f"[baseline]\n{_tables(Setup())}\n"
        f'[[experiment]]\nname = "attempt"\ngroup = "page"\n{_tables(setup)}'
    )


def _tables(setup: Setup) -> str:
    dropout = f"network.dropout = {setup.dropout}\n" if setup.dropout else ""
    settings = ", ".join(f"{key} = {value}" for key, value in _augmentation(setup).items())
    return (
        f"network.hidden = {list(setup.hidden)}\n"
        f'network.activation = "{setup.activation}"\n'
        f"{dropout}"
        f'training.optimizer = {{ name = "{setup.optimizer}", learning_rate = {setup.learning_rate!r} }}\n'
        f"training.batch_size = {setup.batch_size}\n"
        f"training.epochs = {setup.epochs}\n" + (f"training.augmentation = {{ {settings} }}\n" if settings else "")
    )
