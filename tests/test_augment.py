from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from neurona import augment, engine
from neurona.data import Dataset
from neurona.errors import SpecError
from neurona.specs import Augmentation, Experiment, Network, Training

SHAPE = (28, 28)
EVERYTHING = Augmentation(
    rotation=10,
    scale=0.1,
    shear=10,
    translation=2,
    elastic_alpha=20,
    thickness=0.5,
    erasing=0.3,
    mixup=0.4,
    warmup=0.2,
    cooldown=0.2,
)


@pytest.fixture(scope="module")
def images(mnist: Dataset) -> np.ndarray:
    return mnist.train.images[:60]


def changed(
    augmentation: Augmentation, images: np.ndarray, *, seed: int = 0, strength: float = 1.0, labels: object = None
) -> np.ndarray:
    numbers = augment.numbers(augmentation, SHAPE, 10, 100)
    found = augment.apply(
        augmentation,
        numbers,
        jnp.asarray(images.reshape(len(images), -1)),
        jnp.zeros(len(images), jnp.int32) if labels is None else jnp.asarray(labels),
        key=jax.random.key(seed),
        strength=jnp.float32(strength),
        image_shape=SHAPE,
    )
    return np.asarray(found).reshape(images.shape)


def test_sampling_is_scipys_bilinear_interpolation(images: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    rows, columns = generator.uniform(-4, 31, (2, len(images), *SHAPE)).astype(np.float32)
    ours = np.asarray(augment.sampled(jnp.asarray(images.reshape(len(images), -1)), rows, columns, SHAPE))
    for image, row, column, found in zip(images, rows, columns, ours, strict=True):
        theirs = ndimage.map_coordinates(image.astype(np.float64), [row, column], order=1, mode="grid-constant")
        np.testing.assert_allclose(found.reshape(SHAPE), theirs, atol=2e-3)


def test_an_image_of_another_shape_is_sampled_too() -> None:
    image = np.random.default_rng(1).integers(0, 256, (1, 5, 9)).astype(np.uint8)
    rows, columns = np.random.default_rng(2).uniform(-2, 10, (2, 1, 5, 9)).astype(np.float32)
    ours = np.asarray(augment.sampled(jnp.asarray(image.reshape(1, -1)), rows, columns, (5, 9)))
    theirs = ndimage.map_coordinates(image[0].astype(np.float64), [rows[0], columns[0]], order=1, mode="grid-constant")
    np.testing.assert_allclose(ours.reshape(5, 9), theirs, atol=2e-3)


def test_the_affine_map_is_scale_shear_rotation_and_shift(images: np.ndarray) -> None:
    augmentation = Augmentation(rotation=30, scale=0.3, shear=20, translation=4)
    ours = changed(augmentation, images, seed=5)
    draws = np.asarray(jax.random.uniform(jax.random.split(jax.random.key(5), 4)[0], (6, len(images)), minval=-1.0))
    middle = np.array([13.5, 13.5])
    for image, found, draw in zip(images, ours, draws.T, strict=True):
        angle, lean = np.deg2rad(30 * draw[0]), np.tan(np.deg2rad(20 * draw[1]))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear, scale = np.array([[1, 0], [lean, 1]]), np.diag(1 + 0.3 * draw[2:4])
        back = np.linalg.inv(rotation @ shear @ scale)
        offset = middle - back @ (middle + 4 * draw[4:6])
        theirs = ndimage.affine_transform(image.astype(np.float64), back, offset, order=1, mode="grid-constant")
        np.testing.assert_allclose(found, theirs, atol=0.05)


@pytest.mark.parametrize("sigma", [1.5, 4.0, 8.0])
def test_displacements_have_the_covariance_of_smoothed_noise(sigma: float) -> None:
    smoothing = ndimage.gaussian_filter1d(np.eye(28), sigma, axis=0, mode="constant")
    basis = augment.displacement_basis(28, sigma)
    expected = smoothing @ smoothing.T
    np.testing.assert_allclose(basis @ basis.T, expected, atol=2e-3 * expected.max())
    assert basis.shape[1] % 4 == 0
    assert basis.shape[1] < 28


def test_elastic_displacement_is_as_large_as_simards(images: np.ndarray) -> None:
    """The field of our modes against one made as the paper says: uniform noise, smoothed, times alpha."""
    basis = augment.displacement_basis(28, 4.0)
    ours = 34 * np.sqrt(1 / 3) * np.asarray(augment._displacements((basis, basis), jax.random.key(0), 400))
    noise = np.random.default_rng(0).uniform(-1, 1, (400, *SHAPE))
    theirs = 34 * ndimage.gaussian_filter(noise, 4.0, axes=(1, 2), mode="constant")
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    neighbours = [np.corrcoef(field[:, 10, 10], field[:, 10, 14])[0, 1] for field in (ours[0], theirs)]
    assert neighbours[0] == pytest.approx(neighbours[1], abs=0.06)


def test_thickness_moves_towards_scipys_dilation_and_erosion(images: np.ndarray) -> None:
    ours = changed(Augmentation(thickness=1.0), images, seed=3)
    key = jax.random.split(jax.random.key(3), 4)[2]
    amounts = np.asarray(jax.random.uniform(key, (len(images),), minval=-1.0))
    assert amounts.min() < -0.5 < 0.5 < amounts.max()
    for image, found, amount in zip(images, ours, amounts, strict=True):
        other = ndimage.grey_dilation(image, (3, 3)) if amount > 0 else ndimage.grey_erosion(image, (3, 3))
        expected = image + abs(amount) * (other.astype(np.float64) - image)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_erasing_blackens_one_rectangle_of_some_images(images: np.ndarray) -> None:
    white = np.full((2000, *SHAPE), 255, np.uint8)
    found = changed(Augmentation(erasing=0.25), white)
    touched = [image for image in found if image.min() == 0]
    assert len(touched) / len(found) == pytest.approx(0.24, abs=0.03)  # some rectangles hold no pixel's centre
    for image in touched:
        black = image == 0
        rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
        assert black.sum() == len(rows) * len(columns)
        assert max(len(rows), len(columns)) <= 14
        assert np.all(np.diff(rows) == 1)
        assert np.all(np.diff(columns) == 1)


def test_mixing_keeps_the_larger_share() -> None:
    numbers = {"mixup": np.float32(0.4)}
    images = jnp.arange(12.0).reshape(4, 3)
    shares = []
    for seed in range(200):
        found, share = augment.mixed(numbers, images, key=jax.random.key(seed), strength=jnp.float32(1))
        expected = share * images + (1 - share) * jnp.asarray([images[3], images[0], images[1], images[2]])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        shares.append(float(share))
    assert 0.5 <= min(shares) < 0.6
    assert 0.95 < max(shares) <= 1
    unmixed, share = augment.mixed(numbers, images, key=jax.random.key(0), strength=jnp.float32(0))
    assert float(share) == 1
    np.testing.assert_array_equal(unmixed, images)


def test_strength_rises_and_falls() -> None:
    def at(step: int, **phases: float) -> float:
        numbers = augment.numbers(Augmentation(rotation=1, **phases), SHAPE, 10, 100)
        return float(augment.strength(numbers, jnp.int32(step)))

    assert [at(step) for step in (0, 50, 99)] == [1, 1, 1]
    phases = {"warmup": 0.2, "cooldown": 0.5}
    expected = [(0, 0.025), (9, 0.475), (20, 1.0), (49, 1.0), (74, 0.51), (99, 0.01)]
    for step, wanted in expected:
        assert at(step, **phases) == pytest.approx(wanted, abs=1e-5)


def test_without_strength_nothing_changes(images: np.ndarray) -> None:
    found = changed(EVERYTHING.replace(mixup=0.0), images, strength=0.0)
    np.testing.assert_allclose(found, images, atol=1e-3)


def test_only_the_chosen_classes_change(images: np.ndarray) -> None:
    labels = np.arange(len(images)) % 10
    found = changed(Augmentation(rotation=20, classes=(3, 7)), images, labels=labels)
    same = np.array([np.allclose(one, other, atol=1e-3) for one, other in zip(found, images, strict=True)])
    np.testing.assert_array_equal(same, ~np.isin(labels, (3, 7)))


def test_a_run_with_augmentation_is_deterministic_and_resumes(small: Dataset) -> None:
    training = Training(batch_size=64, epochs=3, augmentation=EVERYTHING)
    checkpoints: list[engine.Checkpoint] = []
    job = engine.Job(Network(hidden=(20,)), training, 4, on_checkpoint=lambda make: checkpoints.append(make()))
    one, other = (engine.train_together([job], small)[0] for _ in range(2))
    assert one.history["loss"] == other.history["loss"]
    resumed = engine.train_together([replace(job, on_checkpoint=None, resume=checkpoints[1])], small)[0]
    assert jax.tree.all(jax.tree.map(np.array_equal, one.parameters, resumed.parameters))
    before = engine.compilations()
    milder = training.replace(augmentation=EVERYTHING.replace(rotation=3, elastic_alpha=5, elastic_sigma=3.9, mixup=1))
    assert engine.train(Network(hidden=(20,)), milder, small, seed=4).history["loss"] != one.history["loss"]
    assert engine.compilations() == before
    plain = engine.train(Network(hidden=(20,)), training.replace(augmentation=None), small, seed=4)
    assert plain.history["loss"][0] < one.history["loss"][0]  # what is not seen changed is easier


def test_validation_sees_no_augmentation(small: Dataset) -> None:
    training = Training(batch_size=64, epochs=2, augmentation=EVERYTHING)
    run = engine.train(Network(hidden=(20,)), training, small, seed=0)
    loss, accuracy = engine.evaluate(run.network, run.parameters, small.validation)
    assert (loss, accuracy) == pytest.approx((run.history["val_loss"][-1], run.history["val_accuracy"][-1]), rel=1e-5)


def test_declaring(small: Dataset) -> None:
    plain = Experiment(name="a")
    assert plain.id == Experiment(name="a", training={"augmentation": None}).id
    augmented = Experiment(name="a", training={"augmentation": {"rotation": 5}})
    assert augmented.id != plain.id
    assert augmented.training.declared()["augmentation"] == {"rotation": 5.0}
    assert str(augmented.training.augmentation) == "rotation 5.0"
    with pytest.raises(SpecError, match=r"augmentation\.rotatoin.*rotation"):
        Experiment(name="a", training={"augmentation": {"rotatoin": 5}})
    with pytest.raises(SpecError, match="cooldown"):
        Augmentation(warmup=0.6, cooldown=0.5)
    with pytest.raises(SpecError, match="Keras"):
        Experiment(name="a", engine="keras", training={"augmentation": {"rotation": 5}})
    beyond = Training(augmentation={"rotation": 5, "classes": [10]})
    with pytest.raises(SpecError, match=r"training\.augmentation\.classes.*10"):
        engine.train(Network(), beyond, small, seed=0)
