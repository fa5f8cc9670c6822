"""The champion: the best model that a given time allows, trained, calibrated, and kept in a study."""

from neurona.champion.champion import Champion, best
from neurona.champion.options import Options
from neurona.champion.plan import Plan
from neurona.champion.stages import MemberEnded, MemberEpoch, Planned

__all__ = ["Champion", "MemberEnded", "MemberEpoch", "Options", "Plan", "Planned", "best"]
