"""What to calculate next, and when to stop: what is known, what a model believes of the rest, the rules, the ends.

`Known` and a `Surrogate`, the model over a pool's features, go into a `Rule`; its `Decision` comes out. Usable without a campaign:
nothing here knows files, calculators or a store.
"""

from hullscout.selection.belief import Belief
from hullscout.selection.chemical_potentials import ChemicalPotentials, StabilityRegion
from hullscout.selection.decision import Decision, Stop
from hullscout.selection.hull_posterior import HullPosteriorRule
from hullscout.selection.known import Known
from hullscout.selection.rule import RULES, Rule
from hullscout.selection.screened import ScreenedSurrogate, surrogate_of
from hullscout.selection.shown import left_out_of, shown_candidates
from hullscout.selection.simple_rules import GreedyRule, RandomRule, VarianceRule
from hullscout.selection.sources import Sources
from hullscout.selection.stopping import CostSettings, StopReason, StopSettings
from hullscout.selection.surrogate import Surrogate, SurrogateSettings
from hullscout.selection.threshold import HullThresholdRule, ThresholdRule

__all__ = [
    "RULES",
    "Belief",
    "ChemicalPotentials",
    "CostSettings",
    "Decision",
    "GreedyRule",
    "HullPosteriorRule",
    "HullThresholdRule",
    "Known",
    "RandomRule",
    "Rule",
    "ScreenedSurrogate",
    "Sources",
    "StabilityRegion",
    "Stop",
    "StopReason",
    "StopSettings",
    "Surrogate",
    "SurrogateSettings",
    "ThresholdRule",
    "VarianceRule",
    "left_out_of",
    "shown_candidates",
    "surrogate_of",
]
