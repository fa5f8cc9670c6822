"""Fetching named sets, against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from neurona import sealed
from neurona.data import catalogue, load, verify
from neurona.data.catalogue import CATALOGUE, EMNIST_ARCHIVE, Archive, NamedSet, RemoteFile
from neurona.errors import DataError, DownloadError


@dataclass
class Server:
    """What is served under each path: a status, the bytes, and how many of them are announced."""

    address: str = ""
    answers: dict[str, tuple[int, bytes, int]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def put(self, path: str, content: bytes, *, status: int = 200, announced: int | None = None) -> None:
        self.answers[path] = (status, content, len(content) if announced is None else announced)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked[self.path] += 1
            status, content, announced = state.answers.get(self.path, (404, b"", 0))
            self.send_response(status)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEURONA_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def _content(seed: int = 0) -> dict[str, bytes]:
    """The four files of a set of 60 + 10 images in 2 classes, 4 high and 6 wide."""
    generator = np.random.default_rng(seed)
    files = {}
    for part, count in (("train", 60), ("t10k", 10)):
        images = generator.integers(0, 256, (count, 4, 6), np.uint8)
        labels = (np.arange(count) % 2 + 1).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte.gz", images), (f"{part}-labels-idx1-ubyte.gz", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            files[name] = gzip.compress(header + array.tobytes(), mtime=0)
    return files


def _remote(name: str, content: bytes, *addresses: str) -> RemoteFile:
    return RemoteFile(name, len(content), "sha256:" + hashlib.sha256(content).hexdigest(), addresses)


def _use(monkeypatch: pytest.MonkeyPatch, files: tuple[RemoteFile, ...], **changes: object) -> NamedSet:
    """Put a set of these files into the catalogue, as kmnist."""
    entry = replace(
        CATALOGUE["kmnist"],
        files=files,
        classes=("a", "b"),
        sizes=(50, 10, 10),
        first_label=1,
        **changes,  # type: ignore[arg-type]
    )
    monkeypatch.setitem(CATALOGUE, "kmnist", entry)
    return entry


@pytest.fixture
def kmnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> NamedSet:
    """A small set with two addresses for each file, the first of which serves it."""
    content = _content()
    for name, data in content.items():
        server.put(f"/official/{name}", data)
    return _use(
        monkeypatch,
        tuple(
            _remote(name, data, f"{server.address}/official/{name}", f"{server.address}/mirror/{name}")
            for name, data in content.items()
        ),
    )


def _left_over(folder: Path, entry: NamedSet) -> set[str]:
    """What is in the data folder beside the files of `entry`."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {file.name for file in entry.files}


def test_it_is_fetched_once_and_kept(server: Server, kmnist: NamedSet, folder: Path) -> None:
    dataset = load("kmnist")
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (50, 10, 10)
    assert dataset.image_shape == (4, 6)
    assert dataset.train.labels.tolist() == [0, 1] * 25
    assert load("kmnist").fingerprint == dataset.fingerprint
    assert len(sealed.read_test(dataset)) == 10
    assert set(server.asked.values()) == {1}
    assert not _left_over(folder, kmnist)
    assert {entry.name: entry.state for entry in catalogue()}["kmnist"] == "cached"
    found = verify("kmnist")
    assert found.fingerprint == dataset.fingerprint
    assert found.hashes == tuple((file.name, file.hash) for file in kmnist.files)


BROKEN = {
    "not there": lambda data: {"content": b"", "status": 404},
    "an error": lambda data: {"content": b"busy", "status": 503},
    "another file": lambda data: {"content": bytes(len(data))},
    "cut off": lambda data: {"content": data[:-9], "announced": len(data)},
    "too short": lambda data: {"content": data[:-9]},
    "too long": lambda data: {"content": data + bytes(5_000_000)},
    "a page": lambda data: {"content": b"<html>log in to the network</html>"},
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_a_faulty_address_is_passed_over_for_the_mirror(
    fault: object, server: Server, kmnist: NamedSet, folder: Path
) -> None:
    name = kmnist.files[0].name
    data = server.answers[f"/official/{name}"][1]
    server.put(f"/official/{name}", **fault(data))  # type: ignore[operator]
    server.put(f"/mirror/{name}", data)
    assert len(load("kmnist").train) == 50
    assert server.asked[f"/mirror/{name}"] == 1
    assert not _left_over(folder, kmnist)


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_without_a_mirror_nothing_stays_behind(fault: object, server: Server, kmnist: NamedSet, folder: Path) -> None:
    name = kmnist.files[0].name
    server.put(f"/official/{name}", **fault(server.answers[f"/official/{name}"][1]))  # type: ignore[operator]
    with pytest.raises(DownloadError):
        load("kmnist")
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_no_more_than_the_size_is_fetched(server: Server, kmnist: NamedSet) -> None:
    name = kmnist.files[0].name
    server.put(f"/official/{name}", bytes(50_000_000))
    with pytest.raises(DownloadError, match=f"more than the {kmnist.files[0].size:,} bytes that the file should have"):
        load("kmnist")


@pytest.mark.parametrize("offline", [True, False])
def test_offline_the_error_says_what_to_put_where(
    offline: bool, server: Server, kmnist: NamedSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if offline:  # nobody listens on port 9 of this machine
        files = tuple(replace(file, addresses=(f"http://127.0.0.1:9/{file.name}",)) for file in kmnist.files)
        kmnist = _use(monkeypatch, files)
    else:
        server.answers.clear()
    with pytest.raises(DownloadError) as caught:
        load("kmnist")
    message = str(caught.value)
    assert str(folder / "kmnist") in message
    for file in kmnist.files:
        assert file.name in message
        assert file.hash in message
        assert all(address in message for address in file.addresses)
    assert caught.value.exit_code == 1


def test_what_was_put_there_by_hand_is_used(server: Server, kmnist: NamedSet, folder: Path) -> None:
    (folder / "kmnist").mkdir(parents=True)
    for name, data in _content().items():
        (folder / "kmnist" / name).write_bytes(data)
    assert len(load("kmnist").train) == 50
    assert not server.asked


def test_a_wrong_file_put_there_by_hand_is_not_used(server: Server, kmnist: NamedSet, folder: Path) -> None:
    load("kmnist")
    wrong = folder / "kmnist" / kmnist.files[0].name
    content = wrong.read_bytes()
    wrong.write_bytes(content[:-1] + b"!")
    with pytest.raises(DataError, match="it must be the published file"):
        verify("kmnist")
    load("kmnist")
    assert wrong.read_bytes() == content
    wrong.write_bytes(content[:-1] + b"!")
    server.answers.clear()
    with pytest.raises(DownloadError, match=f"{wrong.name} does not have the published hash"):
        load("kmnist")


def test_many_at_once_do_not_disturb_each_other(kmnist: NamedSet, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        fingerprints = {dataset.fingerprint for dataset in pool.map(load, ["kmnist"] * 8)}
    assert len(fingerprints) == 1
    assert not _left_over(folder, kmnist)


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(
    kmnist: NamedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NEURONA_DATA", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="file"):
        load("kmnist")


def _emnist(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[NamedSet, bytes]:
    """A small set whose files are in a zip, with mirrors for each of them."""
    content = _content()
    members = tuple(_remote(name, data, f"{server.address}/mirror/{name}") for name, data in content.items())
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in content.items():
            packed.writestr(f"gzip/{name}", data)
        packed.writestr("gzip/of-another-set", b"not asked for")
    data = path.read_bytes()
    archive = Archive(_remote("gzip.zip", data, f"{server.address}/gzip.zip"), "gzip/", members)
    return _use(monkeypatch, members, archive=archive, transposed=True, folder="emnist"), data


def test_an_archive_is_unpacked_and_dropped(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    entry, data = _emnist(server, monkeypatch, tmp_path)
    server.put("/gzip.zip", data)
    dataset = load("kmnist")
    assert dataset.image_shape == (6, 4)  # the files hold 4 × 6, rows and columns exchanged
    assert dataset.class_names == ("a", "b")
    raw = gzip.decompress((folder / "emnist" / entry.files[0].name).read_bytes())
    assert np.array_equal(dataset.train.images[0].T, np.frombuffer(raw, np.uint8, 24, 16).reshape(4, 6))
    load("kmnist")
    assert server.asked == {"/gzip.zip": 1}
    assert not _left_over(folder, entry)
    assert not [path for path in (folder / "emnist").iterdir() if path.is_dir()]


def test_an_archive_put_there_by_hand_stays(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    entry, data = _emnist(server, monkeypatch, tmp_path)
    (folder / "emnist").mkdir(parents=True)
    (folder / "emnist" / "gzip.zip").write_bytes(data)
    load("kmnist")
    assert not server.asked
    assert _left_over(folder, entry) == {"gzip.zip"}


def test_without_the_archive_its_files_are_fetched(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    entry, data = _emnist(server, monkeypatch, tmp_path)
    server.put("/gzip.zip", data[:-10] + bytes(10))
    for name, content in _content().items():
        server.put(f"/mirror/{name}", content)
    load("kmnist")
    assert not _left_over(folder, entry)


def test_an_unreachable_archive_is_named_with_its_files(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry, _data = _emnist(server, monkeypatch, tmp_path)
    with pytest.raises(DownloadError, match=r"either gzip\.zip, which holds all the others") as caught:
        load("kmnist")
    assert all(file.name in str(caught.value) for file in entry.files)


def test_the_archive_of_emnist_holds_the_files_of_all_three_sets() -> None:
    sets = [entry for entry in CATALOGUE.values() if entry.archive is EMNIST_ARCHIVE]
    assert [entry.name for entry in sets] == ["emnist-letters", "emnist-balanced", "emnist-digits"]
    assert sorted(EMNIST_ARCHIVE.members, key=lambda file: file.name) == sorted(
        (file for entry in sets for file in entry.files), key=lambda file: file.name
    )
