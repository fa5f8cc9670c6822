"""Every registered thing of a network and of its training, against real Keras built by `export.to_keras`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurona import engine, from_keras, network, objective, to_keras
from neurona.activations import ACTIVATIONS as ACTIVATION_FUNCTIONS
from neurona.data import Dataset
from neurona.errors import SpecError, UsageError
from neurona.initializers import INITIALIZERS as INITIALIZER_FUNCTIONS
from neurona.run import Parameters, kept_epoch
from neurona.specs import ACTIVATIONS, INITIALIZERS, NORMALIZATIONS, EarlyStopping, Network, Optimizer, Training

SGD = Optimizer(name="sgd", learning_rate=0.05)


def in_our_order(data: Dataset, training: Training) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the training batches, with a weight for each image, in the order in which the engine sees them."""
    weights = objective.class_weights(training, data.train.labels, 10)
    for epoch in range(1, training.epochs + 1):
        order = engine.streams.order(3, epoch, len(data.train))
        for start in range(0, len(order), training.batch_size):
            chosen = order[start : start + training.batch_size]
            labels = data.train.labels[chosen]
            yield data.train.images[chosen], labels, weights[labels]


def steps(data: Dataset, training: Training) -> int:
    return math.ceil(len(data.train) / training.batch_size)


def keras_twin(spec: Network, training: Training, initial: Parameters) -> Any:
    return to_keras(spec, initial, image_shape=(28, 28), training=training)


def weights_by_layer(parameters: Parameters) -> list[np.ndarray]:
    order = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
    return [np.asarray(layer[name]) for layer in parameters for name in order if name in layer]


def check(spec: Network, training: Training, data: Dataset, *, tolerance: float = 1e-4) -> None:
    """Train both, three epochs unless said, and compare history and weights."""
    initial = network.init(spec, pixels=784, classes=10, seed=engine.streams.sequence(3, engine.Stream.WEIGHTS))
    model = keras_twin(spec, training, initial)
    with jax.numpy_rank_promotion("raise"):
        run = engine.train(spec, training, data, seed=3)
    fitted = model.fit(
        in_our_order(data, training),
        shuffle=False,
        steps_per_epoch=steps(data, training),
        epochs=training.epochs,
        verbose=0,
        validation_data=(data.validation.images, data.validation.labels),
        validation_batch_size=len(data.validation),
    )
    keys = ["loss"] if training.ema_momentum is not None else ["loss", "val_loss"]
    for key in keys:
        np.testing.assert_allclose(run.history[key], fitted.history[key], rtol=tolerance / 5)
    for key in ("accuracy", "val_accuracy"):
        if training.ema_momentum is None:
            np.testing.assert_allclose(run.history[key], fitted.history[key], atol=0.0031)  # one image of 330
    theirs = from_keras_weights(model)
    for ours, other in zip(weights_by_layer(run.parameters), theirs, strict=True):
        assert np.linalg.norm(ours - other) <= tolerance * max(np.linalg.norm(other), 1e-2)
    if training.ema_momentum is not None:  # Keras leaves the average in the model when it is done
        loss, accuracy = model.evaluate(data.validation.images, data.validation.labels, batch_size=330, verbose=0)
        assert run.history["val_loss"][-1] == pytest.approx(loss, rel=tolerance)
        assert run.history["val_accuracy"][-1] == pytest.approx(accuracy, abs=0.0031)


def from_keras_weights(model: Any) -> list[np.ndarray]:
    return [np.asarray(variable.value) for variable in model.weights if "seed" not in variable.name]


def test_the_registries_are_the_specs() -> None:
    assert tuple(ACTIVATION_FUNCTIONS) == ACTIVATIONS
    assert tuple(INITIALIZER_FUNCTIONS) == INITIALIZERS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_and_its_slope(name: str) -> None:
    theirs = (
        (lambda x: keras.activations.gelu(x, approximate=True)) if name == "gelu_tanh" else keras.activations.get(name)
    )
    x = np.linspace(-6, 6, 401, dtype=np.float32)
    ours = ACTIVATION_FUNCTIONS[name]
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    slope, their_slope = (jax.vmap(jax.grad(function))(x) for function in (ours, theirs))
    smooth = np.abs(np.abs(x) - 3) > 1e-3 if name == "hard_sigmoid" else x != 0
    np.testing.assert_allclose(slope[smooth], their_slope[smooth], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_training_with_each_activation(name: str, small: Dataset) -> None:
    check(Network(hidden=(20, 30), activation=name), Training(optimizer=SGD, epochs=3), small)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer_has_keras_distribution(name: str) -> None:
    spec = Network(hidden=(300,), initializer=name)
    ours = np.asarray(network.init(spec, pixels=400, classes=10, seed=np.random.SeedSequence(1))[0]["kernel"])
    keras.utils.set_random_seed(0)
    theirs = np.asarray(keras.initializers.get(name)((400, 300)))
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    assert ours.mean() == pytest.approx(theirs.mean(), abs=2e-3)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.01)
    bounded = name != "orthogonal"  # of numbers without bound, the largest of 120,000 differs by a tenth as a rule
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.1 if bounded else 0.3)
    again = network.init(spec, pixels=400, classes=10, seed=np.random.SeedSequence(1))[0]["kernel"]
    assert np.array_equal(ours, again)


@pytest.mark.parametrize(("inputs", "units"), [(40, 30), (30, 40), (30, 30)])
def test_orthogonal_is(inputs: int, units: int) -> None:
    kernel = INITIALIZER_FUNCTIONS["orthogonal"](np.random.default_rng(0), inputs, units)
    product = kernel.T @ kernel if inputs >= units else kernel @ kernel.T
    np.testing.assert_allclose(product, np.eye(min(inputs, units)), atol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_normalization_and_residuals(normalization: str | None, residual: bool, small: Dataset) -> None:
    spec = Network(hidden=(20, 20, 30), normalization=normalization, residual=residual)
    check(spec, Training(optimizer=SGD, epochs=3), small)


OBJECTIVES = {
    "l1": Training(l1=1e-3),
    "l2": Training(l2=1e-2),
    "l1 and l2": Training(l1=1e-4, l2=1e-3),
    "max norm": Training(max_norm=0.7),
    "label smoothing": Training(label_smoothing=0.1),
    "confidence penalty": Training(confidence_penalty=0.2),
    "both": Training(label_smoothing=0.05, confidence_penalty=0.1),
    "class weights": Training(class_weight=tuple(0.5 + 0.1 * digit for digit in range(10))),
    "balanced": Training(class_weight="balanced"),
    "average": Training(ema_momentum=0.9),
    "average with max norm": Training(ema_momentum=0.8, max_norm=0.7),
}


@pytest.mark.parametrize("training", OBJECTIVES.values(), ids=OBJECTIVES)
def test_each_term_of_the_objective(training: Training, small: Dataset) -> None:
    check(Network(hidden=(20, 20)), training.replace(optimizer=SGD, epochs=3), small)


combinations = st.builds(
    lambda layers, activation, normalization, residual: Network(
        hidden=layers, activation=activation, normalization=normalization, residual=residual
    ),
    st.lists(st.sampled_from((10, 20)), min_size=1, max_size=3).map(tuple),
    st.sampled_from(ACTIVATIONS),
    st.sampled_from((None, *NORMALIZATIONS)),
    st.booleans(),
)
recipes = st.builds(
    Training,
    optimizer=st.just(SGD),
    batch_size=st.sampled_from((50, 105, 400)),
    epochs=st.just(1),
    l1=st.sampled_from((0.0, 1e-4)),
    l2=st.sampled_from((0.0, 1e-3)),
    max_norm=st.sampled_from((None, 1.0)),
    label_smoothing=st.sampled_from((0.0, 0.1)),
    confidence_penalty=st.sampled_from((0.0, 0.1)),
    class_weight=st.sampled_from((None, "balanced")),
    ema_momentum=st.sampled_from((None, 0.9)),
)


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=combinations, training=recipes)
def test_random_combinations(spec: Network, training: Training, small: Dataset) -> None:
    check(spec, training, small, tolerance=5e-4)


def test_gradients_are_keras(small: Dataset) -> None:
    """One step of plain descent with rate 1 moves the weights by the gradient."""
    spec, batch = Network(hidden=(20, 20), activation="gelu"), len(small.train)
    training = Training(optimizer=Optimizer(name="sgd", learning_rate=1.0), batch_size=batch, epochs=1)
    check(spec, training, small)


NOISES = {
    "dropout": Network(hidden=(400,), dropout=0.3),
    "input dropout": Network(hidden=(400,), input_dropout=0.3),
    "alpha dropout": Network(hidden=(400,), activation="selu", initializer="lecun_normal", alpha_dropout=0.3),
    "input noise": Network(hidden=(400,), input_noise=0.3),
}


@pytest.mark.parametrize("spec", NOISES.values(), ids=NOISES)
def test_noise_has_keras_mean_and_spread(spec: Network, small: Dataset) -> None:
    """The scores of many noisy passes have the mean and the spread that Keras' layers give."""
    images = small.train.images[:4].reshape(4, -1)
    parameters = network.init(spec, pixels=784, classes=10, seed=np.random.SeedSequence(0))
    model = to_keras(spec, parameters, image_shape=(28, 28))
    before_softmax = keras.Model(model.inputs, model.layers[-1].input)
    repeats = 1500

    def noisy(key: jax.Array) -> jax.Array:
        noise = network.Noise(key, spec.input_noise, spec.input_dropout, spec.dropouts, spec.alpha_dropouts)
        return network.noisy_logits(spec, network.transposed(parameters), images, noise)[0]

    ours = np.asarray(jax.jit(jax.vmap(noisy))(jax.random.split(jax.random.key(1), repeats)))
    last = parameters[-1]
    many = np.repeat(small.train.images[:4], repeats, axis=0)
    hidden = np.asarray(before_softmax(keras.ops.convert_to_tensor(many), training=True)).reshape(4, repeats, -1)
    theirs = np.moveaxis(hidden @ last["kernel"] + last["bias"], (0, 1, 2), (2, 0, 1))
    error = 5 * theirs.std(axis=0) / np.sqrt(repeats) + 1e-3
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 1.5 * error).all()
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.12)


def test_noise_is_off_in_validation(small: Dataset) -> None:
    """With hardly any learning, validation is that of the initial weights, whatever is drawn."""
    training = Training(optimizer=Optimizer(name="sgd", learning_rate=1e-12), epochs=1)
    for spec in NOISES.values():
        quiet = spec.replace(dropout=0.0, input_dropout=0.0, alpha_dropout=0.0, input_noise=0.0)
        noisy, still = (engine.train(one, training, small, seed=0) for one in (spec, quiet))
        assert noisy.history["val_loss"] == still.history["val_loss"]
        assert noisy.history["loss"] != still.history["loss"]


STOPPINGS = {
    "loss": EarlyStopping(monitor="val_loss", patience=2),
    "accuracy": EarlyStopping(monitor="val_accuracy", patience=1, min_delta=0.004),
    "best": EarlyStopping(monitor="val_accuracy", patience=3, restore_best_weights=True),
    "at once": EarlyStopping(monitor="val_loss", patience=0, min_delta=0.05),
}


@pytest.mark.parametrize("rule", STOPPINGS.values(), ids=STOPPINGS)
def test_early_stopping_stops_where_keras_does(rule: EarlyStopping, small: Dataset) -> None:
    spec, training = Network(hidden=(30,)), Training(optimizer=Optimizer(learning_rate=0.03), epochs=12)
    initial = network.init(spec, pixels=784, classes=10, seed=engine.streams.sequence(3, engine.Stream.WEIGHTS))
    model = keras_twin(spec, training, initial)
    callback = keras.callbacks.EarlyStopping(**rule.model_dump(), mode="auto")
    fitted = model.fit(
        in_our_order(small, training),
        shuffle=False,
        steps_per_epoch=steps(small, training),
        epochs=12,
        verbose=0,
        callbacks=[callback],
        validation_data=(small.validation.images, small.validation.labels),
    )
    run = engine.train(spec, training.replace(early_stopping=rule), small, seed=3)
    assert len(run.history.epochs) == len(fitted.epoch)
    if rule.restore_best_weights:
        kept = kept_epoch(run.training, run.history.epochs)
        loss, accuracy = engine.evaluate(spec, run.parameters, small.validation)
        assert (loss, accuracy) == (pytest.approx(kept.val_loss, rel=1e-5), kept.val_accuracy)
        assert kept.val_accuracy == max(run.history["val_accuracy"])


def test_early_stopping_resumes_to_the_same_bits(small: Dataset) -> None:
    spec = Network(hidden=(30,), normalization="batch")
    rule = EarlyStopping(monitor="val_accuracy", patience=3, restore_best_weights=True)
    training = Training(optimizer=Optimizer(learning_rate=0.03), epochs=12, early_stopping=rule, ema_momentum=0.5)
    checkpoints: list[engine.Checkpoint] = []
    whole = engine.train(spec, training, small, seed=1, on_checkpoint=lambda make: checkpoints.append(make()))
    for checkpoint in checkpoints:
        again = engine.train(spec, training, small, seed=1, resume=checkpoint)
        assert again.history["val_loss"] == whole.history["val_loss"]
        for ours, theirs in zip(weights_by_layer(again.parameters), weights_by_layer(whole.parameters), strict=True):
            assert np.array_equal(ours, theirs)


def test_every_number_of_the_recipe_is_an_argument(small: Dataset) -> None:
    def run(scale: float) -> None:
        spec = Network(
            hidden=(12,), dropout=0.1 * scale, input_dropout=0.1 * scale, input_noise=0.1 * scale, normalization="batch"
        )
        training = Training(
            epochs=1,
            l1=1e-4 * scale,
            l2=1e-4 * scale,
            max_norm=scale,
            label_smoothing=0.1 * scale,
            confidence_penalty=0.1 * scale,
            class_weight=(scale,) * 10,
            ema_momentum=0.5 * scale,
        )
        engine.train(spec, training, small, seed=0)

    run(1.0)
    before = engine.compilations()
    run(0.5)
    run(1.5)
    assert engine.compilations() == before


def test_bfloat16_learns_as_well(small: Dataset) -> None:
    training = Training(epochs=3)
    full, half = (
        engine.train(Network(), training.replace(precision=precision), small, seed=0)
        for precision in ("float32", "bfloat16")
    )
    assert half.history["loss"] != full.history["loss"]
    assert half.history["loss"][-1] == pytest.approx(full.history["loss"][-1], rel=0.02)
    assert all(layer["kernel"].dtype == np.float32 for layer in half.parameters)


def test_wrong_number_of_class_weights(small: Dataset) -> None:
    with pytest.raises(SpecError, match="one for each of the 10 classes, but there are 2"):
        engine.train(Network(), Training(class_weight=(1.0, 2.0)), small, seed=0)


def course_model() -> Any:
    model = keras.Sequential(
        [
            keras.layers.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(50, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(50, activation="tanh"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_users_keras_model_becomes_ours(small: Dataset) -> None:
    model = course_model()
    found = from_keras(model, epochs=2)
    assert found.network == Network(hidden=(50, 50), activation=("relu", "tanh"), dropout=(0.2, 0.0))
    assert found.training == Training(epochs=2)
    scaled = small.validation.images / 255
    loss, accuracy = model.evaluate(scaled, small.validation.labels, verbose=0)
    assert engine.evaluate(found.network, found.parameters, small.validation) == (
        pytest.approx(loss, rel=1e-4),
        pytest.approx(accuracy, abs=1e-6),
    )


def test_there_and_back(small: Dataset) -> None:
    spec = Network(
        hidden=(20, 30),
        activation=("gelu", "selu"),
        normalization="batch",
        dropout=0.1,
        input_dropout=0.2,
        input_noise=0.1,
    )
    run = engine.train(spec, Training(epochs=1), small, seed=0)
    model = to_keras(spec, run.parameters, image_shape=(28, 28))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    found = from_keras(model)
    assert found.training.optimizer == Optimizer(name="sgd", learning_rate=0.1, momentum=0.9)
    assert (found.network.hidden, found.network.activations) == (spec.hidden, spec.activations)
    assert (found.network.dropouts, found.network.normalization) == (spec.dropouts, "batch")
    assert engine.evaluate(found.network, found.parameters, small.validation) == engine.evaluate(
        spec, run.parameters, small.validation
    )


def compiled(*layers: Any, loss: str = "sparse_categorical_crossentropy", optimizer: Any = "adam") -> Any:
    model = keras.Sequential([keras.layers.Input((28, 28)), *layers])
    model.compile(optimizer=optimizer, loss=loss)
    return model


DENSE = keras.layers.Dense
REFUSED = {
    "a convolution": (lambda: compiled(keras.layers.Conv1D(3, 2, name="conv")), "the layer conv is a Conv1D"),
    "no softmax": (lambda: compiled(keras.layers.Flatten(), DENSE(10)), "activation softmax"),
    "another loss": (
        lambda: compiled(keras.layers.Flatten(), DENSE(10, activation="softmax"), loss="mse"),
        "must be categorical cross-entropy, but is mse",
    ),
    "another scale": (
        lambda: compiled(keras.layers.Rescaling(2.0, name="twice"), keras.layers.Flatten()),
        "the layer twice must be Rescaling",
    ),
    "no biases": (
        lambda: compiled(keras.layers.Flatten(), DENSE(10, use_bias=False, name="bare")),
        "the layer bare must have biases",
    ),
    "another optimizer": (
        lambda: compiled(keras.layers.Flatten(), DENSE(10, activation="softmax"), optimizer="ftrl"),
        "the optimizer Ftrl is none",
    ),
    "an unknown activation": (
        lambda: compiled(keras.layers.Flatten(), DENSE(5, activation="softsign"), DENSE(10, activation="softmax")),
        "activation 'softsign' is none",
    ),
}


@pytest.mark.parametrize(("model", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_taken_is_named(model: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_keras(model())
