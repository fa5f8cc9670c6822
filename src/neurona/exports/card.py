"""A model's card (Mitchell et al. 2019): what it is, what it was trained on, what it can do and where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from neurona.data import Dataset
from neurona.data.catalogue import CATALOGUE
from neurona.errors import DataError
from neurona.exports.origin import homepage, licence
from neurona.i18n import _
from neurona.insight import PERTURBATIONS, Answers, Calibration, Confusion, calibration, class_scores, confusion
from neurona.model import Model
from neurona.stats import Estimate, wilson_interval

__all__ = ["Measured", "card", "measured"]

_CHANGED = 2_000  # images that are changed in every way: as many as need a few seconds
_SMALLEST = 1e-45  # float32's smallest number, for a probability that is 0


@dataclass(frozen=True, eq=False)
class Measured:
    """What a model does on the validation images.

    accuracy: with Wilson's interval. loss: mean cross-entropy in nats.
    changed: of each perturbation the accuracy at each of its levels, over the first 2,000 images.
    """

    accuracy: Estimate
    loss: float
    calibration: Calibration
    confusion: Confusion
    changed: dict[str, tuple[Estimate, ...]]


def measured(model: Model, data: Dataset) -> Measured:
    """Measure `model` on the validation images of `data`, as they are and changed.

    Raises DataError for images of another size or classes than the model's.
    """
    if data.class_names != model.class_names:
        sentence = _("the model knows the classes {ours}, but {name} has {theirs}.")
        names = {"ours": ", ".join(model.class_names), "theirs": ", ".join(data.class_names)}
        raise DataError(sentence.format(name=data.name, **names))
    images, labels = data.validation.images, data.validation.labels
    probabilities = model.probabilities(images).astype(np.float64)
    answers = Answers(np.log(np.maximum(probabilities, _SMALLEST)), labels)
    few, few_labels = images[:_CHANGED], labels[:_CHANGED]
    changed = {
        name: tuple(
            _accuracy(model.predict(perturbation.change(few, level, 0)) == few_labels) for level in perturbation.levels
        )
        for name, perturbation in PERTURBATIONS.items()
    }
    return Measured(
        _accuracy(answers.right),
        answers.loss,
        calibration(answers),
        confusion(labels, answers.predicted, model.classes),
        changed,
    )


def card(model: Model, data: Dataset) -> str:
    """Return the model's card in Markdown, in the language in force; it is measured on the validation images of `data`.

    Source of the sections: Mitchell et al. (2019), "Model cards for model reporting".

    Raises DataError when `data` are not those that the model was trained on.
    """
    if model.fingerprint and data.fingerprint != model.fingerprint:
        sentence = _(
            "the model was trained on data with the fingerprint {ours}, but {name} has {theirs}: other images may be "
            "among those that it has learned by heart. Give the data set that it was trained on."
        )
        values = {"ours": model.fingerprint[:16], "theirs": data.fingerprint[:16], "name": data.name}
        raise DataError(sentence.format(**values))
    found = measured(model, data)
    title = "# " + _("Model card: digits and their like, read by a dense network")
    sections = (
        (_("The model"), _model(model)),
        (_("Data"), _data(model, data)),
        (_("Recipe"), _recipe(model)),
        (_("How good it is"), _quality(model, data, found)),
        (_("Whether it is as sure as it should be"), _calibration(found.calibration)),
        (_("Where it fails"), _failures(model, found)),
        (_("What it is for"), _use(model)),
        (_("Versions"), _versions(model)),
    )
    parts = [title, *(part for heading, blocks in sections for part in (f"## {heading}", *blocks))]
    return "\n\n".join(parts) + "\n"


def _model(model: Model) -> list[str]:
    network = model.network
    height, width = model.image_shape
    rows = [
        (_("network"), "-".join(map(str, (height * width, *network.hidden, model.classes)))),
        (_("architecture"), _code(network.declared())),
        (_("members"), str(len(model.members))),
        (_("test-time views"), str(len(model.views))),
        (_("temperature"), f"{model.temperature:.4g}"),
        (_("weights"), f"{model.parameters:,}"),
        (_("takes"), _("images uint8 (n, {height}, {width}), bright on black").format(height=height, width=width)),
        (_("gives"), _("the probability of each of {count} classes").format(count=model.classes)),
        (_("classes"), ", ".join(model.class_names)),
    ]
    answer = _("The answer is the mean of the probabilities of its members, each at every view.")
    return [_list(rows), *([answer] if len(model.members) * len(model.views) > 1 else [])]


def _data(model: Model, data: Dataset) -> list[str]:
    name = model.dataset or data.name
    title = _(CATALOGUE[name].title) if name in CATALOGUE else name
    rows = [
        (_("data set"), title),
        (_("train"), _("{count:,} images").format(count=len(data.train))),
        (_("validation"), _("{count:,} images").format(count=len(data.validation))),
        (_("licence"), licence(name) or _("not known to Neurona")),
        (_("home"), homepage(name)),
        (_("fingerprint"), f"`{data.fingerprint}`"),
    ]
    return [_list(rows)]


def _recipe(model: Model) -> list[str]:
    if model.training is None:
        return [_("The file does not say how it was trained.")]
    rows = [(f"`{key}`", _code(value)) for key, value in model.training.declared().items()]
    return [_("Where nothing is said, Neurona's defaults hold."), _list(rows)] if rows else [_("Neurona's defaults.")]


def _quality(model: Model, data: Dataset, found: Measured) -> list[str]:
    scores = class_scores(found.confusion)
    error = 100 * (1 - found.accuracy.value)
    rows = [
        (_("accuracy"), _shown(found.accuracy)),
        (_("error"), f"{error:.2f} %"),
        (_("loss"), f"{found.loss:.4f}"),
    ]
    blocks = [
        _("Measured on the {count:,} validation images; in brackets Wilson's interval, of 95 %.").format(
            count=len(data.validation)
        ),
        _list(rows),
    ]
    if model.saw_validation:
        blocks.append(
            _(
                "**It was trained on these images too, at the end, after the figures recorded with the model were "
                "measured: what is measured here, and below, is too good.**"
            )
        )
    elif "val_accuracy" not in model.metrics:
        blocks.append(
            _(
                "**The file has no validation accuracy of its training: the validation images may have been among "
                "those that it learned from, and these figures be too good.**"
            )
        )
    head = (_("class"), _("images"), _("found"), _("right when answered"))
    lines = [
        (name, f"{one.images:,}", f"{100 * one.recall:.2f} %", f"{100 * one.precision:.2f} %")
        for name, one in zip(model.class_names, scores, strict=True)
    ]
    blocks.append(_table(head, lines))
    if recorded := [(f"`{key}`", f"{value:.6g}") for key, value in model.metrics.items() if isinstance(value, float)]:
        blocks += [_("Recorded with the model:"), _list(recorded)]
    return blocks


def _calibration(found: Calibration) -> list[str]:
    sentence = _(
        "Its probabilities are off by {error:.2f} points on average (expected calibration error, 15 bins). Its loss is "
        "{loss:.4f}, and would be {best:.4f} with its scores divided by {temperature:.3g}."
    )
    values = {"error": 100 * found.error, "loss": found.loss, "best": found.loss_at_temperature}
    return [sentence.format(temperature=found.temperature, **values)]


def _failures(model: Model, found: Measured) -> list[str]:
    names = model.class_names
    confused = [
        (names[pair.true], names[pair.answer], f"{pair.count:,}", f"{100 * pair.share:.2f} %")
        for pair in found.confusion.pairs(5)
    ]
    blocks = []
    if confused:
        blocks += [
            _("Confused most often:"),
            _table((_("true"), _("taken for"), _("images"), _("of the class")), confused),
        ]
    count = next(iter(found.changed.values()))[0].n
    sentence = _(
        "Accuracy on the first {count:,} validation images, changed in one way at a time; in brackets Wilson's "
        "interval, of 95 %. The unchanged level is in bold."
    )
    blocks.append(sentence.format(count=count))
    for name, levels in found.changed.items():
        perturbation = PERTURBATIONS[name]
        lines = []
        for level, accuracy in zip(perturbation.levels, levels, strict=True):
            number = f"{level:.2g}"
            lines.append((f"**{number}**" if level == perturbation.unchanged else number, _shown(accuracy)))
        title = f"{_(perturbation.title)} ({_(perturbation.unit)})"
        blocks.append(_table((title, _("accuracy")), lines))
    return blocks


def _use(model: Model) -> list[str]:
    sentences = [
        _(
            "For teaching, for comparing methods, and for images like those that it was trained on: one object in the "
            "middle, bright on black, of the same size. `neurona predict` and the page to draw on bring other pictures "
            "to that form."
        ),
        _(
            "It always answers with one of its classes, also to an image of nothing it knows. Do not let it decide "
            "about people, money or documents without somebody who looks at every answer."
        ),
    ]
    if known := licence(model.dataset):
        sentence = _("The data are under {licence}: whoever passes on what is made from them should name their source.")
        sentences.append(sentence.format(licence=known))
    return sentences


def _versions(model: Model) -> list[str]:
    return [_list([*model.versions.items(), (_("this card"), f"neurona {version('neurona')}")])]


def _accuracy(right: Iterable[bool]) -> Estimate:
    values = np.asarray(right)
    return wilson_interval(int(values.sum()), len(values))


def _shown(estimate: Estimate) -> str:
    low, high = estimate.low, estimate.high
    ends = f" ({100 * low:.2f}–{100 * high:.2f})" if low is not None and high is not None else ""
    return f"{100 * estimate.value:.2f} %{ends}"


def _code(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`" if isinstance(value, dict | list) else f"`{value}`"


def _list(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {title}: {value}" for title, value in rows if value)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are figures."""
    rule = ["---", *("---:" for _column in head[1:])]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in (head, rule, *lines))


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
