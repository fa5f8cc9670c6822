"""Files that Neurona writes, whole or not at all; and those of its own that others need on the disk."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neurona.errors import UsageError
from neurona.i18n import _

__all__ = ["finite", "on_disk", "write_whole"]


def write_whole(content: bytes, path: Path) -> None:
    """Write `content` beside `path`, then rename it: a half-written file never stands there.

    Raises UsageError when it cannot be written, or `path` is there and no plain file: a device would be replaced.
    """
    if path.exists() and not path.is_file():
        raise UsageError(_("{file} is not a plain file, and is left as it is.").format(file=path))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):  # where a part of the path is no folder, it cannot be there either
            beside.unlink()
        raise UsageError(_("{file} cannot be written: {error}.").format(file=path, error=error.strerror)) from None


def finite(value: Any) -> Any:
    """Return a value for JSON, which has no NaN and no infinity: with None for them, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


@contextmanager
def on_disk(folder: Traversable) -> Iterator[Path]:
    """Give a package's folder as one on the disk meanwhile: a copy, where Neurona runs from a zip file."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory(prefix="neurona-") as copy:
        _copy(folder, Path(copy))
        yield Path(copy)


def _copy(folder: Traversable, to: Path) -> None:
    for part in folder.iterdir():
        if part.is_dir():
            (to / part.name).mkdir()
            _copy(part, to / part.name)
        else:
            (to / part.name).write_bytes(part.read_bytes())
