"""Splits by seed: disjoint, complete, stratified, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurona.data.splitting import count_of, shares, stratified
from neurona.errors import DataError, UsageError

CLASS_SIZES = st.lists(st.integers(20, 90), min_size=2, max_size=12)
SEEDS = st.integers(0, 2**63)


def _labels(sizes: list[int]) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return np.random.default_rng(0).permutation(labels)


@given(CLASS_SIZES, st.floats(0.1, 0.4), st.floats(0.1, 0.4), SEEDS)
def test_splits_are_disjoint_complete_and_stratified(
    sizes: list[int], test: float, validation: float, seed: int
) -> None:
    labels = _labels(sizes)
    counts = {"test": round(test * len(labels)), "validation": round(validation * len(labels))}
    splits = stratified(labels, counts, seed=seed, names=[str(index) for index in range(len(sizes))], where="here")
    assert np.array_equal(np.sort(np.concatenate(splits)), np.arange(len(labels)))
    for split, count in zip(splits, counts.values(), strict=False):
        assert len(split) == count
        of_each = np.bincount(labels[split], minlength=len(sizes))
        assert np.all(np.abs(of_each - count * np.array(sizes) / len(labels)) < 1)
    assert all(np.all(np.diff(split) > 0) for split in splits)  # the order of the source


@given(CLASS_SIZES, SEEDS)
def test_a_seed_gives_one_split(sizes: list[int], seed: int) -> None:
    labels = _labels(sizes)
    names = [str(index) for index in range(len(sizes))]
    first, again, other = (
        stratified(labels, {"test": len(labels) // 4}, seed=each, names=names, where="here")[0]
        for each in (seed, seed, seed + 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_split_does_not_change_with_the_version() -> None:
    """Fingerprints depend on it: runs are stored under them."""
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 1] * 2, dtype=np.int32)
    test, validation, train = stratified(labels, {"test": 4, "validation": 2}, seed=7, names=["a", "b"], where="here")
    assert (test.tolist(), validation.tolist(), train.tolist()) == (
        [0, 7, 10, 15],
        [13, 14],
        [1, 2, 3, 4, 5, 6, 8, 9, 11, 12],
    )


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.data())
def test_shares_add_up_and_are_less_than_one_off(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, sum(sizes)))
    result = shares(np.array(sizes, dtype=np.int64), count)
    assert result.sum() == count
    assert np.all(np.abs(result - count * np.array(sizes) / sum(sizes)) < 1)
    assert np.all(result <= sizes)


@pytest.mark.parametrize(
    ("counts", "lacks"),
    [
        ({"test": 1, "validation": 4}, "test"),
        ({"test": 4, "validation": 1}, "validation"),
        ({"test": 10, "validation": 10}, "train"),
        ({"test": 400, "validation": 4}, "train"),
    ],
)
def test_a_split_without_a_class_is_refused(counts: dict[str, int], lacks: str) -> None:
    labels = np.repeat(np.arange(2, dtype=np.int32), [10, 10])
    with pytest.raises(DataError, match=rf"here: .* class (cat|dog) none is left for {lacks} .*validation="):
        stratified(labels, counts, seed=0, names=["cat", "dog"], where="here")


@pytest.mark.parametrize(
    ("amount", "count"), [(None, None), (1, 1), (250, 250), (0.25, 250), (0.0001, 1), (np.int64(3), 3)]
)
def test_an_amount_is_a_number_or_a_fraction(amount: float | None, count: int | None) -> None:
    assert count_of(amount, 1000, "test") == count


@pytest.mark.parametrize("amount", [0, -1, 0.0, 1.0, 1.5, True, "10", float("nan")])
def test_other_amounts_are_refused(amount: object) -> None:
    with pytest.raises(UsageError, match=r"validation must be a fraction between 0 and 1 or a number of images from 1"):
        count_of(amount, 1000, "validation")  # type: ignore[arg-type]
