from __future__ import annotations

import base64
import json
import os
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurona
from chromium import Chromium
from conftest import Neurona
from neurona.data import Dataset, Split
from neurona.lab import LabSpec
from neurona.model import Model
from neurona.run import run_id
from neurona.web.attempts import Attempts, picture
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job
from neurona.web.setup import AUGMENTATIONS, LIMITS, Setup, data_name, written
from web_server import Server

QUICK = "hidden=12&batch_size=20&images=200&epochs=4&speed=fast"
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
SETUPS = {
    "start": Setup(images=200, epochs=2),
    "no hidden layer": Setup(hidden=(), images=200, epochs=2, optimizer="sgd", learning_rate=0.1),
    "everything": Setup(
        hidden=(9, 7), activation="tanh", optimizer="momentum", learning_rate=0.03, batch_size=20, dropout=0.15,
        augmentation="all", images=500, epochs=3, seed=4,
    ),
}  # fmt: skip


class Told(Job):
    """A job whose events are looked at, and that is asked to stop after some epochs."""

    def __init__(self, stop_after: int = 10_000) -> None:
        super().__init__("play", "test", lambda job: None)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._stop_after = stop_after

    def _add(self, event: str, values: dict[str, Any], *, keep_last: bool) -> None:
        self.told.append((event, values))
        if event == "epoch" and values["number"] == self._stop_after:
            self.stop()

    def epochs(self) -> list[dict[str, Any]]:
        return [values for event, values in self.told if event == "epoch"]


@pytest.fixture(scope="module")
def attempts(mnist: Dataset) -> Attempts:
    return Attempts(lambda: mnist)


# What is written down is the same run


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_command_python_and_lab_are_the_run_of_the_page(
    setup: Setup, mnist: Dataset, attempts: Attempts, program: Neurona, tmp_path: Path
) -> None:
    job = Told()
    assert attempts.train(job, setup, start=0, until=100, pace=0) == {
        "epochs": setup.epochs, "ended": True, "diverged": False,
    }  # fmt: skip
    shown = {key: [epoch[key] for epoch in job.epochs()[1:]] for key in FIGURES}
    texts = written(setup, mnist)

    words = shlex.split(texts.command)
    assert words.pop(0) == "neurona"
    answer = program(*words, "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["history"] == shown

    names: dict[str, Any] = {}
    exec(texts.python, names)  # noqa: S102 - it is what a reader runs
    assert {key: list(names["run"].history[key]) for key in FIGURES} == shown

    (tmp_path / "attempt.toml").write_text(texts.toml, encoding="utf-8")
    lab = LabSpec.load(tmp_path / "attempt.toml")
    data, experiment = neurona.load(lab.dataset), lab.experiments[-1]
    identity = run_id(experiment.network, experiment.training, data.fingerprint, setup.seed)
    assert (experiment.name, identity) == ("attempt", names["run"].id)
    assert texts.lab == f"neurona lab attempt.toml --seeds {setup.seed + 1}"


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_what_is_written_in_toml_is_what_was_set_up(augmentation: str, mnist: Dataset, tmp_path: Path) -> None:
    setup = Setup(augmentation=augmentation, learning_rate=0.00001, dropout=0.05)
    (tmp_path / "attempt.toml").write_text(written(setup, mnist).toml, encoding="utf-8")
    assert LabSpec.load(tmp_path / "attempt.toml").experiments[-1].id == setup.experiment.id


def test_of_a_path_only_the_last_part_is_shown(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "own digits.npz", images=images, labels=np.arange(300) % 3)
    data = neurona.load(tmp_path / "own digits.npz")
    assert data_name(data, 150) == "own digits.npz[:150]"
    assert data_name(data, len(data.train)) == "own digits.npz"
    shown = written(Setup(images=150), data).model_dump_json()
    assert '"own digits.npz[:150]"' in written(Setup(images=150), data).command
    assert str(tmp_path) not in shown


# Pausing, stepping, going on


def test_who_pauses_and_goes_on_sees_the_run_of_who_does_not(mnist: Dataset) -> None:
    setup = Setup(hidden=(8,), images=200, epochs=5, dropout=0.2)
    whole = Told()
    Attempts(lambda: mnist).train(whole, setup, start=0, until=100, pace=0)
    attempts, seen = Attempts(lambda: mnist), []
    for start, job, until in ((0, Told(stop_after=2), 100), (2, Told(), 3), (3, Told(), 100)):
        result = attempts.train(job, setup, start=start, until=until, pace=0)
        seen += job.epochs()
        assert result["epochs"] == seen[-1]["number"]
    assert result["ended"]
    forgotten = Told()
    Attempts(lambda: mnist).train(forgotten, setup, start=3, until=100, pace=0)  # a server that was started anew
    without = [{key: epoch[key] for key in (*FIGURES, "number", "answers")} for epoch in whole.epochs()]
    assert [{key: epoch[key] for key in without[0]} for epoch in seen] == without
    assert [{key: epoch[key] for key in without[0]} for epoch in forgotten.epochs()] == without[4:]


def test_what_is_told_is_what_the_network_is(mnist: Dataset, attempts: Attempts) -> None:
    setup, job = Setup(hidden=(30,), images=200, epochs=2), Told()
    attempts.train(job, setup, start=0, until=100, pace=0)
    data = neurona.load("mnist[:200]")
    run = neurona.train(setup.experiment.network, setup.experiment.training, data, seed=0)
    probes = attempts.probes()
    assert [probe.label for probe in probes] == list(range(10))
    assert [mnist.validation.labels[probe.index] for probe in probes] == list(range(10))
    images = mnist.validation.images[[probe.index for probe in probes]]
    answers = Model.of(run, data).probabilities(images)
    np.testing.assert_allclose(job.epochs()[-1]["answers"], answers, atol=6e-5)
    weights = [values for event, values in job.told if event == "weights"][-1]
    assert (weights["units"], weights["of"], weights["number"]) == (24, 30, 2)
    pixels = np.frombuffer(base64.b64decode(weights["pixels"]), np.int8).reshape(24, 784) * (weights["scale"] / 127)
    np.testing.assert_allclose(pixels, np.asarray(run.parameters[0]["kernel"])[:, :24].T, atol=weights["scale"] / 250)
    first = job.epochs()[0]
    assert (first["number"], first["loss"]) == (0, None)
    assert first["val_accuracy"] < 0.3


def test_weights_without_a_scale_are_no_picture() -> None:
    for value in (0.0, np.nan, np.inf):
        shown = picture(np.full((4, 3), value, np.float32))
        assert (shown["scale"], set(base64.b64decode(shown["pixels"]))) == (0.0, {0})


def test_a_run_that_diverges_says_so(attempts: Attempts) -> None:
    setup = Setup(hidden=(16, 16, 16), activation="linear", images=200, epochs=9, optimizer="sgd", learning_rate=10.0)
    job = Told()
    result = attempts.train(job, setup, start=0, until=100, pace=0)
    assert (result["ended"], result["diverged"]) == (True, True)
    assert result["epochs"] == job.epochs()[-1]["number"]


# Two attempts over five seeds


def test_five_seeds_bear_out_what_is_far_apart(attempts: Attempts) -> None:
    good = Setup(hidden=(12,), images=200, epochs=4, batch_size=20)
    bad = good.replace(epochs=1, learning_rate=0.0001)
    job = Told()
    found = attempts.compare(job, bad, good)
    assert found is not None
    assert (found["verdict"], found["first"]["n"]) == ("better", 5)
    assert found["sentence"] == "This attempt is better than the previous one: the seeds bear it out."
    runs = [values for event, values in job.told if event == "run"]
    assert [run["seed"] for run in runs] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    apart = np.mean([run["val_accuracy"] for run in runs[1::2]]) - np.mean([run["val_accuracy"] for run in runs[::2]])
    assert found["difference"]["mean"] == pytest.approx(apart)
    assert attempts.compare(Told(), good.replace(seed=3), good)["verdict"] == "same-network"  # type: ignore[index]
    stopped = Told()
    stopped.stop()
    assert attempts.compare(stopped, bad, good) is None


def test_images_that_leave_a_class_out_are_refused(mnist: Dataset) -> None:
    order = np.argsort(mnist.train.labels[:1000], kind="stable")
    train = Split(mnist.train.images[:1000][order].copy(), mnist.train.labels[:1000][order].copy())
    with pytest.raises(Refusal, match="so that each class has one"):
        Attempts(lambda: replace(mnist, train=train)).data(200)


# The server


class Served(Server):
    """`neurona serve` with a small model, asked by several clients."""

    def ask_as(self, client: str, path: str, body: Any = None) -> tuple[int, Any]:
        return self.ask(path, body, **{"x-neurona-client": client})

    def events(self, job: str) -> Any:
        return urllib.request.urlopen(f"{self.address}api/jobs/{job}/events")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    data = neurona.load("mnist[:100]")
    run = neurona.train(neurona.Network(hidden=(4,)), neurona.Training(epochs=1), data, seed=0)
    Model.of(run, data).save(folder / "model.safetensors")
    server = Served("--model", "model.safetensors", folder=folder)
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("setup", "sentence"),
    [
        ({"hidden": [513]}, "hidden.0: must be at most 512. It is 513."),
        ({"hidden": [5] * 7}, "hidden: must have at most 6 items."),
        ({"epochs": 101}, "epochs: must be at most 100."),
        ({"images": 99}, "images: must be at least 100."),
        ({"images": 60_000}, "mnist[:60000]: must keep from 18 images"),
        ({"activation": "rellu"}, "Did you mean relu?"),
        ({"learning_rate": 0}, "learning_rate: must be greater than 0"),
        ({"layers": 3}, "there is no such key."),
        ({"hidden": [512, 512, 512], "images": 50_000, "epochs": 100}, "in the page a training may take 120"),
        ({"hidden": [512], "batch_size": 1, "images": 50_000}, "in the page a training may take 120"),
    ],
)
def test_what_is_too_much_is_refused_with_a_sentence(served: Served, setup: dict[str, Any], sentence: str) -> None:
    for path, body in (("describe", setup), ("train", {"setup": setup}), ("compare", {"first": setup, "second": {}})):
        status, problem = served.ask(f"/api/play/{path}", body)
        assert status == 400
        assert sentence in problem["title"]
        assert "/" not in problem["title"]


def test_what_is_offered_keeps_its_own_bounds(served: Served) -> None:
    status, offered = served.ask("/api/play")
    assert status == 200
    for name in offered["augmentations"]:
        assert served.ask("/api/play/describe", offered["start"] | {"augmentation": name})[0] == 200
    for name, rate in offered["optimizers"].items():
        setup = offered["start"] | {"optimizer": name, "learning_rate": rate, "activation": offered["activations"][-1]}
        status, described = served.ask("/api/play/describe", setup)
        assert (status, described["parameters"], described["steps"]) == (200, 25_450, 40)
    assert offered["limits"] == LIMITS.model_dump()


def test_two_clients_queue_and_both_are_trained(served: Served) -> None:
    long = {"setup": {"hidden": [64], "images": 20_000, "epochs": 60}}
    short = {"setup": {"hidden": [4], "images": 200, "epochs": 2}}
    _status, first = served.ask_as("one", "/api/play/train", long)
    with served.events(first["job"]) as follows:
        assert b"retry" in follows.readline()
        others = [
            served.ask_as(f"other {number}", "/api/play/train", short)[1]["job"]
            for number in range(os.cpu_count() or 1)
        ]
        states = [served.ask(f"/api/jobs/{job}")[1]["state"] for job in others]
        assert "waiting" in states
        assert served.ask_as("one", "/api/play/train", long)[0] == 409
        streams = [served.events(job) for job in others]
        assert served.ask(f"/api/jobs/{first['job']}/stop", {})[0] == 200
        ends = [stream.read().decode() for stream in streams]
    for job, end in zip(others, ends, strict=True):
        assert re.findall(r'"state":"(\w+)"', end) == ["running", "done"]
        assert served.ask(f"/api/jobs/{job}")[1]["result"] == {"epochs": 2, "ended": True, "diverged": False}


# The page


@pytest.fixture
def page(browser: Chromium, served: Served) -> Iterator[Chromium]:
    browser.messages()
    yield browser
    assert browser.messages() == []
    browser.visit("about:blank")


def open_tab(page: Chromium, served: Served, state: str = QUICK, *, lang: str = "en", width: int = 1280) -> None:
    page.open(f"{served.address}?lang={lang}#play?{state}", width=width)
    page.wait("document.querySelector('[data-role=train]:enabled') !== null")


def wait_for(page: Chromium, state: str) -> None:
    page.wait(f"document.querySelector('.playground').dataset.state === '{state}'")


def reached(page: Chromium) -> int:
    return int(page.ask("document.querySelector('.playground').dataset.reached"))


def shown_text(page: Chromium, selector: str) -> str:
    return str(page.ask(f"document.querySelector({json.dumps(selector)}).textContent"))


def figures(page: Chromium) -> list[str]:
    """Return the last line of the table of figures."""
    page.ask("document.querySelector('.figures').open = true")
    page.wait("document.querySelector('.figures tbody tr') !== null")
    return list(
        page.ask("[...document.querySelector('.figures tbody tr:last-child').children].map((c) => c.textContent)")
    )


def test_train_live_to_the_end_and_take_the_command_along(page: Chromium, served: Served, program: Neurona) -> None:
    open_tab(page, served, QUICK + "&dropout=0.1&augmentation=shift&seed=3")
    assert page.ask("document.querySelectorAll('.curve[data-points]').length") == 0
    page.press("[data-role=train]")
    wait_for(page, "ended")
    assert (
        page.ask("[...document.querySelectorAll('.curve[data-points]')].map((c) => c.dataset.points)") == ["4", "5"] * 2
    )
    assert page.ask("document.querySelectorAll('.units canvas').length") == 12
    assert page.ask("document.querySelector('.units').dataset.epoch") == "4"
    assert page.ask("document.querySelectorAll('.probes .right, .probes .wrong').length") == 10
    line = figures(page)
    page.press("[data-kind=command]")
    command = shown_text(page, ".share pre")
    assert command.startswith('neurona train --dataset "mnist[:200]" --hidden 12 ')
    history = json.loads(program(*shlex.split(command)[1:], "--json").stdout)["history"]
    last = {key: values[-1] for key, values in history.items()}
    assert line == [
        "4",
        f"{last['val_accuracy']:.2%}",
        f"{last['val_loss']:.4f}",
        f"{last['accuracy']:.2%}",
        f"{last['loss']:.4f}",
    ]
    assert f"{last['val_accuracy']:.1%}" in shown_text(page, "[data-role=status]")


def test_pause_step_and_go_on_give_the_same_figures(page: Chromium, served: Served) -> None:
    state = QUICK.replace("epochs=4", "epochs=40")
    open_tab(page, served, state)
    page.press("[data-role=train]")
    wait_for(page, "ended")
    without = figures(page)
    open_tab(page, served, state.replace("fast", "watch"))
    page.press("[data-role=step]")
    wait_for(page, "paused")
    assert reached(page) == 1
    page.press("[data-role=train]")
    page.wait("Number(document.querySelector('.playground').dataset.reached) >= 3")
    assert page.ask("document.querySelector('[data-field=epochs]').disabled")
    page.press("[data-role=train]")
    wait_for(page, "paused")
    paused = reached(page)
    assert 3 <= paused < 40
    page.press("[data-role=step]")
    page.wait(f"document.querySelector('.playground').dataset.reached === '{paused + 1}'")
    wait_for(page, "paused")
    page.choose("[data-role=speed]", "fast")
    page.press("[data-role=train]")
    wait_for(page, "ended")
    assert figures(page) == without
    page.press("[data-role=reset]")
    wait_for(page, "ready")
    assert page.ask("document.querySelectorAll('.curve[data-points]').length") == 0


def test_two_attempts_side_by_side_and_over_five_seeds(page: Chromium, served: Served) -> None:
    open_tab(page, served)
    page.press("[data-role=train]")
    wait_for(page, "ended")
    before = figures(page)
    page.choose("[data-field=learning_rate]", "0.0001")
    page.wait("document.querySelector('[data-role=train]:enabled') !== null")
    page.press("[data-role=train]")
    wait_for(page, "ended")
    assert page.ask("document.querySelectorAll('.curve.previous[data-points]').length") == 4
    table = page.ask(
        "[...document.querySelectorAll('.compare tbody tr')].map((row) => [...row.children].map((c) => c.textContent))"
    )
    assert table[0] == ["Learning rate", "0.001", "0.0001"]
    assert table[1] == ["validation accuracy", before[1], figures(page)[1]]
    assert "One seed is no verdict" in shown_text(page, ".compare")
    page.press("[data-role=compare-seeds]")
    page.wait("document.querySelector('.found') !== null")
    assert page.ask("document.querySelector('.found').dataset.verdict") == "worse"
    assert page.ask("document.querySelectorAll('.runs circle').length") == 10
    assert page.violations() == []


def test_a_link_restores_what_was_set_up_and_fixes_what_is_locked(page: Chromium, served: Served) -> None:
    open_tab(page, served, "")
    page.press("[data-role=add-layer]")
    page.type("[data-role=layer-1]", "20")
    page.choose("[data-field=optimizer]", "sgd")
    page.type("[data-field=epochs]", "7")
    page.ask("document.querySelector('.locks input').click()")
    page.press("[data-lock=optimizer]")
    page.press("[data-lock=hidden]")
    page.wait("!document.querySelector('[data-role=train]').disabled")
    link = shown_text(page, ".share pre")
    assert link == page.ask("location.href")
    assert link.endswith("#play?hidden=32-20&optimizer=sgd&learning_rate=0.01&epochs=7&lock=hidden.optimizer")
    page.visit(link)
    page.wait("document.querySelector('[data-role=train]:enabled') !== null")
    assert page.ask("[...document.querySelectorAll('.layer input')].map((input) => input.value)") == ["32", "20"]
    values = {"optimizer": "sgd", "learning_rate": "0.01", "epochs": "7", "activation": "relu"}
    for field, value in values.items():
        assert page.ask(f"document.querySelector('[data-field={field}]').value") == value
    assert page.ask("document.querySelector('[data-field=optimizer]').disabled")
    assert page.ask("[...document.querySelectorAll('.layers :is(input, button)')].every((one) => one.disabled)")
    assert not page.ask("document.querySelector('[data-field=epochs]').disabled")
    shown = page.ask(
        "[...document.querySelectorAll('.fixed')].filter((mark) => !mark.hidden)"
        ".map((mark) => mark.closest('.field').dataset.row)"
    )
    assert shown == ["hidden", "optimizer"]
    assert "set up for you" in shown_text(page, ".play > .notice")
    assert page.violations() == []


@pytest.mark.parametrize("state", ["hidden=9999", "epochs=5000", "activation=%3Cb%3E", "optimizer=nothing"])
def test_an_address_that_asks_too_much_is_refused_beside_the_control(
    page: Chromium, served: Served, state: str
) -> None:
    page.visit(f"{served.address}?lang=en#play?{state}")
    page.wait("[...document.querySelectorAll('.complaint')].some((one) => !one.hidden)")
    assert page.ask("document.querySelector('[data-role=train]').disabled")
    field = state.partition("=")[0]
    complaint = shown_text(page, f"[data-row={field}] .complaint")
    assert "must be at most" in complaint or "there is no" in complaint
    refused = [message for message in page.messages() if "400 (Bad Request)" not in message]
    assert refused == []


@pytest.mark.parametrize(("width", "scheme", "lang"), [(390, "dark", "es"), (1280, "dark", "en"), (390, "light", "en")])
def test_everybody_can_use_it(page: Chromium, served: Served, width: int, scheme: str, lang: str) -> None:
    open_tab(page, served, lang=lang, width=width)
    page.turn(scheme)
    page.press("[data-role=train]")
    wait_for(page, "ended")
    assert page.violations() == []
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert shown_text(page, ".transport [role=status]") == shown_text(page, "[data-role=status]")
    assert (
        shown_text(page, "h1")
        == {"en": "Train a network and watch it learn", "es": "Entrene una red y vea cómo aprende"}[lang]
    )
