"""The formats that a model can be written in, and the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from neurona.errors import UsageError
from neurona.files import write_whole
from neurona.i18n import _
from neurona.model import Model
from neurona.specs import did_you_mean

__all__ = ["FORMATS", "Format", "export", "format_of"]


@dataclass(frozen=True)
class Format:
    """A format: the suffix of its files, and the module of this package whose function `written` makes them."""

    suffix: str
    module: str

    @property
    def written(self) -> Callable[[Model], bytes]:
        """The function that makes a file's content of a model. MissingExtraError where its library is not there."""
        found: Callable[[Model], bytes] = import_module(f"neurona.exports.{self.module}").written
        return found


FORMATS = {
    "keras": Format(".keras", "keras_file"),
    "onnx": Format(".onnx", "onnx_file"),
    "safetensors": Format(".safetensors", "safetensors_file"),
    "html": Format(".html", "page"),
}


def format_of(path: str | Path, name: str | None = None) -> str:
    """Return the format called `name`, or that which the file's suffix names. Raises UsageError for neither."""
    if name is not None:
        if name not in FORMATS:
            sentence = _("there is no format {name!r}; there are {names}.").format(name=name, names=", ".join(FORMATS))
            raise UsageError(sentence + did_you_mean(name, FORMATS))
        return name
    for found, one in FORMATS.items():
        if Path(path).suffix.lower() == one.suffix:
            return found
    suffixes = ", ".join(one.suffix for one in FORMATS.values())
    sentence = _("{file}: its suffix names no format; give the format, or one of the suffixes {suffixes}.")
    raise UsageError(sentence.format(file=path, suffixes=suffixes))


def export(model: Model, path: str | Path, *, format: str | None = None) -> None:
    """Write `model` to `path`, whole or not at all, for use without Neurona.

    path: of the file; or an address as fsspec has them, `s3://bucket/model.onnx`.
    format: `keras`, `onnx`, `safetensors` or `html`, a page to draw on; that of the file's suffix unless given.

    Raises UsageError for a format that there is not and for a file that cannot be written, and MissingExtraError
    without the library that the format needs: extras [keras] and [onnx].
    """
    content = FORMATS[format_of(path, format)].written(model)
    write_whole(content, path)
