"""What a figure of a network is drawn from: the network's weights of each seed, and the images it was validated on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

from neurona.data import Dataset, load
from neurona.errors import DataError, UsageError
from neurona.i18n import _
from neurona.insight import Answers, answered
from neurona.machine import cores
from neurona.run import Norms, Parameters, Run
from neurona.specs import Network, did_you_mean
from neurona.study import Comparison, ExperimentRuns, Study

__all__ = ["Inspected", "Source", "best_experiment", "experiment_runs", "inspected", "study_data"]


@dataclass(frozen=True, eq=False)
class Inspected:
    """A network with the weights of each of its seeds, and its data. It answers to the validation images only.

    parameters: seed -> weights, at least one; a seed that diverged is not there.
    norms: seed -> those of the layers at the end of each epoch, where they are known.
    """

    name: str
    network: Network
    data: Dataset
    parameters: Mapping[int, Parameters]
    norms: Mapping[int, tuple[Norms, ...]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The lowest seed: where one network is shown, it is this one's."""
        return min(self.parameters)

    @cached_property
    def answers(self) -> dict[int, Answers]:
        """What each seed's network answers to the validation images."""
        split = self.data.validation

        def ask(parameters: Parameters) -> Answers:
            return answered(self.network, parameters, split.images, split.labels)

        with ThreadPoolExecutor(cores()) as pool:
            return dict(zip(self.parameters, pool.map(ask, self.parameters.values()), strict=True))

    @property
    def shown_seed(self) -> str:
        """Name and seed, as titles have them."""
        return _("{name}, seed {seed}").format(name=self.name, seed=self.seed)


Source = Study | Run | Inspected


def study_data(study: Study) -> Dataset:
    """Return the study's data set; DataError when what is there now is not what the study was made with."""
    data = load(study.dataset)
    if data.fingerprint != study.fingerprint:
        sentence = _("{dataset} is not what the study was made with: its fingerprint is {now}, and was {then}.")
        raise DataError(sentence.format(dataset=study.dataset, now=data.fingerprint[:16], then=study.fingerprint[:16]))
    return data


def best_experiment(source: Study | Comparison) -> str | None:
    """Return the experiment with the highest mean validation accuracy; None while none has a complete run.

    Of equal ones the one with the fewest parameters.
    """
    comparison = source.compare() if isinstance(source, Study) else source
    rows = [row for row in comparison.rows if row.runs.completed and row.accuracy_interval is not None]
    if not rows:
        return None
    best = max(rows, key=lambda row: (row.accuracy_interval.mean if row.accuracy_interval else 0.0, -row.parameters))
    return best.experiment.name


def inspected(source: Source, *, experiment: str | None = None, data: Dataset | None = None) -> Inspected:
    """Return what is to be looked at.

    experiment: of a study; the one with the highest mean validation accuracy unless given.
    data: the data set; a study's is loaded unless given, a run needs it.

    Raises UsageError when the study has no such experiment or no complete run of it, or a run comes without data.
    """
    if isinstance(source, Inspected):
        return source
    if isinstance(source, Run):
        if data is None:
            raise UsageError(_("a run does not hold its images: a figure of it needs data=…"))
        norms = {source.seed: source.history.norms}
        return Inspected(_("network"), source.network, data, {source.seed: source.parameters}, norms)
    name = experiment or best_experiment(source)
    if name is None:
        raise _without_run(_("the study"))
    runs = experiment_runs(source, name)
    complete = {seed: runs.ended[seed].id for seed in _complete(runs)}
    if not complete:
        raise _without_run(name)
    return Inspected(
        name,
        runs.stored.experiment.network,
        data or study_data(source),
        {seed: source.run_weights(run) for seed, run in complete.items()},
        {seed: source.run_norms(run) for seed, run in complete.items()},
    )


def experiment_runs(study: Study, name: str) -> ExperimentRuns:
    """Return the runs of the experiment called `name`; UsageError when the study has none."""
    family = {runs.name: runs for runs in study.experiments()}
    if name not in family:
        sentence = _("the study has no experiment {name!r}.").format(name=name)
        raise UsageError(sentence + did_you_mean(name, family))
    return family[name]


def _without_run(name: str) -> UsageError:
    return UsageError(_("a figure of a network needs a complete run, but {name} has none.").format(name=name))


def _complete(runs: ExperimentRuns) -> list[int]:
    return [seed for seed, run in runs.ended.items() if run.state == "complete"]
