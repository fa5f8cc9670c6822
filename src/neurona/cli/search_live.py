"""What a search shows while it runs: the best so far, who trains, and when it will be over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from neurona.i18n import _
from neurona.lab import differences
from neurona.runner import EpochEnded, Event, RunEnded, RunFailed
from neurona.search import Search, Searched, TrialBegan, TrialEnded, TrialEpoch, TrialEvent
from neurona.specs import Experiment

__all__ = ["SearchProgress"]


class SearchProgress:
    """Takes the events of a search and shows where it stands."""

    def __init__(
        self, search: Search, *, trials: int | None, minutes: float | None, finalists: int, seeds: int
    ) -> None:
        self._search, self._trials, self._minutes = search, trials, minutes
        count = min(1, finalists) * len(search.plans) if search.is_race else finalists
        printed = any(e.notebook_val_accuracy is not None for e in search.lab.experiments[1:])
        self._has_finals = finalists > 0
        self._final_runs = (count + 1 + printed) * seeds
        self._name = ""
        self._counts = {"complete": 0, "pruned": 0, "failed": 0}
        self._best: tuple[int, float] | None = None
        self._running: dict[int, tuple[Experiment, int, float | None]] = {}
        self._finals_done = 0
        self._before = 0.0
        self._began = time.monotonic()
        self._console: Console | None = None
        self._live: Live | None = None

    @contextmanager
    def watched(self, console: Console) -> Iterator[None]:
        """Show progress on `console` meanwhile."""
        self._console = console
        if not console.is_terminal:
            yield
            return
        with Live(get_renderable=self._shown, console=console, refresh_per_second=4, transient=True) as self._live:
            yield

    def begin(self, searched: Searched) -> None:
        """Take what there is of a search when it begins, or goes on."""
        self._name, self._running = searched.name, {}
        self._counts = {state: searched.count(state) for state in self._counts}
        best = searched.best
        self._best = None if best is None else (best.number, best.values[0])
        self._before, self._began = searched.seconds, time.monotonic()

    def take(self, event: TrialEvent | Event) -> None:
        """Take one event, of a trial or of a finalist's run."""
        if isinstance(event, TrialBegan):
            self._running[event.number] = (event.experiment, 0, None)
        elif isinstance(event, TrialEpoch):
            experiment = self._running[event.number][0]
            self._running[event.number] = (experiment, event.epoch, event.value)
        elif isinstance(event, TrialEnded):
            self._ended(event)
        elif isinstance(event, RunEnded | RunFailed):
            self._finals_done += 1
            self._say_final(event)
        elif isinstance(event, EpochEnded):
            pass

    def _ended(self, event: TrialEnded) -> None:
        self._running.pop(event.number, None)
        self._counts[event.state] += 1
        objective = self._search.objective
        if event.values is not None and (self._best is None or objective.gain(event.values[0], self._best[1]) > 0):
            self._best = (event.number, event.values[0])
        if self._live is not None and event.error is None:
            return
        worth = self._word(event.state) if event.values is None else objective.shown(event.values[0])
        sentence = _("[{done}] trial {number}: {worth}; best so far {best}")
        if event.error is not None:
            worth = event.error
        best = "–" if self._best is None else objective.shown(self._best[1])
        self._say(sentence.format(done=self._done(), number=event.number, worth=worth, best=best))

    @staticmethod
    def _word(state: str) -> str:
        return _("stopped early") if state == "pruned" else _("failed")

    def _say_final(self, event: RunEnded | RunFailed) -> None:
        if self._live is not None:
            return
        sentence = _("[{done}/{total}] final: {name}, seed {seed}: {worth}")
        if isinstance(event, RunEnded):
            worth = f"val_accuracy {event.run.history['val_accuracy'][-1]:.4f}"
        else:
            worth = event.error
        names = {"name": event.task.experiment.name, "seed": event.task.seed, "worth": worth}
        self._say(sentence.format(done=self._finals_done, total=self._final_runs, **names))

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False)

    def _done(self) -> str:
        done = sum(self._counts.values())
        return f"{done}/{self._trials}" if self._trials is not None else str(done)

    def _shown(self) -> Group:
        table = Table(box=None, padding=(0, 1), header_style="bold")
        table.add_column(_("trial"), justify="right")
        table.add_column(_("epoch"), justify="right")
        table.add_column(_("so far"), justify="right")
        table.add_column(_("differs in"), overflow="ellipsis", no_wrap=True)
        objective = self._search.objective
        for number, (experiment, epoch, value) in sorted(self._running.items()):
            settings = differences(experiment, self._search.plans[self._name].base)
            epochs = f"{epoch}/{experiment.training.epochs}"
            # what a pruner compares is an accuracy or a loss, whatever the objective
            shown = "" if value is None else f"{value:.4f}" if objective.name == "val_loss" else f"{100 * value:.2f} %"
            table.add_row(str(number), epochs, shown, " ".join(f"{key}={val}" for key, val in settings.items()))
        return Group(table, Text(self._foot(), style="cyan"))

    def _foot(self) -> str:
        if self._finals_done:
            sentence = _("finals: {done} of {total} runs at most")
            return sentence.format(done=self._finals_done, total=self._final_runs)
        counts = {**self._counts, "running": len(self._running)}
        text = _("{name}: {complete} complete, {pruned} stopped early, {running} under way").format(
            name=self._name, **counts
        )
        if self._best is not None:
            best = _("best {value} (trial {number})")
            text += " · " + best.format(value=self._search.objective.shown(self._best[1]), number=self._best[0])
        left = self._seconds_left()
        if left is not None:
            minutes, seconds = divmod(round(left), 60)
            sentence = _("about {left} left, then the finals") if self._has_finals else _("about {left} left")
            text += " · " + sentence.format(left=f"{minutes}:{seconds:02d}")
        return text

    def _seconds_left(self) -> float | None:
        """Return a guess of the time that the trials still take; None before the first has ended."""
        spent = self._before + time.monotonic() - self._began
        done = sum(self._counts.values())
        guesses = []
        if self._minutes is not None:
            guesses.append(60 * self._minutes - spent)
        if self._trials is not None and done:
            guesses.append((self._trials - done) * spent / done)
        return max(0.0, min(guesses)) if guesses else None
