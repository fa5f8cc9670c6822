from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurona import speed
from neurona.cli import main
from neurona.data import Dataset
from neurona.specs import Network


def test_operations_are_counted_from_the_products(mnist: Dataset) -> None:
    """Two a multiplication and addition; forward and two backward, less the first layer's, which needs none."""
    images = speed._first(mnist)
    assert (len(images.train), len(images.validation)) == (10_000, 2_000)
    weights = 784 * 50 + 50 * 50 + 50 * 10
    expected = 2 * (10_000 * (3 * weights - 784 * 50) + 2_000 * weights) / 1e9
    assert speed._epoch_gflop(Network(hidden=(50, 50)), images) == pytest.approx(expected)


def test_every_reference_is_measured_in_both_precisions(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "_REFERENCES", {"tiny": (Network(hidden=(5,)), 100)})
    monkeypatch.setattr(speed, "_PRODUCT", 64)
    monkeypatch.setattr(speed, "load", lambda name: small)
    saved = tmp_path / "speed.json"
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--json", "--save", str(saved)])
    assert stopped.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(saved.read_text())
    assert [(row["name"], row["precision"]) for row in document["rows"]] == [("tiny", "float32"), ("tiny", "bfloat16")]
    assert all(row["epoch_seconds"] > 0 and row["gflops"] > 0 for row in document["rows"])
    with pytest.raises(SystemExit):
        main(["bench", "--compare", str(saved)])
    assert "before / now" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"rows": [1]}'])
def test_figures_that_are_none(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.json"
    path.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--compare", str(path)])
    assert stopped.value.code == 2
    assert "is not a file that `neurona bench --save` wrote" in capsys.readouterr().err
