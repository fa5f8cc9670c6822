"""Connections: so many, and none that keeps its place without saying anything."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["IDLE_SECONDS", "MOST", "BoundedConnection"]

MOST = 512  # open at a time
IDLE_SECONDS = 20.0  # for a request's head to arrive, and for a reader to take what is written

_SENTENCE = b"Too many connections; try again in a few seconds.\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SENTENCE), _SENTENCE)
)


class BoundedConnection(H11Protocol):
    """A connection that is refused when too many are open, and closed when its client only holds it."""

    _deadline: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: Any) -> None:
        """Take it, or refuse it at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._refused = True
            transport.write(_FULL)
            transport.close()
        else:
            self._close_later()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is refused or closing already."""
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()  # the request's head is there; its body has a time of its own

    def on_response_complete(self) -> None:
        """Wait for the next request, not for ever."""
        super().on_response_complete()
        if self.conn.their_state is not h11.MUST_CLOSE:
            self._close_later()

    def pause_writing(self) -> None:
        """Give a reader that does not read some time."""
        super().pause_writing()
        self._close_later()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _close_later(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
