"""Insight against scikit-learn, SciPy and computations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

import neurona
from neurona import insight
from neurona.data import Dataset
from neurona.insight import PERTURBATIONS, Answers
from neurona.insight.perturbations import noisy, scaled, shifted, thickened, turned
from neurona.run import Parameters
from neurona.specs import Network

CLASSES = 5


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Answers to 400 images of four of five classes: one is never there, and another is never answered."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 400).astype(np.int32)
    scores = generator.normal(size=(400, CLASSES)) + 2.0 * np.eye(CLASSES)[labels]
    scores[:, 2] = -20.0
    return Answers(scores, labels)


@pytest.fixture(scope="module")
def trained(small: Dataset) -> neurona.Run:
    return neurona.train(Network(hidden=(30, 20)), neurona.Training(epochs=3), small, seed=0)


def random_parameters(network: Network, pixels: int, classes: int, seed: int = 0) -> Parameters:
    """Weights no training would give, normalisation included, so that nothing is 0 or 1 by chance."""
    from neurona.network import init

    generator = np.random.default_rng(seed)
    made = init(network, pixels=pixels, classes=classes, seed=np.random.SeedSequence(seed))
    return tuple(
        {
            name: (np.asarray(array) + generator.uniform(0.05, 0.2, np.shape(array))).astype(np.float32)
            for name, array in layer.items()
        }
        for layer in made
    )


def test_answers_are_scikit_learns(answers: Answers) -> None:
    assert answers.accuracy == pytest.approx(accuracy_score(answers.labels, answers.predicted), abs=1e-12)
    expected = log_loss(answers.labels, answers.probabilities, labels=range(CLASSES))
    assert answers.loss == pytest.approx(expected, rel=1e-12)
    assert answers.probabilities.sum(axis=1) == pytest.approx(np.ones(400), abs=1e-12)


def test_a_networks_answers_are_those_of_its_validation(trained: neurona.Run, small: Dataset) -> None:
    split = small.validation
    found = insight.answered(trained.network, trained.parameters, split.images, split.labels)
    assert found.accuracy == pytest.approx(trained.history["val_accuracy"][-1], abs=1e-6)
    assert found.loss == pytest.approx(trained.history["val_loss"][-1], rel=1e-5)


def test_classes_are_scikit_learns(answers: Answers) -> None:
    found = insight.confusion(answers.labels, answers.predicted, CLASSES)
    expected = confusion_matrix(answers.labels, answers.predicted, labels=range(CLASSES))
    assert (found.counts == expected).all()
    scores = np.array([[one.precision, one.recall, one.f1, one.images] for one in insight.class_scores(found)]).T
    theirs = precision_recall_fscore_support(
        answers.labels, answers.predicted, labels=range(CLASSES), zero_division=0.0
    )
    for ours, other in zip(scores, theirs, strict=True):
        assert ours == pytest.approx(other, abs=1e-12)
    assert found.shares[4].tolist() == [0.0] * CLASSES  # a class without an image


def test_pairs_are_the_most_confused_ones(answers: Answers) -> None:
    found = insight.confusion(answers.labels, answers.predicted, CLASSES)
    every = {
        (true, answer): int(((answers.labels == true) & (answers.predicted == answer)).sum())
        for true in range(CLASSES)
        for answer in range(CLASSES)
        if true != answer
    }
    pairs = found.pairs(100)
    assert {(pair.true, pair.answer): pair.count for pair in pairs} == {k: v for k, v in every.items() if v}
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)
    worst = found.pairs(1)[0]
    assert worst.share == worst.count / (answers.labels == worst.true).sum()
    assert insight.confusion(answers.labels, answers.labels, CLASSES).pairs(3) == ()


def test_hardest_images_have_the_highest_loss(answers: Answers) -> None:
    found = insight.hardest(answers, 7)
    by_hand = [-math.log(answers.probabilities[i, answers.labels[i]]) for i in range(400)]
    assert [one.index for one in found] == sorted(range(400), key=lambda i: -by_hand[i])[:7]
    one = found[0]
    assert one.loss == pytest.approx(max(by_hand))
    assert one.probability == pytest.approx(math.exp(-max(by_hand)))
    assert one.answer_probability == answers.probabilities[one.index].max()


def test_what_every_seed_misses() -> None:
    """Three networks, four images: the first is missed by all, the second by two, the third by none."""
    labels = np.array([0, 1, 2, 0], np.int32)
    given = [[1, 0, 2, 0], [1, 1, 2, 1], [2, 0, 2, 0]]
    networks = [Answers(4.0 * np.eye(3)[row], labels) for row in given]
    found = insight.missed(networks)
    assert (found.seeds, found.counts) == (3, (1, 1, 1, 1))
    (mistake,) = found.by_all
    assert (mistake.index, mistake.label, mistake.answer) == (0, 0, 1)
    assert mistake.probability == pytest.approx(1 / (2 + math.exp(4)))


def test_calibration_error_by_hand(answers: Answers) -> None:
    found = insight.calibration(answers, bins=10)
    confidence = answers.probabilities.max(axis=1)
    error = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            error += inside.mean() * abs(answers.right[inside].mean() - confidence[inside].mean())
    assert found.error == pytest.approx(error, abs=1e-12)
    assert sum(one.count for one in found.bins) == 400
    assert all(one.low < one.confidence <= one.high for one in found.bins)


def test_temperature_is_where_the_loss_is_smallest() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, CLASSES, 300).astype(np.int32)
    answers = Answers(generator.normal(size=(300, CLASSES)) + 1.5 * np.eye(CLASSES)[labels], labels)
    sure = 3.0 * answers.scores

    def loss(inverse: np.ndarray) -> float:
        return float(
            log_loss(answers.labels, Answers(sure * inverse[0], answers.labels).probabilities, labels=range(5))
        )

    best = minimize(loss, [0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x[0]
    assert insight.temperature(sure, answers.labels) == pytest.approx(1 / best, rel=1e-5)
    found = insight.calibration(Answers(sure, answers.labels))
    assert found.loss_at_temperature < found.loss
    assert found.temperature == pytest.approx(3.0 * insight.temperature(answers.scores, answers.labels), rel=1e-5)


def forward(network: Network, parameters: Parameters, images: np.ndarray) -> list[np.ndarray]:
    """What each hidden layer's activation gives, written down again in float64."""
    x = images.reshape(len(images), -1) / 255.0
    found = []
    functions = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    for index, (layer, name) in enumerate(zip(parameters[:-1], network.activations, strict=True)):
        z = x @ layer["kernel"].astype(np.float64) + layer["bias"]
        if network.normalization == "batch":
            z = (z - layer["moving_mean"]) / np.sqrt(layer["moving_variance"] + 1e-3) * layer["gamma"] + layer["beta"]
        y = functions[name](z)
        found.append(y)
        x = x + y if network.residual and index > 0 and x.shape == y.shape else y
    return found


@pytest.mark.parametrize(
    "network",
    [
        Network(hidden=(12, 8), activation="relu"),
        Network(hidden=(9,), activation="sigmoid", dropout=0.5),
        Network(hidden=(8, 8, 8), activation=("tanh", "relu", "tanh"), residual=True),
        Network(hidden=(10, 6), activation="tanh", normalization="batch"),
    ],
    ids=["plain", "dropout", "residual", "batch normalisation"],
)
def test_hidden_layers_give_what_the_network_computes(network: Network) -> None:
    images = np.random.default_rng(1).integers(0, 256, (17, 6, 6), np.uint8)
    parameters = random_parameters(network, 36, 3)
    found = insight.activations(network, parameters, images)
    expected = forward(network, parameters, images)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=2e-5)


def test_dead_and_saturated_units() -> None:
    given = np.random.default_rng(0).uniform(0.2, 0.8, (100, 5))
    given[:, 1] = 0.0  # dead
    given[:96, 3] = 0.999  # saturated
    given[:90, 4] = 0.001  # nearly
    found = insight.activity(given, "sigmoid", bins=11)
    assert (found.dead, found.saturated, found.units) == ((1,), (3,), 5)
    assert found.counts.sum() == given.size
    assert found.zeros == pytest.approx(0.2)
    assert insight.activity(given, "relu").saturated is None


def test_units_are_shown_by_the_image_that_excites_them_most() -> None:
    given = np.array([[9.0, 0.0, 5.0], [1.0, 0.1, 4.0], [0.0, 0.0, 0.0]])
    assert insight.most_exciting(given, 2) == ((0, 0), (2, 1))  # image 0 is taken
    assert len(insight.most_exciting(np.zeros((2, 5)), 5)) == 2


def test_norms_are_those_of_weights_and_gradient() -> None:
    network = Network(hidden=(7,), activation="tanh")
    parameters = random_parameters(network, 9, 3)
    generator = np.random.default_rng(2)
    images, labels = generator.integers(0, 256, (20, 3, 3), np.uint8), generator.integers(0, 3, 20).astype(np.int32)

    def loss(kernels: list[np.ndarray]) -> float:
        hidden = np.tanh(images.reshape(20, 9) / 255.0 @ kernels[0] + parameters[0]["bias"])
        return Answers(hidden @ kernels[1] + parameters[1]["bias"], labels).loss

    kernels = [np.asarray(layer["kernel"], np.float64) for layer in parameters]
    found = insight.norms(network, parameters, images, labels)
    for index, kernel in enumerate(kernels):
        assert found[index].weights == pytest.approx(np.linalg.norm(kernel), rel=1e-12)
        gradient = np.zeros_like(kernel)
        for place in np.ndindex(kernel.shape):
            steps = []
            for step in (1e-5, -1e-5):
                moved = [each.copy() for each in kernels]
                moved[index][place] += step
                steps.append(loss(moved))
            gradient[place] = (steps[0] - steps[1]) / 2e-5
        assert found[index].gradients == pytest.approx(np.linalg.norm(gradient), rel=1e-3)


def test_principal_components_are_scikit_learns() -> None:
    given = np.random.default_rng(0).normal(size=(60, 8)) @ np.diag([5, 3, 1, 1, 1, 1, 1, 1])
    found, theirs = insight.principal_components(given), PCA(2).fit(given)
    assert found.shares == pytest.approx(theirs.explained_variance_ratio_, abs=1e-12)
    places = theirs.transform(given)
    signs = np.sign((places * found.places).sum(axis=0))
    assert found.places == pytest.approx(places * signs, abs=1e-10)


def test_principal_components_of_next_to_nothing() -> None:
    still = insight.principal_components(np.ones((4, 3)))
    assert (still.places == 0).all()
    assert still.shares == (0.0, 0.0)
    one = insight.principal_components(np.array([[1.0], [2.0], [4.0]]))
    assert (one.places[:, 1] == 0).all()
    assert one.shares == pytest.approx((1.0, 0.0))


def test_integrated_gradients_add_up_to_the_score(trained: neurona.Run, small: Dataset) -> None:
    images, labels = small.validation.images[:6], small.validation.labels[:6]
    found = insight.integrated_gradients(trained.network, trained.parameters, images, labels, steps=400)
    here = insight.answered(trained.network, trained.parameters, images, labels).scores
    black = insight.answered(trained.network, trained.parameters, np.zeros_like(images), labels).scores
    rows = np.arange(6)
    assert found.sum(axis=(1, 2)) == pytest.approx((here - black)[rows, labels], abs=0.02)
    assert (found[images == 0] == 0).all()  # a black pixel has no part in it


def test_attributions_of_a_linear_network_are_its_weights() -> None:
    """Without hidden layers both methods are weight times pixel."""
    network = Network(hidden=())
    parameters = random_parameters(network, 16, 3)
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4), np.uint8)
    classes = np.array([0, 1, 2, 1], np.int32)
    weights = np.asarray(parameters[0]["kernel"], np.float64)[:, classes].T
    expected = (images.reshape(4, 16) / 255.0 * weights).reshape(4, 4, 4)
    for method in (insight.gradient_times_input, insight.integrated_gradients):
        assert method(network, parameters, images, classes) == pytest.approx(expected, abs=1e-6)


def test_the_path_begins_and_ends_with_the_networks(small: Dataset) -> None:
    network = Network(hidden=(10,))
    split = small.validation
    ends = [random_parameters(network, 784, 10, seed) for seed in (0, 1)]
    points = insight.loss_path(network, *ends, split.images, split.labels, points=5)
    assert [point.position for point in points] == [0.0, 0.25, 0.5, 0.75, 1.0]
    for point, parameters in zip((points[0], points[-1]), ends, strict=True):
        answers = insight.answered(network, parameters, split.images, split.labels)
        assert (point.loss, point.accuracy) == (pytest.approx(answers.loss, rel=1e-6), answers.accuracy)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_of_nothing_changes_nothing(name: str, small: Dataset) -> None:
    perturbation, images = PERTURBATIONS[name], small.validation.images[:8]
    assert perturbation.unchanged in perturbation.levels
    for level in perturbation.levels:
        changed = perturbation.change(images, level, 0)
        assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
        assert (changed == images).all() == (level == perturbation.unchanged)


def test_shifts_go_in_four_directions() -> None:
    images = np.zeros((4, 5, 5), np.uint8)
    images[:, 2, 2] = 255
    places = [tuple(map(int, np.argwhere(image)[0])) for image in shifted(images, 2)]
    assert places == [(2, 0), (2, 4), (0, 2), (4, 2)]
    assert not shifted(images, 5).any()


def test_turns_scales_and_strokes() -> None:
    images = np.zeros((1, 9, 9), np.uint8)
    images[0, 4, 1:4] = 200  # a line left of the centre
    assert (turned(images, 90)[0] == np.rot90(images[0])).all()
    square = np.zeros((1, 9, 9), np.uint8)
    square[0, 3:6, 3:6] = 255
    assert int(scaled(square, 2.0).sum()) == pytest.approx(4 * int(square.sum()), rel=0.3)
    assert thickened(square, 1.0).sum() > square.sum() > thickened(square, -1.0).sum() > 0


def test_noise_is_its_seeds() -> None:
    grey = np.full((50, 20, 20), 128, np.uint8)
    first = noisy(grey, 10, 3)
    assert (first == noisy(grey, 10, 3)).all()
    assert (first != noisy(grey, 10, 4)).any()
    assert first.std() == pytest.approx(25.5, rel=0.02)


def test_robustness_is_the_accuracy_on_changed_images(trained: neurona.Run, small: Dataset) -> None:
    images, labels = small.validation.images, small.validation.labels
    found = insight.robustness(trained.network, trained.parameters, images, labels, PERTURBATIONS["shift"], seed=0)
    assert found.levels == (0, 1, 2, 3, 4, 5, 6)
    three = insight.answered(trained.network, trained.parameters, shifted(images, 3), labels)
    assert found.accuracy[3] == three.accuracy
    assert found.accuracy[0] == pytest.approx(trained.history["val_accuracy"][-1], abs=1e-6)
    assert found.accuracy[6] < found.accuracy[0]
