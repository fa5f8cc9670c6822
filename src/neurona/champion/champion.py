"""The champion: what is asked for becomes a plan, the plan becomes members, and these one calibrated model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from neurona.champion.options import Options, check_name
from neurona.champion.plan import Plan, chosen
from neurona.champion.stages import Event, Planned, Stages
from neurona.compute import LOCAL, Compute, computing
from neurona.data import Dataset, load
from neurona.engine import Teacher
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.insight import answered, temperature
from neurona.model import Model, View
from neurona.run import Parameters
from neurona.stats import Estimate
from neurona.study import ChampionRecord, Lab, OpenedSeal, Study, assembled, described, keep, records, validated

__all__ = ["Champion", "best", "student_name"]

# Ways to look at an image: as it is, a pixel to each side, and turned a little to either side
_VIEWS = (
    View(),
    View(down=1.0),
    View(down=-1.0),
    View(right=1.0),
    View(right=-1.0),
    View(rotation=6.0),
    View(rotation=-6.0),
)


@dataclass(frozen=True)
class Champion:
    """A model finally chosen, in its study."""

    study: Study
    record: ChampionRecord
    student: ChampionRecord | None = None

    @property
    def name(self) -> str:
        """What it is called in the study."""
        return self.record.name

    @property
    def model(self) -> Model:
        """The model itself."""
        return assembled(self.study.store, self.record)

    @property
    def plan(self) -> Plan:
        """How it was trained."""
        return _plan(self.record)

    @property
    def val_accuracy(self) -> Estimate:
        """Validation accuracy of the members together, before they saw these images, with Wilson's 95 % interval."""
        return validated(self.record)

    def test(self, reason: str, *, data: Dataset | None = None) -> OpenedSeal:
        """Open the seal: see `Study.open_seal`."""
        return self.study.open_seal([self.name], reason, data=data)

    def sentences(self) -> list[str]:
        """Return what it is and how good, a sentence each."""
        return described(self.record, self.student)

    def to_json(self) -> dict[str, Any]:
        """Return the champion as a JSON object."""
        shown = {"name": self.name, **self.record.declared()}
        return {"champion": shown, "student": None if self.student is None else self.student.declared()}

    def __repr__(self) -> str:
        return "\n".join([f"Champion {self.name}", *(f"  {line}" for line in self.sentences())])

    def _repr_html_(self) -> str:
        from html import escape

        return "".join(f"<p>{escape(line)}</p>" for line in self.sentences())


def best(
    study: Study | Lab | str | Path = "mnist-dnn",
    *,
    options: Options | None = None,
    name: str = "champion",
    data: Dataset | None = None,
    workers: int | None = None,
    on: str | Compute = LOCAL,
    on_event: Callable[[Event], None] = lambda event: None,
    **asked: Any,
) -> Champion:
    """Train the best model that the time allows, keep it in the study, and return it. The same call goes on.

    study: a study, a lab, or what `Lab.load` takes; a lab's study is where `Lab.run` would put it.
    options, asked: see `Options`; `best(study, minutes=30, members=4)`.
    name: what the champion is called in the study.
    data: the study's data set; loaded unless given.
    workers: members that train at a time; as many as cores unless given. It changes how fast it goes, and with
        `minutes` therefore what there is time for.
    on: where members are trained; see `compute.computing`. How much the time allows is told by this machine's speed.
    on_event: called with each event of `champion.stages`, from the threads that train, one at a time.

    Nothing looks at the test split; `Champion.test` does, once and on record.

    Raises UsageError for options that cannot be, or a champion of this name that was begun with others.
    """
    options = Options(**asked) if options is None else options
    check_name(name)
    if not isinstance(study, Study):
        lab = study if isinstance(study, Lab) else Lab.load(str(study))
        data = data or load(lab.dataset)
        study = lab.open_study(data)
    data = data or load(study.dataset)
    with computing(on, workers=workers) as compute:
        record = _begun(study, name, options, data, compute, workers)
        plan = _plan(record)
        on_event(Planned(plan))
        making = _Making(study, plan, data, compute, on_event)
        if not record.is_ready:
            record = making.trained(record)
        student = making.student(record) if plan.student is not None else None
    return Champion(study, record, student)


def _plan(record: ChampionRecord) -> Plan:
    return Plan.read({key: value for key, value in record.plan.items() if key != "shortened"})


def _begun(
    study: Study, name: str, options: Options, data: Dataset, compute: Compute, workers: int | None
) -> ChampionRecord:
    """Return the record of the champion called `name`, made with a new plan unless it is there."""
    if name in {runs.name for runs in study.experiments()}:
        raise UsageError(
            _("an experiment of the study is called {name!r}; give the champion another --name.").format(name=name)
        )
    there = records(study.store).get(name)
    if there is not None:
        others = options.differences(there.options)
        if others:
            sentence = _(
                "the champion {name!r} of this study was begun with another {keys}; give it what it had, or call this "
                "one otherwise with --name."
            )
            raise UsageError(sentence.format(name=name, keys=", ".join(others)))
        return there
    plan = chosen(options, study, data, compute=compute, workers=workers)
    record = ChampionRecord(
        name=name,
        options=options.to_json(),
        plan={**plan.to_json(), "shortened": []},
        network=plan.network,
        training=plan.training,
        image_shape=data.image_shape,
        class_names=data.class_names,
        views=_VIEWS if options.views else (View(),),
        versions={library: version(library) for library in ("neurona", "jax", "jaxlib", "numpy")},
    )
    keep(study.store, record)
    return records(study.store)[name]


class _Kept:
    """A record that is kept anew whenever a run is shortened, or lengthened again."""

    def __init__(self, study: Study, record: ChampionRecord) -> None:
        self.study, self.record = study, record

    @property
    def shortened(self) -> dict[tuple[str, int], int]:
        """Stage and seed -> epochs."""
        return {(stage, seed): epochs for stage, seed, epochs in self.record.plan["shortened"]}

    def shorten(self, stage: str, seed: int, epochs: int) -> None:
        """Keep that a run has other epochs than planned."""
        known = self.shortened | {(stage, seed): epochs}
        plan = {**self.record.plan, "shortened": [[*key, count] for key, count in known.items()]}
        self.record = replace(self.record, plan=plan)
        keep(self.study.store, self.record)


@dataclass(frozen=True)
class _Making:
    """What a champion is made of and with, and who hears of it."""

    study: Study
    plan: Plan
    data: Dataset
    compute: Compute
    on_event: Callable[[Event], None]

    def stages(self, kept: _Kept) -> Stages:
        """Return what trains."""
        return Stages(
            self.study.store,
            self.data,
            self.plan,
            compute=self.compute,
            shortened=kept.shortened,
            on_shortened=kept.shorten,
            on_event=self.on_event,
        )

    def trained(self, record: ChampionRecord) -> ChampionRecord:
        """Return the record with members that are trained to their end."""
        kept = _Kept(self.study, record)
        members = self.stages(kept).members()
        watched = [self.study.store.weights(member.runs[0]) for member in members]
        return _calibrated(self.study, replace(kept.record, members=members), watched, self.data)

    def student(self, record: ChampionRecord) -> ChampionRecord:
        """Return the record of the small network that learns the answers of the members before they saw validation."""
        store, plan = self.study.store, self.plan
        name = student_name(record.name, plan)
        there = records(store).get(name)
        if there is not None and there.is_ready:
            return there
        watched = [store.weights(member.runs[0]) for member in record.members]
        identity = " ".join(member.runs[0] for member in record.members)
        kept = _Kept(self.study, record)
        teacher = replace(assembled(store, record), members=tuple(watched))
        member = self.stages(kept).student(Teacher(record.network, teacher.plain_members()), identity)
        assert plan.student is not None and plan.student_training is not None  # noqa: S101, PT018 - else there is none
        begun = replace(
            kept.record,
            name=name,
            network=plan.student,
            training=plan.student_training,
            members=(member,),
            views=(View(),),
        )
        return _calibrated(self.study, begun, [store.weights(member.runs[0])], self.data)


def student_name(name: str, plan: Plan) -> str:
    """Return what the student of the champion called `name` is called."""
    hidden = () if plan.student is None else plan.student.hidden
    same = len(set(hidden)) == 1
    shape = f"{len(hidden)}x{hidden[0]}" if same else "-".join(map(str, hidden))
    return f"{name}-{shape}"


def _calibrated(study: Study, record: ChampionRecord, watched: list[Parameters], data: Dataset) -> ChampionRecord:
    """Keep and return the record with the temperature and the figures of its members on validation images.

    watched: the members' parameters before they saw these images.
    """
    split = data.validation
    plain = Model(record.network, tuple(watched), record.image_shape, record.class_names, views=record.views)
    scores = np.stack(
        [answered(record.network, each, split.images, split.labels).scores for each in plain.plain_members()]
    )
    found = replace(plain, temperature=temperature(scores, split.labels))
    answers = found.probabilities(split.images)
    given = answers[np.arange(len(split)), split.labels].astype(np.float64)
    metrics = {
        "val_accuracy": float((answers.argmax(axis=1) == split.labels).mean()),
        "val_loss": float(-np.log(np.maximum(given, np.finfo(np.float32).tiny)).mean()),
        "val_images": float(len(split)),
    }
    keep(study.store, replace(record, temperature=found.temperature, metrics=metrics))
    return records(study.store)[record.name]
