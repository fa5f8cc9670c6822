"""A study: what a lab has produced, and the comparison of its experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

from neurona.data import Dataset, load
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.lab import BASELINE, LabSpec, differences
from neurona.run import Parameters, run_id
from neurona.runner import Event, run_tasks, tasks
from neurona.specs import Experiment
from neurona.stats import Interval, PairedDifference, mean_interval, paired_difference
from neurona.store import Store, StoredExperiment, StoredRun, Task, sqlite_url

__all__ = ["STUDIES", "Comparison", "Counts", "Lab", "Row", "Study"]

STUDIES = Path("neurona-studies")  # where studies go unless said


@dataclass(frozen=True)
class Counts:
    """How many of an experiment's runs are in each state."""

    completed: int
    diverged: int
    failed: int
    pending: int


@dataclass(frozen=True)
class Row:
    """One experiment in a comparison; figures are of the last epoch on the validation split.

    val_accuracy, val_loss: one value a seed that has ended, in the order of `seeds`. A diverged run counts with the
        accuracy that it has, and its loss is NaN.
    difference: validation accuracy minus the baseline's over the seeds that both have; None for the baseline.
    seconds_per_run: mean wall time of training, None while there is no run.
    """

    experiment: Experiment
    differences: dict[str, Any]
    parameters: int
    runs: Counts
    seeds: tuple[int, ...]
    val_accuracy: tuple[float, ...]
    val_loss: tuple[float, ...]
    accuracy_interval: Interval | None
    loss_interval: Interval | None
    difference: PairedDifference | None
    seconds_per_run: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {
            "name": self.experiment.name,
            "group": self.experiment.group,
            "differences": self.differences,
            "parameters": self.parameters,
            "runs": vars(self.runs),
            "val_accuracy": _summary(self.accuracy_interval, self.val_accuracy),
            "val_loss": _summary(self.loss_interval, self.val_loss),
            "difference": None
            if self.difference is None
            else {"mean": self.difference.mean, "ci95": [self.difference.low, self.difference.high]},
            "seconds_per_run": self.seconds_per_run,
            "notebook_val_accuracy": self.experiment.notebook_val_accuracy,
        }


def _summary(interval: Interval | None, values: tuple[float, ...]) -> dict[str, Any]:
    if interval is None:
        return {"mean": None, "sd": None, "ci95": [None, None], "values": list(values)}
    return {
        "mean": interval.mean,
        "sd": interval.sd,
        "ci95": [interval.low, interval.high],
        "values": list(values),
    }


@dataclass(frozen=True)
class Comparison:
    """The experiments of a study beside each other, the baseline first."""

    rows: tuple[Row, ...]

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.experiment.name == name:
                return row
        raise KeyError(name)

    def __repr__(self) -> str:
        cells = [self._titles(), *(self._cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in self._titles())
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in self._cells(row)) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    @staticmethod
    def _titles() -> list[str]:
        return [
            _("experiment"),
            _("differs in"),
            _("parameters"),
            _("val. accuracy"),
            _("difference"),
            _("s/run"),
        ]

    @staticmethod
    def _cells(row: Row) -> list[str]:
        return [
            row.experiment.name,
            shown_differences(row),
            f"{row.parameters:,}",
            shown_accuracy(row),
            shown_difference(row),
            "" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}",
        ]


def shown_differences(row: Row) -> str:
    """Return what differs from the baseline, as `hidden=200,200 batch_size=1`."""
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in row.differences.items()
    )


def shown_accuracy(row: Row) -> str:
    """Return mean and half of the 95 % interval in per cent, as `96.71 ± 0.12`, and how many runs diverged."""
    if row.accuracy_interval is None:
        return "–"
    text = f"{100 * row.accuracy_interval.mean:.2f}"
    if row.accuracy_interval.high is not None:
        text += f" ± {100 * (row.accuracy_interval.high - row.accuracy_interval.mean):.2f}"
    if row.runs.diverged:
        text += " " + _("({count} diverged)").format(count=row.runs.diverged)
    return text


def shown_difference(row: Row) -> str:
    """Return the difference to the baseline with half of its 95 % interval, in points of per cent."""
    if row.difference is None:
        return ""
    text = f"{100 * row.difference.mean:+.2f}"
    if row.difference.high is not None:
        text += f" ± {100 * (row.difference.high - row.difference.mean):.2f}"
    return text


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
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """Do those of `wanted` that are unfinished; see `runner.run_tasks`."""
        run_tasks(wanted, data, self._store, workers=workers, on_event=on_event)

    def compare(self, *, seeds: int | None = None, only: Iterable[str] | None = None) -> Comparison:
        """Return the experiments beside each other.

        seeds: count those below it, and as pending those of them that are not there; all that are there unless said.
        only: names of the experiments wanted; the baseline is always there.
        """
        experiments = self._store.experiments()
        names = None if only is None else {BASELINE, *only}
        runs = {run.id: run for run in self._store.runs()}
        count = seeds if seeds is not None else max((run.seed + 1 for run in runs.values()), default=0)
        baseline = experiments[0]
        rows = [
            self._row(stored, baseline, runs, range(count))
            for stored in experiments
            if names is None or stored.experiment.name in names
        ]
        return Comparison(tuple(rows))

    def _ended(
        self, experiment: Experiment, runs: dict[str, StoredRun], seeds: Sequence[int]
    ) -> tuple[dict[int, StoredRun], int]:
        """Return the runs of `experiment` that have ended, by seed, and how many failed."""
        found = {
            seed: runs.get(run_id(experiment.network, experiment.training, self.fingerprint, seed)) for seed in seeds
        }
        ended = {seed: run for seed, run in found.items() if run is not None and run.epochs}
        return ended, sum(run is not None and run.state == "failed" for run in found.values())

    def _row(
        self,
        stored: StoredExperiment,
        baseline: StoredExperiment,
        runs: dict[str, StoredRun],
        seeds: Sequence[int],
    ) -> Row:
        ended, failed = self._ended(stored.experiment, runs, seeds)
        theirs, _failed = self._ended(baseline.experiment, runs, seeds)
        accuracy = {seed: run.epochs[-1].val_accuracy for seed, run in ended.items()}
        losses = tuple(run.epochs[-1].val_loss for run in ended.values())
        both = [seed for seed in ended if seed in theirs]
        difference = None
        if stored.experiment.name != BASELINE and both:
            difference = paired_difference(
                [accuracy[seed] for seed in both], [theirs[seed].epochs[-1].val_accuracy for seed in both]
            )
        diverged = sum(run.state == "diverged" for run in ended.values())
        seconds = [run.train_seconds for run in ended.values() if run.train_seconds is not None]
        return Row(
            experiment=stored.experiment,
            differences=differences(stored.experiment, baseline.experiment),
            parameters=stored.parameters,
            runs=Counts(len(ended) - diverged, diverged, failed, len(seeds) - len(ended) - failed),
            seeds=tuple(ended),
            val_accuracy=tuple(accuracy.values()),
            val_loss=losses,
            accuracy_interval=mean_interval(list(accuracy.values())) if accuracy else None,
            loss_interval=mean_interval(losses) if losses and not diverged else None,
            difference=difference,
            seconds_per_run=sum(seconds) / len(seconds) if seconds else None,
        )

    def _repr_html_(self) -> str:
        return self.compare()._repr_html_()

    def __repr__(self) -> str:
        return f"Study({self.lab} on {self.dataset})\n{self.compare()!r}"


STUDY_NAME = "study"  # what a study is called in the database of its own folder


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
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Study:
        """Train every experiment with the seeds 0 to `seeds` - 1, those that the study lacks, and return the study.

        only: patterns of names or groups, such as `width-*`; the baseline always runs.
        data: the data set; loaded from `self.dataset` unless given.
        study: its folder, `neurona-studies/<lab>` unless given; with `url`, its name in that database.
        workers: runs at a time, as many as cores unless given.
        on_event: called with each `runner.Event`, in this thread.
        """
        if seeds < 1:
            raise UsageError(_("seeds must be at least 1, but is {seeds}.").format(seeds=seeds))
        chosen = self.chosen(only)
        data = data or load(self.dataset)
        opened = self.open_study(data, study=study, url=url)
        opened.run(tasks(chosen, seeds, data.fingerprint), data, workers=workers, on_event=on_event)
        return opened

    def open_study(self, data: Dataset, *, study: str | Path | None = None, url: str | None = None) -> Study:
        """Return this lab's study on `data`, made if need be, with this lab's experiments declared in it."""
        if url is None:
            url, name = sqlite_url(Path(study or STUDIES / self.name)), STUDY_NAME
        else:
            name = str(study or self.name)
        store = Store.open(url, study=name, lab=self.name, dataset=self.dataset, fingerprint=data.fingerprint)
        classes = len(data.class_names)
        store.declare([StoredExperiment(e, e.network.parameters(data.image_shape, classes)) for e in self.experiments])
        return Study(store)
