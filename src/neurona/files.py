"""Files that Neurona writes, whole or not at all, and reads; and those of its own that others need on the disk.

A file is named by a path, or by an address as fsspec has them (`s3://bucket/model.safetensors`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neurona import remote
from neurona.errors import DataError, UsageError
from neurona.i18n import _

__all__ = ["beside", "check_place", "finite", "is_address", "on_disk", "read_whole", "size", "write_whole"]


def is_address(place: str | Path) -> bool:
    """Whether a file's place is an address. A Path never is: it keeps one of two slashes."""
    return "://" in str(place)


def check_place(place: str | Path) -> None:
    """Raise UsageError when no file can be written to `place`: its folder is not there, or nobody knows the address.

    Whoever trains for an hour and then writes asks before. Raises MissingExtraError without an address's library.
    """
    if is_address(place):
        remote.check_address(str(place))
    elif not Path(place).resolve().parent.is_dir():
        raise UsageError(_("there is no folder {folder} to write to.").format(folder=Path(place).resolve().parent))


def beside(place: str | Path, name: str) -> str | Path:
    """Return the place of the file called `name` beside the one at `place`."""
    if is_address(place):
        return str(place).rpartition("/")[0] + "/" + name
    return Path(place).with_name(name)


def write_whole(content: bytes, place: str | Path) -> None:
    """Write `content` beside `place`, then rename it: a half-written file never stands there.

    Raises UsageError when it cannot be written, or `place` is there and no plain file: a device would be replaced.
    """
    if is_address(place):
        remote.write(content, str(place))
        return
    path = Path(place)
    if path.exists() and not path.is_file():
        raise UsageError(_("{file} is not a plain file, and is left as it is.").format(file=path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where a part of the path is no folder, it cannot be there either
            part.unlink()
        raise UsageError(_("{file} cannot be written: {error}.").format(file=path, error=error.strerror)) from None


def read_whole(place: str | Path, *, most: int) -> bytes:
    """Return what is in the file at `place`. Raises DataError when it cannot be read, or has more than `most` bytes."""
    try:
        if is_address(place):
            content = remote.read(str(place), most + 1)
        else:
            with Path(place).open("rb") as file:
                content = file.read(most + 1)
    except OSError as error:
        raise DataError(_("{file}: it cannot be read: {error}.").format(file=place, error=error.strerror)) from None
    if len(content) > most:
        raise DataError(_("{file}: it has more bytes than the {most:,} that are read.").format(file=place, most=most))
    return content


def size(place: str | Path) -> int:
    """Return how many bytes the file at `place` has. Raises OSError when there is none."""
    return remote.size(str(place)) if is_address(place) else Path(place).stat().st_size


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
