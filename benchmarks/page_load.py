"""Thirty clients who draw while one trains: how long the server takes to answer.

    python benchmarks/page_load.py [--clients 30] [--seconds 20]

Starts `neurona serve` on this machine, and asks `/api/predict` for one image from each client four times a second,
while one more lets a network of 1024 and 512 units learn from a drawing. Prints percentiles of the time from question
to answer. The clients run on the same cores as the server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import neurona
from neurona.model import Model

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from web_server import Server


def ask_on(port: int, body: str, until: float, times: list[float], start: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    next_time = start
    while next_time < until:
        time.sleep(max(0.0, next_time - time.perf_counter()))
        asked = time.perf_counter()
        connection.request("POST", "/api/predict", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}")
        times.append(time.perf_counter() - asked)
        next_time += 0.25
    connection.close()


def train_on(server: Server, until: float, rounds: list[int]) -> None:
    server.ask("/api/drawings", {"pixels": [128] * 784, "label": 1})
    while time.perf_counter() < until:
        status, job = server.ask("/api/tune", {"model": "file-2"})
        if status == 200:
            while server.ask(f"/api/jobs/{job['id']}")[1]["state"] in ("waiting", "running"):
                if time.perf_counter() > until:
                    server.ask(f"/api/jobs/{job['id']}/stop", {}, "POST")
                time.sleep(0.2)
            rounds.append(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    data = neurona.load("mnist")
    body = json.dumps({"images": [data.validation.images[0].reshape(-1).tolist()], "model": "file-1"})
    with tempfile.TemporaryDirectory() as folder:
        for name, hidden in (("small", (50, 50)), ("wide", (1024, 512))):
            run = neurona.train(neurona.Network(hidden=hidden), neurona.Training(epochs=1), data, seed=0)
            Model.of(run, data).save(Path(folder) / f"{name}.safetensors")
        server = Server("--model", "small.safetensors", "--model", "wide.safetensors", folder=Path(folder))
        try:
            server.ask("/api/predict", json.loads(body))
            times: list[float] = []
            rounds: list[int] = []
            begin = time.perf_counter()
            until = begin + options.seconds
            threads = [threading.Thread(target=train_on, args=(server, until, rounds))]
            threads += [
                threading.Thread(
                    target=ask_on, args=(server.port, body, until, times, begin + 0.25 * n / options.clients)
                )
                for n in range(options.clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            server.stop()
    median, slow, slowest = 1000 * np.percentile(times, [50, 99, 100])
    print(f"{options.clients} clients, {len(times)} questions in {options.seconds:.0f} s; trainings: {len(rounds)}")
    print(f"median {median:.1f} ms, 99th percentile {slow:.0f} ms, slowest {slowest:.0f} ms")


if __name__ == "__main__":
    main()
