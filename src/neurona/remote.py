"""Files elsewhere: at addresses as fsspec has them, `s3://bucket/model.safetensors`; its extra `[s3]` has Amazon's."""

from __future__ import annotations

import errno
import os
from typing import Any

from neurona.errors import MissingExtraError, UsageError
from neurona.i18n import _

__all__ = ["check_address", "read", "size", "write"]


def check_address(address: str) -> None:
    """Raise UsageError for an address of no known kind, MissingExtraError without the library that it needs."""
    _opened(address)


def write(content: bytes, address: str) -> None:
    """Write `content` to `address`, whole or not at all: stores of objects and servers of files alike.

    Raises as `check_address`, and UsageError when it cannot be written.
    """
    there, path = _opened(address)
    try:
        with there.transaction, there.open(path, "wb") as file:
            file.write(content)
    except Exception as error:  # each kind of store has errors of its own
        raise UsageError(
            _("{file} cannot be written: {error}.").format(file=address, error=_in_a_line(error))
        ) from None


def read(address: str, most: int) -> bytes:
    """Return at most `most` bytes of what is at `address`. Raises as `check_address`, and OSError."""
    there, path = _opened(address)
    try:
        with there.open(path, "rb") as file:
            content: bytes = file.read(most)
            return content
    except Exception as error:
        raise OSError(0, _in_a_line(error)) from None


def size(address: str) -> int:
    """Return how many bytes are at `address`. Raises as `read`."""
    there, path = _opened(address)
    try:
        return int(there.size(path))
    except Exception as error:
        raise OSError(0, _in_a_line(error)) from None


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system that `address` is of, and the path there."""
    scheme = address.partition("://")[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        sentence = _("{address} needs fsspec; it comes with the extra: pip install 'neurona[s3]'.")
        raise MissingExtraError(sentence.format(address=address)) from None
    try:
        found, path = url_to_fs(address)
    except ImportError as error:  # fsspec says which library it is
        sentence = _("{address}: {error}.").format(address=address, error=_in_a_line(error))
        raise MissingExtraError(sentence) from None
    except ValueError as error:
        sentence = _("{address}: files at addresses that begin with {scheme}:// are unknown ({error}).")
        raise UsageError(sentence.format(address=address, scheme=scheme, error=_in_a_line(error))) from None
    return found, path


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(error, FileNotFoundError) and not error.strerror:  # it says which, and not always what
        return f"{os.strerror(errno.ENOENT)} ({text})"
    return text
