from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import neurona
from neurona.errors import UsageError
from neurona.files import finite, on_disk, write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_whole(b"one", file)
    write_whole(b"two", file)
    assert file.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_no_plain_file_is_left_as_it_is(tmp_path: Path) -> None:
    """Written to as root, `/dev/null` would become a file."""
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for place in (pipe, folder):
        with pytest.raises(UsageError, match=f"{place.name} is not a plain file"):
            write_whole(b"content", place)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "inside", tmp_path / "nowhere" / "file"):
        with pytest.raises(UsageError, match=f"{place.name} cannot be written"):
            write_whole(b"content", place)


def test_json_has_no_nan() -> None:
    assert finite({"a": [1, math.nan, (2.5, -math.inf)], "b": "nan"}) == {"a": [1, None, [2.5, None]], "b": "nan"}


def test_neurona_runs_from_a_zip_file(tmp_path: Path) -> None:
    """Its catalogue, its labs, its data and the steps of its databases are read from wherever Python finds them."""
    source = Path(neurona.__file__).parent
    with zipfile.ZipFile(tmp_path / "neurona.zip", "w") as archive:
        for file in source.rglob("*"):
            if file.is_file() and file.suffix not in (".pyc", ".po"):
                archive.write(file, Path("neurona") / file.relative_to(source))
    program = (
        "import neurona, sys\n"
        "from neurona.cli import main\n"
        "from neurona.store import Store, sqlite_url\n"
        "from pathlib import Path\n"
        "assert '.zip' in neurona.__file__, neurona.__file__\n"
        "lab = neurona.Lab.load('mnist-dnn').replace(dataset='mnist[:100]')\n"
        "study = lab.open_study(neurona.load('mnist[:100]'), study=Path('mine'))\n"
        "assert len(study.experiments()) == len(lab.experiments)\n"
        "main(['--help'])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "neurona.zip"), "NEURONA_LANG": "es"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Opciones" in done.stdout
    assert "un laboratorio" in done.stdout


def test_a_folder_in_a_zip_file_is_on_the_disk_meanwhile(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("folder/a.txt", "a")
        archive.writestr("folder/below/b.txt", "b")
    with on_disk(zipfile.Path(tmp_path / "x.zip", "folder/")) as folder:
        assert (folder / "a.txt").read_text() == "a"
        assert (folder / "below" / "b.txt").read_text() == "b"
    assert not folder.exists()
    with on_disk(tmp_path) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()
