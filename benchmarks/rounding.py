"""How far rounding takes a run from itself: what `neurona study verify --rerun` allows a run that was made elsewhere.

    python benchmarks/rounding.py [--images 5000] [--seeds 2]

Experiments of two built-in labs are trained with the instruction sets and cores of other machines, each in a process of
its own; then here, and three times more from initial weights that differ by rounding. Printed is, for each figure, by
how many times the distance of those variations the others' runs are away from the nearest: the largest, and how
many are beyond each width. `study/rerun.py` takes WIDTH from it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from neurona.data import load
from neurona.runner import tasks
from neurona.store import Task
from neurona.study import Lab, Study
from neurona.study.rerun import Ended, checks, variations

# Name -> instruction set, cores that the process may use
MACHINES = {"SSE4.2": ("SSE4_2", None), "AVX, one core": ("AVX", 1), "all, one core": (None, 1)}
PARTS = {"mnist-dnn": ["width-1*", "width-2*", "activation", "batch*", "learning-rate"], "mnist-optimizers": []}
WIDTHS = (0.0, 0.5, 1.0, 2.0, 4.0)


def labs(images: int) -> list[Lab]:
    """Return the labs, on the first `images` of MNIST."""
    found = []
    for name, only in PARTS.items():
        lab = Lab.load(name)
        found.append(lab.replace(dataset=f"mnist[:{images}]", experiments=lab.chosen(only), search=None))
    return found


def made_elsewhere(name: str, lab: Lab, seeds: int, folder: Path) -> Study:
    """Return the study of `lab` as the machine called `name` makes it."""
    instructions, cores = MACHINES[name]
    environment = dict(os.environ)
    if instructions:
        environment["XLA_FLAGS"] = f"--xla_cpu_max_isa={instructions}"
    code = (
        "import os, sys, benchmarks_rounding as b\n"
        "from pathlib import Path\n"
        "if sys.argv[5]: os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[:int(sys.argv[5])]))\n"
        "lab = b.labs(int(sys.argv[1]))[int(sys.argv[2])]\n"
        "lab.run(seeds=int(sys.argv[3]), study=sys.argv[4])\n"
    ).replace("benchmarks_rounding", Path(__file__).stem)
    position = list(PARTS).index(lab.name)
    images = lab.dataset.partition(":")[2].rstrip("]")
    words = [images, str(position), str(seeds), str(folder), str(cores or "")]
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), environment.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code, *words], env=environment, check=True)
    return Study.open(folder)


def ended(study: Study, task: Task) -> Ended:
    """Return what `study` has of a task."""
    run = next(run for run in study.store.runs() if run.id == task.id)
    return run.state, run.epochs, study.run_weights(task.id)


def figures(run: Ended) -> list[tuple[float, ...]]:
    """Return the figures of every epoch, without its seconds."""
    return [(epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy) for epoch in run[1]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    widths: dict[str, list[tuple[float, str]]] = defaultdict(list)
    runs = bits = 0
    with tempfile.TemporaryDirectory() as place:
        for lab in labs(options.images):
            data = load(lab.dataset)
            elsewhere = {
                name: made_elsewhere(name, lab, options.seeds, Path(place) / f"{lab.name} {number}")
                for number, name in enumerate(MACHINES)
            }
            here = lab.run(seeds=options.seeds, study=Path(place) / lab.name)
            for task in tasks(lab.experiments, options.seeds, data.fingerprint):
                plain = ended(here, task)
                members = [plain, *variations(task, data)]
                for name, study in elsewhere.items():
                    theirs = ended(study, task)
                    runs += 1
                    bits += figures(theirs) == figures(plain)
                    if theirs[0] != "complete" or plain[0] != "complete":
                        continue
                    worst: dict[str, float] = defaultdict(float)
                    for check in checks(theirs, members, data):
                        figure = check.discrepancy.figure
                        worst[figure] = max(worst[figure], check.width)
                    for figure, width in worst.items():
                        widths[figure].append((width, f"{task.experiment.name}, seed {task.seed}, {name}"))
    print(f"{runs} runs, {bits} of them with the same figures to the last bit\n")
    print(f"{'figure':14}{'largest':>9}" + "".join(f"{f'> {width:g}':>8}" for width in WIDTHS) + "  which")
    for figure, found in widths.items():
        largest, which = max(found)
        beyond = "".join(f"{sum(width > limit for width, _which in found):>8}" for limit in WIDTHS)
        print(f"{figure:14}{largest:>9.2f}{beyond}  {which}")


if __name__ == "__main__":
    main()
