"""`neurona report`: a study as one HTML file that works offline."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.options import Json, StudyDatabase, StudyPlace, opened
from neurona.cli.output import print_json, result
from neurona.errors import UsageError
from neurona.files import is_address, size
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.study import Study

__all__ = ["report", "report_file"]


def report(
    study: StudyPlace = None,
    db: StudyDatabase = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help=_("The file to write, here or at s3://…; report.html in the study's folder unless given."),
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(help=_("Whose mistakes and weights are shown; the best mean validation accuracy unless given.")),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help=_("Open it in the browser."))] = False,
    as_json: Json = False,
) -> None:
    """Write the report and say where it is."""
    if open_ and output is not None and is_address(output):
        raise UsageError(_("--open opens a file of this machine, but --output is an address."))
    started = time.perf_counter()
    found = opened(study, db)
    from neurona.report import write_report

    path = write_report(found, output or report_file(found, study), experiment=experiment)
    seconds, count = time.perf_counter() - started, size(path)
    if as_json:
        print_json({"lab": found.lab, "report": str(path), "bytes": count, "seconds": seconds})
    else:
        sentence = _("The report is in {file} ({size:.1f} MB, {seconds:.0f} s).")
        result().print(sentence.format(file=path, size=count / 1e6, seconds=seconds), markup=False)
    if open_:
        webbrowser.open(Path(path).resolve().as_uri())


def report_file(study: Study, name: str | None) -> Path:
    """Return where a study's report goes: its folder; for one on a server, a folder of its `name`, made if need be."""
    from neurona.study import STUDIES

    folder = study.folder
    if folder is None:
        folder = STUDIES / Path(name or study.lab).name
        folder.mkdir(parents=True, exist_ok=True)
    return folder / "report.html"
