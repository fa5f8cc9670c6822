"""What a trained network has learned and where it fails: arrays in, small frozen dataclasses out.

Every function is pure, and what is random takes a seed. Images are uint8 `(n, height, width)`, labels `(n,)`
indices of classes, probabilities `(n, classes)`. Nothing here knows of a study or of the test split; what is shown to a
person is drawn by `neurona.figures`.
"""

from neurona.insight.answers import Answers, answered
from neurona.insight.calibration import Calibration, calibration, temperature
from neurona.insight.classes import ClassScores, ConfusedPair, Confusion, class_scores, confusion
from neurona.insight.embedding import Projection, principal_components
from neurona.insight.layers import Activity, activations, activity, most_exciting, norms
from neurona.insight.mistakes import Missed, Mistake, hardest, missed
from neurona.insight.path import PathPoint, loss_path
from neurona.insight.perturbations import PERTURBATIONS, Perturbation, Robustness, robustness
from neurona.insight.saliency import gradient_times_input, integrated_gradients

__all__ = [
    "PERTURBATIONS",
    "Activity",
    "Answers",
    "Calibration",
    "ClassScores",
    "ConfusedPair",
    "Confusion",
    "Missed",
    "Mistake",
    "PathPoint",
    "Perturbation",
    "Projection",
    "Robustness",
    "activations",
    "activity",
    "answered",
    "calibration",
    "class_scores",
    "confusion",
    "gradient_times_input",
    "hardest",
    "integrated_gradients",
    "loss_path",
    "missed",
    "most_exciting",
    "norms",
    "principal_components",
    "robustness",
    "temperature",
]
