"""The users' own files: every kind of source gives the same data set, and bad ones get an answer."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurona import sealed
from neurona.data import Dataset, limits, load
from neurona.data.pixels import grey
from neurona.data.readers import READERS
from neurona.errors import DataError, UsageError

Arrays = dict[str, np.ndarray]


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 `array` as IDX; packed if the name ends in `.gz`."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def write_csv(
    path: Path, images: np.ndarray, labels: np.ndarray, *, header: str = "", form: str = "%d", separator: str = ","
) -> None:
    """Write the label, then the pixels, of each image."""
    rows = [
        separator.join([str(label), *(form % pixel for pixel in image.reshape(-1).tolist())])
        for image, label in zip(images, labels, strict=True)
    ]
    path.write_text("\n".join([header, *rows] if header else rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def arrays(mnist: Dataset) -> Arrays:
    """140 + 35 images of MNIST, all classes among them."""
    return {
        "x_train": np.array(mnist.train.images[:140]),
        "y_train": np.array(mnist.train.labels[:140], dtype=np.uint8),
        "x_test": np.array(mnist.validation.images[:35]),
        "y_test": np.array(mnist.validation.labels[:35], dtype=np.uint8),
    }


def _npz(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "own.npz", **arrays)
    return folder / "own.npz"


def _npz_floats(folder: Path, arrays: Arrays) -> Path:
    return _npz(folder, arrays | {name: arrays[name] / 255 for name in ("x_train", "x_test")})


def _npz_float32_255(folder: Path, arrays: Arrays) -> Path:
    return _npz(folder, arrays | {name: arrays[name].astype(np.float32) for name in ("x_train", "x_test")})


def _npz_channel(folder: Path, arrays: Arrays) -> Path:
    return _npz(folder, arrays | {name: arrays[name][..., None].astype(np.int64) for name in ("x_train", "x_test")})


def _npz_rgb(folder: Path, arrays: Arrays) -> Path:
    return _npz(folder, arrays | {name: np.stack([arrays[name]] * 3, axis=-1) for name in ("x_train", "x_test")})


def _npz_flat(folder: Path, arrays: Arrays) -> Path:
    flat = {name: np.asfortranarray(arrays[name].reshape(-1, 784)) for name in ("x_train", "x_test")}
    labels = {name: arrays[name].astype(np.float64)[:, None] for name in ("y_train", "y_test")}
    return _npz(folder, flat | labels)


def _npz_text(folder: Path, arrays: Arrays) -> Path:
    return _npz(folder, arrays | {name: arrays[name].astype("S") for name in ("y_train", "y_test")})


def _idx(folder: Path, arrays: Arrays, name: str = "{part}-{what}-idx{n}-ubyte") -> Path:
    for part, of in (("train", "train"), ("t10k", "test")):
        write_idx(folder / name.format(part=part, what="images", n=3), arrays[f"x_{of}"])
        write_idx(folder / name.format(part=part, what="labels", n=1), arrays[f"y_{of}"])
    return folder


def _idx_packed(folder: Path, arrays: Arrays) -> Path:
    return _idx(folder, arrays, "{part}-{what}-idx{n}-ubyte.gz")


def _idx_dotted(folder: Path, arrays: Arrays) -> Path:
    return _idx(folder, arrays, "{part}-{what}.idx{n}-ubyte")


def _idx_both(folder: Path, arrays: Arrays) -> Path:
    _idx_packed(folder, arrays)
    return _idx(folder, arrays)


def _csv(folder: Path, arrays: Arrays, **form: str) -> Path:
    write_csv(folder / "mnist_train.csv", arrays["x_train"], arrays["y_train"], **form)
    write_csv(folder / "mnist_test.csv", arrays["x_test"], arrays["y_test"], **form)
    return folder


def _csv_header(folder: Path, arrays: Arrays) -> Path:
    return _csv(folder, arrays, header=",".join(["Label", *(f"pixel{index}" for index in range(784))]))


def _csv_numbered_header(folder: Path, arrays: Arrays) -> Path:
    return _csv(folder, arrays, header=",".join(["label", *map(str, range(784))]))


def _csv_floats(folder: Path, arrays: Arrays) -> Path:
    scaled = {name: arrays[name] / 255 for name in ("x_train", "x_test")}
    return _csv(folder, arrays | scaled, form="%.6f")


def _csv_of_a_spanish_spreadsheet(folder: Path, arrays: Arrays) -> Path:
    _csv_floats(folder, arrays)
    for path in folder.iterdir():
        path.write_text("\ufeff" + path.read_text().replace(",", ";").replace(".", ",").replace("\n", "\r\n"), "utf-8")
    return folder


def _csv_class_last(folder: Path, arrays: Arrays) -> Path:
    header = [*(f"pixel{index}" for index in range(1, 785)), "class"]
    for part in ("train", "test"):
        rows = np.column_stack([arrays[f"x_{part}"].reshape(-1, 784), arrays[f"y_{part}"]])
        lines = [",".join(f'"{name}"' for name in header), *(",".join(map(str, row)) for row in rows.tolist())]
        (folder / f"{part}.csv").write_text("\n".join(lines))
    return folder


SAME: dict[str, Callable[[Path, Arrays], Path]] = {
    function.__name__.strip("_"): function
    for function in (
        _npz,
        _npz_floats,
        _npz_float32_255,
        _npz_channel,
        _npz_rgb,
        _npz_flat,
        _npz_text,
        _idx,
        _idx_packed,
        _idx_dotted,
        _idx_both,
        _csv,
        _csv_header,
        _csv_numbered_header,
        _csv_floats,
        _csv_of_a_spanish_spreadsheet,
        _csv_class_last,
    )
}


@pytest.mark.parametrize("write", SAME.values(), ids=SAME)
def test_the_same_images_are_the_same_data_set(
    write: Callable[[Path, Arrays], Path], arrays: Arrays, tmp_path: Path
) -> None:
    (tmp_path / "expected").mkdir()
    (tmp_path / "own").mkdir()
    expected = load(_npz(tmp_path / "expected", arrays), seed=4)
    dataset = load(write(tmp_path / "own", arrays), seed=4)
    assert dataset.fingerprint == expected.fingerprint
    assert dataset.name == "own"
    assert dataset.class_names == tuple("0123456789")
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (117, 23, 35)
    test = sealed.read_test(dataset)
    assert np.array_equal(test.images, arrays["x_test"])
    assert np.array_equal(test.labels, arrays["y_test"])
    assert (dataset.train.images.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)


def test_every_reader_is_tried() -> None:
    kinds = {name.split("_", maxsplit=1)[0] for name in SAME}
    assert {reader.kind for reader in READERS} == kinds | {"images"}


def _image_folders(folder: Path, images: np.ndarray, labels: np.ndarray, suffix: str = ".png") -> Path:
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{index:05}{suffix}")
    return folder


def test_image_folders_are_the_same_data_set(arrays: Arrays, tmp_path: Path) -> None:
    by_class = np.argsort(arrays["y_train"], kind="stable"), np.argsort(arrays["y_test"], kind="stable")
    ordered = {
        "x_train": arrays["x_train"][by_class[0]],
        "y_train": arrays["y_train"][by_class[0]],
        "x_test": arrays["x_test"][by_class[1]],
        "y_test": arrays["y_test"][by_class[1]],
    }
    for part in ("train", "test"):
        _image_folders(tmp_path / "own" / part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    (tmp_path / "own" / ".DS_Store").write_text("")
    (tmp_path / "own" / "train" / "1" / "Thumbs.db").write_text("")
    assert load(tmp_path / "own").fingerprint == load(_npz(tmp_path, ordered)).fingerprint


@pytest.mark.parametrize(("part", "suffix"), [("val", ".bmp"), ("validation", ".gif"), ("valid", ".tiff")])
def test_a_validation_part_is_used(part: str, suffix: str, arrays: Arrays, tmp_path: Path) -> None:
    for name, of in (("train", "train"), (part, "test")):
        _image_folders(tmp_path / name, arrays[f"x_{of}"], arrays[f"y_{of}"], suffix)
    dataset = load(tmp_path)
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (115, 35, 25)  # 25: a seventh of 175
    assert np.array_equal(np.sort(dataset.validation.labels), np.sort(arrays["y_test"]))
    with pytest.raises(UsageError, match="has a validation split of its own"):
        load(tmp_path, validation=0.2)


def test_keras_layout_with_validation(arrays: Arrays, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays, x_val=arrays["x_test"][:5], y_val=arrays["y_test"][:5])
    np.savez(tmp_path / "b.npz", **arrays, x_validation=arrays["x_test"][:5], y_validation=arrays["y_test"][:5])
    first, second = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    assert first.fingerprint == second.fingerprint
    assert (len(first.train), len(first.validation), first.test_size) == (140, 5, 35)
    with pytest.raises(UsageError, match="has a test split of its own"):
        load(tmp_path / "a.npz", test=0.2)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({}, (100, 20, 20)),
        ({"test": 30}, (80, 30, 30)),
        ({"validation": 0.25, "test": 0.125}, (87, 35, 18)),
        ({"validation": 50}, (70, 50, 20)),
    ],
)
def test_what_has_no_split_is_split(
    arguments: dict[str, float], sizes: tuple[int, ...], arrays: Arrays, tmp_path: Path
) -> None:
    write_idx(tmp_path / "own-images-idx3-ubyte", arrays["x_train"])
    write_idx(tmp_path / "own-labels-idx1-ubyte.gz", arrays["y_train"])
    dataset = load(tmp_path / "own-images-idx3-ubyte", **arguments)  # type: ignore[arg-type]
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == sizes
    assert load(tmp_path / "own-images-idx3-ubyte", seed=1, **arguments).fingerprint != dataset.fingerprint  # type: ignore[arg-type]
    np.savez(tmp_path / "same.npz", images=arrays["x_train"], labels=arrays["y_train"])
    write_csv(tmp_path / "same.csv", arrays["x_train"], arrays["y_train"])
    for name in ("same.npz", "same.csv"):
        assert load(tmp_path / name, **arguments).fingerprint == dataset.fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([3, 11, 7] * 20, ("3", "7", "11")),
        ([-1, 1] * 30, ("-1", "1")),
        (["dog", "cat"] * 30, ("cat", "dog")),
        ([True, False] * 30, ("0", "1")),
        (["ñ", "é"] * 30, ("é", "ñ")),
    ],
)
def test_classes_are_the_sorted_labels(labels: list[int], names: tuple[str, ...], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 5), np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.array(labels))
    dataset = load(tmp_path / "own.npz")
    assert (dataset.class_names, dataset.image_shape) == (names, (3, 5))
    assert set(np.unique(dataset.train.labels)) == set(range(len(names)))


@pytest.mark.parametrize("names", [("2", "10"), ("007", "12"), ("a", "b")])
def test_class_folders_that_are_numbers_are_sorted_as_numbers(names: tuple[str, str], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), np.uint8)
    _image_folders(tmp_path, images, np.array(names * 10))
    assert load(tmp_path).class_names == names


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "LA", "CMYK"])
def test_colours_turn_grey_as_pillow_does_it(mode: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    suffix = ".tiff" if mode == "CMYK" else ".png"
    expected = {}
    for index in range(12):
        image = Image.fromarray(generator.integers(0, 256, (5, 4, 3), np.uint8)).convert(mode)
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        image.save(tmp_path / "ab"[index % 2] / f"{index}{suffix}")
        expected[np.asarray(image.convert("L")).tobytes()] = index % 2
    dataset = load(tmp_path)
    shown = [*dataset.train.images, *dataset.validation.images, *sealed.read_test(dataset).images]
    assert {image.tobytes() for image in shown} == set(expected)


def test_grey_is_pillows() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    assert np.array_equal(grey(colours), np.asarray(Image.fromarray(colours).convert("L")))


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        deep = np.full((4, 4), 1000 * index + 40_000, np.uint16)
        Image.fromarray(deep).save(tmp_path / "ab"[index % 2] / f"{index}.png")
    dataset = load(tmp_path)
    values = np.unique(
        np.concatenate([dataset.train.images, dataset.validation.images, sealed.read_test(dataset).images])
    )
    assert values.tolist() == [round((1000 * index + 40_000) / 65_535 * 255) for index in range(20)]


def test_a_transparent_palette_is_read(tmp_path: Path) -> None:
    for index in range(12):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        image = Image.fromarray(np.full((4, 4, 3), 20 * index, np.uint8)).convert("P")
        image.save(tmp_path / "ab"[index % 2] / f"{index}.png", transparency=bytes([0, 128, 255]))
    assert load(tmp_path).classes == 2


# What is refused. Each case: what is saved, and what the message must say.

IMAGES = np.arange(60 * 16, dtype=np.int64).reshape(60, 4, 4) % 256
LABELS = np.arange(60) % 2

REFUSED_NPZ: dict[str, tuple[Arrays, str]] = {
    "negative": ({"images": IMAGES - 1}, r"own\.npz \[images, labels\]: pixels must be .* but image 0 .* has -1"),
    "over 255": ({"images": IMAGES + 1}, "image 15 .* has 256"),
    "nan": ({"images": np.where(IMAGES == 100, np.nan, IMAGES)}, "image 6 .* has nan"),
    "infinite": ({"images": np.where(IMAGES == 255, np.inf, IMAGES)}, "image 15 .* has inf"),
    "complex": ({"images": IMAGES.astype(complex)}, "are of type complex128"),
    "text": ({"images": IMAGES.astype(str)}, "are of type <U"),
    "not square": ({"images": np.zeros((60, 10))}, r"but have \(60, 10\)"),
    "five channels": ({"images": np.zeros((60, 4, 4, 5))}, r"but have \(60, 4, 4, 5\)"),
    "a number": ({"images": np.float64(3)}, r"but have \(\)"),
    "no images": ({"images": np.zeros((0, 4, 4)), "labels": np.zeros(0)}, "at least 1 image, but there are none"),
    "no pixels": ({"images": np.zeros((60, 0, 4))}, "but the images are 0×4"),
    "too large": ({"images": np.zeros((60, 4, 257))}, "1 to 256 pixels, but the images are 4×257"),
    "a label less": ({"labels": LABELS[:-1]}, "60 images and 59 labels"),
    "one-hot": ({"labels": np.eye(2)[LABELS]}, r"\(60, 2\). If they are one-hot, give labels.argmax\(axis=1\)"),
    "half a label": ({"labels": LABELS + 0.5}, "there is 0.5"),
    "label nan": ({"labels": np.where(LABELS, np.nan, 0)}, "there is nan"),
    "label far too great": ({"labels": np.where(LABELS, 2**63, 0).astype(np.uint64)}, "there is 9223372036854775808"),
    "dates": ({"labels": LABELS.astype("datetime64[s]")}, "there is datetime64"),
    "one class": ({"labels": LABELS * 0 + 7}, "at least 2 classes, but every image has the label 7"),
    "rare class": ({"labels": np.arange(60) == 0}, r"of the 1 of class 1 none is left for .* of 60 images"),
    "objects": ({"labels": np.array([None] * 60)}, "labels holds Python objects"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED_NPZ.values(), ids=REFUSED_NPZ)
def test_a_bad_npz_is_refused(changes: Arrays, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **({"images": IMAGES, "labels": LABELS} | changes))
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "own.npz")
    assert "own.npz" in str(caught.value)
    assert caught.value.exit_code == 2


def test_too_many_classes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", images=np.zeros((3003, 1, 1)), labels=np.arange(3003) // 3)
    with pytest.raises(DataError, match="at most 1,000 classes, but there are 1,001"):
        load(tmp_path / "own.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES, "labels": LABELS}, "but holds labels, pictures"),
        ({"images": IMAGES}, "there is no labels"),
        ({"x_train": IMAGES, "y_train": LABELS, "y_test": LABELS}, "there is no x_test"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, :3], "y_test": LABELS}, "has 4×4 and .* has 3×4"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1}, "2 has some only in test"),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS.astype(str)},
            "all numbers or all text",
        ),
    ],
)
def test_an_npz_of_another_layout_is_refused(arrays: Arrays, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "own.npz")


def test_labels_is_for_csv(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(UsageError, match=r"labels= names the label column of a CSV file"):
        load(tmp_path / "own.npz", labels="labels")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[:200],
    "empty": lambda data: b"",
    "no npy": lambda data: data.replace(b"\x93NUMPY", b"NUMPYNU"),
    "overwritten": lambda data: data[:500] + bytes(200) + data[700:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_npz_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", images=IMAGES.astype(np.uint8), labels=LABELS)
    path = tmp_path / "own.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"own\.npz: it is not an intact \.npz file"):
        load(path)


def _npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _write_bomb(path: Path, header: bytes, zeros: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a true npz whose images are `header` and `zeros` zeros, without packing each of them anew."""
    block = 2**26
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = one.compress(header) + one.flush(zlib.Z_FULL_FLUSH)
    packed = one.compress(bytes(block)) + one.flush(zlib.Z_FULL_FLUSH)

    class Repeated:
        def compress(self, data: bytes) -> bytes:
            return first if len(data) == len(header) else packed

        def flush(self) -> bytes:
            return one.flush(zlib.Z_FINISH)

    with monkeypatch.context() as patch, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        patch.setattr(zipfile, "crc32", lambda data, value=0: 0)  # seconds saved; nobody gets as far as the CRC
        with archive.open("images.npy", "w", force_zip64=True) as stream:
            stream._compressor = Repeated()  # type: ignore[attr-defined]
            stream.write(header)
            for _block in range(zeros // block):
                stream.write(bytes(block))
    labels = io.BytesIO()
    np.save(labels, LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.npy", labels.getvalue())


def _refused_without_unpacking(path: Path, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_bomb_of_ten_gigabytes_is_refused_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = 160 * 2**26
    _write_bomb(tmp_path / "bomb.npz", _npy_header((zeros // 2**16, 256, 256)), zeros, monkeypatch)
    assert (tmp_path / "bomb.npz").stat().st_size < 20e6
    with zipfile.ZipFile(tmp_path / "bomb.npz") as archive:
        assert archive.getinfo("images.npy").file_size > 10e9
    _refused_without_unpacking(
        tmp_path / "bomb.npz", r"at most 4,294,967,296 bytes when unpacked, but this one declares 10,"
    )


def test_a_bomb_within_the_limit_is_refused_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = 16 * 2**26
    _write_bomb(tmp_path / "bomb.npz", _npy_header((zeros // 2**16, 256, 256)), zeros, monkeypatch)
    _refused_without_unpacking(tmp_path / "bomb.npz", "may grow at most 200 times")


def test_a_bomb_behind_a_small_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_bomb(tmp_path / "bomb.npz", _npy_header((60, 4, 4)), 16 * 2**26, monkeypatch)
    _refused_without_unpacking(tmp_path / "bomb.npz", "images should be .* bytes long, but is 1,073,")


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, zeros, path = _npy_header((60, 4, 4)), 2 * 2**26, tmp_path / "bomb.npz"
    _write_bomb(path, header, zeros, monkeypatch)
    true, false = struct.pack("<I", len(header) + zeros), struct.pack("<I", len(header) + 960)
    path.write_bytes(path.read_bytes().replace(true, false))
    _refused_without_unpacking(path, "not an intact")


def test_negative_sizes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("images.npy", _npy_header((60, 4, 4)) + bytes(960))
        archive.writestr("labels.npy", _npy_header((-60, -1)) + bytes(60))
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "own.npz")


# IDX


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47"),
        (b"\0\0\x08\x09", "begins with 00 00 08 09"),
        (b"\0\0\x08\x03\0\0", "cut off or damaged"),
        (struct.pack(">HBB3I", 0, 8, 3, 60, 4, 4) + bytes(959), "cut off or damaged"),
        (struct.pack(">HBB3I", 0, 8, 3, 60, 4, 4) + bytes(961), r"longer than the shape \(60, 4, 4\)"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 256, 256), "at most 4,294,967,296 bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 60, 4, 1000) + bytes(9), "but the images are 4×1000"),
        (struct.pack(">HBB1I", 0, 8, 1, 60) + bytes(60), r"but have \(60,\)"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_idx_file_is_refused(content: bytes, message: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("own-images-idx3-ubyte" + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed else content)
    write_idx(tmp_path / "own-labels-idx1-ubyte", LABELS)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert path.name in str(caught.value)


def test_a_cut_off_gz_is_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "own-labels-idx1-ubyte", LABELS)
    write_idx(tmp_path / "own-images-idx3-ubyte.gz", IMAGES)
    path = tmp_path / "own-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut off or damaged"):
        load(path)


@pytest.mark.parametrize(
    ("count", "message"), [(16 * 1024, "may grow at most 200 times"), (60, "longer than the shape")]
)
def test_a_packed_bomb_is_refused(count: int, message: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "own-labels-idx1-ubyte", LABELS)
    path = tmp_path / "own-images-idx3-ubyte.gz"
    header = struct.pack(">HBB3I", 0, 8, 3, count, 256, 256)
    path.write_bytes(
        gzip.compress(header) + gzip.compress(bytes(2**26)) * 16
    )  # members of a .gz simply follow each other
    _refused_without_unpacking(path, message)


def test_other_types_of_idx_are_read(tmp_path: Path) -> None:
    write_idx(tmp_path / "a-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "a-labels-idx1-ubyte", LABELS)
    for code, dtype, name in (
        (0x0B, ">i2", "short"),
        (0x0C, ">i4", "int"),
        (0x0D, ">f4", "float"),
        (0x0E, ">f8", "double"),
    ):
        images = tmp_path / f"b-images-idx3-{name}"
        images.write_bytes(struct.pack(">HBB3I", 0, code, 3, *IMAGES.shape) + IMAGES.astype(dtype).tobytes())
        labels = tmp_path / f"b-labels-idx1-{name}"
        labels.write_bytes(struct.pack(">HBB1I", 0, code, 1, len(LABELS)) + LABELS.astype(dtype).tobytes())
        assert load(images).fingerprint == load(tmp_path / "a-images-idx3-ubyte").fingerprint


def test_an_idx_folder_that_lacks_a_file_or_mixes_sets_is_refused(arrays: Arrays, tmp_path: Path) -> None:
    _idx(tmp_path, arrays)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="there is no t10k-labels-idx1-ubyte"):
        load(tmp_path)
    _idx(tmp_path, arrays, "emnist-{part}-{what}-idx{n}-ubyte")
    with pytest.raises(DataError, match="the IDX files of one data set, but"):
        load(tmp_path)
    for path in tmp_path.glob("*train*"):
        path.unlink()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="there must be a train-images-idx3-ubyte"):
        load(tmp_path)


# CSV


def _rows(**changes: str) -> list[str]:
    rows = [f"{label}," + ",".join(map(str, image.reshape(-1))) for image, label in zip(IMAGES, LABELS, strict=True)]
    for row, content in changes.items():
        rows[int(row.removeprefix("row"))] = content
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_rows(row7="1,2,3"), "line 8: every row must have 17 columns like the first, but this one has 3"),
        (_rows(row7="1," + ",".join(["0"] * 15) + ",x"), "line 8: pixels must be .* not 'x'"),
        (_rows(row7="1," + ",".join(["0"] * 15) + ",-1"), "line 8: .* not '-1'"),
        (_rows(row7="1," + ",".join(["0"] * 15) + ",256"), "line 8: .* not '256'"),
        (_rows(row7="1," + ",".join(["0"] * 15) + ",nan"), "line 8: .* not 'nan'"),
        (_rows(row7="1," + ",".join(["0"] * 15) + ","), "line 8: .* not ''"),
        (_rows(row7="," + ",".join(["0"] * 16)), "line 8: every row must have a label"),
        (
            [row + ",0" for row in _rows()],
            "of 18 columns 17 are left beside the label column 1: 1, 2, 3, 4, …, 16, 17, 18",
        ),
        (["a,b,c,d", *_rows()], "of 4 columns 3 are left beside the label column 'a': a, b, c, d"),
        (["1", "2"], "first line has 1 column"),
        ([], "first line has 1 column"),
        (["label," + ",".join(f"p{index}" for index in range(16))], "at least 1 image, but there are none"),
        (["9" * 5_000_000], "line 1: a line may have at most"),
    ],
)
def test_a_bad_csv_is_refused(rows: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "own.csv")
    assert "own.csv" in str(caught.value)


def test_a_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe1\0,\0")
    with pytest.raises(DataError, match="must be text in UTF-8"):
        load(tmp_path / "own.csv")


def test_a_wrong_row_far_down_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("\n".join([*_rows() * 100, "", "oops"]))
    with pytest.raises(DataError, match="line 6002: every row must have 17 columns"):
        load(tmp_path / "own.csv")


@pytest.mark.parametrize("name", ["kind", "id"])
def test_the_label_column_can_be_named(name: str, tmp_path: Path) -> None:
    header = [f"p{index}" for index in range(9)] + [name] + [f"p{index}" for index in range(9, 16)]
    rows = [",".join([*map(str, row[:9]), ("cat", "dog")[label], *map(str, row[9:])])
            for row, label in zip(IMAGES.reshape(60, 16), LABELS, strict=True)]  # fmt: skip
    (tmp_path / "own.csv").write_text("\n".join([",".join(header), *rows]))
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=np.array(["cat", "dog"])[LABELS])
    assert load(tmp_path / "own.csv", labels=name).fingerprint == load(tmp_path / "own.npz").fingerprint
    with pytest.raises(DataError, match=r"there must be a column 'p99', but there (is none; did you mean|are)"):
        load(tmp_path / "own.csv", labels="p99")


def test_a_label_column_needs_a_header(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("\n".join(_rows()))
    with pytest.raises(DataError, match="a column 'digit', but the first line is no header"):
        load(tmp_path / "own.csv", labels="digit")


def test_text_labels_without_a_header_lose_no_row(tmp_path: Path) -> None:
    images = np.tile(IMAGES, (50, 1, 1))  # more than a block of rows
    labels = np.array(["cat", "dog"])[np.arange(3000) % 2]
    write_csv(tmp_path / "own.csv", images, labels)
    dataset = load(tmp_path / "own.csv")
    assert len(dataset.train) + len(dataset.validation) + dataset.test_size == 3000
    assert dataset.class_names == ("cat", "dog")


def test_one_value_over_one_decides_for_the_whole_source(tmp_path: Path) -> None:
    dim = IMAGES % 2
    for name, images in (("train", dim), ("test", dim)):
        write_csv(tmp_path / f"{name}.csv", images, LABELS)
    assert load(tmp_path).train.images.max() == 255
    write_csv(tmp_path / "test.csv", IMAGES, LABELS)
    assert load(tmp_path).train.images.max() == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.csv", "b.csv"], "must have train in its name, but they are a.csv, b.csv"),
        (["train.csv", "train_2.csv"], "train.csv and train_2.csv are both train"),
    ],
)
def test_a_csv_folder_that_is_not_clear_is_refused(names: list[str], message: str, tmp_path: Path) -> None:
    for name in names:
        write_csv(tmp_path / name, IMAGES, LABELS)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_single_csv_in_a_folder_is_the_data_set(tmp_path: Path) -> None:
    write_csv(tmp_path / "pixels.csv", IMAGES, LABELS)
    assert load(tmp_path).fingerprint == load(tmp_path / "pixels.csv").fingerprint


def test_the_limit_on_bytes_holds_for_csv_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BYTES", 59 * 16)
    write_csv(tmp_path / "own.csv", IMAGES, LABELS)
    _image_folders(tmp_path / "folders", IMAGES.astype(np.uint8), LABELS)
    for name in ("own.csv", "folders"):
        with pytest.raises(DataError, match="at most 944 bytes when unpacked, but this one declares 960"):
            load(tmp_path / name)


# Folders of images


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return _image_folders(tmp_path / "own", IMAGES.astype(np.uint8), LABELS)


def test_sizes_must_agree(folders: Path) -> None:
    Image.new("L", (4, 5)).save(folders / "1" / "99999.png")
    with pytest.raises(DataError, match=r"00000\.png has 4×4 and .*99999\.png has 5×4"):
        load(folders)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1/notes.txt", b"remember", r"notes\.txt: every file must be an intact image"),
        ("1/zz.png", b"\x89PNG\r\n\x1a\n", r"zz\.png: every file must be an intact image"),
        ("README", b"read me", "README: beside the folders of the classes"),
        ("1/page.svg", b"<svg/>", r"page\.svg: every file must be an intact image"),
        ("1/ps.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", r"ps\.eps: every file must be"),
    ],
)
def test_other_files_are_refused(name: str, content: bytes, message: str, folders: Path) -> None:
    (folders / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(folders)


def test_a_cut_off_image_is_refused(folders: Path) -> None:
    path = folders / "1" / "99999.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"99999\.png: every file must be an intact image"):
        load(folders)


def test_an_image_is_bounded_before_it_is_decoded(folders: Path) -> None:
    """30,000 × 30,000 pixels in a few bytes: Pillow's own limit, and ours."""
    for side, name in ((300, "a"), (12_000, "b"), (30_000, "c")):
        path = folders / "0" / f"{name}.png"
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunks = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
        )
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
        _refused_without_unpacking(
            folders, rf"{name}\.png: (a side of an image must|every file must be an intact image)"
        )
        path.unlink()


def test_splits_and_classes_must_not_stand_side_by_side(folders: Path) -> None:
    (folders / "0").rename(folders / "train")
    with pytest.raises(DataError, match=r"beside the folder train there may be .* but there is 1"):
        load(folders)


def test_an_empty_class_folder_is_no_class(folders: Path) -> None:
    (folders / "2").mkdir()
    assert load(folders).class_names == ("0", "1")


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="at least 1 image, but there are none"):
        load(tmp_path)


def test_floats_as_pixels_of_an_image_are_refused(folders: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folders / "1" / "99999.tiff")
    with pytest.raises(DataError, match=r"99999\.tiff: a pixel must have 8 or 16 bits, but this image has floats"):
        load(folders)
