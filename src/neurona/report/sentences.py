"""What the numbers of a comparison say, in sentences. None claims what the verdict does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from neurona.i18n import _, ngettext
from neurona.specs import Experiment
from neurona.study import FindingWord, Row
from neurona.study.cells import shown_accuracy, shown_differences

__all__ = ["group_sentences", "highest_sentence", "row_sentence", "shown_sentence", "tally", "together"]

_ORDER: tuple[FindingWord, ...] = ("better", "worse", "no-difference-seen", "too-few-seeds", "same-network")


def row_sentence(row: Row, baseline: Experiment) -> str:
    """Return what may be said of an experiment against the baseline; empty for the baseline."""
    if row.verdict is None:
        return ""
    this, that = _sides(row, baseline)
    match row.verdict.word:
        case "better" | "worse":
            return _claim(row, this, that)
        case "no-difference-seen":
            sentence = _("Between {this} and {that} no difference is seen; one of 0.2 points probably would be.")
        case "same-network":
            return _("{name} is declared like the baseline: it is the same network.").format(name=row.experiment.name)
        case "too-few-seeds" if row.verdict.seeds_needed is not None:
            sentence = _("Whether {this} differs from {that} cannot be said: too few seeds (about {count} would do).")
        case "too-few-seeds":
            sentence = _("Whether {this} differs from {that} cannot be said: too few seeds.")
    return sentence.format(this=this, that=that, count=row.verdict.seeds_needed)


def _claim(row: Row, this: str, that: str) -> str:
    difference = row.difference
    if difference is None or row.verdict is None:
        return ""
    better = row.verdict.word == "better"
    points = f"{100 * abs(difference.mean):.2f}"
    if difference.low is None or difference.high is None:
        sentence = (
            _("With {this} the validation accuracy is {points} points higher than with {that}.")
            if better
            else _("With {this} the validation accuracy is {points} points lower than with {that}.")
        )
        return sentence.format(this=this, that=that, points=points)
    ends = sorted((difference.low, difference.high)) if better else sorted((-difference.low, -difference.high))
    sentence = (
        _("With {this} the validation accuracy is {points} points higher than with {that} ({low} to {high}).")
        if better
        else _("With {this} the validation accuracy is {points} points lower than with {that} ({low} to {high}).")
    )
    low, high = (f"{100 * end:.2f}" for end in ends)
    return sentence.format(this=this, that=that, points=points, low=low, high=high)


def _sides(row: Row, baseline: Experiment) -> tuple[str, str]:
    """Return what the experiment and the baseline are called where they are compared: by what differs, if one thing."""
    network, theirs = row.experiment.network, baseline.network
    keys = set(row.differences)
    if keys == {"hidden"}:
        ours, other = set(network.hidden), set(theirs.hidden)
        if len(ours) == len(other) == 1 and len(network.hidden) == len(theirs.hidden):
            return _("{units} units a layer").format(units=ours.pop()), str(other.pop())
        if len(ours) == len(other) == 1:
            sentence = ngettext(
                "{count} hidden layer of {units} units", "{count} hidden layers of {units} units", len(network.hidden)
            )
            shorter = _("{count} of {units}").format(count=len(theirs.hidden), units=other.pop())
            return sentence.format(count=len(network.hidden), units=ours.pop()), shorter
    if keys == {"batch_size"}:
        return (
            _("a batch size of {size}").format(size=f"{row.experiment.training.batch_size:,}"),
            f"{baseline.training.batch_size:,}",
        )
    if keys == {"learning_rate"}:
        ours_rate = row.differences["learning_rate"]
        return _("a learning rate of {rate}").format(rate=ours_rate), str(baseline.training.optimizer.learning_rate)
    differences = shown_differences(row)
    name = row.experiment.name
    return (f"{name} ({differences})" if differences else name), _("the baseline")


def group_sentences(rows: Sequence[Row], baseline: Experiment) -> str:
    """Return what a group shows: a sentence about the experiment that stands out, and one that sums up the others."""
    words = [row.verdict.word for row in rows if row.verdict is not None]
    first = next((word for word in _ORDER if word in words), None)
    if first is None:
        return ""
    same = [row for row in rows if row.verdict is not None and row.verdict.word == first]
    leading = same[-1] if first == "worse" else same[0]
    rest = [row for row in rows if row is not leading]
    parts = []
    for word in _ORDER:
        names = [row.experiment.name for row in rest if row.verdict is not None and row.verdict.word == word]
        if names:
            parts.append(_of_word(word, word == first).format(names=", ".join(names)))
    text = row_sentence(leading, baseline)
    if parts:
        joined = "; ".join(parts)
        text += f" {joined[0].upper()}{joined[1:]}."
    return text


def _of_word(word: FindingWord, again: bool) -> str:
    return {
        "better": _("also better than the baseline: {names}") if again else _("better than the baseline: {names}"),
        "worse": _("also worse than the baseline: {names}") if again else _("worse than the baseline: {names}"),
        "no-difference-seen": _("no difference is seen for {names}"),
        "too-few-seeds": _("too few seeds to say: {names}"),
        "same-network": _("the same network as the baseline: {names}"),
    }[word]


def tally(rows: Iterable[Row]) -> str:
    """Return how many experiments are better, worse and so on, as a sentence; empty where nothing is compared."""
    words = [row.verdict.word for row in rows if row.verdict is not None]
    if not words:
        return ""
    parts = []
    for word in _ORDER:
        count = words.count(word)
        if count:
            parts.append(_counted(word, count).format(count=count))
    sentence = ngettext(
        "Of {count} experiment beside the baseline {parts}.",
        "Of {count} experiments beside the baseline {parts}.",
        len(words),
    )
    return sentence.format(count=len(words), parts=together(parts))


def _counted(word: FindingWord, count: int) -> str:
    return {
        "better": ngettext("{count} is better", "{count} are better", count),
        "worse": ngettext("{count} is worse", "{count} are worse", count),
        "no-difference-seen": ngettext("{count} shows no difference", "{count} show no difference", count),
        "too-few-seeds": ngettext("{count} has too few seeds to say", "{count} have too few seeds to say", count),
        "same-network": ngettext("{count} is the same network", "{count} are the same network", count),
    }[word]


def together(parts: Sequence[str]) -> str:
    """Return `parts` as a list in a sentence: a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return _("{all_but_one} and {last}").format(all_but_one=", ".join(parts[:-1]), last=parts[-1])


def highest_sentence(row: Row) -> str:
    """Return which experiment has the highest mean; that it is the highest is no verdict, and the sentence says so."""
    sentence = _("The highest mean validation accuracy is that of {name}: {accuracy} %; the mean alone is no verdict.")
    return sentence.format(name=row.experiment.name, accuracy=shown_accuracy(row))


def shown_sentence(name: str) -> str:
    """Return whose network the report looks into."""
    return _("The sections on mistakes, on the inside and on robustness look at {name}.").format(name=name)
