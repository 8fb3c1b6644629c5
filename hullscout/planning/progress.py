"""What is said of a campaign while it runs, after each answer: on a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.display import MILLI, PERCENT
from hullscout.planning.forecast import forecast

if TYPE_CHECKING:
    from hullscout.campaign import CampaignConfig
    from hullscout.selection import Known


def progress_figures(config: CampaignConfig, known: Known, *, is_computed: bool) -> list[str]:
    """What was saved, is awaited and failed, the model's error, the probability of a wrong hull, how many more, and the hull.

    Args:
        is_computed: Whether energies are calculated, so that it takes a while until they come.
    """
    decision = known.decisions[-1]
    figures = [f"{PERCENT * (1 - known.n_answered / max(known.n_calculable, 1)):.0f} % saved"]
    if is_computed and known.pending.size:
        figures.append(f"{known.pending.size} awaited")
    if known.n_failed:
        figures.append(f"{known.n_failed} failed")
    if decision.model_error is not None:
        figures.append(f"RMSE left out {decision.model_error * MILLI:.1f} meV/atom")
    if decision.failure_probability is not None:
        figures.append(f"P(wrong hull) {PERCENT * decision.failure_probability:.0f} %")
    if (foreseen := forecast(config, known)) is not None:
        figures.append(str(foreseen))
    if known.has_hull:
        figures.append(f"hull {' '.join(known.hull_formulas)}")
    return figures
