"""Every command and every piece of Python in the documentation is run, as it stands there, but small.

Small is said in one place each: `SIZES` and `MORE` for what a command or a line of Python asks for, `_small_set` for
the data, and `_small_lab` for the networks and epochs of a lab. `NOT_RUN` lists what is not run, and why;
`test_docs.py` parses it all the same, and holds the code of a Spanish page to that of the English one, which is run
here.
"""

from __future__ import annotations

import re
import shlex
import shutil
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import neurona
from documentation import PAGES, ROOT, TRANSLATED, Block, blocks, commands
from neurona import cli, files
from neurona import lab as labs
from neurona.data import Split, source
from neurona.data.catalogue import CATALOGUE

# What a command or a line of Python asks for -> how much of it is done here.
SIZES = (
    (r"--seeds \d+", "--seeds 2"),
    (r"--trials \d+", "--trials 2"),
    (r"--minutes \d+", "--trials 2"),
    (r"--members \d+", "--members 2"),
    (r"--epochs \d+", "--epochs 1"),
    (r"--hidden [\d,]+", "--hidden 8,8"),
    (r"--distill 1x\d+", "--distill 1x8"),
    (r"--db postgresql\S+", "--db sqlite:///labs.db"),
    (r"\bseeds=\d+", "seeds=2"),
    (r"\bminutes=\d+", "trials=2"),
    (r"\bepochs=\d+", "epochs=1"),
)
# A command -> what it is told besides: no report but where the report is the matter, and the answer to what it asks.
# `neurona best` chooses what it trains by the time that it has; here it is told.
_TRAINS = r"lab(?!.*--(?:template|check|schema))"
MORE = (
    (rf"{_TRAINS}(?! my-first\.toml$)", " --no-report"),
    (r"search(?!.*--explain)", " --finalists 1"),
    (r"search(?!.*(--explain|--seeds))", " --seeds 2"),
    (r"best", " --epochs 2 --hidden 16"),
    (r"test |study rm ", " --yes"),
)

NOT_RUN = {
    r"serve": "does not end; test_web.py opens the page",
    r"lab --engine keras .*|train --engine keras .*": "Keras takes seconds to load; test_keras_engine.py runs it",
    r"export .*\.keras": "likewise; test_export.py",
    r"study export .* --mlflow .*": "MLflow takes seconds to load; test_tracking.py runs it",
    r"best .*(--no-augment|--distill).*": "compiles for long; test_champion.py trains both",
    r"\w+ .*--on (auto|ray).*": "starts a cluster; test_cluster.py does",
    r"search mnist-optimizers .*": "thirteen searches; test_search_finals.py runs a race",
}


def _is_left_out(command: str) -> bool:
    return any(re.match(pattern, command) for pattern in NOT_RUN)


# Page -> what its Python takes for granted, which the text around it says.
GIVEN = {
    "seal": "study = neurona.Study.open('neurona-studies/mnist-dnn')",
    "figures": (
        "from neurona import figures\n"
        "run = neurona.train(neurona.Network(hidden=(8,)), neurona.Training(epochs=1), neurona.load('mnist'), seed=0)"
    ),
    "keras": (
        "import keras\n"
        "run = neurona.train(neurona.Network(hidden=(8,)), neurona.Training(epochs=1), neurona.load('mnist'), seed=0)\n"
        "model = keras.Sequential([keras.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),\n"
        "    keras.layers.Dense(8, activation='relu'), keras.layers.Dense(10, activation='softmax')])\n"
        "model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])"
    ),
}


def _small_set(entry: Any, origin: Any) -> source.Everything:
    """Return 300 training, 200 validation and 100 test images of MNIST, under any name of the catalogue."""
    x_train, y_train, x_test, y_test = _mnist()
    return source.Everything(
        train=Split(x_train[:300], y_train[:300]),
        validation=Split(x_train[300:500], y_train[300:500]),
        test=Split(x_test[:100], y_test[:100]),
        class_names=entry.classes,
    )


_embedded = source._embedded


def _mnist() -> tuple[Any, ...]:
    if not _read_once:
        arrays = _embedded(CATALOGUE["mnist"])
        _read_once.extend((arrays[0][:500], arrays[1][:500], arrays[2][:100], arrays[3][:100]))
    return tuple(_read_once)


_read_once: list[Any] = []
_read = labs._read


def _small_lab(name_or_path: str | Path) -> tuple[str, str, Path | None]:
    """Return a lab whose layers have 8, 12 or 16 units, and which trains for one epoch; a built-in one's first part."""
    text, name, folder = _read(name_or_path)
    if folder is None:
        before, bracket, search = text.partition("\n[search")
        text = "[[experiment]]".join(before.split("[[experiment]]")[:6]) + bracket + search

    def small(found: re.Match[str]) -> str:
        units = [8 if int(one) < 100 else 12 if int(one) < 300 else 16 for one in found[2].split(",")]
        return f"{found[1]}{units}"

    text = re.sub(r"(hidden *= *)\[([\d, ]+)\]", small, text)
    text = re.sub(r"\bepochs *= *\d+", "epochs = 1", text)
    text = re.sub(r"\bmnist\[:\d+\]", "mnist[:200]", text)
    return re.sub(r"(network\.width *= .*high = )\d+", r"\g<1>32", text), name, folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    _make_small(monkeypatch)


def _make_small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(source, "_named", _small_set)
    patch.setattr(labs, "_read", _small_lab)
    patch.setattr(webbrowser, "open", lambda *_, **__: True)


@pytest.fixture(scope="module", autouse=True)
def _compiled_as_quickly_as_can_be() -> Iterator[None]:
    """Most of the time here would go into making programs fast that train for a moment."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def _smaller(command: str) -> str:
    for pattern, size in SIZES:
        command = re.sub(pattern, size, command)
    command = re.sub(r"^best( --trials \d+)", "best", re.sub(r" D$", " mnist", command))
    return command + "".join(more for pattern, more in MORE if re.match(pattern, command))


RUN = sorted({_smaller(shlex.join(words)) for words in commands() if not _is_left_out(" ".join(words))})


def _run(command: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(shlex.split(command))
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands in the documentation name: models, labs, pictures, studies."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        patch.chdir(folder)
        for page, name in (
            ("README.md", "my-lab"),
            ("docs/tutorial.md", "my-first"),
            ("docs/lab.md", "regularisation"),
        ):
            (text,) = (block.text for block in blocks(ROOT / page) if block.kind == "toml")
            Path(f"{name}.toml").write_text(text, encoding="utf-8")
        images, labels, _, _ = _mnist()
        for number, (image, label) in enumerate(zip(images[:200], labels[:200], strict=True)):
            target = Path("my-images", str(label), f"{number}.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target)
        Path("scans").mkdir()
        for number in range(2):
            Image.fromarray(255 - np.pad(images[number], 20)).save(f"scans/{number}.png")
        Image.fromarray(255 - np.pad(np.hstack(images[2:4]), 20)).save("page.jpg")
        rows = np.column_stack([np.tile(labels[:100], 20), np.tile(images[:100].reshape(100, -1), (20, 1))])
        np.savetxt("my-digits.csv", rows, fmt="%d", delimiter=",")
        for command in (
            "train --hidden 8,8 --epochs 1 --save model.safetensors",
            "lab --only width-200 --only width-300 --seeds 3 --no-report",
            "search --trials 1 --finalists 0 --seeds 2",
            "best --epochs 1 --hidden 16 --without-validation",
            "lab my-first.toml --seeds 2 --no-report",
            "lab regularisation.toml --only dropout --seeds 2 --no-report",
            "lab --only width-300 --seeds 2 --db sqlite:///labs.db --study spring --no-report",
        ):
            assert _run(command) == 0, command
        Path("neurona-studies").rename("studies")
    return folder


def _at(desk: Path, folder: Path, command: str) -> None:
    """Lay on `folder` what is on the desk, but of the studies only those that the command is about."""
    shutil.copytree(desk, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("studies"))
    if written := re.search(r"--template (\S+)", command):
        (folder / written[1]).unlink(missing_ok=True)
    names = re.findall(r"neurona-studies/([\w-]+)", command) or ["mnist-dnn"]
    for name in names if not re.match(r"lab|best|search(?!.*--explain)", command) else ():
        shutil.copytree(desk / "studies" / name, folder / "neurona-studies" / name)
    for other in ("twenty", "from-the-other-machine", "student/mnist-dnn"):
        if re.search(rf"(report|merge|verify) .*{other}", command):
            shutil.copytree(desk / "studies" / "mnist-dnn", folder / other)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("command", RUN)
def test_every_command_runs(
    command: str,
    desk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    _at(desk, tmp_path, command)
    monkeypatch.chdir(tmp_path)
    if "s3://labs" in command:
        files.write_whole(
            (desk / "model.safetensors").read_bytes(), f"{request.getfixturevalue('bucket')}/best.safetensors"
        )
    code = _run(command)
    shown = capsys.readouterr()
    assert (code, "Traceback" in shown.err) == (0, False), shown.err
    words = shlex.split(command)
    for option in ("--save", "--output", "--card", "--tensorboard"):
        if option in words:
            written = words[words.index(option) + 1]
            assert files.size(written) > 0 if files.is_address(written) else (tmp_path / written).exists()
    if words[0] == "report" and "s3://" not in command:
        assert next(tmp_path.rglob("*.html")).stat().st_size > 1_000_000
    elif "--card" not in words:
        assert shown.out


PYTHON = {
    page: text
    for page in PAGES
    if page not in TRANSLATED and (text := "".join(b.text + "\n" for b in blocks(page) if b.kind == "python"))
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom, in one program."""
    text = PYTHON[page]
    for pattern, size in SIZES:
        text = re.sub(pattern, size, text)
    _at(desk, tmp_path, text)
    monkeypatch.chdir(tmp_path)
    given = GIVEN.get(page.name.split(".")[0], "")
    exec(compile(f"import neurona\n{given}\n", f"given for {page.name}", "exec"), names := {"__name__": "page"})  # noqa: S102
    exec(compile(text, str(page), "exec"), names)  # noqa: S102 - the code of our own documentation


SESSIONS = [block for page in PAGES for block in blocks(page) if block.kind == "pycon"]


@pytest.mark.parametrize("block", SESSIONS, ids=lambda block: block.name)
def test_every_session_answers_what_it_shows(block: Block) -> None:
    import doctest

    test = doctest.DocTestParser().get_doctest(block.text, {}, block.name, str(block.page), 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.usefixtures("small")
def test_the_arrays_of_a_plain_file_give_the_model_s_answers(desk: Path, tmp_path: Path) -> None:
    (text,) = (block.text for block in blocks(ROOT / "docs" / "export.md") if block.kind == "python")
    exec(compile(text, "export.md", "exec"), names := {"__name__": "page"})  # noqa: S102
    model = neurona.load_model(desk / "model.safetensors")
    neurona.export(model, tmp_path / "plain.safetensors")
    images = _mnist()[0][:50]
    answers = names["probabilities"](tmp_path / "plain.safetensors", images)  # type: ignore[operator]
    np.testing.assert_allclose(answers, model.probabilities(images), atol=1e-5)
