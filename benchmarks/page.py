"""Validation images opened in the page at random places and sizes, and the time from a stroke to its answer.

    python benchmarks/page.py [--images 500]

Trains the baseline, serves it, and opens each image in a real Chromium as a picture of 400 × 400 pixels on which it
stands anywhere, 100 to 360 pixels large. Prints the accuracy beside that on the plain images, and the milliseconds from
each change to the answer on the screen's next frame. Needs Chromium and its driver.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import neurona
import pen
from chromium import Chromium, binaries
from neurona.model import Model
from test_web_draw import PAINTED, placed
from web_server import Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=500)
    count = parser.parse_args().images
    found = binaries()
    if found is None:
        sys.exit("Chromium and its driver are not installed.")
    data = neurona.load("mnist")
    model = Model.of(neurona.train(neurona.Network(), neurona.Training(), data, seed=0), data)
    images, labels = data.validation.images[:count], data.validation.labels[:count]
    browser = Chromium(*found)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.safetensors")
        server = Server("--model", "model.safetensors", folder=Path(folder))
        try:
            browser.open(server.address + "?lang=en")
            random = np.random.default_rng(0)
            answers: list[str] = []
            for start in range(0, count, 50):
                pictures = [placed(image, random) for image in images[start : start + 50]]
                answers += browser.run(PAINTED, pictures)
            browser.open(server.address + "?lang=en")
            for strokes in pen.DIGITS.values():
                pen.mouse(browser, strokes)
                browser.run("document.getElementById('clear').click()")
            times = browser.ask("performance.getEntriesByName('answer').map(({duration}) => duration)")
        finally:
            server.stop()
            browser.quit()
    in_page = np.mean([answer == data.class_names[label] for answer, label in zip(answers, labels, strict=True)])
    plain = np.mean(model.predict(images) == labels)
    print(f"{count} validation images: {100 * plain:.1f} % right as they are, {100 * in_page:.1f} % in the page")
    median, slow = np.percentile(times, [50, 95])
    print(f"from a stroke to its answer: median {median:.0f} ms, 95th percentile {slow:.0f} ms of {len(times)}")


if __name__ == "__main__":
    main()
