"""Labs that run from the page: one at a time, bounded, paused at the end of an epoch and resumed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from neurona.data import Dataset, load
from neurona.engine import Interrupted, workers_here
from neurona.engines import expected_seconds
from neurona.i18n import _
from neurona.lab import built_in_labs
from neurona.run import run_id
from neurona.runner import EpochEnded, Event, RunEnded, RunFailed, RunStarted, tasks
from neurona.specs import Experiment, Spec
from neurona.store import Task
from neurona.study import SEARCH_GROUP, Lab, Study
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job, Jobs
from neurona.web.lab.studies import Studies

__all__ = ["MOST_EPOCHS", "MOST_RUNS", "MOST_SEEDS", "LabOrder", "LabRuns", "UnderWay"]

MOST_SEEDS, MOST_EPOCHS, MOST_RUNS = 20, 50, 500  # of a lab that runs from the page; the terminal has no such bounds
DEFAULT_SEEDS = 5
_FOLDERS = 20  # studies of one lab, each declared in another way

Seeds = Annotated[int, Field(strict=True, ge=1, le=MOST_SEEDS)]
Epochs = Annotated[int, Field(strict=True, ge=1, le=MOST_EPOCHS)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class LabOrder(Spec):
    """What is to run: a lab, or what an existing study of one declares; the baseline runs with all of it.

    groups: of its experiments; all for none.
    epochs: of every run, instead of the lab's; a study keeps its own.
    """

    lab: Name | None = None
    study: Name | None = None
    groups: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    seeds: Seeds = DEFAULT_SEEDS
    epochs: Epochs | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.lab is None) == (self.study is None):
            raise ValueError(_("either a lab or a study must be named."))
        if self.study is not None and self.epochs is not None:
            raise ValueError(_("the epochs of a study are those it has."))
        return self


@dataclass
class UnderWay:
    """A lab that runs here. running: (experiment's id, seed) -> epochs done, and the last one's validation accuracy."""

    study: str
    job: Job = field(init=False)
    running: dict[tuple[str, int], tuple[int, float | None]] = field(default_factory=dict)
    began: float = 0.0
    expected: float = 0.0  # seconds on one core, by the runner's rough figures
    expected_done: float = 0.0

    def seconds_left(self) -> float | None:
        """Return a guess of how long it still takes; None while there is nothing to guess from."""
        part = self.expected_done / self.expected if self.expected else 0.0
        return (time.monotonic() - self.began) * (1 - part) / part if part > 0.01 else None


class LabRuns:
    """Starts, pauses and resumes labs.

    files: of labs that may be started beside the built-in ones; the page knows them by their names.
    """

    def __init__(self, studies: Studies, files: Sequence[Path] = ()) -> None:
        self._studies = studies
        self._labs = {name: Lab.load(name) for name in built_in_labs()}
        self._labs |= {lab.name: lab for lab in map(Lab.load, files)}
        self._jobs = Jobs(workers=1)
        self._under_way: UnderWay | None = None
        self._lock = threading.Lock()

    def labs(self) -> tuple[Lab, ...]:
        """Return the labs that may be started; one that has only a search is not among them."""
        return tuple(lab for lab in self._labs.values() if len(lab.experiments) > 1)

    def lab(self, name: str) -> Lab:
        """Return the lab called `name`; Refusal (404) when there is none."""
        for lab in self.labs():
            if lab.name == name:
                return lab
        raise Refusal(404, _("there is no lab {name!r} here.").format(name=name[:64]))

    @property
    def under_way(self) -> UnderWay | None:
        """What runs here now."""
        found = self._under_way
        return None if found is None or found.job.ended else found

    def start(self, order: LabOrder, client: str) -> UnderWay:
        """Run a lab, or some of its groups, into its study, which is made if need be.

        Raises Refusal (404) for what is not there, (409) while another lab runs, (400) for too many runs.
        """
        with self._one_at_a_time():
            if order.study is not None:
                name, study = order.study, self._studies.get(order.study)
                declared = [stored.experiment for stored in study.store.experiments()]
                chosen = _chosen(declared, order)
                data = self._studies.data(study)
            else:
                lab = self.lab(order.lab or "")
                lab = lab if order.epochs is None else lab.with_epochs(order.epochs)
                chosen = _chosen(lab.experiments, order)
                name = self._folder(lab)
                if name in self._studies.names():
                    study = self._studies.get(name)
                    data = self._studies.data(study)
                else:
                    data = load(lab.dataset)
                    study = lab.open_study(data, study=self._studies.root / name)
            return self._begin(name, client, study, data, tasks(chosen, order.seeds, data.fingerprint))

    def resume(self, name: str, client: str) -> UnderWay:
        """Run what the study called `name` lacks of what was planned.

        Raises Refusal (404) when there is no such study, (409) while another lab runs, (400) for a run longer than
        those that start from the page.
        """
        study = self._studies.get(name)
        with self._one_at_a_time():
            left = self.left_of(study)
            if not left:
                raise Refusal(409, _("the study {name} has nothing left to run.").format(name=name))
            _check_bounds([task.experiment for task in left], 1)
            return self._begin(name, client, study, self._studies.data(study), left)

    @staticmethod
    def left_of(study: Study) -> list[Task]:
        """Return the runs that the study has planned, or tried, and not finished."""
        states = {(run.experiment, run.seed): run.state for run in study.standing()}
        experiments = {runs.experiment.id: runs.experiment for runs in reversed(study.store.experiments())}
        fingerprint = study.fingerprint
        return [
            Task(run_id(e.network, e.training, fingerprint, seed, engine=e.engine), e, seed)
            for (identity, seed), state in states.items()
            if state not in ("complete", "diverged") and (e := experiments.get(identity)) and e.group != SEARCH_GROUP
        ]

    def pause(self, name: str) -> None:
        """Let the runs in flight stop at the end of their epoch; Refusal (409) when the study does not run here."""
        found = self.under_way
        if found is None or found.study != name:
            raise Refusal(409, _("the study {name} does not run from this page.").format(name=name[:64]))
        found.job.stop()

    def close(self, seconds: float) -> bool:
        """Stop; return whether it had ended after `seconds`."""
        return self._jobs.close(seconds)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with self._lock:
            if self.under_way is not None:
                sentence = _("the study {name} runs already, and one at a time does; pause it, or wait until it ends.")
                raise Refusal(409, sentence.format(name=self.under_way.study))
            yield

    def _begin(self, name: str, client: str, study: Study, data: Dataset, wanted: list[Task]) -> UnderWay:
        found = UnderWay(name)
        study.store.plan(wanted)  # here, so that whoever asks next sees it
        found.job = self._jobs.start("lab", client, lambda job: self._run(found, job, study, data, wanted))
        self._under_way = found
        return found

    def _folder(self, lab: Lab) -> str:
        """Return the name of the study that has this lab as it is declared, or of the one to be made."""
        wanted = {(experiment.name, experiment.id) for experiment in lab.experiments}
        names = self._studies.names()
        candidates = [lab.name, *(f"{lab.name}-{number}" for number in range(2, _FOLDERS + 1))]
        given = self._studies.given
        for name in [*([given] if given else []), *candidates]:
            if name not in names:
                return name
            study = self._studies.get(name)
            declared = {(stored.experiment.name, stored.experiment.id) for stored in study.store.experiments()}
            if study.lab == lab.name and wanted <= declared:
                return name
        raise Refusal(409, _("there are too many studies of the lab {lab} already.").format(lab=lab.name))

    @staticmethod
    def _run(found: UnderWay, job: Job, study: Study, data: Dataset, wanted: list[Task]) -> None:
        unfinished = study.unfinished(wanted)
        found.expected = sum(expected_seconds(task.experiment, data) for task in unfinished)
        found.began = time.monotonic()

        def take(event: Event) -> None:
            experiment, key = event.task.experiment, (event.task.experiment.id, event.task.seed)
            if isinstance(event, RunStarted):
                found.running[key] = (0, None)
            elif isinstance(event, EpochEnded):
                found.running[key] = (event.number, event.epoch.val_accuracy)
                found.expected_done += expected_seconds(experiment, data) / experiment.training.epochs
            elif isinstance(event, RunEnded | RunFailed):
                found.running.pop(key, None)

        try:
            # A core is left to those who draw and look.
            study.run(wanted, data, workers=max(1, workers_here() - 1), on_event=take, stop=job.asked_to_stop)
        except Interrupted:
            pass
        finally:
            found.running.clear()


def _chosen(declared: Sequence[Experiment], order: LabOrder) -> list[Experiment]:
    """Return the baseline and the experiments of the groups that were ordered, if they are not too many."""
    groups = {experiment.group for experiment in declared[1:]} - {SEARCH_GROUP}
    for group in order.groups:
        if group not in groups:
            raise Refusal(404, _("there is no group {group!r} here.").format(group=group))
    chosen = [declared[0], *(e for e in declared[1:] if e.group in (order.groups or groups))]
    _check_bounds(chosen, order.seeds)
    return chosen


def _check_bounds(experiments: Sequence[Experiment], seeds: int) -> None:
    """Raise Refusal when these are more, or longer, runs than may start from the page."""
    longest = max(experiment.training.epochs for experiment in experiments)
    if longest > MOST_EPOCHS:
        sentence = _("a lab that runs from the page may have {most} epochs at most, but this has {count}.")
        raise Refusal(400, sentence.format(most=MOST_EPOCHS, count=longest))
    if len(experiments) * seeds > MOST_RUNS:
        raise _too_many(len(experiments) * seeds)


def _too_many(count: int) -> Refusal:
    sentence = _("a lab that runs from the page may have {most} runs at most, but this has {count}.")
    return Refusal(400, sentence.format(most=MOST_RUNS, count=count))
