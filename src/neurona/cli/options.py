"""Options that many commands have: which study they are about, where they train, what they print."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.errors import UsageError
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.compute import Compute
    from neurona.study import Study

__all__ = [
    "GpusPerRun",
    "Json",
    "On",
    "Results",
    "RunsAtATime",
    "StudyDatabase",
    "StudyPlace",
    "computing_on",
    "folders",
    "opened",
]

StudyPlace = Annotated[
    str | None,
    typer.Option(help=_("The study's folder; with --db, its name. The only one in neurona-studies unless given.")),
]
Results = Annotated[
    str | None,
    typer.Option(help=_("Folder for the results; with --db, the study's name. neurona-studies/LAB unless given.")),
]
RunsAtATime = Annotated[
    int | None, typer.Option(min=1, max=1_024, help=_("Runs at a time; as many as cores unless given."))
]
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
On = Annotated[
    str,
    typer.Option(
        metavar="WHERE",
        help=_(
            "Where to train: local; ray: a Ray cluster, RAY_ADDRESS's or one started on this machine; auto, "
            "ray://HOST:PORT or HOST:PORT (needs the extra ray)."
        ),
    ),
]
GpusPerRun = Annotated[
    float,
    typer.Option(
        min=0.0, max=16.0, metavar="N", help=_("With --on: GPUs for each piece of work; 0.25: four share one.")
    ),
]
StudyDatabase = Annotated[str | None, typer.Option(metavar="URL", help=_("A database, instead of a folder."))]


@contextmanager
def computing_on(on: str, workers: int | None, gpus_per_run: float) -> Iterator[Compute]:
    """Give what computes where `--on` says; what Ray prints meanwhile goes to stderr, which is not for results."""
    from neurona.compute import computing

    with redirect_stdout(sys.stderr), computing(on, workers=workers, gpus_per_run=gpus_per_run) as compute:
        yield compute


def opened(study: str | None, db: str | None) -> Study:
    """Open the study that `--study` and `--db` name."""
    from neurona.study import STUDIES, Study

    if db is not None:
        if study is None:
            raise UsageError(_("--db needs --study with the study's name."))
        return Study.open(url=db, name=study)
    if study is not None:
        return Study.open(study)
    found = folders()
    if not found:
        sentence = _("there is no study in {folder}; --study names another folder.")
        raise UsageError(sentence.format(folder=STUDIES))
    if len(found) > 1:
        sentence = _("there are several studies; --study says which: {folders}.")
        raise UsageError(sentence.format(folders=", ".join(map(str, found))))
    return Study.open(found[0])


def folders() -> list[Path]:
    """Return the folders of the studies in ./neurona-studies."""
    from neurona.study import STUDIES

    return sorted(file.parent for file in STUDIES.glob("*/study.db"))
