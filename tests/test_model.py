"""A model as it is used and as a file: what is saved is what answers, and what is no model is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, special

import neurona
from neurona import tensors
from neurona.data import Dataset
from neurona.errors import DataError
from neurona.insight import answered
from neurona.model import Model, View, load_model

NETWORKS = [
    neurona.Network(hidden=(24, 16)),
    neurona.Network(hidden=(16, 16), activation=("tanh", "gelu"), normalization="batch", residual=True),
    neurona.Network(hidden=(), initializer="he_normal"),
]


def trained(network: neurona.Network, data: Dataset, seed: int) -> neurona.Run:
    return neurona.train(network, neurona.Training(epochs=2, batch_size=64), data, seed=seed)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: str(network.hidden))
def model(request: pytest.FixtureRequest, small: Dataset) -> Model:
    runs = [trained(request.param, small, seed) for seed in (0, 1)]
    views = (View(), View(rotation=10.0), View(down=1.0, right=-2.0, scale=1.1))
    one = Model.of(runs[0], small)
    return replace(one, members=tuple(run.parameters for run in runs), temperature=1.7, views=views)


def test_one_network_answers_as_insight_says(small: Dataset) -> None:
    run = trained(NETWORKS[1], small, 3)
    split = small.validation
    expected = answered(run.network, run.parameters, split.images, split.labels).probabilities
    found = Model.of(run, small)
    assert np.allclose(found.probabilities(split.images), expected, atol=1e-6)
    assert found.metrics["val_accuracy"] == run.history["val_accuracy"][-1]
    assert (found.predict(split.images) == expected.argmax(axis=1)).all()


def test_members_views_and_temperature_are_what_they_say(model: Model, small: Dataset) -> None:
    """The oracle looks at each image by SciPy, divides the scores by the temperature and takes the mean."""
    images = small.validation.images[:50]
    parts = []
    for member in model.members:
        for view in model.views:
            angle = np.deg2rad(view.rotation)
            back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / view.scale
            offset = np.array([13.5, 13.5]) - back @ np.array([13.5 + view.down, 13.5 + view.right])
            looked = [ndimage.affine_transform(i.astype(float), back, offset, order=1, mode="constant") for i in images]
            scores = answered(model.network, member, np.array(looked, np.float32), np.zeros(50, np.int32)).scores
            parts.append(special.softmax(scores / model.temperature, axis=1))
    assert np.allclose(model.probabilities(images), np.mean(parts, axis=0), atol=2e-5)


def test_a_look_moves_down_and_right() -> None:
    network = neurona.Network(hidden=())
    single = np.zeros((1, 5, 7), np.uint8)
    single[0, 1, 2] = 255
    kernel = np.eye(35, dtype=np.float32) * 10
    member: Any = ({"kernel": kernel, "bias": np.zeros(35, np.float32)},)
    names = tuple(map(str, range(35)))
    seen = Model(network, (member,), (5, 7), names, views=(View(down=2.0, right=1.0),)).predict(single)
    assert divmod(int(seen[0]), 7) == (3, 3)


def test_what_is_saved_answers_the_same(model: Model, small: Dataset, tmp_path: Path) -> None:
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    images = small.validation.images
    assert again.probabilities(images).tobytes() == model.probabilities(images).tobytes()
    assert again.to_bytes() == model.to_bytes()
    same = ("network", "image_shape", "class_names", "temperature", "views", "training", "dataset", "fingerprint")
    assert all(getattr(again, name) == getattr(model, name) for name in same)
    assert dict(again.metrics) == dict(model.metrics)
    assert "val_accuracy" in repr(again)


def test_images_of_another_size_are_refused(model: Model) -> None:
    for wrong in (np.zeros((2, 8, 8), np.uint8), np.zeros((2, 28, 28), np.float32), np.zeros((28, 28), np.uint8)):
        with pytest.raises(DataError, match=r"takes images uint8 \(n, 28, 28\)"):
            model.probabilities(wrong)


def test_no_image_is_no_answer(model: Model) -> None:
    assert model.probabilities(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


def rewritten(model: Model, **changes: Any) -> bytes:
    """The bytes of a model whose description was changed by hand."""
    data = model.to_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    about = json.loads(header["__metadata__"]["model"]) | changes
    header["__metadata__"]["model"] = json.dumps(about)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


def test_what_is_no_model_is_refused(small: Dataset, tmp_path: Path) -> None:
    model = Model.of(trained(NETWORKS[0], small, 0), small)
    data = model.to_bytes()
    member: Any = tensors.as_tensors(model.members[0])
    broken = replace(model, members=(({**model.members[0][0], "bias": np.full(24, np.nan)}, *model.members[0][1:]),))
    wrong = {
        "empty": b"",
        "short": data[: len(data) // 2],
        "noise": bytes(range(256)) * 9,
        "long header": (1 << 60).to_bytes(8, "little") + data[8:],
        "only weights": tensors.write(member, {}),
        "other network": rewritten(model, network={"hidden": [24, 24]}),
        "a typo": rewritten(model, network={"hiden": [24, 16]}),
        "other classes": rewritten(model, class_names=["a", "b"]),
        "not numbers": broken.to_bytes(),
        "no view": rewritten(model, views=[{"tilt": 3}]),
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="no model that Neurona wrote"):
            load_model(tmp_path / name)
    with pytest.raises(DataError, match=r"nothing.*cannot be read"):
        load_model(tmp_path / "nothing")
