"""A search: what it varies and by which rules, its sittings, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from neurona.compute import LOCAL, Compute, computing
from neurona.data import Dataset, load
from neurona.engines import check_ready
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.lab import LabSpec
from neurona.runner import Event
from neurona.search.finalists import Finals, candidates, run_finals
from neurona.search.objective import Objective
from neurona.search.pruners import check_pruner
from neurona.search.record import Searched, read_search
from neurona.search.result import SearchResult
from neurona.search.samplers import check_sampler, grid
from neurona.search.storage import STUDY, identity, load_search, optuna_name, optuna_storage, patient, searches
from neurona.search.trials import Budget, Plan, TrialEvent, Trials
from neurona.space import SearchSpec, Space
from neurona.specs import Experiment
from neurona.store import Owner, Sittings, Store
from neurona.study import SEARCH_GROUP, SEARCH_SEEDS, Lab, Study

__all__ = ["Search", "stored"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,55}"  # that of an experiment, less what is put behind it
_PLAN = "neurona"  # the attribute of Optuna's study that says what the search is
_ABOUT = "about"  # and the one that says whose it is, and around what: what `stored` needs beside


class Search:
    """A search around a lab's baseline, or a race: one around each of several of its experiments.

    lab: a lab, the name of a built-in one, or the path of a file.
    space: what varies, as the table `[search.space]` of a lab's file; unless given the lab's own, or `mnist-dnn`'s.
    epochs: of every run; the lab's own unless given.
    objective: `val_accuracy`, `val_loss`, `seconds` (of training to the accuracy `target`), or `pareto`: accuracy
        against parameters.
    sampler: tpe, random, qmc, grid, gp, cmaes or nsga2. pruner: hyperband, median or none.
    seed: of what is drawn, and of the trials' runs. name: tells it from other searches in the same study.

    Raises SpecError for a space that cannot be, UsageError or MissingExtraError for names that are none.
    """

    def __init__(
        self,
        lab: Lab | str | Path = "mnist-dnn",
        *,
        space: Space | Mapping[str, Any] | None = None,
        epochs: int | None = None,
        objective: str = "val_accuracy",
        target: float | None = None,
        sampler: str = "tpe",
        pruner: str = "hyperband",
        seed: int = 0,
        name: str = "search",
    ) -> None:
        self.lab = lab if isinstance(lab, Lab) else Lab.load(lab)
        self.objective = Objective(objective, target)
        self.name = name
        check_sampler(sampler, objectives=len(self.objective.directions))
        check_pruner(pruner)
        declared = self.lab.search or _built_in().replace(race=(), epochs=None)
        if space is not None:
            declared = declared.replace(space=space if isinstance(space, Space) else Space.read(space, ()))
        epochs = declared.epochs if epochs is None else epochs
        self.is_race = bool(declared.race)
        bases = self.lab.chosen(declared.race)[1:] if self.is_race else (self.lab.baseline,)
        self.plans: dict[str, Plan] = {}
        for own in bases:
            base = own if epochs is None else own.replace(training=own.training.replace(epochs=epochs))
            declared.space.check(base, ("search", "space") if space is None else ())
            called = f"{name}-{base.name}" if self.is_race else name
            _check_name(called)
            self.plans[called] = Plan(declared.space, base, self.objective, sampler, pruner, seed)
            if sampler == "grid":
                grid(declared.space, base, seed)

    def run(
        self,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        finalists: int = 5,
        seeds: int = 10,
        data: Dataset | None = None,
        study: str | Path | None = None,
        url: str | None = None,
        workers: int | None = None,
        on: str | Compute = LOCAL,
        on_event: Callable[[TrialEvent | Event], None] = lambda event: None,
        on_search: Callable[[Searched], None] = lambda searched: None,
    ) -> SearchResult:
        """Do the trials that are left of the budget, then the finals, and return what came of it.

        trials, minutes: the whole budget, over all sittings; one of the two at least. Of a race, that of each search.
        finalists: how many of the best are trained again (of a race, each search's best one), with the seeds 0 to
            `seeds` - 1; none for 0.
        data, study, url, workers, on: as `Lab.run` takes them.
        on_event: called with each event of the trials, and then of the finalists' runs, in this thread.
        on_search: called when one search begins, with what there is of it.

        On KeyboardInterrupt what is under way stops at the end of its epoch; the same call goes on from there.
        """
        if trials is None and minutes is None:
            raise UsageError(_("a search needs a budget: trials, minutes, or both."))
        if (trials is not None and trials < 1) or (minutes is not None and minutes <= 0):
            raise UsageError(
                _("the budget must be above 0: {trials} trials, {minutes} minutes.").format(
                    trials=trials, minutes=minutes
                )
            )
        if finalists < 0 or seeds < 1:
            raise UsageError(_("finalists must be 0 or more, and seeds 1 or more."))
        data = data or load(self.lab.dataset)
        for plan in self.plans.values():
            check_ready(plan.base.engine)
        opened = self.lab.open_study(data, study=study, url=url)
        budget = Budget(trials, minutes)
        done = []
        with computing(on, workers=workers) as compute:
            for name, plan in self.plans.items():
                on_search(_read(opened, name, plan))
                base = plan.base.model_dump(mode="json", exclude_none=True)
                about = {"search": self.name, "race": self.is_race, "base": base}
                theirs = _optunas_study(opened.store, name, plan, about)
                side_by_side = 1 if plan.base.engine in compute.one_at_a_time else workers or compute.workers()
                Trials(plan, theirs, opened.store, name, data, compute, on_event).run(budget, side_by_side)
                done.append(_read(opened, name, plan))
            finals = self._finals(opened, done, data, compute, finalists, seeds, workers, on_event)
        return SearchResult(opened, tuple(done), finals)

    def read(self, study: Study, *, finalists: int = 5, seeds: int = 10) -> SearchResult:
        """Return what a study has of this search, whatever its objective, sampler, pruner and seed; nothing is trained.

        Raises UsageError when the search is not in the study, or was of another space or around something else.
        """
        for name, plan in self.plans.items():
            found = _stored_attribute(study.store, name, _PLAN)
            if found is None:
                raise UsageError(_("the study has no search {name!r}; `neurona search` makes one.").format(name=name))
            rules = {key: found[key] for key in ("sampler", "pruner", "seed")}
            self.plans[name] = replace(plan, objective=Objective(found["objective"], found["target"]), **rules)
            _check_same(name, found, self.plans[name])
        return _result(study, self.lab, self.plans, is_race=self.is_race, finalists=finalists, seeds=seeds)

    def _finals(
        self,
        study: Study,
        done: Sequence[Searched],
        data: Dataset,
        compute: Compute,
        finalists: int,
        seeds: int,
        workers: int | None,
        on_event: Callable[[Event], None],
    ) -> Finals | None:
        chosen = _candidates(done, finalists, is_race=self.is_race)
        if not any(found for _searched, found in chosen):
            return None
        return run_finals(
            chosen, self.lab, study, data, seeds=seeds, workers=workers, compute=compute, on_event=on_event
        )


def stored(study: Study) -> tuple[SearchResult, ...]:
    """Return what each search in a study came to, by what the study has alone; nothing is trained."""
    plans: dict[str, dict[str, Plan]] = {}
    races: dict[str, bool] = {}
    for name in searches(study.store):
        found, told = _stored_attribute(study.store, name, _PLAN), _stored_attribute(study.store, name, _ABOUT)
        if found is None or told is None:
            continue
        rules = {key: found[key] for key in ("sampler", "pruner", "seed")}
        space, objective = Space(parameters=found["space"]), Objective(found["objective"], found["target"])
        plan = Plan(space, Experiment(**told["base"]), objective, **rules)
        plans.setdefault(told["search"], {})[name] = plan
        races[told["search"]] = told["race"]
    declared = [each.experiment for each in study.store.experiments()]
    own = tuple(experiment for experiment in declared if experiment.group != SEARCH_GROUP)
    if not own:
        return ()
    lab = LabSpec(name=study.lab, dataset=study.dataset, experiments=own)
    results = []
    for search, mine in plans.items():
        finals = "tuned" if races[search] else r"\d+"
        names = [e.name for e in declared if any(re.fullmatch(f"{re.escape(name)}-{finals}", e.name) for name in mine)]
        seeds = {run.seed for name in names for run in study.runs(name) if run.seed < SEARCH_SEEDS}
        count = 0 if not seeds else 1 if races[search] else len(names)
        result = _result(study, lab, mine, is_race=races[search], finalists=count, seeds=max(seeds, default=0) + 1)
        results.append(result)
    return tuple(results)


def _result(
    study: Study, lab: LabSpec, plans: Mapping[str, Plan], *, is_race: bool, finalists: int, seeds: int
) -> SearchResult:
    """Return what is there of the searches in `plans`; nothing is trained."""
    done = tuple(_read(study, name, plan) for name, plan in plans.items())
    chosen = _candidates(done, finalists, is_race=is_race)
    there = {each.experiment.name: each.experiment for each in study.store.experiments()}
    known = all(there.get(e.name) == e for _one, found in chosen for _trial, e in found)
    finals = None
    if finalists and known and any(found for _one, found in chosen):
        finals = run_finals(chosen, lab, study, None, seeds=seeds, workers=None, on_event=lambda event: None)
    return SearchResult(study, done, finals)


def _candidates(done: Sequence[Searched], finalists: int, *, is_race: bool) -> list[tuple[Searched, list[Any]]]:
    count = min(finalists, 1) if is_race else finalists
    name = "tuned" if is_race else "{rank}"
    return [(searched, candidates(searched, count, f"{searched.name}-{name}")) for searched in done]


def _read(study: Study, name: str, plan: Plan) -> Searched:
    seconds = Sittings(study.store, name, Owner.this_process()).seconds()
    return read_search(study.store, name, plan, seconds)


def _check_name(name: str) -> None:
    """Raise UsageError unless the experiments of the finalists can be called after a search of this name."""
    if not re.fullmatch(_NAME, name):
        sentence = _("a search's name may hold letters, digits and . _ + - (56 at most), but is {name!r}.")
        raise UsageError(sentence.format(name=name))


def _built_in() -> SearchSpec:
    found = Lab.load("mnist-dnn").search
    assert found is not None  # noqa: S101 - it comes with Neurona
    return found


@patient
def _optunas_study(store: Store, name: str, plan: Plan, about: Mapping[str, Any]) -> optuna.Study:
    """Return Optuna's study of a search, made if need be; UsageError when it was made for another plan."""
    with Sittings(store, name, Owner.this_process()).alone():
        own, storage = optuna_name(store, name), optuna_storage(store)
        known = own in {study.study_name for study in storage.get_all_studies()}
        if known and load_search(store, name) is None:  # of a study that was removed
            optuna.delete_study(study_name=own, storage=storage)
        study = optuna.create_study(
            storage=storage,
            study_name=own,
            directions=list(plan.objective.directions),
            sampler=optuna.samplers.RandomSampler(seed=plan.seed),
            load_if_exists=True,
        )
        found = study.user_attrs.get(_PLAN)
        if found is None:
            study.set_user_attr(STUDY, identity(store))
            study.set_user_attr(_ABOUT, dict(about))
            study.set_user_attr(_PLAN, plan.to_json())
        else:
            _check_same(name, found, plan)
    return study


@patient
def _stored_attribute(store: Store, name: str, key: str) -> Mapping[str, Any] | None:
    study = load_search(store, name)
    found: Mapping[str, Any] | None = None if study is None else study.user_attrs.get(key)
    return found


def _check_same(name: str, found: Mapping[str, Any], plan: Plan) -> None:
    """Raise UsageError when a search was begun as something else than `plan`."""
    other = [key for key, value in plan.to_json().items() if found.get(key) != value]
    if other:
        sentence = _(
            "the search {name!r} of this study was begun with another {keys}; give it what it had, or call this one "
            "otherwise with --name."
        )
        raise UsageError(sentence.format(name=name, keys=", ".join(other)))
