"""`neurona serve`: the page to draw in."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurona.cli.options import StudyDatabase, folders, opened
from neurona.cli.output import progress
from neurona.errors import NeuronaError
from neurona.i18n import _, asked_for

if TYPE_CHECKING:
    from neurona.study import Study
    from neurona.web import Desk, Settings

__all__ = ["serve"]

PORT = 8765


def serve(
    study: Annotated[
        str | None,
        typer.Option(
            help=_(
                "The study whose models are offered, and which keeps drawings; with --db, its name. "
                "The only one in neurona-studies unless given, or a model."
            )
        ),
    ] = None,
    db: StudyDatabase = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help=_("A model that `train --save` wrote, or s3://…; several may be named.")),
    ] = None,
    lab: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help=_("A lab that may be run from the page; several may be named.")),
    ] = None,
    host: Annotated[
        str, typer.Option(help=_("Where to listen; beyond this machine a token is asked for."))
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help=_("Port; unless given, {port} or the next that is free.").format(port=PORT)
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help=_("Do not open the page in the browser."))] = False,
) -> None:
    """Serve the page until Ctrl-C."""
    from neurona.web import Settings, create_app
    from neurona.web import serve as serve_app
    from neurona.web.security import is_loopback
    from neurona.web.server import free_port, is_free, listening

    if port is None and not is_free(host, PORT):
        port = free_port(host, PORT)
        progress().print(_("Port {taken} is taken; {port} is free.").format(taken=PORT, port=port), markup=False)
    bound = listening(host, port or PORT)
    offered, note = _offered(study, db, is_needed=not model)
    settings = Settings(
        study=offered,
        models=tuple(model or ()),
        labs=tuple(lab or ()),
        host=host,
        port=port or PORT,
        token=None if is_loopback(host) else secrets.token_urlsafe(24),
        language=asked_for(),
    )
    app = create_app(settings)
    address = _address(settings)

    def started() -> None:
        progress().print(_("Neurona is at {address} (Ctrl-C ends it).").format(address=address), markup=False)
        if settings.token is not None:
            progress().print(_("Whoever has this address may use it: keep it to your group."), markup=False)
        if note:
            progress().print(note, markup=False)
        _watch_training(app.state.desk)
        if not no_browser:
            webbrowser.open(address)

    serve_app(app, bound, on_start=started)


def _offered(study: str | None, db: str | None, *, is_needed: bool) -> tuple[Study | None, str]:
    """Return the study whose models are offered, and a sentence where that is not as it was asked.

    Where none is named but `is_needed`, it is the only one in ./neurona-studies: None where there are none, or several,
    or it cannot be opened.
    """
    if study is not None or db is not None:
        return opened(study, db), ""
    found = folders() if is_needed else []
    if not found:
        return None, ""
    if len(found) > 1:
        return None, _("There are several studies; --study says whose models to offer.")
    try:
        return opened(None, None), _("The models are those of {study}.").format(study=found[0])
    except NeuronaError as error:
        return None, _("{study} is not offered: {error}").format(study=found[0], error=error)


def _address(settings: Settings) -> str:
    """Return where the page is; for every address of this machine, where one of this machine finds it."""
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(settings.host, settings.host)  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}/" + (f"?token={settings.token}" if settings.token else "")


def _watch_training(desk: Desk) -> None:
    """Say how the baseline comes along, where one is trained for lack of other models."""
    job = desk.models.training
    if job is None:
        return
    progress().print(_("No model or study was named: the baseline is being trained."), markup=False)

    def say(event: str, values: dict[str, Any]) -> None:
        if event == "epoch":
            sentence = _("Epoch {number} of {epochs}: validation accuracy {accuracy:.4f}.")
            accuracy = values["val_accuracy"]
            shown = sentence.format(number=values["number"], epochs=values["epochs"], accuracy=accuracy)
            progress().print(shown, style="dim", markup=False)

    job.on_event(say)
