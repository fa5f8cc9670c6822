"""Figures of a study, a run or a network: `figures.confusion_matrix(study)` shows itself in Jupyter.

Each is a `Kind`: `.numbers(source, …)` gives the numbers as a small frozen dataclass, `.draw(numbers)` draws them, and
a call does both. A chart is a `Figure` (`.plot` is Plotly's, `.table` its numbers as text), images are `Pictures`. Who
looks at a network takes `experiment=` and `data=`; everything is on the validation split. `docs/figures.md` lists them.
"""

from neurona.figures.answers import ConfusionOf, ReliabilityOf, classes, confusion_matrix, reliability, robustness_curve
from neurona.figures.augmented import AugmentedOf, augmented_images
from neurona.figures.comparison import cost, differences, seeds
from neurona.figures.curves import gap, learning_curves, run_curves
from neurona.figures.figure import Figure, Kind, Picture, Pictures, Table
from neurona.figures.images import MissedOf, exciting_images, first_layer, hardest_images, missed_by_all, saliency
from neurona.figures.layers import ActivityOf, PathOf, activation_histograms, embedding, path_between_seeds
from neurona.figures.norms import NormCurves, layer_norms, norm_curves
from neurona.figures.parallel import search_parallel
from neurona.figures.search import (
    search_contour,
    search_front,
    search_history,
    search_importances,
    search_slice,
)
from neurona.figures.style import template
from neurona.figures.subject import Inspected, best_experiment, experiment_runs, inspected, study_data

__all__ = [
    "ActivityOf",
    "AugmentedOf",
    "ConfusionOf",
    "Figure",
    "Inspected",
    "Kind",
    "MissedOf",
    "NormCurves",
    "PathOf",
    "Picture",
    "Pictures",
    "ReliabilityOf",
    "Table",
    "activation_histograms",
    "augmented_images",
    "best_experiment",
    "classes",
    "confusion_matrix",
    "cost",
    "differences",
    "embedding",
    "exciting_images",
    "experiment_runs",
    "first_layer",
    "gap",
    "hardest_images",
    "inspected",
    "layer_norms",
    "learning_curves",
    "missed_by_all",
    "norm_curves",
    "path_between_seeds",
    "reliability",
    "robustness_curve",
    "run_curves",
    "saliency",
    "search_contour",
    "search_front",
    "search_history",
    "search_importances",
    "search_parallel",
    "search_slice",
    "seeds",
    "study_data",
    "template",
]
