"""The sections that look at one network: its mistakes, its inside, its robustness."""

from __future__ import annotations

from neurona import figures
from neurona.figures import Inspected
from neurona.i18n import _, ngettext
from neurona.insight import PERTURBATIONS
from neurona.report.document import Block, Grid, Section, Text

__all__ = ["inside", "mistaken", "robust"]

_MUCH = 0.05  # five points of accuracy, or a temperature that far from 1: what is worth a sentence
_LAYERS_SHOWN = 3  # deeper networks show the first, a middle and the last layer's units


def mistaken(one: Inspected) -> Section:
    """Return the section on what the network gets wrong, and how sure it is."""
    confusion = figures.confusion_matrix.numbers(one)
    reliability = figures.reliability.numbers(one)
    missed = figures.missed_by_all.numbers(one)
    blocks: list[Block] = [
        Text(_confusion_sentences(confusion)),
        figures.confusion_matrix.draw(confusion),
        figures.classes(one),
        Text(_missed_sentences(missed)),
    ]
    if missed.found.by_all:
        blocks.append(figures.missed_by_all.draw(missed))
    blocks.append(figures.hardest_images(one))
    blocks.append(Text(_reliability_sentences(reliability)))
    blocks.append(figures.reliability.draw(reliability))
    return Section("mistakes", _("Mistakes"), tuple(blocks))


def _confusion_sentences(numbers: figures.ConfusionOf) -> str:
    images = int(numbers.found.counts.sum())
    wrong = images - int(numbers.found.counts.trace())
    sentence = ngettext(
        "The network of {subject} gets {wrong} of {images} validation images wrong ({share:.2f} %).",
        "The network of {subject} gets {wrong} of {images} validation images wrong ({share:.2f} %).",
        wrong,
    )
    text = sentence.format(
        subject=numbers.subject, wrong=f"{wrong:,}", images=f"{images:,}", share=100 * wrong / images
    )
    pairs = numbers.found.pairs(1)
    if pairs:
        worst = ngettext(
            "The most frequent mistake: once {true} taken for {answer} ({share:.1f} % within the class).",
            "The most frequent mistake: {count} times {true} taken for {answer} ({share:.1f} % within the class).",
            pairs[0].count,
        )
        names = numbers.class_names
        text += " " + worst.format(
            count=pairs[0].count, true=names[pairs[0].true], answer=names[pairs[0].answer], share=100 * pairs[0].share
        )
    return text


def _missed_sentences(numbers: figures.MissedOf) -> str:
    found = numbers.found
    if found.seeds == 1:
        return _("Only one seed of {name} has been trained: what several would miss together is not known.").format(
            name=numbers.name
        )
    some = sum(found.counts[1:-1])
    sentence = _(
        "Of the validation images, {all_wrong} are wrong for all {seeds} seeds of {name}, and {some} for some seeds "
        "only: another seed gets the latter right; the former lie in the images, in their labels, or in the kind of "
        "network."
    )
    return sentence.format(all_wrong=found.counts[-1], seeds=found.seeds, name=numbers.name, some=some)


def _reliability_sentences(numbers: figures.ReliabilityOf) -> str:
    found = numbers.found
    kind = _("it is about as sure as it is right")
    if found.temperature > 1 + _MUCH:
        kind = _("it is too sure of itself")
    elif found.temperature < 1 - _MUCH:
        kind = _("it could be surer of itself")
    sentence = _(
        "The expected calibration error is {error:.2f} %. The loss is smallest at a temperature of {temperature:.2f}: "
        "{kind}; there it is {after:.4f} nats instead of {before:.4f}."
    )
    return sentence.format(
        error=100 * found.error,
        temperature=found.temperature,
        kind=kind,
        after=found.loss_at_temperature,
        before=found.loss,
    )


def inside(one: Inspected) -> Section:
    """Return the section on weights, units and layers."""
    blocks: list[Block] = [figures.first_layer(one)]
    depth = len(one.network.hidden)
    shown = range(2, depth + 1) if depth <= _LAYERS_SHOWN else sorted({2, (depth + 2) // 2, depth})
    blocks += [figures.exciting_images(one, layer=layer) for layer in shown]
    if depth:
        activity = figures.activation_histograms.numbers(one)
        blocks.append(Text(_activity_sentence(activity)))
        blocks.append(figures.activation_histograms.draw(activity))
    blocks += _norms(one)
    if depth:
        blocks.append(figures.embedding(one))
    blocks.append(figures.saliency(one))
    if len(one.parameters) > 1:
        path = figures.path_between_seeds.numbers(one)
        blocks.append(Text(_path_sentence(path)))
        blocks.append(figures.path_between_seeds.draw(path))
    return Section("inside", _("Inside the network"), tuple(blocks))


def _norms(one: Inspected) -> list[Block]:
    """Return the norms over the epochs; those at the end of training where none were kept, which it says."""
    numbers = figures.norm_curves.numbers(one)
    if not numbers.seeds:
        text = _(
            "Of these runs no norms were kept, since Keras trained them, or an older Neurona: here are those of the "
            "weights that training ended with, and of the gradient that the training loss still has there."
        )
        return [Text(text), figures.layer_norms(one)]
    text = _(
        "How far the weights of each layer have grown, and how steep the training loss still is there, at the end of "
        "each epoch: Euclidean norms over the layer. A layer whose gradient stays far below the others' hardly learns."
    )
    return [Text(text), figures.norm_curves.draw(numbers)]


def _activity_sentence(numbers: figures.ActivityOf) -> str:
    dead = sum(len(layer.dead) for layer in numbers.layers)
    units = sum(layer.units for layer in numbers.layers)
    sentence = ngettext(
        "Of {units} hidden units {dead} is dead: it gives the same for each of {images} images.",
        "Of {units} hidden units {dead} are dead: they give the same for each of {images} images.",
        dead,
    )
    text = sentence.format(units=units, dead=dead, images=f"{numbers.images:,}")
    saturated = [len(layer.saturated) for layer in numbers.layers if layer.saturated is not None]
    if saturated:
        count = sum(saturated)
        text += " " + ngettext(
            "{count} is saturated: nearly always (95 %) at an end of its activation.",
            "{count} are saturated: nearly always (95 %) at an end of their activation.",
            count,
        ).format(count=count)
    return text


def _path_sentence(numbers: figures.PathOf) -> str:
    ends = max(numbers.points[0].loss, numbers.points[-1].loss)
    highest = max(numbers.points, key=lambda point: point.loss)
    if highest.loss <= ends:
        return _("On the straight line between two seeds' weights the loss never exceeds that at its ends.")
    sentence = _(
        "On the straight line between two seeds' weights the loss rises to {highest:.2f} nats, from {ends:.2f} at its "
        "higher end."
    )
    text = sentence.format(highest=highest.loss, ends=ends)
    if highest.loss > 2 * ends:
        text += " " + _("The seeds found solutions that cannot be averaged.")
    return text


def robust(one: Inspected, baseline: Inspected | None) -> Section:
    """Return the section on accuracy under perturbations, beside the baseline's."""
    subjects = (one,) if baseline is None else (one, baseline)
    numbers = [figures.robustness_curve.numbers(subjects, kind) for kind in PERTURBATIONS]
    first = numbers[0].found[0]  # the shift
    shift = dict(zip(first.levels, first.accuracy, strict=True))
    sentence = _(
        "The first {images} validation images, moved, turned and changed in other ways. Moved by 2 pixels, they take "
        "the accuracy of {name} from {before:.1f} % to {after:.1f} %."
    )
    text = sentence.format(
        images=f"{numbers[0].images:,}", before=100 * shift[0], after=100 * shift[2], name=one.shown_seed
    )
    if shift[0] - shift[2] > _MUCH:
        text += " " + _("To a dense network, neighbouring pixels are as strange to each other as distant ones.")
    drawn = tuple(figures.robustness_curve.draw(one_kind) for one_kind in numbers)
    return Section("robustness", _("Robustness"), (Text(text), Grid(drawn)))
