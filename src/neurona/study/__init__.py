"""A study: what a lab has produced, the comparison of its experiments, and the seal of its test set."""

from neurona.study.comparison import Counts, Finding, FindingWord, Row, counted_accuracy
from neurona.study.pair import PairComparison
from neurona.study.seal import ExperimentTest, OpenedSeal, PairTest, PickedTest
from neurona.study.study import STUDIES, Lab, Study
from neurona.study.table import Comparison

__all__ = [
    "STUDIES",
    "Comparison",
    "Counts",
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
    "counted_accuracy",
]
