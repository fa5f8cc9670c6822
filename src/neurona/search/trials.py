"""The trials of a search: each draws a point, trains it, and tells what it is worth; several side by side.

A trial is Optuna's, and its run is an ordinary run of the study. What a trial is to do is written down in one piece
before it is done, who does it is a claim that ends with its process, and what it does is a function of what is written:
so whoever takes up a trial that was left, with its own number and point, brings it to the same end.
"""

from __future__ import annotations

import copy
import math
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from neurona.compute import Compute
from neurona.data import Dataset
from neurona.engine import Interrupted, sizes
from neurona.engines import expected_seconds
from neurona.errors import SpecError, StoreError
from neurona.interrupts import remembering_interrupts
from neurona.run import Epoch, run_id
from neurona.runner import heartbeat, kept_checkpoint, train_task
from neurona.search.objective import Objective
from neurona.search.pruners import trial_pruner
from neurona.search.samplers import distribution, grid, inside, outside, shown_name, trial_sampler
from neurona.search.sharing import Shapes
from neurona.search.storage import patient
from neurona.space import Parameter, Space, Value, Values, variant
from neurona.specs import Experiment
from neurona.store import Owner, Sittings, Store, Task
from neurona.study import SEARCH_SEEDS

__all__ = ["Budget", "Plan", "TrialBegan", "TrialEnded", "TrialEpoch", "TrialEvent", "Trials", "drawn"]

_DRAWN = "drawn"  # the trial's attribute that says what it is to do: values, experiment, run, seed
_TOO_SLOW = 0.1  # part of a budget in minutes that a trial may take as is expected; longer ones are not begun
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """What a search does, apart from how long; the same for every sitting of it."""

    space: Space
    base: Experiment
    objective: Objective
    sampler: str
    pruner: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object, equal for equal plans."""
        return {
            "space": self.space.model_dump(mode="json", exclude_defaults=True)["parameters"],
            "base": self.base.id,
            "objective": self.objective.name,
            "target": self.objective.target,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Budget:
    """How long a search goes on in all: so many trials, so many minutes, whichever ends first."""

    trials: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class TrialBegan:
    """A trial began here, or goes on."""

    number: int
    experiment: Experiment


@dataclass(frozen=True)
class TrialEpoch:
    """An epoch of a trial ended; `value` is what a pruner compares."""

    number: int
    epoch: int
    value: float


@dataclass(frozen=True)
class TrialEnded:
    """A trial ended: `complete`, `pruned` or `failed`; `values` are the objective's, None unless it is complete."""

    number: int
    state: str
    values: tuple[float, ...] | None
    error: str | None = None


TrialEvent = TrialBegan | TrialEpoch | TrialEnded


@dataclass(frozen=True)
class _Todo:
    """A trial that this process has, and what it is to do."""

    id: int
    number: int
    known: Mapping[int, float]  # epoch -> value, of what was done before
    task: Task


def drawn(trial: FrozenTrial) -> dict[str, Any]:
    """Return what a trial was to do: `values`, `experiment`, `run`, `seed`; empty while that is not known."""
    found: dict[str, Any] = trial.user_attrs.get(_DRAWN, {})
    return found


class Trials:
    """The trials of one search in a study, as this process does them."""

    def __init__(
        self,
        plan: Plan,
        study: optuna.Study,
        store: Store,
        search: str,
        data: Dataset,
        compute: Compute,
        on_event: Callable[[TrialEvent], None],
    ) -> None:
        self._plan, self._study, self._store, self._data = plan, study, store, data
        self._compute = compute
        self._owner = Owner.this_process()
        self._sittings = Sittings(store, search, self._owner)
        self._on_event = on_event
        self._events: queue.Queue[TrialEvent | BaseException | None] = queue.Queue()
        self._one_at_a_time = threading.Lock()
        self._stops: dict[int, threading.Event] = {}
        self._stopping = False
        self._shapes = Shapes(plan.space, plan.base, sizes(data))
        self._grid = grid(plan.space, plan.base, plan.seed) if plan.sampler == "grid" else None
        self._classes = len(data.class_names)
        self._pruner = trial_pruner(
            plan.pruner if plan.objective.can_prune else "none", epochs=plan.base.training.epochs, seed=plan.seed
        )

    def run(self, budget: Budget, workers: int) -> None:
        """Do trials until the budget is used up, `workers` side by side.

        On KeyboardInterrupt those under way stop at the end of their epoch, and go on with the next sitting.
        """
        self._sittings.begin()
        threads = [
            threading.Thread(target=self._work, args=(budget,), name=f"trials-{index}", daemon=True)
            for index in range(workers)
        ]
        at_work = len(threads)
        with heartbeat(self._beat), remembering_interrupts() as check_interrupts:
            try:
                for thread in threads:
                    thread.start()
                while at_work:
                    check_interrupts()
                    try:
                        event = self._events.get(timeout=_POLL_SECONDS)
                    except queue.Empty:
                        continue
                    if event is None:
                        at_work -= 1
                    elif isinstance(event, BaseException):
                        raise event
                    else:
                        self._on_event(event)
            finally:
                self._stopping = True
                for stop in list(self._stops.values()):
                    stop.set()
                for thread in threads:
                    thread.join()
                with suppress(StoreError):
                    self._store.release(self._owner)
                    self._sittings.end()

    def seconds(self) -> float:
        """Return the time that the search has taken so far, in all sittings."""
        return self._sittings.seconds()

    def _beat(self) -> None:
        self._store.heartbeat(self._owner)
        self._sittings.beat()

    def _work(self, budget: Budget) -> None:
        """Do one trial after the other; what happens goes into `events`, None at the end."""
        try:
            while not self._stopping:
                with self._one_at_a_time:
                    todo = self._next(budget)
                if todo is None:
                    break
                with suppress(Interrupted):
                    self._do(todo, budget)
        except BaseException as error:  # the caller's thread raises it
            self._events.put(error)
        self._events.put(None)

    # What to do next

    def _next(self, budget: Budget) -> _Todo | None:
        """Return the trial to do next, this process's: one that was left, or a new one; None when the budget is up."""
        with self._sittings.alone():
            while True:
                trials = _trials(self._study)
                trial = self._left(trials)
                if trial is None:
                    if self._is_up(budget, trials):
                        return None
                    trial = _read(self._study, _create(self._study))
                    self._sittings.claim(trial.number)
                try:
                    return self._prepared(trial, trials)
                except SpecError as error:  # a point that is no experiment, of a few that checking the space missed
                    _tell(self._study, trial.number, TrialState.FAIL, None)
                    self._events.put(TrialEnded(trial.number, "failed", None, str(error)))

    def _left(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return a trial that was begun and that nobody is at any more, now this process's; None when there is none."""
        for trial in trials:
            left = trial.state == TrialState.RUNNING and trial.number not in self._stops
            if left and self._sittings.claim(trial.number):
                now = _read(self._study, trial._trial_id)  # it may have ended, and been given back, since it was read
                if now.state == TrialState.RUNNING:
                    return now
        return None

    def _is_up(self, budget: Budget, trials: Sequence[FrozenTrial]) -> bool:
        if budget.trials is not None and len(trials) >= budget.trials:
            return True
        if self._grid is not None and len(trials) >= len(self._grid):
            return True
        if budget.minutes is None:
            return False
        self._sittings.beat()
        return self._sittings.seconds() >= 60 * budget.minutes

    def _prepared(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> _Todo:
        """Draw the point of a trial, unless that was done, write it down, and return what is to do."""
        found = drawn(trial)
        if not found:
            before = [other for other in trials if other.number < trial.number and drawn(other)]
            found = self._drawn(trial, {other.number: drawn(other)["values"] for other in before})
            _set_attribute(self._study, trial._trial_id, found)
        self._set_parameters(trial, found["values"])
        task = Task(found["run"], Experiment(**found["experiment"]), found["seed"])
        self._stops[trial.number] = threading.Event()
        return _Todo(trial._trial_id, trial.number, dict(trial.intermediate_values), task)

    def _drawn(self, trial: FrozenTrial, before: Mapping[int, Values]) -> dict[str, Any]:
        plan = self._plan
        if self._grid is not None:
            values = self._grid[trial.number]
        else:
            values = self._shapes.shared(self._proposed(trial), before)
        experiment = variant(plan.base, plan.space.changes(plan.base, values), name=f"trial-{trial.number}")
        seed = SEARCH_SEEDS + plan.seed
        spec = (experiment.network, experiment.training, self._data.fingerprint, seed)
        return {
            "values": values,
            "experiment": experiment.model_dump(mode="json", exclude_none=True),
            "run": run_id(*spec, engine=experiment.engine),
            "seed": seed,
        }

    @patient
    def _proposed(self, trial: FrozenTrial) -> dict[str, Value]:
        """Return the point that the sampler proposes; nothing of it is stored."""
        plan = self._plan

        def sampler(key: str) -> optuna.Study:
            self._study.sampler = trial_sampler(plan.sampler, plan.seed, trial.number, key)
            return self._study

        study = sampler("")
        study.sampler.before_trial(study, trial)
        space = study.sampler.infer_relative_search_space(study, trial)
        together = study.sampler.sample_relative(study, trial, space)

        def draw(key: str, parameter: Parameter) -> Value:
            name, spread = shown_name(key, parameter), distribution(parameter)
            if spread.single():
                return parameter.extremes()[0]
            if name in together:
                return outside(parameter, together[name])
            return outside(parameter, sampler(key).sampler.sample_independent(study, trial, name, spread))

        return plan.space.draw(plan.base, draw)

    @patient
    def _set_parameters(self, trial: FrozenTrial, values: Values) -> None:
        storage = self._study._storage
        for key, value in values.items():
            parameter = self._plan.space.parameter(key)
            name, spread = shown_name(key, parameter), distribution(parameter)
            if name not in trial.params:
                storage.set_trial_param(
                    trial._trial_id, name, spread.to_internal_repr(inside(parameter, value)), spread
                )

    # Doing it

    def _do(self, todo: _Todo, budget: Budget) -> None:
        """Train the trial's run as far as it is worth it, and tell Optuna."""
        self._events.put(TrialBegan(todo.number, todo.task.experiment))
        state, values, error = TrialState.PRUNED, None, None
        if not self._is_too_slow(todo.task.experiment, budget):
            try:
                values = self._trained(todo)
                state = TrialState.PRUNED if values is None else TrialState.COMPLETE
            except (Interrupted, StoreError):
                raise
            except Exception as trouble:  # whatever one trial does, the others go on
                state, error = TrialState.FAIL, f"{type(trouble).__name__}: {trouble}"
                self._store.fail(todo.task, "".join(traceback.format_exception(trouble)))
        with self._one_at_a_time:
            self._study.sampler = trial_sampler(self._plan.sampler, self._plan.seed, todo.number)
            _tell(self._study, todo.number, state, values)
        self._sittings.release(todo.number)
        del self._stops[todo.number]
        word = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(state, "failed")
        self._events.put(TrialEnded(todo.number, word, values, error))

    def _is_too_slow(self, experiment: Experiment, budget: Budget) -> bool:
        if budget.minutes is None:
            return False
        return expected_seconds(experiment, self._data) > _TOO_SLOW * 60 * budget.minutes

    def _trained(self, todo: _Todo) -> tuple[float, ...] | None:
        """Return what the trial's run is worth; None when it was stopped early, its checkpoint kept."""
        task, objective = todo.task, self._plan.objective
        watched = _Watched(
            todo, objective, self._study, self._pruner, self._classes, self._events.put, self._stops[todo.number]
        )
        parameters = task.experiment.network.parameters(self._data.image_shape, self._classes)
        while not self._store.claim(task, self._owner):  # it has ended, or another process has it, for a lab or a trial
            ended = self._store.ended(task)
            if ended is None:
                time.sleep(_POLL_SECONDS)
                continue
            watched.replay(ended.epochs)
            if watched.is_behind:
                return None
            return objective.values(ended.state, watched.epochs, task.experiment, parameters, self._classes)
        resume = kept_checkpoint(task, self._store, self._compute)
        try:
            if resume is not None:
                watched.replay(resume.epochs)
            if not watched.is_over:
                run = train_task(
                    task,
                    self._data,
                    self._store,
                    self._owner,
                    compute=self._compute,
                    stop=self._stops[todo.number],
                    on_epoch=watched.take,
                    resume=resume,
                )
                if not watched.is_over:
                    return objective.values(run.state, watched.epochs, task.experiment, parameters, self._classes)
        except Interrupted:
            if not watched.is_over:
                raise
        self._store.pause(task, self._owner)
        if watched.is_behind:
            return None
        return objective.values("complete", watched.epochs, task.experiment, parameters, self._classes)


class _Watched:
    """A trial's run epoch by epoch: what it is worth is told to Optuna, and whether it goes on is asked.

    epochs: those so far.
    is_behind: whether the pruner has stopped it.
    is_over: whether it need not go on, for that or because its target is reached.
    """

    def __init__(
        self,
        todo: _Todo,
        objective: Objective,
        study: optuna.Study,
        pruner: optuna.pruners.BasePruner,
        classes: int,
        tell: Callable[[TrialEvent], None],
        stop: threading.Event,
    ) -> None:
        self._todo, self._objective, self._study, self._pruner = todo, objective, study, pruner
        self._classes, self._tell, self._stop = classes, tell, stop
        self._values: dict[int, float] = {}
        self.epochs: list[Epoch] = []
        self.is_behind = False
        self.is_over = False

    def replay(self, epochs: Sequence[Epoch]) -> None:
        """Take epochs that were trained before, as far as the trial would have gone."""
        for number, epoch in enumerate(epochs, 1):
            if not self.is_over:
                self.take(number, epoch)

    def take(self, number: int, epoch: Epoch) -> None:
        """Take an epoch; `number` counts from 1."""
        value = self._objective.after_epoch(epoch, self._classes)
        self.epochs.append(epoch)
        self._values[number] = value
        if number not in self._todo.known:
            _set_intermediate(self._study, self._todo.id, number, value)
        self._tell(TrialEpoch(self._todo.number, number, value))
        is_last = number == self._todo.task.experiment.training.epochs or not math.isfinite(epoch.val_loss)
        if self._objective.is_reached(epoch) and not is_last:
            self.is_over = True
        elif not is_last and number >= max(self._todo.known, default=0) and self._is_behind(number):
            self.is_behind = self.is_over = True
        if self.is_over:
            self._stop.set()

    @patient
    def _is_behind(self, number: int) -> bool:
        """Ask the pruner; it is shown no more than was known at the end of this epoch."""
        trial = copy.copy(self._study._storage.get_trial(self._todo.id))
        trial.intermediate_values = dict(self._values)
        return self._pruner.prune(self._study, trial)


@patient
def _trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False)


@patient
def _create(study: optuna.Study) -> int:
    return study._storage.create_new_trial(study._study_id)


@patient
def _read(study: optuna.Study, identity: int) -> FrozenTrial:
    return study._storage.get_trial(identity)


@patient
def _set_attribute(study: optuna.Study, identity: int, value: Mapping[str, Any]) -> None:
    study._storage.set_trial_user_attr(identity, _DRAWN, dict(value))


@patient
def _set_intermediate(study: optuna.Study, identity: int, epoch: int, value: float) -> None:
    study._storage.set_trial_intermediate_value(identity, epoch, value)


@patient
def _tell(study: optuna.Study, number: int, state: TrialState, values: tuple[float, ...] | None) -> None:
    study.tell(number, values if values is None else list(values), state=state, skip_if_finished=True)
