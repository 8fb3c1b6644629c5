"""What is said of a campaign while it runs, after each answer: on a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.display import MILLI, saved_percent, short_percent
from hullscout.planning.forecast import forecast

if TYPE_CHECKING:
    from hullscout.campaign import CampaignConfig
    from hullscout.selection import Known


def progress_figures(config: CampaignConfig, known: Known, *, is_computed: bool) -> dict[str, str]:
    """What was saved, is awaited and failed, the model's error, the risk of a wrong hull, how many more, and the hull, by name.

    Args:
        is_computed: Whether energies are calculated, so that it takes a while until they come.
    """
    decision = known.decisions[-1]
    figures = {"saved": f"{saved_percent(known.saved_fraction)} saved"}
    if is_computed and known.pending.size:
        figures["awaited"] = f"{known.pending.size} awaited"
    if known.n_failed:
        figures["failed"] = f"{known.n_failed} failed"
    if decision.model_error is not None:
        figures["error"] = f"RMSE left out {decision.model_error * MILLI:.1f} meV/atom"
    if decision.failure_probability is not None:
        figures["risk"] = f"P(wrong hull) {short_percent(decision.failure_probability)}"
    if (foreseen := forecast(config, known)) is not None:
        figures["foreseen"] = str(foreseen)
    if known.has_hull:
        figures["hull"] = f"hull {' '.join(known.hull_formulas)}"
    return figures
