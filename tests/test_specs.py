from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurona.errors import SpecError, nearest
from neurona.specs import ACTIVATIONS, OPTIMIZERS, Experiment, Network, Optimizer, Training

WRONG = [
    (lambda: Network(hidden=(0,)), "hidden.0", "at least 1"),
    (lambda: Network(hiden=(5,)), "hiden", "Did you mean hidden?"),
    (lambda: Network(activation="rleu"), "activation", "Did you mean relu?"),
    (lambda: Network(activation=("relu",)), "activation", "2 hidden layers, but has 1"),
    (lambda: Network(dropout=1.0), "dropout", "less than 1"),
    (lambda: Network(hidden=5), "hidden", "list"),
    (lambda: Network(hidden=(50.5, 2)), "hidden.0", "whole number"),
    (lambda: Training(optimizer="adm"), "optimizer.name", "Did you mean adam?"),
    (lambda: Training(optimizer={"name": "sgd", "beta_1": 0.2}), "optimizer.beta_1", "no such setting"),
    (lambda: Training(optimizer={"learning_rate": -1}), "optimizer.learning_rate", "greater than 0.0. It is -1"),
    (lambda: Training(batch_size=True), "batch_size", "whole number"),
    (lambda: Training(epochs=0), "epochs", "at least 1"),
    (lambda: Optimizer(learning_rate=float("nan")), "learning_rate", "finite"),
    (lambda: Experiment(name="a b"), "name", "letters, digits"),
    (lambda: Experiment(name="x", training={"bach_size": 3}), "training.bach_size", "Did you mean batch_size?"),
    (lambda: Experiment(name="x", network=3), "network", "table"),
    (lambda: Experiment(network=Network()), "name", "required"),
]


@pytest.mark.parametrize(("build", "where", "sentence"), WRONG, ids=[where for _build, where, _sentence in WRONG])
def test_what_is_wrong_is_named_with_its_key(build: object, where: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        build()  # type: ignore[operator]
    (problem,) = caught.value.problems
    assert ".".join(problem.where) == where
    assert sentence in problem.sentence


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        Experiment(name="x", network={"hidden": [0, -1]}, training={"epochs": "five"})
    assert [problem.where for problem in caught.value.problems] == [
        ("network", "hidden", "0"),
        ("network", "hidden", "1"),
        ("training", "epochs"),
    ]


def test_a_spec_cannot_be_changed() -> None:
    network = Network()
    with pytest.raises(ValueError, match="frozen"):
        network.hidden = (3,)  # type: ignore[misc]
    assert network.replace(hidden=(3,)).hidden == (3,)
    with pytest.raises(SpecError):
        network.replace(hidden=(0,))


networks = st.builds(
    Network,
    hidden=st.lists(st.integers(1, 999), max_size=4).map(tuple),
    activation=st.sampled_from(ACTIVATIONS),
    dropout=st.sampled_from((0.0, 0.25)),
)
optimizers = st.sampled_from(sorted(OPTIMIZERS)).flatmap(
    lambda name: st.builds(Optimizer, name=st.just(name), learning_rate=st.floats(1e-5, 10))
)
experiments = st.builds(
    Experiment,
    name=st.just("e"),
    network=networks,
    training=st.builds(Training, optimizer=optimizers, batch_size=st.integers(1, 999), epochs=st.integers(1, 99)),
)


@given(experiments, experiments)
def test_ids_are_equal_exactly_when_the_declarations_are(one: Experiment, other: Experiment) -> None:
    same = (one.network, one.training) == (other.network, other.training)
    assert (one.id == other.id) == same
    assert one.replace(name="another", notebook_val_accuracy=0.5).id == one.id


@given(experiments)
def test_an_experiment_survives_json(experiment: Experiment) -> None:
    again = Experiment(**experiment.model_dump(mode="json", exclude_none=True))
    assert again == experiment
    assert again.id == experiment.id


def test_the_baselines_id_never_changes() -> None:
    """Stored runs are found by it: a new field with a default must leave it as it is."""
    assert Experiment(name="baseline").id == "02a9a8505d01e31e"


@pytest.mark.parametrize(
    ("hidden", "count"), [((50, 50), 42_310), ((500, 500), 648_010), ((), 7_850), ((500,) * 5, 1_399_510)]
)
def test_parameters_are_counted_as_keras_counts_them(hidden: tuple[int, ...], count: int) -> None:
    assert Network(hidden=hidden).parameters((28, 28), 10) == count


def test_nearest() -> None:
    assert nearest("learning_rat", ["momentum", "learning_rate"]) == "learning_rate"
    assert nearest("zzz", ["momentum"]) is None


def test_an_unknown_key_of_any_form_is_named() -> None:
    for key in ("a[b]", "str", "constrained-x", ""):
        with pytest.raises(SpecError) as refused:
            Network(**{key: 1})
        assert refused.value.problems[0].where == (key,)
