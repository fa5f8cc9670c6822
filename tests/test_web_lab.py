"""Labs in the page: followed, paused, resumed and looked at; predicted, then revealed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurona
from chromium import Chromium
from neurona.data import Dataset
from neurona.errors import SpecError
from neurona.study import Comparison, Study
from neurona.web.endpoint import Refusal
from neurona.web.lab import LabRuns, Studies, documents
from neurona.web.lab.exercises import Guesses, exercises, reveal
from neurona.web.lab.runs import LabOrder
from web_server import Server

LAB = """
[lab]
name = "tiny"
dataset = "tiny.npz"
[baseline]
network = { hidden = [16] }
training = { optimizer = { name = "adam", learning_rate = 0.003 }, batch_size = 20, epochs = 20 }
[[experiment]]
name = "wide"
group = "width"
network.hidden = [48]
[[experiment]]
name = "lr-0.00001"
group = "learning-rate"
training.optimizer.learning_rate = 0.00001
"""
GUESSES = {"group": "learning-rate", "guesses": [{"experiment": "lr-0.00001", "direction": "worse", "points": 50}]}


@pytest.fixture(scope="module")
def place(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classroom(mnist, tmp_path_factory.mktemp("classroom"))


def classroom(mnist: Dataset, folder: Path) -> Path:
    """Write a dataset of 1,400 images and the lab `tiny` on it into `folder`; return it."""
    train = mnist.train
    arrays = {"x_train": train.images[:1200], "y_train": train.labels[:1200]}
    np.savez(folder / "tiny.npz", **arrays, x_test=train.images[1200:1400], y_test=train.labels[1200:1400])
    (folder / "tiny.toml").write_text(LAB, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    running = Server("--lab", str(place / "tiny.toml"), folder=place)
    yield running
    code, said = running.stop()
    assert code == 0, said


def shown_cells(browser: Chromium) -> list[list[str]]:
    return browser.ask(
        "[...document.querySelectorAll('.verdicts tbody tr')].map((row) =>"
        "[...row.children].filter((cell) => !cell.matches('.drawn')).map((cell) => cell.textContent))"
    )


def test_a_lab_is_followed_paused_resumed_and_looked_at(browser: Chromium, server: Server, place: Path) -> None:
    browser.messages()
    browser.open(server.address + "#lab")
    assert browser.ask("document.querySelector('.studies').textContent").startswith("No study is here yet")
    browser.run("""
        const select = document.getElementById("start-lab");
        select.value = "tiny";
        select.dispatchEvent(new Event("change"));
        document.getElementById("start-seeds").value = 3;
        document.getElementById("start-run").click();""")
    browser.wait("document.getElementById('lab-pause') !== null")
    browser.run("document.getElementById('lab-pause').click();")
    browser.wait("document.getElementById('lab-resume') !== null")
    study = Study.open(place / "neurona-studies" / "tiny")
    paused = {run.state for run in study.standing()}
    assert "pending" in paused
    assert "running" not in paused
    assert "paused" in browser.ask("document.querySelector('.live .state').textContent")
    browser.run("document.getElementById('lab-resume').click();")
    browser.wait("document.querySelector('.live .state.complete') !== null")
    browser.wait("document.querySelector('.tab.lab').dataset.shown === 'tiny 9.0.0.3'")
    comparison = study.compare()
    assert shown_cells(browser) == [Comparison._cells(row) for row in comparison.rows]
    assert browser.ask("document.querySelectorAll('.chart polyline').length") == 2
    assert browser.ask("document.querySelectorAll('.gallery img').length") > 0
    browser.run("document.getElementById('lab-write-report').click();")
    browser.wait("document.getElementById('lab-open-report') !== null")
    assert browser.violations() == []
    assert browser.messages() == []
    browser.command("Page.navigate", url=browser.ask("document.getElementById('lab-open-report').href"))
    browser.wait("document.documentElement.dataset.drawn === 'all'")
    assert browser.ask("location.origin") == server.address[:-1]
    assert browser.ask("window.origin") == "null"  # a stranger to the server
    assert browser.messages() == []


@pytest.fixture
def answered(mnist: Dataset, tmp_path: Path) -> Iterator[tuple[Server, Study]]:
    """A server beside a study of the lab that is complete, and that study."""
    folder = classroom(mnist, tmp_path)
    study = neurona.Lab.load(folder / "tiny.toml").run(seeds=5, study=folder / "neurona-studies" / "tiny")
    running = Server("--lab", str(folder / "tiny.toml"), folder=folder)
    yield running, study
    code, said = running.stop()
    assert code == 0, said


def test_nothing_of_an_answer_is_there_before_the_guess(browser: Chromium, answered: tuple[Server, Study]) -> None:
    server, study = answered
    browser.messages()
    browser.open(server.address + "#reveal?study=tiny&group=learning-rate")
    browser.wait("document.querySelector('.tab.reveal').dataset.shown === 'tiny learning-rate'")
    assert browser.ask("document.querySelector('.tab.reveal .badge')") is None
    assert browser.violations() == []
    browser.run("document.getElementById('reveal-it').click();")
    browser.wait("document.querySelector('form .notice').hidden === false")
    browser.run("""
        document.querySelector("input[value=worse]").click();
        document.querySelector("input[type=number]").value = 50;
        document.getElementById("reveal-it").click();""")
    browser.wait("document.querySelector('.revealed .badge') !== null")
    row = study.compare()["lr-0.00001"]
    assert row.verdict is not None
    assert row.verdict.word == "worse"
    assert browser.ask("document.querySelector('.revealed .badge').textContent") == "worse"
    assert browser.ask("document.querySelector('.result').textContent").startswith("Right")
    assert "1 of 1 right" in browser.ask("document.querySelector('.tally').textContent")
    assert browser.violations() == []
    browser.open(server.address + "?lang=es#reveal?study=tiny&group=learning-rate")
    browser.wait("document.querySelector('.revealed .badge') !== null")
    assert browser.ask("document.querySelector('.revealed .badge').textContent") == "peor"
    for width, scheme in ((390, "dark"), (390, "light"), (1280, "dark")):
        for tab in ("reveal?study=tiny&group=learning-rate", "lab?study=tiny"):
            browser.open(f"{server.address}#{tab}", width=width, scheme=scheme)
            browser.wait("document.querySelector('.tab:not([hidden])').dataset.shown")
            assert browser.violations() == []
            assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.messages() == []


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/api/studies/..%2f..%2fetc/table", None, {}, 404),
        ("/api/studies/..", None, {}, 404),
        ("/api/studies/nope/report", None, {}, 404),
        ("/api/studies/nope/events", None, {}, 404),
        ("/api/studies/tiny", None, {"host": "evil.example"}, 421),
        ("/api/labs", {"lab": "tiny"}, {"origin": "http://evil.example"}, 403),
        ("/api/labs", {"lab": "../tiny.toml"}, {}, 404),
        ("/api/labs", {"lab": "tiny", "seeds": 1_000}, {}, 400),
        ("/api/labs", {"lab": "tiny", "groups": ["nope"]}, {}, 404),
        ("/api/labs", {"study": "tiny", "lab": "tiny"}, {}, 400),
        ("/api/exercises/nope/reveal", GUESSES, {}, 404),
    ],
)
def test_what_is_refused(
    server: Server, place: Path, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    found, problem = server.ask(path, body, **headers)
    assert found == status
    assert str(place) not in str(problem)


@pytest.fixture
def shelf(small_study: Study) -> Studies:
    assert small_study.folder is not None
    return Studies(small_study.folder.parent)


def test_a_study_is_found_by_its_name_alone(shelf: Studies, small_study: Study) -> None:
    assert shelf.names() == ("small",)
    assert shelf.get("small").compare().rows == small_study.compare().rows
    for name in ("", ".", "..", "../study/small", "small/", "SMALL", "/etc"):
        with pytest.raises(Refusal):
            shelf.get(name)


def test_a_study_that_another_process_fills_is_followed(mnist: Dataset, tmp_path: Path) -> None:
    folder = classroom(mnist, tmp_path)
    shelf = Studies(folder / "neurona-studies")
    words = [sys.executable, "-m", "neurona", "lab", "tiny.toml", "--seeds", "100", "--no-report"]
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as filling:
        assert filling.stderr is not None
        assert any(line.startswith("[2/300]") for line in filling.stderr)
        stands = documents.progress("tiny", shelf.get("tiny"), None)
        assert (stands.state, stands.planned) == ("elsewhere", 300)
        assert {run.epochs for run in stands.running} == {20}
        filling.send_signal(signal.SIGINT)
        filling.communicate(timeout=60)
    assert filling.returncode == 130
    stands = documents.progress("tiny", shelf.get("tiny"), None)
    assert stands.state == "unfinished"
    assert 2 <= stands.done < 300


def test_the_table_is_the_comparison(small_study: Study) -> None:
    table = documents.table(small_study)
    cells = [row for group in table.groups for row in group.rows]
    assert [row.difference for row in cells] == [Comparison._cells(row)[4] for row in small_study.compare().rows]


def test_guesses_are_judged_by_the_verdict(small_study: Study) -> None:
    asked = exercises("small", None, small_study, seeds=5, choices=[])
    assert [each.ready for each in asked.exercises] == [True, True]
    for direction, right in (("better", "wrong"), ("worse", "right"), ("none", "wrong")):
        guess = {"experiment": "slow", "direction": direction, "points": 40.0}
        found = reveal(small_study, Guesses(group="learning-rate", guesses=(guess,)), 1050)
        assert found is not None
        assert found.revealed[0].right == right
    with pytest.raises(SpecError, match="slow"):
        reveal(
            small_study, Guesses(group="learning-rate", guesses=({"experiment": "wide", "direction": "none"},)), None
        )


def test_an_order_is_for_a_lab_that_is_known(shelf: Studies) -> None:
    labs = LabRuns(shelf)
    assert "mnist-dnn" in [lab.name for lab in labs.labs()]
    with pytest.raises(Refusal) as refused:
        labs.start(LabOrder(lab="/etc/passwd"), "somebody")
    assert refused.value.status == 404
    with pytest.raises(Refusal) as refused:
        labs.pause("small")
    assert refused.value.status == 409
    with pytest.raises(Refusal) as refused:
        labs.resume("small", "somebody")
    assert refused.value.status == 409
