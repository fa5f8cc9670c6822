"""The report as its reader has it: one file, in a real browser, in both languages, of studies of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import neurona
from chromium import Chromium
from neurona import i18n
from neurona.data import Dataset
from neurona.errors import UsageError
from neurona.report import write_report
from neurona.report.sentences import group_sentences, row_sentence
from neurona.run import Epoch, History, Run, run_id
from neurona.search import Search, stored
from neurona.store import Owner, Store, StoredExperiment, Task, sqlite_url
from neurona.study import Finding, FindingWord, Row, Study

LARGEST = 8_000_000  # bytes


@pytest.fixture(autouse=True)
def _back_to_english() -> Iterator[None]:
    yield
    i18n.activate(None)


@pytest.fixture(scope="module")
def written(small_study: Study, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(small_study, tmp_path_factory.mktemp("report") / "report.html", data=small)


class Page(HTMLParser):
    """What of a page the tests ask about: ids, links, text by element, and every address that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._skipping = ""
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attributes)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        for name in ("href", "src", "action", "data", "poster", "srcset"):
            if name in found:
                (self.links if tag == "a" else self.addresses).append(str(found[name]))
        self._skipping = tag if tag in ("script", "style") else self._skipping
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipping:
            self._skipping = ""
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.text += data
            if self._cell:
                self.rows[-1][-1] += data


def read(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


def test_one_file_whose_anchors_lead_somewhere(written: Path) -> None:
    page = read(written)
    assert written.stat().st_size < LARGEST
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert all(address.startswith("data:") for address in page.addresses)
    assert page.text.count("Plotly") <= 1
    for section in (
        "asked",
        "comparison",
        "groups",
        "learning",
        "mistakes",
        "inside",
        "robustness",
        "seal",
        "reproduce",
    ):
        assert section in page.ids


def test_the_table_is_the_studys(written: Path, small_study: Study) -> None:
    rows = {row[0]: row for row in reversed(read(written).rows) if row}  # the first table is the comparison
    for row in small_study.compare().rows:
        shown = rows[row.experiment.name]
        assert row.accuracy_interval is not None
        assert f"{100 * row.accuracy_interval.mean:.2f} ± " in shown[3]
        if row.difference is not None:
            assert shown[4].startswith(f"{100 * row.difference.mean:+.2f}")
    assert rows["wide"][5] == "better"
    assert rows["slow"][5] == "worse"


def test_sentences_have_the_differences_of_the_study(written: Path, small_study: Study) -> None:
    text = read(written).text
    wide = small_study.compare()["wide"].difference
    assert wide is not None
    assert wide.low is not None
    assert wide.high is not None
    assert f"the validation accuracy is {100 * wide.mean:.2f} points higher than with the baseline" in text
    assert f"({100 * wide.low:.2f} to {100 * wide.high:.2f})" in text
    assert "Of 2 experiments beside the baseline 1 is better and 1 is worse." in text


def test_in_spanish(small_study: Study, small: Dataset, tmp_path: Path) -> None:
    i18n.activate("es")
    file = write_report(small_study, tmp_path / "informe.html", data=small)
    text = file.read_text(encoding="utf-8")
    assert '<html lang="es">' in text
    page = read(file)
    assert "De 2 experimentos además de la línea base, 1 es mejor y 1 es peor." in page.text
    for english in ("the baseline", "validation", "accuracy", "images", "seeds"):
        assert english not in page.text.replace("--seeds", ""), english


def test_in_a_browser(written: Path, browser: Chromium) -> None:
    """At a desk and on a phone, light and dark: whole, quiet, and without a fault that axe-core knows."""
    for width in (1280, 390):
        browser.messages(), browser.requested()
        browser.show(written, width=width, scheme="light")
        assert browser.messages() == []
        assert browser.requested() == {written.resolve().as_uri()}
        places = browser.ask("document.querySelectorAll('[data-figure]').length")
        assert places >= 20
        drawn = "[...document.querySelectorAll('[data-figure]')].filter(f => f.querySelector('svg.main-svg')).length"
        assert browser.ask(drawn) == places
        for scheme in ("light", "dark"):
            browser.turn(scheme)
            assert browser.ask("document.documentElement.scrollWidth") <= width
            assert browser.violations() == []
            assert browser.messages() == []


def test_the_colours_follow_the_screen(written: Path, browser: Chromium) -> None:
    browser.show(written, width=1280, scheme="light")
    papers = "[...document.querySelectorAll('[data-figure]')].map(f => f._fullLayout.paper_bgcolor)"
    assert set(browser.ask(papers)) == {"#ffffff"}
    browser.turn("dark")
    browser.wait(f"{papers}.every(colour => colour === '#171a1e')")
    assert browser.ask("getComputedStyle(document.querySelector('figure')).backgroundColor") == "rgb(23, 26, 30)"


def test_the_keyboard_reaches_the_contents_and_the_tables(written: Path, browser: Chromium) -> None:
    browser.show(written, width=1280, scheme="light")
    reached = browser.ask(
        "[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')]"
        ".filter(e => { e.focus(); return document.activeElement === e; }).length"
    )
    page = read(written)
    assert reached >= len(page.links) + page.tags.count("summary")
    assert browser.ask("document.querySelector('a').className") == "skip"


def test_the_image_under_the_pointer_is_shown(written: Path, browser: Chromium) -> None:
    browser.show(written, width=1280, scheme="light")
    place = "[...document.querySelectorAll('[data-figure]')].find(f => f.layout.meta && f.layout.meta.sprite)"
    browser.ask(f"(() => {{ window.place = {place}; place.scrollIntoView({{behavior: 'instant'}}); }})()")
    browser.ask("place.emit('plotly_hover', {points: [{customdata: [35, '0']}], event: {clientX: 50, clientY: 60}})")
    assert browser.ask("document.getElementById('thumbnail').hidden") is False
    columns = browser.ask("place.layout.meta.sprite.columns")
    x, y = browser.ask("document.getElementById('thumbnail').style.backgroundPosition").split()
    assert (x, y) == (f"-{35 % columns * 28 * 3}px", f"-{35 // columns * 28 * 3}px")


# What sentences claim


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("word", ["better", "worse", "no-difference-seen", "too-few-seeds", "same-network"])
def test_a_sentence_claims_what_the_verdict_does(word: FindingWord, language: str, small_study: Study) -> None:
    """Higher and lower are said of a verdict alone, whatever the difference looks like."""
    i18n.activate(language)
    comparison = small_study.compare()
    baseline = comparison.rows[0].experiment
    for row in comparison.rows[1:]:
        assert row.verdict is not None
        told = row_sentence(replace(row, verdict=replace(row.verdict, word=word, seeds_needed=12)), baseline)
        higher, lower = {"en": ("higher", "lower"), "es": ("mayor", "menor")}[language]
        assert (higher in told) == (word == "better")
        assert (lower in told) == (word == "worse")
        assert ("12" in told) == (word == "too-few-seeds")


def test_what_an_experiment_is_called_where_it_is_compared(small_study: Study) -> None:
    """By what differs from the baseline, where that is one thing."""
    wide = small_study.compare()["wide"]
    two = neurona.Experiment(name="baseline", network=neurona.Network(hidden=(50, 50)))

    def told(differences: dict[str, object], **changes: object) -> str:
        experiment = wide.experiment.replace(**changes)
        return row_sentence(replace(wide, experiment=experiment, differences=differences), two)

    network = neurona.Network(hidden=(200, 200))
    assert "With 200 units a layer" in told({"hidden": (200, 200)}, network=network)
    assert "than with 50 (" in told({"hidden": (200, 200)}, network=network)
    deep = neurona.Network(hidden=(500, 500, 500))
    assert "With 3 hidden layers of 500 units" in told({"hidden": deep.hidden}, network=deep)
    assert "than with 2 of 50 (" in told({"hidden": deep.hidden}, network=deep)
    one = neurona.Training(batch_size=1)
    assert "With a batch size of 1 the" in told({"batch_size": 1}, training=one)
    assert "than with 100 (" in told({"batch_size": 1}, training=one)
    assert "With a learning rate of 0.02" in told({"learning_rate": 0.02})
    assert "With wide (dropout=0.5)" in told({"dropout": 0.5})
    assert "than with the baseline (" in told({"dropout": 0.5})


def test_a_group_in_two_sentences(small_study: Study) -> None:
    """One about what stands out, one that names all others by their verdicts."""
    comparison = small_study.compare()
    baseline, wide = comparison.rows[0].experiment, comparison["wide"]

    def row(name: str, word: FindingWord) -> Row:
        finding = Finding(word, None, None, None)
        return replace(wide, experiment=wide.experiment.replace(name=name), verdict=finding)

    rows = [row("a", "better"), row("b", "too-few-seeds"), row("c", "better"), row("d", "worse")]
    told = group_sentences(rows, baseline)
    assert told.startswith("With a (")
    assert told.endswith(" Also better than the baseline: c; worse than the baseline: d; too few seeds to say: b.")
    assert group_sentences([], baseline) == ""


# Studies of every kind


@pytest.fixture
def own_data(tmp_path: Path) -> Dataset:
    """Images of 8×8 pixels in two classes whose names are markup."""
    generator = np.random.default_rng(0)
    labels = np.arange(210) % 2
    images = generator.integers(0, 60, (210, 8, 8), np.uint8)
    images[labels == 1, 2:6, 3:5] = 250
    names = np.array(["<script>alert(1)</script>", "a & b"])
    np.savez(tmp_path / "own.npz", images=images, labels=names[labels])
    return neurona.load(tmp_path / "own.npz")


def lab_on(dataset: str, hidden: tuple[int, ...] = (6,)) -> neurona.Lab:
    def experiment(name: str, units: tuple[int, ...]) -> neurona.Experiment:
        return neurona.Experiment(
            name=name,
            group="baseline" if name == "baseline" else "width",
            network=neurona.Network(hidden=units),
            training=neurona.Training(epochs=2, batch_size=20),
        )

    return neurona.Lab(
        name="own", dataset=dataset, experiments=(experiment("baseline", hidden), experiment("none", ()))
    )


@pytest.mark.parametrize("seeds", [1, 2])
def test_small_images_few_seeds_and_names_that_are_markup(
    seeds: int, own_data: Dataset, tmp_path: Path, browser: Chromium
) -> None:
    study = lab_on(str(tmp_path / "own.npz")).run(seeds=seeds, data=own_data, study=tmp_path / "study")
    file = write_report(study, tmp_path / "report.html")
    text = file.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    page = read(file)
    assert page.tags.count("script") == 3
    assert "<script>alert(1)</script> → " in page.text
    assert "too few seeds" in page.text
    browser.messages()
    browser.show(file, width=390, scheme="dark")
    assert browser.messages() == []
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    assert browser.violations() == []


def test_a_study_without_a_run(own_data: Dataset, tmp_path: Path) -> None:
    study = lab_on(str(tmp_path / "own.npz")).open_study(own_data, study=tmp_path / "study")
    page = read(write_report(study, tmp_path / "report.html"))
    assert "mistakes" not in page.ids
    assert "sealed" in page.text
    assert {"asked", "comparison", "seal", "reproduce"} <= set(page.ids)


def test_a_study_while_it_runs_with_a_run_that_failed(own_data: Dataset, tmp_path: Path) -> None:
    lab = lab_on(str(tmp_path / "own.npz"))
    study = lab.run(seeds=2, only=["baseline"], data=own_data, study=tmp_path / "study")
    store = Store.open(sqlite_url(tmp_path / "study"), study="study")
    spec = lab.experiments[1]
    task, later = (Task(run_id(spec.network, spec.training, own_data.fingerprint, seed), spec, seed) for seed in (0, 1))
    store.plan((task, later))
    assert store.claim(task, Owner.this_process())
    store.fail(task, "out of luck")
    page = read(write_report(study, tmp_path / "report.html"))
    assert "The study is not finished: 1 run is still to be done." in page.text
    assert "1 run failed and is not counted" in page.text
    assert "1 failed, 1 to be done" in page.text


def finished(spec: neurona.Experiment, seed: int, fingerprint: str, *, diverged: bool) -> Run:
    sizes = (4, *spec.network.hidden, 2)
    parameters = tuple(
        {"kernel": np.full((inputs, units), 0.1, np.float32), "bias": np.zeros(units, np.float32)}
        for inputs, units in pairwise(sizes)
    )
    accuracy = 0.9 + 0.001 * ((seed * 7) % 11) + 0.01 * (spec.network.hidden[0] % 3)
    last = Epoch(np.nan, 0.5, np.nan, 0.5, 0.1) if diverged else Epoch(0.2, accuracy, 0.2, accuracy, 0.1)
    state = "diverged" if diverged else "complete"
    return Run(spec.network, spec.training, seed, fingerprint, state, History((last,)), parameters)


Made = Callable[[int, int, Callable[[int, int], bool]], Study]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A study of made-up runs on data that are not there: experiments, seeds, and which of them diverged."""

    def make(experiments: int, seeds: int, diverged: Callable[[int, int], bool]) -> Study:
        specs = [
            neurona.Experiment(
                name="baseline" if number == 0 else f"e{number}",
                group="baseline" if number == 0 else f"group {number % 4}",
                network=neurona.Network(hidden=(number + 3,)),
                training=neurona.Training(epochs=1),
            )
            for number in range(experiments)
        ]
        url = sqlite_url(tmp_path / "made")
        store = Store.open(url, study="study", lab="made", dataset=str(tmp_path / "gone.npz"), fingerprint="f" * 64)
        store.declare([StoredExperiment(spec, 10) for spec in specs])
        owner = Owner.this_process()
        for number, spec in enumerate(specs):
            for seed in range(seeds):
                task = Task(run_id(spec.network, spec.training, "f" * 64, seed), spec, seed)
                assert store.claim(task, owner)
                store.finish(finished(spec, seed, "f" * 64, diverged=diverged(number, seed)))
        return Study(store)

    return make


def test_runs_that_diverged_and_data_that_are_gone(made: Made, tmp_path: Path) -> None:
    study = made(3, 3, lambda number, seed: number == 1 or (number, seed) == (2, 0))
    page = read(write_report(study, tmp_path / "report.html"))
    assert "5 complete, 4 diverged" in page.text
    assert "(3 diverged)" in page.text
    assert "A run that diverged counts as a network that guesses." in page.text
    assert "need the images, which are not here" in page.text
    assert "gone.npz" in page.text


def test_a_baseline_that_diverged_everywhere(made: Made, tmp_path: Path) -> None:
    study = made(2, 3, lambda number, _seed: number == 0)
    page = read(write_report(study, tmp_path / "report.html"))
    assert "3 complete, 3 diverged" in page.text


def test_two_engines_are_told_apart(made: Made, tmp_path: Path) -> None:
    study = made(2, 3, lambda _number, _seed: False)
    store = Store.open(sqlite_url(tmp_path / "made"), study="study")
    specs = [stored.experiment for stored in store.experiments()]
    twin = specs[1].replace(name="e1@keras", engine="keras")
    store.declare([StoredExperiment(spec, 10) for spec in (*specs, twin)])
    for seed in range(3):
        identity = run_id(twin.network, twin.training, "f" * 64, seed, engine="keras")
        assert store.claim(Task(identity, twin, seed), Owner.this_process())
        store.finish(replace(finished(twin, seed, "f" * 64, diverged=False), engine="keras"))
    page = read(write_report(study, tmp_path / "report.html"))
    (pair,) = study.compare_engines()
    assert "engines" in page.ids
    assert pair.sentence() in page.text


def test_five_hundred_runs(made: Made, tmp_path: Path, browser: Chromium) -> None:
    study = made(100, 5, lambda _number, _seed: False)
    file = write_report(study, tmp_path / "report.html")
    assert file.stat().st_size < LARGEST
    page = read(file)
    assert "500 complete" in page.text
    assert sum(bool(re.fullmatch(r"e\d+", row[0])) and len(row) > 5 for row in page.rows if row) == 99
    browser.messages()
    browser.show(file, width=390, scheme="light")
    assert browser.messages() == []
    assert browser.ask("document.documentElement.scrollWidth") <= 390


def test_openings_are_reported_and_mark_what_came_after(
    small_lab: neurona.Lab, small: Dataset, mnist: Dataset, tmp_path: Path
) -> None:
    lab = small_lab.replace(experiments=small_lab.experiments[:2])
    study = lab.run(seeds=2, only=["baseline"], data=small, study=tmp_path / "study")
    opened = study.open_seal("baseline", "<b>final</b>", data=mnist)
    lab.run(seeds=2, data=small, study=tmp_path / "study")
    file = write_report(study, tmp_path / "report.html", data=small)
    page = read(file)
    assert "<b>final</b>" in page.text
    assert "&lt;b&gt;final&lt;/b&gt;" in file.read_text(encoding="utf-8")
    assert "opened 1 time" in page.text
    assert "Trained after an opening, and marked with a star above: wide." in page.text
    assert "wide*" in page.text
    assert f"{100 * opened.experiments[0].accuracy.mean:.2f} ± " in page.text


def test_of_another_experiment_and_of_one_that_is_not_there(small_study: Study, small: Dataset, tmp_path: Path) -> None:
    page = read(write_report(small_study, tmp_path / "a.html", experiment="slow", data=small))
    assert "Confusion matrix of slow, seed 0" in page.text
    with pytest.raises(UsageError, match=r"no experiment 'sloww'.*slow"):
        write_report(small_study, tmp_path / "b.html", experiment="sloww", data=small)
    with pytest.raises(UsageError, match="no folder"):
        write_report(small_study, tmp_path / "none" / "b.html", data=small)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html"]


def test_data_that_changed_are_not_shown(
    small_study: Study, small_lab: neurona.Lab, small: Dataset, tmp_path: Path
) -> None:
    other = replace(small, fingerprint="0" * 64)
    study = small_lab.run(seeds=1, only=["baseline"], data=other, study=tmp_path / "study")
    page = read(write_report(study, tmp_path / "report.html"))
    assert "its fingerprint is" in page.text
    assert "robustness" not in page.ids


def test_a_search_is_reported(small_lab: neurona.Lab, small: Dataset, tmp_path: Path, browser: Chromium) -> None:
    space = {
        "training.optimizer.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
        "network.activation": {"choices": ["relu", "tanh"]},
    }
    search = Search(small_lab, space=space, epochs=1, sampler="random", pruner="none")
    result = search.run(trials=12, finalists=1, seeds=2, data=small, study=tmp_path / "study")
    (again,) = stored(neurona.Study.open(tmp_path / "study"))
    assert again.to_json() == result.to_json()
    file = write_report(result.study, tmp_path / "report.html", data=small)
    page = read(file)
    assert "search" in page.ids
    for said in (*result.summary(), *result.notes(), *result.explanations["search"].sentences()):
        assert said.replace(" %", "\u00a0%") in page.text
    assert list(result.cells()[-1]) in page.rows
    browser.messages()
    browser.show(file, width=390, scheme="light")
    assert browser.messages() == []
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    assert browser.violations() == []


# The command


LAB = """
[lab]
name = "own"
dataset = "own.npz"
[baseline]
network = { hidden = [6] }
training = { epochs = 1 }
[[experiment]]
name = "wider"
group = "width"
network.hidden = [12]
"""


def test_the_command_and_what_the_lab_leaves(program, own_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB)
    done = program("lab", "lab.toml", "--seeds", "1")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "neurona-studies" / "own" / "report.html"
    assert "The report is in neurona-studies/own/report.html." in done.stdout
    assert "Report on own" in read(file).text
    file.unlink()
    again = program("lab", "lab.toml", "--seeds", "1", "--no-report", "--json")
    assert json.loads(again.stdout)["report"] is None
    assert not file.exists()
    made = program("report", "--json", "--experiment", "baseline", "--output", "mine.html", "--lang", "es")
    document = json.loads(made.stdout)
    assert document["report"] == "mine.html"
    assert document["bytes"] == (tmp_path / "mine.html").stat().st_size
    assert "Informe de own" in read(tmp_path / "mine.html").text
    wrong = program("report", "--experiment", "widder")
    assert wrong.returncode == 2
    assert "Did you mean wider?" in wrong.stderr


def test_a_report_that_fails_does_not_fail_the_lab(program, own_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB)
    (tmp_path / "neurona-studies" / "own" / "report.html").mkdir(parents=True)
    done = program("lab", "lab.toml", "--seeds", "1")
    assert done.returncode == 0
    assert "wider" in done.stdout
    assert "The report could not be written: " in done.stderr


def test_the_checks_in_the_browser_find_faults(browser: Chromium, tmp_path: Path) -> None:
    """They see a request, a message and a missing text, in a page that has all three."""
    file = tmp_path / "wrong.html"
    script = "document.documentElement.dataset.drawn = 'all'; console.error('wrong')"
    file.write_text(f"<!doctype html><title>x</title><img src='http://127.0.0.1:9/x.png'><script>{script}</script>")
    browser.messages(), browser.requested()
    browser.show(file, width=390, scheme="light")
    assert "http://127.0.0.1:9/x.png" in browser.requested()
    assert any("wrong" in message for message in browser.messages())
    assert any(fault.startswith("image-alt (critical)") for fault in browser.violations())
