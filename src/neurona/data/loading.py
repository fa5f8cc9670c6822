"""What a user asks of data: load a set, list those with a name, verify one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from neurona.data.catalogue import CATALOGUE, NamedSet
from neurona.data.dataset import Dataset, Origin
from neurona.data.download import data_folder, is_cached, is_intact
from neurona.data.source import Everything, read_everything
from neurona.data.splitting import Amount
from neurona.errors import DataError, DownloadError, nearest
from neurona.i18n import _

__all__ = ["CatalogueEntry", "Verification", "catalogue", "load", "verify"]

_FIRST = re.compile(r"(.+)\[:(\d{1,9})\]")  # a name or path, and how many training images to keep


def load(
    name_or_path: str | os.PathLike[str],
    *,
    validation: Amount = None,
    test: Amount = None,
    seed: int = 0,
    labels: str | None = None,
) -> Dataset:
    """Return the data set that is named, or stands in a file or folder.

    name_or_path: a name of `catalogue()`, else a path. A name goes before a path; `./mnist` is a path. `mnist[:2000]`
        keeps the first 2,000 training images, and so with any name or path.
    validation: images to split off train for validation: a number from 1, or a fraction between 0 and 1 of what is to
        be split.
        Default: for a named set its own number, taken from the end of train; else a seventh, stratified by class.
    test: images to seal, likewise, for a source without a test split. Default: a seventh.
    seed: 0 or more; decides the splits that a source does not have. Named sets do not need it.
    labels: the name of the label column of a CSV file.

    Raises `DataError` for a name, file or folder that is not there or breaks a rule, `UsageError` for a wrong amount,
    and `DownloadError` for a named set that is neither in the data folder nor to be fetched.

    >>> mnist = load("mnist")
    >>> mnist.train.images.shape, mnist.validation.labels.shape, mnist.test_size
    ((50000, 28, 28), (10000,), 10000)
    """
    origin = _origin(name_or_path, validation=validation, test=test, seed=seed, labels=labels)
    return _dataset(origin, read_everything(origin))


def _dataset(origin: Origin, everything: Everything) -> Dataset:
    return Dataset(
        name=(origin.source if origin.named else _name(Path(origin.source)))
        + ("" if origin.train is None else f"[:{origin.train}]"),
        train=everything.train,
        validation=everything.validation,
        test_size=len(everything.test),
        class_names=everything.class_names,
        fingerprint=everything.fingerprint(),
        origin=origin,
    )


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(".gz").removesuffix(path.suffix)


def _origin(
    name_or_path: str | os.PathLike[str],
    *,
    validation: Amount = None,
    test: Amount = None,
    seed: int = 0,
    labels: str | None = None,
) -> Origin:
    first = _FIRST.fullmatch(name_or_path) if isinstance(name_or_path, str) else None
    if first and not Path(first[0]).expanduser().exists():
        origin = _origin(first[1], validation=validation, test=test, seed=seed, labels=labels)
        return replace(origin, train=int(first[2]))
    if isinstance(name_or_path, str) and name_or_path in CATALOGUE:
        return Origin(name_or_path, named=True, validation=validation, test=test, seed=seed, labels=labels)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise _unknown(name_or_path, path)
    return Origin(str(path.absolute()), named=False, validation=validation, test=test, seed=seed, labels=labels)


def _unknown(name_or_path: str | os.PathLike[str], path: Path) -> DataError:
    given = os.fspath(name_or_path)
    names = ", ".join(CATALOGUE)
    close = nearest(given, CATALOGUE)
    sentences = [
        _("{given} is neither the name of a data set nor a file or folder: there is no {path}.").format(
            given=given, path=path.absolute()
        )
    ]
    if close:
        sentences.append(_("Did you mean {name}?").format(name=close))
    sentences.append(_("The named sets are: {names}.").format(names=names))
    return DataError(" ".join(sentences))


@dataclass(frozen=True)
class CatalogueEntry:
    """A named data set as `neurona data list` shows it.

    title: what it is and who made it.
    state: whether it comes with Neurona, is in the data folder, or would have to be fetched.
    classes: number of classes.
    train, validation, test: numbers of images.
    image_shape: height and width in pixels.
    download: bytes to fetch, at most.
    licence, homepage: of the data.
    folder: where its files are, or are to be put by hand; None for an embedded one.
    """

    name: str
    title: str
    state: Literal["embedded", "cached", "not downloaded"]
    classes: int
    train: int
    validation: int
    test: int
    image_shape: tuple[int, int]
    download: int
    licence: str
    homepage: str
    folder: Path | None


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Return the data sets that have a name. Nothing is fetched and no file is read."""
    return tuple(_entry(entry) for entry in CATALOGUE.values())


def _entry(entry: NamedSet) -> CatalogueEntry:
    state: Literal["embedded", "cached", "not downloaded"] = "not downloaded"
    if entry.embedded:
        state = "embedded"
    elif is_cached(entry):
        state = "cached"
    train, validation, test = entry.sizes
    return CatalogueEntry(
        name=entry.name,
        title=entry.title,
        state=state,
        classes=len(entry.classes),
        train=train,
        validation=validation,
        test=test,
        image_shape=entry.image_shape,
        download=entry.archive.file.size if entry.archive else sum(file.size for file in entry.files),
        licence=entry.licence,
        homepage=entry.homepage,
        folder=None if entry.embedded else data_folder() / entry.folder,
    )


@dataclass(frozen=True)
class Verification:
    """What `verify` found intact.

    hashes: what was compared with a published hash, and that hash; empty for a file or folder of the user's.
    train, validation, test: numbers of images.
    classes: number of classes.
    fingerprint: as `Dataset.fingerprint`, with the default split.
    """

    name: str
    hashes: tuple[tuple[str, str], ...]
    train: int
    validation: int
    test: int
    classes: int
    fingerprint: str


def verify(name_or_path: str | os.PathLike[str]) -> Verification:
    """Check every hash and every rule of a data set that is here; nothing is fetched.

    Raises what `load` raises, `DataError` for a file that is not the published one, and `DownloadError` for a named set
    that is not in the data folder.
    """
    origin = _origin(name_or_path)
    hashes: tuple[tuple[str, str], ...] = ()
    if origin.named:
        entry = CATALOGUE[origin.source]
        _check_files(entry)
        hashes = tuple((file.name, file.hash) for file in entry.files) or tuple(
            (f"{entry.name}.npz [{array}]", f"sha256:{digest}")
            for array, digest in zip(("x_train", "y_train", "x_test", "y_test"), entry.array_hashes, strict=True)
        )
    everything = read_everything(origin)
    return Verification(
        name=_dataset(origin, everything).name,
        hashes=hashes,
        train=len(everything.train),
        validation=len(everything.validation),
        test=len(everything.test),
        classes=len(everything.class_names),
        fingerprint=everything.fingerprint(),
    )


def _check_files(entry: NamedSet) -> None:
    folder = data_folder() / entry.folder
    for file in entry.files:
        path = folder / file.name
        if not path.exists():
            raise DownloadError(
                _("{name} is not here: there is no {path}. `neurona data info {name}` fetches it.").format(
                    name=entry.name, path=path
                )
            )
        if not is_intact(path, file):
            raise DataError(
                _(
                    "{path}: it must be the published file of {size} bytes with {hash}, but is not. Delete it; "
                    "`neurona data info {name}` fetches it again."
                ).format(path=path, size=f"{file.size:,}", hash=file.hash, name=entry.name)
            )
