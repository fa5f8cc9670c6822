"""The search: Optuna over a lab's space, and the best of it trained again with fresh seeds."""

from neurona.search.explanation import Border, Effect, Explanation, Level, explain
from neurona.search.figure_data import (
    ContourData,
    FrontData,
    HistoryData,
    ParallelData,
    SliceData,
    contour,
    front,
    history,
    parallel,
    slices,
)
from neurona.search.finalists import Finalist, Finals
from neurona.search.objective import OBJECTIVES, Objective
from neurona.search.pruners import PRUNERS
from neurona.search.record import Searched, TrialRecord
from neurona.search.result import SearchResult
from neurona.search.samplers import SAMPLERS
from neurona.search.search import Search, stored
from neurona.search.storage import searches
from neurona.search.trials import TrialBegan, TrialEnded, TrialEpoch, TrialEvent

__all__ = [
    "OBJECTIVES",
    "PRUNERS",
    "SAMPLERS",
    "Border",
    "ContourData",
    "Effect",
    "Explanation",
    "Finalist",
    "Finals",
    "FrontData",
    "HistoryData",
    "Level",
    "Objective",
    "ParallelData",
    "Search",
    "SearchResult",
    "Searched",
    "SliceData",
    "TrialBegan",
    "TrialEnded",
    "TrialEpoch",
    "TrialEvent",
    "TrialRecord",
    "contour",
    "explain",
    "front",
    "history",
    "parallel",
    "searches",
    "slices",
    "stored",
]
