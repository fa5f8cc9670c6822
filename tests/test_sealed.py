"""The test split is read again from the source, and only if the source is still the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurona import sealed
from neurona.data import Dataset, load
from neurona.errors import DataError


def _write(path: Path, **changes: np.ndarray) -> Path:
    generator = np.random.default_rng(0)
    arrays = {"images": generator.integers(0, 256, (70, 4, 4), np.uint8), "labels": np.arange(70) % 2}
    np.savez(path, **(arrays | changes))
    return path


def test_test_train_and_validation_are_all_there_is(tmp_path: Path) -> None:
    path = _write(tmp_path / "own.npz")
    dataset = load(path, seed=3)
    test = sealed.read_test(dataset)
    assert (len(dataset.train), len(dataset.validation), len(test), dataset.test_size) == (50, 10, 10, 10)
    assert not test.images.flags.writeable
    with np.load(path) as arrays:
        everything = {image.tobytes() for image in arrays["images"]}
    parts = [{image.tobytes() for image in split.images} for split in (dataset.train, dataset.validation, test)]
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything) == 70


def test_it_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "own.npz")
    monkeypatch.chdir(tmp_path)
    dataset = load("own.npz", test=0.2, validation=7, seed=5)
    monkeypatch.chdir("/")
    assert len(sealed.read_test(dataset)) == 14


def test_a_source_that_changed_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "own.npz")
    dataset = load(path)
    _write(path, labels=(np.arange(70) + 1) % 2)
    with pytest.raises(
        DataError, match=r"own\.npz: .*the files have changed since \(fingerprint .*Put the old files back"
    ):
        sealed.read_test(dataset)


def test_a_source_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = _write(tmp_path / "own.npz")
    dataset = load(path)
    path.unlink()
    with pytest.raises(DataError, match=r"own\.npz"):
        sealed.read_test(dataset)


def test_the_named_set_has_the_published_test_split(mnist: Dataset) -> None:
    test = sealed.read_test(mnist)
    assert len(test) == mnist.test_size
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
