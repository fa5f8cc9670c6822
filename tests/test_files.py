from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import pytest

from neurona.errors import UsageError
from neurona.files import finite, write_whole


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


def test_json_has_no_nan() -> None:
    assert finite({"a": [1, math.nan, (2.5, -math.inf)], "b": "nan"}) == {"a": [1, None, [2.5, None]], "b": "nan"}
