"""The figures of all rounds: medians, ratios, the table and the JSON document."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import cores_available

EPOCH = "one run, steady epoch"
PROCESSES = "many runs, one process a core"
THREADS = "many runs, threads of one process"
COMMAND = "whole process, start to exit"


@dataclass
class Series:
    """One peer, one workload, one measure: a figure for each round."""

    workload: str
    peer: str
    measure: str
    seconds: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON document holds of it."""
        return {
            "workload": self.workload,
            "peer": self.peer,
            "measure": self.measure,
            "seconds": self.seconds,
            "median": self.median,
            "min": min(self.seconds),
            "max": max(self.seconds),
            "val_accuracy": self.val_accuracy,
        }


@dataclass
class Results:
    """Everything measured so far, and what could not be."""

    series: dict[tuple[str, str, str], Series] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    not_measured: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, workload: str, peer: str, measure: str, seconds: float, val_accuracy: float) -> None:
        """Keep one round's figure."""
        key = (workload, peer, measure)
        series = self.series.setdefault(key, Series(*key))
        series.seconds.append(seconds)
        series.val_accuracy.append(val_accuracy)

    def many_runs(self, workload: str) -> list[Series]:
        """For each peer the best it can do with all cores: a process for each, or one run after the other."""
        best: dict[str, Series] = {}
        measured = {key[1] for key in self.series if key[0] == workload and key[2] in (PROCESSES, THREADS)}
        for (of, peer, measure), series in self.series.items():
            if of != workload or peer not in measured or measure == COMMAND:
                continue
            if peer not in best or series.median < best[peer].median:
                best[peer] = series
        return list(best.values())

    def tables(self, workload: str, reference: str) -> list[tuple[str, list[Series]]]:
        """Return titles and rows, the reference's first and then from the fastest to the slowest."""

        def of(measure: str) -> list[Series]:
            return [s for key, s in self.series.items() if key[0] == workload and key[2] == measure]

        tables = [
            ("One run: seconds a steady epoch", of(EPOCH)),
            ("Many runs, all cores: seconds an epoch of one model", self.many_runs(workload)),
            ("Whole process, start to exit: seconds", of(COMMAND)),
        ]
        return [(title, ordered(rows, reference)) for title, rows in tables if rows]


def ordered(rows: Sequence[Series], reference: str) -> list[Series]:
    return sorted(rows, key=lambda series: (not series.peer.startswith(reference), series.median))


def table_text(title: str, rows: Sequence[Series], reference: str) -> str:
    """Return a Markdown table; `×` is a row's median over that of the reference's fastest row."""
    first = rows[0] if rows[0].peer.startswith(reference) else None
    lines = [["", "median", "min–max", "×", "val accuracy", "n", "how"]]
    for series in rows:
        ratio = f"{series.median / first.median:.2f}" if first else "–"
        lines.append(
            [
                series.peer,
                f"{series.median:.3f}",
                f"{min(series.seconds):.3f}–{max(series.seconds):.3f}",
                ratio,
                f"{statistics.fmean(series.val_accuracy):.4f}",
                str(len(series.seconds)),
                series.measure,
            ]
        )
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]
    numeric = [False, True, True, True, True, True, False]
    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
    text = ["| " + " | ".join(map(_padded, line, widths, numeric)) + " |" for line in (lines[0], rule, *lines[1:])]
    return f"**{title}**\n\n" + "\n".join(text)


def _padded(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {
        "processor": processor,
        "cores": len(cores_available()),
        "system": platform.platform(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def document(results: Results, options: dict[str, Any], reference: str, before: dict[str, Any]) -> dict[str, Any]:
    workloads = dict.fromkeys(key[0] for key in results.series)
    return {
        "machine": before,
        "options": options,
        "versions": results.versions,
        "series": [series.to_dict() for series in results.series.values()],
        "ratios": {
            workload: {
                title: {s.peer: s.median / rows[0].median for s in rows}
                for title, rows in results.tables(workload, reference)
                if rows[0].peer.startswith(reference)
            }
            for workload in workloads
        },
        "not_measured": [
            {"workload": w, "peer": p, "measure": m, "why": why} for (w, p, m), why in results.not_measured.items()
        ],
    }
