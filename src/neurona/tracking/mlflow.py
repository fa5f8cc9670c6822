"""A study in MLflow: an experiment of MLflow's for the study, a run for each experiment, and below it one a seed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from neurona.errors import MissingExtraError, StoreError
from neurona.i18n import _
from neurona.run import ENGINE_VERSIONS
from neurona.study import Study
from neurona.tracking.ended import EndedRun, ended_runs, hyperparameters

__all__ = ["Logged", "check_mlflow", "log_to_mlflow"]

_METRICS, _PARAMS = 1_000, 100  # that MLflow takes at a time
_PAGE = 1_000  # runs that are asked for at a time
_RUN, _EXPERIMENT = "neurona.run", "neurona.experiment"  # tags by which what is there is found again


@dataclass(frozen=True)
class Logged:
    """What was logged.

    experiment: the name of MLflow's experiment.
    added, there: runs of the study that are new in it, and that were in it before.
    """

    experiment: str
    added: int
    there: int


def check_mlflow() -> None:
    """Raise MissingExtraError unless MLflow is there."""
    if find_spec("mlflow") is None:
        raise MissingExtraError(_("MLflow is not installed; it comes with the extra: pip install 'neurona[mlflow]'."))


def log_to_mlflow(study: Study, uri: str) -> Logged:
    """Log the runs of a study that have ended to the MLflow at `uri`: a server, or a database as `sqlite:///file.db`.

    MLflow's experiment is called `<lab>-<fingerprint>`, with the first eight digits of the data's. In it each
    experiment of the study is a run, and each of its runs is nested below that: hyper-parameters, what each epoch ended
    with, counted from 1, and tags that say where it comes from. A run that is there stays as it is; one at which an
    export was broken off, or that was deleted in MLflow, is logged anew. One export at a time, then.

    MLflow's telemetry is switched off in this process.

    Raises MissingExtraError without the extra, and StoreError when MLflow cannot be reached or refuses.
    """
    check_mlflow()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # which belongs to the program's own answer
    from mlflow.exceptions import MlflowException
    from mlflow.telemetry import set_telemetry_client
    from mlflow.tracking import MlflowClient

    set_telemetry_client()  # anew, in case that MLflow was imported before
    try:
        return _logged(study, MlflowClient(tracking_uri=uri))
    except MlflowException as error:
        raise StoreError(_("the runs cannot be logged to MLflow: {error}").format(error=error)) from error


def _logged(study: Study, client: Any) -> Logged:
    name = f"{study.lab}-{study.fingerprint[:8]}"
    origin = {"neurona.lab": study.lab, "neurona.dataset": study.dataset, "neurona.fingerprint": study.fingerprint}
    found = client.get_experiment_by_name(name)
    log = _Log(client, found.experiment_id if found else client.create_experiment(name, tags=origin))
    added = there = 0
    for runs in study.experiments():
        ended = list(ended_runs(study, runs))
        if not ended:
            continue
        experiment = runs.stored.experiment
        parent = log.open(experiment.name, {_EXPERIMENT: experiment.id, "neurona.group": experiment.group} | origin)
        if parent.is_new:
            log.write(parent, params=hyperparameters(experiment))
            log.close(parent, "FINISHED")
        for run in ended:
            child = log.open(run.name, _tags(run) | origin | {"mlflow.parentRunId": parent.id}, started=run.started)
            if child.is_new:
                log.write(child, params=hyperparameters(experiment) | {"seed": run.seed}, metrics=_metrics(run))
                log.close(child, "FINISHED" if run.state == "complete" else "FAILED", finished=run.finished)
            added, there = added + child.is_new, there + (not child.is_new)
    return Logged(name, added, there)


def _tags(run: EndedRun) -> dict[str, str]:
    """Return where a run comes from."""
    engine = run.experiment.engine
    return {
        _RUN: run.id,
        _EXPERIMENT: run.experiment.id,
        "neurona.group": run.experiment.group,
        "neurona.seed": str(run.seed),
        "neurona.state": run.state,
        "neurona.engine": f"{engine} {ENGINE_VERSIONS[engine]}",
        **{f"neurona.version.{library}": version for library, version in run.versions.items()},
    }


def _metrics(run: EndedRun) -> list[tuple[str, float, int, int]]:
    """Return name, value, time in milliseconds and epoch of each figure."""
    return [
        (name, value, _milliseconds(time), epoch)
        for epoch, (scalars, time) in enumerate(zip(run.scalars(), run.times, strict=True), 1)
        for name, value in scalars.items()
    ]


def _milliseconds(seconds: float) -> int:
    return round(1_000 * seconds)


@dataclass(frozen=True)
class _Opened:
    """A run of MLflow's: its id there, and whether it is still to be written."""

    id: str
    is_new: bool


class _Log:
    """The runs of one of MLflow's experiments, known by their names and tags."""

    def __init__(self, client: Any, place: str) -> None:
        self._client, self._place = client, place
        self._known = {self._key(run.info.run_name, run.data.tags): run.info for run in self._all()}

    def open(self, name: str, tags: Mapping[str, str], *, started: float | None = None) -> _Opened:
        """Return the run of this name and these tags, made if need be, or made anew where it was broken off."""
        info = self._known.get(self._key(name, tags))
        if info is not None and info.status != "RUNNING":
            return _Opened(info.run_id, is_new=False)
        if info is not None:
            self._client.delete_run(info.run_id)
        time = None if started is None else _milliseconds(started)
        run = self._client.create_run(self._place, start_time=time, tags=tags, run_name=name)
        return _Opened(run.info.run_id, is_new=True)

    def write(
        self,
        run: _Opened,
        *,
        params: Mapping[str, Any],
        metrics: Sequence[tuple[str, float, int, int]] = (),
    ) -> None:
        """Log parameters, and metrics as `_metrics` has them."""
        from mlflow.entities import Metric, Param

        settings = [Param(key, str(value)) for key, value in params.items()]
        figures = [Metric(*figure) for figure in metrics]
        for start in range(0, len(settings), _PARAMS):
            self._client.log_batch(run.id, params=settings[start : start + _PARAMS])
        for start in range(0, len(figures), _METRICS):
            self._client.log_batch(run.id, metrics=figures[start : start + _METRICS])

    def close(self, run: _Opened, status: str, *, finished: float | None = None) -> None:
        """Say how and when the run ended."""
        self._client.set_terminated(run.id, status, None if finished is None else _milliseconds(finished))

    def _all(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([self._place], max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    @staticmethod
    def _key(name: str, tags: Mapping[str, str]) -> tuple[str, str | None, str | None]:
        return name, tags.get(_EXPERIMENT), tags.get(_RUN)
