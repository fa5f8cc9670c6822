"""The counting behind docs/pitfalls.md, against counting by hand."""

from __future__ import annotations

import importlib.util
from itertools import pairwise, product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pitfalls() -> ModuleType:
    specification = importlib.util.spec_from_file_location("pitfalls", ROOT / "benchmarks" / "pitfalls.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_orders_are_counted_over_every_combination(pitfalls: ModuleType) -> None:
    accuracies = np.random.default_rng(0).normal(size=(4, 5)) + np.arange(4)[:, None] * 0.7
    drawn = list(product(*accuracies))
    right = np.mean([all(a < b for a, b in pairwise(one)) for one in drawn])
    best = np.mean([one[-1] > max(one[:-1]) for one in drawn])
    assert pitfalls.orders(accuracies) == pytest.approx((right, best))


def test_pairs_are_counted_with_ties_half(pitfalls: ModuleType) -> None:
    worse, better = np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0])
    assert pitfalls.misordered(worse, better) == pytest.approx(np.mean([0, 0, 0.5, 0, 1, 1]))


def test_what_the_notebook_printed_is_in_the_page(pitfalls: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    pitfalls.stale()
    printed = capsys.readouterr().out
    for page in ("pitfalls.md", "pitfalls.es.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for line in printed.splitlines()[2:]:
            assert line.strip() in text
