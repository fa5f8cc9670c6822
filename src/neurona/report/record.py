"""The sections that a study is judged by: how often the seal was opened, and how all of it can be done again."""

from __future__ import annotations

import json

from neurona.figures import Table
from neurona.i18n import _, ngettext
from neurona.lab import built_in_labs
from neurona.opening import Opening
from neurona.report.document import Block, Code, Facts, Note, Section, Text
from neurona.specs import Experiment
from neurona.stats import Estimate, Interval
from neurona.study import Comparison, Study
from neurona.study.cells import shown_estimate, shown_interval

__all__ = ["reproduced", "sealed"]


def sealed(study: Study, comparison: Comparison) -> Section:
    """Return the section on the openings of the test set."""
    openings = study.openings()
    if not openings:
        text = _(
            "The test set has not been opened. Everything above was found on validation images, which have been used "
            "to compare: the test set gives the unbiased figure, once, for the model that is finally chosen."
        )
        return Section("seal", _("The seal"), (Text(text), Code('neurona test EXPERIMENT --reason "…"')))
    rows = tuple(
        (
            str(opening.number),
            opening.time.replace("T", " ").replace("Z", " UTC"),
            opening.user,
            ", ".join(dict.fromkeys(model.experiment for model in opening.models)),
            opening.reason,
        )
        for opening in openings
    )
    head = ("#", _("time"), _("user"), _("tested"), _("reason"))
    blocks: list[Block] = [Note(comparison.note), Table(head, rows)]
    results = [line for opening in openings for line in _results(opening)]
    if results:
        blocks.append(
            Table(
                (_("opening"), _("model"), _("seeds"), _("test accuracy, of experiments the mean of the seeds, %")),
                tuple(results),
            )
        )
    after = [row.experiment.name for row in comparison.rows if row.after_opening]
    if after:
        sentence = ngettext(
            "Trained after an opening, and marked with a star above: {names}.",
            "Trained after an opening, and marked with a star above: {names}.",
            len(after),
        )
        blocks.append(Text(sentence.format(names=", ".join(after))))
    return Section("seal", _("The seal"), tuple(blocks))


def _results(opening: Opening) -> list[tuple[str, ...]]:
    """Return opening, name, seeds and test accuracy, a line for each experiment and champion that was tested."""
    number = str(opening.number)
    experiments: list[tuple[str, ...]] = [
        (
            number,
            str(found["experiment"]),
            ", ".join(map(str, found["seeds"])),
            shown_interval(Interval(**found["accuracy"])),
        )
        for found in opening.results.get("experiments", ())
    ]
    champions: list[tuple[str, ...]] = [
        (
            number,
            str(found["champion"]),
            ", ".join(map(str, found["seeds"])),
            shown_estimate(Estimate(**found["accuracy"])),
        )
        for found in opening.results.get("champions", ())
    ]
    return experiments + champions


def reproduced(study: Study, comparison: Comparison) -> Section:
    """Return the section with commands, versions, fingerprint, seeds and machines."""
    rows = comparison.rows
    seeds = max((seed + 1 for row in rows for seed in row.seeds), default=1)
    lab = study.lab if study.lab in built_in_labs() else f"{study.lab}.toml"
    baseline = rows[0].experiment
    entries = [
        (_("Data set's fingerprint"), study.fingerprint),
        (_("Seeds"), ", ".join(str(seed) for seed in sorted({seed for row in rows for seed in row.seeds})) or "–"),
    ]
    for made in study.provenance():
        machine = made.machine
        libraries = ", ".join(f"{name} {version}" for name, version in made.versions.items())
        sentence = ngettext("{runs} run: {libraries}; {machine}", "{runs} runs: {libraries}; {machine}", made.runs)
        described = _("{processor}, {cores} cores, {memory:.0f} GB").format(
            processor=machine.get("processor", "?"),
            cores=machine.get("cores", "?"),
            memory=float(machine.get("memory", 0)) / 1e9,
        )
        entries.append((_("Made with"), sentence.format(runs=made.runs, libraries=libraries, machine=described)))
    return Section(
        "reproduce",
        _("How to do it again"),
        (
            Text(
                _(
                    "The same command with the same data gives the same figures, to the bit on the same machine and "
                    "with the same libraries; a study that is there is gone on with, not repeated."
                )
            ),
            Code(f"neurona lab {lab} --seeds {seeds}\nneurona report"),
            Facts(tuple(entries)),
            Text(
                _("The baseline; what is not named is Keras' default, and what the others change stands in the table.")
            ),
            Code(_declared(baseline)),
        ),
    )


def _declared(baseline: Experiment) -> str:
    """Return network and training as JSON, a line each: what says most, and what is not the default."""
    network, training = baseline.network, baseline.training
    optimizer = {"name": training.optimizer.name, "learning_rate": training.optimizer.learning_rate}
    shown = {
        "network": {"hidden": network.hidden, "activation": network.activation} | network.declared(),
        "training": {"batch_size": training.batch_size, "epochs": training.epochs}
        | training.declared()
        | {"optimizer": optimizer | training.optimizer.declared()},
    }
    return "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in shown.items())
