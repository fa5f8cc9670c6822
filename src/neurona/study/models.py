"""A model of a study: that of one run, whose weights the study keeps."""

from __future__ import annotations

from collections.abc import Mapping

from neurona.data import Dataset, load
from neurona.errors import DataError, UsageError
from neurona.i18n import _
from neurona.model import Model
from neurona.study.seal import picked
from neurona.study.study import Study

__all__ = ["model_of"]


def model_of(study: Study, experiment: str, *, data: Dataset | None = None) -> Model:
    """Return the model of the run of `experiment` that does best on validation, by accuracy, then loss, then seed.

    data: the study's data set; loaded from `study.dataset` unless given.

    Raises UsageError for an experiment that the study does not have or that has no complete run, and DataError when the
    data are no longer those of the study.
    """
    runs = study.experiment(experiment)
    best = picked(runs)
    if best is None:
        sentence = _("the experiment {name} has no complete run; train it first.")
        raise UsageError(sentence.format(name=experiment))
    data = data or load(study.dataset)
    if data.fingerprint != study.fingerprint:
        sentence = _("the study was made with other data (fingerprint {expected}) than {name} has now ({now}).")
        values = {"expected": study.fingerprint[:16], "now": data.fingerprint[:16]}
        raise DataError(sentence.format(name=data.name, **values))
    spec, kept = runs.stored.experiment, runs.kept(best.seed)
    return Model(
        spec.network,
        (study.run_weights(best.id),),
        data.image_shape,
        data.class_names,
        training=spec.training,
        dataset=data.name,
        fingerprint=data.fingerprint,
        metrics={"val_accuracy": kept.val_accuracy, "val_loss": kept.val_loss},
        versions=_versions(study),
    )


def _versions(study: Study) -> Mapping[str, str]:
    """Return the libraries that the study's runs were made with; nothing where they were not all made with the same."""
    found = [provenance.versions for provenance in study.provenance()]
    return found[0] if found and all(versions == found[0] for versions in found) else {}
