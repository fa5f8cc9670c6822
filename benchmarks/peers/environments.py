"""The peers' virtual environments, one for each requirements file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from peers import HERE, ROOT, Peer

DEFAULT_FOLDER = ROOT / ".bench"


def python_of(folder: Path, environment: str) -> Path:
    scripts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return folder.joinpath(environment, *scripts)


def set_up(folder: Path, peers: Iterable[Peer]) -> None:
    """Make the environments of these peers that are missing, or older than their requirements."""
    for environment in dict.fromkeys(peer.environment for peer in peers):
        requirements = HERE / "requirements" / f"{environment}.txt"
        stamp = folder / environment / "requirements.txt"  # written last: an environment without it is not finished
        if stamp.exists() and stamp.read_text() == requirements.read_text():
            print(f"{environment}: up to date", file=sys.stderr)
            continue
        print(f"{environment}: installing", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / environment)], check=True)
        python = str(python_of(folder, environment))
        # From the root, because the requirements of Neurona's name the repository as ".".
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
            check=True,
            cwd=ROOT,
        )
        stamp.write_text(requirements.read_text())
