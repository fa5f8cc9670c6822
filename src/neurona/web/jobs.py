"""Work that takes longer than an answer: trained in the background, followed by server-sent events, bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import StreamingResponse

from neurona.errors import NeuronaError, SpecError
from neurona.files import finite
from neurona.i18n import _, language, speaking
from neurona.web.endpoint import Refusal

__all__ = ["Job", "Jobs", "State", "client_of", "event_stream"]

State = Literal["waiting", "running", "done", "failed", "stopped"]
ENDED = ("done", "failed", "stopped")
MOST_EVENTS = 20_000  # of one job; one with more is stopped
HEARTBEAT_SECONDS = 15.0  # between signs of life on a quiet stream, which find out who has gone

_log = logging.getLogger("neurona.web")


class Job:
    """Something under way. Its worker tells events, and anybody may follow them, from the first on.

    kind: what it is, as `baseline` or `tune`.
    client: whose it is.
    state: `waiting`, `running`, `done`, `failed` or `stopped`; each change is an event called `state`.
    result: what the worker returned.

    patience, seconds: see `Jobs.start`.
    """

    def __init__(
        self,
        kind: str,
        client: str,
        work: Callable[[Job], Any],
        *,
        patience: float = math.inf,
        seconds: float = math.inf,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.kind, self.client = kind, client
        self.state: State = "waiting"
        self.result: Any = None
        self._work = work
        self._language = language()
        self._events: list[tuple[str, dict[str, Any] | None]] = []
        self._shown: dict[str, int] = {}  # event -> where the last of those stands of which the last is kept
        self._listeners: set[Callable[[], object]] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._turn = threading.Event()  # set when a job that rests may go on, or should look why not
        self._over = threading.Event()
        self._step_aside: Callable[[Job, float], None] = lambda job, seconds: None
        self._patience, self._seconds = patience, seconds
        self._followers = 0
        self._alone_since = time.monotonic()
        self._began = math.inf

    def tell(self, event: str, **values: Any) -> None:
        """Add an event with JSON values; its followers hear of it at once."""
        self._add(event, values, keep_last=False)

    def show(self, event: str, **values: Any) -> None:
        """Add an event of which only the last is kept, as a picture: who comes late misses those before it."""
        self._add(event, values, keep_last=True)

    def _add(self, event: str, values: dict[str, Any], *, keep_last: bool) -> None:
        with self._lock:
            if keep_last:
                if event in self._shown:
                    self._events[self._shown[event]] = (event, None)
                self._shown[event] = len(self._events)
            self._events.append((event, finite(values)))
            if len(self._events) > MOST_EVENTS:
                self._stop.set()
            listeners = list(self._listeners)
        for hear in listeners:
            hear()

    def on_event(self, say: Callable[[str, dict[str, Any]], object]) -> None:
        """Call `say(name, values)` for each event from now on, in the worker's thread."""
        with self._lock:
            heard = len(self._events)

        def hear() -> None:
            nonlocal heard
            with self._lock:
                events, heard = self._events[heard:], len(self._events)
            for name, values in events:
                if values is not None:
                    say(name, values)

        with self._lock:
            self._listeners.add(hear)

    def stop(self) -> None:
        """Ask the worker to stop. It does so where it next looks at `asked_to_stop`; a job that waits ends at once."""
        with self._lock:
            self._stop.set()
            waiting = self.state == "waiting"
            if waiting:
                self.state = "stopped"
        self._turn.set()
        if waiting:
            self._end("stopped")

    def asked_to_stop(self) -> bool:
        """Whether it is to stop: it was told to, its reader has gone or time is up; for `neurona.train(stop=…)`."""
        if not self._stop.is_set():
            now = time.monotonic()
            left = self._followers == 0 and now - self._alone_since > self._patience
            if left or now - self._began > self._seconds:
                self._stop.set()
        return self._stop.is_set()

    def rest(self, seconds: float) -> None:
        """Let `seconds` pass, and others work meanwhile; it comes back sooner when it is asked to stop."""
        if seconds > 0 and not self.asked_to_stop():
            self._step_aside(self, seconds)

    @property
    def ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self.state in ENDED

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is over, for `seconds` at most; return whether it is."""
        return self._over.wait(seconds)

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, str, dict[str, Any]] | None]:
        """Yield (number, name, values) of each event after the first `after`, to the last; None for a quiet while."""
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def listener() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(heard.set)

        with self._lock:
            self._listeners.add(listener)
            self._followers += 1
        try:
            while True:
                heard.clear()
                with self._lock:
                    events, over = self._events[after:], self.ended
                for name, values in events:
                    after += 1
                    if values is not None:
                        yield after, name, values
                if over and not events:
                    return
                if not events:
                    try:
                        await asyncio.wait_for(heard.wait(), HEARTBEAT_SECONDS)
                    except TimeoutError:
                        yield None
        finally:
            with self._lock:
                self._listeners.discard(listener)
                self._followers -= 1
                self._alone_since = time.monotonic()

    def run(self) -> None:
        """Do the work; what it raises is told to its followers as a sentence."""
        if self.asked_to_stop():
            self.stop()
        with self._lock:
            if self.ended:
                return
            self.state = "running"
            self._began = time.monotonic()
        self._enter("running")
        try:
            with speaking(self._language):
                self.result = self._work(self)
        except Exception as error:
            if self.asked_to_stop():
                self._end("stopped", **self._why())
                return
            shown = isinstance(error, SpecError | Refusal)
            if not shown:
                _log.error("%s: %s", self.kind, error, exc_info=not isinstance(error, NeuronaError))
            with speaking(self._language):
                sentence = str(error) if shown else _("the server could not do this; its terminal says why.")
            self._end("failed", error=sentence)
        else:
            if self.asked_to_stop():
                self._end("stopped", **self._why())
            else:
                self._end("done")

    def _why(self) -> dict[str, str]:
        if time.monotonic() - self._began <= self._seconds:
            return {}
        with speaking(self._language):
            sentence = _("it was stopped after {seconds:.0f} seconds: a training in the page takes no longer.")
            return {"note": sentence.format(seconds=self._seconds)}

    def _enter(self, state: State, **values: Any) -> None:
        self.state = state
        self.tell("state", state=state, **values)

    def _end(self, state: State, **values: Any) -> None:
        self._enter(state, **values)
        self._over.set()


class Jobs:
    """What is under way and what waits for it: one job a client, so many at a time, so many in all.

    workers: jobs that run at a time.
    most_waiting: jobs that may wait.
    kept: jobs that have ended and can still be looked at.
    """

    def __init__(self, *, workers: int = 1, most_waiting: int = 64, kept: int = 256) -> None:
        self._workers, self._most_waiting, self._kept = workers, most_waiting, kept
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def start(
        self,
        kind: str,
        client: str,
        work: Callable[[Job], Any],
        *,
        patience: float = math.inf,
        seconds: float = math.inf,
    ) -> Job:
        """Start `work(job)` in a thread, or let it wait its turn.

        patience: seconds without anybody who follows it, after which it is to stop: its reader has gone.
        seconds: after which it is to stop, from when it began to run.

        Raises Refusal (409) when this client has one under way that was not asked to stop, (503) when too many wait.
        """
        with self._lock:
            its = [job for job in self._jobs.values() if job.client == client and not job.ended]
            if not all(job.asked_to_stop() for job in its):
                raise Refusal(409, _("you have a training under way; stop it, or wait until it ends."))
            self._forget_who_left()
            if len(self._queue) >= self._most_waiting:
                raise Refusal(503, _("too many trainings wait already; try again in a minute."))
            job = Job(kind, client, work, patience=patience, seconds=seconds)
            job._step_aside = self._step_aside
            self._jobs[job.id] = job
            for over in [old.id for old in self._jobs.values() if old.ended][: -self._kept]:
                del self._jobs[over]
            self._queue.append(job)
            self._fill()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job by its id; Refusal (404) when there is none."""
        job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(404, _("there is no such training; it may have been long ago."))
        return job

    def ahead_of(self, job: Job) -> int:
        """Return how many jobs come before a waiting one."""
        with self._lock:
            self._forget_who_left()
            return self._queue.index(job) if job in self._queue else 0

    def close(self, seconds: float) -> bool:
        """Stop everything; return whether all had ended after `seconds`."""
        with self._lock:
            open_ = [job for job in self._jobs.values() if not job.ended]
        for job in open_:
            job.stop()
        return all(job.wait(seconds / max(1, len(open_))) for job in open_)

    def _forget_who_left(self) -> None:
        """Take from the queue whoever is no longer waited for. The lock is held."""
        for job in self._queue:
            if job.asked_to_stop():
                job.stop()
        self._queue = deque(job for job in self._queue if not job.ended)

    def _fill(self) -> None:
        """Start waiting jobs while there is a worker for them. The lock is held."""
        while self._queue and self._running < self._workers:
            job = self._queue.popleft()
            if job.state == "running":  # it has rested
                self._running += 1
                job._turn.set()
            elif not job.ended:
                self._running += 1
                threading.Thread(target=self._run, args=(job,), name="job", daemon=True).start()

    def _step_aside(self, job: Job, seconds: float) -> None:
        """Give the worker's place to others for `seconds`, then wait for one; one that is to stop need not wait."""
        with self._lock:
            self._running -= 1
            self._fill()
        job._stop.wait(seconds)
        with self._lock:
            job._turn.clear()
            if job._stop.is_set():
                self._running += 1
                return
            self._queue.append(job)
            self._fill()
        job._turn.wait()
        with self._lock, contextlib.suppress(ValueError):
            self._queue.remove(job)  # it was stopped in the queue
            self._running += 1

    def _run(self, job: Job) -> None:
        try:
            job.run()
        finally:
            with self._lock:
                self._running -= 1
                self._fill()


def client_of(request: Request) -> str:
    """Return whose a request is: the page's own random number, or the address for whoever sends none."""
    given = request.headers.get("x-neurona-client", "")
    host = request.client.host if request.client else ""
    return f"{host} {given[:64]}"


def event_stream(job: Job, request: Request) -> StreamingResponse:
    """Return the events of `job` as a stream; a browser that lost its connection goes on where it was.

    After the last comes an event `end`, on which the page closes the stream.
    """
    last = request.headers.get("last-event-id", "0")
    after = int(last) if last.isdecimal() and len(last) < 9 else 0

    async def events() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        async for event in job.follow(after):
            if event is None:
                yield ": still here\n\n"
                continue
            number, name, values = event
            yield f"id: {number}\nevent: {name}\ndata: {json.dumps(values, separators=(',', ':'))}\n\n"
        yield "event: end\ndata: {}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})
