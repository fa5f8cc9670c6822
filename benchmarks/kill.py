"""Does a study survive? A lab is killed at random moments, again and again, and its table compared with one left alone.

    python benchmarks/kill.py                                        25 times kill -9, SQLite
    python benchmarks/kill.py --kills 100 --only 'width-*' --epochs 2
    python benchmarks/kill.py --postgresql                           a server of its own, and the same
    python benchmarks/kill.py --postgresql --restarts 3              the server is stopped and started meanwhile
    python benchmarks/kill.py --processes 8                          eight processes on one study, none killed
    python benchmarks/kill.py --checkpoint-every 0.2                 runs of many epochs, resumed in the middle

Each kill is SIGKILL at a seeded moment of a process that has the study's work under way; then the same command again.
A study is done over from nothing when it is complete, until there were as many kills as wanted. The tables are the
documents that `neurona lab --json` prints, compared bit for bit without times and places.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
TIMES = ("seconds", "study", "seconds_per_run")


def main() -> None:
    options = arguments()
    moments = random.Random(options.seed)  # noqa: S311 - it must be the same again
    folder = Path(tempfile.mkdtemp(prefix="neurona-kill-"))
    server = private_server() if options.postgresql else None
    try:
        print(f"lab {options.lab}, experiments {', '.join(options.only)}, {options.seeds} seeds, seed {options.seed}")
        began = time.perf_counter()
        whole = table(subprocess.run(command(options, folder / "whole"), capture_output=True, check=True).stdout)
        length = time.perf_counter() - began
        runs = sum(sum(row["runs"].values()) for row in whole["experiments"])
        print(f"left alone: {length:.1f} s for {runs} runs")
        wrong = 0
        if options.processes > 1:
            wrong = together(options, folder, whole, server)
        elif options.restarts:
            wrong = restarted(options, folder, whole, server, length)
        else:
            wrong = killed(options, folder, whole, server, moments, length)
    finally:
        if server is not None:
            server.remove()
        shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", default="mnist-dnn")
    parser.add_argument("--only", nargs="+", default=["width-100", "sigmoid", "relu-tanh", "batch-10000", "lr-*"])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--restarts", type=int, default=0, help="of the PostgreSQL server, during one lab")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--db", help="a database by URL, whose studies kill-… are removed first")
    parser.add_argument("--postgresql", action="store_true", help="start a private PostgreSQL server")
    parser.add_argument("--checkpoint-every", type=float, metavar="SECONDS")
    return parser.parse_args()


def private_server() -> Any:
    sys.path.insert(0, str(TESTS))
    import postgresql

    binaries = postgresql.binaries()
    if binaries is None:
        sys.exit(postgresql.ABSENT)
    return postgresql.Server(binaries)


def command(options: argparse.Namespace, study: Path | str, database: str | None = None) -> list[str]:
    program = "from neurona.cli import main; main()"
    if options.checkpoint_every is not None:
        setting = f"_CHECKPOINT_SECONDS, work._CHECKPOINT_SHARE = {options.checkpoint_every}, 0"
        program = f"from neurona.compute import work; work.{setting}; {program}"
    words = [
        "lab",
        options.lab,
        "--seeds",
        str(options.seeds),
        "--epochs",
        str(options.epochs),
        "--json",
        "--no-report",
    ]
    for pattern in options.only:
        words += ["--only", pattern]
    words += ["--study", str(study)] + (["--db", database] if database else [])
    return [sys.executable, "-c", program, *words]


def table(output: bytes) -> dict[str, Any]:
    """Return the document without times and places."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(part) for key, part in value.items() if key not in TIMES}
        return [stripped(part) for part in value] if isinstance(value, list) else value

    return stripped(json.loads(output))


def database_of(options: argparse.Namespace, server: Any) -> str | None:
    return server.new_database() if server is not None else options.db


def killed(
    options: argparse.Namespace, folder: Path, whole: Any, server: Any, moments: random.Random, length: float
) -> int:
    """Kill until there were enough kills; return how many tables differ."""
    kills = tables = wrong = 0
    while kills < options.kills:
        tables += 1
        database = database_of(options, server)
        study: Path | str = f"kill-{options.seed}-{tables}" if database else folder / f"killed-{tables}"
        here = 0
        while True:
            with subprocess.Popen(
                command(options, study, database), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
            ) as process:
                timer = None
                if kills + here < options.kills:
                    # from the first imports on; few live to the end, which takes `length` from nothing
                    moment = moments.uniform(0.2, length / 2)
                    timer = threading.Timer(moment, process.send_signal, (signal.SIGKILL,))
                    timer.start()
                output, errors = process.communicate()
                if timer is not None:
                    timer.cancel()
            if process.returncode == -signal.SIGKILL:
                here += 1
                continue
            if process.returncode != 0:
                sys.exit(f"failed after {kills + here} kills:\n{errors.decode()}")
            break
        kills += here
        same = table(output) == whole
        wrong += not same
        print(f"table {tables}: {here} kills, {'the same bits' if same else 'OTHER BITS'}", flush=True)
    print(f"{kills} kills, {tables} tables, {tables - wrong} of them bit-identical to the one left alone")
    return wrong


def together(options: argparse.Namespace, folder: Path, whole: Any, server: Any) -> int:
    """Run several processes on one study; return how many things went wrong."""
    database = database_of(options, server)
    words = command(options, "kill-together" if database else folder / "together", database)
    processes = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
        for _process in range(options.processes)
    ]
    outputs = [process.communicate() for process in processes]
    errors = sum(process.returncode != 0 for process in processes)
    for process, (_output, said) in zip(processes, outputs, strict=True):
        if process.returncode != 0:
            print(said.decode())
    other = sum(
        table(output) != whole
        for process, (output, _) in zip(processes, outputs, strict=True)
        if not process.returncode
    )
    ended = sum(line.startswith(b"[") for _output, said in outputs for line in said.splitlines())
    runs = len({run for row in whole["experiments"] for run in [json.dumps(row["differences"])]}) * options.seeds
    print(
        f"{options.processes} processes: {errors} errors, {other} other tables, {ended} runs done of {runs} different"
    )
    return errors + other + (ended != runs)


def restarted(options: argparse.Namespace, folder: Path, whole: Any, server: Any, length: float) -> int:
    """Stop and start the server during one lab; return 1 when its table differs."""
    if server is None:
        sys.exit("--restarts goes with --postgresql")
    with subprocess.Popen(
        command(options, "restarted", server.new_database()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
    ) as process:
        stops = 0
        for _restart in range(options.restarts):
            try:
                process.wait(timeout=max(2.0, length / (options.restarts + 1)))
                break
            except subprocess.TimeoutExpired:
                server.stop()
                time.sleep(1.5)
                server.start()
                stops += 1
        output, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"failed after {stops} restarts:\n{errors.decode()}")
    same = table(output) == whole
    print(f"{stops} restarts of the server: {'the same bits' if same else 'OTHER BITS'}")
    return not same


if __name__ == "__main__":
    main()
