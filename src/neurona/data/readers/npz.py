"""NumPy archives: Keras' layout (`x_train`, `y_train`, `x_test`, `y_test`), or `images` and `labels`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurona.data import limits
from neurona.data.parts import Part, Parts
from neurona.data.pixels import check_shape
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["read", "read_arrays", "recognises"]

LAYOUTS = (
    # images and labels of train, validation and test; the first pair of each row that is there counts
    ((("x_train", "y_train"),), (("x_val", "y_val"), ("x_validation", "y_validation")), (("x_test", "y_test"),)),
    ((("images", "labels"),), (), ()),
)

CHUNK = 2**20


def recognises(path: Path) -> bool:
    """Return whether `path` is a `.npz` file."""
    return path.is_file() and path.suffix.lower() == ".npz"


def read(path: Path) -> Parts:
    """Return the parts of `path`. Nothing is unpickled, and nothing unpacked beyond `limits`."""
    names = _members(path)
    for train, validation, test in LAYOUTS:
        if train[0][0] in names:
            pairs = {
                "train": train[0],
                "validation": _first(validation, names),
                "test": _first(test, names),
            }
            break
    else:
        raise DataError(
            _(
                "{file}: it must hold the arrays x_train and y_train (and x_test, y_test, x_val, y_val), or images "
                "and labels, "
                "but holds {names}. Rename them."
            ).format(file=path, names=", ".join(sorted(names)) or _("nothing"))
        )
    wanted = [name for pair in pairs.values() if pair for name in pair]
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise DataError(
            _("{file}: images and labels must come together, but there is no {name}. Add it.").format(
                file=path, name=lacking[0]
            )
        )
    arrays = read_arrays(path, tuple(wanted))
    parts = {
        part: Part(arrays[pair[0]], arrays[pair[1]], f"{path} [{pair[0]}, {pair[1]}]")
        for part, pair in pairs.items()
        if pair
    }
    return Parts(**parts)


def _first(pairs: tuple[tuple[str, str], ...], names: set[str]) -> tuple[str, str] | None:
    return next((pair for pair in pairs if pair[0] in names or pair[1] in names), None)


def _members(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    except (zipfile.BadZipFile, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(
        _("{file}: it is not an intact .npz file ({error}). Save it again with numpy.savez_compressed.").format(
            file=path, error=error
        )
    )


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the arrays `names` of the `.npz` file `path`.

    Their headers are read first. Raises `DataError`, before anything is unpacked, if an array needs pickle, if the
    members are not as long as their headers say, or if they exceed `limits`; and if the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: _header(archive, path, name) for name in names}
            limits.check_bytes(sum(header.bytes for header in headers.values()), path)
            for name in names:
                info = archive.getinfo(f"{name}.npy")
                limits.check_inflation(info.compress_size, info.file_size, path)
            return {name: _array(archive, path, name, header) for name, header in headers.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _broken(path, error) from error  # RuntimeError: encrypted; NotImplementedError: a foreign compression


class _Header:
    """Shape, order, type and length in bytes of an array that is still packed, and where its values begin."""

    def __init__(self, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any], offset: int) -> None:
        self.shape = shape
        self.fortran = fortran
        self.dtype = dtype
        self.offset = offset
        self.bytes = dtype.itemsize
        for size in shape:
            self.bytes *= size


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> _Header:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            header = _Header(*read_header(stream), offset=stream.tell())
        except (ValueError, KeyError) as error:
            raise _broken(path, error) from error
    if header.dtype.hasobject:
        raise DataError(
            _(
                "{file}: arrays must hold numbers or text, but {name} holds Python objects. Save it with a plain type."
            ).format(file=path, name=name)
        )
    if header.dtype.itemsize < 1 or min(header.shape, default=0) < 0 or header.offset + header.bytes != info.file_size:
        raise DataError(
            _(
                "{file}: {name} should be {expected} bytes long, but is {actual}. The file is damaged; make it again."
            ).format(file=path, name=name, expected=f"{header.offset + header.bytes:,}", actual=f"{info.file_size:,}")
        )
    if name.startswith(("x_", "images")):
        check_shape(header.shape, f"{path} [{name}]")
    return header


def _array(archive: zipfile.ZipFile, path: Path, name: str, header: _Header) -> NDArray[Any]:
    content = np.empty(header.bytes, dtype=np.uint8)
    filled = 0
    with archive.open(f"{name}.npy") as stream:
        stream.read(header.offset)
        while chunk := stream.read(CHUNK):
            content[filled : filled + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
            filled += len(chunk)
    if filled != header.bytes:
        raise _broken(path, EOFError(f"{name}: {filled:,} / {header.bytes:,}"))
    values = content.view(header.dtype)
    if header.fortran:
        return values.reshape(header.shape[::-1]).transpose()
    return values.reshape(header.shape)
