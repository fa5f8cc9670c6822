"""A lab as it is declared: a baseline, and experiments written as differences from it, in a TOML file."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from neurona.errors import Problem, SpecError, UsageError
from neurona.i18n import _
from neurona.space import SearchSpec, Space, merged
from neurona.specs import ENGINES, NEURONA, Experiment, Spec, did_you_mean, unknown_key

__all__ = ["AT", "BASELINE", "MOST_EXPERIMENTS", "LabSpec", "built_in_labs", "differences"]

BASELINE = "baseline"
AT = "@"  # between the name of an experiment and that of the engine that does it too
_LARGEST_FILE = 1_000_000  # bytes; the course's lab has 2,700
MOST_EXPERIMENTS = 1_000
_OF_BASELINE = ("network", "training", "engine", "notebook_val_accuracy")


class LabSpec(Spec):
    """A list of experiments on one data set. The first is the baseline, and is called `baseline`.

    dataset: a name that `neurona data list` shows, or a path; in a file, a path relative to the file's folder.
    search: what a search varies; None where the lab does not say.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
    dataset: Annotated[str, Field(min_length=1, max_length=4096)]
    experiments: tuple[Experiment, ...]
    search: SearchSpec | None = None

    @property
    def baseline(self) -> Experiment:
        """The experiment that the others are compared with."""
        return self.experiments[0]

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Return a built-in lab by its name, or the lab in a TOML file.

        Raises SpecError with file and key for what breaks a rule, UsageError when there is no such lab.
        """
        text, source, folder = _read(name_or_path)
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError([Problem((), _("is not TOML: {error}.").format(error=error))], file=source) from None
        try:
            return cls._parse(document, folder)
        except SpecError as error:
            raise SpecError(error.problems, file=source) from None

    @classmethod
    def _parse(cls, document: dict[str, Any], folder: Path | None) -> Self:
        problems: list[Problem] = []
        head = _table(document, "lab", problems)
        baseline = _table(document, "baseline", problems)
        problems += _unknown(document, ("lab", "baseline", "experiment", "search"))
        problems += _unknown(head, ("name", "dataset"), "lab")
        problems += _unknown(baseline, _OF_BASELINE, "baseline")
        problems += [Problem(("lab", key), _("is required.")) for key in ("name", "dataset") if key not in head]
        declared = _declared(document, problems)
        known = {key: value for key, value in baseline.items() if key in _OF_BASELINE}
        experiments = [_experiment(known | {"name": BASELINE, "group": BASELINE}, ("baseline",), problems)]
        inherited = {
            (problem.where[1:], problem.sentence) for problem in problems if problem.where[:1] == ("baseline",)
        }
        for number, item in enumerate(declared, 1):
            where = ("experiment", str(item.get("name", number)))
            shared = {key: value for key, value in known.items() if key in ("network", "training", "engine")}
            found: list[Problem] = []
            experiments.append(_experiment(merged(shared, item), where, found))
            problems += [each for each in found if (each.where[2:], each.sentence) not in inherited]
        names = Counter(str(item.get("name")) for item in [{"name": BASELINE}, *declared] if "name" in item)
        for name, count in names.items():
            if count > 1:
                sentence = _("names must be different, but {count} experiments are called {name!r}.")
                problems.append(Problem(("experiment", name, "name"), sentence.format(count=count, name=name)))
        dataset = head.get("dataset")
        if folder is not None and isinstance(dataset, str) and _is_there(folder, dataset):
            dataset = str(folder / dataset)
        lab = None
        try:
            values = {"name": head.get("name", "unnamed"), "dataset": "unnamed" if dataset is None else dataset}
            whole = [experiment for experiment in experiments if experiment is not None]
            lab = cls(**values, experiments=tuple(whole))
        except SpecError as error:
            problems += [Problem(("lab", *problem.where), problem.sentence) for problem in error.problems]
        search = None
        if "search" in document:
            search = _search(document, lab if len(whole) == len(experiments) else None, problems)
        if problems or lab is None:
            raise SpecError(problems)
        return lab.replace(search=search) if search is not None else lab

    def chosen(self, patterns: Iterable[str] = ()) -> tuple[Experiment, ...]:
        """Return the baseline and the experiments whose name or group fits one of the glob `patterns`; all for none.

        What fits `NAME` takes `NAME@ENGINE` too.

        Raises UsageError for a pattern that nothing fits.
        """
        patterns = list(patterns)
        for pattern in patterns:
            if not any(_fits(experiment, pattern) for experiment in self.experiments):
                sentence = _("no experiment of the lab {lab} fits {pattern!r}.").format(lab=self.name, pattern=pattern)
                raise UsageError(sentence + did_you_mean(pattern, [e.name for e in self.experiments]))
        chosen = [e for e in self.experiments[1:] if not patterns or any(_fits(e, pattern) for pattern in patterns)]
        return (self.baseline, *chosen)

    def with_engine(self, engine: str, only: Iterable[str] = ()) -> Self:
        """Return the lab with every experiment on `engine` too, called `NAME@ENGINE`, after the one it repeats.

        An experiment that the lab has on that engine already is not repeated.

        only: repeat those alone whose name or group fits one of these glob patterns.

        Raises SpecError with experiment and key for what the engine cannot do.
        """
        if engine not in ENGINES:
            sentence = _("there is no engine {name!r}.").format(name=engine)
            raise UsageError(sentence + did_you_mean(engine, ENGINES))
        patterns = list(only)
        there, names = {e.id for e in self.experiments}, {e.name for e in self.experiments}
        found: list[Experiment] = []
        problems: list[Problem] = []
        for experiment in self.experiments:
            found.append(experiment)
            if patterns and not any(_fits(experiment, pattern, engine) for pattern in patterns):
                continue
            where = ("experiment", experiment.name)
            again = _experiment(
                {key: getattr(experiment, key) for key in experiment.model_fields_set}
                | {"name": experiment.name + AT + engine, "engine": engine},
                where,
                problems,
            )
            if again is None or again.id in there:
                continue
            if again.name in names:
                sentence = _("it cannot be repeated with {engine}: another experiment is called {name!r}.")
                problems.append(Problem(where, sentence.format(engine=engine, name=again.name)))
            found.append(again)
        if problems:
            raise SpecError(problems)
        return self.replace(experiments=tuple(found))

    def with_epochs(self, epochs: int) -> Self:
        """Return the lab with every experiment trained for `epochs`."""
        return self.replace(
            experiments=tuple(e.replace(training=e.training.replace(epochs=epochs)) for e in self.experiments)
        )


def built_in_labs() -> tuple[str, ...]:
    """Return the names of the labs that come with Neurona."""
    folder = resources.files("neurona") / "labs"
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def differences(experiment: Experiment, baseline: Experiment) -> dict[str, Any]:
    """Return the fields of `experiment` that differ from `baseline`'s, name -> value; `optimizer` is its name.

    An optimizer of another kind shows its learning rate, and what is not Keras' default. `engine` is always there where
    either is not Neurona's.
    """
    ours, theirs = _fields(experiment), _fields(baseline)
    if ours["optimizer"] != theirs["optimizer"]:
        shown = {"learning_rate": ours["learning_rate"], **experiment.training.optimizer.declared()}
        del shown["name"]
        shown.pop("schedule", None)  # it has a field of its own
        settings = set(experiment.training.optimizer.settings)
        ours = {key: value for key, value in ours.items() if key not in settings} | shown
        theirs = {key: value for key, value in theirs.items() if key not in settings}
    found = {key: value for key, value in ours.items() if key not in theirs or value != theirs[key]}
    shown_engine = experiment.engine != NEURONA or baseline.engine != NEURONA
    return ({"engine": experiment.engine} if shown_engine else {}) | found


def _fields(experiment: Experiment) -> dict[str, Any]:
    optimizer = experiment.training.optimizer
    return {
        **{key: getattr(experiment.network, key) for key in type(experiment.network).model_fields},
        **{key: getattr(experiment.training, key) for key in type(experiment.training).model_fields},
        "optimizer": optimizer.name,
        **optimizer.settings,
        "schedule": optimizer.schedule.name,
        **{key: value for key, value in optimizer.schedule.settings.items() if value is not None},
    }


def _fits(experiment: Experiment, pattern: str, engine: str = "") -> bool:
    """Whether `pattern` fits name or group, or the name with or without `engine` or the experiment's own after it."""
    plain = experiment.name.removesuffix(AT + experiment.engine)
    texts = {experiment.name, plain, plain + AT + engine, experiment.group}
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts)


def _read(name_or_path: str | Path) -> tuple[str, str, Path | None]:
    """Return the text of a lab, what to call it in an error, and the folder its paths are relative to."""
    name = str(name_or_path)
    if name in built_in_labs():
        return (resources.files("neurona") / "labs" / f"{name}.toml").read_text(encoding="utf-8"), name, None
    path = Path(name_or_path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            sentence = _("a lab file may have {most:,} bytes, but {file} has {size:,}.")
            raise UsageError(sentence.format(most=_LARGEST_FILE, file=name, size=path.stat().st_size))
        return path.read_text(encoding="utf-8"), name, path.resolve().parent
    except FileNotFoundError:
        sentence = _("there is no lab {name!r}, neither built in nor as a file.")
        raise UsageError(sentence.format(name=name) + did_you_mean(name, built_in_labs())) from None
    except UnicodeDecodeError:
        raise UsageError(_("{file} is not a text in UTF-8.").format(file=name)) from None
    except OSError as error:
        raise UsageError(_("{file} cannot be read: {error}.").format(file=name, error=error.strerror)) from None


def _table(document: Mapping[str, Any], key: str, problems: list[Problem], *above: str) -> dict[str, Any]:
    """Return the table under `key`; an empty one where it is none, which is noted."""
    value = document.get(key, {})
    if not isinstance(value, dict):
        problems.append(Problem((*above, key), _("must be a table of keys and values.")))
        return {}
    return value


def _unknown(table: Mapping[str, Any], known: tuple[str, ...], *where: str) -> list[Problem]:
    return [Problem((*where, key), unknown_key(key, known)) for key in table if key not in known]


def _declared(document: Mapping[str, Any], problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the experiments' tables; none where they cannot be read, which is noted."""
    declared = document.get("experiment", [])
    if not isinstance(declared, list) or not all(isinstance(item, dict) for item in declared):
        sentence = _("must be tables, each under [[experiment]].")
    elif not declared and "search" not in document:
        sentence = _("a lab needs at least one [[experiment]] beside its baseline, or a [search].")
    elif len(declared) > MOST_EXPERIMENTS:
        sentence = _("a lab may have {most} experiments at most, but has {count}.")
        sentence = sentence.format(most=MOST_EXPERIMENTS, count=len(declared))
    else:
        return declared
    problems.append(Problem(("experiment",), sentence))
    return []


def _search(document: Mapping[str, Any], lab: LabSpec | None, problems: list[Problem]) -> SearchSpec | None:
    """Return what the table `[search]` declares, checked against the experiments of `lab` that it varies.

    None where it cannot be, which is noted.
    """
    table = _table(document, "search", problems)
    found = _unknown(table, tuple(SearchSpec.model_fields), "search")
    if "space" not in table:
        found.append(Problem(("search", "space"), _("is required.")))
    try:
        space = Space.read(_table(table, "space", found, "search")) if "space" in table and not found else None
        known = {key: value for key, value in table.items() if key in SearchSpec.model_fields}
        search = None if space is None else SearchSpec(**{**known, "space": space})
    except SpecError as error:
        found += [
            Problem(problem.where if problem.where[:1] == ("search",) else ("search", *problem.where), problem.sentence)
            for problem in error.problems
        ]
    problems += found
    if found or search is None or space is None or lab is None:
        return None
    try:
        for base in lab.chosen(search.race)[1:] if search.race else (lab.baseline,):
            space.check(base)
    except SpecError as error:
        problems += error.problems
    except UsageError as error:
        problems.append(Problem(("search", "race"), str(error)))
    return search


def _is_there(folder: Path, dataset: str) -> bool:
    """Whether `dataset`, with or without `[:N]` at its end, is in `folder`."""
    paths = {dataset, re.sub(r"\[:\d+\]$", "", dataset)}
    return any(path and (folder / path).exists() for path in paths)


def _experiment(values: dict[str, Any], where: tuple[str, ...], problems: list[Problem]) -> Experiment | None:
    try:
        return Experiment(**values)
    except SpecError as error:
        problems += [Problem((*where, *problem.where), problem.sentence) for problem in error.problems]
        return None
