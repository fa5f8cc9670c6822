"""The models on offer: of files, of a study, trained here."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neurona.data import Dataset
from neurona.i18n import _
from neurona.model import Model, load_model
from neurona.study import model_of
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job, Jobs

if TYPE_CHECKING:
    from neurona.study import Study

__all__ = ["BASELINE", "Offer", "Shelf", "Source"]

Source = Literal["baseline", "experiment", "champion", "file", "trained"]

BASELINE = "baseline"
MOST_TRAINED = 64  # models trained in the page that are kept; the oldest goes first
_FRESH_SECONDS = 5.0  # for which what the study holds is not asked again
_LOADED = 16  # models of a study that are held in memory


@dataclass(frozen=True)
class Offer:
    """A model that can be chosen.

    id: as it stands in addresses.
    name: as it is shown; an experiment's, a file's, or what it was made of.
    source: where it is from.
    load: returns it.
    """

    id: str
    name: str
    source: Source
    load: Callable[[], Model]


class Shelf:
    """The models on offer, the best of them first.

    Without a study and without files, the baseline is trained at start: `training` is the job.
    """

    def __init__(
        self, study: Study | None, files: tuple[str | Path, ...], data: Callable[[], Dataset], jobs: Jobs
    ) -> None:
        self._study, self._data, self._jobs = study, data, jobs
        self._files = tuple(_of_file(number, path) for number, path in enumerate(files, 1))
        self._trained: dict[str, Offer] = {}
        self._found: tuple[float, tuple[Offer, ...]] = (-math.inf, ())  # when the study was last asked, and for what
        self._lock = threading.Lock()
        self._of_run = functools.lru_cache(maxsize=_LOADED)(self._model_of_run)
        self._of_champion = functools.lru_cache(maxsize=_LOADED)(self._model_of_champion)
        self.training: Job | None = None

    def start(self) -> None:
        """Train the baseline where nothing else is offered."""
        if not self._files and not any(self._of_study()):
            self.training = self._jobs.start("baseline", "", self._train_baseline)

    def offers(self) -> tuple[Offer, ...]:
        """Return what is on offer: files, the study's, those trained here, in this order."""
        with self._lock:
            trained = tuple(self._trained.values())
            if time.monotonic() > self._found[0] + _FRESH_SECONDS:
                self._found = (time.monotonic(), tuple(self._of_study()))
            return (*self._files, *self._found[1], *trained)

    def model(self, offer_id: str) -> Model:
        """Return the model with this id; Refusal (404) where none is."""
        for offer in self.offers():
            if offer.id == offer_id:
                return offer.load()
        raise Refusal(404, _("there is no model {name!r} here.").format(name=offer_id[:64]))

    def add(self, offer_id: str, name: str, model: Model, source: Source = "trained") -> Offer:
        """Offer a model that was trained here."""
        offer = Offer(offer_id, name, source, lambda: model)
        with self._lock:
            self._trained[offer_id] = offer
            spare = [key for key in self._trained if key != BASELINE]
            if len(spare) > MOST_TRAINED:
                del self._trained[spare[0]]
        return offer

    def _of_study(self) -> Iterator[Offer]:
        yield from self._champions()
        yield from self._experiments()

    def _champions(self) -> Iterator[Offer]:
        """Yield the study's champions that are trained to their end, the newest first."""
        if self._study is None:
            return
        for record in sorted(self._study.champions().values(), key=lambda record: -record.created):
            if record.is_ready:
                load = functools.partial(self._of_champion, record.name, record.created)
                yield Offer(f"champion-{record.name}", record.name, "champion", load)

    def _experiments(self) -> Iterator[Offer]:
        """Yield the run of each experiment with the highest validation accuracy, the best experiment first."""
        if self._study is None:
            return
        best = []
        for runs in self._study.experiments():
            done = [seed for seed, run in runs.ended.items() if run.state == "complete"]
            if done:
                seed = max(done, key=lambda seed: (runs.kept(seed).val_accuracy, -seed))
                best.append((runs.kept(seed).val_accuracy, runs.name, seed))
        for _accuracy, name, seed in sorted(best, key=lambda one: -one[0]):
            yield Offer(f"experiment-{name}", name, "experiment", functools.partial(self._of_run, name, seed))

    def _model_of_run(self, name: str, _seed: int) -> Model:
        assert self._study is not None  # noqa: S101 - it has offered the run
        return model_of(self._study, name, data=self._data())

    def _model_of_champion(self, name: str, _created: float) -> Model:
        assert self._study is not None  # noqa: S101 - it has offered the champion
        return self._study.champion_model(name)

    def _train_baseline(self, job: Job) -> str:
        from neurona.engine import train
        from neurona.lab import LabSpec

        data, baseline = self._data(), LabSpec.load("mnist-dnn").baseline
        epochs = baseline.training.epochs
        job.tell("started", epochs=epochs)
        run = train(
            baseline.network,
            baseline.training,
            data,
            seed=0,
            on_epoch=lambda number, epoch: job.tell(
                "epoch", number=number, epochs=epochs, val_accuracy=epoch.val_accuracy
            ),
            stop=job.asked_to_stop,
        )
        self.add(BASELINE, BASELINE, Model.of(run, data), "baseline")
        return BASELINE


def _of_file(number: int, path: str | Path) -> Offer:
    model = load_model(path)
    return Offer(f"file-{number}", Path(path).stem, "file", lambda: model)
