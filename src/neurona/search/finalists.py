"""The best of a search once more, with seeds that had no part in choosing them.

The best of many trials is also the luckiest: its score is too good. The finalists are trained anew with other seeds,
beside the baseline and the notebook's best experiment with the same seeds and as many epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from neurona.compute import HERE, Compute
from neurona.data import Dataset
from neurona.lab import LabSpec
from neurona.runner import Event, tasks
from neurona.search.objective import Objective
from neurona.search.record import Searched, TrialRecord
from neurona.specs import Experiment
from neurona.stats import PairedDifference
from neurona.store import StoredExperiment
from neurona.study import SEARCH_GROUP, Comparison, ExperimentRuns, Finding, Row, Study, compared, rows

__all__ = ["Finalist", "Finals", "candidates", "is_behind", "references", "run_finals"]

_SEEDS_A_LOOK = 5  # after so many seeds more, who is clearly behind is left there
_LEVEL = 0.05


@dataclass(frozen=True)
class Finalist:
    """One of the best of a search.

    first: what its trial was worth, with the seed with which it was chosen.
    fresh: the mean of the same with the fresh seeds; None while there is no run.
    stopped: whether it was left before its last seed, being clearly behind.
    difference, finding: against the notebook's best; None where the lab has no notebook.
    """

    search: str
    trial: int
    row: Row
    first: float
    fresh: float | None
    optimism: float | None
    stopped: bool
    difference: PairedDifference | None = None
    finding: Finding | None = None


@dataclass(frozen=True)
class Finals:
    """The finalists, the best first, and the rows that they are compared with; verdicts are over these together."""

    finalists: tuple[Finalist, ...]
    comparison: Comparison
    baseline: str
    notebook: str | None
    seeds: int


def candidates(searched: Searched, count: int, name: str) -> list[tuple[TrialRecord, Experiment]]:
    """Return the best `count` trials whose experiments differ, with these as experiments of the study."""
    found: dict[str, tuple[TrialRecord, Experiment]] = {}
    for trial in searched.ranked():
        if len(found) == count:
            break
        if trial.experiment is not None and trial.experiment.id not in found:
            called = name.format(rank=len(found) + 1)
            found[trial.experiment.id] = trial, trial.experiment.replace(name=called, group=SEARCH_GROUP)
    return list(found.values())


def references(lab: LabSpec, epochs: int) -> tuple[Experiment, ...]:
    """Return the baseline, and the experiment of which the notebook printed the best, trained for `epochs`."""
    printed = [e for e in lab.experiments[1:] if e.notebook_val_accuracy is not None]
    best = max(printed, key=lambda e: e.notebook_val_accuracy or 0.0, default=None)
    return tuple(_with_epochs(e, epochs) for e in (lab.baseline, best) if e is not None)


def _with_epochs(experiment: Experiment, epochs: int) -> Experiment:
    if experiment.training.epochs == epochs:
        return experiment
    return experiment.replace(
        name=f"{experiment.name}-{epochs}-epochs",
        group=SEARCH_GROUP,
        training=experiment.training.replace(epochs=epochs),
        notebook_val_accuracy=None,
    )


def is_behind(scores: Sequence[float], best: Sequence[float]) -> bool:
    """Whether scores are so far behind the best ones, seed by seed, that no more seeds are needed to say so.

    Wilcoxon's signed-rank test, one-sided, at 5 %. Source: Wilcoxon (1945), Biometrics Bulletin 1(6), 80-83.
    """
    from scipy.stats import wilcoxon

    differences = [ours - theirs for ours, theirs in zip(scores, best, strict=True)]
    if not any(differences):
        return False
    return bool(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue < _LEVEL)


def run_finals(
    searched: Sequence[tuple[Searched, list[tuple[TrialRecord, Experiment]]]],
    lab: LabSpec,
    study: Study,
    data: Dataset | None,
    *,
    seeds: int,
    workers: int | None,
    compute: Compute = HERE,
    on_event: Callable[[Event], None],
) -> Finals:
    """Train the candidates of each search and the references with the seeds 0 to `seeds` - 1, and compare them.

    data: None to compare what is there, and train nothing.
    """
    beside = references(lab, searched[0][0].base.training.epochs)
    chosen = [experiment for _one, found in searched for _trial, experiment in found]
    if data is not None:
        _declare(study, [*beside, *chosen], data, {one.name for one, _found in searched})
    everybody = [*beside, *chosen]
    classes = len(data.class_names) if data is not None else study.classes(_family(study, everybody, seeds))
    alive = list(chosen)
    for done in [*range(_SEEDS_A_LOOK, seeds, _SEEDS_A_LOOK), seeds]:
        if data is not None:
            wanted = tasks([*beside, *alive], done, data.fingerprint)
            study.run(wanted, data, workers=workers, compute=compute, on_event=on_event)
        if done < seeds:
            alive = _still_in(_family(study, alive, done), classes, alive)
    family = _family(study, [*beside, *chosen], seeds)
    against = family[1] if len(beside) > 1 else None
    found = {} if against is None else compared([against, *family[len(beside) :]], against, classes)
    comparison = Comparison(rows(family, None, classes), len(study.openings()))
    objective = searched[0][0].objective
    by_name = {runs.name: runs for runs in family}
    finalists = []
    for one, candidates_ in searched:
        for trial, experiment in candidates_:
            runs = by_name[experiment.name]
            fresh = _fresh(runs, objective, classes)
            result, finding = found.get(experiment.name, (None, None))
            finalists.append(
                Finalist(
                    search=one.name,
                    trial=trial.number,
                    row=comparison[experiment.name],
                    first=trial.values[0],
                    fresh=fresh,
                    optimism=None if fresh is None else objective.gain(trial.values[0], fresh),
                    stopped=experiment not in alive,
                    difference=None if result is None else result.difference,
                    finding=finding,
                )
            )
    finalists.sort(key=lambda each: -(each.row.accuracy_interval.mean if each.row.accuracy_interval else 0.0))
    if objective.directions[0] == "minimize":
        finalists.sort(key=lambda each: float("inf") if each.fresh is None else each.fresh)
    return Finals(tuple(finalists), comparison, beside[0].name, against.name if against else None, seeds)


def _still_in(family: Sequence[ExperimentRuns], classes: int, alive: Sequence[Experiment]) -> list[Experiment]:
    """Return those of `alive` that are not clearly behind the one with the best mean."""
    scores: Mapping[str, dict[int, float]] = {runs.name: runs.accuracies(classes) for runs in family}
    best = max(scores.values(), key=lambda each: sum(each.values()) / max(len(each), 1), default={})

    def behind(own: dict[int, float]) -> bool:
        both = [seed for seed in own if seed in best]
        return bool(both) and is_behind([own[seed] for seed in both], [best[seed] for seed in both])

    return [experiment for experiment in alive if not behind(scores[experiment.name])]


def _fresh(runs: ExperimentRuns, objective: Objective, classes: int) -> float | None:
    experiment, parameters = runs.stored.experiment, runs.stored.parameters
    values = [
        objective.values(run.state, run.epochs, experiment, parameters, classes)[0] for run in runs.ended.values()
    ]
    return sum(values) / len(values) if values else None


def _family(study: Study, experiments: Sequence[Experiment], seeds: int) -> list[ExperimentRuns]:
    stored = {each.experiment.name: each for each in study.store.experiments()}
    runs = {run.id: run for run in study.store.runs()}
    names = [experiment.name for experiment in experiments]
    return [ExperimentRuns.find(stored[name], runs, range(seeds), study.fingerprint) for name in names]


def _declare(study: Study, experiments: Sequence[Experiment], data: Dataset, searches: Collection[str]) -> None:
    """Add `experiments` to the study's, in place of earlier finalists of `searches`; of the same name, the new one."""
    classes = len(data.class_names)
    own = {
        experiment.name: StoredExperiment(experiment, experiment.network.parameters(data.image_shape, classes))
        for experiment in experiments
    }
    there = [stored for stored in study.store.experiments() if not _was_finalist(stored.experiment, searches)]
    kept = [own.pop(stored.experiment.name, stored) for stored in there]
    study.store.declare([*kept, *own.values()])


def _was_finalist(experiment: Experiment, searches: Collection[str]) -> bool:
    name, _dash, rank = experiment.name.rpartition("-")
    return experiment.group == SEARCH_GROUP and name in searches and (rank.isdecimal() or rank == "tuned")
