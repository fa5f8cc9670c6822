"""The embedded MNIST, what a Dataset shows and hides, and the names of data sets."""

from __future__ import annotations

import doctest
import hashlib
import struct
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import numpy as np
import pytest

import neurona.data.loading
from neurona import sealed
from neurona.data import Dataset, Split, catalogue, load, verify
from neurona.data.catalogue import CATALOGUE, NamedSet
from neurona.errors import DataError, DownloadError, UsageError

# MD5 of the unpacked IDX files, as widely published
IDX_MD5 = {
    "train-images": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels": "a25bea736e30d166cdddb491f175f624",
    "t10k-images": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels": "27ae3e4e09519cfbb04c329615203637",
}

MNIST_FINGERPRINT = "507340395c042da28aee0247be84d87c0fd2ca00f91290066d01fd1fdbafeb0f"


def _idx_md5(array: np.ndarray) -> str:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return hashlib.md5(header + array.astype(np.uint8).tobytes()).hexdigest()  # noqa: S324 - the published hashes are MD5


def test_mnist_is_the_original(mnist: Dataset) -> None:
    test = sealed.read_test(mnist)
    assert {
        "train-images": _idx_md5(np.concatenate([mnist.train.images, mnist.validation.images])),
        "train-labels": _idx_md5(np.concatenate([mnist.train.labels, mnist.validation.labels])),
        "t10k-images": _idx_md5(test.images),
        "t10k-labels": _idx_md5(test.labels),
    } == IDX_MD5


def test_mnist_is_split_as_in_the_notebook(mnist: Dataset) -> None:
    assert (len(mnist.train), len(mnist.validation), mnist.test_size) == (50_000, 10_000, 10_000)
    assert (mnist.image_shape, mnist.classes, mnist.class_names) == ((28, 28), 10, tuple("0123456789"))
    for split in (mnist.train, mnist.validation):
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
        assert split.images.shape == (len(split), 28, 28)
    assert mnist.fingerprint == MNIST_FINGERPRINT


def test_a_named_set_takes_another_validation_from_the_end_of_train(mnist: Dataset) -> None:
    other = load("mnist", validation=0.1, seed=9)
    assert (len(other.train), len(other.validation)) == (54_000, 6_000)
    assert np.array_equal(other.validation.labels, mnist.validation.labels[-6_000:])
    assert other.fingerprint != mnist.fingerprint


def test_a_number_after_the_name_keeps_the_first_training_images(mnist: Dataset) -> None:
    few = load("mnist[:300]")
    assert (few.name, len(few.train), len(few.validation), few.test_size) == ("mnist[:300]", 300, 10_000, 10_000)
    assert np.array_equal(few.train.images, mnist.train.images[:300])
    assert np.array_equal(few.train.labels, mnist.train.labels[:300])
    assert np.array_equal(few.validation.images, mnist.validation.images)
    assert len({few.fingerprint, load("mnist[:301]").fingerprint, mnist.fingerprint}) == 3
    assert np.array_equal(sealed.read_test(few).images, sealed.read_test(mnist).images)


def test_a_number_after_a_path_does_too(tmp_path: Path) -> None:
    images = np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(40) % 2)
    (tmp_path / "all.npz[:9]").mkdir()
    whole, few = load(tmp_path / "own.npz"), load(f"{tmp_path / 'own.npz'}[:9]")
    assert (few.name, len(few.train)) == ("own[:9]", 9)
    assert np.array_equal(few.train.images, whole.train.images[:9])
    with pytest.raises(DataError, match="a data set must be"):  # what is there is that, whatever it is called
        load(str(tmp_path / "all.npz[:9]"))


@pytest.mark.parametrize("given", ["mnist[:17]", "mnist[:50001]", "mnist[:0]"])
def test_a_number_that_cannot_be_is_refused(given: str) -> None:
    with pytest.raises(DataError, match=r"must keep from 18 images, so that each class has one, to 50,000"):
        load(given)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"test": 100}, "test= cannot be given"),
        ({"labels": "label"}, "labels= cannot be given"),
        ({"validation": 60_000}, "60,000 of 60,000 leave none"),
        ({"validation": 1.5}, "validation must be a fraction"),
        ({"seed": -1}, "seed must be a whole number from 0, but is -1"),
        ({"seed": True}, "seed must be a whole number"),
    ],
)
def test_what_a_named_set_cannot_do_is_refused(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load("mnist", **arguments)  # type: ignore[arg-type]


def test_nothing_can_be_changed(mnist: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mnist.train.images[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        mnist.validation.labels[0] = 1
    with pytest.raises(FrozenInstanceError):
        mnist.name = "other"  # type: ignore[misc]


def test_the_test_split_is_out_of_reach(mnist: Dataset) -> None:
    assert neurona.data.__all__ == ["CatalogueEntry", "Dataset", "Split", "Verification", "catalogue", "load", "verify"]
    splits = [field.name for field in fields(mnist) if isinstance(getattr(mnist, field.name), Split)]
    assert splits == ["train", "validation"]
    for array in (mnist.train.images, mnist.train.labels, mnist.validation.images, mnist.validation.labels):
        behind = array.base
        while behind is not None:  # no view of an array that holds the test split as well
            assert np.asarray(behind).nbytes <= 60_000 * 28 * 28
            behind = getattr(behind, "base", None)


def test_a_dataset_shows_itself(mnist: Dataset) -> None:
    for shown in (repr(mnist), mnist._repr_html_()):
        for word in ("mnist", "50,000", "10,000 (sealed)", "28×28", "10: 0, 1, 2", MNIST_FINGERPRINT[:16]):
            assert word in shown
    assert repr(mnist.train) == "Split(50000 images of 28×28)"


def test_html_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "<b>.npz"
    np.savez(path, images=np.zeros((20, 2, 2), np.uint8), labels=np.array(["<i>", "&"] * 10))
    shown = load(path)._repr_html_()
    assert "<b>" not in shown
    assert "&lt;i&gt;" in shown


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mnits", ["mnits", "Did you mean mnist?", "fashion-mnist, kmnist"]),
        ("fashion_mnist", ["Did you mean fashion-mnist?"]),
        ("pictures/of/cats", ["there is no ", "cats"]),
        (Path("mnist"), ["there is no "]),
    ],
)
def test_an_unknown_name_gets_the_nearest(
    given: str | Path, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load(given)
    for word in words:
        assert word in str(caught.value)


def test_a_file_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match=r"images\.rar: a data set must be a \.npz file, an IDX file"):
        load(tmp_path / "images.rar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: a data set must be"):
        load(tmp_path / "empty")


def test_the_catalogue_lists_the_named_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURONA_DATA", str(tmp_path))
    entries = {entry.name: entry for entry in catalogue()}
    assert list(entries) == [
        "mnist",
        "fashion-mnist",
        "kmnist",
        "emnist-letters",
        "emnist-balanced",
        "emnist-digits",
    ]
    assert (entries["mnist"].state, entries["mnist"].folder, entries["mnist"].download) == ("embedded", None, 0)
    assert {entry.state for entry in entries.values() if entry.name != "mnist"} == {"not downloaded"}
    assert entries["kmnist"].folder == tmp_path / "kmnist"
    assert [entry.classes for entry in entries.values()] == [10, 10, 10, 26, 47, 10]
    assert all(entry.licence and entry.homepage.startswith("http") for entry in entries.values())
    assert (entries["emnist-letters"].train, entries["emnist-letters"].validation) == (104_000, 20_800)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_every_fetched_file_has_a_hash_a_size_and_two_addresses(entry: NamedSet) -> None:
    assert len(set(entry.classes)) == len(entry.classes)
    assert len(entry.files) in (0, 4)
    assert bool(entry.files) != bool(entry.array_hashes)
    for file in (*entry.files, *((entry.archive.file,) if entry.archive else ())):
        assert len(file.hash) == len("sha256:") + 64
        assert file.size > 100
        assert len(file.addresses) + (len(entry.archive.file.addresses) if entry.archive else 0) >= 2
    if entry.archive:
        assert set(entry.files) <= set(entry.archive.members)


def test_verify_states_what_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = verify("mnist")
    assert (found.name, found.train, found.validation, found.test, found.classes) == (
        "mnist",
        50_000,
        10_000,
        10_000,
        10,
    )
    assert found.fingerprint == MNIST_FINGERPRINT
    assert found.hashes[0][0] == "mnist.npz [x_train]"
    monkeypatch.setenv("NEURONA_DATA", str(tmp_path))
    with pytest.raises(DownloadError, match=r"kmnist is not here: there is no .*train-images-idx3-ubyte\.gz"):
        verify("kmnist")


def test_a_changed_mnist_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    mnist = CATALOGUE["mnist"]
    monkeypatch.setitem(CATALOGUE, "mnist", replace(mnist, array_hashes=(*mnist.array_hashes[:3], "0" * 64)))
    with pytest.raises(DataError, match="y_test is not the published one of mnist"):
        load("mnist")


def test_importing_it_loads_nothing_heavy() -> None:
    program = (
        "import sys, neurona.data, neurona.sealed;"
        "print(*sorted({'jax', 'optax', 'pooch', 'requests', 'PIL', 'platformdirs', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_documentation_says_what_happens() -> None:
    page = Path(__file__).parent.parent / "docs" / "data.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0
    assert doctest.testmod(neurona.data.loading).failed == 0
    for name in CATALOGUE:
        assert f"`{name}`" in page.read_text(encoding="utf-8")
