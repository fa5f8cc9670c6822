"""What a search may vary, as it is declared, and what is said of a space that cannot be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from neurona.errors import SpecError
from neurona.lab import LabSpec, built_in_labs
from neurona.space import Space, variant
from neurona.specs import OPTIMIZERS, Experiment, Network

BASE = Experiment(name="baseline", network=Network(hidden=(50, 50)))
LAB = """
[lab]
name = "mine"
dataset = "mnist"
[baseline]
network.hidden = [50, 50]
[[experiment]]
name = "wide"
network.hidden = [200, 200]
[search.space]
"""


def said(tmp_path: Path, space: str) -> str:
    """What loading a lab with this space says."""
    file = tmp_path / "lab.toml"
    file.write_text(LAB + space)
    with pytest.raises(SpecError) as raised:
        LabSpec.load(file)
    return str(raised.value).replace(str(file), "lab.toml")


RATE = "training.optimizer.learning_rate"
WRONG = {
    "training.optimiser.learning_rate = { low = 0.1, high = 1.0 }": (
        "lab.toml: search.space.training.optimiser.learning_rate: there is no such key. "
        "Did you mean training.optimizer.learning_rate?"
    ),
    "network.depht = { low = 1, high = 5 }": "network.depht: there is no such key. Did you mean network.depth?",
    f"{RATE} = {{ low = 1.0, high = 0.1 }}": f"search.space.{RATE}: low <= high must hold, but low is 1.0 and high",
    f"{RATE} = {{ low = 0.0, high = 0.1, log = true }}": f"{RATE}.low: must be above 0 with log = true. It is 0.0.",
    f"{RATE} = {{ lo = 0.1, high = 1.0 }}": f"{RATE}.lo: there is no such key. Did you mean low?",
    f"{RATE} = {{ low = 0.1 }}": f"{RATE}: a setting needs `low` and `high`, or `choices`.",
    f"{RATE} = {{ low = -1.0, high = 0.1 }}": f"{RATE}: -1.0: training.optimizer.learning_rate: must be greater than 0",
    "network.dropout = { low = 0.0, high = 1.0 }": "network.dropout: 1.0: network.dropout: must be less than 1",
    'network.activation = ["relu", "tanhh"]': "'tanhh': network.activation: there is no activation 'tanhh'. Did you",
    "network.activation = []": "network.activation.choices: must have at least one.",
    'network.activation = ["relu", "relu"]': "network.activation.choices: each may be there only once.",
    "network.width = { low = 16, high = 1000, base = 2 }": "low and high must be powers of 2, but are 16 and 1000.",
    "network.depth = { low = 1.5, high = 3, type = 'int' }": "from a whole number to another, not from 1.5 to 3",
    'training.batch_size = { type = "whole", low = 1, high = 2 }': "there is no type 'whole'.",
    "network.dropout = { low = 0.0, high = 0.5, when = { network.depth = 3 } }": (
        "network.dropout.when: depends on network.depth, which does not vary in this space."
    ),
    "network.depth = { low = 1, high = 3 }\n"
    "network.dropout = { low = 0.0, high = 0.5, when = { network.depth = 7 } }": (
        "network.dropout.when: depends on network.depth being 7, which it never is."
    ),
    'training.optimizer.name = ["sgd", "adam"]\n'
    'training.optimizer.momentum = { low = 0.5, high = 0.9, when = { training.optimizer.name = "sdg" } }': (
        "depends on training.optimizer.name being 'sdg', which it never is. Did you mean sgd?"
    ),
    'training.optimizer.name = ["sgd", "adam"]\ntraining.optimizer.momentum = { low = 0.5, high = 0.9 }': (
        "search.space.training.optimizer.name: 'adam': training.optimizer.momentum: the optimizer adam has no such"
    ),
    "network.depth = { low = 1, high = 3, when = { training.epochs = 3 } }\n"
    "training.epochs = { low = 1, high = 3, when = { network.depth = 3 } }": "depends, in a ring, on itself.",
    "": "search.space: must have at least one setting.",
}


@pytest.mark.parametrize(("space", "expected"), WRONG.items(), ids=lambda text: text[:40])
def test_a_space_that_cannot_be_is_named(space: str, expected: str, tmp_path: Path) -> None:
    assert expected in said(tmp_path, space)


def test_wrong_keys_beside_the_space_are_named(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(LAB.replace("[search.space]", "[search]\nepoch = 3\n[search.space]") + "network.dropout = [0.1]")
    with pytest.raises(SpecError, match=r"search.epoch: there is no such key. Did you mean epochs\?"):
        LabSpec.load(file)
    file.write_text(
        LAB.replace("[search.space]", '[search]\nrace = ["wid"]\n[search.space]') + "network.dropout = [0.1]"
    )
    with pytest.raises(SpecError, match=r"search.race: no experiment of the lab mine fits 'wid'. Did you mean wide\?"):
        LabSpec.load(file)
    file.write_text(LAB.replace("[search.space]", "[search]\nepochs = 3"))
    with pytest.raises(SpecError, match=r"search.space: is required"):
        LabSpec.load(file)


def test_what_is_asked_for_depends_on_what_was_drawn() -> None:
    space = Space.read(
        {
            "training.optimizer.momentum": {"low": 0.5, "high": 0.9, "when": {"training.optimizer.name": ["sgd"]}},
            "network": {"width": {"low": 16, "high": 64, "base": 2}, "depth": {"low": 1, "high": 3}},
            "training.optimizer.name": ["sgd", "adam"],
            "network.normalization": ["none", "batch"],
            "training.optimizer.schedule": ["constant", "cosine"],
        }
    )
    space.check(BASE)
    generator = random.Random(1)
    seen = set()
    for _point in range(200):
        values = space.draw(BASE, lambda key, parameter: parameter.random(generator))
        experiment = variant(BASE, space.changes(BASE, values), name="trial")
        depth = values["network.depth"]
        assert len(experiment.network.hidden) == depth
        assert set(experiment.network.hidden) <= {16, 32, 64}
        widths = [values[key] for key in values if key.startswith("network.width")]
        assert tuple(widths) == experiment.network.hidden
        optimizer = experiment.training.optimizer
        assert ("training.optimizer.momentum" in values) == (optimizer.name == "sgd")
        assert optimizer.name == "adam" or 0.5 <= (optimizer.momentum or 0) <= 0.9
        assert experiment.network.normalization == {"none": None}.get(
            str(values["network.normalization"]), values["network.normalization"]
        )
        assert optimizer.schedule.name == values["training.optimizer.schedule"]
        assert set(values) <= set(space.keys(BASE))
        seen.add((depth, optimizer.name, experiment.network.normalization))
    assert len(seen) == 3 * 2 * 2


def test_an_optimizer_of_another_name_takes_nothing_over() -> None:
    base = Experiment(name="baseline", training={"optimizer": {"name": "sgd", "momentum": 0.9}, "batch_size": 50})
    space = Space.read({"training.optimizer.name": list(OPTIMIZERS)})
    for name in OPTIMIZERS:
        found = variant(base, space.changes(base, {"training.optimizer.name": name}), name="trial").training
        assert found.batch_size == 50
        assert found.optimizer.momentum == (0.9 if name == "sgd" else OPTIMIZERS[name].get("momentum"))


def test_lists_are_choices_too() -> None:
    space = Space.read({"network.hidden": [[50, 50], [100]]})
    changes = space.changes(BASE, {"network.hidden": "[100]"})
    assert variant(BASE, changes, name="trial").network.hidden == (100,)


@pytest.mark.parametrize("name", [name for name in built_in_labs() if LabSpec.load(name).search])
def test_the_built_in_spaces_are_what_the_docs_say(name: str) -> None:
    search = LabSpec.load(name).search
    assert search is not None
    if name == "mnist-dnn":
        depth, width = search.space.parameters["network.depth"], search.space.parameters["network.width"]
        assert (depth.bounds, width.bounds) == ((1, 5), (16, 1024))
        assert all(50_000 % int(size) == 0 for size in search.space.parameters["training.batch_size"].texts)
    else:
        assert list(search.space.parameters) == [RATE]


def test_a_lab_may_have_a_search_and_no_experiment(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[lab]\nname = "mine"\ndataset = "mnist"\n')
    with pytest.raises(SpecError, match=r"experiment: a lab needs at least one"):
        LabSpec.load(file)
    file.write_text(file.read_text() + "[search.space]\nnetwork.dropout = [0.0, 0.1]\n")
    lab = LabSpec.load(file)
    assert [experiment.name for experiment in lab.experiments] == ["baseline"]
    assert lab.search is not None
    assert list(lab.search.space.parameters) == ["network.dropout"]
