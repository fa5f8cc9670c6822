"""What can go wrong, as a tree. Everything Neurona raises on purpose is a `NeuronaError`.

NeuronaError                the root; `exit_code` is what the command line returns
├── UsageError              what was asked for cannot be: a wrong option, name or file (exit code 2)
│   ├── SpecError           a network, training or lab that breaks a rule; `problems` lists each
│   └── DataError           a data set that cannot be read, or breaks a rule
├── DownloadError           a data set could not be fetched; the message says where to put it by hand
├── StoreError              a study's database cannot be opened, read or written
├── ClusterError            a Ray cluster cannot be reached, lacks what is needed, or was lost
└── MissingExtraError       an optional dependency is not installed; the message names the extra
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "ClusterError",
    "DataError",
    "DownloadError",
    "MissingExtraError",
    "NeuronaError",
    "Problem",
    "SpecError",
    "StoreError",
    "UsageError",
    "nearest",
]


class NeuronaError(Exception):
    """The root of what Neurona raises: the message states the rule, the value that broke it and what to do."""

    exit_code = 1


class UsageError(NeuronaError, ValueError):
    """What the user asked for or gave cannot be used."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One broken rule: the path of the key (`("training", "batch_size")`) and a sentence about it."""

    where: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        return f"{'.'.join(self.where)}: {self.sentence}" if self.where else self.sentence


class SpecError(UsageError):
    """A specification breaks one rule or several; `problems` holds each with the key where it stands."""

    def __init__(self, problems: Iterable[Problem], *, file: str | None = None) -> None:
        self.problems = tuple(problems)
        self.file = file
        prefix = f"{file}: " if file else ""
        super().__init__("\n".join(f"{prefix}{problem}" for problem in self.problems))


class DataError(UsageError):
    """A data set cannot be read, or what it holds breaks a rule."""


class DownloadError(NeuronaError):
    """A data set could not be fetched."""


class StoreError(NeuronaError):
    """A study's database cannot be opened, read or written."""


class ClusterError(NeuronaError):
    """A Ray cluster cannot be reached, lacks what is needed, or was lost."""


class MissingExtraError(NeuronaError):
    """An optional dependency is needed and is not installed."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that looks most like `word`, or None when none is close."""
    close = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return close[0] if close else None
