"""A study's report, written and opened from the page."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import escape
from starlette.responses import Response

from neurona.errors import DataError, DownloadError
from neurona.i18n import _
from neurona.report import policy, write_report
from neurona.web.endpoint import Refusal
from neurona.web.lab.studies import Studies

__all__ = ["read_report", "write", "written"]

_writing = threading.Lock()  # a report takes seconds of a core, and memory: one at a time


def written(studies: Studies, name: str) -> str | None:
    """Return when the report of the study called `name` was written, as ISO 8601; None when there is none."""
    try:
        seconds = _file(studies, name).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def write(studies: Studies, name: str) -> None:
    """Write the report of the study called `name`, in the reader's language; Refusal (404) when there is none."""
    study = studies.get(name)
    file = _file(studies, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    data = None
    with suppress(DataError, DownloadError):  # the report says so, and goes without images
        data = studies.data(study)
    with _writing:
        write_report(study, file, data=data)


def read_report(studies: Studies, name: str) -> Response:
    """Return the report of the study called `name`, in a place of its own.

    The page's policy knows no inline script; the report's knows its two by their hashes. To this server its page is
    a stranger (`sandbox` without `allow-same-origin`), whatever is in the file. Refusal (404) when none is there that
    this version has written.
    """
    studies.get(name)
    try:
        content = _file(studies, name).read_bytes()
    except OSError:
        content = b""
    if str(escape(policy())).encode() not in content:
        raise Refusal(404, _("the report of {name} is not there; the page of the lab writes it.").format(name=name))
    headers = {"content-security-policy": f"{policy()}; frame-ancestors 'none'; sandbox allow-scripts"}
    return Response(content, headers=headers, media_type="text/html; charset=utf-8")


def _file(studies: Studies, name: str) -> Path:
    folder = studies.get(name).folder
    return (studies.root / name if folder is None else folder) / "report.html"
