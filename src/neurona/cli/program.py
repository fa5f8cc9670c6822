"""The program's commands put together, and what becomes of their errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from neurona import __version__
from neurona.cli import bench, best, compare, data, export, lab, predict, report, seal, search, serve, study, train
from neurona.errors import NeuronaError, nearest
from neurona.i18n import _

__all__ = ["program", "run"]

_EPILOG = _("Every command also takes --lang es|en, and --debug, which shows where an error comes from.")


def _usage_in_language(text: str) -> str:
    for word, translated in (
        ("Usage:", _("Usage:")),
        ("[OPTIONS]", _("[OPTIONS]")),
        ("COMMAND [ARGS]...", _("COMMAND [ARGS]...")),
    ):
        text = text.replace(word, translated, 1)
    return text


class _Command(TyperCommand):
    def get_usage(self, ctx: Any) -> str:
        return _usage_in_language(super().get_usage(ctx))

    def get_help_option(self, ctx: Any) -> Any:
        return _help_in_language(super().get_help_option(ctx))


class _Group(TyperGroup):
    def get_usage(self, ctx: Any) -> str:
        return _usage_in_language(super().get_usage(ctx))

    def get_help_option(self, ctx: Any) -> Any:
        return _help_in_language(super().get_help_option(ctx))


def _help_in_language(option: Any) -> Any:
    if option is not None:
        option.help = _("Show this message and exit.")
    return option


program = typer.Typer(
    cls=_Group,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=_("Neurona: a laboratory for dense neural networks on small images."),
    epilog=_EPILOG,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"neurona {__version__}")
        raise typer.Exit


@program.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help=_("Show the version and exit."), is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


def _add(name: str, command: Callable[..., None], help: str, to: typer.Typer = program) -> None:
    to.command(name, cls=_Command, help=help, epilog=_EPILOG)(command)


_data = typer.Typer(cls=_Group, no_args_is_help=True)
_study = typer.Typer(cls=_Group, no_args_is_help=True)
_add("train", train.train, _("Train one network and show it epoch by epoch."))
_add("lab", lab.lab, _("Run a lab: every experiment with several seeds, then a table that compares them."))
_add("search", search.search, _("Search for good settings, and train the best again with fresh seeds."))
_add("best", best.best, _("Train the best model that a given time allows."))
_add("compare", compare.compare, _("Compare two experiments of a study: difference, verdict, cost."))
_add("test", seal.open_seal, _("Open the test set for the models you have settled on; it is recorded for good."))
_add("report", report.report, _("Write a study's report: one HTML file that works offline."))
_add("predict", predict.predict, _("Read the digits in pictures with a model."))
_add(
    "export",
    export.export,
    _("Write a model for Keras, ONNX, NumPy or a browser, where it is a page to draw on."),
)
_add("serve", serve.serve, _("Serve the page: draw a digit, and see what a network makes of it."))
_add("bench", bench.bench, _("Measure how fast this machine trains."))
program.add_typer(_data, name="data", help=_("List, describe and check data sets."), epilog=_EPILOG)
_add("list", data.list_, _("List the data sets that have a name."), _data)
_add("info", data.info, _("Describe a data set: sizes, classes, split, fingerprint."), _data)
_add("verify", data.verify, _("Read a data set from beginning to end and check it."), _data)
program.add_typer(_study, name="study", help=_("Look after what labs have stored."), epilog=_EPILOG)
_add("list", study.list_, _("List the studies in ./neurona-studies, or in a database."), _study)
_add("show", study.show, _("Print a study's table; nothing is trained."), _study)
_add(
    "verify",
    study.verify,
    _("Check a study: hashes, completeness, openings of the test set; runs trained again."),
    _study,
)
_add("export", study.export, _("Write a study as files of its own, for TensorBoard, or to MLflow."), _study)
_add("merge", study.merge, _("Copy the runs of one study into another on the same data."), _study)
_add("rm", study.remove, _("Remove a study for good."), _study)


def _did_you_mean(word: str, words: Iterable[str]) -> str:
    close = nearest(word, words)
    return " " + _("Did you mean {name}?").format(name=close) if close else ""


def _no_option(name: str, possible: str | None) -> str:
    return _("there is no option {name}.").format(name=name) + _did_you_mean(name, (possible or "").split(", "))


def _no_command(name: str) -> str:
    commands = [command.name or "" for app in (program, _data, _study) for command in app.registered_commands]
    return _("there is no command {name}.").format(name=name) + _did_you_mean(name, [*commands, "data", "study"])


# Typer's sentences about wrong usage, which it does not translate -> ours
_SENTENCES: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"No such option: (\S+)(?: \(Possible options: (.*)\))?", _no_option),
    (r"No such command '(.*?)'.*", _no_command),
    (r"Missing (?:option|argument|parameter) '?(.*?)'?\.", lambda name: _("{name} is required.").format(name=name)),
    (r"Option '?(.*?)'? requires an argument\.", lambda name: _("{name} needs a value.").format(name=name)),
    (
        r"Option '?(.*?)'? does not take a value\.",
        lambda name: _("{name} takes no value.").format(name=name),
    ),
    (
        r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)",
        lambda words: _("nothing more was expected, but got {words}.").format(words=words),
    ),
    (
        r"Invalid value for '?(.*?)'?: Input should be a valid integer.*",
        lambda name: _("{name} must be a whole number.").format(name=name),
    ),
    (
        r"Invalid value for '?(.*?)'?: Input should be a valid number.*",
        lambda name: _("{name} must be a number.").format(name=name),
    ),
    (
        r"Invalid value for '?(.*?)'?: Input should be greater than or equal to (.*)",
        lambda name, limit: _("{name} must be at least {limit}.").format(name=name, limit=limit),
    ),
    (
        r"Invalid value for '?(.*?)'?: Input should be less than or equal to (.*)",
        lambda name, limit: _("{name} must be at most {limit}.").format(name=name, limit=limit),
    ),
)


def run(words: Sequence[str], *, debug: bool) -> int:
    """Run the program with `words` and return its exit code. With `debug`, an error is raised instead."""
    try:
        result = program(args=list(words), prog_name="neurona", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except NeuronaError:
        raise
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except typer.Exit as exit_:
        return int(exit_.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if debug:
            raise
        if hasattr(error, "format_message"):  # a usage error of Typer's
            print(f"neurona: {_usage_error(error.format_message())}", file=sys.stderr)  # noqa: T201
            return 2
        sentence = _("an error that nobody foresaw: {kind}: {error}. --debug shows where; please report it.")
        print(f"neurona: {sentence.format(kind=type(error).__name__, error=error)}", file=sys.stderr)  # noqa: T201
        return 1


def _usage_error(message: str) -> str:
    for pattern, sentence in _SENTENCES:
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match:
            return sentence(*match.groups())
    return message
