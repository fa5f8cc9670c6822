"""What the cells of a comparison's table say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurona.i18n import _, ngettext
from neurona.stats import Estimate, Interval, PairedDifference
from neurona.study.comparison import Finding, Row

__all__ = [
    "shown_accuracy",
    "shown_difference",
    "shown_differences",
    "shown_estimate",
    "shown_fields",
    "shown_interval",
    "shown_name",
    "shown_opened",
    "shown_share",
    "shown_verdict",
]

AFTER_OPENING = "*"


def shown_name(row: Row) -> str:
    """Return the experiment's name, with a star when some of its runs ended after the test set had been opened."""
    return row.experiment.name + (AFTER_OPENING if row.after_opening else "")


def shown_differences(row: Row) -> str:
    """Return what differs from the baseline, as `hidden=200,200 batch_size=1`."""
    return shown_fields(row.differences)


def shown_fields(fields: Mapping[str, Any]) -> str:
    """Return fields and their values, as `hidden=200,200 batch_size=1`."""
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}" for key, value in fields.items()
    )


def shown_interval(interval: Interval | None, *, scale: float = 100.0, digits: int = 2) -> str:
    """Return mean and half of the 95 % interval, as `96.71 ± 0.12`: of accuracies, in per cent."""
    if interval is None:
        return "–"
    text = f"{scale * interval.mean:.{digits}f}"
    if interval.high is not None:
        text += f" ± {scale * (interval.high - interval.mean):.{digits}f}"
    return text


def shown_accuracy(row: Row) -> str:
    """Return mean and half of the 95 % interval in per cent, as `96.71 ± 0.12`, and how many runs diverged."""
    text = shown_interval(row.accuracy_interval)
    if row.runs.diverged:
        text += " " + _("({count} diverged)").format(count=row.runs.diverged)
    return text


def shown_difference(difference: PairedDifference | None, finding: Finding | None) -> str:
    """Return a difference with half of its 95 % interval, in points of per cent; nothing for none.

    The same network has none: its 0 ± 0 is no measurement.
    """
    if difference is None or (finding is not None and finding.word == "same-network"):
        return ""
    text = f"{100 * difference.mean:+.2f}"
    if difference.high is not None:
        text += f" ± {100 * (difference.high - difference.mean):.2f}"
    return text


def shown_verdict(finding: Finding | None) -> str:
    """Return the verdict in words, with about how many seeds would do where there are too few; nothing for none."""
    if finding is None:
        return ""
    if finding.word == "too-few-seeds" and finding.seeds_needed is not None:
        return _("too few seeds (~{count})").format(count=finding.seeds_needed)
    return {
        "better": _("better"),
        "worse": _("worse"),
        "no-difference-seen": _("no difference seen"),
        "too-few-seeds": _("too few seeds"),
        "same-network": _("the same network"),
    }[finding.word]


def shown_share(estimate: Estimate | None) -> str:
    """Return a proportion with its 95 % interval, as `82 % (55 to 97)`."""
    if estimate is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.0f} %"
    sentence = _("{share:.0f} % ({low:.0f} to {high:.0f})")
    return sentence.format(share=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)


def shown_opened(openings: int, marked: bool) -> str:
    """Return how often the test set was opened, and what the star means when something is `marked`."""
    if not openings:
        return ""
    text = ngettext(
        "The test set of this study has been opened {count} time.",
        "The test set of this study has been opened {count} times.",
        openings,
    ).format(count=openings)
    if marked:
        text += " " + _("{star} trained after the test set was opened.").format(star=AFTER_OPENING)
    return text


def shown_estimate(estimate: Estimate) -> str:
    """Return a proportion in per cent, with its interval where it has one."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.2f}"
    sentence = _("{value:.2f} ({low:.2f} to {high:.2f})")
    return sentence.format(value=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)
