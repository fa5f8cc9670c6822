"""Make the pictures of the docs anew from a study: every figure of `docs/figures.md`, the report and the page.

    neurona lab && neurona search --trials 30 && neurona search --trials 30 --objective pareto --name front
    neurona best --minutes 10
    python tools/gallery.py neurona-studies/mnist-dnn

Needs Chromium and its driver. A figure is drawn as it shows itself in Jupyter, 760 points wide.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from neurona import Study, figures, load, search, write_report
from neurona.champion.recipes import training
from neurona.figures import Figure, Pictures

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import pen
from chromium import Chromium, binaries
from web_server import Server

DOCS = Path(__file__).parents[1] / "docs"
WIDTH = 760
COLOURS = 64  # of a picture's palette
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body {{ margin: 12px; font: 14px system-ui, sans-serif; color: #1d2330; background: #fff }}</style>
<body>{body}</body></html>"""


def drawings(study: Study) -> Iterator[tuple[str, Callable[[], Figure | Pictures]]]:
    """Yield the name of each figure, and what draws it."""
    for name in (
        "differences",
        "cost",
        "gap",
        "confusion_matrix",
        "classes",
        "hardest_images",
        "missed_by_all",
        "reliability",
        "first_layer",
        "exciting_images",
        "activation_histograms",
        "norm_curves",
        "layer_norms",
        "embedding",
        "saliency",
        "path_between_seeds",
    ):
        yield name, lambda name=name: getattr(figures, name)(study)  # type: ignore[misc]
    yield "seeds", lambda: figures.seeds(study, "width")
    yield "learning_curves", lambda: figures.learning_curves(study, "learning-rate", key="val_loss")
    yield "robustness_curve", lambda: figures.robustness_curve(study, "shift")
    yield "run_curves", lambda: figures.run_curves(study.runs("baseline")[0])
    recipe = training("augmented", (28, 28), epochs=1).augmentation
    yield "augmented_images", lambda: figures.augmented_images(recipe, load("mnist"))
    found = {one.name: one for result in search.stored(study) for one in result.searched}
    sought, front = found["search"], found["front"]
    first, second = (key for key, _part in figures.search_importances.numbers(sought).parts[:2])
    yield "search_history", lambda: figures.search_history(sought)
    yield "search_importances", lambda: figures.search_importances(sought)
    yield "search_slice", lambda: figures.search_slice(sought, first)
    yield "search_contour", lambda: figures.search_contour(sought, first, second)
    yield "search_parallel", lambda: figures.search_parallel(sought)
    yield "search_front", lambda: figures.search_front(front)


def written(figure: Figure | Pictures) -> str:
    """Return a figure as HTML, with all that it needs."""
    if isinstance(figure, Figure):
        plot = figure.plot.update_layout(width=WIDTH - 24)
        return str(plot.to_html(full_html=False, include_plotlyjs=True, config={"displayModeBar": False}))
    return figure._repr_html_()


def draw_figures(study: Study, browser: Chromium) -> None:
    """Draw the figures into `docs/figures`."""
    folder = DOCS / "figures"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as pages:
        for name, draw in drawings(study):
            page = Path(pages) / f"{name}.html"
            page.write_text(PAGE.format(name=name, body=written(draw())), encoding="utf-8")
            browser.show(page, width=WIDTH, scheme="light", ready="document.readyState === 'complete'")
            browser.run("await document.fonts.ready; await new Promise((done) => setTimeout(done, 400));")
            height = browser.ask("document.body.getBoundingClientRect().height + 24")
            keep(browser, folder / f"{name}.png", WIDTH, height)


def draw_report(study: Study, browser: Chromium) -> None:
    """Draw the first screen of the study's report."""
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(study, Path(folder) / "report.html")
        browser.show(page, width=1280, scheme="light")
        keep(browser, DOCS / "report.png", 1280, 900)


def draw_page(place: Path, browser: Chromium) -> None:
    """Draw the tabs of the page: a 7, a network that learns, an exercise revealed."""
    champions = sorted(place.glob("champion*.safetensors"))[:1]
    with tempfile.TemporaryDirectory() as folder:
        models = [word for file in champions for word in ("--model", str(file.resolve()))]
        server = Server(*models, "--study", str(place.resolve()), folder=Path(folder))
        try:
            browser.open(server.address + "?lang=en")
            browser.wait("document.querySelectorAll('.gallery img, .gallery canvas').length > 0")
            pen.mouse(browser, pen.DIGITS["7"])
            browser.wait("document.getElementById('inside-said').textContent !== ''")
            browser.run("scrollTo(0, 0); await new Promise((done) => setTimeout(done, 600));")
            keep(browser, DOCS / "page.png", 1280, 960)
            top = browser.ask("document.getElementById('inside-title').getBoundingClientRect().top + scrollY - 16")
            keep(browser, DOCS / "inside.png", 1280, 760, top=top)
            browser.open(server.address + "?lang=en#play")
            for rate in (0.03, 0.003):  # two attempts, one beside the other
                browser.run(
                    "await new Promise((done) => { addEventListener('hashchange', () => setTimeout(done, 500)); "
                    "location.hash = given; });",
                    f"#play?hidden=24&images=5000&speed=fast&learning_rate={rate}",
                )
                browser.run("document.querySelector('[data-role=train]').click();")
                browser.wait("document.querySelector('.playground').dataset.state !== 'ready'")
                browser.wait("document.querySelector('.playground').dataset.state === 'ended'")
            keep(browser, DOCS / "play.png", 1280, 1260)
            browser.open(server.address + "?lang=en#reveal?study=mnist-dnn&group=learning-rate")
            browser.wait("document.querySelectorAll('fieldset.guess').length === 2")
            for name, guess, points in (("lr-0.0001", "worse", "2"), ("lr-0.02", "better", "0.5")):
                browser.run(f"document.querySelector('[data-name=\"{name}\"] [value={guess}]').click();")
                browser.type(f"[id='points-{name}']", points)
            browser.run("document.getElementById('reveal-it').click();")
            browser.wait("document.querySelectorAll('.revealed .plot svg').length === 2")
            keep(browser, DOCS / "lab-page.png", 1180, 1450)
        finally:
            server.stop()


def keep(browser: Chromium, path: Path, width: float, height: float, *, top: float = 0) -> None:
    """Write what the browser shows there as a PNG of few colours."""
    area = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
    image = Image.open(io.BytesIO(browser.captured(area))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main(place: str) -> None:
    """Draw them all."""
    found = binaries()
    if found is None:
        sys.exit("Chromium and its driver are not installed.")
    browser = Chromium(*found)
    study = Study.open(place)
    draw_page(Path(place), browser)
    draw_report(study, browser)
    draw_figures(study, browser)
    browser.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
