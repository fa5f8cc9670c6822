"""Which study a command is about: a folder, or a name in a database; the only one there unless said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from neurona.errors import UsageError
from neurona.i18n import _

if TYPE_CHECKING:
    from neurona.study import Study

__all__ = ["StudyDatabase", "StudyPlace", "opened"]

StudyPlace = Annotated[
    str | None,
    typer.Option(help=_("The study's folder; with --db, its name. The only one in neurona-studies unless given.")),
]
StudyDatabase = Annotated[str | None, typer.Option(metavar="URL", help=_("A database, instead of a folder."))]


def opened(study: str | None, db: str | None) -> Study:
    """Open the study that `--study` and `--db` name."""
    from neurona.study import STUDIES, Study

    if db is not None:
        if study is None:
            raise UsageError(_("--db needs --study with the study's name."))
        return Study.open(url=db, name=study)
    if study is not None:
        return Study.open(study)
    folders = sorted(file.parent for file in STUDIES.glob("*/study.db"))
    if not folders:
        sentence = _("there is no study in {folder}; --study names another folder.")
        raise UsageError(sentence.format(folder=STUDIES))
    if len(folders) > 1:
        sentence = _("there are several studies; --study says which: {folders}.")
        raise UsageError(sentence.format(folders=", ".join(map(str, folders))))
    return Study.open(folders[0])
