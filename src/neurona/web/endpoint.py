"""An endpoint of the API: what it takes, what it gives, and how a refusal is told."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neurona.errors import NeuronaError, Problem, SpecError, UsageError
from neurona.files import finite
from neurona.i18n import _
from neurona.specs import Spec

__all__ = ["BODY_BYTES", "BODY_SECONDS", "Endpoint", "Refusal", "as_route", "error_handlers", "problem"]

BODY_BYTES = 1_000_000  # of a request, unless its endpoint takes larger ones
BODY_SECONDS = 30.0  # a body that takes longer to arrive is refused

_log = logging.getLogger("neurona.web")


class Refusal(UsageError):  # noqa: N818 - the answer to a request, more than an error
    """A request that is refused with a sentence for its reader, and an HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Endpoint:
    """One method of one address of the API.

    path: under `/api/`; parameters in braces, as Starlette has them.
    answer: called as `answer(request)`, or `answer(request, taken)` where the endpoint takes something. It returns what
        `gives` says, as a pydantic model, a list of such, bytes, or a Response of its own. A plain function runs in
        a thread, and so may compute; a coroutine may only wait.
    summary: a sentence in English, for the API's document.
    takes: a Spec: of the JSON body, or for GET and DELETE of the query. Or `bytes`: the body as it came.
    gives: a pydantic model, or `list[…]` of one; or a media type.
    body_bytes: the largest body that is read.
    statuses: those of its refusals, beside 400 and what every endpoint may answer.
    """

    method: str
    path: str
    answer: Callable[..., Any]
    summary: str
    takes: type[Spec] | type[bytes] | None = None
    gives: Any = None
    body_bytes: int = BODY_BYTES
    statuses: tuple[int, ...] = ()

    @property
    def has_body(self) -> bool:
        """Whether what it takes is in the request's body."""
        return self.takes is not None and self.method in ("POST", "PUT")


def as_route(endpoint: Endpoint) -> Route:
    """Return Starlette's route for `endpoint`."""

    async def handle(request: Request) -> Response:
        try:
            return await answer(request)
        except Exception as error:
            return _told(request, error)

    async def answer(request: Request) -> Response:
        arguments: tuple[Any, ...] = (request,)
        if endpoint.takes is bytes:
            arguments += (await _body(request, endpoint.body_bytes),)
        elif endpoint.takes is not None:
            given = _json(request, await _body(request, endpoint.body_bytes)) if endpoint.has_body else _query(request)
            arguments += (endpoint.takes(**given),)
        if inspect.iscoroutinefunction(endpoint.answer):
            found = await endpoint.answer(*arguments)
        else:
            found = await run_in_threadpool(endpoint.answer, *arguments)
        return _response(endpoint, found)

    return Route(endpoint.path, handle, methods=[endpoint.method])


def _response(endpoint: Endpoint, found: Any) -> Response:
    if isinstance(found, Response):
        return found
    if found is None:
        return Response(status_code=204)
    if isinstance(found, bytes):
        return Response(found, media_type=str(endpoint.gives))
    return JSONResponse(finite(_plain(found)))


def _plain(found: Any) -> Any:
    if isinstance(found, BaseModel):
        return found.model_dump(mode="json")
    if isinstance(found, list | tuple):
        return [_plain(one) for one in found]
    return found


async def _body(request: Request, most: int) -> bytes:
    """Return the body; a longer one than `most` bytes is refused before it is read, a slow one when time is up."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise _too_large(most)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                chunks.append(chunk)
    except TimeoutError:
        sentence = _("a request must arrive within {seconds:.0f} s.")
        raise Refusal(408, sentence.format(seconds=BODY_SECONDS)) from None
    return b"".join(chunks)


def _too_large(most: int) -> Refusal:
    return Refusal(413, _("a request to this address may have {most:,} bytes at most.").format(most=most))


def _json(request: Request, body: bytes) -> Mapping[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, _("this address takes JSON (Content-Type: application/json)."))
    try:
        found = json.loads(body, parse_constant=_no_number, object_pairs_hook=_no_key_twice)
    except RecursionError:
        raise Refusal(400, _("the JSON document is too deep.")) from None
    except ValueError as error:
        raise Refusal(400, _("the body is no JSON document: {error}.").format(error=error)) from None
    if not isinstance(found, dict):
        raise Refusal(400, _("the JSON document must be an object."))
    return found


def _no_number(name: str) -> float:
    raise ValueError(_("{name} is no number").format(name=name))


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(_("an object has a key twice"))
    return found


def _query(request: Request) -> Mapping[str, Any]:
    """Return the query's parameters, without those that are every page's."""
    return {name: value for name, value in request.query_params.items() if name not in ("lang", "token")}


def problem(status: int, sentence: str, problems: tuple[Problem, ...] = ()) -> Response:
    """Return a problem document (RFC 9457) in the reader's language."""
    document: dict[str, Any] = {"status": status, "title": sentence}
    if problems:
        document["problems"] = [{"where": list(each.where), "sentence": each.sentence} for each in problems]
    headers = {"connection": "close"} if status in (408, 413) else None  # what is still to come is not waited for
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def _told(request: Request, error: Exception) -> Response:
    """Return the answer to what went wrong. A sentence of the library's may hold a path: the terminal has it."""
    match error:
        case Refusal():
            return problem(error.status, str(error))
        case SpecError():
            return problem(400, str(error), error.problems)
        case ClientDisconnect():
            return Response(status_code=499)  # nobody reads it
        case HTTPException():
            return _http(request, error)
    _log.error("%s %s: %s", request.method, request.url.path, error, exc_info=not isinstance(error, NeuronaError))
    return problem(500, _("the server could not do this; its terminal says why."))


def _http(_request: Request, error: Exception) -> Response:
    """Return the answer to what the router refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the table below calls it for nothing else
    sentences = {404: _("there is nothing at this address."), 405: _("this address takes no such method.")}
    answer = problem(error.status_code, sentences.get(error.status_code, _("the request cannot be answered.")))
    answer.headers.update(error.headers or {})
    return answer


error_handlers: Mapping[Any, Callable[[Request, Exception], Response]] = {HTTPException: _http}
