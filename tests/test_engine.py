from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from neurona import engine
from neurona.data import Dataset
from neurona.run import Run
from neurona.specs import Network, Optimizer, Training

NETWORK = Network(hidden=(20, 10), dropout=0.1)
TRAINING = Training(batch_size=64, epochs=2)


def same_bits(one: Run, other: Run) -> bool:
    return one.history["loss"] == other.history["loss"] and all(
        np.array_equal(a[name], b[name])
        for a, b in zip(one.parameters, other.parameters, strict=True)
        for name in ("kernel", "bias")
    )


def test_the_same_seed_gives_the_same_bits(small: Dataset) -> None:
    one, two = (engine.train(NETWORK, TRAINING, small, seed=7) for _ in range(2))
    assert same_bits(one, two)
    assert one.id == two.id
    other = engine.train(NETWORK, TRAINING, small, seed=8)
    assert not same_bits(one, other)
    assert one.id != other.id


def test_runs_side_by_side_give_the_bits_of_runs_alone(small: Dataset) -> None:
    alone = [engine.train(NETWORK, TRAINING, small, seed=seed) for seed in range(4)]
    together: dict[int, Run] = {}

    def work(seed: int) -> None:
        together[seed] = engine.train(NETWORK, TRAINING, small, seed=seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_bits(alone[seed], together[seed]) for seed in range(4))


def test_numbers_do_not_compile(small: Dataset) -> None:
    engine.train(NETWORK, TRAINING, small, seed=0)
    before = engine.compilations()
    for rate, dropout in ((0.1, 0.2), (0.01, 0.5), (0.003, 0.1)):
        training = TRAINING.replace(optimizer=Optimizer(learning_rate=rate, beta_1=0.8), epochs=1)
        engine.train(NETWORK.replace(dropout=dropout), training, small, seed=1)
    assert engine.compilations() == before
    engine.train(NETWORK.replace(hidden=(20, 11)), TRAINING.replace(epochs=1), small, seed=1)
    assert engine.compilations() == before + 1


def test_experiments_with_one_seed_see_the_images_in_one_order(small: Dataset) -> None:
    first, second = (engine._order(5, epoch, 1050) for epoch in (1, 2))
    assert sorted(first) == list(range(1050))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, engine._order(5, 1, 1050))
    assert not np.array_equal(first, engine._order(6, 1, 1050))


def test_dropout_is_off_in_validation_and_keeps_the_mean(small: Dataset) -> None:
    """With a learning rate of nearly nothing, validation is that of the initial weights, dropped or not."""
    training = Training(optimizer=Optimizer(name="sgd", learning_rate=1e-12), epochs=1)
    plain = engine.train(Network(hidden=(400,)), training, small, seed=0)
    dropped = engine.train(Network(hidden=(400,), dropout=0.5), training, small, seed=0)
    assert dropped.history["val_loss"] == plain.history["val_loss"]
    assert dropped.history["loss"] != plain.history["loss"]
    assert dropped.history["loss"][0] == pytest.approx(plain.history["loss"][0], rel=0.05)


def test_a_run_that_diverges_says_so_and_stops(small: Dataset) -> None:
    wild = Training(optimizer=Optimizer(name="sgd", learning_rate=1000.0), epochs=5)
    run = engine.train(Network(activation="linear", hidden=(50,) * 5), wild, small, seed=0)
    assert run.state == "diverged"
    assert len(run.history.epochs) < 5
    assert not np.isfinite(run.history["loss"][-1])
    assert 0 <= run.history["val_accuracy"][-1] <= 1


def test_training_stops_when_asked(small: Dataset) -> None:
    seen: list[int] = []
    with pytest.raises(engine.Interrupted):
        engine.train(
            NETWORK,
            TRAINING.replace(epochs=50),
            small,
            seed=0,
            on_epoch=lambda number, epoch: seen.append(number),
            stop=lambda: len(seen) == 3,
        )
    assert seen == [1, 2, 3]


def test_a_run_resumes_from_a_checkpoint_to_the_same_bits(small: Dataset) -> None:
    training = TRAINING.replace(epochs=5)
    checkpoints: list[engine.Checkpoint] = []
    whole = engine.train(NETWORK, training, small, seed=2, on_checkpoint=lambda make: checkpoints.append(make()))
    assert [len(checkpoint.epochs) for checkpoint in checkpoints] == [1, 2, 3, 4]
    for checkpoint in checkpoints:
        assert same_bits(engine.train(NETWORK, training, small, seed=2, resume=checkpoint), whole)


def test_evaluate_agrees_with_the_epochs_validation(small: Dataset, mnist: Dataset) -> None:
    data = replace(small, validation=mnist.validation)  # 10,000 images: many chunks
    run = engine.train(NETWORK, TRAINING, data, seed=0)
    loss, accuracy = engine.evaluate(NETWORK, run.parameters, data.validation)
    assert loss == pytest.approx(run.history["val_loss"][-1], rel=1e-5)
    assert accuracy == run.history["val_accuracy"][-1]


def test_accuracy_is_a_count_of_images(small: Dataset) -> None:
    run = engine.train(NETWORK, TRAINING, small, seed=0)
    assert run.history["val_accuracy"][-1] * 330 == pytest.approx(
        round(run.history["val_accuracy"][-1] * 330), abs=1e-9
    )


def test_it_learns_the_course_baseline(mnist: Dataset) -> None:
    run = engine.train(Network(), Training(epochs=2), mnist, seed=0)
    assert run.history["val_accuracy"][-1] > 0.945
    assert set(run.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert "val_accuracy" in repr(run.history)
    assert "<table>" in run._repr_html_()
