"""The models finally chosen: what a study keeps of them, and the model that this makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.model import Model, View
from neurona.specs import Network, Training
from neurona.stats import Estimate, wilson_interval
from neurona.store import Store, champions, put_champion

__all__ = ["ChampionRecord", "Member", "assembled", "described", "keep", "records", "validated"]


@dataclass(frozen=True)
class Member:
    """One of the networks that answer together.

    runs: the ids of the runs that made it, one after the other; the last one's weights are its own.
    epochs: of each of these runs.
    sha256: of the last run's weights as they are kept.
    val_accuracy, val_loss: after the first run, which had not seen the validation images.
    """

    seed: int
    runs: tuple[str, ...]
    epochs: tuple[int, ...]
    sha256: str
    val_accuracy: float
    val_loss: float


@dataclass(frozen=True)
class ChampionRecord:
    """A champion as a study keeps it.

    options: what was asked for. plan: what was made of it.
    network, training: those of every member's first run.
    members: empty until all are trained; what follows is of no meaning before.
    metrics: `val_accuracy`, `val_loss` and `val_images`, of the members after their first runs, together.
    """

    name: str
    options: Mapping[str, Any]
    plan: Mapping[str, Any]
    network: Network
    training: Training
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]
    members: tuple[Member, ...] = ()
    temperature: float = 1.0
    views: tuple[View, ...] = (View(),)
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether it has been trained."""
        return bool(self.members)

    def declared(self) -> dict[str, Any]:
        """Return all but name and time as a JSON object."""
        about = {
            key: value for key, value in vars(self).items() if key in ("options", "plan", "temperature", "metrics")
        }
        return {
            **about,
            "network": self.network.declared(),
            "training": self.training.declared(),
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
            "members": [asdict(member) for member in self.members],
            "views": [asdict(view) for view in self.views],
            "versions": dict(self.versions),
        }

    @classmethod
    def read(cls, name: str, declared: Mapping[str, Any], created: float) -> Self:
        """Return the record of which `declared` is what `declared()` gave. Raises StoreError for anything else."""
        try:
            about = dict(declared)
            height, width = about.pop("image_shape")
            return cls(
                name=name,
                network=Network(**about.pop("network")),
                training=Training(**about.pop("training")),
                image_shape=(height, width),
                class_names=tuple(about.pop("class_names")),
                members=tuple(
                    Member(**{**each, "runs": tuple(each["runs"]), "epochs": tuple(each["epochs"])})
                    for each in about.pop("members")
                ),
                views=tuple(View(**each) for each in about.pop("views")),
                created=created,
                **about,
            )
        except (KeyError, TypeError, ValueError):
            raise StoreError(_("the record of the champion {name} cannot be read.").format(name=name)) from None


def records(store: Store) -> dict[str, ChampionRecord]:
    """Return the champions of a study by name, the first made first."""
    return {each.name: ChampionRecord.read(each.name, each.declared, each.created) for each in champions(store)}


def keep(store: Store, record: ChampionRecord) -> None:
    """Keep a champion, instead of the one that had its name."""
    put_champion(store, record.name, record.declared())


def assembled(store: Store, record: ChampionRecord) -> Model:
    """Return the model that a champion is. Raises StoreError when weights of its members are missing or damaged."""
    info = store.info
    return Model(
        record.network,
        tuple(store.weights(member.runs[-1]) for member in record.members),
        record.image_shape,
        record.class_names,
        temperature=record.temperature,
        views=record.views,
        training=record.training,
        dataset=str(info["dataset"]),
        fingerprint=str(info["fingerprint"]),
        metrics=record.metrics,
        saw_validation=any(len(member.runs) > 1 for member in record.members),
        versions=record.versions,
    )


def validated(record: ChampionRecord) -> Estimate:
    """Return a champion's accuracy on validation images, with Wilson's 95 % interval."""
    images = round(record.metrics["val_images"])
    return wilson_interval(round(record.metrics["val_accuracy"] * images), images)


def described(record: ChampionRecord, student: ChampionRecord | None = None) -> list[str]:
    """Return what a champion is and how good, a sentence each."""
    lines = [_made_of(record.network, record.training, record.members, record.plan["recipe"])]
    lines.append(_how_good(record))
    if len(record.members) > 1:
        accuracies = [100 * member.val_accuracy for member in record.members]
        sentence = _("Alone, before calibration and views, its members reach {least:.2f} to {most:.2f} %.")
        lines.append(sentence.format(least=min(accuracies), most=max(accuracies)))
    if any(len(member.runs) > 1 for member in record.members):
        lines.append(
            _(
                "Afterwards each member went on with training and validation images together (epochs: {epochs}); what "
                "that gains only the test set can tell."
            ).format(epochs=_span([member.epochs[-1] for member in record.members]))
        )
    if student is not None:
        sentence = _("The student {name}, {weights:,} weights, learned its answers.")
        weights = student.network.parameters(student.image_shape, len(student.class_names))
        lines.append(sentence.format(name=student.name, weights=weights) + " " + _how_good(student))
    return lines


def _made_of(network: Network, training: Training, members: tuple[Member, ...], recipe: str) -> str:
    sentence = _("{members} × {layers}, recipe {recipe}; epochs: {epochs}, batch size: {batch}.")
    return sentence.format(
        members=len(members),
        layers="-".join(map(str, network.hidden)) or _("no hidden layer"),
        recipe=recipe,
        epochs=_span([member.epochs[0] for member in members]),
        batch=training.batch_size,
    )


def _how_good(record: ChampionRecord) -> str:
    images = round(record.metrics["val_images"])
    wrong = images - round(record.metrics["val_accuracy"] * images)
    error = wilson_interval(wrong, images)
    sentence = _("On {images:,} validation images {wrong} are wrong: error {error:.2f} % ({low:.2f} to {high:.2f}).")
    values: Mapping[str, float] = {key: 100 * (getattr(error, key) or 0.0) for key in ("low", "high")}
    return sentence.format(images=images, wrong=wrong, error=100 * error.value, **values)


def _span(counts: list[int]) -> str:
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"
