"""Print a page of the reference as Markdown: `python tools/reference.py command-line`, `lab-file` or `python`.

The command line comes from the program itself, in the language of NEURONA_LANG; the lab file's keys come from the JSON
schema of the specifications, and Python's names from their signatures; what they mean, from docstrings. The
documentation site puts all three into its pages.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text

import neurona
from neurona.cli.program import program
from neurona.schema import lab_schema
from neurona.specs import OPTIMIZERS, SCHEDULES, Spec

# Table of a lab file -> where its schema is.
_TABLES = {
    "network": ("definitions", "network"),
    "training": ("definitions", "training"),
    "training.optimizer": ("definitions", "optimizer"),
    "training.optimizer.schedule": ("definitions", "schedule"),
    "training.early_stopping": ("definitions", "early-stopping"),
    "training.augmentation": ("definitions", "augmentation"),
    "search": ("properties", "search"),
    "search.space.KEY": ("definitions", "parameter"),
}
# Of what there are kinds of: table -> kind -> its settings, which have a table of their own.
_KINDS = {"training.optimizer": OPTIMIZERS, "training.optimizer.schedule": SCHEDULES}


def command_line() -> str:
    """Return every command with its arguments and options."""
    root = typer.main.get_command(program)
    lines = [_plain(root.help), "", f"    {_usage(root, 'neurona')}", ""]
    for path, command in _commands(root, "neurona"):
        lines += [f"## {path}", "", _plain(command.help), "", f"    {_usage(command, path)}", ""]
        context = _context(command, path)
        rows = [_row(one, context) for one in command.params if "--help" not in one.opts]
        if rows:
            lines += ["| | | |", "|---|---|---|", *rows, ""]
    return "\n".join([*lines, _plain(root.epilog), ""])


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _usage(command: Any, path: str) -> str:
    usage = command.get_usage(_context(command, path)).split(":", 1)[1]  # after "Usage:"
    return " ".join(usage.split())


def _context(command: Any, path: str) -> Any:
    return command.make_context(path, [], resilient_parsing=True)


def _row(parameter: Any, context: Any) -> str:
    value = parameter.metavar or parameter.display_type(context).strip("<>").removesuffix(" RANGE")
    if parameter.param_type_name == "argument":
        name, default = f"`{parameter.metavar or parameter.name.upper()}`", parameter.default
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
        name = ", ".join(f"`{one}`" if parameter.is_flag else f"`{one} {value}`" for one in names)
        default = None if parameter.is_flag else parameter.default
    shown = "" if default is None or callable(default) else f"`{default}`"
    return f"| {name} | {shown} | {_cell(_plain(parameter.help))} |"


def _plain(markup: str | None) -> str:
    """Return the text of a help as it is read, without Rich's markup."""
    return Text.from_markup(re.sub(r"\[(?=[^a-z/])", r"\\[", markup or "")).plain.strip()


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def lab_file() -> str:
    """Return the keys of a lab file, table by table: what each may be, its default, what it does."""
    lines: list[str] = []
    schema = lab_schema()
    for name, (part, key) in _TABLES.items():
        table = _table(schema[part][key])
        lines += [f"## {name}", "", table["description"], "", "| key | value | default | |", "|---|---|---|---|"]
        for field, value in table["properties"].items():
            default = "" if value.get("default") is None else f"`{_toml(value['default'])}`"
            words = value.get("description", "").partition("Unless given: ")[0]  # which is in the table of the kinds
            lines.append(f"| `{field}` | {_cell(_kind(value, schema))} | {default} | {_cell(words.strip())} |")
        lines.append("")
        if kinds := _KINDS.get(name):
            lines += [f"| {name.rpartition('.')[2]} | its settings |", "|---|---|", *_settings(kinds), ""]
    return "\n".join(lines)


def _table(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a table, where a name or a list does too."""
    return next((branch for branch in schema.get("anyOf", ()) if "properties" in branch), schema)


def _settings(table: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"| `{name}` | {', '.join(_setting(*pair) for pair in settings.items()) or 'none'} |"
        for name, settings in table.items()
    ]


def _setting(key: str, value: Any) -> str:
    return f"`{key}`" if value is None else f"`{key} = {_toml(value)}`"


def _kind(value: dict[str, Any], schema: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_kind(one, schema) for one in value["anyOf"]))
    if "allOf" in value:
        return _kind(value["allOf"][0], schema)
    if "$ref" in value:
        named = "anyOf" in schema["definitions"][value["$ref"].rpartition("/")[2]]
        return "a name or a table" if named else "a table"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if value.get("type") == "array":
        return f"a list of: {_kind(value['items'], schema)}" if value.get("items") else "a list"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    bounds = [
        f"{sign} {value[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in value
    ]
    return " ".join([names.get(value.get("type", ""), "a table"), ", ".join(bounds)]).strip()


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items() if one is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


_GROUPS = {
    "Data and training": ("load", "Dataset", "train", "Run"),
    "What is trained": (
        "Network",
        "Training",
        "Optimizer",
        "Schedule",
        "EarlyStopping",
        "Augmentation",
        "Experiment",
    ),
    "Labs and studies": ("Lab", "Study", "Search", "best", "write_report"),
    "Models": ("Model", "load_model", "read_digits", "export", "to_keras", "from_keras"),
    "Errors": ("NeuronaError",),
}
_ARGUMENT = re.compile(r"([A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*): (.*)")
_WIDEST = 88


def python() -> str:
    """Return every public name with its signature, its docstring and its public members."""
    grouped = {name for names in _GROUPS.values() for name in names}
    lines: list[str] = []
    others = tuple(name for name in neurona.__all__ if name not in grouped | {"__version__"})
    for group, names in (_GROUPS | ({"More": others} if others else {})).items():
        lines += [f"## {group}", ""]
        for name in names:
            thing = getattr(neurona, name)
            lines += _described(f"### {name}", name, thing)
            if inspect.isclass(thing):
                for member, value in _members(thing):
                    lines += _described(f"#### {name}.{member}", member, value)
    return "\n".join(lines)


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for owner in thing.__mro__:
        if not owner.__module__.startswith("neurona.") or owner is Spec:
            continue
        for name, value in vars(owner).items():
            inner = getattr(value, "__func__", getattr(value, "func", value))  # of classmethod, cached_property
            told = isinstance(inner, property) or inspect.isfunction(inner)
            if not name.startswith("_") and name not in seen and told and inspect.getdoc(inner):
                seen.add(name)
                yield name, inner


def _described(heading: str, name: str, thing: Any) -> list[str]:
    lines = [heading, ""]
    if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, Exception)):
        lines += ["```python", _signature(name, thing), "```", ""]
    return lines + _markdown(inspect.getdoc(thing) or "")


def _signature(name: str, thing: Any) -> str:
    signature = inspect.signature(thing)
    parameters = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    signature = signature.replace(parameters=parameters)
    if inspect.isclass(thing):
        signature = signature.replace(return_annotation=inspect.Signature.empty)
    text = re.sub(r"'([^']*)'(?= =|[,)\n]|$)", r"\1", f"{name}{signature}")
    text = re.sub(r"\b(?:neurona|collections|pathlib|typing|os)(?:\.[a-z_]+)*\.([A-Z])", r"\1", text)
    if len(text) <= _WIDEST:
        return text
    inside = [re.sub(r": '(.*?)'", r": \1", str(one)) for one in parameters]
    for position, one in enumerate(parameters):
        if one.kind is one.KEYWORD_ONLY:
            inside.insert(position, "*")
            break
    returned = text.rpartition(") -> ")[2] if ") -> " in text else ""
    return f"{name}(\n" + "".join(f"    {one},\n" for one in inside) + ")" + (f" -> {returned}" if returned else "")


def _markdown(docstring: str) -> list[str]:
    """Return a docstring as Markdown: its lines `name: …` as a list, its examples as code."""
    lines: list[str] = []
    for paragraph in docstring.split("\n\n"):
        if paragraph.startswith(">>>"):
            lines += ["```pycon", paragraph, "```"]
        elif paragraph.startswith("    "):
            lines += ["```text", inspect.cleandoc(paragraph), "```"]
        else:
            for line in paragraph.splitlines():
                found = _ARGUMENT.fullmatch(line)
                lines.append(f"- `{found[1]}`: {found[2]}" if found else line)
        lines.append("")
    return lines


_PAGES = {"command-line": command_line, "lab-file": lab_file, "python": python}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _PAGES:
        sys.exit(f"usage: python tools/reference.py {'|'.join(_PAGES)}")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(_PAGES[sys.argv[1]]())
