"""The models finally chosen: what a study keeps of them, and the model that this makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.model import Model, View
from neurona.specs import Network, Training
from neurona.store import Store, champions, put_champion

__all__ = ["ChampionRecord", "Member", "assembled", "keep", "records"]


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
        versions=record.versions,
    )
