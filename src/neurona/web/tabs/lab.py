"""The tab on labs: studies, live; tables, curves, mistakes, reports; labs started, paused and resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from neurona.errors import NeuronaError
from neurona.i18n import _
from neurona.specs import Spec
from neurona.study import Lab, Study
from neurona.web.desk import Desk, desk
from neurona.web.endpoint import Endpoint, Refusal
from neurona.web.jobs import client_of
from neurona.web.lab import documents, reports
from neurona.web.lab.documents import Curves, Key, Mistakes, Progress, Table, dataset_name
from neurona.web.lab.runs import DEFAULT_SEEDS, MOST_EPOCHS, MOST_SEEDS, LabOrder

__all__ = ["ENDPOINTS", "title", "words"]

POLL_SECONDS = 0.5  # how often a study's store is asked where it stands while somebody follows it
QUIET_SECONDS = 15.0  # after which a stream without news gives a sign of life
MOST_FOLLOWERS = 128


class Brief(BaseModel):
    """A study in a line. problem: why it cannot be read; empty where it can."""

    name: str
    lab: str = ""
    dataset: str = ""
    progress: Progress | None = None
    problem: str = ""


class Startable(BaseModel):
    """A lab that can be started. groups: of its experiments, and how many networks each has."""

    name: str
    dataset: str
    groups: dict[str, int]
    epochs: int


class Overview(BaseModel):
    """What there is: studies, labs, and the bounds of what may be started."""

    studies: list[Brief]
    labs: list[Startable]
    default_seeds: int
    most_seeds: int
    most_epochs: int


class CurvesQuery(Spec):
    """Which figure's curves: a key of the history, as Keras has it."""

    key: Key = "val_accuracy"


class MistakesQuery(Spec):
    """Whose mistakes; the best experiment's unless said."""

    experiment: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Report(BaseModel):
    """When the report was written, as ISO 8601; None while there is none."""

    written: str | None


def _overview(request: Request) -> Overview:
    its = desk(request)
    labs = [
        Startable(
            name=lab.name,
            dataset=dataset_name(lab.dataset),
            groups=_counts(lab),
            epochs=lab.baseline.training.epochs,
        )
        for lab in its.labs.labs()
    ]
    return Overview(
        studies=[_brief(its, name) for name in its.studies.names()],
        labs=labs,
        default_seeds=DEFAULT_SEEDS,
        most_seeds=MOST_SEEDS,
        most_epochs=MOST_EPOCHS,
    )


def _counts(lab: Lab) -> dict[str, int]:
    """Return how many networks each group has; one that is another's, or the baseline's, is not trained again."""
    found: dict[str, set[str]] = {}
    for experiment in lab.experiments[1:]:
        found.setdefault(experiment.group, set()).add(experiment.id)
    return {group: len(ids - {lab.baseline.id}) for group, ids in found.items()}


def _brief(its: Desk, name: str) -> Brief:
    def read(study: Study) -> tuple[str, str]:
        return study.lab, dataset_name(study.dataset)

    try:
        lab, dataset = its.studies.read(name, read)
        return Brief(name=name, lab=lab, dataset=dataset, progress=_stands(its, name))
    except NeuronaError:  # its sentence may hold a path; the others are still shown
        return Brief(name=name, problem=_("cannot be read"))


def _stands(its: Desk, name: str) -> Progress:
    """Return where a study stands; however many ask, its store is asked twice a second."""

    def find() -> Progress:
        here = its.labs.under_way
        own = here if here is not None and here.study == name else None
        return its.studies.read(name, lambda study: documents.progress(name, study, own))

    return its.studies.lately(name, "progress", POLL_SECONDS / 2, find)


def _name(request: Request) -> str:
    return str(request.path_params["study"])


def _progress(request: Request) -> Progress:
    return _stands(desk(request), _name(request))


async def _events(request: Request) -> Response:
    its, name = desk(request), _name(request)
    first = await run_in_threadpool(_stands, its, name)
    if its.followers >= MOST_FOLLOWERS:
        raise Refusal(503, _("too many follow studies already; try again in a minute."))

    async def stream() -> AsyncIterator[str]:
        its.followers += 1
        told, quiet, stands = None, 0.0, first
        try:
            yield "retry: 2000\n\n"
            while True:
                if stands != told:
                    told, quiet = stands, 0.0
                    text = json.dumps(stands.model_dump(mode="json"), separators=(",", ":"))
                    yield f"event: progress\ndata: {text}\n\n"
                elif quiet > QUIET_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(POLL_SECONDS)
                quiet += POLL_SECONDS
                try:
                    stands = await run_in_threadpool(_stands, its, name)
                except NeuronaError:  # it was removed
                    yield "event: end\ndata: {}\n\n"
                    return
        finally:
            its.followers -= 1

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _table(request: Request) -> Table:
    return desk(request).studies.read(_name(request), documents.table)


def _curves(request: Request, query: CurvesQuery) -> Curves:
    return desk(request).studies.read(_name(request), lambda study: documents.curves(study, query.key))


def _mistakes(request: Request, query: MistakesQuery) -> Mistakes:
    return documents.mistakes(desk(request).studies, _name(request), query.experiment)


def _report(request: Request) -> Response:
    return reports.read_report(desk(request).studies, _name(request))


def _report_state(request: Request) -> Report:
    return Report(written=reports.written(desk(request).studies, _name(request)))


def _write_report(request: Request) -> Report:
    reports.write(desk(request).studies, _name(request))
    return _report_state(request)


def _start(request: Request, order: LabOrder) -> Progress:
    its = desk(request)
    return _now(its, its.labs.start(order, client_of(request)).study)


def _resume(request: Request) -> Progress:
    its = desk(request)
    return _now(its, its.labs.resume(_name(request), client_of(request)).study)


def _pause(request: Request) -> Progress:
    its = desk(request)
    its.labs.pause(_name(request))
    return _now(its, _name(request))


def _now(its: Desk, name: str) -> Progress:
    its.studies.forget(name)
    return _stands(its, name)


ENDPOINTS = (
    Endpoint("GET", "/api/studies", _overview, "The studies, and the labs that can be started.", gives=Overview),
    Endpoint("GET", "/api/studies/{study}", _progress, "Where a study stands.", gives=Progress, statuses=(404,)),
    Endpoint(
        "GET",
        "/api/studies/{study}/events",
        _events,
        "Where a study stands, followed: an event `progress` whenever that changes.",
        gives="text/event-stream",
        statuses=(404, 503),
    ),
    Endpoint("GET", "/api/studies/{study}/table", _table, "The table of a study.", gives=Table, statuses=(404,)),
    Endpoint(
        "GET",
        "/api/studies/{study}/curves",
        _curves,
        "The learning curves of a study.",
        takes=CurvesQuery,
        gives=Curves,
        statuses=(404,),
    ),
    Endpoint(
        "GET",
        "/api/studies/{study}/mistakes",
        _mistakes,
        "The validation images that an experiment gets wrong.",
        takes=MistakesQuery,
        gives=Mistakes,
        statuses=(404,),
    ),
    Endpoint(
        "GET", "/api/studies/{study}/report", _report, "The report of a study.", gives="text/html", statuses=(404,)
    ),
    Endpoint(
        "GET",
        "/api/studies/{study}/report/state",
        _report_state,
        "When the report of a study was written.",
        gives=Report,
        statuses=(404,),
    ),
    Endpoint("POST", "/api/studies/{study}/report", _write_report, "Write its report.", gives=Report, statuses=(404,)),
    Endpoint(
        "POST",
        "/api/labs",
        _start,
        "Run a lab, or groups of it; one runs at a time.",
        takes=LabOrder,
        gives=Progress,
        statuses=(404, 409),
    ),
    Endpoint(
        "POST", "/api/studies/{study}/resume", _resume, "Go on with a study.", gives=Progress, statuses=(404, 409)
    ),
    Endpoint(
        "POST",
        "/api/studies/{study}/pause",
        _pause,
        "Stop the runs in flight at the end of their epoch; they go on from there.",
        gives=Progress,
        statuses=(404, 409),
    ),
)


def title() -> str:
    """Return what the tab is called."""
    return _("Lab")


def words() -> dict[str, str]:
    """Return the sentences of `lab.js`."""
    return {
        "heading": _("Labs and what they found"),
        "lead": _("Every experiment with several seeds, compared with the baseline."),
        "studies": _("Studies"),
        "none": _("No study is here yet. Start a lab below: the first answers come within a minute."),
        "start": _("Start a lab"),
        "start_lead": _("It runs here, in the background. You may pause it and go on later; nothing is lost."),
        "lab": _("Lab"),
        "groups": _("Groups"),
        "groups_hint": _("The baseline always runs."),
        "seeds": _("Seeds"),
        "epochs": _("Epochs"),
        "runs": _("{count} runs of {epochs} epochs"),
        "run": _("Run it"),
        "pause": _("Pause"),
        "pausing": _("Pausing: the runs in flight come to the end of their epoch."),
        "resume": _("Go on"),
        "more_seeds": _("Run {seeds} seeds"),
        "state_here": _("running here"),
        "state_elsewhere": _("running in another process"),
        "state_unfinished": _("paused"),
        "state_complete": _("complete"),
        "state_empty": _("nothing has run yet"),
        "done": _("{done} of {planned} runs"),
        "failed": _("{count} failed"),
        "left": _("about {time} left"),
        "minutes": _("{minutes} min"),
        "under_a_minute": _("less than a minute"),
        "now_running": _("Training now"),
        "run_here": _("{experiment}, seed {seed}: epoch {epoch} of {epochs}, {accuracy} right"),
        "run_begun": _("{experiment}, seed {seed}: first epoch"),
        "run_elsewhere": _("{experiment}, seed {seed}"),
        "said_started": _("{study} is running."),
        "said_paused": _("{study} is paused after {done} of {planned} runs."),
        "said_complete": _("{study} is complete: {done} runs."),
        "said_quarter": _("{study}: {done} of {planned} runs are done."),
        "table": _("The table"),
        "table_scroll": _("Table, can be scrolled sideways"),
        "differences": _("Difference to the baseline in points, with its interval (95 %)"),
        "curves": _("Learning curves"),
        "curves_lead": _("The mean over seeds after each epoch, in its 95 % band. The baseline is dashed."),
        "figure": _("Figure"),
        "group": _("Group"),
        "val_accuracy": _("validation accuracy"),
        "accuracy": _("training accuracy"),
        "val_loss": _("validation loss (nats)"),
        "loss": _("training loss (nats)"),
        "epoch": _("epoch"),
        "numbers": _("The numbers of this figure"),
        "experiment": _("experiment"),
        "mistakes": _("Mistakes"),
        "mistakes_lead": _("What every seed gets wrong: the network cannot know better, or the label is wrong."),
        "mistaken": _("{label}, taken for {answer}"),
        "no_mistakes": _("There is no image that all seeds get wrong."),
        "whose": _("Whose"),
        "report": _("The report"),
        "report_lead": _("All of it in one file that works offline: to hand in, or to keep."),
        "write_report": _("Write the report"),
        "writing": _("The report is being written…"),
        "open_report": _("Open the report"),
        "report_written": _("written {time}"),
        "predict": _("Before you look: predict, then reveal"),
        "cannot_read": _("This study cannot be read."),
    }
