"""A model elsewhere answers as it does here: in Keras, ONNX, NumPy and a browser; and its card says what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

import neurona
import pen
from chromium import Chromium
from neurona import exports, i18n
from neurona.data import Dataset
from neurona.errors import DataError, MissingExtraError, UsageError
from neurona.exports.bundle import bundled
from neurona.exports.card import measured
from neurona.insight import PERTURBATIONS, Perturbation, robustness
from neurona.model import Model, View, load_model
from neurona.sealed import read_test
from neurona.stats import wilson_interval
from neurona.study import model_of
from test_drawing import NETWORKS, images, model

ROOT = Path(__file__).parents[1]
PARITY = 1e-5


@pytest.fixture(autouse=True)
def _back_to_english() -> Iterator[None]:
    yield
    i18n.activate(None)


@pytest.fixture(scope="module")
def reader(mnist: Dataset) -> Model:
    """Two members trained on MNIST for a moment, with a view and a temperature: good enough to read a pen's digits."""
    network = neurona.Network(hidden=(64, 64), activation=("relu", "gelu_tanh"), normalization="batch", residual=True)
    recipe = neurona.Training(epochs=2, batch_size=250)
    runs = [neurona.train(network, recipe, mnist, seed=seed) for seed in (0, 1)]
    one = Model.of(runs[0], mnist)
    views = (View(), View(rotation=6.0))
    return replace(one, members=tuple(run.parameters for run in runs), temperature=1.2, views=views)


@pytest.fixture(scope="module")
def page(reader: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "draw.html"
    neurona.export(reader, file)
    return file


Found = np.ndarray[Any, np.dtype[np.float32]]
Images = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def seen(mnist: Dataset) -> Images:
    """The images of validation and of the test set, which without labels tell nothing that the seal keeps."""
    return np.concatenate([mnist.validation.images, read_test(mnist).images])


def in_keras(file: Path, seen: np.ndarray[Any, Any]) -> Found:
    return np.asarray(keras.saving.load_model(file).predict(seen, batch_size=2_000, verbose=0))


def in_onnx(file: Path, seen: np.ndarray[Any, Any]) -> Found:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": seen})
    return np.asarray(found)


def in_numpy(file: Path, seen: np.ndarray[Any, Any]) -> Found:
    """Compute it with the lines that docs/export.md shows."""
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(import json\n.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines, names)  # noqa: S102 - the lines of our own page
    return np.asarray(names["probabilities"](file, seen))


ELSEWHERE = {"keras": in_keras, "onnx": in_onnx}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("format_", ELSEWHERE)
def test_every_kind_of_network_answers_the_same(format_: str, name: str, tmp_path: Path) -> None:
    one, seen = model(NETWORKS[name], members=2, views=(View(), View(rotation=8.0))), images(40)
    file = tmp_path / f"model.{format_}"
    neurona.export(one, file)
    assert np.abs(ELSEWHERE[format_](file, seen) - one.probabilities(seen)).max() <= PARITY


@pytest.mark.parametrize("format_", ELSEWHERE)
def test_all_images_are_read_the_same(format_: str, reader: Model, seen: Images, tmp_path: Path) -> None:
    file = tmp_path / f"model.{format_}"
    neurona.export(reader, file)
    ours, theirs = reader.probabilities(seen), ELSEWHERE[format_](file, seen)
    assert theirs.dtype == np.float32
    assert np.abs(theirs - ours).max() <= PARITY
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).all()


def test_numpy_alone_reads_safetensors(small: Dataset, seen: Images, tmp_path: Path) -> None:
    run = neurona.train(neurona.Network(hidden=(24, 16)), neurona.Training(epochs=2), small, seed=0)
    one = replace(Model.of(run, small), temperature=1.5, views=(View(), View(down=1.0)))
    file = tmp_path / "model.safetensors"
    neurona.export(one, file)
    ours, theirs = one.probabilities(seen), in_numpy(file, seen)
    assert np.abs(theirs - ours).max() <= PARITY
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).all()
    again = load_model(file)
    assert (len(again.members), again.views, again.temperature) == (2, (View(),), 1.0)
    assert np.abs(again.probabilities(seen) - ours).max() <= PARITY


def test_keras_opens_it_where_neurona_is_not(tmp_path: Path) -> None:
    one = model(NETWORKS["gelu_tanh"], members=2)
    neurona.export(one, tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images(5))
    lines = (
        "import sys; sys.modules['neurona'] = None\n"  # whoever imports it fails
        "import keras, numpy\n"
        "found = keras.saving.load_model('model.keras').predict(numpy.load('images.npy'), verbose=0)\n"
        "numpy.save('found.npy', found)\n"
    )
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.abs(np.load(tmp_path / "found.npy") - one.probabilities(images(5))).max() <= PARITY


def test_an_onnx_file_says_what_it_is(reader: Model, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    neurona.export(reader, file)
    made = onnx.load(file)
    said = {one.key: one.value for one in made.metadata_props}
    assert json.loads(said["classes"]) == list("0123456789")
    assert said["fingerprint"] == reader.fingerprint
    assert said["licence"] == "CC BY-SA 3.0"
    assert [one.version for one in made.opset_import] == [17]
    for count in (0, 1, 7):
        assert in_onnx(file, np.zeros((count, 28, 28), np.uint8)).shape == (count, 10)
    again = tmp_path / "again.onnx"
    neurona.export(reader, again)
    assert again.read_bytes() == file.read_bytes()


def test_onnx_that_is_not_installed_names_the_extra(
    reader: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"neurona\[onnx\]"):
        neurona.export(reader, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_named_or_that_of_the_suffix(tmp_path: Path) -> None:
    assert exports.format_of("a/model.ONNX") == "onnx"
    assert exports.format_of("model", "keras") == "keras"
    with pytest.raises(UsageError, match=r"no format 'kers'.*Did you mean keras"):
        exports.format_of("model", "kers")
    with pytest.raises(UsageError, match=r"model\.pt: its suffix.*\.safetensors"):
        exports.format_of("model.pt")


# The page


def test_the_page_reads_all_images_the_same(page: Path, reader: Model, seen: Images, browser: Chromium) -> None:
    """The page's own network, in the browser, from the weights that are in the page."""
    browser.show(page, width=1280, scheme="light")
    found = browser.run(
        "const found = [];"
        "for (let start = 0; start < given.length; start += 784) {"
        "  const image = Uint8Array.from(given.slice(start, start + 784), (letter) => letter.charCodeAt(0));"
        "  found.push([...window.neurona.network.probabilities(image)]);"
        "}"
        "return found;",
        seen.tobytes().decode("latin-1"),
    )
    theirs, ours = np.array(found), reader.probabilities(seen)
    assert np.abs(theirs - ours).max() <= PARITY
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).all()


def spoken(browser: Chromium) -> str:
    """What the page says of the whole drawing: a frame after its last stroke."""
    browser.run("for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame)")
    browser.wait("/\\d/.test(document.getElementById('spoken').textContent)")
    return str(browser.ask("document.getElementById('spoken').textContent"))


@pytest.mark.parametrize("hand", pen.HANDS)
def test_digits_drawn_on_the_page_are_read(hand: str, page: Path, browser: Chromium) -> None:
    browser.messages(), browser.requested()
    browser.show(page, width=390 if hand == "finger" else 1280, scheme="light")
    right = []
    for digit in pen.DIGITS if hand == "mouse" else "1247":
        browser.run("document.getElementById('clear').click()")
        browser.wait("document.getElementById('spoken').textContent === ''")
        pen.HANDS[hand](browser, pen.DIGITS[digit])
        said = spoken(browser)
        shown = browser.ask("document.querySelector('.bars .first .name').textContent")
        assert shown in said
        right.append(shown == digit)
    assert sum(right) >= len(right) - 1  # it has learned for a moment only
    assert browser.messages() == []
    assert browser.requested() == {page.resolve().as_uri()}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (800, "light")])
def test_the_page_is_for_everybody(width: int, scheme: str, page: Path, browser: Chromium) -> None:
    browser.messages()
    browser.show(page, width=width, scheme=scheme)
    assert browser.violations() == []
    pen.mouse(browser, pen.DIGITS["2"])
    spoken(browser)
    browser.run("document.getElementById('why').click()")
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.violations() == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.messages() == []


def test_why_colours_the_image_and_undo_takes_all_back(page: Path, browser: Chromium) -> None:
    browser.show(page, width=1280, scheme="light")
    coloured = (
        "(() => { const { data } = document.getElementById('pixels').getContext('2d').getImageData(0, 0, 28, 28);"
        " let count = 0; for (let i = 0; i < data.length; i += 4) count += data[i] !== data[i + 2];"
        " return count; })()"
    )
    assert browser.ask("document.getElementById('why').disabled") is True
    pen.mouse(browser, pen.DIGITS["3"])
    said = spoken(browser)
    assert browser.ask(coloured) == 0
    browser.run("document.getElementById('why').click()")
    assert browser.ask(coloured) > 50
    assert browser.ask("document.getElementById('why').ariaPressed") == "true"
    name = browser.ask("document.querySelector('.bars .first .name').textContent")
    assert name in said
    assert browser.ask("document.getElementById('for').textContent") == f"speaks for {name}"
    browser.run("document.getElementById('undo').click()")
    browser.wait("document.getElementById('spoken').textContent === ''")
    assert browser.ask(coloured) == 0
    assert browser.ask("document.getElementById('verdict').textContent") == "Nothing is drawn yet."


def test_the_page_changes_its_language(page: Path, browser: Chromium) -> None:
    browser.show(page, width=1280, scheme="light")
    pen.mouse(browser, pen.DIGITS["1"])
    spoken(browser)
    assert browser.ask("document.documentElement.lang") == "en"
    browser.run("document.getElementById('language').focus()")
    browser.command(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
    )
    browser.command("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    assert browser.ask("document.documentElement.lang") == "es"
    assert browser.ask("document.title") == "Dibuje un dígito"
    assert browser.ask("document.getElementById('undo').textContent") == "Deshacer"
    assert re.match(r"La respuesta es|No es seguro", spoken(browser))
    assert browser.violations() == []


def test_a_page_for_images_of_another_kind(tmp_path: Path, browser: Chromium) -> None:
    """Of another size, with long names that are markup, and more classes than are shown at once."""
    names = ("<b>bold</b>", "a name that is longer than its place by far", *(f"class {number}" for number in range(14)))
    generator = np.random.default_rng(0)
    network = neurona.Network(hidden=())
    member = ({"kernel": generator.normal(size=(96, 16)).astype(np.float32), "bias": np.zeros(16, np.float32)},)
    file = tmp_path / "own.html"
    neurona.export(Model(network, (member,), (12, 8), names), file)
    browser.messages()
    browser.show(file, width=390, scheme="light")
    pen.mouse(browser, pen.DIGITS["8"])
    spoken(browser)
    assert browser.ask("document.title") == "Draw for a network"
    assert browser.ask("document.querySelectorAll('#bars li').length") == 12
    assert browser.ask("[document.getElementById('pixels').width, document.getElementById('pixels').height]") == [8, 12]
    assert browser.ask("document.querySelectorAll('main b').length") == 0
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    assert browser.violations() == []
    assert browser.messages() == []


def test_a_damaged_page_says_so(page: Path, tmp_path: Path, browser: Chromium) -> None:
    text = page.read_text(encoding="utf-8")
    start = text.index('class="weights">') + len('class="weights">')
    file = tmp_path / "damaged.html"
    file.write_text(text[:start] + text[start + 400 :], encoding="utf-8")
    browser.show(file, width=1280, scheme="light", ready="!document.getElementById('state').hidden")
    browser.wait("document.getElementById('state').textContent.includes('damaged')")
    assert browser.ask("document.getElementById('main').hidden") is True
    assert any("the weights" in message for message in browser.messages())


def test_the_page_speaks_without_scripts_and_lets_none_in(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy
    assert "needs JavaScript" in text
    assert "necesita JavaScript" in text


def test_modules_become_one_script() -> None:
    one = "const size = 2;\nexport const twice = (x) => size * x;\nexport class Box {}\n"
    two = (
        'import { twice, Box } from "./one.js";\n\nconst size = 5;\nresult = [twice(size), new Box() instanceof Box];\n'
    )
    script = bundled({"one.js": one, "two.js": two})
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    done = subprocess.run(
        ["node", "-e", f"globalThis.result = 0;\n{script}console.log(JSON.stringify(result))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [10, True]
    for wrong, said in (
        ({"two.js": two, "one.js": one}, "must come before"),
        ({"one.js": "export default 3;\n"}, "not known here: export default"),
        ({"one.js": "const a = await import('./b.js');\n"}, "not known here"),
        ({"one.js": "import './b.js';\n"}, "not known here"),
    ):
        with pytest.raises(ValueError, match=said):
            bundled(wrong)


# The card


def test_the_card_says_what_was_measured(reader: Model, small: Dataset) -> None:
    text = exports.card(reader, small)
    right = int((reader.predict(small.validation.images) == small.validation.labels).sum())
    accuracy = wilson_interval(right, 330)
    assert accuracy.low is not None
    assert accuracy.high is not None
    shown = f"{100 * accuracy.value:.2f} % ({100 * accuracy.low:.2f}–{100 * accuracy.high:.2f})"
    assert f"- accuracy: {shown}" in text
    assert reader.fingerprint in text
    assert "CC BY-SA 3.0" in text
    assert "- members: 2" in text
    assert f"- `val_accuracy`: {reader.metrics['val_accuracy']:.6g}" in text
    moved = reader.predict(PERTURBATIONS["shift"].change(small.validation.images, 3, 0)) == small.validation.labels
    estimate = wilson_interval(int(moved.sum()), 330)
    assert f"| 3 | {100 * estimate.value:.2f} %" in text
    i18n.activate("es")
    assert "## Dónde falla" in exports.card(reader, small)


def test_one_network_is_measured_as_insight_measures_it(small: Dataset) -> None:
    run = neurona.train(neurona.Network(hidden=(24, 16)), neurona.Training(epochs=2), small, seed=0)
    found = measured(Model.of(run, small), small)
    images_, labels = small.validation.images, small.validation.labels
    for name in ("shift", "noise"):
        perturbation: Perturbation = PERTURBATIONS[name]
        expected = robustness(run.network, run.parameters, images_, labels, perturbation, seed=0)
        assert [one.value for one in found.changed[name]] == list(expected.accuracy)
    assert found.accuracy.value == pytest.approx(run.history["val_accuracy"][-1])
    assert found.loss == pytest.approx(run.history["val_loss"][-1], abs=1e-5)


def test_a_card_is_of_the_model_s_own_data(reader: Model, small: Dataset, mnist: Dataset) -> None:
    with pytest.raises(DataError, match="fingerprint"):
        exports.card(reader, replace(small, fingerprint="0" * 64))
    with pytest.raises(DataError, match="knows the classes"):
        exports.card(reader, replace(mnist, class_names=tuple("abcdefghij")))
    unknown = replace(reader, metrics={}, training=None, members=reader.members[:1], views=(View(),))
    text = exports.card(unknown, replace(small, fingerprint=reader.fingerprint))
    assert "may have been among those that it learned from" in text
    assert "does not say how it was trained" in text


# The command and the study


def test_an_experiment_is_a_model(small_study: neurona.Study, small: Dataset) -> None:
    one = model_of(small_study, "wide", data=small)
    accuracies = {seed: run.epochs[-1].val_accuracy for seed, run in small_study.experiment("wide").ended.items()}
    assert one.metrics["val_accuracy"] == max(accuracies.values())
    seen = small.validation
    assert (one.predict(seen.images) == seen.labels).mean() == pytest.approx(max(accuracies.values()))
    assert one.training == small_study.experiment("wide").stored.experiment.training
    assert one.versions["neurona"] == neurona.__version__
    with pytest.raises(UsageError, match=r"no experiment 'wid'.*wide"):
        model_of(small_study, "wid", data=small)
    with pytest.raises(DataError, match="made with other data"):
        model_of(small_study, "wide", data=replace(small, fingerprint="0" * 64))


def test_the_command(program: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", images=generator.integers(0, 256, (210, 8, 8), np.uint8), labels=np.arange(210) % 3)
    data = neurona.load(tmp_path / "own.npz")
    run = neurona.train(neurona.Network(hidden=(6,)), neurona.Training(epochs=1), data, seed=0)
    Model.of(run, data).save(tmp_path / "model.safetensors")
    words = ["model.safetensors", "--output", "draw.html", "--card", "card.md", "--dataset", "own.npz", "--json"]
    done = program("export", *words, lang="es")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["format"] == "html"
    assert document["bytes"] == (tmp_path / "draw.html").stat().st_size
    assert "# Ficha del modelo" in (tmp_path / "card.md").read_text(encoding="utf-8")
    for words, said in (
        (["model.safetensors"], "nothing is to be written"),
        (["model.safetensors", "--output", "model.pt"], "its suffix names no format"),
        (["model.safetensors", "--output", "none/model.onnx"], "no folder"),
        (["gone.safetensors", "--output", "model.onnx"], "cannot be read"),
        (["wide", "--output", "model.onnx"], "no study"),
    ):
        wrong = program("export", *words)
        assert wrong.returncode == 2
        assert said in wrong.stderr
    assert not (tmp_path / "model.onnx").exists()
