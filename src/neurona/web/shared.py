"""The endpoints that every tab uses: the models on offer, and what is under way."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from neurona.web.desk import desk
from neurona.web.endpoint import Endpoint
from neurona.web.jobs import Job, Jobs, State, event_stream
from neurona.web.models import Source

__all__ = ["ENDPOINTS", "JobState", "job_state"]


class OfferedModel(BaseModel):
    """A model that can be chosen."""

    id: str
    name: str
    source: Source


class Models(BaseModel):
    """The models on offer; `training` is the job of one that is being trained for lack of others."""

    models: list[OfferedModel]
    training: str | None


class JobState(BaseModel):
    """Something under way. `ahead` of it wait so many."""

    id: str
    kind: str
    state: State
    ahead: Annotated[int, Field(ge=0)]
    result: Any = None


def _models(request: Request) -> Models:
    shelf = desk(request).models
    offered = [OfferedModel(id=offer.id, name=offer.name, source=offer.source) for offer in shelf.offers()]
    return Models(models=offered, training=shelf.training.id if shelf.training else None)


def job_state(jobs: Jobs, job: Job) -> JobState:
    """Return how `job` stands."""
    return JobState(id=job.id, kind=job.kind, state=job.state, ahead=jobs.ahead_of(job), result=job.result)


def _job(request: Request) -> JobState:
    jobs = desk(request).jobs
    return job_state(jobs, jobs.get(request.path_params["job"]))


async def _events(request: Request) -> Response:
    return event_stream(desk(request).jobs.get(request.path_params["job"]), request)


def _stop(request: Request) -> JobState:
    desk(request).jobs.get(request.path_params["job"]).stop()
    return _job(request)


ENDPOINTS = (
    Endpoint("GET", "/api/models", _models, "The models on offer.", gives=Models),
    Endpoint("GET", "/api/jobs/{job}", _job, "A training: how it stands.", gives=JobState, statuses=(404,)),
    Endpoint(
        "GET",
        "/api/jobs/{job}/events",
        _events,
        "A training, followed: server-sent events from its first on; `end` comes last.",
        gives="text/event-stream",
        statuses=(404,),
    ),
    Endpoint("POST", "/api/jobs/{job}/stop", _stop, "Stop a training.", gives=JobState, statuses=(404,)),
)
