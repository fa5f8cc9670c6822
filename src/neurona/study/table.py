"""A comparison as a table: in a terminal, in Jupyter, as CSV, Parquet or a pandas frame."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurona.errors import MissingExtraError, UsageError
from neurona.files import check_place, write_whole
from neurona.i18n import _
from neurona.study.cells import (
    shown_accuracy,
    shown_difference,
    shown_differences,
    shown_name,
    shown_opened,
    shown_verdict,
)
from neurona.study.comparison import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison"]


@dataclass(frozen=True)
class Comparison:
    """The experiments of a study beside each other: the baseline first, then group by group, best mean first.

    openings: how often the study's test set has been opened.
    """

    rows: tuple[Row, ...]
    openings: int = 0

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.experiment.name == name:
                return row
        raise KeyError(name)

    @property
    def note(self) -> str:
        """How often the test set was opened, and which rows it concerns; empty while it is sealed."""
        return shown_opened(self.openings, any(row.after_opening for row in self.rows))

    def records(self) -> list[dict[str, Any]]:
        """Return a flat record for each row, as the exports have them; accuracies are fractions, None is unknown."""
        return [_record(row) for row in self.rows]

    def export(self, path: str | Path) -> None:
        """Write the table to `path`, a file or an address as `s3://bucket/table.csv`; `.csv` or `.parquet` says how."""
        self.check_export(path)
        if Path(path).suffix.lower() == ".csv":
            self.to_csv(path)
        else:
            self.to_parquet(path)

    @staticmethod
    def check_export(path: str | Path) -> None:
        """Raise UsageError when `path` does not end as `export` needs it, or cannot be written to."""
        if Path(path).suffix.lower() not in (".csv", ".parquet"):
            sentence = _("a table is exported to a file that ends in .csv or .parquet, but got {file}.")
            raise UsageError(sentence.format(file=path))
        check_place(path)

    def to_csv(self, path: str | Path) -> None:
        """Write the records to `path` as CSV in UTF-8, with a line of names; an empty field is unknown."""
        records = self.records()
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
        write_whole(text.getvalue().encode(), path)

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a frame with a row an experiment; needs the extra `[pandas]`."""
        try:
            import pandas as pd
        except ImportError as error:
            raise _missing_pandas() from error
        frame = pd.DataFrame.from_records(self.records())
        return frame.astype(dict.fromkeys(_WHOLE_NUMBERS, "Int64") | dict.fromkeys(_FIGURES, "float64"))

    def to_parquet(self, path: str | Path) -> None:
        """Write the records to `path` as Parquet; needs the extra `[pandas]`."""
        buffer = io.BytesIO()
        try:
            self.to_pandas().to_parquet(buffer, engine="pyarrow", index=False)
        except ImportError as error:
            raise _missing_pandas() from error
        write_whole(buffer.getvalue(), path)

    def __repr__(self) -> str:
        cells = [self._titles(), *(self._cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
        return "\n".join([*lines, self.note] if self.note else lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in self._titles())
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in self._cells(row)) + "</tr>" for row in self.rows
        )
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    @staticmethod
    def _titles() -> list[str]:
        return [
            _("experiment"),
            _("differs in"),
            _("parameters"),
            _("val. accuracy %"),
            _("difference"),
            _("verdict"),
            _("s/run"),
        ]

    @staticmethod
    def _cells(row: Row) -> list[str]:
        return [
            shown_name(row),
            shown_differences(row),
            f"{row.parameters:,}",
            shown_accuracy(row),
            shown_difference(row.difference, row.verdict),
            shown_verdict(row.verdict),
            "" if row.seconds_per_run is None else f"{row.seconds_per_run:.1f}",
        ]


_WHOLE_NUMBERS = ("parameters", "completed", "diverged", "failed", "pending", "after_opening", "seeds_needed")
_FIGURES = (
    *(f"val_{what}_{part}" for what in ("accuracy", "loss") for part in ("mean", "sd", "low", "high")),
    *(f"difference{part}" for part in ("", "_low", "_high")),
    "p",
    "adjusted_p",
    *(f"probability_better{part}" for part in ("", "_low", "_high")),
    "seconds_per_run",
    "notebook_val_accuracy",
)


def _record(row: Row) -> dict[str, Any]:
    accuracy, loss, difference = row.accuracy_interval, row.loss_interval, row.difference
    better, verdict = row.probability_better, row.verdict
    return {
        "name": row.experiment.name,
        "group": row.experiment.group,
        "engine": row.experiment.engine,
        "differences": shown_differences(row),
        "parameters": row.parameters,
        **vars(row.runs),
        "after_opening": row.after_opening,
        **{f"val_accuracy_{part}": getattr(accuracy, part, None) for part in ("mean", "sd", "low", "high")},
        **{f"val_loss_{part}": getattr(loss, part, None) for part in ("mean", "sd", "low", "high")},
        "difference": getattr(difference, "mean", None),
        "difference_low": getattr(difference, "low", None),
        "difference_high": getattr(difference, "high", None),
        "p": getattr(difference, "p_value", None),
        "adjusted_p": getattr(verdict, "adjusted_p", None),
        "verdict": getattr(verdict, "word", None),
        "seeds_needed": getattr(verdict, "seeds_needed", None),
        "probability_better": getattr(better, "value", None),
        "probability_better_low": getattr(better, "low", None),
        "probability_better_high": getattr(better, "high", None),
        "seconds_per_run": row.seconds_per_run,
        "notebook_val_accuracy": row.experiment.notebook_val_accuracy,
    }


def _missing_pandas() -> MissingExtraError:
    return MissingExtraError(_("pandas and pyarrow are needed for this: pip install 'neurona[pandas]'."))
