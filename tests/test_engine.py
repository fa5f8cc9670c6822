from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
import pytest

from neurona import engine
from neurona import network as networks
from neurona.data import Dataset
from neurona.engine import programs
from neurona.engine.streams import Stream, sequence
from neurona.errors import UsageError
from neurona.insight import answered
from neurona.run import Parameters, Run, best_epoch
from neurona.specs import EarlyStopping, Network, Optimizer, Training

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


def test_programs_that_nobody_uses_are_not_kept_for_ever(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_MOST_PROGRAMS", 2)
    monkeypatch.setattr(programs, "_programs", {})
    first = engine.train(NETWORK, TRAINING, small, seed=0)
    for units in (3, 4):
        engine.train(NETWORK.replace(hidden=(units, 5)), TRAINING, small, seed=0)
    before = engine.compilations()
    engine.train(NETWORK.replace(hidden=(3, 5)), TRAINING, small, seed=0)
    assert (engine.compilations(), len(programs._programs)) == (before, 2)
    assert same_bits(engine.train(NETWORK, TRAINING, small, seed=0), first)
    assert engine.compilations() == before + 1


def test_whoever_watches_sees_the_parameters_of_each_epoch(small: Dataset) -> None:
    seen: list[tuple[int, float, float]] = []

    def look(number: int, parameters: Callable[[], Parameters]) -> None:
        seen.append((number, *engine.evaluate(NETWORK, parameters(), small.validation)))

    run = engine.train_together([engine.Job(NETWORK, TRAINING, 3, on_parameters=look)], small)[0]
    assert same_bits(run, engine.train(NETWORK, TRAINING, small, seed=3))
    assert [number for number, *_figures in seen] == [0, *range(1, TRAINING.epochs + 1)]
    assert seen[0][2] < 0.3  # it guesses
    for (_number, loss, accuracy), epoch in zip(seen[1:], run.history.epochs, strict=True):
        assert accuracy == epoch.val_accuracy
        assert loss == pytest.approx(epoch.val_loss, rel=1e-6)


def test_experiments_with_one_seed_see_the_images_in_one_order(small: Dataset) -> None:
    first, second = (engine.streams.order(5, epoch, 1050) for epoch in (1, 2))
    assert sorted(first) == list(range(1050))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, engine.streams.order(5, 1, 1050))
    assert not np.array_equal(first, engine.streams.order(6, 1, 1050))


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


def _jobs(small: Dataset, **changes: object) -> list[engine.Job]:
    """Five runs of one shape: other seeds, learning rates, dropout rates, and one that diverges."""
    rates = (0.001, 0.01, 0.003, 0.001, 1000.0)
    return [
        engine.Job(
            NETWORK.replace(activation="linear", dropout=0.1 + seed / 10),
            TRAINING.replace(optimizer=Optimizer(name="sgd", learning_rate=rate, momentum=0.5), **changes),
            seed,
        )
        for seed, rate in enumerate(rates)
    ]


def test_runs_side_by_side_are_the_runs_alone(small: Dataset) -> None:
    jobs = [replace(job, network=job.network.replace(hidden=(22, 11))) for job in _jobs(small)]  # no other test's shape
    before = engine.compilations()
    together = engine.train_together(jobs, small)
    assert engine.compilations() == before + 1
    for job, run in zip(jobs, together, strict=True):
        alone = engine.train(job.network, job.training, small, seed=job.seed)
        assert run.id == alone.id
        assert run.state == alone.state
        for key in ("loss", "val_loss"):
            np.testing.assert_allclose(run.history[key], alone.history[key], rtol=1e-4)
        for mine, its in zip(jax.tree.leaves(run.parameters), jax.tree.leaves(alone.parameters), strict=True):
            assert mine.shape == its.shape
            if run.state == "complete":
                np.testing.assert_allclose(mine, its, atol=1e-4)
    assert [run.state for run in together] == ["complete"] * 4 + ["diverged"]


def test_a_run_that_stops_early_keeps_its_best_weights_while_others_go_on(small: Dataset) -> None:
    rule = EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
    jobs = [*_jobs(small, epochs=6, early_stopping=rule)[:3]]
    jobs = [replace(job, network=NETWORK.replace(dropout=0.5)) for job in jobs]
    ended: list[Run] = []
    together = engine.train_together([replace(job, on_end=ended.append) for job in jobs], small)
    assert {run.id for run in ended} == {run.id for run in together}
    for job, run in zip(jobs, together, strict=True):
        alone = engine.train(job.network, job.training, small, seed=job.seed)
        assert len(run.history.epochs) == len(alone.history.epochs)
        kept = best_epoch(rule, run.history.epochs)
        loss, accuracy = engine.evaluate(run.network, run.parameters, small.validation)
        assert loss == pytest.approx(run.history["val_loss"][kept - 1], rel=1e-5)
        assert accuracy == pytest.approx(run.history["val_accuracy"][kept - 1])


def test_a_group_resumes_from_checkpoints_of_different_epochs(small: Dataset) -> None:
    jobs = _jobs(small, epochs=4)[:2]
    checkpoints: dict[int, list[engine.Checkpoint]] = {0: [], 1: []}
    asked = [replace(job, on_checkpoint=lambda make, seed=job.seed: checkpoints[seed].append(make())) for job in jobs]
    whole = engine.train_together(asked, small)
    resumed = engine.train_together(
        [replace(jobs[0], resume=checkpoints[0][0]), replace(jobs[1], resume=checkpoints[1][2])], small
    )
    for one, other in zip(whole, resumed, strict=True):
        assert one.history["loss"] == other.history["loss"]
        assert jax.tree.all(jax.tree.map(np.array_equal, one.parameters, other.parameters))


def test_what_has_no_common_shape_does_not_train_together(small: Dataset) -> None:
    wide = engine.Job(NETWORK.replace(hidden=(21, 10)), TRAINING, 0)
    with pytest.raises(ValueError, match="one shape"):
        engine.train_together([engine.Job(NETWORK, TRAINING, 0), wide], small)
    with pytest.raises(ValueError, match="one shape"):
        engine.train_together([], small)


def test_a_group_that_is_stopped_has_told_what_had_ended(small: Dataset) -> None:
    ended: list[Run] = []
    jobs = [replace(job, on_end=ended.append) for job in _jobs(small)]
    with pytest.raises(engine.Interrupted):
        engine.train_together(jobs, small, stop=lambda: True)
    assert [run.state for run in ended] == ["diverged"]  # in its first epoch


def test_training_begins_with_the_parameters_given(small: Dataset) -> None:
    """Those that the seed would draw give the same bits; trained ones go on from where they were."""
    network, training = Network(hidden=(12,), normalization="batch"), Training(epochs=2, batch_size=100)
    drawn = networks.init(network, pixels=784, classes=10, seed=sequence(5, Stream.WEIGHTS))
    one, other = (engine.train(network, training, small, seed=5, initial=initial) for initial in (None, drawn))
    assert [layer["kernel"].tobytes() for layer in one.parameters] == [
        layer["kernel"].tobytes() for layer in other.parameters
    ]
    further = engine.train(network, training, small, seed=6, initial=one.parameters)
    assert further.history["loss"][0] < one.history["loss"][-1]


def test_initial_parameters_of_another_network_are_refused(small: Dataset) -> None:
    other = networks.init(Network(hidden=(7,)), pixels=784, classes=10, seed=np.random.SeedSequence(0))
    with pytest.raises(UsageError, match="must be those of the network"):
        engine.train(Network(hidden=(12,)), Training(), small, seed=0, initial=other)


def test_a_student_takes_the_step_towards_its_teachers_mean_answer(small: Dataset) -> None:
    """For softmax regression and one batch of all images the step is known: the mean of (p - q) times the pixels."""
    network, teaching = Network(hidden=()), Network(hidden=(9,))
    count = len(small.train)
    members = tuple(
        networks.init(teaching, pixels=784, classes=10, seed=np.random.SeedSequence(seed)) for seed in (1, 2)
    )
    teacher = engine.Teacher(teaching, members)
    training = Training(epochs=1, batch_size=count, optimizer={"name": "sgd", "learning_rate": 0.5})
    initial = networks.init(network, pixels=784, classes=10, seed=np.random.SeedSequence(3))
    run = engine.train(network, training, small, seed=0, initial=initial, teacher=teacher)
    labels = small.train.labels
    answers = [answered(teaching, member, small.train.images, labels).probabilities for member in members]
    own = answered(network, initial, small.train.images, labels).probabilities
    pixels = small.train.images.reshape(count, -1) / 255.0
    difference = own - np.mean(answers, axis=0)
    expected = initial[0]["kernel"] - 0.5 * pixels.T @ difference / count
    assert np.allclose(run.parameters[0]["kernel"], expected, atol=1e-6)
    assert np.allclose(run.parameters[0]["bias"], -0.5 * difference.mean(axis=0), atol=1e-6)
