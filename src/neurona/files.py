"""Files that Neurona writes: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from neurona.errors import UsageError
from neurona.i18n import _

__all__ = ["write_whole"]


def write_whole(content: bytes, path: Path) -> None:
    """Write `content` beside `path`, then rename it: a half-written file never stands there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(_("{file} cannot be written: {error}.").format(file=path, error=error.strerror)) from None
