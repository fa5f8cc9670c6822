"""How large an exported page is, and how long its network takes to answer: `python benchmarks/exported_page.py`.

The network is 784-1024-1024-10 with weights as they are drawn, which cost what trained ones do. The browser's engine is
node's, which must be installed; the image is a digit's: a fifth of its pixels are not black. Medians of 200.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import neurona
from neurona import drawing
from neurona.exports import page
from neurona.model import Model
from neurona.network import init

_SCRIPT = """
import {{ readFileSync }} from "node:fs";
import {{ Network }} from "./network.mjs";
const bytes = readFileSync("weights");
const network = Network.fromBuffer({description}, Uint8Array.from(bytes).buffer);
const image = Uint8Array.from({{ length: 784 }}, (_, index) => (index % 5 === 0 ? 200 : 0));
const median = (act) => {{
  const times = Array.from({{ length: 250 }}, () => {{
    const start = performance.now();
    act();
    return performance.now() - start;
  }}).slice(50).sort((a, b) => a - b);
  return times[times.length / 2].toFixed(1);
}};
const answer = median(() => network.probabilities(image)), why = median(() => network.saliency(image, 3));
console.log(process.version, answer, why);
"""


def main() -> None:
    """Measure and print."""
    network = neurona.Network(hidden=(1024, 1024))
    parameters = init(network, pixels=784, classes=10, seed=np.random.SeedSequence(0))
    model = Model(network, (parameters,), (28, 28), tuple("0123456789"))
    size = len(page(model)) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network.mjs").write_text(drawing.source("network.js"), encoding="utf-8")
        (folder / "weights").write_bytes(drawing.weights(model))
        script = _SCRIPT.format(description=json.dumps(drawing.description(model)))
        (folder / "measure.mjs").write_text(script, encoding="utf-8")
        done = subprocess.run(["node", "measure.mjs"], cwd=folder, capture_output=True, text=True, check=True)
    version, answer, why = done.stdout.split()
    print(f"node {version}: 784-1024-1024-10, {model.parameters:,} weights, a page of {size:.1f} MB")
    print(f"  probabilities: {answer} ms, saliency: {why} ms")


if __name__ == "__main__":
    main()
