"""Fetches the files of a named set into the data folder, or finds them there.

The data folder is the platform's cache folder, or what the environment variable `NEURONA_DATA` says. A file that was
put there
by hand is as good as a fetched one: either is used only if its hash is the published one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from neurona.data.catalogue import Archive, NamedSet, RemoteFile
from neurona.errors import DownloadError
from neurona.i18n import _

__all__ = ["data_folder", "fetch", "is_cached", "is_intact"]

logger = logging.getLogger("neurona.data")

TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for the next bytes."""

CHUNK = 2**20


def data_folder() -> Path:
    """Return the folder where named sets are kept."""
    chosen = os.environ.get("NEURONA_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("neurona", appauthor=False) / "data"


def is_cached(entry: NamedSet) -> bool:
    """Return whether all files of `entry` are in the data folder with the right size; the hashes are not computed."""
    folder = data_folder() / entry.folder
    return all(_has_size(folder / file.name, file) for file in entry.files)


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Return whether `path` is a file with the size and hash of `file`."""
    algorithm, _colon, digest = file.hash.partition(":")
    if not _has_size(path, file):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == digest


def _has_size(path: Path, file: RemoteFile) -> bool:
    try:
        return path.stat().st_size == file.size
    except OSError:
        return False


def fetch(entry: NamedSet) -> tuple[Path, ...]:
    """Return the paths of the files of `entry`, fetching those that are missing or not intact.

    Raises `DownloadError` if no address gives a file; it names the files, the addresses and the folder to put them in.
    """
    folder = data_folder() / entry.folder
    failures: list[str] = []
    try:
        missing = _missing(folder, entry.files)
        if missing and entry.archive:
            _fetch_archive(entry.archive, folder, failures)
            missing = _missing(folder, entry.files)
        for file in missing:
            if not _fetch_file(file, folder, failures):
                raise _unavailable(entry, folder, failures)
    except OSError as error:
        failures.append(str(error))
        raise _unavailable(entry, folder, failures) from error
    return tuple(folder / file.name for file in entry.files)


def _missing(folder: Path, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
    return tuple(file for file in files if not is_intact(folder / file.name, file))


def _fetch_file(file: RemoteFile, folder: Path, failures: list[str]) -> bool:
    """Fetch `file` from the first of its addresses that gives it, intact or not at all; tell whether one did."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)  # who wants to see what is fetched has our logger
    if (folder / file.name).exists():
        failures.append(_("{path} does not have the published hash.").format(path=folder / file.name))
    for address in file.addresses:
        logger.info("fetching %s (%.1f MB)", address, file.size / 1e6)
        try:
            # pooch downloads beside the target, checks the hash and renames
            pooch.retrieve(address, file.hash, file.name, folder, downloader=_Bounded(file.size))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
            failures.append(f"{address}: {error}")
        else:
            return True
    return False


class _Bounded:
    """A downloader for pooch that writes no more than `size` bytes, and fails unless it gets as many."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from pooch import HTTPDownloader

        # identity: some servers would otherwise declare a .gz to be an encoding, and it would arrive unpacked
        http = HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
        self.left = self.size
        with Path(output_file).open("wb") as self.stream:
            http(url, self, pooch)
        if self.left:
            raise OSError(
                _("{count} of {size} bytes arrived").format(count=f"{self.size - self.left:,}", size=f"{self.size:,}")
            )

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise OSError(_("more than the {size} bytes that the file should have").format(size=f"{self.size:,}"))
        self.stream.write(chunk)

    def flush(self) -> None:
        """Do nothing: closing the file flushes it."""


def _fetch_archive(archive: Archive, folder: Path, failures: list[str]) -> None:
    """Take the members out of the archive that stands in `folder`, else out of one that is fetched and dropped."""
    given = folder / archive.file.name
    if is_intact(given, archive.file):
        _unpack(archive, given, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
        if _fetch_file(archive.file, Path(temporary), failures):
            _unpack(archive, Path(temporary) / archive.file.name, folder)


def _unpack(archive: Archive, path: Path, folder: Path) -> None:
    """Write the members of the zip `path` that `folder` lacks, each checked and renamed into place."""
    with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary:
        for member in _missing(folder, archive.members):
            beside = Path(temporary) / member.name
            with packed.open(archive.prefix + member.name) as source, beside.open("wb") as target:
                _copy(source, target, member.size)
            if is_intact(beside, member):
                beside.replace(folder / member.name)


def _copy(source: Any, target: BinaryIO, size: int) -> None:
    while size > 0 and (chunk := source.read(min(CHUNK, size))):
        target.write(chunk)
        size -= len(chunk)


def _unavailable(entry: NamedSet, folder: Path, failures: list[str]) -> DownloadError:
    wanted = [entry.archive.file] if entry.archive else []
    wanted += [file for file in entry.files if not is_intact(folder / file.name, file)]
    lines = [
        _("The files of {name} could not be fetched. Get them in another way and put them into {folder}:").format(
            name=entry.name, folder=folder
        )
    ]
    if entry.archive:
        lines.append(
            _("either {archive}, which holds all the others, or all the others:").format(archive=wanted[0].name)
        )
    for file in wanted:
        lines.append(f"  {file.name} ({file.size:,} bytes, {file.hash})")
        lines += [f"    {address}" for address in file.addresses]
    lines.append(_("What went wrong:"))
    lines += [f"  {failure}" for failure in failures]
    return DownloadError("\n".join(lines))
