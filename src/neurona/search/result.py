"""What came of a search: its trials, what they explain, and the finals; in a terminal, in Jupyter, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from neurona.i18n import _, ngettext
from neurona.lab import differences
from neurona.search.explanation import Explanation, explain
from neurona.search.finalists import Finalist, Finals
from neurona.search.record import Searched
from neurona.study import Row, Study
from neurona.study.cells import shown_accuracy, shown_difference, shown_verdict
from neurona.study.comparison import difference_json

__all__ = ["SearchResult"]


@dataclass(frozen=True)
class SearchResult:
    """What came of a search in a study.

    searched: the search; of a race, each of its searches.
    finals: None while there are none.
    """

    study: Study
    searched: tuple[Searched, ...]
    finals: Finals | None

    @cached_property
    def explanations(self) -> Mapping[str, Explanation]:
        """Search -> which of its settings mattered, and how."""
        return {searched.name: explain(searched) for searched in self.searched}

    @property
    def best(self) -> Finalist | None:
        """The finalist with the best mean over the fresh seeds; None without finals."""
        return self.finals.finalists[0] if self.finals else None

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "lab": self.study.lab,
            "searches": [self._search_json(searched) for searched in self.searched],
            "finals": None if self.finals is None else _finals_json(self.finals, self.equal_time()),
        }

    def _search_json(self, searched: Searched) -> dict[str, Any]:
        explanation = self.explanations[searched.name]
        best = searched.best
        return {
            "name": searched.name,
            "objective": searched.objective.name,
            "seconds": searched.seconds,
            "counts": {state: searched.count(state) for state in ("complete", "pruned", "failed", "running")},
            "best": None if best is None else best.to_json(),
            "front": [trial.number for trial in searched.front()] if len(searched.objective.directions) > 1 else None,
            "importances": dict(explanation.importances),
            "effects": [
                {"key": effect.key, "levels": [vars(level) for level in effect.levels], "sentence": effect.sentence}
                for effect in explanation.effects
            ],
            "borders": [vars(border) for border in explanation.borders],
            "trials": [trial.to_json() for trial in searched.trials],
        }

    def equal_time(self) -> dict[str, float]:
        """Return experiment -> mean accuracy over the fresh seeds after as much time as the quickest takes in all.

        An epoch of an experiment counts as long as its median one; between two epochs the accuracy is interpolated, and
        before the first it is 0.
        """
        if self.finals is None:
            return {}
        curves = {}
        names = {row.experiment.name for row in self.finals.comparison.rows}
        for family in self.study.experiments(seeds=self.finals.seeds):
            if family.name in names and family.ended:
                epochs = [run.epochs for run in family.ended.values()]
                seconds = sorted(epoch.seconds for each in epochs for epoch in each)
                curves[family.name] = seconds[len(seconds) // 2], epochs
        if not curves:
            return {}
        limit = min(median * max(map(len, runs)) for median, runs in curves.values())
        found = {}
        for name, (median, runs) in curves.items():
            ends = [[0.0, *(epoch.val_accuracy for epoch in run)] for run in runs]
            scores = [float(np.interp(limit / median, range(len(curve)), curve)) for curve in ends]
            found[name] = sum(scores) / len(scores)
        return found

    def summary(self) -> list[str]:
        """Return what the search did, a sentence each."""
        lines = []
        for searched in self.searched:
            sentence = ngettext(
                "{name}: {count} trial in {clock}", "{name}: {count} trials in {clock}", len(searched.trials)
            )
            minutes, seconds = divmod(round(searched.seconds), 60)
            clock = f"{minutes}:{seconds:02d}"
            text = sentence.format(name=searched.name, count=len(searched.trials), clock=clock)
            text += _(", {complete} complete, {pruned} pruned").format(
                complete=searched.count("complete"), pruned=searched.count("pruned")
            )
            if searched.count("failed"):
                text += _(", {failed} failed").format(failed=searched.count("failed"))
            if searched.best is not None:
                shown = searched.objective.shown(searched.best.values[0])
                text += _("; the best, {number}, reached {value}").format(number=searched.best.number, value=shown)
            lines.append(text + ".")
        return lines

    def titles(self) -> tuple[str, ...]:
        """Return the titles of `cells`."""
        base = (_("experiment"), _("differs in"), _("first"), _("val. accuracy %"), _("optimism"))
        last = _("at equal time %") if self._is_race else _("to the notebook's best")
        return (*base, _("to the baseline"), _("verdict"), last, _("s/run"))

    @property
    def _is_race(self) -> bool:
        return len(self.searched) > 1

    def names(self) -> list[str]:
        """Return the experiments of `cells`, line by line."""
        if self.finals is None:
            return []
        finalists = [each.row.experiment.name for each in self.finals.finalists]
        rows = [row.experiment.name for row in self.finals.comparison.rows]
        return [*(name for name in rows if name not in finalists), *finalists]

    def cells(self) -> list[tuple[str, ...]]:
        """Return the finals as lines of a table: what they are compared with first, then the finalists."""
        if self.finals is None:
            return []
        finalists = {each.row.experiment.name: each for each in self.finals.finalists}
        beside = [row for row in self.finals.comparison.rows if row.experiment.name not in finalists]
        objective = self.searched[0].objective
        times = {name: f"{100 * mean:.2f}" for name, mean in self.equal_time().items()} if self._is_race else {}
        lines = [self._cells(row, "", "", times.get(row.experiment.name, "")) for row in beside]
        for name, each in finalists.items():
            optimism = "–" if each.optimism is None else objective.shown_gain(each.optimism)
            text = name + (" " + _("(left early)") if each.stopped else "")
            last = times.get(name, shown_difference(each.difference, each.finding))
            cells = self._cells(each.row, objective.shown(each.first), optimism, last)
            lines.append((text, *cells[1:]))
        return lines

    def _cells(self, row: Row, first: str, optimism: str, last: str) -> tuple[str, ...]:
        baseline = self.finals.comparison.rows[0].experiment if self.finals else row.experiment
        seconds = "" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}"
        return (
            row.experiment.name,
            _shown_settings(differences(row.experiment, baseline)),
            first,
            shown_accuracy(row),
            optimism,
            shown_difference(row.difference, row.verdict),
            shown_verdict(row.verdict),
            last,
            seconds,
        )

    def notes(self) -> list[str]:
        """Return what the figures of the finals mean, a sentence each."""
        if self.finals is None:
            return []
        sentence = ngettext(
            "The finalists were trained again with {count} fresh seed.",
            "The finalists were trained again with {count} fresh seeds.",
            self.finals.seeds,
        )
        found = [sentence.format(count=self.finals.seeds) + " " + _("± is half of the interval at 95 %, in points.")]
        found.append(
            _("Optimism: by how much the score of the trial that was chosen was better than the fresh seeds' mean.")
        )
        if self._is_race:
            found.append(
                _("At equal time: after as much time as the quickest takes in all, interpolated between epochs.")
            )
        elif self.finals.notebook is not None:
            found.append(_("The notebook's best is {name}, with as many epochs.").format(name=self.finals.notebook))
        return found

    def __repr__(self) -> str:
        lines = [*self.summary()]
        if self.finals is not None:
            table = [self.titles(), *self.cells()]
            widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
            lines += [
                "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                for line in table
            ]
            lines += self.notes()
        for explanation in self.explanations.values():
            lines += explanation.sentences()
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        said = [sentence for explanation in self.explanations.values() for sentence in explanation.sentences()]
        parts = [f"<p>{escape(line)}</p>" for line in self.summary()]
        if self.finals is not None:
            head = "".join(f"<th>{escape(title)}</th>" for title in self.titles())
            body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in line) + "</tr>" for line in self.cells())
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
            parts += [f"<p>{escape(note)}</p>" for note in self.notes()]
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
        return "".join(parts) + (f"<ul>{items}</ul>" if items else "")


def _shown_settings(settings: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return ",".join(map(text, value))
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return " ".join(f"{key}={text(value)}" for key, value in settings.items())


def _finals_json(finals: Finals, equal_time: Mapping[str, float]) -> dict[str, Any]:
    return {
        "seeds": finals.seeds,
        "baseline": finals.baseline,
        "notebook": finals.notebook,
        "experiments": [
            row.to_json() | {"val_accuracy_at_equal_time": equal_time.get(row.experiment.name)}
            for row in finals.comparison.rows
        ],
        "finalists": [
            {
                "name": each.row.experiment.name,
                "search": each.search,
                "trial": each.trial,
                "first": each.first,
                "fresh": each.fresh,
                "optimism": each.optimism,
                "left_early": each.stopped,
                "difference_to_notebook": difference_json(each.difference),
                "verdict_to_notebook": None if each.finding is None else vars(each.finding),
            }
            for each in finals.finalists
        ],
    }
