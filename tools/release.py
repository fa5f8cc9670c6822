"""Is Neurona ready to be released? Builds wheel and sdist, looks at them, and uses the wheel as somebody would.

    python tools/release.py [--output dist] [--constraints constraints.txt]      (or: make release-check)

1. The sdist is built, a wheel from it, and one from this tree: the two wheels hold the same bytes.
2. The wheel has at most 14 MB, its data, its type marker and the licence texts, and neither tests nor benchmarks.
3. It is installed into an empty environment, with what the package index has, or with the versions of --constraints.
4. Without a network (on Linux in a namespace without one, where that is allowed; else with every proxy closed), the
   installed program tells its version, lists data sets, trains a small lab, writes its report, and serves its page.
5. The same without installing: Python runs the wheel as the zip file it is, in English and Spanish.

What is wrong is printed, and the exit code is 1. The files are left in --output.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).parents[1]
MOST_BYTES = 14_000_000
NEEDED = (
    "neurona/py.typed",
    "neurona/data/mnist.npz",
    "neurona/labs/mnist-dnn.toml",
    "neurona/templates/lab.es.toml",
    "neurona/locale/es/LC_MESSAGES/neurona.mo",
    "neurona/migrations/versions/r0001_first.py",
    "neurona/web/templates/index.html",
    "neurona/report/templates/report.html",
)
LAB = """
lab = { name = "tiny", dataset = "mnist[:500]" }
baseline = { network.hidden = [8], training.epochs = 1 }
[[experiment]]
name = "wide"
network.hidden = [16]
"""
NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
)


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--constraints", type=Path)
    parser.add_argument("--used", nargs=2, metavar=("PYTHON", "WHEEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.used:
        use(Path(options.used[0]), Path(options.used[1]))
        return
    with tempfile.TemporaryDirectory(prefix="neurona-release-") as place:
        wheel = built(options.output, Path(place))
        looked_at(wheel)
        python = installed(wheel, Path(place) / "environment", options.constraints)
        command = [sys.executable, __file__, "--used", str(python), str(wheel)]
        namespace = ["unshare", "--map-root-user", "--net"]
        allowed = shutil.which("unshare") and not subprocess.run([*namespace, "true"], check=False).returncode
        say("without a network" if allowed else "with every proxy closed: no network namespace is allowed here")
        subprocess.run([*(namespace if allowed else []), *command], check=True)
    say("ready")


def say(text: str) -> None:
    """Print what comes."""
    print(text, flush=True)


def need(condition: object, otherwise: str) -> None:
    """End with a sentence unless `condition` holds."""
    if not condition:
        sys.exit(f"✗ {otherwise}")


def built(output: Path, place: Path) -> Path:
    """Build sdist and wheel into `output`, and the wheel of this tree beside: they must be the same."""
    output.mkdir(parents=True, exist_ok=True)
    build = [sys.executable, "-m", "build", "--outdir"]
    log = {"stdout": subprocess.DEVNULL}
    subprocess.run([*build, str(output), str(ROOT)], check=True, **log)  # the sdist, and the wheel out of that
    subprocess.run([*build, str(place / "tree"), "--wheel", str(ROOT)], check=True, **log)
    (beside,) = (place / "tree").glob("*.whl")
    wheel, sdist = output / beside.name, output / (beside.name.split("-py3")[0] + ".tar.gz")
    need(wheel.exists() and sdist.exists(), "the build left no wheel or no sdist.")
    ours, theirs = contents(wheel), contents(beside)
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    need(not different, f"the sdist's wheel is not the tree's: {', '.join(different[:5])}")
    for file in (wheel, sdist):
        say(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")
    return wheel


def contents(wheel: Path) -> dict[str, str]:
    """Return the hash of each file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def looked_at(wheel: Path) -> None:
    """Check size and contents."""
    need(wheel.stat().st_size <= MOST_BYTES, f"{wheel.name} has more than {MOST_BYTES / 1e6:.0f} MB.")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        said = archive.read(metadata).decode()
    for name in NEEDED:
        need(name in names, f"{wheel.name} lacks {name}.")
    licences = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    need({"LICENSE", "NOTICE"} <= licences, f"{wheel.name} lacks a licence text: it has {licences}.")
    strangers = [name for name in names if not re.match(r"neurona(-[^/]*\.dist-info)?/", name)]
    strangers += [name for name in names if re.search(r"/tests?/|/benchmarks?/|\.po$|\.pyc$|/test_", name)]
    need(not strangers, f"{wheel.name} holds what nobody needs: {strangers[:5]}")
    extras = set(re.findall(r"^Provides-Extra: (.*)$", said, re.MULTILINE))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    need(extras == set(declared["optional-dependencies"]), f"{wheel.name} has other extras: {extras}")
    need("License-Expression: Apache-2.0" in said, f"{wheel.name} does not say its licence.")
    say(f"{wheel.name}: {len(names)} files, extras {', '.join(sorted(extras))}")


def installed(wheel: Path, folder: Path, constraints: Path | None) -> Path:
    """Install the wheel into an empty environment and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pinned = ["-c", str(constraints)] if constraints else []
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *pinned, str(wheel)], check=True)
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    return python


def use(python: Path, wheel: Path) -> None:
    """Use the installed program, and the wheel as a zip file, as a newcomer would: in an empty folder, at home."""
    loopback()
    with tempfile.TemporaryDirectory(prefix="neurona-used-") as place:
        home = Path(place)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NEURONA", "JAX"))}
        environment = clean | NO_NETWORK | {"HOME": place, "XDG_CACHE_HOME": place, "NEURONA_LANG": "en"}
        program = [str(python.parent / ("neurona.exe" if os.name == "nt" else "neurona"))]
        used("installed", program, environment, home / "installed")
        zipped = environment | {"PYTHONPATH": str(wheel.resolve())}
        used("as a zip file", [str(python), "-m", "neurona"], zipped, home / "zipped")


def used(name: str, program: list[str], environment: dict[str, str], folder: Path) -> None:
    """Run what a newcomer runs."""
    folder.mkdir()

    def run(*words: str, language: str = "en") -> str:
        its = environment | {"NEURONA_LANG": language}
        done = subprocess.run(
            [*program, *words], cwd=folder, env=its, capture_output=True, text=True, timeout=300, check=False
        )
        need(done.returncode == 0, f"{name}: neurona {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    version = run("--version")
    need(re.fullmatch(r"neurona \d+\.\d+\.\d+\n", version), f"{name}: --version says {version!r}")
    need("Opciones" in run("--help", language="es"), f"{name}: there is no Spanish.")
    sets = {entry["name"] for entry in json.loads(run("data", "list", "--json"))}
    need({"mnist", "fashion-mnist"} <= sets, f"{name}: data list says {sets}")
    (folder / "tiny.toml").write_text(LAB, encoding="utf-8")
    lab = json.loads(run("lab", "tiny.toml", "--seeds", "2", "--json"))
    rows = [(row["name"], row["runs"]["completed"]) for row in lab["experiments"]]
    need(rows == [("baseline", 2), ("wide", 2)], f"{name}: the lab's runs are {rows}")
    report = (folder / lab["report"]).stat().st_size
    run("lab", "--template", "mine.toml")
    run("study", "verify", "neurona-studies/tiny", "--rerun", "1")
    served(name, program, environment, folder)
    say(f"✓ {name}: {version.strip()}, a lab of 4 runs, a report of {report / 1e6:.1f} MB, the page")


def served(name: str, program: list[str], environment: dict[str, str], folder: Path) -> None:
    """Start the server, ask it for its page and a file of that, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*program, "serve", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None  # noqa: S101
            need(any("http://" in line for line in server.stderr), f"{name}: the server ended with {server.poll()}.")
            opener = build_opener(ProxyHandler({}))
            page = opener.open(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
            need("<title>" in page, f"{name}: the server's page is {page[:80]!r}")
            script = re.findall(r'src="([^"]+\.js)"', page)[0]
            size = len(opener.open(f"http://127.0.0.1:{port}/{script.lstrip('/')}", timeout=60).read())
            need(size > 100, f"{name}: the page's script has {size} bytes.")
        finally:
            server.terminate()


def loopback() -> None:
    """Let this machine reach itself, where it may not reach anything: a new network namespace has that switched off."""
    if not sys.platform.startswith("linux"):
        return
    from fcntl import ioctl

    up, set_flags = 0x1, 0x8914  # IFF_UP, SIOCSIFFLAGS of Linux' net/if.h
    with socket.socket() as any_socket:
        try:
            ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))
        except PermissionError:
            return  # it is not a namespace of our own, and is up


if __name__ == "__main__":
    main()
