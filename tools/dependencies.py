"""Are the bounds of the dependencies true? The tests with the lowest versions that they allow, or the newest.

    python tools/dependencies.py lowest                 or: make lowest
    python tools/dependencies.py newest                 or: make newest
    python tools/dependencies.py lowest --tests tests   every test, instead of those that tell most in a few minutes

uv (extra `release`) resolves: `lowest` takes the lowest allowed version of each direct dependency, extras included, and
what goes with those. The environment is made anew in .bench/, and what is in it is printed. The exit code is pytest's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
# Each leans on another library: JAX and NumPy, Keras, SQLAlchemy and Alembic, Optuna, Plotly, SciPy, pydantic, Typer,
# Rich, Starlette and uvicorn, safetensors, ONNX, pandas, MLflow and TensorBoard, Pillow, pooch.
TELLING = [
    *("specs", "lab", "schema", "lab_file", "space", "data", "data_download", "pictures", "engine", "optimizers"),
    *("keras_models", "store", "migrations", "study", "cli_study", "rerun", "stats", "search", "figures", "report"),
    *("export", "tracking", "cli", "interface", "web", "i18n", "remote"),
]


def main() -> None:
    """Make the environment and run the tests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", choices=RESOLUTIONS)
    parser.add_argument("--tests", nargs="*", default=[f"tests/test_{name}.py" for name in TELLING])
    options = parser.parse_args()
    uv = uvs_program()
    folder = ROOT / ".bench" / options.which
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = os.environ | {"VIRTUAL_ENV": str(folder / "environment")} | index()
    environment.pop("PYTHONPATH", None)
    pinned = folder / "requirements.txt"
    resolve = ["pip", "compile", "--quiet", "--resolution", RESOLUTIONS[options.which], "--extra", "test"]
    for words in (
        [*resolve, "--python", sys.executable, "-o", str(pinned), "pyproject.toml"],
        ["venv", "--quiet", "--python", sys.executable, str(folder / "environment")],
        ["pip", "install", "--quiet", "-r", str(pinned)],
        ["pip", "install", "--quiet", "--no-deps", "-e", str(ROOT)],
    ):
        subprocess.run([uv, *words], cwd=ROOT, env=environment, check=True)
    print(*(line for line in pinned.read_text(encoding="utf-8").splitlines() if "==" in line), sep="\n", flush=True)
    python = folder / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")  # another JAX's programs are of no use
    pytest = [str(python), "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", *options.tests]
    sys.exit(subprocess.run(pytest, cwd=ROOT, env=environment, check=False).returncode)


def uvs_program() -> str:
    """Return uv's program, which is not in the PATH of an environment that is not activated."""
    try:
        from uv import find_uv_bin
    except ImportError:
        sys.exit("This needs uv: pip install -e '.[release]'")
    return find_uv_bin()


def index() -> dict[str, str]:
    """Return where pip looks for packages, for uv, which does not ask pip's settings."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"UV_DEFAULT_INDEX": found} if found and "UV_DEFAULT_INDEX" not in os.environ else {}


if __name__ == "__main__":
    main()
