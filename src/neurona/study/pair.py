"""Two experiments of a study against each other: the difference, what may be said of it, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from neurona.i18n import _
from neurona.specs import NEURONA
from neurona.stats import Estimate, PairedDifference, compare_pairs
from neurona.study.cells import shown_accuracy, shown_difference, shown_name, shown_share
from neurona.study.comparison import (
    ExperimentRuns,
    Finding,
    Row,
    better_than,
    compared,
    difference_json,
    estimate_json,
)

__all__ = ["PairComparison", "compare_engines", "compare_pair"]


@dataclass(frozen=True)
class PairComparison:
    """One experiment against another on the validation split, as if nothing else had been compared.

    first, second: their rows in the study's comparison.
    difference: validation accuracy of the first minus that of the second over the seeds that both have.
    verdict: `better` means that the first is better. No correction: choose the two before you look at the results;
        but where engines are compared, Holm's, over all experiments that two engines did.
    probability_better: how often a run of the first beats a run of the second.
    """

    first: Row
    second: Row
    difference: PairedDifference | None
    verdict: Finding
    probability_better: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        keys = ("name", "engine", "parameters", "runs", "val_accuracy", "val_loss", "seconds_per_run", "after_opening")
        first, second = ({key: row.to_json()[key] for key in keys} for row in (self.first, self.second))
        return {
            "first": first,
            "second": second,
            "difference": difference_json(self.difference),
            "verdict": vars(self.verdict),
            "probability_better": estimate_json(self.probability_better),
            "times_parameters": self.first.parameters / self.second.parameters,
            "times_seconds": self.times_seconds,
        }

    @property
    def times_seconds(self) -> float | None:
        """How many times as long as the second's a run of the first takes."""
        ours, theirs = self.first.seconds_per_run, self.second.seconds_per_run
        return ours / theirs if ours is not None and theirs else None

    def lines(self) -> list[tuple[str, str, str, str]]:
        """Return title, first, second and difference of every line of its table."""
        first, second = (row.experiment.engine for row in self.sides)
        shown = [] if first == second == NEURONA else [(_("engine"), first, second, "")]
        return [
            *shown,
            (
                _("val. accuracy %"),
                shown_accuracy(self.first),
                shown_accuracy(self.second),
                shown_difference(self.difference, self.verdict) or "–",
            ),
            (
                _("parameters"),
                f"{self.first.parameters:,}",
                f"{self.second.parameters:,}",
                f"× {self.first.parameters / self.second.parameters:.2f}",
            ),
            (
                _("seconds a run"),
                _shown_seconds(self.first),
                _shown_seconds(self.second),
                "–" if self.times_seconds is None else f"× {self.times_seconds:.2f}",
            ),
        ]

    @property
    def sides(self) -> tuple[Row, Row]:
        """Both rows."""
        return self.first, self.second

    def sentence(self) -> str:
        """Return the verdict as a sentence."""
        names = {"first": self.first.experiment.name, "second": self.second.experiment.name}
        match self.verdict.word:
            case "better":
                return _("{first} is better than {second}.").format(**names)
            case "worse":
                return _("{first} is worse than {second}.").format(**names)
            case "same-network":
                return _("{first} and {second} are declared alike: they are the same network.").format(**names)
            case "no-difference-seen":
                sentence = _("No difference between {first} and {second} is seen; one of 0.2 points probably would be.")
                return sentence.format(**names)
            case "too-few-seeds":
                text = _("Between {first} and {second} nothing can be said: too few seeds.").format(**names)
                if self.verdict.seeds_needed is not None:
                    text += " " + _("About {count} would do.").format(count=self.verdict.seeds_needed)
                return text

    def __repr__(self) -> str:
        head = ("", *(shown_name(row) for row in self.sides), _("difference"))
        lines = [head, *self.lines()]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*table, f"{self.sentence()} {self.chance()}".strip()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in ("", *map(shown_name, self.sides), _("difference")))
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in self.lines())
        note = escape(f"{self.sentence()} {self.chance()}".strip())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>"

    def chance(self) -> str:
        """Return how often the first beats the second, as a sentence; empty where they are the same or have no runs."""
        if self.probability_better is None or self.verdict.word == "same-network":
            return ""
        sentence = _("A run of {first} beats a run of {second} in {share} of the cases.")
        return sentence.format(
            first=self.first.experiment.name,
            second=self.second.experiment.name,
            share=shown_share(self.probability_better),
        )


def _shown_seconds(row: Row) -> str:
    return "–" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}"


def compare_pair(first: ExperimentRuns, second: ExperimentRuns, sides: tuple[Row, Row], classes: int) -> PairComparison:
    """Return `first` against `second`; `sides` are their rows."""
    result, finding = compared([second, first], second, classes)[first.name]
    return PairComparison(*sides, result.difference, finding, better_than(first, second, classes))


def compare_engines(family: Sequence[ExperimentRuns], rows: Sequence[Row], classes: int) -> tuple[PairComparison, ...]:
    """Return each experiment of another engine than Neurona's against the one of Neurona's that is otherwise the same.

    rows: the rows of `family` that are wanted; the correction is over all of `family`.
    """
    shown = {row.experiment.name: row for row in rows}
    ours: dict[str, ExperimentRuns] = {}
    theirs: dict[str, ExperimentRuns] = {}
    for runs in sorted(family, key=lambda runs: runs.name not in shown):  # of experiments that are equal, one shown
        experiment = runs.stored.experiment
        (ours if experiment.engine == NEURONA else theirs).setdefault(experiment.id, runs)
    pairs = {runs.name: (runs, ours[_recipe(runs)]) for runs in theirs.values() if _recipe(runs) in ours}
    found = compare_pairs(
        {runs.name: runs.scores() for runs in family},
        {name: (first.name, second.name) for name, (first, second) in pairs.items()},
        diverged_score=1.0 / classes,
    )
    return tuple(
        PairComparison(
            first=shown[first.name],
            second=shown[second.name],
            difference=found[name].difference,
            verdict=Finding.of(found[name]),
            probability_better=better_than(first, second, classes),
        )
        for name, (first, second) in pairs.items()
        if first.name in shown and second.name in shown
    )


def _recipe(runs: ExperimentRuns) -> str:
    """Return what two experiments share that differ in nothing but engine and name."""
    return runs.stored.experiment.replace(engine=NEURONA).id
