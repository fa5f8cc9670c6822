"""The API described by itself: OpenAPI 3.1, from the endpoints and their pydantic models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from neurona import __version__
from neurona.web.endpoint import Endpoint

__all__ = ["openapi"]

_REFUSALS = {
    400: "What was sent breaks a rule; the document says which, and where.",
    401: "The token is missing.",
    403: "The request comes from another origin.",
    404: "There is nothing of this name.",
    408: "The body took too long to arrive.",
    409: "Something of yours is under way already.",
    413: "The body is too large.",
    415: "The body is of another type.",
    421: "The server is not called so.",
    429: "There are too many already.",
    500: "The server could not do it; its terminal says why.",
    503: "Too much is under way; try again later.",
}
_COMMON = (400, 401, 403, 421, 500)
_PROBLEM = {
    "type": "object",
    "required": ["status", "title"],
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string", "description": "A sentence in the reader's language."},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "sentence"],
                "properties": {
                    "where": {"type": "array", "items": {"type": "string"}},
                    "sentence": {"type": "string"},
                },
            },
        },
    },
}


def openapi(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document of `endpoints`."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, path, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Neurona", "version": __version__, "description": "What the page of `neurona serve` asks."},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: Endpoint, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 128}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    operation: dict[str, Any] = {"summary": endpoint.summary, "operationId": _name(endpoint, path)}
    statuses = {*_COMMON, *endpoint.statuses}
    if endpoint.has_body:
        statuses |= {408, 413}
        kind = "application/octet-stream" if endpoint.takes is bytes else "application/json"
        schema = {} if endpoint.takes is bytes else _schema(endpoint.takes, schemas, "validation")
        statuses |= set() if endpoint.takes is bytes else {415}
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    elif endpoint.takes is not None:
        parameters += _query(_schema(endpoint.takes, schemas, "validation"), schemas)
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = _gives(endpoint, schemas) | {str(status): _refusal(status) for status in sorted(statuses)}
    return operation


def _gives(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    if endpoint.gives is None:
        return {"204": {"description": "It is done."}}
    if isinstance(endpoint.gives, str):
        return {"200": {"description": "The answer.", "content": {endpoint.gives: {}}}}
    schema = _schema(endpoint.gives, schemas, "serialization")
    return {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _REFUSALS[status], "content": content}


def _query(schema: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    its = schemas[schema["$ref"].rpartition("/")[2]]
    required = its.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in its.get("properties", {}).items()
    ]


def _schema(kind: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    """Return a reference to the schema of `kind`, which goes with all it needs into `schemas`."""
    found = _adapter(kind).json_schema(mode=mode, ref_template="#/components/schemas/{model}")
    schemas.update(found.pop("$defs", {}))
    name = getattr(kind, "__name__", "")
    if found.get("type") == "object" and name:
        schemas[name] = found
        return {"$ref": f"#/components/schemas/{name}"}
    return dict(found)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _name(endpoint: Endpoint, path: str) -> str:
    words = re.findall(r"\w+", path.removeprefix("/api"))
    return "_".join([endpoint.method.lower(), *words])
