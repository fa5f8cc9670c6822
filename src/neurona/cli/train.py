"""`neurona train`: one network, epoch by epoch."""

from __future__ import annotations

import math
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurona.cli.options import Json
from neurona.cli.output import print_json, progress, result
from neurona.errors import Problem, SpecError, UsageError
from neurona.files import check_place
from neurona.i18n import _
from neurona.interrupts import remembering_interrupts

if TYPE_CHECKING:
    from neurona.data import Dataset
    from neurona.run import Epoch, Run
    from neurona.specs import Experiment, Network

__all__ = ["train"]


def train(
    dataset: Annotated[str, typer.Option(help=_("A name that `neurona data list` shows, or a path."))] = "mnist",
    hidden: Annotated[str, typer.Option(metavar="N,N,…", help=_("Units of each hidden layer; '' for none."))] = "50,50",
    activation: Annotated[
        str, typer.Option(metavar="NAME[,NAME…]", help=_("Activation of the hidden layers, or one for each."))
    ] = "relu",
    optimizer: Annotated[str, typer.Option(help=_("Optimizer."))] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help=_("Learning rate; the optimizer's own unless given."))
    ] = None,
    batch_size: Annotated[int, typer.Option(help=_("Images a step."))] = 100,
    epochs: Annotated[int, typer.Option(help=_("Passes over the training images."))] = 5,
    seed: Annotated[int, typer.Option(min=0, help=_("What weights, order and dropout are drawn from."))] = 0,
    engine: Annotated[
        str, typer.Option(help=_("What trains it: neurona, or keras (needs the extra keras)."))
    ] = "neurona",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help=_("Any other key of the network or the training, as `network.dropout=0.2`."),
        ),
    ] = None,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help=_("Write the model there, as safetensors: a file, or s3://…"))
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one network and print Keras' summary and its line an epoch."""
    values: dict[str, Any] = {
        "network": {"hidden": _units(hidden), "activation": _names(activation)},
        "training": {
            "optimizer": {"name": optimizer, "learning_rate": learning_rate},
            "batch_size": batch_size,
            "epochs": epochs,
        },
    }
    for setting in settings or ():
        _set(values, setting)
    from neurona.specs import Experiment

    experiment = Experiment(name="train", engine=engine, **values)
    if save is not None:
        check_place(save)
    run, data, load_seconds = _train(experiment, dataset, seed, quiet=as_json)
    if save is not None:
        from neurona.model import Model

        Model.of(run, data).save(save)
    if as_json:
        print_json(_document(run, data, load_seconds))
        return
    if run.state == "diverged":
        result().print(_("Diverged: the loss is no longer a finite number."), style="bold red")
    seconds = run.seconds
    sentence = _("{load:.2f} s to load the data, {compile:.2f} s to compile, {train:.2f} s to train.")
    if run.versions:
        libraries = ", ".join(f"{name} {version}" for name, version in run.versions.items())
        result().print(_("Trained by {libraries}.").format(libraries=libraries), style="dim")
    result().print(sentence.format(load=load_seconds, compile=seconds.compile, train=seconds.train), style="dim")
    if save is not None:
        result().print(_("The model is in {file}.").format(file=save))


def _train(experiment: Experiment, dataset: str, seed: int, *, quiet: bool) -> tuple[Run, Dataset, float]:
    import time

    started = time.perf_counter()
    from neurona.data import load

    data = load(dataset)
    load_seconds = time.perf_counter() - started
    from neurona import engines

    network, training, engine = experiment.network, experiment.training, experiment.engine
    engines.check_ready(engine)
    steps = math.ceil(len(data.train) / training.batch_size)
    console = progress() if quiet else result()

    if not quiet:
        _print_summary(network, data)
    with remembering_interrupts() as check_interrupts:

        def show(number: int, epoch: Epoch) -> None:
            check_interrupts()
            console.print(_epoch_line(number, training.epochs, steps, epoch))

        run = engines.train(network, training, data, seed=seed, engine=engine, on_epoch=show)
    return run, data, load_seconds


def _document(run: Run, data: Dataset, load_seconds: float) -> dict[str, Any]:
    history = {key: run.history[key] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    return {
        "history": history,
        "state": run.state,
        "parameters": run.network.parameters(data.image_shape, len(data.class_names)),
        "seconds": {"load": load_seconds, "compile": run.seconds.compile, "train": run.seconds.train},
        "seed": run.seed,
        "fingerprint": run.fingerprint,
        "engine": run.engine,
        "versions": dict(run.versions),
    }


def _print_summary(network: Network, data: Dataset) -> None:
    from rich.table import Table

    from neurona.network import summary

    layers = summary(network, image_shape=data.image_shape, classes=len(data.class_names))
    table = Table(title=_("Model: dense network on {dataset}").format(dataset=data.name), title_justify="left")
    table.add_column(_("Layer (type)"))
    table.add_column(_("Output shape"))
    table.add_column(_("Parameters"), justify="right")
    for layer in layers:
        shape = ", ".join(str(size) for size in (None, *layer.output))
        table.add_row(f"{layer.name} ({layer.type})", f"({shape})", f"{layer.parameters:,}")
    result().print(table)
    total = sum(layer.parameters for layer in layers)
    sentence = _("Parameters: {total:,} ({size:.2f} KB)")
    result().print(sentence.format(total=total, size=total * 4 / 1024))


def _epoch_line(number: int, epochs: int, steps: int, epoch: Epoch) -> str:
    """Return the line that Keras prints for an epoch with verbose=2."""
    a_step = epoch.seconds / steps
    pace = f"{1000 * a_step:.0f}ms/step" if a_step >= 1e-3 else f"{1e6 * a_step:.0f}us/step"
    figures = " - ".join(
        f"{key}: {getattr(epoch, key):.4f}" for key in ("accuracy", "loss", "val_accuracy", "val_loss")
    )
    return f"Epoch {number}/{epochs} - {steps}/{steps} - {epoch.seconds:.2f}s - {pace} - {figures}"


def _units(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        sentence = _("--hidden must be whole numbers with commas between, as 50,50, but is {text!r}.")
        raise UsageError(sentence.format(text=text)) from None


def _names(text: str) -> str | list[str]:
    names = [part.strip() for part in text.split(",")]
    return names[0] if len(names) == 1 else names


def _set(values: dict[str, Any], setting: str) -> None:
    """Put `key=value` into `values`; the value is TOML, or a text where it is none."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or keys[0] not in values or len(keys) < 2:
        sentence = _("--set takes network.KEY=VALUE or training.KEY=VALUE, but got {setting!r}.")
        raise UsageError(sentence.format(setting=setting))
    value: Any = text
    with suppress(tomllib.TOMLDecodeError):
        value = tomllib.loads(f"value = {text}")["value"]
    table = values
    for depth, key in enumerate(keys[:-1]):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise SpecError([Problem(tuple(keys[: depth + 1]), _("must be a table of keys and values."))])
    table[keys[-1]] = value
