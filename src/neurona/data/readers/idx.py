"""IDX files, packed with gzip or not: a pair of images and labels, or a folder with pairs in MNIST's names.

The format is described on http://yann.lecun.com/exdb/mnist/: two zero bytes, a type code, the number of dimensions,
their sizes as big-endian 32-bit integers, then the values.
"""

from __future__ import annotations

import gzip
import re
import struct
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

__all__ = ["read", "read_array", "recognises"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte
NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|validation|val|test|t10k)?[-_.]?(?P<what>images|labels)[-.]idx[1-4][-.]\w+(?P<gz>\.gz)?",
    re.IGNORECASE,
)
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test", "t10k": "test"}

CHUNK = 2**20


def recognises(path: Path) -> bool:
    """Return whether `path` is an IDX file by its name, or a folder with one."""
    if path.is_dir():
        return any(NAME.fullmatch(file.name) and file.is_file() for file in path.iterdir())
    return NAME.fullmatch(path.name) is not None


def read(path: Path) -> Parts:
    """Return the parts of the folder `path`, or the one part of the images file `path` and the labels beside it."""
    if path.is_file():
        return Parts(train=_part(path, _partner(path)))
    files: dict[tuple[str, str], Path] = {}
    for file in sorted(path.iterdir(), reverse=True):  # so that an unpacked file comes after its .gz, and counts
        match = NAME.fullmatch(file.name)
        if match and match["part"] and file.is_file():
            key = PARTS[match["part"].lower()], match["what"].lower()
            if key in files and files[key].name.removesuffix(".gz") != file.name.removesuffix(".gz"):
                raise DataError(
                    _(
                        "{folder}: a folder must hold the IDX files of one data set, but {first} and {second} are the "
                        "{what} of the "
                        "same part. Put each set into a folder of its own."
                    ).format(folder=path, first=file.name, second=files[key].name, what=key[1])
                )
            files[key] = file
    parts = {}
    for part in ("train", "validation", "test"):
        images, labels = files.get((part, "images")), files.get((part, "labels"))
        if images or labels:
            present = images or labels
            assert present is not None  # noqa: S101 - for mypy: one of the two is there
            parts[part] = _part(images or _partner(present), labels or _partner(present))
    if "train" not in parts:
        raise DataError(
            _(
                "{folder}: there must be a train-images-idx3-ubyte and a train-labels-idx1-ubyte, but there is neither."
            ).format(folder=path)
        )
    return Parts(**parts)


def _partner(path: Path) -> Path:
    """Return the labels file of an images file or the other way round, packed or not."""
    exchange = {"images": "labels", "labels": "images", "idx3": "idx1", "idx1": "idx3"}
    name = re.sub("images|labels|idx3|idx1", lambda match: exchange[match[0].lower()], path.name, flags=re.IGNORECASE)
    plain = path.with_name(name.removesuffix(".gz"))
    packed = plain.with_name(plain.name + ".gz")
    if plain.is_file():
        return plain
    if packed.is_file():
        return packed
    raise DataError(
        _("{file}: the images and the labels must stand side by side, but there is no {partner}. Put it there.").format(
            file=path, partner=plain.name
        )
    )


def _part(images: Path, labels: Path) -> Part:
    if "labels" in images.name.lower():
        images, labels = labels, images
    return Part(read_array(images, images=True), read_array(labels), str(images))


def read_array(path: Path, *, images: bool = False) -> NDArray[Any]:
    """Return the array of the IDX file `path`; a `.gz` is unpacked, but no further than the header inside says.

    images: whether it must have a shape that images may have.

    Raises `DataError` if it is not IDX, if it is longer or shorter than its header says, or exceeds `limits`.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            header = stream.read(4)
            if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in TYPES or not 1 <= header[3] <= 4:
                raise DataError(
                    _(
                        "{file}: an IDX file must begin with 00 00, a type and 1 to 4 dimensions, but begins with "
                        "{bytes}."
                    ).format(file=path, bytes=header.hex(" ") or _("nothing"))
                )
            dtype = np.dtype(TYPES[header[2]])
            sizes = stream.read(4 * header[3])
            if len(sizes) < 4 * header[3]:
                raise EOFError
            shape = struct.unpack(f">{header[3]}I", sizes)
            length = dtype.itemsize
            for size in shape:
                length *= size
            if images:
                check_shape(shape, str(path))
            limits.check_bytes(length, path)
            if packed:
                limits.check_inflation(path.stat().st_size, length, path)
            elif path.stat().st_size < length:
                raise EOFError
            content = np.empty(length, dtype=np.uint8)
            filled = 0
            while filled < length and (chunk := stream.read(min(CHUNK, length - filled))):
                content[filled : filled + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
                filled += len(chunk)
            if filled < length:
                raise EOFError
            if stream.read(1):
                raise DataError(
                    _(
                        "{file}: it is longer than the shape {shape} in its header says. It is damaged; get it again."
                    ).format(file=path, shape=shape)
                )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            _("{file}: it is cut off or damaged ({error}). Get it again.").format(
                file=path, error=str(error) or _("too short")
            )
        ) from error
    return content.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
