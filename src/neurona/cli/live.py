"""What a lab shows while it runs: a live table in a terminal, one line a finished run elsewhere."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from neurona.data import Dataset
from neurona.engines import expected_seconds
from neurona.i18n import _
from neurona.lab import AT
from neurona.run import kept_epoch
from neurona.runner import EpochEnded, Event, RunEnded, RunFailed, RunStarted
from neurona.specs import NEURONA, Experiment
from neurona.store import Task
from neurona.study import Comparison, counted_accuracy

__all__ = ["Progress"]


@dataclass
class _Line:
    """One experiment's line; experiments that are equal share it."""

    experiment: Experiment
    names: list[str]
    seeds: int
    done: int = 0
    diverged: int = 0
    failed: int = 0
    accuracies: list[float] = field(default_factory=list)
    running: dict[int, tuple[int, float]] = field(default_factory=dict)  # seed -> epoch, its validation accuracy
    seconds: list[float] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """The engine in brackets, where it is not Neurona's and the names do not tell."""
        engine = self.experiment.engine
        told = engine == NEURONA or all(name.endswith(AT + engine) for name in self.names)
        return "" if told else f" ({engine})"


class Progress:
    """Takes the runner's events and shows where the lab stands."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        wanted: Sequence[Task],
        unfinished: Sequence[Task],
        data: Dataset,
        before: Comparison | None = None,
    ) -> None:
        self._data = data
        self._lines: dict[str, _Line] = {}
        for experiment in experiments:
            line = self._lines.setdefault(experiment.id, _Line(experiment, [], 0))
            line.names.append(experiment.name)
        for task in wanted:
            self._lines[task.experiment.id].seeds += 1
        todo = {task.id for task in unfinished}
        for task in wanted:
            self._lines[task.experiment.id].done += task.id not in todo
        for line in self._lines.values():
            line.accuracies = [] if before is None else list(before[line.names[0]].val_accuracy)
        self._total = len(wanted)
        self._started = time.monotonic()
        self._expected_done = 0.0
        self._console: Console | None = None
        self._live: Live | None = None

    @contextmanager
    def watched(self, console: Console) -> Iterator[None]:
        """Show progress on `console` meanwhile."""
        self._console = console
        self._started = time.monotonic()
        if not console.is_terminal:
            yield
            return
        with Live(get_renderable=self._table, console=console, refresh_per_second=4, transient=True) as self._live:
            yield

    def take(self, event: Event) -> None:
        """Take one event."""
        line = self._lines[event.task.experiment.id]
        seed = event.task.seed
        if isinstance(event, RunStarted):
            line.running[seed] = (0, float("nan"))
        elif isinstance(event, EpochEnded):
            line.running[seed] = (event.number, event.epoch.val_accuracy)
        elif isinstance(event, RunEnded):
            line.running.pop(seed, None)
            line.done += 1
            line.diverged += event.run.state == "diverged"
            line.accuracies.append(self._accuracy_of(event))
            line.seconds.append(event.run.seconds.train)
            self._expected_done += expected_seconds(line.experiment, self._data)
            self._say_ended(event)
        elif isinstance(event, RunFailed):
            line.running.pop(seed, None)
            line.failed += 1
            self._say(
                _("{name}, seed {seed}: failed: {error}").format(
                    name=line.names[0] + line.engine, seed=seed, error=event.error
                )
            )

    def _say_ended(self, event: RunEnded) -> None:
        if self._live is not None:
            return
        done = sum(line.done for line in self._lines.values())
        sentence = _("[{done}/{total}] {name}, seed {seed}: val_accuracy {accuracy:.4f}, {seconds:.1f} s")
        line = self._lines[event.task.experiment.id]
        text = sentence.format(
            done=done,
            total=self._total,
            name=line.names[0] + line.engine,
            seed=event.task.seed,
            accuracy=self._accuracy_of(event),
            seconds=event.run.seconds.train,
        )
        if event.run.state == "diverged":
            text += " " + _("(diverged)")
        self._say(text)

    def _accuracy_of(self, event: RunEnded) -> float:
        run = event.run
        return counted_accuracy(run.state, kept_epoch(run.training, run.history.epochs), self._data.classes)

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False)

    def _seconds_left(self, line: _Line) -> float:
        """Return a guess of the time on one core that `line` still needs."""
        runs = line.seeds - line.done - line.failed
        epochs = line.experiment.training.epochs
        begun = sum(number for number, _accuracy in line.running.values()) / epochs
        return max(0.0, runs - begun) * self._run_seconds(line)

    def _run_seconds(self, line: _Line) -> float:
        if line.seconds:
            return statistics.fmean(line.seconds)
        observed = sum(sum(other.seconds) for other in self._lines.values())
        pace = observed / self._expected_done if self._expected_done else 1.0
        return pace * expected_seconds(line.experiment, self._data)

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 1), header_style="bold")
        table.add_column(_("experiment"), no_wrap=True)
        table.add_column(_("seeds"), justify="right")
        table.add_column(_("progress"))
        table.add_column(_("epoch"), justify="right")
        table.add_column(_("val. accuracy"), justify="right")
        table.add_column(_("time left"), justify="right")
        for line in self._lines.values():
            begun = sum(number for number, _accuracy in line.running.values()) / line.experiment.training.epochs
            style = "bold" if line.running else "dim" if line.done == line.seeds else ""
            table.add_row(
                ", ".join(line.names) + line.engine,
                f"{line.done}/{line.seeds}",
                ProgressBar(total=line.seeds, completed=line.done + begun, width=20),
                " ".join(f"{number}/{line.experiment.training.epochs}" for number, _accuracy in line.running.values()),
                self._accuracy(line),
                _clock(self._seconds_left(line)) if line.done < line.seeds else "",
                style=style,
            )
        return Group(table, self._foot())

    @staticmethod
    def _accuracy(line: _Line) -> str:
        figures = list(line.accuracies)
        if not figures:
            figures = [accuracy for number, accuracy in line.running.values() if number]
        text = f"{100 * statistics.fmean(figures):.2f} %" if figures else ""
        return text + (f" ({line.diverged} NaN)" if line.diverged else "")

    def _foot(self) -> Text:
        done = sum(line.done for line in self._lines.values())
        running = sum(len(line.running) for line in self._lines.values())
        left = sum(self._seconds_left(line) for line in self._lines.values()) / max(1, running)
        sentence = _("{done} of {total} runs · {elapsed} so far · about {left} left")
        return Text(
            sentence.format(
                done=done,
                total=self._total,
                elapsed=_clock(time.monotonic() - self._started),
                left=_clock(left),
            ),
            style="cyan",
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
