"""A study's report, written from what the study has now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from neurona import __version__, figures
from neurona.data import Dataset
from neurona.errors import DataError, DownloadError
from neurona.figures import Inspected
from neurona.files import check_place, write_whole
from neurona.i18n import _
from neurona.report.champion import chosen
from neurona.report.comparison import asked, compared, groups, learned
from neurona.report.document import Document, Note, Section
from neurona.report.network import inside, mistaken, robust
from neurona.report.page import page
from neurona.report.record import reproduced, sealed
from neurona.study import Comparison, Study

__all__ = ["write_report"]

Where = TypeVar("Where", bound=str | Path)


def write_report(
    study: Study,
    path: Where,
    *,
    experiment: str | None = None,
    data: Dataset | None = None,
) -> Where:
    """Write the report of `study` as one HTML file that needs nothing else, in the language in force; return `path`.

    It is drawn from the store alone: a study that is still running, or an old one, has a report too. Images are those
    of the data set that the study names; when it is not there or has changed, the report says so and goes without.

    path: of the file; its folder must be there. Or an address as fsspec has them, `s3://bucket/report.html`. A file
    that is there is replaced.
    experiment: whose mistakes and weights are shown; the one with the highest mean validation accuracy unless given.
    data: the study's data set; loaded unless given.

    Raises UsageError when the study has no such experiment, or the file cannot be written.
    """
    check_place(path)
    write_whole(page(document(study, experiment=experiment, data=data)), path)
    return path


def document(study: Study, *, experiment: str | None = None, data: Dataset | None = None) -> Document:
    """Return the report of `study` before it is a page; see `write_report`."""
    comparison = study.compare()
    problem = ""
    if data is None:
        try:
            data = figures.study_data(study)
        except (DataError, DownloadError) as error:
            problem = str(error)
    best = figures.best_experiment(study) if experiment is None else figures.experiment_runs(study, experiment).name
    sections: list[Section | None] = [
        asked(study, comparison, data, best),
        compared(comparison, study.compare_engines()),
    ]
    sections += [groups(comparison), learned(study, comparison)]
    sections += _of_network(study, comparison, best, data, problem)
    if study.has_searches():  # Optuna is loaded by who has one
        from neurona.report.search import searched
        from neurona.search import stored

        sections += [searched(result, number) for number, result in enumerate(stored(study), 1)]
    sections += [chosen(study), sealed(study, comparison), reproduced(study, comparison)]
    made = _("Written by Neurona {version} on {time}.")
    return Document(
        title=_("Report on {lab}").format(lab=study.lab),
        subtitle=_("Dense neural networks on {dataset}").format(
            dataset=data.name if data else Path(study.dataset).name
        ),
        made=made.format(version=__version__, time=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        sections=tuple(section for section in sections if section is not None),
    )


def _of_network(
    study: Study, comparison: Comparison, best: str | None, data: Dataset | None, problem: str
) -> list[Section | None]:
    """Return the sections on one network; a note where there is none to look at, or no image to show it."""
    if best is None:
        return []
    if data is None:
        note = Note(
            _("Mistakes, weights and robustness need the images, which are not here: {problem}").format(problem=problem)
        )
        return [Section("mistakes", _("Mistakes"), (note,))]
    one = figures.inspected(study, experiment=best, data=data)
    baseline: Inspected | None = None
    if best != comparison.rows[0].experiment.name and comparison.rows[0].runs.completed:
        baseline = figures.inspected(study, experiment=comparison.rows[0].experiment.name, data=data)
    return [mistaken(one), inside(one), robust(one, baseline)]
