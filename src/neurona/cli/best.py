"""`neurona best`: the best model that a given time allows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurona.cli.options import GpusPerRun, Json, On, Results, StudyDatabase, computing_on
from neurona.cli.output import print_json, progress, result, stopping_cleanly
from neurona.errors import UsageError
from neurona.files import beside, check_place
from neurona.i18n import _

if TYPE_CHECKING:
    from rich.console import Console, Group

    from neurona.champion import Champion, MemberEpoch, Plan
    from neurona.champion.stages import Event

__all__ = ["best"]


def best(
    lab: Annotated[str, typer.Argument(help=_("A built-in lab, or a TOML file."))] = "mnist-dnn",
    minutes: Annotated[
        float | None, typer.Option(help=_("Minutes of training in all; 10 unless --epochs is given."))
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help=_("Epochs of each member, instead of minutes: nothing depends on the machine then.")),
    ] = None,
    members: Annotated[int, typer.Option(help=_("Networks that answer together."))] = 1,
    hidden: Annotated[
        str | None,
        typer.Option(metavar="N,N,…", help=_("Units of each hidden layer; chosen by the time unless given.")),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=_(
                "augmented, permutation-invariant, or search (its best finalist); the better of the first and the last "
                "on validation unless given."
            )
        ),
    ] = None,
    augment: Annotated[
        bool,
        typer.Option("--augment/--no-augment", help=_("Change training images at random, or not: the recipe without.")),
    ] = True,
    with_validation: Annotated[
        bool,
        typer.Option(
            "--with-validation/--without-validation",
            help=_("Whether the members go on, at the end, on training and validation images."),
        ),
    ] = True,
    views: Annotated[
        bool,
        typer.Option("--views/--no-views", help=_("Look at each image in seven ways; answers take as much longer.")),
    ] = False,
    distill: Annotated[
        str | None,
        typer.Option(metavar="LAYERSxUNITS", help=_("Also teach one small network their answers, as 1x256.")),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help=_("Of the first member; the others have the next ones."))] = 0,
    name: Annotated[str, typer.Option(help=_("What it is called in the study."))] = "champion",
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help=_("Where the model is written: a file, or s3://…; in the study's folder unless given.")
        ),
    ] = None,
    study: Results = None,
    db: StudyDatabase = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help=_("Members at a time; as many as cores unless given."))
    ] = None,
    on: On = "local",
    gpus_per_run: GpusPerRun = 0.0,
    as_json: Json = False,
) -> None:
    """Train, calibrate and keep the best model that the time allows; the same command goes on."""
    if not augment:
        if recipe not in (None, "permutation-invariant"):
            raise UsageError(_("--no-augment is the recipe permutation-invariant; give one of the two."))
        recipe = "permutation-invariant"
    from neurona.champion import Options

    options = Options(
        minutes=10.0 if minutes is None and epochs is None else minutes,
        epochs=epochs,
        hidden=None if hidden is None else _units(hidden),
        members=members,
        recipe=recipe,
        with_validation=with_validation,
        views=views,
        distill=None if distill is None else _layers(distill),
        seed=seed,
    )
    if output is not None:
        check_place(output)
    from neurona.champion import best as train_best
    from neurona.data import load
    from neurona.study import Lab

    own = Lab.load(lab)
    data = load(own.dataset)
    opened = own.open_study(data, study=study, url=db)
    shown = _Progress(options.minutes)
    console = progress()
    with (
        computing_on(on, workers, gpus_per_run) as compute,
        stopping_cleanly(opened.place if db else str(opened.folder)),
        shown.watched(console),
    ):
        champion = train_best(
            opened, options=options, name=name, data=data, workers=workers, on=compute, on_event=shown.take
        )
    folder = opened.folder or Path()
    files: list[str | Path] = [output or folder / f"{name}.safetensors"]
    champion.model.save(files[0])
    if champion.student is not None:
        files.append(beside(files[0], f"{champion.student.name}.safetensors"))
        opened.champion_model(champion.student.name).save(files[1])
    if as_json:
        print_json({"lab": opened.lab, "files": list(map(str, files)), **champion.to_json()})
    else:
        _print(champion, files, study)


def _print(champion: Champion, files: list[str | Path], study: str | None) -> None:
    console = result()
    console.print(_("Champion {name}").format(name=champion.name), style="bold", markup=False)
    for line in champion.sentences():
        console.print(f"  {line}", markup=False)
    for file in files:
        console.print(_("The model is in {file}.").format(file=file), markup=False)
    place = "" if study is None else f" --study {study}"
    console.print(
        _("Next: neurona serve --model {file}").format(file=files[0])
        + "\n"
        + _('      neurona test {name}{place} --reason "…"   opens the test set, once and for good').format(
            name=champion.name, place=place
        ),
        style="dim",
        markup=False,
    )


class _Progress:
    """Takes the events of a champion and shows who is how far, and when all will be over."""

    def __init__(self, minutes: float | None) -> None:
        self._minutes = minutes
        self._began = time.monotonic()
        self._plan: Plan | None = None
        self._members: dict[int, MemberEpoch] = {}
        self._said = 0.0
        self._console: Console | None = None

    @contextmanager
    def watched(self, console: Console) -> Iterator[None]:
        """Show progress on `console` meanwhile."""
        self._console = console
        if not console.is_terminal:
            console.print(_("Measuring how fast this machine is…"))
            yield
            return
        from rich.live import Live

        with Live(get_renderable=self._shown, console=console, refresh_per_second=4, transient=True):
            yield

    def take(self, event: Event) -> None:
        """Take one event."""
        from neurona.champion import MemberEpoch, Planned

        console = self._console
        assert console is not None  # noqa: S101 - `watched` comes first
        if isinstance(event, Planned):
            self._plan = event.plan
            console.print(self._planned(), markup=False)
        elif isinstance(event, MemberEpoch):
            self._members[event.seed] = event
            if not console.is_terminal and time.monotonic() - self._said > 10:
                self._said = time.monotonic()
                for line in self._lines():
                    console.print(line, markup=False)

    def _planned(self) -> str:
        plan = self._plan
        assert plan is not None  # noqa: S101
        sentence = _("{members} × {layers}, recipe {recipe}; epochs: {epochs} on training images")
        text = sentence.format(
            members=len(plan.members),
            layers="-".join(map(str, plan.network.hidden)),
            recipe=plan.recipe,
            epochs=plan.training.epochs,
        )
        if plan.settle_epochs:
            text += _(", then {epochs} with the validation images too").format(epochs=plan.settle_epochs)
        return text + "."

    def _lines(self) -> list[str]:
        stages = {"first": _("training"), "settling": _("with validation"), "student": _("student")}
        sentence = _("member {seed} · {stage} · epoch {number}/{epochs} · validation error {error:.2f} %")
        without = _("member {seed} · {stage} · epoch {number}/{epochs}")
        return [
            (without if event.stage == "settling" else sentence).format(
                seed=seed,
                stage=stages[event.stage],
                number=event.number,
                epochs=event.epochs,
                error=100 * (1 - event.epoch.val_accuracy),
            )
            for seed, event in sorted(self._members.items())
        ]

    def _shown(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        passed = time.monotonic() - self._began
        clock = _clock(passed)
        if self._minutes is not None:
            clock += " / " + _clock(60 * self._minutes)
        lines = self._lines() if self._plan else [_("Measuring how fast this machine is…")]
        return Group(*(Text(line) for line in [*lines, clock]))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _units(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,6}(,\d{1,6})*", text):
        sentence = _("--hidden must be whole numbers with commas between, as 50,50, but is {text!r}.")
        raise UsageError(sentence.format(text=text))
    return tuple(map(int, text.split(",")))


def _layers(text: str) -> tuple[int, ...]:
    found = re.fullmatch(r"(\d{1,2})x(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= 64:
        raise UsageError(_("--distill must be layers and units, as 1x256, but is {text!r}.").format(text=text))
    return (int(found[2]),) * int(found[1])
