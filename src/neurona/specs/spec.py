"""What every specification is, and how its errors are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from neurona.errors import Problem, SpecError, nearest
from neurona.i18n import _

__all__ = ["Spec", "did_you_mean", "fingerprint", "known_name", "unknown_key", "with_defaults"]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return " Did you mean …?" for a misspelt word, or the whole list when nothing is near."""
    words = list(words)
    close = nearest(word, words)
    if close:
        return " " + _("Did you mean {name}?").format(name=close)
    return " " + _("It is one of: {names}.").format(names=", ".join(words))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence about a key that does not exist, with the nearest right one."""
    return _("there is no such key.") + did_you_mean(key, known)


class Spec(BaseModel):
    """What all specifications share: frozen, closed to unknown keys, one kind of error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_problems(type(self), error)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` (field = value), checked like a new one."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changes)

    def declared(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.declared().items())


def known_name(value: str, names: tuple[str, ...]) -> str:
    """Return `value`, which must be one of `names`; otherwise a ValueError names the nearest."""
    if value not in names:
        raise ValueError(_("there is no {name!r} here.").format(name=value) + did_you_mean(value, names))
    return value


def with_defaults(
    values: Any, *, table: dict[str, dict[str, Any]], common: Iterable[str], default: str, unknown: str, foreign: str
) -> Any:
    """Return `values` with the defaults of the kind they name, a row of `table`, whose settings alone they may have."""
    if isinstance(values, str):
        values = {"name": values}
    if not isinstance(values, dict):
        return values
    name = values.get("name", default)
    if not isinstance(name, str) or name not in table:
        raise SpecError([Problem(("name",), unknown.format(name=name) + did_you_mean(str(name), table))])
    others = {key for settings in table.values() for key in settings} - {*table[name], *common}
    problems = [
        Problem((key,), foreign.format(name=name) + did_you_mean(key, [*table[name], *common]))
        for key, value in values.items()
        if key in others and value is not None
    ]
    if problems:
        raise SpecError(problems)
    return table[name] | {key: value for key, value in values.items() if value is not None}


def fingerprint(value: Any) -> str:
    """Return the SHA-256, in hex, of a JSON value written with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# pydantic's error type -> our sentence, from the error's context
_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda context: _("is required."),
    "greater_than": lambda context: _("must be greater than {gt}.").format(**context),
    "greater_than_equal": lambda context: _("must be at least {ge}.").format(**context),
    "less_than": lambda context: _("must be less than {lt}.").format(**context),
    "less_than_equal": lambda context: _("must be at most {le}.").format(**context),
    "finite_number": lambda context: _("must be a finite number."),
    "int_type": lambda context: _("must be a whole number."),
    "int_parsing": lambda context: _("must be a whole number."),
    "int_from_float": lambda context: _("must be a whole number."),
    "float_type": lambda context: _("must be a number."),
    "float_parsing": lambda context: _("must be a number."),
    "bool_type": lambda context: _("must be true or false."),
    "bool_parsing": lambda context: _("must be true or false."),
    "string_type": lambda context: _("must be a text."),
    "tuple_type": lambda context: _("must be a list."),
    "string_too_short": lambda context: _("must not be empty."),
    "string_too_long": lambda context: _("must have at most {max_length} characters.").format(**context),
    "too_short": lambda context: _("must have at least {min_length} items.").format(**context),
    "too_long": lambda context: _("must have at most {max_length} items.").format(**context),
    "string_pattern_mismatch": lambda context: _("may hold letters, digits and . _ + - (64 at most)."),
    "model_type": lambda context: _("must be a table of keys and values."),
    "model_attributes_type": lambda context: _("must be a table of keys and values."),
}


def _problems(model: type[Spec], error: ValidationError) -> list[Problem]:
    problems: dict[tuple[str, ...], Problem] = {}
    for detail in error.errors(include_url=False):
        for problem in _explained(model, detail):
            problems.setdefault(problem.where, problem)  # a union reports each of its branches: the first will do
    return list(problems.values())


def _explained(model: type[Spec], detail: ErrorDetails) -> list[Problem]:
    where = tuple(str(part) for part in detail["loc"] if not _is_branch(part))
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return [Problem((*where, *problem.where), problem.sentence) for problem in cause.problems]
    if cause is not None:
        return [Problem(where, str(cause))]
    if detail["type"] == "extra_forbidden":
        key = str(detail["loc"][-1])  # whatever it looks like
        inside = tuple(str(part) for part in detail["loc"][:-1] if not _is_branch(part))
        return [Problem((*inside, key), unknown_key(key, model.model_fields))]
    sentence = _SENTENCES.get(detail["type"])
    text = sentence(detail.get("ctx", {})) if sentence else detail["msg"]
    if detail["type"] != "missing":
        text += " " + _("It is {value!r}.").format(value=detail["input"])
    return [Problem(where, text)]


def _is_branch(part: int | str) -> bool:
    """Whether a part of pydantic's location names a branch of a union rather than a key."""
    return isinstance(part, str) and (part in {"str", "int", "float"} or part.startswith("constrained-") or "[" in part)
