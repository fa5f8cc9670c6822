"""Draw every figure of `docs/figures.md`, from a study, into `docs/figures`.

    neurona lab && neurona search --trials 30 && neurona search --trials 30 --objective pareto --name front
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

from neurona import Study, figures, search
from neurona.figures import Figure, Pictures

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import Chromium, binaries

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
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
    found = {one.name: one for result in search.stored(study) for one in result.searched}
    sought, front = found["search"], found["front"]
    first, second = list(search.importances(sought))[:2]
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


def main(place: str) -> None:
    """Draw them all."""
    found = binaries()
    if found is None:
        sys.exit("Chromium and its driver are not installed.")
    browser = Chromium(*found)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in drawings(Study.open(place)):
            page = Path(folder) / f"{name}.html"
            page.write_text(PAGE.format(name=name, body=written(draw())), encoding="utf-8")
            browser.show(page, width=WIDTH, scheme="light", ready="document.readyState === 'complete'")
            browser.run("await document.fonts.ready; await new Promise((done) => setTimeout(done, 400));")
            height = browser.ask("document.body.getBoundingClientRect().height + 24")
            area = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
            image = Image.open(io.BytesIO(browser.captured(area)))
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)
    browser.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
