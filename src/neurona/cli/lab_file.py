"""`neurona lab --check | --template | --schema`: what concerns a lab's file, and trains nothing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from neurona.cli.output import print_json, result
from neurona.errors import UsageError
from neurona.i18n import _, language, ngettext

if TYPE_CHECKING:
    from neurona.data import Dataset
    from neurona.review import Review

__all__ = ["about_labs"]


def about_labs(lab: str, seeds: int, *, check: bool, template: Path | None, schema: bool, as_json: bool) -> None:
    """Do the one thing of these that is asked for."""
    if check + (template is not None) + schema > 1:
        raise UsageError(_("--check, --template and --schema are asked for one at a time."))
    if schema:
        from neurona.schema import lab_schema

        print_json(lab_schema())
    elif template is not None:
        _write_template(template, as_json=as_json)
    else:
        _check(lab, seeds, as_json=as_json)


def _write_template(path: Path, *, as_json: bool) -> None:
    from neurona.files import write_whole

    if path.exists():
        raise UsageError(_("{file} is there already, and is left as it is; name another.").format(file=path))
    text = (resources.files("neurona") / "templates" / f"lab.{language()}.toml").read_bytes()
    write_whole(text, path)
    if as_json:
        print_json({"file": str(path)})
    else:
        sentence = _("{file} is a lab to begin with; neurona lab {file} --check says what it does.")
        result().print(sentence.format(file=path), markup=False)


def _check(lab: str, seeds: int, *, as_json: bool) -> None:
    from neurona.review import review

    found = review(lab, seeds=seeds)
    if as_json:
        print_json({"file": lab, **found.to_json()})
    else:
        _print(found, lab, seeds)
    if found.problems:
        raise typer.Exit(2)


def _print(found: Review, file: str, seeds: int) -> None:
    for problem in found.problems:
        result().print(f"✗ {file}: {problem}", markup=False)
    for note in found.notes:
        result().print(f"· {file}: {note}", markup=False)
    if found.problems:
        count = len(found.problems)
        sentence = ngettext("{count} problem: {file} cannot run.", "{count} problems: {file} cannot run.", count)
        result().print(sentence.format(count=count, file=file), style="bold red", markup=False)
        return
    if found.lab is None or found.data is None or found.seconds is None:
        return
    result().print(
        "✓ "
        + _("{file} is in order: {lab} on {data}.").format(file=file, lab=found.lab.name, data=_described(found.data)),
        markup=False,
    )
    different = len({experiment.id for experiment in found.lab.experiments})
    sentence = ngettext(
        "{count} experiment, {different} of them different, × {seeds} seeds = {runs} runs:",
        "{count} experiments, {different} of them different, × {seeds} seeds = {runs} runs:",
        len(found.lab.experiments),
    ).format(count=len(found.lab.experiments), different=different, seeds=seeds, runs=found.runs)
    time = _("about {time} here, {workers} at a time.").format(time=_duration(found.seconds), workers=found.workers)
    result().print(f"{sentence} {time}", markup=False)
    search = found.lab.search
    if search is not None:
        count = len(search.space.parameters)
        sentence = ngettext(
            "A search would vary {count} setting: {keys}.", "A search would vary {count} settings: {keys}.", count
        )
        result().print(sentence.format(count=count, keys=", ".join(search.space.parameters)), markup=False)


def _described(data: Dataset) -> str:
    height, width = data.image_shape
    sentence = _("{name} ({train:,} + {validation:,} images of {height} × {width}, {classes} classes)")
    sizes = {"train": len(data.train), "validation": len(data.validation), "classes": data.classes}
    return sentence.format(name=data.name, height=height, width=width, **sizes)


def _duration(seconds: float) -> str:
    """Return a time with as much as is known of it."""
    if seconds < 100:
        return _("{count:.0f} s").format(count=max(1.0, seconds))
    if seconds < 100 * 60:
        return _("{count:.0f} min").format(count=seconds / 60)
    return _("{count:.0f} h").format(count=seconds / 3600)
