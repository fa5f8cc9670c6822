"""The record of an opening of the test set, and the chain of hashes in which an edited or missing record shows.

A record's hash is SHA-256 over its content, which includes the hash of the record before it; the study keeps the hash
of the newest. Who edits a record, or takes one away, breaks the chain. It is a seal and no lock: who can write to the
database and computes every hash anew leaves no trace there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from neurona.i18n import _

__all__ = ["BEFORE_ALL", "ModelRecord", "Opening", "chain_problems"]

BEFORE_ALL = "0" * 64  # what the first record has for the hash of the one before


@dataclass(frozen=True)
class ModelRecord:
    """One trained network that an opening tested: `run` is its run's id, `sha256` the hash of its stored weights."""

    experiment: str
    seed: int
    run: str
    sha256: str


@dataclass(frozen=True)
class Opening:
    """One opening of a study's test set, as it is kept.

    number: 1 for the study's first.
    time: UTC, as `2026-11-23T17:04:05Z`.
    user: the name of the user's account.
    fingerprint: of the data set.
    results: what was found, as a JSON object.
    previous: the hash of the opening before, `BEFORE_ALL` for the first.
    hash: SHA-256 (hex) over all of the above as canonical JSON.
    """

    number: int
    time: str
    user: str
    reason: str
    fingerprint: str
    models: tuple[ModelRecord, ...]
    results: Mapping[str, Any]
    previous: str
    hash: str = ""

    def hashed(self) -> Self:
        """Return the record with the hash of its content."""
        return replace(self, hash=self.digest())

    def digest(self) -> str:
        """Return the hash that the content has now."""
        content = {key: value for key, value in asdict(self).items() if key != "hash"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return asdict(self)


def chain_problems(openings: Sequence[Opening], newest: str | None) -> list[str]:
    """Return what is wrong with a study's records, a sentence each.

    newest: the hash that the study keeps of its newest record; None when it was never opened.
    """
    problems = []
    previous, expected = BEFORE_ALL, 1
    for opening in openings:
        if opening.number != expected:
            sentence = _(
                "the records of the test set's openings must be numbered 1, 2, …, but number {number} is next."
            )
            problems.append(sentence.format(number=opening.number))
        if opening.hash != opening.digest():
            sentence = _("the record of opening {number} of the test set was edited: its hash is another's.")
            problems.append(sentence.format(number=opening.number))
        elif opening.previous != previous:
            sentence = _("the record of opening {number} of the test set does not follow the one before it.")
            problems.append(sentence.format(number=opening.number))
        previous, expected = opening.hash, opening.number + 1
    if newest != (openings[-1].hash if openings else None):
        problems.append(_("the record of the test set's newest opening is not the one that was written."))
    return problems
