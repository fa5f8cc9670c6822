"""A study and its lab: what runs, what there is, and who asks for a comparison or for the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

from neurona.compute import HERE, LOCAL, Compute, computing
from neurona.data import Dataset, load
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.lab import LabSpec
from neurona.model import Model
from neurona.opening import Opening
from neurona.run import Norms, Parameters
from neurona.runner import Event, check_engines, run_tasks, tasks
from neurona.specs import did_you_mean
from neurona.store import (
    Merged,
    Provenance,
    Standing,
    Store,
    StoredExperiment,
    StoredRun,
    Task,
    merge,
    openings,
    remove,
    sqlite_url,
    standing,
    verify,
    write_archive,
)
from neurona.study.champions import ChampionRecord, assembled, records
from neurona.study.comparison import ExperimentRuns, rows
from neurona.study.pair import PairComparison, compare_engines, compare_pair
from neurona.study.rerun import Rerun, chosen, rerun
from neurona.study.seal import OpenedSeal, check_finalists, open_seal
from neurona.study.table import Comparison

__all__ = ["STUDIES", "Lab", "Study"]

STUDIES = Path("neurona-studies")  # where studies go unless said
STUDY_NAME = "study"  # what a study is called in the database of its own folder
SEARCH_GROUP = "search"  # the group of what a search has found, which the study keeps beside the lab's experiments
SEARCH_SEEDS = 2**30  # seeds from here on are a search's: with them it chose, so that no table counts them


class Study:
    """What a lab has produced, in one database. `Study.open` opens one that is there; `Lab.run` makes one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, folder: str | Path | None = None, *, url: str | None = None, name: str = "") -> Self:
        """Open the study in `folder`, or the study `name` in the database at `url`."""
        if url is not None:
            return cls(Store.open(url, study=name))
        folder = Path(folder or "")
        if not (folder / "study.db").is_file():
            raise UsageError(_("there is no study in the folder {folder}.").format(folder=folder))
        return cls(Store.open(sqlite_url(folder), study=STUDY_NAME))

    @property
    def place(self) -> str:
        """The URL of its database, without the password."""
        return self._store.database.shown

    @property
    def folder(self) -> Path | None:
        """The folder that its database is in; None for one on a server."""
        file = self._store.database.file
        return None if file is None else file.parent

    @property
    def store(self) -> Store:
        """Its part of the database."""
        return self._store

    @property
    def lab(self) -> str:
        """The name of the lab."""
        return str(self._store.info["lab"])

    @property
    def dataset(self) -> str:
        """The name or path of the data set."""
        return str(self._store.info["dataset"])

    @property
    def fingerprint(self) -> str:
        """The data set's fingerprint."""
        return str(self._store.info["fingerprint"])

    def runs(self, experiment: str) -> tuple[StoredRun, ...]:
        """Return the runs of the experiment called `experiment`, by seed."""
        for stored in self._store.experiments():
            if stored.experiment.name == experiment:
                return tuple(run for run in self._store.runs() if run.experiment == stored.experiment.id)
        raise UsageError(_("the study has no experiment {name!r}.").format(name=experiment))

    def experiments(self, *, seeds: int | None = None) -> tuple[ExperimentRuns, ...]:
        """Return every experiment with its runs that have ended, the baseline first.

        seeds: count those below it, and as pending those of them that are not there; all that are there unless said.
        """
        return tuple(self._family(seeds))

    def experiment(self, name: str) -> ExperimentRuns:
        """Return the experiment called `name` with its runs that have ended; UsageError where there is none."""
        return self._named(name, {runs.name: runs for runs in self._family(None)})

    def standing(self) -> tuple[Standing, ...]:
        """Return where each run stands, a search's left out: what may be asked every second while a lab runs."""
        return tuple(run for run in standing(self._store) if run.seed < SEARCH_SEEDS)

    def has_searches(self) -> bool:
        """Whether its database may hold searches: whether it has Optuna's tables."""
        return self._store.database.has_table("studies")

    def provenance(self) -> tuple[Provenance, ...]:
        """Return the libraries and machines with which the runs that have ended were made, the commonest first."""
        return self._store.provenance()

    def run_weights(self, run: str) -> Parameters:
        """Return the final parameters of the run with id `run`; StoreError when they are damaged or not there."""
        return self._store.weights(run)

    def run_norms(self, run: str) -> tuple[Norms, ...]:
        """Return the norms of the layers at the end of each epoch of a run; see `store.Store.norms`."""
        return self._store.norms(run)

    def run_versions(self, run: str) -> Mapping[str, str]:
        """Return the libraries (name -> version) with which the run with id `run` was made."""
        return self._store.versions(run)

    def weights(self, experiment: str, seed: int) -> Parameters:
        """Return the final parameters of one run: a dict of `kernel` and `bias` for each layer."""
        for run in self.runs(experiment):
            if run.seed == seed:
                return self._store.weights(run.id)
        raise UsageError(_("the experiment {name} has no run with seed {seed}.").format(name=experiment, seed=seed))

    def unfinished(self, wanted: Iterable[Task]) -> list[Task]:
        """Return those of `wanted` that are neither complete nor diverged."""
        return self._store.unfinished(wanted)

    def run(
        self,
        wanted: Iterable[Task],
        data: Dataset,
        *,
        workers: int | None = None,
        compute: Compute = HERE,
        on_event: Callable[[Event], None] = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do those of `wanted` that are unfinished; see `runner.run_tasks`."""
        run_tasks(wanted, data, self._store, workers=workers, compute=compute, on_event=on_event, stop=stop)

    def compare(self, *, seeds: int | None = None, only: Iterable[str] | None = None) -> Comparison:
        """Return the experiments beside each other.

        seeds: count those below it, and as pending those of them that are not there; all that are there unless said.
        only: names of the experiments wanted; the baseline is always there.
        """
        family = self._family(seeds)
        names = None if only is None else set(only)
        return Comparison(rows(family, names, self.classes(family)), len(self.openings()))

    def compare_pair(self, first: str, second: str, *, seeds: int | None = None) -> PairComparison:
        """Return the experiment called `first` against the one called `second`.

        seeds: count those below it; all that are there unless said.

        Raises UsageError when the study has no experiment of that name, or both are one.
        """
        if first == second:
            raise UsageError(_("two experiments are compared, but {name!r} was named twice.").format(name=first))
        family = {runs.name: runs for runs in self._family(seeds)}
        ours, theirs = self._named(first, family), self._named(second, family)
        table = self.compare(seeds=seeds, only=(first, second))
        return compare_pair(ours, theirs, (table[first], table[second]), self.classes([ours, theirs]))

    def compare_engines(
        self, *, seeds: int | None = None, only: Iterable[str] | None = None
    ) -> tuple[PairComparison, ...]:
        """Return each experiment that another engine than Neurona did against the one that Neurona did, if it did.

        seeds, only: as `compare` takes them. The correction is over all that the study has.
        """
        family = self._family(seeds)
        return compare_engines(family, self.compare(seeds=seeds, only=only).rows, self.classes(family))

    def open_seal(self, models: Iterable[str], reason: str, *, data: Dataset | None = None) -> OpenedSeal:
        """Test the experiments and champions called `models` on the test split, once and for good.

        Every run of an experiment that has ended is tested, and a champion as a whole. The opening is recorded in the
        study with time, user, models, `reason` and results; it can be repeated, which is recorded too. What is trained
        afterwards is marked.

        data: the study's data set; loaded from `self.dataset` unless given.

        Raises UsageError for a name that the study does not have, an experiment without a complete run or an empty
        reason, and DataError when the data are no longer those the study was made with.
        """
        finalists, champions = self.check_finalists(models, reason)
        return open_seal(self._store, finalists, data or load(self.dataset), reason, champions)

    def check_finalists(self, models: Iterable[str], reason: str) -> tuple[list[ExperimentRuns], list[ChampionRecord]]:
        """Return the runs and champions that `open_seal` would test.

        Raises UsageError where it would, but opens nothing.
        """
        family, chosen = {runs.name: runs for runs in self._family(None)}, self.champions()
        names = dict.fromkeys([models] if isinstance(models, str) else models)
        finalists = [self._named(name, family) for name in names if name not in chosen]
        champions = [chosen[name] for name in names if name in chosen]
        check_finalists(finalists, reason, champions)
        return finalists, champions

    def champions(self) -> dict[str, ChampionRecord]:
        """Return the models that `neurona best` has made, or is making, by name."""
        return records(self._store)

    def champion_model(self, name: str) -> Model:
        """Return the champion called `name`. Raises UsageError when there is none, or it is not trained to its end."""
        chosen = self.champions()
        if name not in chosen or not chosen[name].is_ready:
            sentence = _("the study has no champion {name!r} that is trained to its end; `neurona best` makes one.")
            raise UsageError(sentence.format(name=name) + did_you_mean(name, chosen))
        return assembled(self._store, chosen[name])

    def openings(self) -> tuple[Opening, ...]:
        """Return the records of the test set's openings, the first one first."""
        return openings(self._store)

    def verify(self) -> list[str]:
        """Read the whole study and return what is wrong with it, a sentence each; an empty list is right."""
        return verify(self._store)

    def drawn_to_rerun(self, count: int, *, seed: int) -> tuple[Task, ...]:
        """Return `count` runs of the lab's experiments that have ended, drawn by `seed`, for `rerun`.

        What another version of the engine made is left out: nothing here gives its bits. UsageError where none is left.
        """
        found = {
            run.id: Task(run.id, runs.stored.experiment, run.seed)
            for runs in self._family(None)
            for run in runs.ended.values()
        }
        return chosen(found, count, seed=seed)

    def rerun(
        self,
        tasks: Iterable[Task],
        data: Dataset | None = None,
        *,
        workers: int | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_variation: Callable[[Task, int, int], None] = lambda task, number, count: None,
    ) -> tuple[Rerun, ...]:
        """Train `tasks`, of `drawn_to_rerun`, again and return of each what is reproduced; the study stays as it is.

        data: the study's data set; loaded from `self.dataset` unless given. DataError when it is another.
        workers, on_event: as `run` takes them.
        on_variation: called with a task that was made elsewhere, how many of its variations have been trained here, and
            of how many.
        """
        return rerun(
            self._store,
            list(tasks),
            data or load(self.dataset),
            workers=workers,
            on_event=on_event,
            on_variation=on_variation,
        )

    def export(self, folder: str | Path) -> None:
        """Write the study into `folder` as CSV, JSON and safetensors; see `store.write_archive`."""
        write_archive(self._store, Path(folder))

    def merge(self, other: Study) -> Merged:
        """Copy the runs of `other` that have ended into this study; nothing is overwritten; see `store.merge`."""
        return merge(self._store, other._store)

    def remove(self) -> None:
        """Remove the study for good, and its file when nothing else is in it; StoreError while somebody runs it."""
        remove(self._store)

    def _family(self, seeds: int | None) -> list[ExperimentRuns]:
        """Return every experiment that is declared with its runs, the baseline first."""
        runs = {run.id: run for run in self._store.runs() if run.seed < SEARCH_SEEDS}
        count = seeds if seeds is not None else max((run.seed + 1 for run in runs.values()), default=0)
        fingerprint = self.fingerprint
        return [ExperimentRuns.find(stored, runs, range(count), fingerprint) for stored in self._store.experiments()]

    def classes(self, family: Iterable[ExperimentRuns]) -> int:
        """Return the number of classes, read off a diverged run; 1 where none is, as nothing is counted by it."""
        for runs in family:
            for run in runs.ended.values():
                if run.state == "diverged":
                    return self._store.weights(run.id)[-1]["kernel"].shape[1]
        return 1

    @staticmethod
    def _named(name: str, family: dict[str, ExperimentRuns]) -> ExperimentRuns:
        if name not in family:
            sentence = _("the study has no experiment {name!r}.").format(name=name)
            raise UsageError(sentence + did_you_mean(name, family))
        return family[name]

    def _repr_html_(self) -> str:
        return self.compare()._repr_html_()

    def __repr__(self) -> str:
        return f"Study({self.lab} on {self.dataset})\n{self.compare()!r}"


class Lab(LabSpec):
    """A lab that can run: `Lab.load("mnist-dnn").run(seeds=5)` gives a `Study`."""

    def run(
        self,
        *,
        seeds: int = 5,
        only: Iterable[str] = (),
        data: Dataset | None = None,
        study: str | Path | None = None,
        url: str | None = None,
        workers: int | None = None,
        on: str | Compute = LOCAL,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Study:
        """Train every experiment with the seeds 0 to `seeds` - 1, those that the study lacks, and return the study.

        only: patterns of names or groups, such as `width-*`; the baseline always runs.
        data: the data set; loaded from `self.dataset` unless given.
        study: its folder, `neurona-studies/<lab>` unless given; with `url`, its name in that database.
        workers: runs at a time, as many as cores unless given.
        on: where they are trained: `local`, `ray`, `auto`, `ray://host:port`, `host:port`; see `compute.computing`.
        on_event: called with each `runner.Event`, in this thread.
        """
        if seeds < 1:
            raise UsageError(_("seeds must be at least 1, but is {seeds}.").format(seeds=seeds))
        chosen = self.chosen(only)
        data = data or load(self.dataset)
        wanted = tasks(chosen, seeds, data.fingerprint)
        check_engines(wanted)
        opened = self.open_study(data, study=study, url=url)
        with computing(on, workers=workers) as compute:
            opened.run(wanted, data, workers=workers, compute=compute, on_event=on_event)
        return opened

    def open_study(self, data: Dataset, *, study: str | Path | None = None, url: str | None = None) -> Study:
        """Return this lab's study on `data`, made if need be, with this lab's experiments declared in it.

        What a search has found stays declared too.
        """
        if url is None:
            url, name = sqlite_url(Path(study or STUDIES / self.name)), STUDY_NAME
        else:
            name = str(study or self.name)
        store = Store.open(url, study=name, lab=self.name, dataset=self.dataset, fingerprint=data.fingerprint)
        classes = len(data.class_names)
        declared = [StoredExperiment(e, e.network.parameters(data.image_shape, classes)) for e in self.experiments]
        names = {stored.experiment.name for stored in declared}
        found = [stored for stored in store.experiments() if stored.experiment.group == SEARCH_GROUP]
        store.declare([*declared, *(stored for stored in found if stored.experiment.name not in names)])
        return Study(store)
