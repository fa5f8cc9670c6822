"""The test split. Nothing else outside `neurona.data` can read it; only a study, which keeps the seal, imports this."""

from __future__ import annotations

from neurona.data import Dataset, Split
from neurona.data.source import read_everything
from neurona.errors import DataError
from neurona.i18n import _

__all__ = ["read_test"]


def read_test(dataset: Dataset) -> Split:
    """Return the test split of `dataset`, read again from where the data set came from and split again in the same way.

    Raises `DataError` if the images, labels or splits are no longer those of `dataset.fingerprint`, and what
    `neurona.data.load` raises if the source is gone.
    """
    everything = read_everything(dataset.origin)
    fingerprint = everything.fingerprint()
    if fingerprint != dataset.fingerprint:
        raise DataError(
            _(
                "{source}: the test split must be read from the same data as train and validation, but the files have "
                "changed since "
                "(fingerprint {now}, was {before}). Put the old files back, or load the data set anew and train on it."
            ).format(source=dataset.origin.source, now=fingerprint[:16], before=dataset.fingerprint[:16])
        )
    return everything.test
