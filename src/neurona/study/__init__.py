"""A study: what a lab has produced, the comparison of its experiments, and the seal of its test set."""

from neurona.study.comparison import (
    Counts,
    ExperimentRuns,
    Finding,
    FindingWord,
    Row,
    compared,
    counted_accuracy,
    rows,
)
from neurona.study.models import model_of
from neurona.study.pair import PairComparison
from neurona.study.seal import ExperimentTest, OpenedSeal, PairTest, PickedTest
from neurona.study.study import SEARCH_GROUP, SEARCH_SEEDS, STUDIES, STUDY_NAME, Lab, Study
from neurona.study.table import Comparison

__all__ = [
    "SEARCH_GROUP",
    "SEARCH_SEEDS",
    "STUDIES",
    "STUDY_NAME",
    "Comparison",
    "Counts",
    "ExperimentRuns",
    "ExperimentTest",
    "Finding",
    "FindingWord",
    "Lab",
    "OpenedSeal",
    "PairComparison",
    "PairTest",
    "PickedTest",
    "Row",
    "Study",
    "compared",
    "counted_accuracy",
    "model_of",
    "rows",
]
