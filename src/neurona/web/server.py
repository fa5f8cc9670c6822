"""The server: the application put together, and the process that runs it."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.web import connections, page, shared
from neurona.web.desk import Desk, Settings
from neurona.web.endpoint import as_route, error_handlers
from neurona.web.openapi import openapi
from neurona.web.security import Guard
from neurona.web.tabs import tabs

__all__ = ["create_app", "free_port", "is_free", "listening", "prepared", "serve"]

_FAREWELL_SECONDS = 1.0  # that work under way is given to end
_TURN_SECONDS = 0.001  # that a thread which makes a training's program keeps the interpreter from those which answer


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application. Its models are loaded, or the first of them trained, when it starts."""
    desk = Desk(settings)
    endpoints = (*shared.ENDPOINTS, *(endpoint for tab in tabs().values() for endpoint in tab.ENDPOINTS))
    document = openapi(endpoints)

    async def api(_request: Request) -> Response:
        return JSONResponse(document)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        desk.models.start()
        yield
        desk.close(_FAREWELL_SECONDS)

    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/static/{name:path}", page.asset),
            Route("/api/openapi.json", api),
            *map(as_route, endpoints),
        ],
        middleware=[Middleware(Guard, host=settings.host, token=settings.token, language=settings.language)],
        exception_handlers=dict(error_handlers),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.desk = desk
    return app


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to `host` and `port`; UsageError, with the next free port, when it is taken."""
    try:
        family, *_rest, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise UsageError(_("--host: this machine has no address {host!r}.").format(host=host)) from None
    bound = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        free = free_port(host, port)
        sentence = _("port {port} of {host} cannot be had ({error}); {free} is free: --port {free}.")
        raise UsageError(sentence.format(port=port, host=host, error=error.strerror, free=free)) from None
    return bound


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens on `port` of `host`."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(host: str, after: int) -> int:
    """Return the next port after `after` that is free; UsageError when none of a hundred is."""
    for port in range(after + 1, min(after + 100, 65_536)):
        if is_free(host, port):
            return port
    raise UsageError(_("{host} has no free port near {port}.").format(host=host, port=after))


class _Server(uvicorn.Server):
    """uvicorn that says when it answers, and ends at Ctrl-C without raising it again."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()
        threading.Thread(target=_import_engine, name="engine", daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def _import_engine() -> None:
    """Import what trains: it takes most of a second, in which nobody else is answered, so not at the first training."""
    importlib.import_module("neurona.engine")


def prepared(app: Starlette, on_start: Callable[[], None]) -> uvicorn.Server:
    """Return the server of `app`, which its `run(sockets=…)` starts; `on_start` is called once it answers."""
    config = uvicorn.Config(
        app,
        http=connections.BoundedConnection,
        ws="none",
        lifespan="on",
        log_level="critical",  # what goes wrong in an answer, `neurona.web` logs
        access_log=False,
        server_header=False,
        timeout_keep_alive=round(connections.IDLE_SECONDS),
        h11_max_incomplete_event_size=32_768,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, on_start)


def serve(app: Starlette, bound: socket.socket, *, on_start: Callable[[], None]) -> None:
    """Serve `app` on a bound socket until Ctrl-C or a signal to end; `on_start` is called once it answers."""
    sys.setswitchinterval(_TURN_SECONDS)
    prepared(app, on_start).run(sockets=[bound])
    desk: Desk = app.state.desk
    desk.close(_FAREWELL_SECONDS)
    if any(thread.daemon for thread in threading.enumerate()):
        os._exit(0)  # an epoch that still computes has nothing to lose, and would crash an interpreter that ends
