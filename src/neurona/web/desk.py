"""What the server works with: its settings, the study, the data, the models and what is under way."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request

from neurona.data import Dataset, load
from neurona.errors import DataError, DownloadError
from neurona.figures import study_data
from neurona.i18n import _
from neurona.machine import cores
from neurona.study import STUDIES
from neurona.web.album import Album
from neurona.web.attempts import Attempts
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Jobs
from neurona.web.lab import LabRuns, Studies
from neurona.web.models import Shelf
from neurona.web.neighbours import Neighbours

if TYPE_CHECKING:
    from neurona.study import Study

__all__ = ["Desk", "Settings", "desk"]

_log = logging.getLogger("neurona.web")


@dataclass(frozen=True)
class Settings:
    """What `neurona serve` was asked for.

    study: whose models are offered, and in which drawings are kept.
    models: files of models, or their addresses.
    host, port: where it listens.
    token: what a reader must know; None on loopback, where only this machine's users are.
    workers: trainings that run at a time; one core stays for answers.
    studies: the folder whose studies are shown, and in which labs that are started put theirs.
    labs: files of labs that may be started, beside the built-in ones.
    language: of the page, for who has not chosen one in it; None for the browser's.
    """

    study: Study | None = None
    models: tuple[str | Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    workers: int = field(default_factory=lambda: max(1, cores() - 1))
    studies: Path = STUDIES
    labs: tuple[Path, ...] = ()
    language: str | None = None


class Desk:
    """What the tabs share. `desk(request)` gives it.

    jobs: what is trained in the background.
    models: the models on offer.
    album: the reader's own drawings.
    attempts: the networks that are trained in the page.
    studies: the studies that can be looked at.
    labs: the labs that can be started, and the one that runs.
    followers: how many streams follow a study.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.jobs = Jobs(workers=settings.workers)
        self._data: Dataset | None = None
        self._neighbours: Neighbours | None = None
        self._lock = threading.Lock()
        self.models = Shelf(settings.study, settings.models, self.data, self.jobs)
        self.album = Album(settings.study, self.data)
        self.attempts = Attempts(self.data)
        self.studies = Studies(settings.studies, settings.study)
        self.labs = LabRuns(self.studies, settings.labs)
        self.followers = 0

    @property
    def study(self) -> Study | None:
        """The study that is served, if any."""
        return self.settings.study

    def data(self) -> Dataset:
        """Return the study's data set, or MNIST; it is read once. Refusal (503) where it is not here any more."""
        with self._lock:
            if self._data is None:
                try:
                    self._data = study_data(self.study) if self.study is not None else load("mnist")
                except (DataError, DownloadError) as error:
                    _log.error("%s", error)
                    sentence = _("the study's data set is not here, or has changed; the terminal says more.")
                    raise Refusal(503, sentence) from None
            return self._data

    def neighbours(self) -> Neighbours:
        """Return the index of the training images, which is made at the first question."""
        data = self.data()
        with self._lock:
            if self._neighbours is None:
                self._neighbours = Neighbours(data.train)
            return self._neighbours

    def close(self, seconds: float) -> bool:
        """Stop what is under way; return whether all of it had ended after `seconds`."""
        ended = [self.jobs.close(seconds), self.labs.close(seconds)]
        if all(ended):
            self.studies.close()
        return all(ended)


def desk(request: Request) -> Desk:
    """Return what the server works with."""
    found = request.app.state.desk
    assert isinstance(found, Desk)  # noqa: S101
    return found
