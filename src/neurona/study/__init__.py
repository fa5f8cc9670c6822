"""A study: what a lab has produced, the comparison of its experiments, and the seal of its test set."""

from neurona.study.champions import ChampionRecord, Member, assembled, described, keep, records, validated
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
from neurona.study.rerun import Discrepancy, Rerun
from neurona.study.seal import ChampionTest, ExperimentTest, OpenedSeal, PairTest, PickedTest
from neurona.study.study import SEARCH_GROUP, SEARCH_SEEDS, STUDIES, STUDY_NAME, Lab, Study
from neurona.study.table import Comparison

__all__ = [
    "SEARCH_GROUP",
    "SEARCH_SEEDS",
    "STUDIES",
    "STUDY_NAME",
    "ChampionRecord",
    "ChampionTest",
    "Comparison",
    "Counts",
    "Discrepancy",
    "ExperimentRuns",
    "ExperimentTest",
    "Finding",
    "FindingWord",
    "Lab",
    "Member",
    "OpenedSeal",
    "PairComparison",
    "PairTest",
    "PickedTest",
    "Rerun",
    "Row",
    "Study",
    "assembled",
    "compared",
    "counted_accuracy",
    "described",
    "keep",
    "model_of",
    "records",
    "rows",
    "validated",
]
